"""A siamese network by triplets, on a folder of classes: what it retrieves of classes it never saw, before and after.

Before are the features as they are; between lie their square roots and a map in closed form; after is
a head that triplets trained, from the closed form and from the raw features, with and without a
curriculum. The test classes are the same for every seed; a seed draws the classes that choose.
"""

import time
from pathlib import Path

import numpy as np

from devise import plots, storage
from devise.arrays import unit_rows
from devise.evaluation import clustering_nmi, evaluate_galleries, gallery_table
from devise.metrics import spread
from devise.model.calibration import sentence
from devise.model.classes import POWER, SHRINKAGE
from devise.recipes.trial import triplets
from devise.recipes.trial.changed import STRENGTHS, changed_copies, has_pictures, network_of
from devise.recipes.trial.comparing import differences_table, figures_table
from devise.recipes.trial.neighbours import neighbour_rows
from devise.recipes.trial.retrieval import TEST, open_retrieval
from devise.report import Report, Table

SEEDS, EPOCHS, FAR, GALLERIES = 5, 12, 0.05, (100, 1000, 10_000)
RAW, ROOTS, CLOSED = "raw features", "their square roots", "closed form, as the training starts"
WHOLE = "closed form, of all classes to learn from"
LEARNT = triplets.CLOSED
SPACE = "learnt"  # of a model
COURSE = ("MAP@R", "hit@1", "recall@10")
DEEP = 10
OPEN_SET = {"unknown let in": "unknown_accepted", "known sent away": "known_rejected",
            "known found and right": "identified", "EER": "equal_error_rate"}


def run(output, *, images=None, backbone=None, test=TEST, seeds=SEEDS, epochs=EPOCHS, gallery=GALLERIES,
        false_accept_rate=FAR, progress=None):
    """Train, measure on the untrained classes, and write the report with its pictures and the first model.

    Args:
        output: the folder to write.
        images: ImageSet or FeatureTable of labelled pictures; None takes the bundled set.
        backbone: the Backbone of an ImageSet.
        test: the classes for the figures: names, how many, or a share.
        seeds: how many runs; seed s draws the classes that choose the epoch and the threshold, and trains.
        epochs: of each training.
        gallery: sizes of galleries to draw.
        false_accept_rate: what the thresholds are for.
        progress: called as progress(done, total), in pictures while they are looked at, then in trainings.
    Returns:
        Report.
    Raises:
        ValueError: if there are too few classes, or the pictures can't be used.
    """
    started, output = time.monotonic(), Path(output)
    source = open_retrieval(images, backbone, test=test, progress=progress)
    copies = None
    if has_pictures(source.table):
        copies = changed_copies(source.table, source.split.train, network_of(source.table, backbone),
                                progress=progress)
    models = _trained(source, copies, seeds, epochs=epochs, far=false_accept_rate, progress=progress)
    whole, first = triplets.closed_form(source, source.split.train), models[LEARNT][0]
    starts = [triplets.closed_form(source, source.parts(seed).train) for seed in range(seeds)]
    rows = {RAW: [source.measure(unit_rows)], ROOTS: [source.measure(_roots)], WHOLE: [source.measure(whole.embed)],
            CLOSED: [source.measure(head.embed) for head in starts],
            **{name: [source.measure(model.spaces[SPACE].embed) for model in found] for name, found in models.items()}}
    spaces = {RAW: unit_rows, WHOLE: whole.embed, LEARNT: first.spaces[SPACE].embed}
    tests = source.split.test
    galleries = evaluate_galleries({name: embed(source.matrix[tests]) for name, embed in spaces.items()},
                                   source.labels[tests], gallery)
    open_set = [model.evaluate(source.table).open_set for model in models[LEARNT]]
    tables = (_figures(source, rows, spaces, seeds), *_gains(rows, models), gallery_table(galleries.runs),
              _open_set_table(open_set, false_accept_rate))
    first.save(output / "model", overwrite=storage.is_manifest(output / "report.json"))  # of which it is a part
    pictures = _draw(source, rows, spaces, models, open_set, epochs, output)
    facts = _facts(source, first, copies, seeds, epochs) | {"time (s)": round(time.monotonic() - started, 1)}
    report = Report("A siamese network by triplets, on classes that it never saw", facts, tables,
                    _notes(source, models, galleries, copies, false_accept_rate), pictures,
                    trained=source.table.backbone["trained"])
    report.save(output)
    return report


