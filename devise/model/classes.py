"""Training on same-class pairs: image → image search, for classes that were never trained on too."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from devise import features
from devise.datasets import split_classes
from devise.evaluation import retrieve
from devise.model.devise import Devise
from devise.model.objective import Objective, labelled
from devise.model.sources import AUTO, Network
from devise.model.space import LEARNT, RAW, Space

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from devise.backbones.base import Backbone
    from devise.datasets import ImageSet, Split
    from devise.heads import Head, ProjectionHead

FALSE_ACCEPT_RATE = 0.01
SHRINKAGE, POWER = 0.8, 0.5  # of the start; chosen on folds of 37 classes of Caltech-101, see docs/findings.md
CLASSES, PER_CLASS = 8, 4  # of a batch
KS = (1, 10)
MINERS = {"triplet": "semi-hard", "soft-triplet": "semi-hard", "margin": "distance-weighted"}  # where none is named


def train_classes(images: Any, *, backbone: str | Backbone | keras.Model = AUTO, weights: str | None = "imagenet",
                  layer: str | None = None, loss: Any = "triplet", miner: str | None = None,
                  loss_options: dict | None = None, head: Head | None = None,
                  validation: int | float | str | Collection[str] = 0.2,
                  test: int | float | str | Collection[str] = 0.3,
                  split: Split | None = None, augmented: Callable | None = None, classes: int | None = None,
                  per_class: int = PER_CLASS, epochs: int = 20, optimiser: str = "adam", learning_rate: float = 1e-4,
                  false_accept_rate: float = FALSE_ACCEPT_RATE, folder: str | Path | None = None, seed: int = 0,
                  progress: Callable | None = None, **training: Any) -> Devise:
    """A model whose images of one class are near one another, and that says whether there is a match at all.

    A head, trained on pairs or triplets of images, carries the features of the frozen network into a
    space for image → image search (a siamese network: Hadsell et al. 2006, Schroff et al. 2015).
    Training, validation and test share no class. After each epoch MAP@R is taken on the validation
    classes, the start included; the best one stays, so that a training which helps nothing changes
    nothing. The validation classes choose the thresholds; new classes join an index without training.

    Args:
        images: labelled ones: a folder a class, an ImageSet, or a FeatureTable.
        backbone, weights, layer: the frozen network; "auto" takes that of the features, else the best at hand.
        loss: a name from `devise.losses.pairs.NAMES`, or a Loss.
        miner: a name from `devise.losses.mining.NAMES`; by default semi-hard for triplets,
            distance-weighted for margin, none for the others.
        loss_options: of the loss: margins, temperature …
        head: a ProjectionHead or MlpHead, not fitted yet; by default a projection that starts from
            the features' own geometry, whitened within the training's classes.
        validation, test: classes to keep apart: names, how many, or a share, as `split_classes` has it.
        split: a class-disjoint Split to use in place of a drawn one.
        augmented: a function of the training's row ids to what `devise.training.train` takes as features of
            changed copies beside the plain ones.
        classes, per_class: of a batch; by default 8 classes, or all where there are fewer.
        false_accept_rate: what the thresholds are for.
        folder: where the features are cached.
        seed: of the split and of the training.
        training: further options of `devise.training.train`.
    Returns:
        Devise with the spaces "learnt" and "raw", both with a threshold.
    Raises:
        ValueError: if there are too few classes, or an option doesn't fit.

    >>> model = train_classes("pictures", validation=0.2, test=["ferry", "lobster"])  # doctest: +SKIP
    >>> list(model.spaces)  # doctest: +SKIP
    ['learnt', 'raw']
    """
    found, table = labelled(images)

    def drawn(images: ImageSet) -> Split:
        return split_classes(images.labels, images.label_names, validation=validation, test=test, seed=seed)

    given, split = split, _checked(split or drawn(found))  # fails before hours of extraction
    objective(found.labels, split, loss, miner, loss_options, dim=1, classes=classes, per_class=per_class)
    network = Network.of(backbone, weights, layer)
    if table is None:
        table = features.extract(found, network.backbone, folder, progress=progress)
    table = features.usable(table)
    if len(table) < len(found):  # an image that can't be read, or is all black to the network, is in no part
        split = _checked(given.among(found.paths, table.images.paths) if given else drawn(table.images))
    labels = table.images.labels
    head = head or projection()
    x, held = table.matrix[split.train], table.matrix[split.validation]
    if head.input_dim is None:
        head.begin(x, own_numbers(labels[split.train]), seed)
    goal = objective(labels, split, loss, miner, loss_options, dim=head.dim, classes=classes, per_class=per_class)
    history = goal.train(head, augmented(split.train) if augmented else x, held, epochs=epochs, optimiser=optimiser,
                         learning_rate=learning_rate, seed=seed, progress=progress, **training)
    record = {"seed": seed, "loss": loss_record(goal.loss), "class_level": table.images.class_level}
    model = Devise(network, None, {LEARNT: Space(head)}, label_names=found.label_names, split=split,
                   paths=table.images.paths, table=table, record=record, history={LEARNT: history})
    for name in (LEARNT, RAW):
        model = model.with_space(name, model.spaces[name].calibrated(held, labels[split.validation], false_accept_rate,
                                                                     seed))
    return model


def projection(dim: int | None = None, *, start: str = "within-class", power: float = POWER) -> ProjectionHead:
    """The usual head of `train_classes`, not fitted yet."""
    from devise.heads import ProjectionHead

    return ProjectionHead(dim, start=start, shrinkage=SHRINKAGE, power=power)


def objective(labels: NDArray[np.int64], split: Split, loss: Any = "triplet", miner: str | None = None,
              loss_options: dict | None = None, *, dim: int | None, classes: int | None = None,
              per_class: int = PER_CLASS) -> Objective:
    """Images of one class near one another; MAP@R on the validation classes chooses the epoch."""
    from devise.losses import pairs

    mine, theirs = own_numbers(labels[split.train]), own_numbers(labels[split.validation])
    n_trained = int(mine.max()) + 1
    if isinstance(loss, str):
        loss = pairs.make(loss, n_labels=n_trained, dim=dim, miner=miner or MINERS.get(loss), **(loss_options or {}))
    elif miner or loss_options:
        raise ValueError("a Loss has its own miner and options: give them to its constructor")
    own = knows_classes(loss)
    return Objective(mine, theirs % n_trained if own else theirs, loss, lambda rows: scores(rows, theirs),
                     classes=batch_classes(classes, labels[split.train]), per_class=per_class, own_classes=own)


def loss_record(loss: Any) -> dict:
    """A loss for JSON: its name, its miner's and its options."""
    from devise.losses import Loss
    from devise.losses.pairs.base import PairLoss

    if not isinstance(loss, Loss):
        return {"name": "function", "miner": None}
    miner = loss.miner if isinstance(loss, PairLoss) else None
    return {"name": loss.name, "miner": miner and miner.name, **loss.get_config()}


