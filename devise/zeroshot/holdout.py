"""Choices without a look at the unseen classes: seen ones are held out and play their part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise.datasets import Split
from devise.metrics import mean_over_classes
from devise.zeroshot.nearest import onto

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from devise.arrays import Rows
    from devise.heads import LinearHead


class Choice(NamedTuple):
    """The best of some options, and the hit@1 on held-out classes that it was chosen for.

    >>> Choice({"penalty": 1.0}, accuracy=0.42).options
    {'penalty': 1.0}
    """

    options: dict
    accuracy: float


def class_folds(labels: ArrayLike, n_folds: int = 5, *, images: float = 0.2, seed: int = 0) -> list[Split]:
    """Splits in which every class is held out, as an unseen one, once.

    Args:
        labels: int (n,), the seen classes' images only; -1, no label, is in no part.
        n_folds: 2..number of classes.
        images: the share of each other class's images that is kept to validate on; at least
            one is learned from.
        seed: draws classes and images.
    Returns:
        Split, n_folds times: `unseen_rows` are all images of the classes held out, `test` other
        images of the classes in `train`.

    >>> sorted(fold.unseen_rows.tolist() for fold in class_folds([0, 0, 1, 1], 2, images=0.5))
    [[0, 1], [2, 3]]
    """
    labels, random = np.asarray(labels), np.random.default_rng(seed)
    classes = random.permutation(np.unique(labels[labels >= 0]))
    if not 2 <= n_folds <= len(classes):
        raise ValueError(f"n_folds is {n_folds}: expected 2 to {len(classes)}, the number of classes")
    if not 0 <= images < 1:
        raise ValueError(f"images is {images}: expected a share, at least 0 and below 1")
    rows = {label: random.permutation(np.flatnonzero(labels == label)) for label in classes}
    kept = {label: int(images * len(rows[label])) for label in classes}
    return [Split(_joined(rows[label][kept[label]:] for label in classes if label not in held),
                  test=_joined(rows[label][:kept[label]] for label in classes if label not in held),
                  unseen_rows=_joined(rows[label] for label in held))
            for held in (part.tolist() for part in np.array_split(classes, n_folds))]


def choose_options(method: Callable[..., LinearHead], grid: Mapping[str, Sequence], features: Rows,
                   labels: ArrayLike, label_vectors: ArrayLike, *, n_folds: int = 5,
                   folds: Sequence[Split] | None = None, seed: int = 0) -> Choice:
    """The options of a head that name images of held-out classes best, among these.

    Args:
        method: callable(**options) → a head with `fit`, such as the class itself.
        grid: {option: values to try}; all combinations are.
        features, labels, label_vectors: as `fit` takes them, of seen classes only.
        n_folds: as `class_folds`; the hit@1, a mean over classes, is averaged over the folds.
        folds: Splits whose `unseen_rows` choose, in place of these.
    Returns:
        Choice; of equal ones the first.

    >>> from devise.heads import RidgeHead
    >>> vectors, labels = np.array([[1, 0], [1, 1], [0, 1], [-1, 1]]), np.arange(12) % 4
    >>> choose_options(RidgeHead, {"penalty": [0.1, 1.0]}, vectors[labels], labels, vectors, n_folds=2)
    Choice(options={'penalty': 0.1}, accuracy=0.75)
    """
    features, labels, label_vectors = np.asarray(features), np.asarray(labels), np.asarray(label_vectors)
    folds = class_folds(labels, n_folds, images=0, seed=seed) if folds is None else folds
    choices = []
    for values in product(*grid.values()):
        options = dict(zip(grid, values, strict=True))
        hits = [_hit_at_1(method(**options), fold, features, labels, label_vectors, seed) for fold in folds]
        choices.append(Choice(options, float(np.mean(hits))))
    return max(choices, key=lambda choice: choice.accuracy)


def _hit_at_1(head, fold, features, labels, label_vectors, seed):
    classes, answers = np.unique(labels[fold.unseen_rows], return_inverse=True)
    head.fit(features[fold.train], labels[fold.train], label_vectors, seed=seed)
    first = onto(head, label_vectors[classes]).tag(features[fold.unseen_rows], k=1).ids[:, 0]
    return mean_over_classes(first == answers, answers).value


def _joined(parts):
    return np.concatenate(list(parts))
