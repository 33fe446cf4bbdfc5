"""Approximate search by an inverted file: rows in cells, and only the nearest cells are looked at (Faiss, Meta).

Two knobs. `n_cells`: into how many cells the rows are clustered. `n_probes`: how many are looked at in
a query; more find more and cost time in the query alone. A saved index is mapped, not read: several
processes share one copy in memory. The first change after a load copies it into memory.
"""

from __future__ import annotations

import math

import numpy as np

from devise.errors import require
from devise.index.base import Index
from devise.index.comparing import approximately

SAMPLE = 64  # rows a cell that the clustering looks at
FEWEST = 39  # rows a cell below which the clustering warns


class Faiss(Index):
    """Approximate neighbours from the nearest cells of an IVF-Flat index.

    Up to 1,000 rows, and for k above a quarter of them, every row is compared.

    Args:
        n_cells: None takes 4 √n, at most one for 39 rows.
        n_probes: None takes an eighth of the cells.
        seed: of the clustering.
        n_jobs: threads of build and search.
    Raises:
        MissingDependency: if faiss is not installed.

    >>> index = Faiss().build(np.eye(4), ids=[10, 20, 30, 40])
    >>> index.search([[0, 0, 3, 1]], k=2).ids
    array([[30, 40]])
    """

    engine = "faiss"

    def __init__(self, *, n_cells: int | None = None, n_probes: int | None = None, seed: int = 0, n_jobs: int = 1,
                 fingerprint: str | None = None) -> None:
        super().__init__(fingerprint=fingerprint)
        self._package = require("faiss", "faiss")
        for name, value, least in [("n_cells", n_cells, 1), ("n_probes", n_probes, 1), ("seed", seed, 0),
                                   ("n_jobs", n_jobs, 1)]:
            if value is not None and (not isinstance(value, int) or not least <= value < 2**31):
                raise ValueError(f"{name} is {value!r}: expected a whole number, {least} to 2**31 - 1")
        self.n_cells, self.n_probes, self.seed, self.n_jobs = n_cells, n_probes, seed, n_jobs
        self._mapped = False

    @property
    def parameters(self) -> dict:
        return {"n_cells": self.n_cells, "n_probes": self.n_probes, "seed": self.seed, "n_jobs": self.n_jobs}

    def _build(self, rows, ids):
        n, dim = rows.shape
        cells = min(self.n_cells or int(4 * math.sqrt(n)), max(1, n // FEWEST))
        self._package.omp_set_num_threads(self.n_jobs)
        index = self._package.IndexIVFFlat(self._package.IndexFlatIP(dim), dim, cells,
                                           self._package.METRIC_INNER_PRODUCT)
        index.cp.seed, index.cp.max_points_per_centroid, index.cp.spherical = self.seed + 1, SAMPLE, True
        index.cp.min_points_per_centroid = 1  # its warning would go to the terminal
        index.train(rows)
        index.set_direct_map_type(self._package.DirectMap.Hashtable)
        index.add_with_ids(rows, ids)
        self._cells, self._mapped = index, False

    def _changeable(self):
        """The cells in memory; those that are mapped are copied first, since their file may be gone by now."""
        if self._mapped:
            cells = self._package.ArrayInvertedLists(self._cells.nlist, self._cells.code_size)
            self._cells.invlists.copy_subset_to(
                cells, self._package.InvertedLists.SUBSET_TYPE_INVLIST, 0, self._cells.nlist)
            self._cells.replace_invlists(cells, True)
            cells.this.disown()  # the index owns them, Python does not
            self._mapped = False
        return self._cells

    def _add(self, rows, ids):
        self._changeable().add_with_ids(rows, ids)

    def _remove(self, ids):
        self._changeable().remove_ids(self._package.IDSelectorArray(ids))

    def _vectors(self, ids):
        return self._cells.reconstruct_batch(ids) if len(ids) else np.empty((0, self.dim), np.float32)

    def _search(self, queries, k):
        return approximately(self, queries, k, self._look_up)

    def _look_up(self, queries, k):
        probes = self.n_probes or max(1, self._cells.nlist // 8)
        while True:
            probes = int(min(probes, self._cells.nlist))
            with self._turn:
                self._package.omp_set_num_threads(self.n_jobs)
                self._cells.nprobe = probes
                scores, ids = self._cells.search(queries, k)
            if (ids >= 0).all() or probes == self._cells.nlist:
                return ids.astype(np.int64), np.where(ids < 0, -np.inf, scores)
            probes *= 4  # the nearest cells held fewer than k

    def _save(self, commit):
        with open(commit.file("cells.faiss"), "wb") as file:  # faiss alone is silent where the disk is full
            self._package.write_index(self._changeable(), self._package.PyCallbackIOWriter(file.write))

    def _load(self, paths):
        try:
            self._cells = self._package.read_index(str(paths["cells.faiss"]), self._package.IO_FLAG_MMAP)
        except RuntimeError as error:
            raise ValueError(f"{paths['cells.faiss']} is no index of faiss: {error}") from error
        self._mapped = True
        self._check_held(self._cells.ntotal, self._cells.d)