def _trained(source, copies, seeds, *, epochs, far, progress):
    """{row: [Devise, one a seed]}."""
    wanted, models = triplets.trainings(copies is not None), {}
    for seed in range(seeds):
        for number, (name, training) in enumerate(wanted.items(), start=1):
            models.setdefault(name, []).append(
                triplets.train(source, training, copies, seed=seed, epochs=epochs, far=far))
            if progress:
                progress(seed * len(wanted) + number, seeds * len(wanted))
    return models


def _roots(matrix):
    return unit_rows(np.sign(matrix) * np.sqrt(np.abs(matrix)))


def _figures(source, rows, spaces, seeds):
    rows_of = source.split.test
    nmi = {name: {"NMI": clustering_nmi(embed(source.matrix[rows_of]), source.labels[rows_of])}
           for name, embed in spaces.items()}
    caption = (f"Retrieval of {len(source.split.names['test'])} classes that nothing learned from, in %: mean of "
               f"{seeds} seeds, with the 95 % interval over the seeds; rows without an interval have no seed. NMI is "
               "of k-means with as many clusters as classes, of seed 0")
    return figures_table(caption, rows, depth=DEEP, extra=nmi)


def _gains(rows, models):
    """Each row against the raw features; what training adds to its start; and the curriculum against none."""
    yield differences_table("What each gains on the raw features", {
        name: (rows[RAW], runs) for name, runs in rows.items() if name != RAW}, head="embedding − raw")
    steps = {f"{name} − its start": (rows[CLOSED if name.startswith(triplets.CLOSED) else RAW], rows[name])
             for name in models}
    for start in (triplets.CLOSED, triplets.RAW):
        growing, at_once = triplets.GROWING.format(start), triplets.AT_ONCE.format(start)
        steps[f"{start}: curriculum − none"] = rows[start], rows[growing]
        if at_once in rows:
            steps[f"{start}: curriculum − all changes at once"] = rows[at_once], rows[growing]
    yield differences_table("What triplets add to where they start from, and the curriculum on against off", steps,
                            head="difference")


def _open_set_table(open_set, far):
    """Half of the untrained classes are in the gallery: what the thresholds do, over the seeds."""
    rows = {}
    for space in ("raw", "learnt"):
        runs = [figures[space] for figures in open_set]
        rows[space] = {name: spread([getattr(run, figure) for run in runs]) for name, figure in OPEN_SET.items()}
        rows[space] |= {f"TAR@FAR {rate:g}": spread([run.true_accept_rate[rate] for run in runs])
                        for rate in runs[0].true_accept_rate}
    one = open_set[0]["raw"]
    caption = (f"Has the gallery such a picture? In %, mean of {len(open_set)} seeds with the 95 % interval over them. "
               f"A seed draws which half of the untrained classes is in the gallery (seed 0: {one.gallery:,} pictures, "
               f"{one.n_known:,} known and {one.n_unknown:,} unknown ones ask). The first three columns are of the "
               f"threshold that the validation classes chose to let {100 * far:g} % of unknown ones in; EER and "
               "TAR@FAR take theirs from these queries")
    return Table.by_name("space", rows, caption=f"{caption}.", form="interval")


