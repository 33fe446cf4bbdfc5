"""Several indexes searched as one, each of an engine of its own.

For what lies between one index and a cluster: parts are small enough to be built, and built anew, one at a
time. A search asks every part for its k best and keeps the k best of all, so that it finds whatever the
parts find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.arrays import read_npy, write_npy
from devise.index.base import Index
from devise.index.comparing import DEEP, held
from devise.index.members import listed
from devise.index.registry import choose, make
from devise.storage import Commit, Part, inside, read_json, write_json

FILE = "parts.json"


class Sharded(Index):
    """Parts of consecutive ids.

    Args:
        parts: how many, where there are so many rows.
        of: the engine of the parts; "auto" for what `choose` says of a part's size.
        options: of that engine.
    Raises:
        MissingDependency: if the engine's package is not installed.

    >>> index = Sharded(parts=2).build(np.eye(4), ids=[10, 20, 30, 40])
    >>> index.search([[0, 0, 3, 1]], k=2).ids
    array([[30, 40]])
    """

    engine = "sharded"
    keeps_ids = True

    def __init__(self, *, parts: int = 4, of: str = "auto", options: dict | None = None,
                 fingerprint: str | None = None) -> None:
        super().__init__(fingerprint=fingerprint)
        if not isinstance(parts, int) or parts < 1:
            raise ValueError(f"parts is {parts!r}: expected a whole number from 1")
        if of == self.engine:
            raise ValueError("a part can't be sharded itself: name another engine")
        if of != "auto":
            make(of, **(options or {}))  # what can fail does so here
        self.parts, self.of, self.options = parts, of, dict(options or {})

    @classmethod
    def join(cls, indexes: Sequence[Index], *, firsts: Sequence[int] | NDArray[np.int64] | None = None,
             hidden: ArrayLike = (), fingerprint: str | None = None) -> Sharded:
        """Indexes that are there already, as one. They are not copied, and nothing done to the whole changes them.

        Args:
            indexes: built ones, of one dim; the engines may differ.
            firsts: int64 (n indexes,), what is added to the ids of each; None lets them follow the largest id
                of the one before.
            hidden: int64 (m,), ids of the whole that are left out of it.
        Raises:
            ValueError: for no indexes, dims that differ, or ids that would overlap.
            KeyError: if a hidden id is not there.

        >>> left, right = (make("exact").build(rows) for rows in ([[3, 4], [1, 0]], [[0, 1]]))
        >>> Sharded.join([left, right]).search([[0, 5]], k=1).ids
        array([[2]])
        """
        dims = [index.dim for index in indexes]
        if not dims or None in dims or len(set(dims)) > 1:
            raise ValueError(f"the indexes have the dims {dims}: expected built ones of one dim")
        whole = cls(parts=len(indexes), of="auto", fingerprint=fingerprint)
        if firsts is None:
            firsts = np.cumsum([0, *(int(index.ids.max(initial=-1)) + 1 for index in indexes[:-1])])
        ids = np.concatenate([index.ids + first for index, first in zip(indexes, firsts, strict=True)])
        if (np.diff(ids) <= 0).any():
            raise ValueError(f"the ids overlap when {listed(firsts)} are added to them: leave more room")
        whole._parts = [_Part(index, int(first), borrowed=True) for index, first in zip(indexes, firsts, strict=True)]
        whole.dim, whole._ids = dims[0], ids
        whole.remove(np.asarray(hidden, np.int64))
        return whole

    def _build(self, rows, ids):
        cuts = np.linspace(0, len(ids), min(self.parts, len(ids)) + 1).astype(int)
        engine = self._engine(int(cuts[1]), rows.shape[1])
        self._parts = [_Part(make(engine, **self.options).build(rows[start:end], ids[start:end]))
                       for start, end in zip(cuts[:-1], cuts[1:], strict=True)]

    def _engine(self, n, dim):
        return choose(n, dim, options=tuple(self.options))[0] if self.of == "auto" else self.of

    def _add(self, rows, ids):
        """To the smallest part that is its own and can have these ids, or a new one."""
        can = [part for part in self._parts if not part.borrowed and part.first <= ids[0]]
        if can:
            smallest = min(can, key=len)
            smallest.index.add(rows, ids - smallest.first)
        else:
            self._parts = [*self._parts, _Part(make(self._engine(*rows.shape), **self.options).build(rows, ids))]

    def _remove(self, ids):
        for part, chosen, _ in self._holding(ids):
            part.remove(chosen)

    def _vectors(self, ids):
        rows = np.empty((len(ids), self.dim), np.float32)
        for part, chosen, places in self._holding(ids):
            rows[places] = part.index.vectors(chosen)
        return rows

    def _holding(self, ids):
        """(part, which of the ids it holds under its own numbers, their places among the ids)."""
        for part in self._parts:
            places = np.flatnonzero(part.shows(ids - part.first))
            if places.size:
                yield part, ids[places] - part.first, places

    def _search(self, queries, k):
        found = [part.search(queries, min(k, len(part))) for part in self._parts if len(part)]
        return np.hstack([ids for ids, _ in found]), np.hstack([scores for _, scores in found])

    def _load(self, paths):
        self._parts, known = [], self._manifest.get("digests", {})
        for number, stated in enumerate(read_json(paths[FILE])):
            own = inside(paths, str(number))
            index = make(stated["engine"], **stated["parameters"])
            index.restore({**stated, "dim": self.dim, "digests": inside(known, str(number))}, own)
            self._parts.append(_Part(index, stated["first"], read_npy(own["hidden.npy"], np.int64, (None,))))
        self._ids = np.sort(np.concatenate([part.ids for part in self._parts]))

    def _save(self, commit):
        parts, stated = [part.inside() for part in self._parts], []
        for number, part in enumerate(parts):
            within = commit.part(str(number))
            stated.append(part.index.stored(within, "") | {"first": part.first})
            write_npy(within.file("hidden.npy"), part.hidden)
        write_json(commit.file(FILE), stated)

    def settled(self, commit: Commit | Part) -> None:
        for number, part in enumerate(self._parts):
            if not part.borrowed:
                part.index.settled(commit.part(str(number)))


@dataclass(eq=False)
class _Part:
    """An index in a whole, and what of it the whole does not show.

    Attributes:
        first: what is added to its ids.
        hidden: int64 (m,), ascending, of its own ids.
        borrowed: whether it is somebody else's: what the whole loses is hidden then, and it stays as it is.
    """

    index: Index
    first: int = 0
    hidden: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    borrowed: bool = False

    def __len__(self) -> int:
        return len(self.index) - len(self.hidden)

    @property
    def ids(self):
        """The ids of the whole that it shows, ascending."""
        return self.index._ids[~held(self.index._ids, self.hidden)] + self.first

    def shows(self, ids):
        """Which of these of its own ids it holds and does not hide, bool of their shape."""
        return held(ids, self.index._ids) & ~held(ids, self.hidden)

    def remove(self, ids):
        """Take members out of the whole."""
        if self.borrowed:
            self.hidden = np.union1d(self.hidden, ids)
        else:
            self.index.remove(ids)

    def inside(self) -> _Part:
        """The part, or a copy of what it shows where it lies in a database, whose rows are another folder's."""
        if not self.index.outside:
            return self
        ids = self.ids - self.first
        rows = self.index.vectors(ids)
        return _Part(make(choose(*rows.shape)[0]).build(rows, ids), self.first)

    def search(self, queries, k):
        """Ids of the whole and cosines (q, at least k), with the k best that are not hidden in them."""
        depth = k + min(k, len(self.hidden))
        ids, scores = self.index.search(queries, min(depth, len(self.index)))
        while ((shown := (ids >= 0) & ~held(ids, self.hidden)).sum(axis=1) < k).any():
            depth *= 4
            if depth > DEEP:
                ids, scores = self.index.search(queries, k, among=self.ids - self.first)
            else:
                ids, scores = self.index.search(queries, min(depth, len(self.index)))
        return np.where(shown, ids + self.first, -1), np.where(shown, scores, -np.inf)
