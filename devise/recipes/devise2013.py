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
from devise.metrics import paired_difference, spread
from devise.recipes.harness import Harness, by_row, curve, means_table, numbered, seeds_text, span, used
from devise.recipes.measuring import HITS, METRICS, RANKED, each_rank, means
from devise.recipes.published import beside, published
from devise.recipes.rules import COLUMNS, by_classifier, by_head, hinge_rank, softmax, widened
from devise.recipes.world import open_world
from devise.report import Table
from devise.words import open_words

PAPER = "devise2013"
WORDS, RANDOM, HINGE = "DeViSE", "random embeddings", "hinge rank"
WIDE = f"{HINGE}, {COLUMNS}-d"
COMPARED = ("softmax", f"{WORDS}, {HINGE}", f"{WORDS}, {WIDE}", f"{RANDOM}, {WIDE}")
PAIRS = ((f"{WORDS}, {WIDE}", "softmax"), (f"{WORDS}, {WIDE}", f"{RANDOM}, {WIDE}"), ("softmax", f"{RANDOM}, {WIDE}"))
CURVE = (*COMPARED, "chance")  # more bands would hide one another
TABLE_1 = tuple(column for column in RANKED if column != "hit@20")  # the paper has none
EPOCHS = 30  # of the softmax


class Ranking(NamedTuple):
    """What one seed did over one set of candidates.

    Attributes:
        n_labels, n_pictures: how many.
        rows: {row: {column: mean}}.
        classes: {row: {column: float64 (C,), the mean over each class's pictures, NaN where it has none}}.
    """

    n_labels: int
    n_pictures: int
    rows: dict
    classes: dict


def run(output, *, images=None, backbone=None, words="glove-6b-50d", unseen=0, hops=0, aside=0, seeds=5,
        recalled=False, progress=None):
    """Measure both forms and write the report with its picture.

    Args:
        output: the folder to write.
        images: pictures in folders named by WordNet's ids (an ImageSet), those of ImageNet's 1,000 classes seen;
            None takes the bundled set.
        backbone: the Backbone of an ImageSet.
        words: WordVectors, or their name or path.
        unseen: draw so many of the folders' classes in each run, which are never trained on; 0 for none but those
            that ImageNet's 1,000 lack. Of the bundled set 5 are drawn.
        hops: with drawn ones, how far from the folders in WordNet, as the papers count hops, labels without pictures
            join the candidates; 0 for none.
        aside: measure no pictures of so many of the folders' classes, drawn once for all seeds: what is new may be
            chosen on these. All classes are trained on and are candidates.
        seeds: how many runs; a seed draws unseen classes, splits the seen pictures and trains.
        recalled: print published figures that are recalled too, marked †.
    """
    harness = Harness(output, progress)
    world = open_world(images, backbone, open_words(words), drawn=unseen, hops=hops, progress=progress)
    apart = np.random.default_rng(0).permutation(world.classes_with_pictures)[:aside]
    runs = harness.each(range(seeds), lambda seed: _run(world, seed, apart))
    theirs = beside(PAPER, "Table 1", "1K", runs[0]["seen"].n_labels, recalled=recalled) if world.is_imagenet else ()
    tables = [table_of(runs, "seen", "test", columns=TABLE_1, published=theirs), classes_table(runs, "seen", TABLE_1),
              *unseen_tables(world, runs, PAPER, "Table 2", recalled=recalled)]
    if world.draws:
        tables += [classes_table(runs, name, RANKED) for name in runs[0] if name != "seen"]
    if not world.is_imagenet:
        tables.append(papers_own("DeViSE, Table 1", published(PAPER, "Table 1", recalled=recalled)))
    draw_curve(harness, runs, "Flat hit@k of DeViSE and its controls", CURVE)
    told = {"classes set aside": f"{aside}, whose pictures are not measured"} if aside else {}
    return harness.report("DeViSE's tables (Frome et al. 2013)", facts(world, seeds) | told, tables,
                          (*notes(world), claim(runs), *undecided(runs)),
                          trained=world.table.backbone["trained"])


def _run(world, seed, aside=()):
    """{set of candidates: Ranking} of one seed."""
    parts, random = world.split(seed), unit_rows(np.random.default_rng(seed).normal(size=world.vectors.shape))
    found = {}
    for kind, points in ((WORDS, world.vectors), (RANDOM, random)):
        found |= {f"{kind}, {how}": contender
                  for how, contender in trained(world, parts, points, seed=seed).items()}
        wide = widened(points)
        x, y, held = _training_data(world, parts)
        found[f"{kind}, {WIDE}"] = by_head(world, hinge_rank(x, y, wide, held, seed=seed), wide)
    seen, head = world.ids(parts.seen), classifier(world, parts, seed=seed)
    known = {"softmax": by_classifier(world, head, seen)} | found
    return {"seen": ranking(world, known, parts.test[~np.isin(world.labels[parts.test], aside)], seen)} \
        | unseen_rankings(world, parts, found)


