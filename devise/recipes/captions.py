"""Retrieval supervised by captions (Gordo and Larlus 2017), on any folder in Flickr8k's layout.

At the test pictures alone are given. Beside what was learnt stand the raw features, oracles that read the
captions, and what people said. The relevance of two pictures is the tf-idf cosine of their captions.
"""

import time
from pathlib import Path

import numpy as np

from devise import features
from devise.datasets.captions import LISTS, caption_set
from devise.model.captions import GAPS, JOINT, VISUAL
from devise.model.objective import float_rows
from devise.recipes.captioning import changes, drawing, measuring
from devise.recipes.captioning import contenders as who
from devise.recipes.captioning.people import people_table
from devise.report import Report
from devise.words import open_words

STRENGTHS = (0.5, 1.0)  # of augmentation, a copy of the training pictures' features each
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
        root: a folder in Flickr8k's layout, see `devise.datasets.captions.caption_set`, with lists of its parts.
        backbone: a Backbone; None loads the best at hand. Its features are cached.
        words: WordVectors, or their name or path.
        seeds: how many trainings of each row; a seed orders the pictures.
        strengths: of augmentation, for the curriculum; () leaves that half of it out.
        progress: called as progress(done, total), in pictures and then in trainings.
    Returns:
        Report.
    Raises:
        ValueError: if the folder lists no parts, or too few pictures can be used.
    """
    started, output = time.monotonic(), Path(output)
    data, words = caption_set(root), open_words(words)
    if missing := [part for part in LISTS if data.split is None or not len(data.split.rows(part))]:
        raise ValueError(f"{root} has no list of {', '.join(missing)} pictures that are here: expected "
                         f"{' or '.join(LISTS[missing[0]])} with a file name a line")
    backbone = backbone or _best()
    table = features.extract(data.images, backbone, progress=progress)
    world = who.World.of(table, data.split.among(data.images.paths, table.images.paths), words)
    levels = [float_rows(table.matrix, world.rows["train"]), *(_changed(world, backbone, strength, progress)
                                                            for strength in strengths)]
    steps = _Steps(progress, seeds * (8 if levels[1:] else 4))
    heads = who.learnt(world, seeds, steps)
    plans, gap, share = who.curriculum(world, levels, heads[who.TRIPLETS], steps)
    cosines, asked = who.cosines(world, heads), changes.changes(world)
    whole, part, oracles = measuring.truths(world)
    found = measuring.measured(cosines, whole)
    eased = measuring.measured(plans, whole)
    tables = [*_pictures_tables(found, measuring.measured(oracles | cosines, part) if oracles else None),
              measuring.text_table(world, heads[who.JOINT], who.started(world)),
              *_people(data, table, world, heads), changes.change_table(world, heads[who.JOINT], asked),
              *_curriculum_tables(eased), measuring.quoted_table()]
    drawn = _draw(world, heads, cosines, found, asked, gap, share, output, seeds)
    facts = _facts(world, words, levels, seeds, strengths) | {"time (s)": round(time.monotonic() - started, 1)}
    notes = (*NOTES, *_left_out(data, table, world))
    report = Report("Retrieval learnt from captions", facts, [one for one in tables if one is not None], notes, drawn,
                    trained=table.backbone["trained"])
    report.save(output)
    return report


class _Steps:
    """Counts trainings for a progress callable."""

    def __init__(self, progress, total):
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self):
        self._done += 1
        if self._progress:
            self._progress(self._done, self._total)


def _best():
    from devise import backbones

    return backbones.load(backbones.choose()[0])


def _changed(world, backbone, strength, progress):
    """Features of the training pictures, changed; cached as any others."""
    images = world.table.images.subset(world.rows["train"])
    network = features.Augmented(backbone, strength)
    table = features.extract(images, network, features.default_folder(images, network), progress=progress)
    if len(table) != len(images):
        raise ValueError(f"{len(images) - len(table)} pictures were read once and not again: run the recipe again")
    return np.asarray(table.matrix, np.float32)


def _pictures_tables(found, apart):
    """Pictures among pictures: by all captions, and by those that the oracles don't read."""
    yield measuring.graded_table(found, "Pictures find pictures; the truth is the tf-idf cosine of all their captions.")
    yield measuring.difference_table(found, "The same less the raw features, in points, with the 95 % t interval "
                                     "over query pictures, paired.")
    if apart:
        caption = (f"Pictures find pictures; the truth is the tf-idf cosine of all captions but the first {who.FIRST}, "
                   "which the oracles read.")
        yield measuring.graded_table(apart, caption)


def _people(data, table, world, heads):
    """Agreement with experts and crowd, where the folder has their judgements."""
    for judgements, what in ((data.expert, "three experts (1 to 4)"), (data.crowd, "a crowd (share of yes)")):
        if judgements is not None and len(table) == len(data.images):
            yield people_table(world, judgements, heads, what)


def _curriculum_tables(eased):
    """The curriculum on and off."""
    head = "learnt by triplets from"
    yield measuring.graded_table(eased, "The curriculum, on and off; truth as in Table 1.", head)
    yield measuring.difference_table(eased, f"The same less “{who.ALL}” of plain pictures, in points, with the 95 % t "
                                     "interval over query pictures, paired.", who.ALL, head)


def _draw(world, heads, cosines, found, asked, gap, share, output, seeds):
    """(caption, file name) pairs."""
    n, joint = len(world.captions), heads[who.JOINT][0]
    drawing.draw_figures(found, output / "captions.png",
                         f"{n} test pictures, mean of {seeds} seeds; 95 % intervals over query pictures")
    drawing.draw_curriculum(gap, share, output / "curriculum.png")
    drawing.draw_neighbours(world, cosines, output / "neighbours.png")
    drawing.draw_sentences(world, joint, output / "sentences.png")
    drawn = [("Triplet agreement and NDCG, with intervals over query pictures", "captions.png"),
             ("The same pictures asked before and after learning", "neighbours.png"),
             ("Sentences find pictures", "sentences.png")]
    if drawing.draw_changes(world, joint, asked, output / "changes.png"):
        drawn.append(("Picture + words − words", "changes.png"))
    return (*drawn, ("The curriculum: what falls and grows with the epochs", "curriculum.png"))


def _facts(world, words, levels, seeds, strengths):
    mine = world.table.backbone
    return {
        "backbone": f"{mine['name']}, layer {mine['layer']}, {mine['dim']}-d, weights {mine['weights']}",
        "words": f"{words.name}, {len(words):,} words, {words.dim}-d",
        "pictures": ", ".join(f"{len(world.rows[part]):,} {part}" for part in LISTS),
        "captions": f"{sum(map(len, world.lesson.captions)):,} of training pictures, "
                    f"{len(world.lesson.terms.terms):,} terms",
        "heads": f"linear, {mine['dim']} → {world.lesson.vectors.shape[1]}, from principal components",
        "training": f"pictures {VISUAL['epochs']} epochs of batches of {VISUAL['batch_size']}, sentences "
                    f"{JOINT['epochs']} of {JOINT['batch_size']}; gap of triplets {GAPS[0]:g} → {GAPS[1]:g}",
        "augmentation": f"copies at strength {', '.join(map(str, strengths))}" if strengths else "none",
        "seeds": ", ".join(map(str, range(seeds))),
    }


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
