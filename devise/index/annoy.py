"""Approximate search by a forest of random hyperplane trees (Annoy, Erik Bernhardsson, Spotify)."""

from __future__ import annotations

import numpy as np

from devise.errors import require
from devise.index.approximate import RECALL, Approximate, whole

MOST_CANDIDATES = 2**31 - 1  # annoy counts in int32
HINT = ("It is distributed as source and needs a C++ compiler (Debian: apt install g++; "
        "macOS: xcode-select --install); engine=\"exact\" needs neither.")


class Annoy(Approximate):
    """Approximate neighbours from `n_trees` trees.

    Args:
        n_trees: more find more, and cost build time, memory and disk.
        search_k: candidates of a query, of which more find more and take longer; None for the least that find `recall`.
        seed: of the random hyperplanes, 0 to 2**31 - 1.
        n_jobs: threads of the build. With 1 two builds of the same rows are the same forest, with
            more they need not be.
        recall: see `Approximate`.
    Raises:
        MissingDependency: if annoy is not installed.

    >>> index = Annoy().build(np.eye(4), ids=[10, 20, 30, 40])
    >>> index.search([[0, 0, 3, 1]], k=2).ids
    array([[30, 40]])
    """

    engine = "annoy"
    file, knob, shallow = "forest.ann", "search_k", 512

    def __init__(self, *, n_trees: int = 50, search_k: int | None = None, seed: int = 0, n_jobs: int = 1,
                 recall: float = RECALL, fingerprint: str | None = None) -> None:
        super().__init__(recall=recall, fingerprint=fingerprint)
        self._package = require("annoy", "annoy", hint=HINT)
        whole(n_trees=(n_trees, 1), search_k=(search_k, 1), seed=(seed, 0), n_jobs=(n_jobs, 1))
        self.n_trees, self.search_k, self.seed, self.n_jobs = n_trees, search_k, seed, n_jobs

    def _plant(self, rows, places):
        forest = self._package.AnnoyIndex(rows.shape[1], "angular")
        forest.set_seed(self.seed)
        for item, row in enumerate(rows):
            forest.add_item(item, row)
        forest.build(self.n_trees, n_jobs=self.n_jobs)
        return forest

    def _look_up(self, forest, queries, k, depth):
        places = np.full((len(queries), k), -1)
        for row, query in enumerate(queries):
            found = forest.get_nns_by_vector(query, k, min(depth, MOST_CANDIDATES))
            places[row, :len(found)] = found
        return places

    def _write(self, path, forest):
        forest.save(str(path))  # annoy maps the file that it wrote from here on, under whatever name it gets

    def _read(self, path, n):
        forest = self._package.AnnoyIndex(self.dim, "angular")
        forest.load(str(path), prefault=False)
        return forest, (forest.get_n_items(), self.dim)