def ranking(world, found, rows, labels):
    """The Ranking of contenders for some pictures over some labels."""
    values = each_rank(world, found, rows, labels, world.distances(labels))
    mine, n = world.labels[rows], len(world.names)
    with np.errstate(invalid="ignore"):  # a class without pictures is 0 / 0
        classes = {name: {column: np.bincount(mine, each, n) / np.bincount(mine, minlength=n)
                          for column, each in figures.items()} for name, figures in values.items()}
    return Ranking(len(labels), len(rows), {name: means(figures) for name, figures in values.items()}, classes)


def trained(world, parts, points, *, seed):
    """DeViSE on the seen classes, towards these vectors of the labels: {how: Contender}."""
    x, y, held = _training_data(world, parts)
    return {HINGE: by_head(world, hinge_rank(x, y, points, held, seed=seed), points),
            "ridge": by_head(world, RidgeHead().fit(x, y, points, validation=held), points)}


def over_classes(runs, row, column):
    """A figure of each class, its mean over the runs that have pictures of it: float64 (C,), NaN where none has."""
    values = np.stack([run.classes[row][column] for run in runs])
    there = ~np.isnan(values)
    return np.where(there, values, 0).sum(axis=0) / np.where(there.any(axis=0), there.sum(axis=0), np.nan)


def classes_table(runs, name, columns):
    """Figures of the widened vectors and their controls, and what each gains, with intervals over classes."""
    runs = [run[name] for run in runs]
    columns = [column for column in columns if column in runs[0].rows["chance"]]
    values = {row: {column: over_classes(runs, row, column) for column in columns} for row in COMPARED
              if row in runs[0].rows}
    rows = {row: {column: spread(each[~np.isnan(each)]) for column, each in figures.items()}
            for row, figures in values.items()}
    rows |= {f"{row}, less {other}": {column: paired_difference(values[other][column], values[row][column])
                                      for column in columns} for row, other in PAIRS if {row, other} <= values.keys()}
    n = int((~np.isnan(next(iter(values.values()))[columns[0]])).sum())
    return Table.by_name("model", rows, columns, form="interval", caption=(
        f"The same by classes, candidates: {name} = {span(run.n_labels for run in runs)} labels. In % and in points, "
        f"with the 95 % t interval over {n} classes, each counting once by its mean over the seeds. Random vectors are "
        "drawn by each seed."))


def claim(runs):
    """In words, whether the paper's claim of its Table 1 is shown."""
    runs, row = [run["seen"] for run in runs], f"{WORDS}, {WIDE}"

    def gain(column):
        return paired_difference(*(over_classes(runs, one, column) for one in ("softmax", row)))

    deeper = {column: gain(column) for column in ("hp@5", "hp@10", "hp@20") if column in runs[0].rows[row]}
    above = [column for column, found in deeper.items() if found.low > 0]
    return (f"The paper's claim, above the softmax in hierarchical precision at 5, 10 and 20 and within a few points "
            f"of it flat: “{row}” is shown to be above it at {', '.join(above) or 'none of them'}"
            f"{'' if len(above) == len(deeper) else f' alone (of {len(deeper)})'}; hit@1 differs by "
            f"{number(gain('hit@1'), 'interval')} points.")


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
        measured[name] = ranking(world, found, rows, labels)
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


def draw_curve(harness, runs, title, rows=None):
    """The curve of flat hit@k over the last set of candidates, of some rows or of all, with their bands."""
    name = list(runs[0])[-1]
    found = by_row([run[name].rows for run in runs])
    shown = {row: found[row] for row in rows or found if row in found}
    harness.draw(f"Flat hit@k against k, candidates: {name}; {seeds_text(len(runs))}",
                 "hit_at_k.png", plots.hit_curve, curve(shown, HITS),
                 title=f"{title}, candidates: {name} ({runs[0][name].n_labels:,})")


def facts(world, seeds):
    """What a report states of its data."""
    apart = world.unseen if world.draws else len(world.unseen)
    return used(world.table.backbone, world.words) | {
        "classes": f"{world.classes_with_pictures - apart} seen, {apart} unseen"
                   + (", drawn by each seed" if world.draws else "")
                   + (f"; {world.around:,} neighbours in WordNet without pictures" if world.around else ""),
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
