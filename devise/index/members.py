"""Checks of what an index is given: ids that are whole and unique, rows that have a direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise import storage
from devise.arrays import let_go, read_rows, scratch, unit_rows
from devise.index.comparing import slices

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Made(NamedTuple):
    """Rows that are made a block at a time, so that a table larger than memory can become an index.

    Attributes:
        shape: (n, dim).
        rows: from (start, stop) to those rows, float (stop - start, dim).

    >>> len(Made((3, 2), lambda start, stop: np.ones((stop - start, 2))))
    3
    """

    shape: tuple[int, int]
    rows: Callable[[int, int], NDArray]

    def __len__(self) -> int:
        return self.shape[0]


def member_rows(vectors: ArrayLike | Made, ids: ArrayLike, dim: int | None = None
                ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Ids (n,) in ascending order, and their unit rows float32 (n, dim), neither shared with the caller.

    Raises:
        ValueError: for other shapes, ids that repeat or are negative, and rows that are zero, NaN or infinite.
    """
    ids = as_ids(ids)
    if isinstance(vectors, Made):
        source = vectors
    else:  # an array, which may be memory-mapped and is read a block at a time
        array = vectors if isinstance(vectors, np.ndarray) else np.asarray(vectors, dtype=np.float32)
        source = Made(array.shape, partial(read_rows, array))
    if len(source.shape) != 2 or not source.shape[1] or (dim is not None and source.shape[1] != dim):
        raise ValueError(f"vectors have shape {source.shape}: expected (n, {dim or 'dim'}), one row a member")
    if source.shape[0] != len(ids):
        raise ValueError(f"there are {source.shape[0]} vectors and {len(ids)} ids: expected one id a vector")
    order = np.argsort(ids, kind="stable")
    rows, bad = scratch(storage.data_root(), source.shape), []
    places = np.argsort(order)
    for part in slices(len(ids), source.shape[1]):
        block = np.asarray(source.rows(part.start, part.stop), np.float32)
        good = np.isfinite(block).all(axis=1) & block.any(axis=1)
        if good.all():
            rows[places[part]] = unit_rows(block)
            let_go(rows)
        bad += ids[part][~good].tolist()
    if bad:
        raise ValueError(f"the vectors of ids {listed(bad)} are zero, NaN or infinite: they have no "
                         "direction, leave them out")
    ids = ids[order]
    refuse_repeats(ids)
    return ids, rows


def as_ids(ids: ArrayLike) -> NDArray[np.int64]:
    """`ids` as int64 (n,), a copy; anything but whole numbers from 0 is refused."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
        raise ValueError(f"ids have shape {ids.shape} and dtype {ids.dtype}: expected whole numbers (n,)")
    wrong = ids[(ids < 0) | (ids > np.iinfo(np.int64).max)]
    if wrong.size:
        raise ValueError(f"ids {listed(wrong)} are out of range: expected 0 to 2**63 - 1")
    return ids.astype(np.int64)


def refuse_repeats(ids: NDArray[np.int64]) -> None:
    """Raise ValueError if an id comes twice among these ascending ones."""
    repeated = np.unique(ids[1:][ids[1:] == ids[:-1]])
    if repeated.size:
        raise ValueError(f"ids {listed(repeated)} come more than once: expected each id once")


def exclusions(exclude: ArrayLike, n_queries: int) -> NDArray[np.int64]:
    """`exclude` as int64 (q,), -1 where a query leaves nobody out."""
    exclude = np.asarray(exclude)
    if exclude.shape != (n_queries,) or (exclude.size and not np.issubdtype(exclude.dtype, np.integer)):
        raise ValueError(f"exclude has shape {exclude.shape} and dtype {exclude.dtype}: expected one id a "
                         f"query, int64 ({n_queries},), -1 for none")
    if (exclude < -1).any():
        raise ValueError(f"exclude holds {exclude.min()}: expected ids, or -1 for none")
    return exclude.astype(np.int64)


def listed(ids: Sequence[int] | NDArray[np.int64], most: int = 10) -> str:
    """Ids for a message, not more than `most` of them."""
    shown = ", ".join(str(member) for member in ids[:most])
    return shown if len(ids) <= most else f"{shown}, … ({len(ids)} in all)"