def _draw(source, rows, spaces, models, open_set, epochs, output):
    """(caption, file name) pairs of the pictures that were written."""
    names = source.split.names["test"]
    plots.interval_plot({name: {"MAP@R": spread([float(np.nanmean(run.map_at_r)) for run in runs])}
                         for name, runs in rows.items()}, output / "map_at_r.png", label="MAP@R (%)", origin=None,
                        title=f"Retrieval of {len(names)} classes that nothing learned from",
                        note="mean and 95 % interval over the seeds; a dot alone has no seed")
    measured = models[LEARNT][0].history[SPACE].scores  # few pictures have no depth of 10
    known = [score for score in COURSE if score in measured]
    plots.progress_curve({score: {name: _course(found, score) for name, found in models.items()} for score in known},
                         output / "progress.png", title="Validation classes while triplets train", unit="points gained",
                         note=f"{len(models[LEARNT][0].split.names['validation'])} classes, drawn by each of "
                         f"{len(models[LEARNT])} seeds; gain on the start, mean and ± 1 standard deviation")
    grown = {name: [schedule(epoch) for epoch in range(1, epochs + 1)]
             for name, schedule in triplets.schedules(epochs, len(models) > 4).items()}
    plots.schedule_plot(grown, output / "curriculum.png", title="What grows with the epochs")
    one = open_set[0]
    points = {name: (figures.unknown_accepted, 1 - figures.known_rejected) for name, figures in one.items()}
    plots.roc_plot({name: figures.curve for name, figures in one.items()}, output / "roc.png", points=points,
                   title="Has the gallery such a picture?",
                   note=f"seed 0: {one['raw'].n_known:,} pictures whose class is in the gallery, "
                   f"{one['raw'].n_unknown:,} whose class is not")
    shown = {"before" if name == RAW else "after": embed for name, embed in spaces.items() if name in (RAW, LEARNT)}
    plots.sheet(neighbour_rows(source, shown, rows[RAW][0]), output / "neighbours.png",
                title="The nearest pictures of the same queries, before and after")
    return [("MAP@R of each embedding on the untrained classes", "map_at_r.png"),
            ("Scores on the validation classes, epoch by epoch", "progress.png"),
            ("The curriculum", "curriculum.png"), ("Open set: true against false accepts", "roc.png"),
            ("Neighbours of a picture, drawn by seed, of each of the untrained classes that are hardest for the raw "
             f"features: those before, {LEARNT} after", "neighbours.png")]


def _course(models, score):
    """What a score gained on its start, mean over the seeds, from epoch 0 on; seeds judge by other classes."""
    starts = np.array([model.history[SPACE].start_scores[score] for model in models])
    courses = np.array([model.history[SPACE].scores[score] for model in models]).T
    return [spread(values - starts) for values in (starts, *courses)]


def _facts(source, first, copies, seeds, epochs):
    names = first.split.names
    return source.facts() | {
        "head": f"a linear map, {source.table.backbone['dim']} → {first.spaces[SPACE].dim}; its closed form: features "
                f"to the power {POWER:g}, whitened within classes, shrinkage {SHRINKAGE:g}",
        "loss": f"triplet, margin {first.record['loss']['margin']:g}, semi-hard; batches of 8 classes × 4 pictures; "
                "Adam, "
                f"{triplets.RATE:g}, {epochs} epochs; kept by MAP@R on the validation classes, the start included",
        "seeds": f"{', '.join(map(str, range(seeds)))}; a seed draws {len(names['validation'])} of the "
                 f"{len(source.split.names['train'])} classes for validation and trains on the others",
        "changed copies": "none, the pictures are not on this disk" if copies is None else
                          f"one of each picture at strengths {', '.join(f'{strength:.2f}' for strength in STRENGTHS)}"}


def _notes(source, models, galleries, copies, far):
    first = models[LEARNT][0]
    kept = {name: [model.history[SPACE].best_epoch for model in found] for name, found in models.items()}
    notes = [
        f"Epochs kept, seed by seed (0 is the start): {'; '.join(f'{name} {found}' for name, found in kept.items())}.",
        f"Seed 0: {sentence(first.spaces[SPACE])}.",
        f"Galleries: one picture of each untrained class asks, the others are drawn from, {galleries.draws} times; "
        f"{galleries.smallest:,} to {galleries.largest:,} can be drawn. A larger gallery holds more distractors, and "
        "more right answers."]
    if galleries.left_out:
        notes.append(f"Left out, since there are not so many pictures or too few to hold a right answer for each: "
                     f"galleries of {', '.join(f'{size:,}' for size in galleries.left_out)}.")
    if copies is None:
        notes.append("Without the pictures the curriculum is of the triplets' difficulty alone, and the sheet shows "
                     "names; --images FOLDER has both.")
    return (*notes, *source.notes())
