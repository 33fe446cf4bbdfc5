"""Approximate search by a navigable small-world graph (Malkov and Yashunin 2018), by the library of its authors."""

from __future__ import annotations

import struct

import numpy as np

from devise.errors import require
from devise.index.approximate import RECALL, Graph, whole
from devise.storage import written


class Hnswlib(Graph):
    """Approximate neighbours in a graph.

    The library reads a saved graph whole and can't map it, so each process holds a copy of its own.

    Args:
        links: M of the paper, neighbours of a node; more find more in many dimensions and cost memory.
        build_depth: efConstruction, candidates looked at for a new node; more find more and cost build time.
        search_depth: ef, those of a query, of which more find more and take longer; None for the least that find
            `recall`.
        seed: of the levels.
        n_jobs: threads of build and search; with 1 two builds of the same rows are the same graph.
        recall: see `Approximate`.
    Raises:
        MissingDependency: if hnswlib is not installed.

    >>> index = Hnswlib().build(np.eye(4), ids=[10, 20, 30, 40])
    >>> index.search([[0, 0, 3, 1]], k=2).ids
    array([[30, 40]])
    """

    engine = "hnswlib"
    can_map = False
    file = "graph.hnsw"

    def __init__(self, *, links: int = 16, build_depth: int = 200, search_depth: int | None = None, seed: int = 0,
                 n_jobs: int = 1, recall: float = RECALL, fingerprint: str | None = None) -> None:
        super().__init__(recall=recall, fingerprint=fingerprint)
        self._package = require("hnswlib", "hnswlib")
        whole(links=(links, 2), build_depth=(build_depth, 1), search_depth=(search_depth, 1), seed=(seed, 0),
              n_jobs=(n_jobs, 1))
        self.links, self.build_depth, self.search_depth = links, build_depth, search_depth
        self.seed, self.n_jobs = seed, n_jobs

    def _empty(self, n, dim):
        graph = self._package.Index(space="ip", dim=dim)
        graph.init_index(max_elements=n, ef_construction=self.build_depth, M=self.links, random_seed=self.seed)
        return graph

    def _insert(self, graph, rows, places):
        graph.add_items(rows, places, num_threads=self.n_jobs)

    def _look_up(self, graph, queries, k, depth):
        if k > graph.get_current_count():
            return np.full((len(queries), k), -1)
        with self._turn:
            graph.set_ef(int(max(depth, k)))
            return graph.knn_query(queries, k, num_threads=self.n_jobs)[0].astype(np.int64)

    def _write(self, path, graph):
        graph.save_index(str(path))
        written(path, graph.index_file_size())

    def _read(self, path, n):
        graph = self._package.Index(space="ip", dim=self.dim)
        graph.load_index(str(path))
        # the file's own dim: by the library's word it would read beyond its rows
        return graph, (graph.get_current_count(), _dim_in(path))


def _dim_in(path):
    """The dim of a saved graph: its header says where in a node the vector and, behind it, the label begin."""
    with open(path, "rb") as file:
        *_, label, vector = struct.unpack("<6Q", file.read(48))
    return (label - vector) // 4
