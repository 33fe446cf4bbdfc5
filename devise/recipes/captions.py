"""Retrieval supervised by captions (Gordo and Larlus 2017), on any folder in Flickr8k's layout.

At the test pictures alone are given; their relevance is the tf-idf cosine of their captions.
"""

import numpy as np

from devise import backbones, plots
from devise.datasets.captions import LISTS
from devise.evaluation.captions import DEPTH
from devise.metrics import spread
from devise.model.captions import GAPS, JOINT, VISUAL
from devise.recipes import caption_tables as tables
from devise.recipes import captioning as who
from devise.recipes.harness import Harness, card, numbered, used
from devise.recipes.retrieval import changed_copies
from devise.words import open_words

STRENGTHS = (0.5, 1.0)  # of augmentation, a copy of the training pictures' features each
QUERIES, PAIRS, DEEP = 6, 4, 5  # rows of a sheet, of one with two answers a query, and pictures in a row
NOTES = (
    "Each run chooses epochs and penalty on the validation pictures; gaps, temperatures and the weights of words were "
    "found on validation pictures before; margins and learning rates are settings that nobody searched for. Intervals "
    "are over query pictures; the gallery stays the same, so they are narrower than for a new set of pictures.",
    "The learnt rows have seen the training pictures' captions and read none at the test; the oracles read the test "
    "pictures' captions.",
)


def run(output, *, root, backbone=None, words="glove-6b-50d", seeds=3, strengths=STRENGTHS, progress=None):
    """Measure and write the report with its pictures.

    Args:
        output: the folder to write.
        root: a folder in Flickr8k's layout: pictures, their captions, and lists of its parts.
        backbone: a Backbone; None loads the best at hand. Its features are cached.
        words: WordVectors, or their name or path.
        seeds: how many trainings of each row; a seed orders the pictures.
        strengths: of augmentation, for the curriculum; none leaves that half of it out.
        progress: called as progress(done, total), in pictures and then in trainings.
    Raises:
        ValueError: if the folder lists no parts, or too few pictures can be used.
    """
    harness, backbone = Harness(output, progress), backbone or backbones.load(backbones.choose()[0])
    data, table, split = who.open_captions(root, backbone, progress=progress)
    world = who.CaptionWorld.of(table, split, open_words(words))
    train = world.rows["train"]
    levels = [np.asarray(table.matrix[train], np.float32),
              *changed_copies(table, train, backbone, strengths=strengths, progress=progress)]
    harness.total = seeds * (8 if levels[1:] else 4)
    heads = who.learnt(world, seeds, harness.step)
    plans, *schedules = who.curriculum(world, levels, heads[who.TRIPLETS], harness.step)
    cosines, asked = world.cosines(heads), tables.changes(world)
    whole, part, oracles = world.truths()
    found, eased = tables.measured(cosines, whole), tables.measured(plans, whole)
    truth = "Pictures find pictures; the truth is the tf-idf cosine of all"
    shown = tables.graded_tables(found, f"{truth} their captions.")
    if oracles:
        shown.append(tables.graded_table(tables.measured(oracles | cosines, part), f"{truth} captions but the first "
                                         f"{who.FIRST}, which the oracles read."))
    shown = [*shown, tables.text_table(world, heads[who.JOINT]),
             *(tables.people_table(world, *told, heads) for told in tables.judged(data, table)),
             tables.change_table(world, heads[who.JOINT], asked),
             *tables.graded_tables(eased, "The curriculum, on and off; truth as in Table 1.", who.ALL,
                                   f"“{who.ALL}” of plain pictures", "learnt by triplets from"), tables.QUOTED]
    _draw(harness, world, heads[who.JOINT][0], cosines, found, asked, schedules, seeds)
    return harness.report("Retrieval learnt from captions", _facts(world, seeds, strengths), shown,
                          (*NOTES, *_left_out(data, table, world)), trained=table.backbone["trained"])


