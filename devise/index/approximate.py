"""Engines that find most of the neighbours without looking at every row, as deep as a promised recall takes.

A segment's rows are kept as they are, and candidates are compared by them: what an engine holds of the rows itself may
be as coarse as it likes. How deep it looks is measured when a segment is planted: rows that a graph does not hold yet
are asked, their true neighbours known by comparing, deeper and deeper until the share that is found reaches `recall`.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from devise.arrays import NEAR, let_go
from devise.index.comparing import slices
from devise.index.segments import FEW_ROWS, Local, Segment

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

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

    finds_by = "index"  # what an error calls a finder
    knob = ""  # the option that says how deep a query looks
    shallow, deepest = 16, 2**20  # where the measuring begins and gives up
    grows = False  # whether rows can be planted behind others

    def __init__(self, *, recall: float = RECALL, fingerprint: str | None = None) -> None:
        super().__init__(fingerprint=fingerprint)
        if not 0 < recall <= 1:
            raise ValueError(f"recall is {recall!r}: expected a share above 0, at most 1")
        self.target = recall
        self.measured: Depth | None = None  # of the segment that was planted last
        self._turn = threading.Lock()  # for an engine that sets its depth before it is asked

    @property
    def parameters(self) -> dict:
        return super().parameters | {"recall": self.target}

    @property
    def looks(self) -> str | None:
        return str(self.measured) if self.measured else None

    @property
    def given(self) -> int | None:
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
        least = -np.sort(-others.compare(queries, DEEP)[1], axis=1)[:, DEEP - 1:DEEP]
        let_go(part.rows)
        tried: dict[int, tuple[float, float]] = {}

        def found(depth):
            started = time.perf_counter()
            scores = others.search(queries, DEEP, self._look_up, depth)[1]
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

    def _open(self, path, n):
        try:
            finder, held = self._read(path, n)
        except RuntimeError as error:
            raise ValueError(f"{path} is no {self.finds_by} of {self.engine}: {error}") from error
        if held != (n, self.dim):
            raise ValueError(f"{path} holds {held[0]} × {held[1]} numbers, the manifest says {n} × {self.dim}")
        return finder

    @abstractmethod
    def _plant(self, rows: NDArray[np.float32], places: NDArray[np.int64]) -> Any:
        """A finder of the rows at these places, ascending; all of them unless the engine `grows`."""

    def _grow(self, finder: Any, rows: NDArray[np.float32], places: NDArray[np.int64]) -> None:
        """Plant the rows at these places, too, where the engine `grows`."""

    @abstractmethod
    def _read(self, path: Path, n: int) -> tuple[Any, tuple[int, int]]:
        """The finder that `_write` wrote, of n rows by the manifest; how many rows of which dim it has."""


class Graph(Approximate):
    """An engine whose graph takes further rows."""

    finds_by, knob, grows = "graph", "search_depth", True

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
        for block in slices(len(places), rows.shape[1]):
            self._insert(finder, rows[places[block]], places[block])
            let_go(rows)


def whole(**options: tuple[int | None, int]) -> None:
    """Refuse options, name=(value, least), that are no whole numbers; None is a number that is measured or usual."""
    for name, (value, least) in options.items():
        if value is not None and (type(value) is not int or not least <= value < 2**31):
            raise ValueError(f"{name} is {value!r}: expected a whole number, {least} to 2**31 - 1")
