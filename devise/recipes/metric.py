"""Losses × mining on one set of pictures under one budget, each choice by cross-validation over classes.

The protocol is that of the reality check of Musgrave, Belongie and Lim 2020 (section 4), as far as a head on frozen
features can follow it; the notes of the report say how far. The classes to learn from are split into folds that share
no class, each fold validates a training on the others, the options with the best mean MAP@R are taken, and the heads of
the folds are joined to one embedding. Beside the losses stand the features as they are, the map in closed form that all
trainings start from, and heads that learned nothing or nonsense.
"""

from typing import NamedTuple

import numpy as np

from devise.arrays import unit_rows
from devise.model.classes import POWER, SHRINKAGE, batch_classes, knows_classes, own_numbers, scores
from devise.recipes.harness import Harness, means_table, numbered
from devise.recipes.published import count_of, published
from devise.recipes.retrieval import TEST, draw_map_at_r, figures_table, gains_table, means_of, open_retrieval, start
from devise.report import Table

SEEDS = 3
DIM, FOLDS, TRIALS, EPOCHS = 256, 4, 2, 4
PER_CLASS = 4
MEMORY = 1024  # rows, or as many as there are
RATES = (1e-5, 3e-5, 1e-4, 3e-4)  # of Adam
FIRST_RATE = 1e-4
OPTIONS = {  # what a loss may try beside its own defaults
    "contrastive": {"positive_margin": (0.3, 0.5, 0.7, 0.9), "negative_margin": (0.2, 0.3, 0.4, 0.5)},
    "triplet": {"margin": (0.05, 0.1, 0.2, 0.4)},
    "soft-triplet": {},
    "margin": {"margin": (0.1, 0.2, 0.3), "beta": (0.8, 1.0, 1.2)},
    "range": {"margin": (0.5, 1.0, 1.5), "between": (0.5, 1.0, 2.0)},
    "n-pair": {"temperature": (0.05, 0.1, 0.2, 0.4)},
    "multi-similarity": {"base": (0.3, 0.5, 0.7), "beta": (20.0, 50.0)},
    "proxy-anchor": {"margin": (0.05, 0.1, 0.2), "scale": (16.0, 32.0)},
    "normalised-softmax": {"temperature": (0.05, 0.1, 0.2)},
}
RAW = "pretrained, raw features"
START = "the start: closed form"
PAPER, PUBLISHED = "musgrave2020", ("cub200", "cars196", "sop")


class Variant(NamedTuple):
    """A loss, the miner of its triplets, whether it has a memory, and whether its labels are shuffled, a control."""

    loss: str
    miner: str | None = None
    memory: bool = False
    shuffled: bool = False

    @property
    def name(self):
        """How a table calls it."""
        return ", ".join(filter(None, (self.loss, self.miner, "memory" * self.memory,
                                       "labels shuffled" * self.shuffled)))


VARIANTS = (
    *(Variant(loss, miner) for loss, miner in (
        ("contrastive", None), ("contrastive", "hard"), ("triplet", "all"), ("triplet", "semi-hard"),
        ("triplet", "hard"), ("triplet", "distance-weighted"), ("soft-triplet", "hard"), ("margin", None),
        ("margin", "distance-weighted"), ("range", None), ("n-pair", None), ("multi-similarity", None),
        ("proxy-anchor", None), ("normalised-softmax", None))),
    *(Variant(loss, miner, memory=True) for loss, miner in (
        ("contrastive", None), ("triplet", "hard-negative"), ("margin", None), ("n-pair", None),
        ("multi-similarity", None))),
    Variant("contrastive", shuffled=True))


