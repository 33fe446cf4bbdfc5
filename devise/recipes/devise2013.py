"""DeViSE's own tables (Frome et al. 2013): its Table 1 form on seen classes, and its zero-shot form.

Rows: a softmax classifier, DeViSE by the paper's hinge rank loss and by ridge regression, both again
with random vectors in place of the words', and chance; all from the same features. GloVe's 50 columns hold
fewer labels apart than the paper's 500 and 1,000, so the hinge rank loss is given widened vectors too.
"""

from typing import NamedTuple

import numpy as np

from devise import plots
from devise.arrays import unit_rows
from devise.figures import number
from devise.heads import RidgeHead
from devise.metrics import paired_difference
from devise.recipes.harness import Harness, by_row, curve, means_table, numbered, seeds_text, span, used
from devise.recipes.measuring import HITS, METRICS, RANKED, rank
from devise.recipes.published import beside, published
from devise.recipes.rules import by_classifier, by_head, hinge_rank, softmax, widened
from devise.recipes.world import open_world
from devise.report import Table
from devise.words import open_words

PAPER = "devise2013"
WORDS, RANDOM, HINGE = "DeViSE", "random embeddings", "hinge rank"
TABLE_1 = tuple(column for column in RANKED if column != "hit@20")  # the paper has none
EPOCHS = 30  # of the softmax


class Ranking(NamedTuple):
    """What one seed did over one set of candidates: labels and pictures, and {row: figures}."""

    n_labels: int
    n_pictures: int
    rows: dict


def run(output, *, images=None, backbone=None, words="glove-6b-50d", unseen=0, seeds=5, recalled=False,
        progress=None):
    """Measure both forms and write the report with its picture.

    Args:
        output: the folder to write.
        images: pictures in folders named by WordNet's ids (an ImageSet), those of ImageNet's 1,000 classes seen;
            None takes the bundled set.
        backbone: the Backbone of an ImageSet.
        words: WordVectors, or their name or path.
        unseen: draw so many of the folders' classes in each run, which are never trained on; 0 for none but those
            that ImageNet's 1,000 lack. Of the bundled set 5 are drawn.
        seeds: how many runs; a seed draws unseen classes, splits the seen pictures and trains.
        recalled: print published figures that are recalled too, marked †.
    Returns:
        Report.
    """
    harness = Harness(output, progress)
    world = open_world(images, backbone, open_words(words), drawn=unseen, progress=progress)
    runs = harness.each(range(seeds), lambda seed: _run(world, seed))
    theirs = beside(PAPER, "Table 1", "1K", runs[0]["seen"].n_labels, recalled=recalled) if world.is_imagenet else ()
    tables = [table_of(runs, "seen", "test", columns=TABLE_1, published=theirs),
              *unseen_tables(world, runs, PAPER, "Table 2", recalled=recalled)]
    if not world.is_imagenet:
        tables.append(papers_own("DeViSE, Table 1", published(PAPER, "Table 1", recalled=recalled)))
    draw_curve(harness, runs, "Flat hit@k of DeViSE and its controls")
    return harness.report("DeViSE's tables (Frome et al. 2013)", facts(world, seeds), tables,
                          (*notes(world), *undecided(runs)),
                          trained=world.table.backbone["trained"])


def _run(world, seed):
    """{set of candidates: Ranking} of one seed."""
    parts, random = world.split(seed), unit_rows(np.random.default_rng(seed).normal(size=world.vectors.shape))
    found = {}
    for kind, points in ((WORDS, world.vectors), (RANDOM, random)):
        found |= {f"{kind}, {how}": contender
                  for how, contender in trained(world, parts, points, seed=seed).items()}
        wide = widened(points)
        x, y, held = _training_data(world, parts)
        found[f"{kind}, {HINGE}, {wide.shape[1]}-d"] = by_head(world, hinge_rank(x, y, wide, held, seed=seed), wide)
    seen, head = world.ids(parts.seen), classifier(world, parts, seed=seed)
    known = {"softmax": by_classifier(world, head, seen)} | found
    rows = rank(world, known, parts.test, seen, world.distances(seen))
    return {"seen": Ranking(len(seen), len(parts.test), rows)} | unseen_rankings(world, parts, found)


def trained(world, parts, points, *, seed):
    """DeViSE on the seen classes, towards these vectors of the labels: {how: Contender}."""
    x, y, held = _training_data(world, parts)
    return {HINGE: by_head(world, hinge_rank(x, y, points, held, seed=seed), points),
            "ridge": by_head(world, RidgeHead().fit(x, y, points, validation=held), points)}


