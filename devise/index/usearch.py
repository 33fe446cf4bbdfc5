"""Approximate search by a navigable small-world graph that can be searched from the disk (USearch, Unum).

The knobs are those of the graph (Malkov and Yashunin 2018). A saved index is mapped, not read:
several processes share one copy in memory. The first change after a load copies it into memory.
"""

from __future__ import annotations

import numpy as np

from devise.errors import require
from devise.index.base import Index
from devise.index.comparing import approximately
from devise.storage import written


class Usearch(Index):
    """Approximate neighbours in a graph that grows and shrinks in place.

    Up to 1,000 rows, and for k above a quarter of them, every row is compared.

    Args:
        links: M of the paper.
        build_depth: efConstruction of the paper.
        search_depth: ef of the paper.
        n_jobs: threads of build and search; with 1 two builds of the same rows are the same graph.
    Raises:
        MissingDependency: if usearch is not installed.

    >>> index = Usearch().build(np.eye(4), ids=[10, 20, 30, 40])
    >>> index.search([[0, 0, 3, 1]], k=2).ids
    array([[30, 40]])
    """

    engine = "usearch"

    def __init__(self, *, links: int = 16, build_depth: int = 128, search_depth: int = 100, n_jobs: int = 1,
                 fingerprint: str | None = None) -> None:
        super().__init__(fingerprint=fingerprint)
        self._package = require("usearch.index", "usearch")
        for name, value, least in [("links", links, 2), ("build_depth", build_depth, 1),
                                   ("search_depth", search_depth, 1), ("n_jobs", n_jobs, 1)]:
            if not isinstance(value, int) or not least <= value < 2**31:
                raise ValueError(f"{name} is {value!r}: expected a whole number, {least} to 2**31 - 1")
        self.links, self.build_depth, self.search_depth, self.n_jobs = links, build_depth, search_depth, n_jobs
        self._mapped = False

    @property
    def parameters(self) -> dict:
        return {"links": self.links, "build_depth": self.build_depth, "search_depth": self.search_depth,
                "n_jobs": self.n_jobs}

    def _empty(self, dim):
        return self._package.Index(ndim=dim, metric="ip", dtype="f32", connectivity=self.links,
                                   expansion_add=self.build_depth, expansion_search=self.search_depth)

    def _build(self, rows, ids):
        self._graph, self._mapped = self._empty(rows.shape[1]), False
        self._graph.add(ids.astype(np.uint64), rows, threads=self.n_jobs)

    def _changeable(self):
        """The graph in memory; one that is mapped is copied first, since its file may be gone by now."""
        if self._mapped:
            self._graph, self._mapped = self._graph.copy(), False
        return self._graph

    def _add(self, rows, ids):
        self._changeable().add(ids.astype(np.uint64), rows, threads=self.n_jobs)

    def _remove(self, ids):
        self._changeable().remove(ids.astype(np.uint64))

    def _vectors(self, ids):
        return np.array(self._graph.get(ids.astype(np.uint64)), np.float32).reshape(len(ids), self.dim)

    def _search(self, queries, k):
        return approximately(self, queries, k, self._look_up)

    def _look_up(self, queries, k):
        depth = max(self.search_depth, k)
        while depth < 4 * len(self):
            with self._turn:
                self._graph.expansion_search = int(depth)
                found = self._graph.search(queries, k, threads=self.n_jobs)
            if len(queries) == 1 or found.counts.min() == k:
                keys, distances = np.atleast_2d(found.keys), np.atleast_2d(found.distances)
                if keys.shape[1] == k:
                    return keys.astype(np.int64), (1 - distances).astype(np.float32)
            depth *= 4  # it found fewer than k: removed rows took their places
        return None

    def _save(self, commit):
        self._graph.save(str(commit.file("graph.usearch")))
        written(commit.file("graph.usearch"), self._graph.serialized_length)

    def _load(self, paths):
        self._graph, self._mapped = self._empty(self.dim), True
        try:
            self._graph.view(str(paths["graph.usearch"]))
        except RuntimeError as error:
            raise ValueError(f"{paths['graph.usearch']} is no graph of usearch: {error}") from error
        self._check_held(len(self._graph), self._graph.ndim)
