"""Every row compared with every query: slow and right, what the engines fall back on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import BLOCK_BYTES, NEAR, cosines, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.index.base import Index

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

SOME_NUMBERS = 30_000_000  # of selected rows are compared in a moment: 120 MB
DEEP = 10_000  # where so many first answers do not hold k that are wanted, rows are compared
SPARE = 8  # columns taken beyond the k-th, to see whether a near tie goes on past it


def held(ids: NDArray[np.int64], members: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which ids are members, bool of their shape; quick where there are many members, which are ascending."""
    if not len(members):
        return np.zeros(ids.shape, bool)
    return members[np.minimum(np.searchsorted(members, ids), len(members) - 1)] == ids


def slices(n: int, numbers: int) -> Iterator[slice]:
    """Slices of n rows of so many float32 numbers, each a block of bounded memory."""
    step = max(1, BLOCK_BYTES // (4 * numbers))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def compare(ids: NDArray[np.int64], rows: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> Found:
    """Ids and cosines (q, at least k) of the nearest rows, the k best of them among those given; all where k are not.

    Args:
        ids: int64 (n,), ascending; -1 for a row that was removed.
        rows: float32 (n, dim), of length 1, may be memory-mapped.
    """
    removed = np.flatnonzero(ids < 0)
    width = min(k + SPARE, len(ids) - len(removed))
    if not width:
        return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    columns, scores = nearest(queries, rows, width, without=removed if len(removed) else None)
    if k < width:
        for query in np.flatnonzero(scores[:, k - 1] - scores[:, -1] < NEAR):
            # the tie goes on past the spare columns: its first rows by float64, then by id
            tied = np.flatnonzero((rows @ queries[query] >= scores[query, k - 1] - 2 * NEAR) & (ids >= 0))
            exact = cosines(rows[tied], queries[query])
            best = np.lexsort((tied, -exact))[:width]
            columns[query], scores[query] = tied[best], exact[best]
    return ids[columns], scores


def compare_all(index: Index, queries: NDArray[np.float32], k: int, among: NDArray[np.int64] | None = None) -> Found:
    """Ids and cosines as of `Index._search`, by comparing every row of `Index.blocks`."""
    parts = [compare(ids, rows, queries, k) for ids, rows in index.blocks(among)]
    return np.hstack([ids for ids, _ in parts]), np.hstack([scores for _, scores in parts])


def compare_some(index: Index, queries: NDArray[np.float32], k: int, among: NDArray[np.int64]) -> Found:
    """Ids and cosines as of `Index._search`, of some members: exact where that is fast, else as good as the engine.

    Of few their rows are compared. Of many the engine is asked ever deeper, until k of them show.
    """
    depth = 2 * k
    while len(among) * (index.dim or 1) > SOME_NUMBERS and depth < min(DEEP, len(index)):
        ids, scores = index._search(queries, depth)
        shown = held(ids, among)
        if (shown.sum(axis=1) >= k).all():
            return np.where(shown, ids, -1), np.where(shown, scores, -np.inf)
        depth *= 4
    return compare_all(index, queries, k, among)


def widened(part: NDArray, columns: int, empty: float) -> NDArray:
    """Ids or scores (q, m) with this many columns, the new ones empty."""
    return np.pad(part, ((0, 0), (0, columns - part.shape[1])), constant_values=empty)
