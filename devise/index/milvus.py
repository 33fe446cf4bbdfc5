"""Search in a Milvus database, for vectors that one machine can't hold (Wang et al. 2021), through pymilvus.

Where the vectors live is the `uri`: a cluster (http://host:19530), or a file of Milvus Lite (./pictures.db), which
runs inside this process and locks the file to it. The saved folder then names the collection and holds its ids.
Without a uri they live in a temporary database of this process, and the saved folder holds them all.
"""

import atexit
import functools
import os
import shutil
import tempfile
import uuid
import weakref
from pathlib import Path

import numpy as np

from devise.arrays import NEAR, read_npy
from devise.errors import require
from devise.index.base import Index
from devise.index.exact import SPARE, widened

BATCH = 5000  # rows of an insert or a look-up: 6 MB at dim 300, of the 64 MB that a server takes in one message
DEEPEST = 16_384  # answers to a query, the limit of Milvus
REMOTE = ("http://", "https://", "tcp://", "unix:")
TOKEN = "MILVUS_TOKEN"
# the client's usual ping every 10 s makes the server of Milvus Lite hang up on an idle connection
QUIET = {"grpc_options": {"grpc.keepalive_time_ms": 2**31 - 1, "grpc.keepalive_permit_without_calls": 0}}


class Milvus(Index):
    """Neighbours in a collection with an HNSW graph; what is removed or added is seen by the next search.

    Args:
        uri: of a server, or a path that ends in .db; None for a temporary database of this process.
        token: "user:password" or an API key of a server; None takes the environment's MILVUS_TOKEN. It is never
            saved.
        collection: its name; None makes one up. `build` refuses one that is there and is not this index's own.
        links, build_depth, search_depth: M, efConstruction and ef of the graph (Malkov and Yashunin 2018).
    Raises:
        MissingDependency: if pymilvus, or milvus-lite for a local file, is not installed.
        ConnectionError: if the server does not answer.

    >>> index = Milvus().build(np.eye(4), ids=[10, 20, 30, 40])  # doctest: +SKIP
    >>> index.search([[0, 0, 3, 1]], k=2).ids  # doctest: +SKIP
    array([[30, 40]])
    """

    engine = "milvus"
    can_map = False

    def __init__(self, *, uri=None, token=None, collection=None, links=16, build_depth=200, search_depth=100,
                 fingerprint=None):
        super().__init__(fingerprint=fingerprint)
        for name, value, least in [("links", links, 2), ("build_depth", build_depth, 1),
                                   ("search_depth", search_depth, 1)]:
            if not isinstance(value, int) or not least <= value < 2**31:
                raise ValueError(f"{name} is {value!r}: expected a whole number, {least} to 2**31 - 1")
        if uri is None and collection is not None:
            raise ValueError(f"the collection {collection!r} has no uri: say which database it is in")
        self.uri, self.links, self.build_depth, self.search_depth = _place(uri), links, build_depth, search_depth
        self._package = require("pymilvus", "milvus")
        if self.uri is None or not self.uri.startswith(REMOTE):
            require("milvus_lite", "milvus")
        self._client, self._gone = _temporary() if self.uri is None else (self._connect(token), [])
        self.collection, self._own = collection, False

    @property
    def parameters(self):
        return {"uri": self.uri, "collection": self.collection if self.uri else None, "links": self.links,
                "build_depth": self.build_depth, "search_depth": self.search_depth}

    def drop(self):
        """Remove the collection from the database; the index is empty then, and can be built again."""
        if self._own:
            self._client.drop_collection(self.collection)
        self._own, self.dim, self._ids = False, None, self._ids[:0]

    def close(self):
        """Leave the database; a local file is free for another process then."""
        if self.uri:
            self._client.close()
            if not self.uri.startswith(REMOTE):
                _server().release_server(self.uri)

    def _connect(self, token):
        token = os.environ.get(TOKEN, "") if token is None else token
        try:
            quiet = {} if self.uri.startswith(REMOTE) else QUIET
            return self._package.MilvusClient(self.uri, token=token, **quiet)
        except self._package.MilvusException as error:
            raise ConnectionError(f"Milvus at {self.uri} can't be opened: {error.message}. Is the server up, the token "
                                  "right, the file not open in another process?") from error

    def _build(self, rows, ids):
        self._create(rows.shape[1])
        self._fill(rows, ids)

    def _fill(self, rows, ids):
        self._add(rows, ids)
        self._client.flush(self.collection)  # which builds the graph
        self._client.load_collection(self.collection)

    def _create(self, dim):
        while self._gone:
            self._client.drop_collection(self._gone.pop())
        self.collection = self.collection or f"devise_{uuid.uuid4().hex[:12]}"
        if self._client.has_collection(self.collection):
            if not self._own:
                raise ValueError(f"the collection {self.collection!r} is in {self.uri} already: name another, or "
                                 "open it with devise.index.load and drop it")
            self._client.drop_collection(self.collection)
        types, schema = self._package.DataType, self._client.create_schema(auto_id=False)
        schema.add_field("id", types.INT64, is_primary=True)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=dim)
        graph = self._client.prepare_index_params()
        graph.add_index("vector", index_type="HNSW", metric_type="IP",  # of unit rows: the cosine
                        params={"M": self.links, "efConstruction": self.build_depth})
        self._client.create_collection(self.collection, schema=schema, consistency_level="Strong")
        self._client.create_index(self.collection, graph, sync=False)  # there is nothing to wait for yet
        self._own = True
        if self.uri is None:
            # not dropped at once: this may run in a thread of the server, which would wait for itself
            weakref.finalize(self, self._gone.append, self.collection).atexit = False

    def _add(self, rows, ids):
        for start in range(0, len(ids), BATCH):
            batch = zip(ids[start:start + BATCH].tolist(), rows[start:start + BATCH], strict=True)
            self._client.insert(self.collection, [{"id": name, "vector": row} for name, row in batch])

    def _remove(self, ids):
        for start in range(0, len(ids), BATCH):
            self._client.delete(self.collection, ids=ids[start:start + BATCH].tolist())

    def _vectors(self, ids):
        wanted, places = np.unique(ids, return_inverse=True)
        rows = np.empty((len(wanted), self.dim), np.float32)
        for start in range(0, len(wanted), BATCH):
            names = wanted[start:start + BATCH]
            for found in self._client.get(self.collection, ids=names.tolist(), output_fields=["id", "vector"]):
                rows[start + np.searchsorted(names, found["id"])] = found["vector"]
        return rows[places]

    def _search(self, queries, k):
        """Deeper where a row is short, or where a tie goes on past the last answer: of equals the first are wanted."""
        deepest = min(len(self), DEEPEST)
        if k > deepest:
            raise ValueError(f"k is {k}: Milvus answers with {DEEPEST:,} at most")
        depth = min(k + SPARE, deepest)
        ids, scores = self._look_up(queries, depth)
        while depth < deepest:
            open_ended = np.flatnonzero((ids[:, -1] < 0) | (scores[:, k - 1] - scores[:, -1] < NEAR))
            if not open_ended.size:
                break
            depth = min(4 * depth, deepest)
            ids, scores = widened(ids, depth, -1), widened(scores, depth, -np.inf)
            ids[open_ended], scores[open_ended] = self._look_up(queries[open_ended], depth)
        return ids, scores

    def _look_up(self, queries, k):
        ids, scores = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf, np.float32)
        if not len(queries):
            return ids, scores
        depth = {"params": {"ef": max(self.search_depth, k)}}
        answers = self._client.search(self.collection, data=list(queries), limit=k, search_params=depth,
                                      anns_field="vector")
        for row, found in enumerate(answers):
            names = np.array([hit["id"] for hit in found], np.int64)
            known = np.isin(names, self._ids)  # another process may have added more since
            ids[row, :known.sum()] = names[known]
            scores[row, :known.sum()] = np.array([hit["distance"] for hit in found], np.float32)[known]
        return ids, scores

    def _save(self, commit):
        if self.uri is None:
            rows = np.lib.format.open_memmap(commit.file("rows.npy"), "w+", np.float32, (len(self), self.dim))
            place = 0
            for ids, block in self.blocks():
                rows[place:place + len(ids)] = block
                place += len(ids)
            rows.flush()

    def _load(self, paths):
        if self.uri is None:
            self._create(self.dim)
            self._fill(read_npy(paths["rows.npy"], np.float32, (len(self), self.dim), mapped=True), self._ids)
            return
        if not self.collection or not self._client.has_collection(self.collection):
            raise ValueError(f"{self.uri} has no collection {self.collection!r}")
        self._own = True
        self._client.load_collection(self.collection)
        [[count]] = [row.values() for row in self._client.query(self.collection, filter="", output_fields=["count(*)"])]
        if count != len(self):
            raise ValueError(f"the collection {self.collection!r} has {count} rows, the folder {len(self)} ids")


def _place(uri):
    """A server's address as it is, a file's whole path."""
    if uri is None or uri.startswith(REMOTE):
        return uri
    if not str(uri).endswith(".db"):
        raise ValueError(f"uri is {uri!r}: expected http://host:19530, or a path that ends in .db")
    path = Path(uri).expanduser().resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return str(path)


def _server():
    return require("milvus_lite.server_manager", "milvus").server_manager_instance


@functools.cache
def _temporary():
    """A client of this process's own database, and the collections in it that nobody holds any more."""
    manager = _server()
    folder = tempfile.mkdtemp(prefix="devise-milvus-")
    path = str(Path(folder) / "temporary.db")

    def end():
        manager.release_server(path)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return require("pymilvus", "milvus").MilvusClient(path, **QUIET), []
