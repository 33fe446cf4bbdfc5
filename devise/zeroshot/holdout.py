"""Choices without a look at the unseen classes: seen ones are held out and play their part."""

from itertools import product
from typing import NamedTuple

import numpy as np

from devise.datasets import Split
from devise.metrics import mean_over_classes


class Choice(NamedTuple):
    """The best of some options, and the hit@1 on held-out classes that it was chosen for.

    >>> Choice({"penalty": 1.0}, accuracy=0.42).options
    {'penalty': 1.0}
    """

    options: dict
    accuracy: float


def class_folds(labels, n_folds=5, *, pictures=0.2, seed=0):
    """Splits in which every class is held out, as an unseen one, once.

    Args:
        labels: int (n,), the seen classes' pictures only; -1, no label, is in no part.
        n_folds: 2..number of classes.
        pictures: the share of each other class's pictures that is kept to validate on; at least
            one is learned from.
        seed: draws classes and pictures.
    Returns:
        Split, n_folds times: `unseen_rows` are all pictures of the classes held out, `test` other
        pictures of the classes in `train`.

    >>> sorted(fold.unseen_rows.tolist() for fold in class_folds([0, 0, 1, 1], 2, pictures=0.5))
    [[0, 1], [2, 3]]
    """
    labels, random = np.asarray(labels), np.random.default_rng(seed)
    classes = random.permutation(np.unique(labels[labels >= 0]))
    if not 2 <= n_folds <= len(classes):
        raise ValueError(f"n_folds is {n_folds}: expected 2 to {len(classes)}, the number of classes")
    if not 0 <= pictures < 1:
        raise ValueError(f"pictures is {pictures}: expected a share, at least 0 and below 1")
    rows = {label: random.permutation(np.flatnonzero(labels == label)) for label in classes}
    kept = {label: int(pictures * len(rows[label])) for label in classes}
    return [Split(_joined(rows[label][kept[label]:] for label in classes if label not in held),
                  test=_joined(rows[label][:kept[label]] for label in classes if label not in held),
                  unseen_rows=_joined(rows[label] for label in held))
            for held in (part.tolist() for part in np.array_split(classes, n_folds))]


def choose_options(method, grid, x, labels, class_vectors, *, n_folds=5, seed=0):
    """The options of a projection that tag held-out classes best among themselves.

    Args:
        method: callable(**options) → a projection with `fit`, such as the class itself.
        grid: {option: values to try}; all combinations are.
        x, labels, class_vectors: as `fit` takes them, of seen classes only.
        n_folds: as `class_folds`; the hit@1, a mean over classes, is averaged over the folds.
    Returns:
        Choice; of equal ones the first.

    >>> from devise.zeroshot.closed_form import Ridge
    >>> vectors, labels = np.array([[1, 0], [1, 1], [0, 1], [-1, 1]]), np.arange(12) % 4
    >>> choose_options(Ridge, {"penalty": [0.1, 1.0]}, vectors[labels], labels, vectors, n_folds=2)
    Choice(options={'penalty': 0.1}, accuracy=0.75)
    """
    x, labels, class_vectors = np.asarray(x), np.asarray(labels), np.asarray(class_vectors)
    folds = class_folds(labels, n_folds, pictures=0, seed=seed)
    choices = []
    for values in product(*grid.values()):
        options = dict(zip(grid, values, strict=True))
        hits = [_hit_at_1(method(**options), fold, x, labels, class_vectors, seed) for fold in folds]
        choices.append(Choice(options, float(np.mean(hits))))
    return max(choices, key=lambda choice: choice.accuracy)


def _hit_at_1(projection, fold, x, labels, class_vectors, seed):
    classes, answers = np.unique(labels[fold.unseen_rows], return_inverse=True)
    projection.fit(x[fold.train], labels[fold.train], class_vectors, seed=seed)
    first = projection.onto(class_vectors[classes]).tag(x[fold.unseen_rows], k=1).ids[:, 0]
    return mean_over_classes(first == answers, answers).value


def _joined(parts):
    return np.concatenate(list(parts))
