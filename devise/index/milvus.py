"""Search in a Milvus database, for vectors that a team's machines share (Wang et al. 2021), through pymilvus.

Where the vectors live is the `uri`: a cluster (http://host:19530), or a file of Milvus Lite (./pictures.db), which
runs inside this process and locks the file to it. Marks are aliases of a collection.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from devise.errors import require
from devise.index.database import BATCH, Database

DEEPEST = 16_384  # answers to a query, the limit of Milvus
REMOTE = ("http://", "https://", "tcp://", "unix:")
TOKEN = "MILVUS_TOKEN"
# the client's usual ping every 10 s makes the server of Milvus Lite hang up on an idle connection
QUIET = {"grpc_options": {"grpc.keepalive_time_ms": 2**31 - 1, "grpc.keepalive_permit_without_calls": 0}}


class Milvus(Database):
    """Neighbours in a collection with an HNSW graph; what is removed or added is seen by the next search.

    Args:
        uri: of a server, or a path that ends in .db; None for a temporary database of this process.
        token: "user:password" or an API key of a server; None takes the environment's MILVUS_TOKEN. It is never
            saved.
        collection: see `Database`.
        links, build_depth, search_depth: M, efConstruction and ef of the graph (Malkov and Yashunin 2018).
    Raises:
        MissingDependency: if pymilvus, or milvus-lite for a local file, is not installed.
        ConnectionError: if the server does not answer.

    >>> index = Milvus().build(np.eye(4), ids=[10, 20, 30, 40])  # doctest: +SKIP
    >>> index.search([[0, 0, 3, 1]], k=2).ids  # doctest: +SKIP
    array([[30, 40]])
    """

    engine = "milvus"

    def __init__(self, *, uri=None, token=None, collection=None, links=16, build_depth=200, search_depth=100,
                 fingerprint=None):
        super().__init__(uri=_place(uri), collection=collection, fingerprint=fingerprint)
        for name, value, least in [("links", links, 2), ("build_depth", build_depth, 1),
                                   ("search_depth", search_depth, 1)]:
            if not isinstance(value, int) or not least <= value < 2**31:
                raise ValueError(f"{name} is {value!r}: expected a whole number, {least} to 2**31 - 1")
        self.links, self.build_depth, self.search_depth = links, build_depth, search_depth
        self.deepest, self._package = DEEPEST, require("pymilvus", "milvus")
        self._token = token  # not under the option's own name, as what is saved
        self.failures = (self._package.MilvusException, OSError)
        if not self._is_remote:
            require("milvus_lite", "milvus")
        else:
            _ = self._client  # what can fail does so here; a local file is not made before there are rows

    def close(self):
        """Leave the database; a local file is free for another process then."""
        if self.uri:
            self._client.close()
            if not self._is_remote:
                _server().release_server(self.uri)

    @property
    def _is_remote(self):
        return self.uri is not None and self.uri.startswith(REMOTE)

    def _connect(self):
        token = os.environ.get(TOKEN, "") if self._token is None else self._token
        if not self._is_remote:
            Path(self.uri).parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._package.MilvusClient(self.uri, token=token, **({} if self._is_remote else QUIET))
        except self._package.MilvusException as error:
            raise ConnectionError(f"Milvus at {self.uri} can't be opened: {error.message}. Is the server up, the token "
                                  "right, the file not open in another process?") from error

    def _is_there(self):
        return self._is_remote or Path(self.uri).exists()

    @classmethod
    @functools.cache
    def _temporary(cls):
        folder = tempfile.mkdtemp(prefix="devise-milvus-")
        path, server = str(Path(folder) / "temporary.db"), _server()

        def end():
            server.release_server(path)
            shutil.rmtree(folder, ignore_errors=True)

        atexit.register(end)
        return require("pymilvus", "milvus").MilvusClient(path, **QUIET), []

    def _collections(self):
        return self._client.list_collections()

    def _marks(self, collection):
        return [alias.removeprefix(f"{collection}_") for alias in self._client.list_aliases(collection)["aliases"]]

    def _mark(self, mark):
        if mark not in self._marks(self.collection):
            self._client.create_alias(self.collection, f"{self.collection}_{mark}")

    def _unmark(self, mark):
        self._client.drop_alias(f"{self.collection}_{mark}")

    def _make(self, dim):
        types, schema = self._package.DataType, self._client.create_schema(auto_id=False)
        schema.add_field("id", types.INT64, is_primary=True)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=dim)
        graph = self._client.prepare_index_params()
        graph.add_index("vector", index_type="HNSW", metric_type="IP",  # of unit rows: the cosine
                        params={"M": self.links, "efConstruction": self.build_depth})
        # a client reads what it wrote itself; what others wrote before is waited for once, in `_count`
        self._client.create_collection(self.collection, schema=schema, consistency_level="Session")
        self._client.create_index(self.collection, graph, sync=False)  # there is nothing to wait for yet

    def _drop_collection(self, collection):
        for alias in self._client.list_aliases(collection)["aliases"]:
            self._client.drop_alias(alias)
        self._client.drop_collection(collection)

    def _settle_rows(self):
        self._client.flush(self.collection)  # which builds the graph
        self._reopen()

    def _reopen(self):
        self._client.load_collection(self.collection)

    def _insert_rows(self, keys, rows):
        self._client.insert(self.collection, [{"id": key, "vector": row}
                                              for key, row in zip(keys.tolist(), rows, strict=True)])

    def _delete_rows(self, keys, collection):
        self._client.delete(collection, ids=keys.tolist())

    def _all_keys(self):
        """By ranges; an iterator of the client may read an older state."""
        cuts = [int(cut) for cut in np.linspace(0, 2**63, self._count() // BATCH + 2)]
        ranges = [f"id >= {start} and id <= {end - 1}" for start, end in zip(cuts[:-1], cuts[1:], strict=True)]
        return np.array([row["id"] for each in ranges for row in self._client.query(
            self.collection, filter=each, output_fields=["id"], consistency_level="Strong")], np.int64)

    def _count(self):
        [[count]] = [row.values() for row in self._client.query(
            self.collection, filter="", output_fields=["count(*)"], consistency_level="Strong")]
        return count

    def _fetch(self, keys):
        found = self._client.get(self.collection, ids=keys.tolist(), output_fields=["id", "vector"])
        return (np.array([row["id"] for row in found], np.int64),
                np.array([row["vector"] for row in found], np.float32).reshape(len(found), self.dim))

    def _nearest(self, queries, k):
        depth = {"params": {"ef": max(self.search_depth, k)}}
        answers = self._client.search(self.collection, data=list(queries), limit=k, search_params=depth,
                                      anns_field="vector")
        return [(np.array([hit["id"] for hit in found], np.int64),
                 np.array([hit["distance"] for hit in found], np.float32)) for found in answers]


def _place(uri):
    """A server's address as it is, a file's whole path."""
    if uri is None or uri.startswith(REMOTE):
        return uri
    if not str(uri).endswith(".db"):
        raise ValueError(f"uri is {uri!r}: expected http://host:19530, or a path that ends in .db")
    return str(Path(uri).expanduser().resolve())


def _server():
    return require("milvus_lite.server_manager", "milvus").server_manager_instance
