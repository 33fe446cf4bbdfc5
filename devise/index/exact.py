"""Every row compared with every query: slow and right, the reference of the other engines."""

from __future__ import annotations

import numpy as np

from devise.arrays import read_npy, write_npy
from devise.index.base import Index
from devise.index.comparing import Table


class Exact(Index):
    """The index that compares every row. Its recall is 1 by definition, its search takes O(n).

    >>> index = Exact().build([[1, 0], [0, 1], [1, 1]], ids=[10, 20, 30])
    >>> index.search([[2, 0]], k=2, exclude=np.array([10])).ids
    array([[30, 20]])
    """

    engine = "exact"

    def recall(self, *, sample: int = 1000, k: int = 10, seed: int = 0) -> float:
        """1.0: this is what the others are measured against."""
        self._require_built("measure its recall")
        return 1.0

    def _build(self, rows, ids):
        self._table = Table(ids, rows)

    def _add(self, rows, ids):
        self._table = self._table.with_rows(ids, rows)

    def _remove(self, ids):
        self._table = self._table.without(ids)

    def _vectors(self, ids):
        return self._table.vectors(ids)

    def _search(self, queries, k):
        return self._table.search(queries, k)

    def _save(self, commit):
        write_npy(commit.file("rows.npy"), self._table.rows)

    def _load(self, paths):
        self._build(read_npy(paths["rows.npy"], np.float32, (len(self), self.dim), mapped=True), self._ids)
