"""The cosines of queries and a gallery, block by block: the whole matrix is never held.

One rule decides near ties everywhere: cosines closer than `devise.arrays.NEAR` are computed again by
`devise.arrays.cosines`, in float64, and of equal ones the smaller id comes first, as in `Index.search`. So
no figure hangs on the order in which a matrix product adds up, which changes with the size of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.arrays import BLOCK_BYTES, Rows, as_rows, cosines, unit_rows


class Block(NamedTuple):
    """Some queries and their cosines.

    Attributes:
        start: how many queries stand before this block.
        queries: int64 (b,), row ids.
        scores: float32 (b, g), a column a member of the gallery; -inf where that is the query itself.
        rows: float32 (b, d), the unit rows of the queries.
        members: float32 (g, d), those of the gallery.
    """

    start: int
    queries: NDArray[np.int64]
    scores: NDArray[np.float32]
    rows: NDArray[np.float32]
    members: NDArray[np.float32]


def row_ids(rows: ArrayLike | None, n: int, name: str) -> NDArray[np.int64]:
    """Row ids as int64 (m,), those of all n rows for None.

    Raises:
        ValueError: if an id is no row, or stands there twice.
    """
    if rows is None:
        return np.arange(n)
    rows = np.asarray(rows)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise ValueError(f"{name} are {rows.dtype} {rows.shape}: expected row ids, whole numbers (m,)")
    if rows.size and not 0 <= rows.min() <= rows.max() < n:
        raise ValueError(f"{name} run from {rows.min()} to {rows.max()}: expected ids of the {n} rows")
    if len(np.unique(rows)) < rows.size:
        raise ValueError(f"{name} hold {rows.size - len(np.unique(rows))} ids twice: expected each once")
    return rows.astype(np.int64)


def asked_rows(labels: ArrayLike, n: int, queries: ArrayLike | None, gallery: ArrayLike | None
               ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(labels of all n rows, ids of those that ask, ascending ids of those that are ranked, one or more)."""
    found = labels_of_rows(labels, n), row_ids(queries, n, "queries"), np.sort(row_ids(gallery, n, "gallery"))
    if not len(found[2]):
        raise ValueError("the gallery is empty: expected rows to find")
    return found


def labels_of_rows(labels: ArrayLike, n: int) -> NDArray[np.int64]:
    """Labels as int64 (n,), -1 for none; refused where they are not one a row."""
    labels = np.asarray(labels)
    if labels.shape != (n,) or (n and labels.dtype.kind not in "iu"):
        raise ValueError(f"labels are {labels.dtype} {labels.shape}: expected integers ({n},), one for each embedding")
    if n and labels.min() < -1:
        raise ValueError(f"labels go down to {labels.min()}: expected -1 for no label, and 0 or more")
    return labels.astype(np.int64)


def depths(ks: Iterable[int], n: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The depths that n members or candidates have, rising, and those that they have not.

    >>> depths((10, 1, 1000), 60)
    ((1, 10), (1000,))
    """
    ks = sorted(set(ks))
    if not ks or ks[0] < 1:
        raise ValueError(f"ks are {ks}: expected depths of 1 and more")
    return tuple(k for k in ks if k <= n), tuple(k for k in ks if k > n)


def score_blocks(embeddings: Rows, queries: NDArray[np.int64], gallery: NDArray[np.int64], *,
                 block_bytes: int = BLOCK_BYTES, progress: Callable[[int, int], None] | None = None) -> Iterator[Block]:
    """The cosines of queries with a gallery, row ids both, in blocks of whole rows; see `retrieve`.

    Memory: the gallery once more as unit rows, and one block.
    """
    rows = as_rows(embeddings, "embeddings")
    whole = len(gallery) == len(rows) and np.array_equal(gallery, np.arange(len(rows)))
    members = unit_rows(rows if whole else rows[gallery], "embeddings of the gallery")
    column = np.full(len(rows), -1, np.int64)
    column[gallery] = np.arange(len(gallery))
    step = max(1, block_bytes // (4 * max(1, len(members))))
    for start in range(0, max(1, len(queries)), step):  # of no queries one block without any
        asked = queries[start:start + step]
        units = unit_rows(rows[asked], "embeddings of the queries")
        scores = units @ members.T
        own = np.flatnonzero(column[asked] >= 0)
        scores[own, column[asked[own]]] = -np.inf
        yield Block(start, asked, scores, units, members)
        if progress:
            progress(min(start + step, len(queries)), len(queries))


def pair_cosines(left: NDArray[np.float32], right: NDArray[np.float32], rows: NDArray[np.integer],
                 columns: NDArray[np.integer]) -> NDArray[np.float32]:
    """The cosine of each chosen pair of a left and a right unit row, by `devise.arrays.cosines`, in bounded memory."""
    step = max(1, BLOCK_BYTES // (24 * left.shape[1]))  # both rows in float32, their products in float64
    parts = [cosines(left[rows[start:start + step]], right[columns[start:start + step]])
             for start in range(0, len(rows), step)]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
