"""DeViSE's own tables (Frome et al. 2013): its Table 1 form on seen classes, and its zero-shot form.

Rows: a softmax classifier, DeViSE by the paper's hinge rank loss and by ridge regression, both again
with random vectors in place of the words', and chance; all from the same features.
"""

import time
from pathlib import Path

import numpy as np

from devise import plots
from devise.arrays import unit_rows
from devise.recipes.published import beside, published
from devise.recipes.trial import scoring
from devise.recipes.trial.rules import hinge_rank, softmax
from devise.recipes.trial.sources import open_source
from devise.report import Report
from devise.words import open_words
from devise.zeroshot import Softmax, onto

PAPER = "devise2013"
TABLE_1 = tuple(column for column in scoring.COLUMNS if column != "hit@20")  # the paper has none


def run(output, *, images=None, backbone=None, words="glove-6b-50d", seeds=5, progress=None):
    """Measure both forms and write the report with its picture.

    Args:
        output: the folder to write.
        images: ImageSet in folders named by WordNet's ids, those of ImageNet's 1,000 classes seen;
            None takes the bundled set.
        backbone: the Backbone of an ImageSet.
        words: WordVectors, or their name or path.
        seeds: how many runs; seed s draws 5 unseen classes of the bundled set, splits the seen
            pictures and trains.
    Returns:
        Report.
    """
    started, output = time.monotonic(), Path(output)
    words = open_words(words)
    source = open_source(images, backbone, words, progress=progress)
    runs = []
    for seed in range(seeds):
        runs.append(_run(source, seed))
        if progress:
            progress(seed + 1, seeds)
    tables = _tables(source, runs)
    pictures = draw(runs, output, "Flat hit@k of DeViSE and its controls")
    report = Report("DeViSE's tables (Frome et al. 2013)", facts(source, words, seeds, time.monotonic() - started),
                    tables, notes(source), pictures, trained=source.table.backbone["trained"])
    report.save(output)
    return report


def trained(source, parts, vectors, *, seed):
    """DeViSE on the seen classes: {how: callable ids → rule over these labels, x being features}.

    Args:
        source: Source.
        parts: its Split.
        vectors: (C, d), the label vectors to train towards and to rank by.
    """
    from devise.heads import RidgeHead

    x, y, held = training_data(source, parts)
    hinge = hinge_rank(x, y, vectors, held, seed=seed)
    ridge = RidgeHead().fit(x, y, vectors, validation=held)
    return {"hinge rank": lambda ids: onto(hinge, vectors[ids]),
            "ridge": lambda ids: onto(ridge, vectors[ids])}


def training_data(source, parts):
    """Features and labels of the training pictures, and those of the validation pictures as a pair."""
    rows, held = parts.train, parts.validation if len(parts.validation) else parts.train
    return source.features(rows), source.labels[rows], (source.features(held), source.labels[held])


def classifier(source, parts, *, seed):
    """The softmax of the seen classes; its logits are in the order of `source.ids(parts.seen)`."""
    x, y, (held, answers) = training_data(source, parts)
    seen = source.ids(parts.seen)
    return softmax(x, np.searchsorted(seen, y), len(seen), (held, np.searchsorted(seen, answers)), seed=seed)


def _run(source, seed):
    """{set of candidates: (number of candidates, pictures, {row: figures})} of one seed."""
    parts = source.split(seed)
    random = np.random.default_rng(seed).normal(size=source.vectors.shape)
    by_words = trained(source, parts, source.vectors, seed=seed)
    by_chance = trained(source, parts, unit_rows(random), seed=seed)
    rules = {f"DeViSE, {how}": rule for how, rule in by_words.items()}
    rules |= {f"random embeddings, {how}": rule for how, rule in by_chance.items()}
    seen, head = source.ids(parts.seen), classifier(source, parts, seed=seed)
    x, answers, distances = picked(source, parts.test, seen)
    first = scoring.measure(Softmax(), head.outputs(x), answers, distances, len(seen))
    measured = {"seen": (len(seen), len(x), {"softmax": first} | scored(rules, source, parts.test, seen))}
    return measured | unseen_figures(rules, source, parts)


