"""Approximate search by an inverted file: rows in cells, and only the nearest cells are looked at (Faiss, Meta).

A saved index is mapped, not read: several processes share one copy in memory. It holds the rows in a byte a number;
they are compared as they are.
"""

from __future__ import annotations

import math

import numpy as np

from devise.arrays import read_rows
from devise.errors import require
from devise.index.approximate import RECALL, Approximate, whole
from devise.index.comparing import slices

SAMPLE = 64  # rows a cell that the clustering looks at
FEWEST = 39  # rows a cell below which the clustering warns


class Faiss(Approximate):
    """Approximate neighbours from the nearest cells of an inverted file.

    Args:
        n_cells: into which the rows are clustered; None takes 4 √n, at most one for 39 rows.
        n_probes: cells of a query, of which more find more and take longer; None for the least that find `recall`.
        seed: of the clustering.
        n_jobs: threads of build and search.
        recall: see `Approximate`.
    Raises:
        MissingDependency: if faiss is not installed.

    >>> index = Faiss().build(np.eye(4), ids=[10, 20, 30, 40])
    >>> index.search([[0, 0, 3, 1]], k=2).ids
    array([[30, 40]])
    """

    engine = "faiss"
    file, knob, shallow = "cells.faiss", "n_probes", 4

    def __init__(self, *, n_cells: int | None = None, n_probes: int | None = None, seed: int = 0, n_jobs: int = 1,
                 recall: float = RECALL, fingerprint: str | None = None) -> None:
        super().__init__(recall=recall, fingerprint=fingerprint)
        self._package = require("faiss", "faiss")
        whole(n_cells=(n_cells, 1), n_probes=(n_probes, 1), seed=(seed, 0), n_jobs=(n_jobs, 1))
        self.n_cells, self.n_probes, self.seed, self.n_jobs = n_cells, n_probes, seed, n_jobs

    def _plant(self, rows, places):
        n, dim = rows.shape
        cells = min(self.n_cells or int(4 * math.sqrt(n)), max(1, n // FEWEST))
        self._package.omp_set_num_threads(self.n_jobs)
        index = self._package.IndexIVFScalarQuantizer(
            self._package.IndexFlatIP(dim), dim, cells, self._package.ScalarQuantizer.QT_8bit,
            self._package.METRIC_INNER_PRODUCT)
        index.cp.seed, index.cp.max_points_per_centroid, index.cp.spherical = self.seed + 1, SAMPLE, True
        index.cp.min_points_per_centroid = 1  # its warning would go to the terminal
        sample = np.sort(np.random.default_rng(self.seed).choice(n, min(n, SAMPLE * cells), replace=False))
        index.train(rows[sample])
        for block in slices(n, dim):
            index.add(read_rows(rows, block.start, block.stop))
        return index

    def _look_up(self, index, queries, k, depth):
        with self._turn:
            self._package.omp_set_num_threads(self.n_jobs)
            index.nprobe = int(min(depth, index.nlist))
            return index.search(queries, k)[1].astype(np.int64)

    def _write(self, path, index):
        lists = self._package.downcast_InvertedLists(index.invlists)
        if isinstance(lists, self._package.OnDiskInvertedLists):  # it would write where they lie, not what they are
            cells = self._package.ArrayInvertedLists(index.nlist, index.code_size)
            lists.copy_subset_to(cells, self._package.InvertedLists.SUBSET_TYPE_INVLIST, 0, index.nlist)
            index.replace_invlists(cells, True)
            cells.this.disown()  # the index owns them, Python does not
        with open(path, "wb") as file:  # faiss alone is silent where the disk is full
            self._package.write_index(index, self._package.PyCallbackIOWriter(file.write))

    def _read(self, path, n):
        index = self._package.read_index(str(path), self._package.IO_FLAG_MMAP)
        return index, (index.ntotal, index.d)
