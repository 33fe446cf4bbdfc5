"""How alike pictures are by their captions, without ever holding all pairs.

30,000 pictures have 900 million pairs, 3.6 GB. Kept are their rows; cosines are multiplied out for the
rows that are asked for, and the nearest neighbours of all rows are found block by block.
"""

from typing import NamedTuple

import numpy as np

from devise.arrays import top_k

BLOCK_BYTES = 32 * 2**20
ENTRY_BYTES = 24  # of a pair while its block is made: a sparse product, its dense copy, two of them sorted
CHUNK = 65_536  # pairs multiplied at a time


class Neighbours(NamedTuple):
    """The most alike pictures of each: ids int64 (n, m), best first, and their cosines float32 (n, m)."""

    ids: np.ndarray
    scores: np.ndarray


class Relevance:
    """Cosines between the rows of a matrix, of tf-idf or of sentence vectors.

    Args:
        rows: float (n, d), a scipy sparse matrix or an array, rows of length 1 or zero.
    Attributes:
        empty: rows that are zero, int64 (m,): their cosine with everything is 0, so leave them out.
    Raises:
        ValueError: if a row holds NaN or infinity, or has another length.

    >>> relevance = Relevance(np.array([[1, 0], [0.6, 0.8], [0, 1]]))
    >>> relevance.block([0]).round(1)
    array([[1. , 0.6, 0. ]], dtype=float32)
    >>> relevance.neighbours(1).ids.ravel()
    array([1, 2, 1])
    """

    def __init__(self, rows):
        if not hasattr(rows, "tocsr"):
            rows = np.ascontiguousarray(rows, np.float32)
        self._sparse = hasattr(rows, "tocsr")
        self._rows = rows.tocsr().astype(np.float32) if self._sparse else rows
        if self._rows.ndim != 2:
            raise ValueError(f"rows have shape {self._rows.shape}: expected (n, d), a row a picture")
        squares = self._products(self._rows, self._rows)
        self.empty = np.flatnonzero(squares == 0)
        wrong = np.flatnonzero(~(np.abs(squares - 1) < 1e-3) & (squares != 0))
        if wrong.size:
            raise ValueError(f"{wrong.size} rows don't have length 1, the first is row {wrong[0]} with "
                             f"{np.sqrt(squares[wrong[0]]):.3g}: divide rows by their length first")

    def __len__(self):
        return self._rows.shape[0]

    def block(self, rows, columns=None):
        """Cosines of some rows with some columns, or with all.

        Args:
            rows, columns: int (q,) and (m,).
        Returns:
            float32 (q, m).
        """
        left = self._rows[np.asarray(rows)]
        right = self._rows if columns is None else self._rows[np.asarray(columns)]
        product = left @ right.T
        return product.toarray() if self._sparse else product

    def pairs(self, rows, columns):
        """The cosine of each row with the column beside it: int (m,) and (m,) → float32 (m,)."""
        rows, columns = np.asarray(rows), np.asarray(columns)
        if rows.shape != columns.shape:
            raise ValueError(f"there are {len(rows)} rows and {len(columns)} columns: expected pairs")
        parts = [self._products(self._rows[rows[start:start + CHUNK]], self._rows[columns[start:start + CHUNK]])
                 for start in range(0, len(rows), CHUNK)]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def blocks(self, *, block_bytes=BLOCK_BYTES):
        """Yields (first row, cosines float32 (b, n)) over all rows, as many at a time as fit."""
        step = max(1, block_bytes // (ENTRY_BYTES * max(1, len(self))))
        for start in range(0, len(self), step):
            yield start, self.block(np.arange(start, min(start + step, len(self))))

    def neighbours(self, m, *, block_bytes=BLOCK_BYTES, progress=None):
        """The m most alike rows of each, itself left out; of equal ones those that come first.

        Args:
            m: 1..n - 1.
            progress: called as progress(done, total), in rows.
        Returns:
            Neighbours.
        Raises:
            ValueError: if m is out of range.
        """
        if not 1 <= m < len(self):
            raise ValueError(f"m is {m}: expected 1 to {len(self) - 1}, the other pictures")
        ids, scores = np.empty((len(self), m), np.int64), np.empty((len(self), m), np.float32)
        for start, block in self.blocks(block_bytes=block_bytes):
            own = np.arange(len(block))
            block[own, start + own] = -np.inf
            stop = start + len(block)
            ids[start:stop], scores[start:stop] = top_k(block, m)
            if progress:
                progress(stop, len(self))
        return Neighbours(ids, scores)

    def subset(self, rows):
        """The relevance among some rows only, in the order given."""
        return Relevance(self._rows[np.asarray(rows)])

    def _products(self, left, right):
        """Inner products of rows with the rows beside them, float32 (n,)."""
        if self._sparse:
            return np.asarray(left.multiply(right).sum(axis=1), np.float32).ravel()
        return np.einsum("ij,ij->i", left, right)
