"""A siamese network by triplets, on a folder of classes: what it retrieves of classes it never saw, before and after.

Before are the features as they are; between lie their square roots and a map in closed form; after is
a head that triplets trained, from the closed form and from the raw features, with and without a
curriculum. The test classes are the same for every seed; a seed draws the classes that choose.
"""

from typing import NamedTuple

import numpy as np

from devise import plots
from devise.arrays import nearest, unit_rows
from devise.datasets.splits import generator
from devise.evaluation import clustering_nmi, evaluate_galleries, gallery_table
from devise.heads import ProjectionHead
from devise.metrics import spread
from devise.model import train_classes
from devise.model.classes import POWER, SHRINKAGE
from devise.recipes import retrieval
from devise.recipes.harness import Harness, card, means_table, numbered
from devise.recipes.retrieval import STRENGTHS as CHANGED
from devise.recipes.retrieval import TEST, figures_table, gains_table, start

SEEDS, EPOCHS, FAR, GALLERIES = 5, 12, 0.05, (100, 1000, 10_000)
RATE = 1e-4  # of Adam
EASY = 0.3  # the share of mined negatives in the first epoch of a curriculum
RAW, ROOTS, CLOSED = "raw features", "their square roots", "closed form, as the training starts"
WHOLE = "closed form, of all classes to learn from"
LEARNT, FROM_RAW = "triplets from the closed form", "triplets from raw"
AT_ONCE, GROWING = "{}, all changes at once", "{}, curriculum"
SPACE = "learnt"  # of a model
COURSE = ("MAP@R", "hit@1", "recall@10")
DEEP = 10
QUERIES, DEPTH = 6, 7  # of the sheet
OPEN_SET = {"unknown let in": "unknown_accepted", "known sent away": "known_rejected",
            "known found and right": "identified", "EER": "equal_error_rate"}


