"""Indexes of this machine: segments of rows that are never changed, as search engines keep them (log-structured).

What is added is a segment of its own; the last two are merged while one is not much larger than the one behind it, so
that there are few and a row is seldom written again. What is removed is marked, until it is much of a segment. A save
writes what the folder lacks: ten rows behind a million cost the ten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from devise import storage
from devise.arrays import NEAR, let_go, read_npy, scratch, write_npy
from devise.index.base import Index
from devise.index.comparing import SPARE, compare, held, slices, widened
from devise.storage import Commit, Part, inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.index.comparing import Found

    LookUp = Callable[[Any, NDArray[np.float32], int, int], NDArray[np.int64]]

FACTOR = 4  # how many times larger than the next a segment is at least
KEPT = 0.75  # the share of a segment's rows below which what was removed is left out of it
FEW_ROWS = 1000  # are compared, whatever could find among them
PLAIN_NUMBERS = 3_000_000  # of a segment behind the first; so many are compared in a millisecond


@dataclass(eq=False)
class Segment:
    """Unit rows in the order of their ids, and what finds neighbours among them.

    Attributes:
        rows: float32 (n, dim), may be memory-mapped.
        items: int64 (n,), the id of each row, ascending; -1 of one that was removed.
        finder: of the engine; None where all rows are compared.
        depth: to which the engine looks, see `devise.index.approximate`; None where it has none.
        digests: {file: sha256} of what a folder holds of it already.
    """

    rows: NDArray[np.float32]
    items: NDArray[np.int64]
    finder: Any = None
    depth: int | None = None
    digests: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self._alive = None if (self.items >= 0).all() else np.flatnonzero(self.items >= 0)
        self.ids = self.items if self._alive is None else self.items[self._alive]

    def __len__(self) -> int:
        return len(self.ids)

    def places(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of these of its ids."""
        found = np.searchsorted(self.ids, ids)
        return found if self._alive is None else self._alive[found]

    def numbered(self, items: NDArray[np.int64]) -> Segment:
        """The same rows under other ids."""
        digests = {name: known for name, known in self.digests.items() if name != "items.npy"}
        return Segment(self.rows, items, self.finder, self.depth, digests)

    def without(self, ids: NDArray[np.int64]) -> Segment:
        """The segment with these of its ids removed."""
        items = self.items.copy()
        items[self.places(ids)] = -1
        return self.numbered(items)

    def renumbered(self, ids: NDArray[np.int64]) -> Segment:
        """The segment with the place of each id among these in place of it."""
        return self.numbered(np.where(self.items < 0, -1, np.searchsorted(ids, self.items)))

    def search(self, queries: NDArray[np.float32], k: int, look_up: LookUp, depth: int, width: int = 0) -> Found:
        """Ids and cosines (q, at least k), the k best of the members in them, padded with -1 / -inf.

        Every row is compared where that is the better way, where the engine finds too few, and for queries whose
        k-th score is shared by more rows than are looked at: of equals the smallest ids are wanted, and an engine
        can't tell whether it has met them all.

        Args:
            look_up: of the engine, see `Local`.
            depth, width: how deep it looks, and for how many rows at least.
        """
        k, width = min(k, len(self)), max(width, k + SPARE)
        if self.finder is None or len(self.rows) <= FEW_ROWS or 4 * width > len(self.rows) or not len(queries):
            return self.compare(queries, k)
        ids, scores, lowest = self._looked_up(queries, look_up(self.finder, queries, width, depth))
        last = scores[:, k - 1].copy()
        for again, deeper in ((last == -np.inf, True), ((last > -np.inf) & (last - lowest < NEAR), False)):
            chosen = np.flatnonzero(again)
            if chosen.size:
                found = (self.search(queries[chosen], k, look_up, 4 * depth, 4 * width) if deeper else
                         self.compare(queries[chosen], k))
                columns = max(ids.shape[1], found[0].shape[1])
                ids, scores = widened(ids, columns, -1), widened(scores, columns, -np.inf)
                ids[chosen], scores[chosen] = widened(found[0], columns, -1), widened(found[1], columns, -np.inf)
        return ids, scores

    def compare(self, queries: NDArray[np.float32], k: int) -> Found:
        """As `search`, by comparing every row."""
        return compare(self.items, self.rows, queries, k)

    def _looked_up(self, queries, places):
        """Ids and cosines of the rows that an engine proposed, best first, and the least cosine of all of them."""
        scores = np.empty(places.shape, np.float32)
        for part in slices(len(queries), places.shape[1] * self.rows.shape[1]):
            scores[part] = np.einsum("qd,qkd->qk", queries[part], self.rows[places[part]])
        lowest = np.where(places < 0, np.inf, scores).min(axis=1)
        ids = np.where(places < 0, -1, self.items[places])
        scores[ids < 0] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1), lowest


