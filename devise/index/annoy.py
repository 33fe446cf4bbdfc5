"""Approximate search by a forest of random hyperplane trees (Annoy, Erik Bernhardsson, Spotify).

Two knobs. `n_trees`: more trees find more, cost build time, memory and disk. `search_k`: the
number of candidates looked at in a query; more find more and cost time in the query alone.

A built forest can't change. What is added goes to a small exact table that every search reads
too, what is removed is marked and passed over, and when the changes have become many the forest
is grown anew.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import read_npy, write_npy
from devise.errors import require
from devise.index.base import Index
from devise.index.comparing import Table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MOST_CANDIDATES = 2**31 - 1  # annoy counts in int32
CHANGED_SHARE, CHANGED_ROWS = 0.1, 1000  # the forest is grown anew when both are exceeded
HINT = ("It is distributed as source and needs a C++ compiler (Debian: apt install g++; "
        "macOS: xcode-select --install); engine=\"exact\" needs neither.")


class Annoy(Index):
    """Approximate neighbours from `n_trees` trees.

    Args:
        n_trees: how many trees.
        search_k: candidates a query looks at; -1 for n_trees · max(k, 2 √n). Annoy's own
            default of n_trees · k finds too few in large sets.
        seed: of the random hyperplanes, 0 to 2**31 - 1.
        n_jobs: threads of the build. With 1 two builds of the same rows are the same forest, with
            more they need not be.
    Raises:
        MissingDependency: if annoy is not installed.

    >>> index = Annoy().build(np.eye(4), ids=[10, 20, 30, 40])
    >>> index.search([[0, 0, 3, 1]], k=2).ids
    array([[30, 40]])
    """

    engine = "annoy"

    def __init__(self, *, n_trees: int = 50, search_k: int = -1, seed: int = 0, n_jobs: int = 1,
                 fingerprint: str | None = None) -> None:
        super().__init__(fingerprint=fingerprint)
        self._package = require("annoy", "annoy", hint=HINT)
        for name, value, least in [("n_trees", n_trees, 1), ("seed", seed, 0), ("n_jobs", n_jobs, 1),
                                   ("search_k", 1 if search_k == -1 else search_k, 1)]:
            if not isinstance(value, int) or not least <= value < 2**31:
                raise ValueError(f"{name} is {value!r}: expected a whole number, {least} to 2**31 - 1")
        self.n_trees, self.search_k, self.seed, self.n_jobs = n_trees, search_k, seed, n_jobs

    @property
    def parameters(self) -> dict:
        return {"n_trees": self.n_trees, "search_k": self.search_k, "seed": self.seed,
                "n_jobs": self.n_jobs}

    def _build(self, rows, ids):
        forest = self._package.AnnoyIndex(rows.shape[1], "angular")
        forest.set_seed(self.seed)
        for item, row in enumerate(rows):  # items are positions: annoy makes room for the largest id
            forest.add_item(item, row)
        forest.build(self.n_trees, n_jobs=self.n_jobs)
        nothing = Table(ids[:0], np.empty((0, rows.shape[1]), np.float32))  # a slice would hold all rows
        self._grown(forest, ids, np.zeros(len(ids), bool), nothing)

    def _grown(self, forest, planted, felled, added):
        self._forest = forest
        self._planted = planted  # the ids of the forest's items, ascending
        self._felled = felled    # which of them are removed
        self._added = added      # the members that the forest lacks

    def add(self, vectors: ArrayLike, ids: ArrayLike) -> None:
        super().add(vectors, ids)
        self._grow_when_due()

    def remove(self, ids: ArrayLike) -> None:
        super().remove(ids)
        self._grow_when_due()

    def _add(self, rows, ids):
        self._added = self._added.with_rows(ids, rows)

    def _remove(self, ids):
        in_table = np.isin(ids, self._added.ids)
        self._felled[np.searchsorted(self._planted, ids[~in_table])] = True
        self._added = self._added.without(ids[in_table])

    def _grow_when_due(self):
        changed = len(self._added) + np.count_nonzero(self._felled)
        if len(self) and changed > max(CHANGED_ROWS, CHANGED_SHARE * len(self._planted)):
            self._build(self._vectors(self._ids), self._ids)

    def _vectors(self, ids):
        rows = np.empty((len(ids), self.dim), np.float32)
        in_table = np.isin(ids, self._added.ids)
        rows[in_table] = self._added.vectors(ids[in_table])
        items = np.searchsorted(self._planted, ids)
        for place in np.flatnonzero(~in_table):
            rows[place] = self._forest.get_item_vector(int(items[place]))
        return rows

    def _search(self, queries, k):
        ids = np.full((len(queries), k), -1)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        for row, query in enumerate(queries):
            items, cosines = self._look_up(query, k)
            ids[row, :len(items)], scores[row, :len(items)] = self._planted[items], cosines
        added_ids, added_scores = self._added.search(queries, k)
        return np.hstack([ids, added_ids]), np.hstack([scores, added_scores])

    def _look_up(self, query, k):
        """The k nearest items that are not removed, fewer only where there are fewer, and cosines."""
        n_items = len(self._planted)
        wanted = min(k, n_items - np.count_nonzero(self._felled))
        asked, candidates = wanted, self._candidates(k)
        whole = min(self.n_trees * n_items, MOST_CANDIDATES)
        while True:
            found = self._forest.get_nns_by_vector(query, asked, candidates, include_distances=True)
            items, distances = np.array(found[0], np.int64), np.array(found[1])
            alive = ~self._felled[items]
            if alive.sum() >= wanted or (asked == n_items and candidates >= whole):
                # the angular distance of annoy is |x - y| of unit rows, so d² = 2 - 2 cos
                return items[alive][:k], 1 - distances[alive][:k] ** 2 / 2
            asked, candidates = min(4 * asked, n_items), min(4 * candidates, whole)

    def _candidates(self, k):
        if self.search_k > 0:
            return self.search_k
        return int(min(self.n_trees * max(k, 2 * math.sqrt(len(self._planted))), MOST_CANDIDATES))

    def _save(self, commit):
        write_npy(commit.file("planted.npy"), self._planted)
        write_npy(commit.file("felled.npy"), self._felled)
        write_npy(commit.file("added-ids.npy"), self._added.ids)
        write_npy(commit.file("added.npy"), self._added.rows)
        # annoy maps the file that it wrote from here on, under whatever name it gets
        self._forest.save(str(commit.file("forest.ann")))

    def _load(self, paths):
        forest = self._package.AnnoyIndex(self.dim, "angular")
        forest.load(str(paths["forest.ann"]), prefault=False)
        n_items = forest.get_n_items()
        planted = read_npy(paths["planted.npy"], np.int64, (n_items,))
        felled = read_npy(paths["felled.npy"], bool, (n_items,))
        added_ids = read_npy(paths["added-ids.npy"], np.int64, (None,))
        added = read_npy(paths["added.npy"], np.float32, (len(added_ids), self.dim))
        if not np.array_equal(np.union1d(planted[~felled], added_ids), self._ids):
            raise ValueError("the forest and what was added to it are not the members")
        self._grown(forest, planted, felled, Table(added_ids, added))
