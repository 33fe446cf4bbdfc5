"""Rows compared with queries: the exact answer, and what engines that guess ask of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import NEAR, cosines, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.index.base import Index

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

FEW_ROWS = 1000
SOME_NUMBERS = 30_000_000  # of selected rows are compared in a moment: 120 MB
DEEP = 10_000  # where so many first answers do not hold k that are wanted, rows are compared
SPARE = 8  # columns taken beyond the k-th, to see whether a near tie goes on past it


@dataclass(frozen=True, eq=False)
class Table:
    """Unit rows by ascending id; a change gives another table.

    Attributes:
        ids: int64 (n,), ascending.
        rows: float32 (n, dim), may be memory-mapped.
    """

    ids: NDArray[np.int64]
    rows: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def with_rows(self, ids: NDArray[np.int64], rows: NDArray[np.float32]) -> Table:
        """This table and these rows, under ids that it lacks."""
        places = np.searchsorted(self.ids, ids)
        return Table(np.insert(self.ids, places, ids), np.insert(self.rows, places, rows, axis=0))

    def without(self, ids: NDArray[np.int64]) -> Table:
        """This table less these of its ids."""
        keep = ~np.isin(self.ids, ids)
        return Table(self.ids[keep], self.rows[keep])

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows under these ids, in this order."""
        return np.array(self.rows[np.searchsorted(self.ids, ids)])

    def search(self, queries: NDArray[np.float32], k: int) -> Found:
        """Ids and cosines (q, at least k) of the nearest, the k best of them among those given."""
        width = min(k + SPARE, len(self))
        if not width:
            return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        columns, scores = nearest(queries, self.rows, width)
        if k < width:
            for query in np.flatnonzero(scores[:, k - 1] - scores[:, -1] < NEAR):
                lowest = scores[query, k - 1] - 2 * NEAR
                columns[query], scores[query] = self._first_of_tie(queries[query], lowest, width)
        return self.ids[columns], scores

    def _first_of_tie(self, query, lowest, width):
        """The first `width` columns where a tie goes on past the spare ones: by float64, then by id."""
        tied = np.flatnonzero(self.rows @ query >= lowest)
        scores = cosines(self.rows[tied], query)
        best = np.lexsort((tied, -scores))[:width]
        return tied[best], scores[best]


def compare_all(index: Index, queries: NDArray[np.float32], k: int) -> Found:
    """Ids and cosines as of `Index._search`, by comparing every row of an index of another engine, block by block."""
    return _compared(index.blocks(), queries, k)


def _compared(blocks, queries, k):
    parts = [Table(ids, rows).search(queries, min(k, len(ids))) for ids, rows in blocks]
    return np.hstack([ids for ids, _ in parts]), np.hstack([scores for _, scores in parts])


def approximately(index: Index, queries: NDArray[np.float32], k: int,
                  search: Callable[[NDArray[np.float32], int], Found | None]) -> Found:
    """Ids and cosines as of `Index._search`, for an engine that changes in place.

    Every row is compared where that is the better way, where the engine finds too few, and for
    queries whose k-th score is shared by more rows than are looked at: of equals the smallest ids
    are wanted, and a graph can't tell whether it has met them all.

    Args:
        search: from (queries, k) to ids int64 and cosines (q, k), or None where k are not found.
    """
    width = k + SPARE
    if len(index) <= FEW_ROWS or 4 * width > len(index) or not len(queries):
        return compare_all(index, queries, k)
    found = search(queries, width)
    if found is None:
        return compare_all(index, queries, k)
    ids, scores = found[0], np.array(found[1], np.float32)
    tied = np.flatnonzero(scores[:, k - 1] - scores[:, -1] < NEAR)
    if tied.size:
        exact_ids, exact_scores = compare_all(index, queries[tied], k)
        columns = max(width, exact_ids.shape[1])
        ids, scores = widened(ids, columns, -1), widened(scores, columns, -np.inf)
        ids[tied], scores[tied] = widened(exact_ids, columns, -1), widened(exact_scores, columns, -np.inf)
    return ids, scores


def compare_some(index: Index, queries: NDArray[np.float32], k: int, among: NDArray[np.int64]) -> Found:
    """Ids and cosines as of `Index._search`, of some members: exact where that is fast, else as good as the engine.

    Of few their rows are compared. Of many the engine is asked ever deeper, until k of them show.

    Args:
        among: int64 (m,), ascending.
    """
    depth = 2 * k
    while len(among) * (index.dim or 1) > SOME_NUMBERS and depth < min(DEEP, len(index)):
        ids, scores = index._search(queries, depth)
        shown = among[np.minimum(np.searchsorted(among, ids), len(among) - 1)] == ids
        if (shown.sum(axis=1) >= k).all():
            return np.where(shown, ids, -1), np.where(shown, scores, -np.inf)
        depth *= 4
    return _compared(index.blocks(among), queries, k)


def widened(part: NDArray, columns: int, empty: float) -> NDArray:
    """Ids or scores (q, m) with this many columns, the new ones empty."""
    return np.pad(part, ((0, 0), (0, columns - part.shape[1])), constant_values=empty)