class Local(Index):
    """Segments searched as one. As it is it compares all rows; an engine plants a finder in the large ones."""

    file = ""  # what the finder of a segment is saved as
    keeps_ids = True

    @property
    def given(self) -> int | None:
        """The depth that was asked for; None where it is measured."""
        return None

    def _build(self, rows, ids):
        self._segments = [self._made(rows, ids, first=True)]

    def _add(self, rows, ids):
        self._segments.append(self._made(rows, ids, first=not self._segments))
        self._merge()

    def _made(self, rows, ids, first):
        return self._planted(rows, ids) if first or rows.size > PLAIN_NUMBERS else Segment(rows, ids)

    def _remove(self, ids):
        for place, part in enumerate(self._segments):
            mine = ids[held(ids, part.ids)]
            if len(mine):
                self._segments[place] = part.without(mine)
        self._merge()

    def renumber(self) -> None:
        self._require_built("renumber it")
        self._segments = [part.renumbered(self._ids) for part in self._segments]
        self._ids = np.arange(len(self))

    def _merge(self):
        """Merge what is worth it, see the module; the state is the same."""
        parts = [part for part in self._segments if len(part)]
        parts = [part if len(part) >= KEPT * len(part.rows) else self._merged([part], not place)
                 for place, part in enumerate(parts)]
        while len(parts) > 1 and len(parts[-2]) < FACTOR * len(parts[-1]):
            parts[-2:] = [self._merged(parts[-2:], len(parts) == 2)]
        self._segments = parts

    def _merged(self, parts, first):
        ids = np.sort(np.concatenate([part.ids for part in parts]))
        rows = scratch(storage.data_root(), (len(ids), self.dim))
        for part in parts:
            for block in slices(len(part), self.dim):
                chosen = part.ids[block]
                rows[np.searchsorted(ids, chosen)] = part.rows[part.places(chosen)]
                let_go(part.rows)
                let_go(rows)
        return self._made(rows, ids, first)

    def blocks(self, among: NDArray[np.int64] | None = None
               ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for block in super().blocks(among):
            yield block
            for part in self._segments if among is None else ():
                let_go(part.rows)

    def _vectors(self, ids):
        rows = np.empty((len(ids), self.dim), np.float32)
        for part in self._segments:
            mine = np.flatnonzero(held(ids, part.ids))
            if mine.size:
                rows[mine] = part.rows[part.places(ids[mine])]
        return rows

    def _search(self, queries, k):
        found = [part.search(queries, k, self._look_up, self.given or part.depth) for part in self._segments]
        return np.hstack([ids for ids, _ in found]), np.hstack([scores for _, scores in found])

    def _save(self, commit):
        for number, part in enumerate(self._segments):
            within = commit.part(str(number))
            files = [("rows.npy", write_npy, part.rows), ("items.npy", write_npy, part.items)]
            if part.finder is not None:
                files.append((self.file, self._write, part.finder))
            for name, write, content in files:
                if name not in part.digests or not within.keep(name, part.digests[name]):
                    write(within.file(name), content)
        return {"segments": [{"n": len(part.rows), "depth": part.depth, "planted": part.finder is not None}
                             for part in self._segments]}

    def settled(self, commit: Commit | Part) -> None:
        for number, part in enumerate(self._segments):
            part.digests = commit.part(str(number)).digests

    def _load(self, paths):
        self._segments = []
        for number, stated in enumerate(self._manifest["segments"]):
            own, n, depth = inside(paths, str(number)), stated["n"], stated["depth"]
            rows = read_npy(own["rows.npy"], np.float32, (n, self.dim), mapped=True)
            items = read_npy(own["items.npy"], np.int64, (n,))
            part = Segment(rows, items, digests=inside(self._manifest.get("digests", {}), str(number)))
            if (items < -1).any() or (np.diff(part.ids) <= 0).any():
                raise ValueError(f"the ids of segment {number} are not ascending from 0 on")
            if stated["planted"]:
                if type(depth) is not int or not 1 <= depth < 2**31:
                    raise ValueError(f"the depth of a segment is {depth!r}: expected a whole number from 1")
                part.finder, part.depth = self._open(own[self.file], n), depth
            self._segments.append(part)
        self._ids = np.sort(np.concatenate([self._ids, *(part.ids for part in self._segments)]), kind="stable")

    def _planted(self, rows, ids):
        """A segment with what finds neighbours in it, and the depth to which it looks."""
        return Segment(rows, ids)

    def _look_up(self, finder, queries, k, depth):
        """The places of the k rows nearest to each query, int64 (q, k), -1 where the engine found fewer."""
        raise NotImplementedError

    def _write(self, path, finder):
        """Write a segment's finder to a file."""
        raise NotImplementedError

    def _open(self, path, n):
        """The finder that `_write` wrote, of n rows."""
        raise NotImplementedError
