"""The cosines of queries and a gallery, block by block: the whole matrix is never held."""

from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from devise.arrays import BLOCK_BYTES, as_rows, unit_rows


class Block(NamedTuple):
    """Some queries and their cosines.

    Attributes:
        start: how many queries stand before this block.
        queries: int64 (b,), row ids.
        scores: float32 (b, g), a column a member of the gallery; -inf where that is the query itself.
    """

    start: int
    queries: np.ndarray
    scores: np.ndarray


def row_ids(rows, n, name):
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


def labels_of_rows(labels, n):
    """Labels as int64 (n,), -1 for none; refused where they are not one a row."""
    labels = np.asarray(labels)
    if labels.shape != (n,) or (n and labels.dtype.kind not in "iu"):
        raise ValueError(f"labels are {labels.dtype} {labels.shape}: expected integers ({n},), one for each embedding")
    if n and labels.min() < -1:
        raise ValueError(f"labels go down to {labels.min()}: expected -1 for no label, and 0 or more")
    return labels.astype(np.int64)


def score_blocks(embeddings, queries, gallery, *, block_bytes=BLOCK_BYTES, progress=None):
    """The cosines of queries with a gallery, in blocks of whole rows.

    Memory: the gallery once more as unit rows, and one block. Members with equal unit rows get the
    same score to the last bit, so that a tie between two copies of a picture is one.

    Args:
        embeddings: (n, d), any length but zero.
        queries, gallery: int64 row ids, see `row_ids`.
        progress: called with the number of queries done and their total.
    Yields:
        Block
    Raises:
        ValueError: if a row is zero, NaN or infinite.
    """
    rows = as_rows(embeddings, "embeddings")
    whole = len(gallery) == len(rows) and np.array_equal(gallery, np.arange(len(rows)))
    members = unit_rows(rows if whole else rows[gallery], "embeddings of the gallery")
    copies, originals = _copies(members)
    column = np.full(len(rows), -1, np.int64)
    column[gallery] = np.arange(len(gallery))
    step = max(1, block_bytes // (4 * max(1, len(members))))
    for start in range(0, len(queries), step):
        asked = queries[start:start + step]
        scores = unit_rows(rows[asked], "embeddings of the queries") @ members.T
        scores[:, copies] = scores[:, originals]
        own = np.flatnonzero(column[asked] >= 0)
        scores[own, column[asked[own]]] = -np.inf
        yield Block(start, asked, scores)
        if progress:
            progress(min(start + step, len(queries)), len(queries))


def _copies(members):
    """Places of rows that equal an earlier row, and the places of the first such rows."""
    first, copies, originals = {}, [], []
    for place, row in enumerate(members):
        digest = blake2b((row + 0.0).tobytes(), digest_size=16).digest()  # + 0.0: −0 is 0
        original = first.setdefault(digest, place)
        if original != place:
            copies.append(place)
            originals.append(original)
    return np.array(copies, np.int64), np.array(originals, np.int64)
