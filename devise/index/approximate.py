"""Engines that find most of the neighbours without looking at every row, as deep as a promised recall takes.

A segment's rows are kept as they are, and candidates are compared by them: what an engine holds of the rows itself may
be as coarse as it likes. How deep it looks is measured when a segment is planted: rows that a graph does not hold yet
are asked, their true neighbours known by comparing, deeper and deeper until the share that is found reaches `recall`.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from devise.arrays import BLOCK_BYTES, NEAR, let_go
from devise.index.segments import FEW_ROWS, Local, Segment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.index.segments import Find

RECALL = 0.97
DEEP = 10  # neighbours of which the recall is meant
ASKED = 400  # rows that are asked; the standard error of 0.97 is below 0.01
SURE = 2  # standard errors by which what is found lies above what was promised: other queries are as lucky, or less
STEPS = 3  # halvings between a depth that is enough and the one before, which was not


class Depth(NamedTuple):
    """How deep an engine looks, and what that finds and costs.

    Attributes:
        knob, value: the option that decides it.
        recall: the share of the true 10 nearest that is found, on rows that the index did not hold.
        ms: of a query, asked in a batch, and `usual_ms` at the depth from which the measuring began.
    """

    knob: str
    value: int
    recall: float
    ms: float
    usual: int
    usual_ms: float

    def __str__(self):
        return (f"{self.knob} {self.value:,} finds {self.recall:.3f} of the {DEEP} nearest in {self.ms:.2f} ms a query "
                f"({self.usual:,}: {self.usual_ms:.2f} ms)")


class Approximate(Local):
    """An engine that is planted in a segment and asked for the places of rows.

    Args:
        recall: the share of the true 10 nearest that the depth is chosen for, measured when rows are planted.
    """

    knob = ""  # the option that says how deep a query looks
    shallow, deepest = 16, 2**20  # where the measuring begins and gives up
    grows = False  # whether rows can be planted behind others

    def __init__(self, *, recall: float = RECALL, fingerprint: str | None = None) -> None:
        super().__init__(fingerprint=fingerprint)
        if not 0 < recall <= 1:
            raise ValueError(f"recall is {recall!r}: expected a share above 0, at most 1")
        self.target = recall
        self.measured: Depth | None = None  # of the segment that was planted last

    @property
    def looks(self) -> str | None:
        return str(self.measured) if self.measured else None

    @property
    def given(self) -> int | None:
        """The depth that was asked for; None where it is measured."""
        return vars(self)[self.knob]

    def _planted(self, rows, ids):
        n = len(rows)
        measured = self.given is None and n > FEW_ROWS
        asked = np.sort(np.random.default_rng(n).choice(n, min(ASKED, n // 10), replace=False)) if measured else []
        later = np.asarray(asked if self.grows else [], np.int64)
        part = Segment(rows, ids, self._plant(rows, np.setdiff1d(np.arange(n), later)), self.given or self.shallow)
        if measured:
            self.measured = self._measured(part, asked)
            part.depth = self.measured.value
        if len(later):
            self._grow(part.finder, rows, later)
        let_go(rows)
        return part

    def _measured(self, part: Segment, asked: NDArray[np.int64]) -> Depth:
        """The least depth that finds enough of the neighbours of some rows, to about a tenth."""
        queries, others = part.rows[asked], part.without(part.items[asked])  # a graph does not hold them yet
        least = -np.sort(-others.compare(queries, DEEP, once=True)[1], axis=1)[:, DEEP - 1:DEEP]
        tried: dict[int, tuple[float, float]] = {}

        def found(depth):
            started = time.perf_counter()
            scores = others.search(queries, DEEP, self._looking(part, depth))[1]
            spent = 1e3 * (time.perf_counter() - started) / len(queries)
            shares = np.minimum((scores >= least - NEAR).sum(axis=1), DEEP) / DEEP
            tried[depth] = float(shares.mean()), spent
            return shares.mean() - SURE * shares.std() / np.sqrt(len(shares)) >= self.target

        depth, before = self.shallow, self.shallow
        while not found(depth) and depth < min(self.deepest, len(part)):
            before, depth = depth, 2 * depth
        for _ in range(STEPS if before < depth else 0):
            middle = (before + depth) // 2
            before, depth = (before, middle) if found(middle) else (middle, depth)
        return Depth(self.knob, depth, *tried[depth], self.shallow, tried[self.shallow][1])

    def _find_in(self, part):
        return part.finder and self._looking(part, self.given or part.depth)

    def _looking(self, part: Segment, depth: int) -> Find:
        """How the engine finds neighbours, looking so deep."""
        return lambda queries, k, times: self._look_up(part.finder, queries, k, depth * times)

    @abstractmethod
    def _plant(self, rows: NDArray[np.float32], places: NDArray[np.int64]) -> Any:
        """A finder of the rows at these places, ascending; all of them unless the engine `grows`."""

    def _grow(self, finder: Any, rows: NDArray[np.float32], places: NDArray[np.int64]) -> None:
        """Plant the rows at these places, too, where the engine `grows`."""

    @abstractmethod
    def _look_up(self, finder: Any, queries: NDArray[np.float32], k: int, depth: int) -> NDArray[np.int64]:
        """The places of the k rows nearest to each query, int64 (q, k), -1 where the engine found fewer."""


class Graph(Approximate):
    """An engine whose graph takes further rows."""

    knob, grows = "search_depth", True

    @abstractmethod
    def _empty(self, n: int, dim: int) -> Any:
        """A graph without rows, with room for n of dim numbers."""

    @abstractmethod
    def _insert(self, graph: Any, rows: NDArray[np.float32], places: NDArray[np.int64]) -> None:
        """Put rows into a graph, under their places."""

    def _plant(self, rows, places):
        graph = self._empty(*rows.shape)
        self._grow(graph, rows, places)
        return graph

    def _grow(self, finder, rows, places):
        step = max(1, BLOCK_BYTES // (4 * rows.shape[1]))
        for start in range(0, len(places), step):
            chosen = places[start:start + step]
            self._insert(finder, rows[chosen], chosen)
            let_go(rows)


def whole(**options: tuple[int | None, int]) -> None:
    """Refuse options, name=(value, least), that are no whole numbers; None is a number that is measured or usual.

    >>> whole(links=(16, 2))
    """
    for name, (value, least) in options.items():
        if value is not None and (type(value) is not int or not least <= value < 2**31):
            raise ValueError(f"{name} is {value!r}: expected a whole number, {least} to 2**31 - 1")
