"""Approximate search by a navigable small-world graph (Malkov and Yashunin 2018), by the library of its authors.

Three knobs. `links`: neighbours of a node; more find more in many dimensions and cost memory.
`build_depth`: candidates looked at for a new node; more find more and cost build time.
`search_depth`: candidates of a query; more find more and cost time in the query alone.
"""

from __future__ import annotations

import struct

import numpy as np

from devise.arrays import read_npy, write_npy
from devise.errors import require
from devise.index.base import Index
from devise.index.comparing import approximately
from devise.storage import written


class Hnswlib(Index):
    """Approximate neighbours in a graph that grows and shrinks in place.

    A removed row stays in the graph as a way to others, until the index is built again. Up to 1,000
    rows, and for k above a quarter of them, every row is compared. The library reads a saved graph
    whole and can't map it, so each process holds a copy of its own.

    Args:
        links: M of the paper.
        build_depth: efConstruction of the paper.
        search_depth: ef of the paper, at least k.
        seed: of the levels.
        n_jobs: threads of build and search; with 1 two builds of the same rows are the same graph.
    Raises:
        MissingDependency: if hnswlib is not installed.

    >>> index = Hnswlib().build(np.eye(4), ids=[10, 20, 30, 40])
    >>> index.search([[0, 0, 3, 1]], k=2).ids
    array([[30, 40]])
    """

    engine = "hnswlib"
    can_map = False

    def __init__(self, *, links: int = 16, build_depth: int = 200, search_depth: int = 100, seed: int = 0,
                 n_jobs: int = 1, fingerprint: str | None = None) -> None:
        super().__init__(fingerprint=fingerprint)
        self._package = require("hnswlib", "hnswlib")
        for name, value, least in [("links", links, 2), ("build_depth", build_depth, 1), ("seed", seed, 0),
                                   ("search_depth", search_depth, 1), ("n_jobs", n_jobs, 1)]:
            if not isinstance(value, int) or not least <= value < 2**31:
                raise ValueError(f"{name} is {value!r}: expected a whole number, {least} to 2**31 - 1")
        self.links, self.build_depth, self.search_depth = links, build_depth, search_depth
        self.seed, self.n_jobs = seed, n_jobs

    @property
    def parameters(self) -> dict:
        return {"links": self.links, "build_depth": self.build_depth, "search_depth": self.search_depth,
                "seed": self.seed, "n_jobs": self.n_jobs}

    def _build(self, rows, ids):
        graph = self._package.Index(space="ip", dim=rows.shape[1])
        graph.init_index(max_elements=len(rows), ef_construction=self.build_depth, M=self.links,
                         random_seed=self.seed, allow_replace_deleted=False)
        graph.set_num_threads(self.n_jobs)
        self._graph, self._items, self._planted = graph, np.empty(0, np.int64), 0
        self._plant(rows, ids)

    def _plant(self, rows, ids):
        """Put rows under item numbers of their own: an id that was removed may come back."""
        items = np.arange(self._planted, self._planted + len(rows))
        self._graph.add_items(rows, items, num_threads=self.n_jobs)
        self._number(np.concatenate([self._items, ids]))
        self._planted += len(rows)

    def _number(self, items):
        self._items = items  # item → id, -1 once removed
        alive = np.flatnonzero(items >= 0)
        self._by_id = alive[np.argsort(items[alive])]  # the items of the members, by ascending id

    def _add(self, rows, ids):
        room = self._planted + len(rows)
        if room > self._graph.get_max_elements():
            self._graph.resize_index(max(room, self._planted + self._planted // 2))
        self._plant(rows, ids)

    def _remove(self, ids):
        gone = self._item_of(ids)
        for item in gone:
            self._graph.mark_deleted(int(item))
        self._items[gone] = -1
        self._number(self._items)

    def _item_of(self, ids):
        return self._by_id[np.searchsorted(self._ids, ids)]

    def _vectors(self, ids):
        rows = self._graph.get_items(self._item_of(ids), return_type="numpy")
        return np.array(rows, np.float32).reshape(len(ids), self.dim)

    def _search(self, queries, k):
        return approximately(self, queries, k, self._look_up)

    def _look_up(self, queries, k):
        depth = max(self.search_depth, k)
        while depth < self._planted:
            try:
                with self._turn:
                    self._graph.set_ef(int(depth))
                    items, distances = self._graph.knn_query(queries, k, num_threads=self.n_jobs)
                return self._items[items.astype(np.int64)], 1 - distances
            except RuntimeError:  # it found fewer than k: removed rows took their places
                depth *= 4
        return None

    def _save(self, commit):
        write_npy(commit.file("items.npy"), self._items)
        self._graph.save_index(str(commit.file("graph.hnsw")))
        written(commit.file("graph.hnsw"), self._graph.index_file_size())

    def _load(self, paths):
        self._graph = self._package.Index(space="ip", dim=self.dim)
        try:
            self._graph.load_index(str(paths["graph.hnsw"]))
        except RuntimeError as error:
            raise ValueError(f"{paths['graph.hnsw']} is no graph of hnswlib: {error}") from error
        # by the library's own word it would read beyond its rows; removed nodes are in its count
        self._check_held(len(self), _dim_in(paths["graph.hnsw"]))
        self._graph.set_num_threads(self.n_jobs)
        self._number(read_npy(paths["items.npy"], np.int64, (self._graph.get_current_count(),)))
        self._planted = len(self._items)
        if not np.array_equal(self._items[self._by_id], self._ids):
            raise ValueError("the nodes of the graph are not the members")


def _dim_in(path):
    """The dim of a saved graph: its header says where in a node the vector and, behind it, the label begin."""
    with open(path, "rb") as file:
        *_, label, vector = struct.unpack("<6Q", file.read(48))
    return (label - vector) // 4
