"""Search in LanceDB, a table format with versions (Pace et al. 2025), on this machine's disk or in object storage.

Where the vectors live is the `uri`: a folder, or a bucket (s3://, gs://, az://) whose keys are in the environment, as
for every program of that store; no server is needed, and several processes may write at once. The manifest names the
version of the table: who opened an index goes on reading that one, whatever others write. Marks are tags, which keep
a saved version from being cleaned away.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np

from devise.errors import require
from devise.index.database import Database

SCANNED = 10_000  # rows up to which all are compared; more are searched through a quantised inverted file
BITS = 4  # of a code, a number: with 1 a tenth to a half of the neighbours was lost on rows without clusters
FRAGMENTS, FRESH = 64, 0.1  # files, and the share of rows that the inverted file lacks, beyond which a save tidies up


class Lancedb(Database):
    """Neighbours in a Lance table: all rows compared while they are few, then an inverted file of quantised rows.

    The inverted file is IVF with RaBitQ codes (Gao and Long 2024); its best `refine` × k are compared exactly.

    Args:
        uri: a folder, or s3://bucket/folder and the like; None for a temporary folder of this process.
        collection: the table, see `Database`.
        n_probes: partitions of the inverted file that a query looks at.
        refine: how many times k candidates are compared exactly.
    Raises:
        MissingDependency: if lancedb is not installed.
        ConnectionError: if the store can't be opened.

    >>> index = Lancedb().build(np.eye(4), ids=[10, 20, 30, 40])  # doctest: +SKIP
    >>> index.search([[0, 0, 3, 1]], k=2).ids  # doctest: +SKIP
    array([[30, 40]])
    """

    engine = "lancedb"
    failures = (OSError, RuntimeError)

    def __init__(self, *, uri=None, collection=None, n_probes=20, refine=4, fingerprint=None):
        super().__init__(uri=_place(uri), collection=collection, fingerprint=fingerprint)
        for name, value in (("n_probes", n_probes), ("refine", refine)):
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} is {value!r}: expected a whole number from 1")
        self.n_probes, self.refine, self._package = n_probes, refine, require("lancedb", "lancedb")
        self._arrow, self._table = require("pyarrow", "lancedb"), None

    @property
    def outside(self):
        return super().outside and super().outside | {"version": self._table.version}

    def _move_in(self, owner):
        self._tidy()
        super()._move_in(owner)

    def _connect(self):
        try:
            return self._package.connect(self.uri)
        except (OSError, RuntimeError, ValueError) as error:
            raise ConnectionError(f"LanceDB at {self.uri} can't be opened: {error}. Are the bucket, the keys and the "
                                  "region right?") from error

    def _is_there(self):
        return "://" in self.uri or Path(self.uri).is_dir()

    @classmethod
    @functools.cache
    def _temporary(cls):
        folder = tempfile.mkdtemp(prefix="devise-lancedb-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return require("lancedb", "lancedb").connect(folder), []

    def _collections(self):
        names, page = [], None
        while True:
            found = self._client.list_tables(page_token=page)
            names += found.tables
            if not (page := found.page_token):
                return names

    def _marks(self, collection):
        return list(self._client.open_table(collection).tags.list())

    def _mark(self, mark):
        tags = self._table.tags
        (tags.update if mark in tags.list() else tags.create)(mark, self._table.version)

    def _unmark(self, mark):
        self._table.tags.delete(mark)

    def _make(self, dim):
        arrow = self._arrow
        schema = arrow.schema([("id", arrow.int64()), ("vector", arrow.list_(arrow.float32(), dim + _spare(dim)))])
        self._table = self._client.create_table(self.collection, schema=schema)

    def _drop_collection(self, collection):
        self._client.drop_table(collection)

    def _reopen(self):
        """The version that the manifest names; the newest where that one was cleaned away."""
        self._table = self._client.open_table(self.collection)
        told = self._manifest.get("outside", {})
        if (told.get("collection") == self.collection  # not another one, into which rows were copied since
                and told.get("version") in {known["version"] for known in self._table.list_versions()}):
            self._table.checkout(told["version"])

    def _newest(self, collection=None):
        """The table as it is written to."""
        if collection not in (None, self.collection):
            return self._client.open_table(collection)
        self._table.checkout_latest()
        return self._table

    def _settle_rows(self):
        from lancedb.index import BTree, IvfRq

        if len(self._keys) > SCANNED:
            table = self._newest()
            table.create_index("id", config=BTree(), replace=True)
            table.create_index("vector", config=IvfRq(distance_type="dot", num_bits=BITS), replace=True)

    def _tidy(self):
        """Index rows and merge files where searching them one by one would take long."""
        indexed = {found.columns[0]: found for found in self._table.list_indices()}
        files = self._table.stats()["fragment_stats"]["num_fragments"]
        if len(self._keys) > SCANNED and "vector" not in indexed:
            self._settle_rows()
        elif files > FRAGMENTS or "id" in indexed and indexed["id"].num_unindexed_rows > FRESH * len(self._keys):
            self._newest().optimize()

    def _insert_rows(self, keys, rows):
        arrow = self._arrow
        rows = np.pad(rows, ((0, 0), (0, _spare(self.dim))))
        vectors = arrow.FixedSizeListArray.from_arrays(arrow.array(rows.ravel()), rows.shape[1])
        self._newest().add(arrow.table({"id": arrow.array(keys), "vector": vectors}))

    def _delete_rows(self, keys, collection):
        self._newest(collection).delete(_among(keys))

    def _all_keys(self):
        return self._newest().search().select(["id"]).limit(self._count()).to_arrow()["id"].to_numpy()

    def _count(self):
        return self._table.count_rows()

    def _fetch(self, keys):
        found = self._table.search().where(_among(keys)).select(["id", "vector"]).limit(len(keys)).to_arrow()
        vectors = found["vector"].combine_chunks().flatten().to_numpy()
        return found["id"].to_numpy(), vectors.reshape(len(found), self.dim + _spare(self.dim))[:, :self.dim]

    def _nearest(self, queries, k):
        queries = np.pad(queries, ((0, 0), (0, _spare(self.dim))))
        asked = self._table.search(list(queries)).distance_type("dot").limit(k).select(["id", "_distance"])
        found = asked.nprobes(self.n_probes).refine_factor(self.refine).to_arrow()
        keys, scores = found["id"].to_numpy(), 1 - found["_distance"].to_numpy()
        if len(queries) == 1:
            return [(keys, scores)]
        ends = np.searchsorted(found["query_index"].to_numpy(), np.arange(len(queries) + 1))
        return [(keys[start:end], scores[start:end]) for start, end in zip(ends[:-1], ends[1:], strict=True)]


def _spare(dim):
    """Zeros at a row's end: codes are of a multiple of 8 numbers."""
    return -dim % 8


def _among(keys):
    return f"id in ({', '.join(map(str, keys.tolist()))})"


def _place(uri):
    """A store's address as it is, a folder's whole path."""
    return uri if uri is None or "://" in str(uri) else str(Path(uri).expanduser().resolve())
