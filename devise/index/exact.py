"""The index that compares every row: the reference of the other engines."""

from __future__ import annotations

from devise.index.segments import Local


class Exact(Local):
    """The index that compares every row. Its recall is 1 by definition, its search takes O(n).

    >>> index = Exact().build([[1, 0], [0, 1], [1, 1]], ids=[10, 20, 30])
    >>> index.search([[2, 0]], k=2, exclude=[10]).ids
    array([[30, 20]])
    """

    engine = "exact"

    def recall(self, *, sample: int = 1000, k: int = 10, seed: int = 0) -> float:
        """1.0: this is what the others are measured against."""
        self._require_built("measure its recall")
        return 1.0