def _draw(harness, world, joint, cosines, found, asked, schedules, seeds):
    """Figures with intervals, what was found before and after, and the curriculum."""
    labels, rows = {"triplet agreement": "agreement", f"NDCG@{DEPTH}": "ndcg"}, {}
    for name, runs in found.items():
        values = {label: tables.per_query(runs, figure) for label, figure in labels.items()}
        rows[name] = {label: spread(each[~np.isnan(each)]) for label, each in values.items()}
    harness.draw("Triplet agreement and NDCG, with intervals over query pictures", "captions.png", plots.interval_plot,
                 rows, title="Pictures ordered as their captions are", label="%",
                 note=f"{len(world.captions)} test pictures, mean of {seeds} seeds; 95 % intervals over query pictures")
    harness.draw("The same pictures asked before and after learning", "neighbours.png", plots.comparison_sheet,
                 _neighbours(world, cosines), title="The same pictures asked before and after learning from captions",
                 note="Each with the first of its captions, which nothing here has read.")
    harness.draw("Sentences find pictures", "sentences.png", plots.comparison_sheet, _sentences(world, joint),
                 title=f"Sentences find pictures ({who.JOINT})",
                 note="✓ the picture that the sentence was written for; others may fit as well. Pictures alone were "
                 "indexed.")
    if rows := _changes(world, joint, asked):
        harness.draw("Picture + words − words", "changes.png", plots.comparison_sheet, rows,
                     title="Picture + words − words",
                     note="Beneath a query what was asked of it; ✓ the picture that was meant.")
    gap, share = (schedule.values() for schedule in schedules)
    harness.draw("The curriculum: what falls and grows with the epochs", "curriculum.png", plots.schedule_plot,
                 {"least gap of relevance in a triplet": gap, "share of augmentation levels open": share},
                 title="The curriculum")


def _neighbours(world, cosines):
    """The same queries before and after: what raw features find, and what was learnt finds."""
    for query in _drawn(world)[:PAIRS]:
        found = {}
        for name in (who.RAW, who.TRIPLETS):
            scores = cosines[name][0][query].astype(float)
            scores[query] = -np.inf
            found[name] = _best(world, scores)
        yield plots.Compared(_card(world, query), found)


def _sentences(world, joint):
    """Sentences, and the test pictures that they find."""
    pictures = joint.embed(world.features)
    for own in _drawn(world):
        text = world.captions[own][0]
        yield plots.Compared(text, {"": _best(world, pictures @ joint.embed_text([text])[0], own)})


def _changes(world, joint, asked):
    """Pictures changed by words, the first few in an order drawn by seed, no picture twice."""
    told, rows = [change for change in asked if change.minus], {}
    for number in np.random.default_rng(0).permutation(len(told)):
        change = told[number]
        if change.query not in rows and len(rows) < QUERIES:
            text = " ".join([*(f"+{word}" for word in change.plus), *(f"−{word}" for word in change.minus)])
            rows[change.query] = plots.Compared(
                _card(world, change.query)._replace(label=text),
                {"": _best(world, tables.scores_of(world, joint, change), change.target)})
    return list(rows.values())


def _drawn(world):
    return np.sort(np.random.default_rng(0).permutation(len(world.captions))[:QUERIES]).tolist()


def _best(world, scores, right=None):
    """Cards of the test pictures with the highest scores, the right one marked."""
    order = np.argsort(-scores, kind="stable")[:DEEP]
    return tuple(_card(world, place, float(scores[place]), True if place == right else None)
                 for place in order.tolist() if np.isfinite(scores[place]))


def _card(world, place, score=None, right=None):
    images, row = world.table.images, int(world.rows["test"][place])
    return card(images, row, label=world.captions[place][0], score=score, right=right, name=images.paths[row])


def _facts(world, seeds, strengths):
    return used(world.table.backbone, world.words) | {
        "pictures": ", ".join(f"{len(world.rows[part]):,} {part}" for part in LISTS),
        "captions": f"{sum(map(len, world.data.captions)):,} of training pictures, "
                    f"{len(world.data.terms.terms):,} terms",
        "heads": f"linear, {world.table.backbone['dim']} → {world.data.vectors.shape[1]}, from principal components",
        "training": f"pictures {VISUAL['epochs']} epochs of batches of {VISUAL['batch_size']}, sentences "
                    f"{JOINT['epochs']} of {JOINT['batch_size']}; gap of triplets {GAPS[0]:g} → {GAPS[1]:g}",
        "augmentation": f"copies at strength {', '.join(map(str, strengths))}" if strengths else "none",
        "seeds": numbered(seeds)}


def _left_out(data, table, world):
    """What a reader has to know of the pictures that are not in the figures."""
    if world.skipped:
        lost = "; ".join(f"{item.path}: {item.reason}" for item in world.skipped[:3])
        yield f"{len(world.skipped)} pictures could not be used ({lost})."
    if table.images.skipped:
        yield table.images.report()
    judged = [one for one in (data.expert, data.crowd) if one is not None]
    if judged and len(table) != len(data.images):
        yield "Pictures could not be read, so the judgements of people are left out: their rows would not fit."
    if lost := sum(one.left_out for one in judged):
        yield f"{lost:,} judgements are about pictures or captions that are not here."