def run(output, *, images=None, backbone=None, test=TEST, root=None, set=None, seeds=SEEDS, epochs=EPOCHS,
        trials=TRIALS, folds=FOLDS, dim=DIM, variants=VARIANTS, recalled=False, progress=None):
    """Measure all losses on the untrained classes and write the report with its picture.

    Args:
        output: the folder to write.
        images: ImageSet or FeatureTable of labelled pictures; None takes the bundled set.
        backbone: the Backbone of pictures.
        test: the classes for the figures: names, how many, or a share.
        root, set: a published set in its own split, in place of these: see `devise.recipes.retrieval.SETS`.
        seeds: how many runs of the chosen options; each trains a head a fold.
        epochs: of each training.
        trials: how many choices of hyperparameters each loss may try.
        folds: of the classes to learn from, no class in two.
        dim: of each head.
        variants: of losses, to compare.
        recalled: print published figures that are recalled too, marked †.
        progress: called as progress(done, total), in pictures while they are looked at, then in trainings.
    Raises:
        ValueError: if there are too few classes for the folds, or the pictures can't be used.
    """
    harness = Harness(output, progress)
    source = open_retrieval(images, backbone, test=test, root=root, name=set, progress=progress)
    dim = min(dim, source.matrix.shape[1])
    parts = folds_of(source, folds, dim)
    harness.total = len(variants) * folds * (trials + seeds - 1)
    options = {"dim": dim, "epochs": epochs, "step": harness.step}
    rows, single, chosen = _baselines(source, parts, dim, seeds), {}, {}
    for variant in variants:
        found = chosen[variant.name] = choose(variant, source, parts, n=trials, **options)
        heads = [found.heads] + [[fit(variant, source, fold, found.trial, seed=seed, **options)[0] for fold in parts]
                                 for seed in range(1, seeds)]
        rows[variant.name] = [source.measure(joined(group)) for group in heads]
        single[variant.name] = [means_of(source.measure(head.embed)) for group in heads for head in group]
    tables = (_figures(source, rows, chosen, folds, dim, seeds, recalled),
              gains_table("What each gains on the raw features", {
                  name: (rows[RAW], runs) for name, runs in rows.items() if name != RAW}, head="loss, miner − raw"),
              gains_table("What each loss adds to the start", {
                  name: (rows[START], rows[name]) for name in chosen}, head="loss, miner − start"),
              means_table("loss, miner", single, form="interval", caption=(
                  f"The same heads one by one, {dim}-d, in %: mean of {folds} folds × {seeds} seeds, with the 95 % "
                  "interval over these.")),
              _choices(chosen, folds))
    draw_map_at_r(harness, source, rows, "loss")
    facts = source.facts() | {
        "budget": f"each loss: {trials} choices of learning rate and of its own options on {folds} folds, then "
                  f"{seeds} seeds on each fold with the best; {epochs} epochs, batches of 8 classes × 4 pictures, Adam",
        "head": f"a linear map, {source.matrix.shape[1]} → {dim}, from the closed form: features to the power "
                f"{POWER:g}, whitened within classes, shrinkage {SHRINKAGE:g}; {folds} joined",
        "seeds": numbered(seeds)}
    return harness.report("Losses and mining for retrieval, under one budget", facts, tables,
                          _notes(source, folds, dim), trained=source.table.backbone["trained"])


class Trial(NamedTuple):
    """One choice of hyperparameters: the learning rate, and options of the loss."""

    rate: float
    options: dict


class Chosen(NamedTuple):
    """What cross-validation took.

    Attributes:
        trial: Trial.
        score: its mean MAP@R over the folds' validation classes.
        heads: the heads of its folds, of seed 0.
        epochs: the epoch that each fold kept; 0 is the start.
    """

    trial: Trial
    score: float
    heads: list
    epochs: list


class Fold(NamedTuple):
    """Rows to train on, rows whose classes validate, and the head that every training on it starts from."""

    train: np.ndarray
    held: np.ndarray
    start: object


def choices(variant, n):
    """n different choices for a variant, the first of them the loss's own defaults."""
    random, space = np.random.default_rng([0, len(variant.loss)]), OPTIONS[variant.loss]
    found = [Trial(FIRST_RATE, {})]
    most = len(RATES) * int(np.prod([len(values) for values in space.values()])) + (1 if space else 0)
    while len(found) < min(n, most):
        drawn = Trial(float(random.choice(RATES)),
                      {name: float(random.choice(values)) for name, values in space.items()})
        found += [drawn] if drawn not in found else []
    return found


def folds_of(source, n=FOLDS, dim=DIM):
    """n Folds of the classes to learn from, no class held in two; each with its map in closed form."""
    return [Fold(train, held, start(dim).fit(source.matrix[train], source.labels[train]))
            for train, held in source.folds(n)]


def choose(variant, source, folds, *, dim=DIM, epochs=EPOCHS, n=TRIALS, step=None):
    """Try n choices on every fold and take the best: Chosen; `step()` is called after each training."""
    best = None
    for trial in choices(variant, n):
        heads, histories = zip(*[fit(variant, source, fold, trial, seed=0, dim=dim, epochs=epochs, step=step)
                                 for fold in folds], strict=True)
        score = float(np.mean([max(history.start_score, *history.score) for history in histories]))
        if best is None or score > best.score:
            best = Chosen(trial, score, list(heads), [history.best_epoch for history in histories])
    return best


def fit(variant, source, fold, trial, *, seed, dim=DIM, epochs=EPOCHS, step=None):
    """(head, History) of one training on one fold; all start from its map, that of shuffled labels from theirs."""
    from devise.training import train

    mine, theirs = own_numbers(source.labels[fold.train]), own_numbers(source.labels[fold.held])
    if variant.shuffled:
        mine = np.random.default_rng(seed).permutation(mine)
    loss = _loss(variant, trial, n_labels=int(mine.max()) + 1, dim=dim, rows=len(mine))
    head = start(dim) if variant.shuffled else fold.start.copy()
    held = theirs % (int(mine.max()) + 1) if knows_classes(loss) else theirs
    history = train(head, source.matrix[fold.train], mine, loss, optimiser="adam", learning_rate=trial.rate,
                    epochs=epochs, classes=batch_classes(None, mine), per_class=PER_CLASS, seed=seed,
                    validation=(source.matrix[fold.held], held),
                    validate=lambda rows: scores(rows, theirs))
    if step:
        step()
    return head, history


