"""Several indexes searched as one, each of an engine of its own.

For what lies between one index and a cluster: parts are small enough to be built, and built anew, one at a
time. A search asks every part for its k best and keeps the k best of all, so that it finds whatever the
parts find.
"""

import numpy as np

from devise.index.base import Index
from devise.index.members import listed
from devise.index.registry import choose, make
from devise.storage import read_json, write_json

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

    def __init__(self, *, parts=4, of="auto", options=None, fingerprint=None):
        super().__init__(fingerprint=fingerprint)
        if not isinstance(parts, int) or parts < 1:
            raise ValueError(f"parts is {parts!r}: expected a whole number from 1")
        if of == self.engine:
            raise ValueError("a part can't be sharded itself: name another engine")
        if of != "auto":
            make(of, **(options or {}))  # what can fail does so here
        self.parts, self.of, self.options = parts, of, dict(options or {})

    @classmethod
    def join(cls, indexes, *, firsts=None, fingerprint=None):
        """Indexes that are there already, as one. They are not copied: what changes in the whole changes in them.

        Args:
            indexes: built ones, of one dim; the engines may differ.
            firsts: int64 (n indexes,), what is added to the ids of each; None lets them follow the largest id
                of the one before.
        Raises:
            ValueError: for no indexes, dims that differ, or ids that would overlap.

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
        whole._take(list(indexes), np.asarray(firsts, np.int64))
        whole.dim, whole._ids = dims[0], ids
        return whole

    @property
    def parameters(self):
        return {"parts": self.parts, "of": self.of, "options": self.options}

    def _take(self, parts, firsts):
        self._parts = parts      # the indexes
        self._firsts = firsts    # what is added to the ids of each

    def _build(self, rows, ids):
        cuts = np.linspace(0, len(ids), min(self.parts, len(ids)) + 1).astype(int)
        spans = list(zip(cuts[:-1], cuts[1:], strict=True))
        engine = self.of
        if engine == "auto":
            engine, _ = choose(int(cuts[1]), rows.shape[1], options=tuple(self.options))
        self._take([make(engine, **self.options).build(rows[start:end], ids[start:end]) for start, end in spans],
                   np.zeros(len(spans), np.int64))

    def _add(self, rows, ids):
        """To the smallest of the parts that can have these ids."""
        open_parts = [part for part, first in zip(self._parts, self._firsts, strict=True) if first <= ids[0]]
        smallest = min(open_parts, key=len)
        first = self._firsts[self._parts.index(smallest)]
        smallest.add(rows, ids - first)

    def _remove(self, ids):
        for part, chosen, _ in self._holding(ids):
            part.remove(chosen)

    def _vectors(self, ids):
        rows = np.empty((len(ids), self.dim), np.float32)
        for part, chosen, places in self._holding(ids):
            rows[places] = part.vectors(chosen)
        return rows

    def _holding(self, ids):
        """(part, which of the ids it holds under its own numbers, their places among the ids)."""
        for part, first in zip(self._parts, self._firsts, strict=True):
            places = np.flatnonzero(np.isin(ids - first, part._ids))
            if places.size:
                yield part, ids[places] - first, places

    def _search(self, queries, k):
        ids, scores = [], []
        for part, first in zip(self._parts, self._firsts, strict=True):
            if len(part):
                hits = part.search(queries, min(k, len(part)))
                ids.append(np.where(hits.ids >= 0, hits.ids + first, -1))
                scores.append(hits.scores)
        return np.hstack(ids), np.hstack(scores)

    def _save(self, commit):
        stated = [{"engine": part.engine, "parameters": part.parameters, "n": len(part), "first": int(first)}
                  for part, first in zip(self._parts, self._firsts, strict=True)]
        write_json(commit.file(FILE), stated)
        for number, part in enumerate(self._parts):
            np.save(commit.file(f"{number}-ids.npy"), part._ids)
            part._save(_Numbered(commit, number))

    def _load(self, paths):
        parts, firsts = [], []
        for number, stated in enumerate(read_json(paths[FILE])):
            part, own = make(stated["engine"], **stated["parameters"]), f"{number}-"
            part.restore({"dim": self.dim, "n": stated["n"], "document": {}},
                         {name.removeprefix(own): path for name, path in paths.items() if name.startswith(own)})
            parts.append(part)
            firsts.append(stated["first"])
        self._take(parts, np.array(firsts, np.int64))
        if sum(map(len, parts)) != len(self):
            raise ValueError(f"the parts have {sum(map(len, parts))} rows, the manifest {len(self)}")


class _Numbered:
    """A commit in which a part's files have its number before their names."""

    def __init__(self, commit, number):
        self._commit, self._number = commit, number

    def file(self, name):
        return self._commit.file(f"{self._number}-{name}")