class Training(NamedTuple):
    """How one row of the table is trained.

    Attributes:
        start, power: of its ProjectionHead.
        changed: whether features of changed copies of the pictures train along.
        grows: whether their strength and the triplets' difficulty grow with the epochs.
    """

    start: str
    power: float
    changed: bool = False
    grows: bool = False


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
        false_accept_rate: the share of unknown pictures that the thresholds may let in.
        progress: called as progress(done, total), in pictures while they are looked at, then in trainings.
    Raises:
        ValueError: if there are too few classes, or the pictures can't be used.
    """
    harness, copies = Harness(output, progress), None
    source = retrieval.open_retrieval(images, backbone, test=test, progress=progress)
    if retrieval.has_pictures(source.table):
        network = retrieval.network_of(source.table, backbone)
        copies = retrieval.changed_copies(source.table, source.split.train, network, progress=progress)
    wanted = trainings(copies is not None)
    found = harness.each([(seed, name) for seed in range(seeds) for name in wanted], lambda one: train(
        source, wanted[one[1]], copies, seed=one[0], epochs=epochs, far=false_accept_rate))
    models = {name: found[number::len(wanted)] for number, name in enumerate(wanted)}
    fitted = [start().fit(source.matrix[rows], source.labels[rows]) for rows in (
        source.split.train, *(source.parts(seed).train for seed in range(seeds)))]
    whole, first = fitted[0], models[LEARNT][0]
    rows = {RAW: [source.measure(unit_rows)], ROOTS: [source.measure(_roots)], WHOLE: [source.measure(whole.embed)],
            CLOSED: [source.measure(head.embed) for head in fitted[1:]],
            **{name: [source.measure(model.spaces[SPACE].embed) for model in mine] for name, mine in models.items()}}
    spaces = {RAW: unit_rows, WHOLE: whole.embed, LEARNT: first.spaces[SPACE].embed}
    tests = source.split.test
    galleries = evaluate_galleries({name: embed(source.matrix[tests]) for name, embed in spaces.items()},
                                   source.labels[tests], gallery)
    open_set = [model.evaluate(source.table).open_set for model in models[LEARNT]]
    tables = (_figures(source, rows, spaces, seeds), *_gains(rows, models), gallery_table(galleries.runs),
              _open_set_table(open_set, false_accept_rate))
    harness.save(first)
    _draw(harness, source, rows, spaces, models, open_set, epochs)
    facts, notes = _facts(source, first, copies, seeds, epochs), _notes(source, models, galleries, copies)
    return harness.report("A siamese network by triplets, on classes that it never saw", facts, tables, notes,
                          trained=source.table.backbone["trained"])


def trainings(pictures):
    """{row: Training}; what changes pictures only where they are at hand."""
    found = {}
    for name, training in ((LEARNT, Training("within-class", POWER)), (FROM_RAW, Training("identity", 1.0))):
        found[name] = training
        if pictures:
            found[AT_ONCE.format(name)] = training._replace(changed=True)
        found[GROWING.format(name)] = training._replace(changed=pictures, grows=True)
    return found


def schedules(epochs, pictures):
    """{what grows: Schedule}; the last quarter of the epochs trains at full strength."""
    from devise.training import Schedule

    growing = max(2, epochs - epochs // 4)
    found = {"share of triplets that are mined": Schedule(EASY, 1.0, epochs=growing)}
    if pictures:
        found["share of augmentation strengths in play"] = Schedule(0.0, 1.0, epochs=growing)
    return found


def train(source, training, copies, *, seed, epochs, far):
    """A model whose validation classes the seed drew; `copies` are those of `retrieval.changed_copies`, or None."""
    from devise.losses import mining, pairs
    from devise.training import AugmentedFeatures

    miner, growing = mining.make("semi-hard", seed=seed), schedules(epochs, training.changed)
    difficulty, *strength = growing.values()
    options = {}
    if training.changed:
        def augmented(rows):
            places = np.searchsorted(source.split.train, rows)
            return AugmentedFeatures([source.matrix[rows], *(np.asarray(copy[places]) for copy in copies)],
                                     strength[0] if training.grows else None)

        options["augmented"] = augmented
    if training.grows:
        options["before_epoch"] = lambda epoch: miner.difficulty.assign(difficulty(epoch))
    head = ProjectionHead(start=training.start, shrinkage=SHRINKAGE, power=training.power)
    return train_classes(source.table, split=source.parts(seed), head=head, loss=pairs.Triplet(miner=miner),
                         epochs=epochs, learning_rate=RATE, false_accept_rate=far, seed=seed, **options)


def _roots(matrix):
    return unit_rows(np.sign(matrix) * np.sqrt(np.abs(matrix)))


def _figures(source, rows, spaces, seeds):
    tests = source.split.test
    nmi = {name: {"NMI": clustering_nmi(embed(source.matrix[tests]), source.labels[tests])}
           for name, embed in spaces.items()}
    caption = (f"Retrieval of {len(source.split.names['test'])} classes that nothing learned from, in %: mean of "
               f"{seeds} seeds, with the 95 % interval over the seeds; rows without an interval have no seed. NMI is "
               "of k-means with as many clusters as classes, of seed 0")
    return figures_table(caption, rows, depth=DEEP, extra=nmi)


def _gains(rows, models):
    """Each row against the raw features; what training adds to its start; and the curriculum against none."""
    yield gains_table("What each gains on the raw features", {
        name: (rows[RAW], runs) for name, runs in rows.items() if name != RAW}, head="embedding − raw")
    steps = {f"{name} − its start": (rows[CLOSED if name.startswith(LEARNT) else RAW], rows[name]) for name in models}
    for begun in (LEARNT, FROM_RAW):
        growing, at_once = GROWING.format(begun), AT_ONCE.format(begun)
        steps[f"{begun}: curriculum − none"] = rows[begun], rows[growing]
        if at_once in rows:
            steps[f"{begun}: curriculum − all changes at once"] = rows[at_once], rows[growing]
    yield gains_table("What triplets add to where they start from, and the curriculum on against off", steps,
                            head="difference")


def _open_set_table(open_set, far):
    """Half of the untrained classes are in the gallery: what the thresholds do, over the seeds."""
    rows = {space: [{name: getattr(run, figure) for name, figure in OPEN_SET.items()}
                    | {f"TAR@FAR {rate:g}": share for rate, share in run.true_accept_rate.items()} for run in runs]
            for space in ("raw", "learnt") for runs in [[figures[space] for figures in open_set]]}
    one = open_set[0]["raw"]
    return means_table("space", rows, form="interval", caption=(
        f"Has the gallery such a picture? In %, mean of {len(open_set)} seeds with the 95 % interval over them. A seed "
        f"draws which half of the untrained classes is in the gallery (seed 0: {one.gallery:,} pictures, "
        f"{one.n_known:,} known and {one.n_unknown:,} unknown ones ask). The first three columns are of the threshold "
        f"that the validation classes chose to let {100 * far:g} % of unknown ones in; EER and TAR@FAR take theirs "
        "from these queries."))


def _draw(harness, source, rows, spaces, models, open_set, epochs):
    retrieval.draw_map_at_r(harness, source, rows, "embedding")
    measured = models[LEARNT][0].history[SPACE].scores  # few pictures have no depth of 10
    courses = {score: {name: _course(found, score) for name, found in models.items()} for score in COURSE
               if score in measured}
    harness.draw("Scores on the validation classes, epoch by epoch", "progress.png", plots.progress_curve, courses,
                 title="Validation classes while triplets train", unit="points gained",
                 note=f"{len(models[LEARNT][0].split.names['validation'])} classes, drawn by each of "
                 f"{len(models[LEARNT])} seeds; gain on the start, mean and ± 1 standard deviation")
    grown = {name: [schedule(epoch) for epoch in range(1, epochs + 1)]
             for name, schedule in schedules(epochs, len(models) > 4).items()}
    harness.draw("The curriculum", "curriculum.png", plots.schedule_plot, grown, title="What grows with the epochs")
    one = open_set[0]
    points = {name: (figures.unknown_accepted, 1 - figures.known_rejected) for name, figures in one.items()}
    harness.draw("Open set: true against false accepts", "roc.png", plots.roc_plot,
                 {name: figures.curve for name, figures in one.items()}, points=points,
                 title="Has the gallery such a picture?",
                 note=f"seed 0: {one['raw'].n_known:,} pictures whose class is in the gallery, "
                 f"{one['raw'].n_unknown:,} whose class is not")
    shown = {"before": spaces[RAW], "after": spaces[LEARNT]}
    harness.draw("Neighbours of a picture, drawn by seed, of each of the untrained classes that are hardest for the "
                 f"raw features: those before, {LEARNT} after", "neighbours.png", plots.sheet,
                 neighbour_rows(source, shown, rows[RAW][0]),
                 title="The nearest pictures of the same queries, before and after")


def neighbour_rows(source, spaces, baseline, *, queries=QUERIES, depth=DEPTH):
    """A picture of each of the hardest untrained classes, drawn by seed, and its nearest others in each space.

    Args:
        spaces: {name: function from features to unit rows}.
        baseline: the Retrieval whose MAP@R says which classes are hard: of easy ones all neighbours are right.
    Returns:
        list of plots.Row, the spaces of a query beneath one another.
    """
    rows, labels = source.split.test, source.labels[source.split.test]
    hardest = sorted(np.unique(baseline.labels), key=lambda label: np.nanmean(
        baseline.map_at_r[baseline.labels == label]))[:queries]
    asked = [int(generator(0, "picture shown", source.names[label]).choice(np.flatnonzero(labels == label)))
             for label in hardest]
    depth = min(depth, len(rows) - 1)
    found = {name: nearest((embedded := embed(source.matrix[rows]))[asked], embedded, depth + 1)
             for name, embed in spaces.items()}
    return [plots.Row(_card(source, rows[query], note=name),
                      tuple(_card(source, rows[other], score=float(score), right=bool(labels[other] == labels[query]))
                            for other, score in zip(ids[place], scores[place], strict=True) if other != query)[:depth])
            for place, query in enumerate(asked) for name, (ids, scores) in found.items()]


def _card(source, row, *, note="", score=None, right=None):
    images, label = source.table.images, source.table.images.label_of(row)
    there = images.root is not None and images.file(row).is_file()
    return card(images, row, label=f"{label}: {note}" if note and there else label, score=score, right=right,
                **({"name": note} if note else {}))


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
                f"Adam, {RATE:g}, {epochs} epochs; kept by MAP@R on the validation classes, the start included",
        "seeds": f"{numbered(seeds)}; a seed draws {len(names['validation'])} of the "
                 f"{len(source.split.names['train'])} classes for validation and trains on the others",
        "changed copies": "none, the pictures are not on this disk" if copies is None else
                          f"one of each picture at strengths {', '.join(f'{strength:.2f}' for strength in CHANGED)}"}


def _notes(source, models, galleries, copies):
    first = models[LEARNT][0]
    kept = {name: [model.history[SPACE].best_epoch for model in found] for name, found in models.items()}
    notes = [
        f"Epochs kept, seed by seed (0 is the start): {'; '.join(f'{name} {found}' for name, found in kept.items())}.",
        f"Seed 0: {first.spaces[SPACE].threshold_note()}.",
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
