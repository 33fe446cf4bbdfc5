"""Every loss under one budget: choices by cross-validation over classes, then the folds' heads joined.

After Musgrave, Belongie and Lim 2020, A Metric Learning Reality Check, section 4: the classes to learn
from are split into folds that share no class, each fold validates a training on the others, the options
with the best mean MAP@R are taken, and the heads of the folds are joined to one embedding.
"""

from typing import NamedTuple

import numpy as np

from devise.arrays import unit_rows
from devise.model.classes import batch_classes, knows_classes, own_numbers, scores
from devise.recipes.retrieval import start

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


class Variant(NamedTuple):
    """A loss, the miner of its triplets, whether it has a memory, and whether its labels are shuffled, a control."""

    loss: str
    miner: str | None = None
    memory: bool = False
    shuffled: bool = False

    @property
    def name(self):
        """How a table calls it.

        >>> Variant("triplet", "hard-negative", memory=True).name
        'triplet, hard-negative, memory'
        """
        return ", ".join([self.loss, *([self.miner] if self.miner else []), *(["memory"] if self.memory else []),
                          *(["labels shuffled"] if self.shuffled else [])])


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


def trials(variant, n, *, seed=0):
    """n different choices for a variant, the first of them the loss's own defaults.

    >>> trials(Variant("n-pair"), 2)[0]
    Trial(rate=0.0001, options={})
    """
    random, space = np.random.default_rng([seed, len(variant.loss)]), OPTIONS[variant.loss]
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
    """Try n choices on every fold and take the best: Chosen.

    Args:
        source: RetrievalSource.
        folds: of `folds_of`.
        step: called after each training.
    """
    best = None
    for trial in trials(variant, n):
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