def scores(rows: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """What decides on the best epoch, MAP@R of validation rows, and what else its history shows: {name: fraction}."""
    found = retrieve(rows, labels, ks=KS).means()
    return ({"MAP@R": found["map_at_r"]} | {f"hit@{k}": value for k, value in found["hit_at_k"].items()}
            | {f"recall@{k}": value for k, value in found["recall_at_k"].items() if k > 1})


def own_numbers(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Labels as 0..C - 1, C the classes that are there."""
    return np.unique(labels, return_inverse=True)[1]


def batch_classes(asked: int | None, labels: NDArray[np.int64]) -> int:
    """How many classes a batch has, of those that have pairs."""
    there = int((np.unique(labels, return_counts=True)[1] > 1).sum())
    if there < max(2, asked or 0):
        raise ValueError(f"{there} classes with two pictures or more are there to train on: expected {asked or 2} for "
                         "each batch; keep fewer classes apart, or bring more")
    return asked or min(CLASSES, there)


def knows_classes(loss: Any) -> bool:
    """Whether a loss has something for each training class, so that its value on others means nothing."""
    from devise.losses import Loss

    return isinstance(loss, Loss) and loss.n_labels is not None


def _checked(split: Split) -> Split:
    """A split, if its validation has classes to be told apart."""
    held = len(split.names["validation"])
    if held < 2:
        raise ValueError(f"{held} classes are for validation: expected two or more, to choose the best epoch and a "
                         "threshold; keep more classes for validation, or bring more")
    return split