def joined(heads):
    """The embedding of several heads side by side, each weighing the same: features → unit rows."""
    return lambda matrix: unit_rows(np.concatenate([head.embed(matrix) for head in heads], axis=1))


def _loss(variant, trial, *, n_labels, dim, rows):
    from devise.losses import CrossBatchMemory, pairs

    loss = pairs.make(variant.loss, n_labels=n_labels, dim=dim, miner=variant.miner, **trial.options)
    if not variant.memory:
        return loss
    size = min(MEMORY, rows)
    return CrossBatchMemory(loss, size=size, dim=dim, warm_up=size // 32)


def _baselines(source, parts, dim, seeds):
    """What no loss trained: {row: [Retrieval]}."""
    chance = [np.random.default_rng(seed).standard_normal((source.matrix.shape[1], dim)) for seed in range(seeds)]
    whole = start().fit(source.matrix[source.split.train], source.labels[source.split.train])
    return {RAW: [source.measure(unit_rows)],
            f"random head, {dim}-d": [source.measure(lambda matrix, map=map: unit_rows(matrix @ map))
                                      for map in chance],
            f"closed form of all classes to learn from, {whole.dim}-d": [source.measure(whole.embed)],
            START: [source.measure(joined([fold.start for fold in parts]))]}


def _figures(source, rows, chosen, folds, dim, seeds, recalled):
    caption = (f"Retrieval of {len(source.split.names['test'])} classes that nothing learned from, in %: the heads of "
               f"{folds} folds joined, {folds} × {dim}-d; mean of {seeds} seeds with the 95 % interval over them, rows "
               "without an interval have no seed. Validation: mean MAP@R of the chosen options on the folds' own "
               "validation classes")
    extra = {name: {"validation MAP@R": found.score} for name, found in chosen.items()}
    return figures_table(caption, rows, head="loss, miner", extra=extra, published=_beside(source, recalled))


def _choices(chosen, folds):
    rows = {name: {"learning rate": f"{found.trial.rate:g}",
                   "options": ", ".join(f"{key} {value:g}" for key, value in found.trial.options.items()) or "its own",
                   "epochs kept": ", ".join(map(str, found.epochs))} for name, found in chosen.items()}
    return Table.by_name("loss, miner", rows, caption=f"What cross-validation on {folds} folds chose, with seed 0; "
                         "epoch 0 is the start, which no training improved on.")


def _beside(source, recalled):
    """The published rows, where the set is the whole published one in its own split."""
    return published(PAPER, data=source.name, recalled=recalled) if standard(source) else ()


def standard(source):
    """Whether a source is a published set with all its test classes and pictures."""
    return source.name in PUBLISHED and (len(source.split.names["test"]), len(source.split.test)) == (
        count_of(source.name), count_of(source.name, "pictures"))


def _notes(source, folds, dim):
    notes = [
        f"Of the protocol of Musgrave et al. 2020 (section 4) are followed: one network, one embedding size, one batch "
        f"size and optimiser for all losses; hyperparameters by cross-validation on {folds} folds of the classes to "
        "learn from that share no class, by MAP@R; the test classes are looked at once, at the end; the folds' heads "
        "joined and one by one; means with 95 % intervals over runs; Precision@1 (here Recall@1), R-precision, MAP@R.",
        "Not followed: the network is frozen, and a linear head on its features trains; a few random choices in place "
        "of 50 steps of Bayesian optimisation; no augmentation; Adam in place of RMSprop; fewer runs than ten; heads "
        f"start from the closed form in place of random weights. Joined, ours are {folds} × {dim}-d.",
        f"Memory: the last {MEMORY:,} rows, or as many as train, from when it is full. Labels shuffled: what the "
        "budget gives where there is nothing to learn, the closed form of shuffled labels included."]
    if source.name is None:
        notes.append("No published row is printed: theirs are of CUB-200-2011, Cars196 and Stanford Online Products in "
                     "their own splits (--root DIR --set cub200, cars196 or sop), these are other pictures.")
    elif not standard(source):
        notes.append(f"No published row is printed: {source.name} is not whole here, or the paper has no figures of "
                     "it.")
    else:
        notes.append("The published rows are of networks that were trained end to end (BN-Inception), joined to 512-d: "
                     "the same pictures and split, another method.")
    return (*notes, *source.notes())
