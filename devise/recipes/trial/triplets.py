"""The trainings of the siamese recipe: where each starts, what it is shown, and what grows with its epochs."""

from typing import NamedTuple

import numpy as np

from devise.model import train_classes
from devise.model.classes import POWER, SHRINKAGE

RATE = 1e-4  # of Adam
EASY = 0.3  # the share of mined negatives in the first epoch of a curriculum
CLOSED, RAW = "triplets from the closed form", "triplets from raw"
AT_ONCE, GROWING = "{}, all changes at once", "{}, curriculum"


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


def trainings(pictures):
    """{row: Training}; what changes pictures only where they are at hand."""
    found = {}
    for name, training in ((CLOSED, Training("within-class", POWER)), (RAW, Training("identity", 1.0))):
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


def closed_form(source, rows):
    """The head in closed form, fitted on some pictures of a RetrievalSource."""
    from devise.heads import ProjectionHead

    head = ProjectionHead(start="within-class", shrinkage=SHRINKAGE, power=POWER)
    return head.fit(source.matrix[rows], source.labels[rows])


def train(source, training, copies, *, seed, epochs, far):
    """A model whose validation classes the seed drew.

    Args:
        source: RetrievalSource.
        copies: features of changed copies of the rows of `source.split.train`, a matrix a strength;
            None where nothing is changed.
    """
    from devise.heads import ProjectionHead
    from devise.losses import mining, pairs

    miner, growing = mining.make("semi-hard", seed=seed), schedules(epochs, training.changed)
    difficulty, *strength = growing.values()
    options = {}
    if training.changed:
        options["augmented"] = lambda rows: _bank(source, copies, rows, strength[0] if training.grows else None)
    if training.grows:
        options["before_epoch"] = lambda epoch: miner.difficulty.assign(difficulty(epoch))
    head = ProjectionHead(start=training.start, shrinkage=SHRINKAGE, power=training.power)
    return train_classes(source.table, split=source.parts(seed), head=head, loss=pairs.Triplet(miner=miner),
                         epochs=epochs, learning_rate=RATE, false_accept_rate=far, seed=seed, **options)


def _bank(source, copies, rows, schedule):
    """The AugmentedFeatures of some of the rows that may be learned from."""
    from devise.training import AugmentedFeatures

    places = np.searchsorted(source.split.train, rows)
    return AugmentedFeatures([source.matrix[rows], *(np.asarray(copy[places]) for copy in copies)], schedule)
