"""The aligned rows that a head is given: features in blocks, labels in range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from devise import arrays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from devise.arrays import Rows

BLOCK_ROWS = 2048  # rows that pass through a head at once; bounds memory whatever the number of rows


def blocks(features: Rows, *, name: str = "features",
           dim: int | None = None) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The rows of a matrix in blocks, checked: float32 and finite.

    Args:
        features: (n, d), may be memory-mapped, of any float type.
        dim: the number of columns expected, or None for any.
    Returns:
        an iterator over (first row, float32 (m, d)), m <= BLOCK_ROWS.
    Raises:
        ValueError: if it is not a matrix of `dim` columns, or a row holds NaN or infinity.

    >>> [(start, rows.shape) for start, rows in blocks(np.ones((3000, 2)))]
    [(0, (2048, 2)), (2048, (952, 2))]
    """
    if np.ndim(features) != 2:
        raise ValueError(f"{name} have shape {np.shape(features)}: expected (n, dim), one row an image")
    for start in range(0, len(features), BLOCK_ROWS):
        where = name if start == 0 else f"{name} from row {start} on"
        yield start, arrays.as_rows(features[start:start + BLOCK_ROWS], where, dim)


def check_labels(labels: ArrayLike, n: int, *, n_labels: int | None = None,
                 name: str = "labels") -> NDArray[np.int64]:
    """Labels as int64 (n,), one a feature row, each in 0..n_labels - 1.

    Raises:
        ValueError: if their number is not n, they are not whole numbers, or one is out of range.

    >>> check_labels([0, 2], 2, n_labels=3)
    array([0, 2])
    """
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise ValueError(f"{name} have shape {labels.shape} but there are {n} feature rows: expected ({n},)")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name} are {labels.dtype}: expected whole numbers, rows of the label vectors")
    bad = np.flatnonzero((labels < 0) | (labels >= (np.inf if n_labels is None else n_labels)))
    if bad.size:
        above = "from 0" if n_labels is None else f"in 0..{n_labels - 1}"
        raise ValueError(f"{name} hold {labels[bad[0]]} in row {bad[0]}, expected {above}: "
                         "leave out rows without a label (-1)")
    return labels.astype(np.int64)


def check_classes(labels: NDArray) -> None:
    """Refuse labels of fewer than two classes: there is nothing to tell apart."""
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"labels hold {len(classes)} class: expected two or more, else there is "
                         "nothing to tell apart")