def undecided(runs):
    """In words, where DeViSE is worse than random vectors with the same loss, or not shown to be better."""
    for name in runs[0]:
        pairs = by_row([run[name].rows for run in runs])
        for row in [row for row in pairs if row.startswith(WORDS)]:
            other = row.replace(WORDS, RANDOM)
            if other not in pairs or "hit@1" not in pairs[row][0]:
                continue
            found = paired_difference(*([run["hit@1"] for run in pairs[one]] for one in (other, row)))
            if not found.low > 0:
                said = "worse than" if found.high < 0 else "not shown to be better than"
                yield (f"Over “{name}”, hit@1: “{row}” is {said} “{other}”: "
                       f"{number(found, 'interval')} points, with the 95 % interval over {found.n} runs.")


def classifier(world, parts, *, seed):
    """The softmax of the seen classes; its logits are in the order of `world.ids(parts.seen)`."""
    x, y, (held, answers) = _training_data(world, parts)
    seen = world.ids(parts.seen)
    return softmax(x, np.searchsorted(seen, y), len(seen), (held, np.searchsorted(seen, answers)), seed=seed,
                   epochs=EPOCHS)


def _training_data(world, parts):
    """Features and labels of the training pictures, and those of the validation pictures as a pair."""
    rows, held = parts.train, parts.validation if len(parts.validation) else parts.train
    return world.features[rows], world.labels[rows], (world.features[held], world.labels[held])


def unseen_rankings(world, parts, found):
    """{set of candidates: Ranking} of the unseen pictures."""
    measured = {}
    for name, labels in world.candidates(parts).items():
        rows = parts.unseen_rows[np.isin(world.labels[parts.unseen_rows], labels)]
        measured[name] = Ranking(len(labels), len(rows), rank(world, found, rows, labels, world.distances(labels)))
    return measured


def table_of(runs, name, part, *, columns=RANKED, published=()):
    """The figures over one set of candidates."""
    labels, pictures = (span(getattr(run[name], count) for run in runs) for count in ("n_labels", "n_pictures"))
    return means_table("model", by_row([run[name].rows for run in runs]), columns, published=published, caption=(
        f"In % of {pictures} {part} pictures; {seeds_text(len(runs))}. "
        f"Candidates: {name} = {labels} labels. {METRICS}."))


def unseen_tables(world, runs, paper, number, *, recalled=False):
    """A table a set of candidates of the unseen pictures, beside the paper's rows where it ranks over as many."""
    return [table_of(runs, name, "unseen", published=beside(paper, number, name, runs[0][name].n_labels,
                                                            recalled=recalled) if world.is_imagenet else ())
            for name in runs[0] if name != "seen"]


def papers_own(what, published):
    """A table of a paper's figures alone, where nothing of ours may stand beside them; None without figures."""
    if not published:
        return None
    columns = tuple(column for column in RANKED if any(column in row.values for row in published))
    return Table(("model", *columns), (), f"{what}: its own figures, in %, on other pictures, with another network and "
                 "other words. They are not comparable with any table above.", published=tuple(published))


def draw_curve(harness, runs, title):
    """The curve of flat hit@k over the last set of candidates."""
    name = list(runs[0])[-1]
    harness.draw(f"Flat hit@k against k, candidates: {name}; {seeds_text(len(runs)).split(',')[0]}, the mean",
                 "hit_at_k.png", plots.hit_curve, curve(by_row([run[name].rows for run in runs]), HITS),
                 title=f"{title}, candidates: {name} ({runs[0][name].n_labels:,})")


def facts(world, seeds):
    """What a report states of its data."""
    apart = world.unseen if world.draws else len(world.unseen)
    return used(world.table.backbone, world.words) | {
        "classes": f"{len(world.names) - apart} seen, {apart} unseen" + (", drawn by each seed" if world.draws else ""),
        "pictures": int((world.labels >= 0).sum()), "seeds": numbered(seeds)}


def notes(world):
    """What a reader has to know of every table."""
    said = ["Every choice (epochs, penalty) was made on validation pictures of the seen classes. The hinge rank loss "
            "trains a linear map; hp@k counts the labels that are nearest to the right one among the candidates."]
    if world.draws:
        said.append("The network was trained on ImageNet, which has some of the unseen classes: the features know "
                    "them, though no label vector was trained on.")
    elif not world.is_imagenet:
        said.append("The seen classes are not all of ImageNet's 1,000: no published row may stand beside ours.")
    if world.wordless:
        said.append(f"{len(world.wordless)} labels have no word vector and are left out: "
                    f"{', '.join(world.wordless[:10])}{' …' if len(world.wordless) > 10 else ''}.")
    return tuple(said) + ((world.table.images.report(),) if world.table.images.skipped else ())