def unseen_figures(rules, source, parts):
    """{set of candidates: (number, pictures, {row: figures})} of the unseen pictures."""
    measured = {}
    for name, ids in source.candidates(parts).items():
        rows = parts.unseen_rows[np.isin(source.labels[parts.unseen_rows], ids)]
        measured[name] = len(ids), len(rows), scored(rules, source, rows, ids)
    return measured


def scored(rules, source, rows, ids):
    """{row: figures} of some pictures over some labels, chance last.

    Args:
        rules: {row: callable ids → rule, or (x of all the source's pictures, such a callable)}.
    """
    x, answers, distances = picked(source, rows, ids)
    figures = {}
    for name, rule in rules.items():
        mine, make = (x, rule) if callable(rule) else (rule[0][rows], rule[1])
        figures[name] = scoring.measure(make(ids), mine, answers, distances, len(ids))
    return figures | {"chance": scoring.chance(answers, distances, len(ids))}


def picked(source, rows, ids):
    """Features of some pictures, their labels as places in `ids`, and the distances between these."""
    return source.features(rows), np.searchsorted(ids, source.labels[rows]), source.distances(ids)


def _tables(source, runs):
    tables = [scoring.table(caption(runs, "seen", "test"), [run["seen"][2] for run in runs], columns=TABLE_1,
                            published=beside(PAPER, "Table 1", "1K", runs[0]["seen"][0]) if source.is_imagenet else ())]
    for name in list(runs[0])[1:]:
        mine = beside(PAPER, "Table 2", name, runs[0][name][0]) if source.is_imagenet else ()
        tables.append(scoring.table(caption(runs, name, "unseen"), [run[name][2] for run in runs], published=mine))
    if not source.is_imagenet:
        tables.append(scoring.papers_own("DeViSE, Table 1", published(PAPER, "Table 1")))
    return tuple(tables)


def caption(runs, name, part):
    """What a table of one set of candidates is of."""
    counts = sorted({run[name][0] for run in runs})
    pictures = sorted({run[name][1] for run in runs})
    return (f"In % of {_range(pictures)} {part} pictures; {scoring.seeds_text(len(runs))}. "
            f"Candidates: {name} = {_range(counts)} labels. {scoring.METRICS}.")


def draw(runs, output, title):
    """The curve of flat hit@k over the last set of candidates; (caption, file name) pairs."""
    name = list(runs[0])[-1]
    plots.hit_curve(scoring.curve([run[name][2] for run in runs]), output / "hit_at_k.png",
                    title=f"{title}, candidates: {name} ({runs[0][name][0]:,})")
    return (f"Flat hit@k against k, candidates: {name}; {scoring.seeds_text(len(runs)).split(',')[0]}, the mean",
            "hit_at_k.png"),


def facts(source, words, seeds, seconds):
    """What a report states of its data."""
    mine, fixed = source.table.backbone, not isinstance(source.unseen, int)
    apart = len(source.unseen) if fixed else source.unseen
    return {
        "backbone": f"{mine['name']}, layer {mine['layer']}, {mine['dim']}-d, weights {mine['weights']}",
        "words": f"{words.name}, {len(words):,} words, {words.dim}-d",
        "classes": f"{len(source.names) - apart} seen, {apart} unseen" + ("" if fixed else ", drawn by each seed"),
        "pictures": int((source.labels >= 0).sum()),
        "seeds": ", ".join(map(str, range(seeds))),
        "time (s)": round(seconds, 1),
    }


def notes(source):
    """What a reader has to know of every table."""
    said = ["Every choice (epochs, penalty) was made on validation pictures of the seen classes. The hinge rank loss "
            "trains a linear map; hp@k counts the labels that are nearest to the right one among the candidates."]
    if isinstance(source.unseen, int):
        said.append("The network was trained on ImageNet, which has some of the unseen classes: the features know "
                    "them, though no label vector was trained on.")
    elif not source.is_imagenet:
        said.append("The seen classes are not all of ImageNet's 1,000: no published row may stand beside ours.")
    if source.wordless:
        said.append(f"{len(source.wordless)} labels have no word vector and are left out: "
                    f"{', '.join(source.wordless[:10])}{' …' if len(source.wordless) > 10 else ''}.")
    return tuple(said) + ((source.table.images.report(),) if source.table.images.skipped else ())


def _range(values):
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"
