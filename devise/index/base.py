"""The contract of all index engines: unit rows in, ids and cosines out.

An engine stores rows and proposes neighbours. All that a caller can rely on (what is refused,
how ties go, padding, exclusion, the folder on disk) is here, once.
"""

from __future__ import annotations

import inspect
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from devise.arrays import NEAR, cosines, read_npy, unit_rows, write_npy
from devise.index.comparing import compare_all, compare_some, held, slices, widened
from devise.index.members import Made, as_ids, exclusions, listed, member_rows, refuse_repeats
from devise.storage import Commit, Part, publish

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from devise.arrays import Rows


class Hits(NamedTuple):
    """The members found for each query, best first; short rows are padded with -1 and -inf.

    Attributes:
        ids: int64 (q, k).
        scores: float32 (q, k), cosines in [-1, 1].

    >>> from devise.index import make
    >>> make("exact").build([[3, 4], [1, 0]]).search([[1, 0]], k=3).ids
    array([[ 1,  0, -1]])
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]


class Index(ABC):
    """Vectors under ids, searched by cosine.

    Ids are unique, non-negative int64. Of equal scores the smaller id comes first. Any number of threads may
    search while none changes it.

    Args:
        fingerprint: of the model that made the vectors; saved, and checked by `load`.

    >>> from devise.index import make
    >>> index = make("exact").build([[3, 4], [1, 0]], ids=[10, 20])
    >>> index.add([[0, 1]], [30])
    >>> index.search([[0, 2]], k=2).ids
    array([[30, 10]])
    """

    engine = ""
    can_map = True  # a saved index stays on the disk; processes that open it share one copy in memory
    keeps_ids = False  # whether the engine's own files tell the ids

    def __init__(self, *, fingerprint: str | None = None) -> None:
        self.fingerprint = fingerprint
        self.dim: int | None = None
        self.document: dict[str, Any] = {}
        self._ids = np.empty(0, np.int64)  # of the members, ascending
        self._manifest: Mapping[str, Any] = {}  # from which it was restored

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids of the members, int64 (n,), ascending."""
        return self._ids.copy()

    @property
    def looks(self) -> str | None:
        """How deep the index looks, what that finds and costs, as measured when it was built; None where it was not."""
        return None

    @property
    def parameters(self) -> dict:
        """The engine's options, as `make` takes them: what is kept under an option's name."""
        kept = {name: value for name, value in vars(self).items() if name != "fingerprint"}
        return {name: kept[name] for name in inspect.signature(type(self)).parameters if name in kept}

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, member: int) -> bool:
        return bool(held(np.asarray(member), self._ids))

    def build(self, vectors: Rows | Made, ids: ArrayLike | None = None) -> Self:
        """Store these vectors in place of all that was there.

        Args:
            vectors: (n, dim), any lengths but zero; a memory-mapped array is read, and `Made` rows are made, a block
                at a time.
            ids: int64 (n,), 0..n-1 where none are given.
        Returns:
            The index itself.
        Raises:
            ValueError: for no vectors; zero, NaN or infinite rows; ids that repeat or are negative.
        """
        ids = np.arange(len(vectors)) if ids is None else ids
        ids, rows = member_rows(vectors, ids)
        if not len(ids):
            raise ValueError("there are no vectors to build an index of: expected (n, dim) with n > 0")
        self._build(rows, ids)
        self._ids, self.dim = ids, rows.shape[1]
        return self

    def add(self, vectors: ArrayLike, ids: ArrayLike) -> None:
        """Store more vectors under new ids.

        Raises:
            ValueError: as `build`, and for ids that are members already (remove those first).
        """
        self._require_built("add to it")
        ids, rows = member_rows(vectors, ids, self.dim)
        known = ids[held(ids, self._ids)]
        if known.size:
            raise ValueError(f"ids {listed(known)} are in the index already: remove them first")
        if len(ids):
            self._add(rows, ids)
            self._ids = np.insert(self._ids, np.searchsorted(self._ids, ids), ids)

    def remove(self, ids: ArrayLike) -> None:
        """Take members out.

        Raises:
            KeyError: if an id is not a member; then nothing is removed.
        """
        ids = np.sort(as_ids(ids))
        refuse_repeats(ids)
        self._require_members(ids)
        if len(ids):
            self._remove(ids)
            self._ids = np.delete(self._ids, np.searchsorted(self._ids, ids))

    def renumber(self) -> None:
        """Give the members the ids 0 to n - 1, in the order of those that they have."""
        self._require_built("renumber it")
        self.build(self._vectors(self._ids))

    def vectors(self, ids: ArrayLike) -> NDArray[np.float32]:
        """The unit rows stored under these ids, float32 (n, dim), in the order asked for.

        Raises:
            KeyError: if an id is not a member.
        """
        ids = as_ids(ids)
        self._require_members(ids)
        return self._vectors(ids)

    def search(self, queries: ArrayLike, k: int, *, exclude: ArrayLike | None = None,
               among: ArrayLike | None = None) -> Hits:
        """The k members with the largest cosine to each query.

        Args:
            queries: (q, dim), any lengths but zero.
            k: how many, at least 1; may exceed the number of members.
            exclude: int64 (q,), for each query the id of a member to leave out, such as the
                query's own, or -1 for none. The query still gets k others where there are.
            among: int64 (m,), ids of the only members that may be found; None for all. Of some, up to 30 million
                numbers, the answer is exact whatever the engine; of more it is as good as the engine's.
        Returns:
            Hits of shape (q, k).
        Raises:
            ValueError: if the index has no members, or for queries of another dim, zero or NaN.
            KeyError: if an id of `among` is not a member.
        """
        self._require_built("search it")
        if not len(self):
            raise ValueError("the index is empty, all its members were removed: add some before searching")
        queries = unit_rows(queries, "queries", self.dim)
        if (k := operator.index(k)) < 1:
            raise ValueError(f"k is {k}: expected at least 1")
        left_out = None if exclude is None else exclusions(exclude, len(queries))
        if among is not None:
            among = np.unique(as_ids(among))
            self._require_members(among)
            if not len(among):
                return Hits(np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf, np.float32))
        depth = k if left_out is None else k + bool((left_out >= 0).any())
        depth = min(depth, len(self) if among is None else len(among))
        ids, scores = self._settle(queries, *(self._search(queries, depth) if among is None else
                                              compare_some(self, queries, depth, among)))
        if left_out is not None:
            dropped = ids == left_out[:, None]
            ids, scores = _ranked(np.where(dropped, -1, ids), np.where(dropped, -np.inf, scores))
        return Hits(widened(ids[:, :k], k, -1), widened(scores[:, :k], k, -np.inf))

    def recall(self, *, sample: int = 1000, k: int = 10, seed: int = 0) -> float:
        """The share of the true k nearest that a search finds, measured on members of the index.

        Each sampled member is searched without itself. A member as near as the k-th true one
        counts as found, whichever of several equals it is.

        Args:
            sample: how many members are searched, all of them where there are fewer.
            k: how deep, the number of other members where that is smaller.
        Returns:
            float in [0, 1]; NaN if the index has fewer than two members.
        """
        self._require_built("measure its recall")
        k = min(k, len(self) - 1)
        if k < 1:
            return float("nan")
        chosen = np.random.default_rng(seed).choice(self._ids, min(sample, len(self)), replace=False)
        queries = self._vectors(chosen)
        # none is nearer to a member than it is itself, so its k-th other is the (k + 1)-th of all
        least = -np.sort(-compare_all(self, queries, k + 1)[1])[:, k:k + 1]
        return float(np.mean(self.search(queries, k, exclude=chosen).scores >= least - NEAR))

    @property
    def outside(self) -> dict | None:
        """What of the index lies in no folder, such as a database's collection and whose it is; None where all does."""
        return None

    def save(self, folder: str | Path, *, document: dict | None = None) -> None:
        """Write the index and all that is needed to read it again; whole or not at all.

        What the folder holds of it already, and is as it was, is not written again.

        Args:
            document: more to keep in the manifest, a dict that JSON can hold; `load` gives it back
                as the attribute `document`.
        """
        self._require_built("save it")
        document = dict(self.document if document is None else document)

        def fill(commit):
            commit.document = self.stored(commit, folder) | {"document": document}

        self.settled(publish(folder, "index", fill, stamps=True))
        self.document = document

    def stored(self, commit: Commit | Part, home: str | Path) -> dict[str, Any]:
        """Write the index into a commit, or into the part that is its own; what the manifest must say of it.

        Args:
            home: the folder of the commit; what lies outside belongs to it.
        """
        self._require_built("save it")
        if not self.keeps_ids:
            write_npy(commit.file("ids.npy"), self._ids)
        told = self._save(commit) or {}
        manifest = {"engine": self.engine, "parameters": self.parameters, "metric": "cosine",
                    "dim": self.dim, "n": len(self), "fingerprint": self.fingerprint}
        return manifest | ({"outside": self.outside} if self.outside else {}) | told

    def settled(self, commit: Commit | Part) -> None:  # noqa: B027 an engine need not
        """Note that what was `stored` in a commit, or in a part of one, is what counts now."""

    def repair(self, folder: str | Path, keep: Iterable[str] = ()) -> list[str]:
        """Remove what lies outside and no manifest names any more; what was done, in sentences.

        To be called while nobody else writes to the index.

        Args:
            folder: from which the index was loaded, or its home; what is another folder's, of which it may be a
                copy, stays as it is.
            keep: names of collections that stay whatever is found.
        """
        return []

    def restore(self, document: Mapping, paths: Mapping[str, Path]) -> None:
        """Take the state that `save` wrote; `load` calls it on an empty index."""
        self.dim, self.document = document["dim"], dict(document.get("document", {}))
        if type(self.dim) is not int or self.dim < 1:
            raise ValueError(f"dim is {self.dim!r}: expected a whole number from 1")
        self._manifest = document
        if not self.keeps_ids:
            self._ids = read_npy(paths["ids.npy"], np.int64, (None,))
        self._load(paths)
        if len(self) != document["n"]:
            raise ValueError(f"there are {len(self)} ids, the manifest says {document['n']}")
        if (self._ids < 0).any() or (np.diff(self._ids) <= 0).any():
            raise ValueError("the ids are not ascending from 0 on")

    def blocks(self, among: NDArray[np.int64] | None = None
               ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Ascending ids and unit rows of members, of all or of those `among` ascending ids, in bounded blocks."""
        members = self._ids if among is None else among
        for block in slices(len(members), self.dim or 1):
            yield members[block], self._vectors(members[block])

    def _settle(self, queries, ids, scores):
        """Best first. Scores that float32 can't tell apart are computed again in float64.

        Engines and BLAS kernels add up in different orders, so two equal rows may score 1e-7
        apart, and a near tie could go either way from one batch to the next.
        """
        ids, scores = _ranked(ids, np.where(ids >= 0, np.clip(scores, -1, 1), -np.inf))
        near = scores[:, :-1] - NEAR < scores[:, 1:]
        doubtful = np.zeros(ids.shape, bool)
        doubtful[:, 1:] |= near
        doubtful[:, :-1] |= near
        query, column = np.nonzero(doubtful)
        for block in slices(len(query), 2 * self.dim):  # in float64
            cells = query[block], column[block]
            scores[cells] = cosines(queries[cells[0]], self._vectors(ids[cells]))
        return _ranked(ids, scores)

    def _require_built(self, purpose):
        if self.dim is None:
            raise ValueError(f"the index is not built yet: call build(vectors, ids) before you {purpose}")

    def _require_members(self, ids):
        unknown = ids[~held(ids, self._ids)]
        if unknown.size:
            raise KeyError(f"ids {listed(unknown)} are not in the index")

    @abstractmethod
    def _build(self, rows, ids):
        """Store unit rows (n, dim) under ascending ids."""

    @abstractmethod
    def _add(self, rows, ids):
        """Store more unit rows, under ascending ids that are no members yet."""

    @abstractmethod
    def _remove(self, ids):
        """Forget these members, ascending."""

    @abstractmethod
    def _vectors(self, ids):
        """A float32 copy of the unit rows of these members."""

    @abstractmethod
    def _search(self, queries, k):
        """Ids and cosines (q, at least k) with the k best in them, padded with -1 / -inf."""

    @abstractmethod
    def _save(self, commit):
        """Write the engine's files, the same names each time; what more the manifest shall say, or None."""

    @abstractmethod
    def _load(self, paths):
        """Read them back; `dim` and the `_manifest` are there already, and the ids, unless the engine keeps those."""


def _ranked(ids, scores):
    order = np.lexsort((ids, -scores))
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)
