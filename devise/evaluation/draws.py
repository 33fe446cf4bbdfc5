"""Random draws of unseen classes: five classes by themselves say little, many draws of five say more."""

from typing import NamedTuple

import numpy as np


class Draw(NamedTuple):
    """One choice of unseen classes, and the rows of its parts, ascending; no row is in two of them.

    Attributes:
        unseen: int64 (m,), the classes kept out of the training, ascending.
        train: int64, rows to learn from, of the other classes.
        test: int64, other rows of the classes in `train`.
        unseen_rows: int64, rows of the unseen classes.
    """

    unseen: np.ndarray
    train: np.ndarray
    test: np.ndarray
    unseen_rows: np.ndarray


def draw_classes(labels, n, *, unseen=5, pictures=10, test=0.2, seed=0):
    """Draws of unseen classes, each independent of the others: draw i depends on `seed` and i alone.

    Every class is as likely as another, and so is every picture of it. A draw's unseen pictures are
    as many of each class, so that a mean over pictures is one over classes too.

    Args:
        labels: int (rows,), the class of each row; -1, no class, is in no part.
        n: how many draws.
        unseen: how many classes a draw keeps out.
        pictures: most pictures of each unseen class.
        test: the share of the rows of every seen class that is kept for testing; of 2 rows or more
            at least one is test and one train.
        seed: an integer, 0 or more.
    Returns:
        list of n Draws.
    Raises:
        ValueError: if fewer than two classes would be seen, or an option is out of range.

    >>> draw, = draw_classes([0, 0, 1, 1, 2, 2], 1, unseen=1, pictures=1, seed=2)
    >>> draw.unseen, draw.unseen_rows, draw.train, draw.test
    (array([2]), array([4]), array([0, 2]), array([1, 3]))
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype} {labels.shape}: expected integers (rows,)")
    for name, value in (("n", n), ("unseen", unseen), ("pictures", pictures)):
        if value < 1:
            raise ValueError(f"{name} is {value}: expected 1 or more")
    if not 0 <= test < 1:
        raise ValueError(f"test is {test}: expected a share from 0 to below 1")
    rows = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels[labels >= 0])}
    if unseen > len(rows) - 2:
        raise ValueError(f"unseen is {unseen} of {len(rows)} classes: expected at most {len(rows) - 2}, so that "
                         "two are seen")
    return [_draw(rows, unseen, pictures, test, np.random.default_rng([seed, number])) for number in range(n)]


def _draw(rows, unseen, pictures, test, random):
    apart = np.sort(random.choice(list(rows), unseen, replace=False))
    parts = {"train": [], "test": [], "unseen": []}
    for label, mine in rows.items():
        mine = random.permutation(mine)
        if label in apart:
            parts["unseen"].append(mine[:pictures])
            continue
        n_test = min(max(1, round(test * len(mine))), len(mine) - 1) if test else 0
        parts["test"].append(mine[:n_test])
        parts["train"].append(mine[n_test:])
    train, held, kept = (np.sort(np.concatenate(found)) for found in parts.values())
    return Draw(apart, train, held, kept)
