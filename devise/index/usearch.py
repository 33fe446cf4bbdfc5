"""Approximate search by a navigable small-world graph that can be searched from the disk (USearch, Unum).

The knobs are those of the graph (Malkov and Yashunin 2018). A saved graph is mapped, not read: several processes share
one copy in memory. It holds the rows in a byte a number, a quarter of their size; they are compared as they are.
"""

from __future__ import annotations

import numpy as np

from devise.errors import require
from devise.index.approximate import RECALL, Graph, whole
from devise.storage import written

NUMBERS = ("f32", "f16", "i8")


class Usearch(Graph):
    """Approximate neighbours in a graph.

    Args:
        links, build_depth, search_depth: M, efConstruction and ef of the paper, see `Hnswlib`.
        numbers: what the graph holds the rows as: f32, f16 or i8.
        n_jobs: threads of build and search; with 1 two builds of the same rows are the same graph.
        recall: see `Approximate`.
    Raises:
        MissingDependency: if usearch is not installed.

    >>> index = Usearch().build(np.eye(4), ids=[10, 20, 30, 40])
    >>> index.search([[0, 0, 3, 1]], k=2).ids
    array([[30, 40]])
    """

    engine = "usearch"
    file = "graph.usearch"

    def __init__(self, *, links: int = 16, build_depth: int = 128, search_depth: int | None = None, numbers: str = "i8",
                 n_jobs: int = 1, recall: float = RECALL, fingerprint: str | None = None) -> None:
        super().__init__(recall=recall, fingerprint=fingerprint)
        self._package = require("usearch.index", "usearch")
        whole(links=(links, 2), build_depth=(build_depth, 1), search_depth=(search_depth, 1), n_jobs=(n_jobs, 1))
        if numbers not in NUMBERS:
            raise ValueError(f"numbers is {numbers!r}: expected {', '.join(NUMBERS)}")
        self.links, self.build_depth, self.search_depth, self.n_jobs = links, build_depth, search_depth, n_jobs
        self.numbers = numbers

    def _empty(self, n, dim):
        return self._package.Index(ndim=dim, metric="cos", dtype=self.numbers, connectivity=self.links,
                                   expansion_add=self.build_depth)

    def _insert(self, graph, rows, places):
        graph.add(places.astype(np.uint64), rows, threads=self.n_jobs)

    def _look_up(self, graph, queries, k, depth):
        with self._turn:
            graph.expansion_search = max(depth, k)
            found = graph.search(queries, k, threads=self.n_jobs)
        keys, places = np.atleast_2d(found.keys), np.full((len(queries), k), -1)
        counts = np.atleast_1d(len(found) if len(queries) == 1 else found.counts)
        there = np.arange(keys.shape[1]) < counts[:, None]
        places[:, :keys.shape[1]] = np.where(there, keys.astype(np.int64), -1)
        return places

    def _write(self, path, graph):
        graph.save(str(path))
        written(path, graph.serialized_length)

    def _read(self, path, n):
        graph = self._empty(n, self.dim)
        graph.view(str(path))
        return graph, (len(graph), graph.ndim)
