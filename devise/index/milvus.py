"""Search in a Milvus database, for vectors that one machine can't hold (Wang et al. 2021), through pymilvus.

Where the vectors live is the `uri`: a cluster (http://host:19530), or a file of Milvus Lite (./pictures.db), which
runs inside this process and locks the file to it. Without a uri they live in a temporary database of this process,
and the saved folder holds them all.

With a uri the saved folder is the one commit point. Each row has a key drawn at random, and the folder's `keys.npy`
says which rows are the index's: rows that were added and never saved, or by somebody else, are passed over, and those
that were removed are deleted after the save. A collection has one owner, the folder in which it was saved first; an
index that is saved in another folder gets a collection of its own. Aliases in the database say whose a collection is
(`…_of_OWNER`), or which process made it that has not saved it yet (`…_made_HOST_PID`), so that `repair` can drop what
is left over.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import platform
import secrets
import shutil
import tempfile
import uuid
import weakref
from pathlib import Path

import numpy as np

from devise.arrays import NEAR, read_npy, write_npy
from devise.errors import require
from devise.index.base import Index
from devise.index.exact import SPARE, widened

BATCH = 5000  # rows of an insert or a look-up: 6 MB at dim 300, of the 64 MB that a server takes in one message
DEEPEST = 16_384  # answers to a query, the limit of Milvus
REMOTE = ("http://", "https://", "tcp://", "unix:")
TOKEN = "MILVUS_TOKEN"
MADE = "_made_"  # in the alias of a collection that is not saved yet
# the client's usual ping every 10 s makes the server of Milvus Lite hang up on an idle connection
QUIET = {"grpc_options": {"grpc.keepalive_time_ms": 2**31 - 1, "grpc.keepalive_permit_without_calls": 0}}


class Milvus(Index):
    """Neighbours in a collection with an HNSW graph; what is removed or added is seen by the next search.

    Args:
        uri: of a server, or a path that ends in .db; None for a temporary database of this process.
        token: "user:password" or an API key of a server; None takes the environment's MILVUS_TOKEN. It is never
            saved.
        collection: its name; None makes one up. `build` refuses one that is there and is not this index's own; a
            saved one it leaves until the new one is saved, under a made-up name.
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
        self.collection, self._token, self._own, self._owner = collection, token, False, None
        self._keys, self._saved, self._replaced, self._found = np.empty(0, np.int64), np.empty(0, np.int64), [], None
        if self.uri and self.uri.startswith(REMOTE):
            _ = self._client  # what can fail does so here; a local file is not made before there are rows

    @property
    def parameters(self):
        return {"uri": self.uri, "collection": self.collection if self.uri else None, "links": self.links,
                "build_depth": self.build_depth, "search_depth": self.search_depth}

    @property
    def outside(self):
        return {"uri": self.uri, "collection": self.collection, "owner": self._owner} if self.uri else None

    def drop(self):
        """Remove the collection from the database; the index is empty then, and can be built again."""
        if self._own:
            _drop(self._client, self.collection)
        self._own, self._owner, self.dim, self._ids = False, None, None, self._ids[:0]
        self._keys = self._saved = self._keys[:0]

    def close(self):
        """Leave the database; a local file is free for another process then."""
        if self.uri:
            self._client.close()
            if not self.uri.startswith(REMOTE):
                _server().release_server(self.uri)

    def save(self, folder, *, document=None, home=None):
        self._require_built("save it")
        if self.uri:
            self._move_in(_owner(home or folder))
        super().save(folder, document=document, home=home)
        before, self._saved = self._saved, self._keys.copy()
        if self.uri and home is None:
            self._delete(np.setdiff1d(before, self._keys))
            while self._replaced:
                _drop(self._client, self._replaced.pop())

    def repair(self, folder, keep=()):
        if not self._owner:
            return []
        done, keep, mine = [], {self.collection, *keep}, self._owner == _owner(folder)
        if mine and len(left := np.setdiff1d(self._all_keys(), self._keys)):
            self._delete(left)
            done.append(f"{len(left):,} rows of {self.collection} that the index does not name are deleted")
        for name in self._client.list_collections():
            marks = [alias.removeprefix(name) for alias in _aliases(self._client, name)]
            if name not in keep and any((mine and mark == _of(self._owner)) or _is_of_a_dead_process(mark)
                                        for mark in marks):
                _drop(self._client, name)
                done.append(f"the collection {name}, left over by a build that was replaced or never saved, is dropped")
        return done

    def _all_keys(self):
        """The keys of all rows of the collection, by ranges; an iterator of the client may read an older state."""
        cuts = [int(cut) for cut in np.linspace(0, 2**63, self._count() // BATCH + 2)]
        ranges = [f"id >= {start} and id <= {end - 1}" for start, end in zip(cuts[:-1], cuts[1:], strict=True)]
        return np.array([row["id"] for each in ranges
                         for row in self._client.query(self.collection, filter=each, output_fields=["id"])], np.int64)

    def _count(self):
        [[count]] = [row.values() for row in self._client.query(self.collection, filter="", output_fields=["count(*)"])]
        return count

    @classmethod
    def discard(cls, outside, folder):
        """Drop the collection that a manifest's `outside` tells of, if it is this folder's own and no copy's."""
        if outside["owner"] == _owner(folder):
            client = cls(uri=outside["uri"])._client
            if client.has_collection(outside["collection"]):
                _drop(client, outside["collection"])

    @functools.cached_property
    def _client(self):
        if self.uri is None:
            return _temporary()[0]
        token = os.environ.get(TOKEN, "") if self._token is None else self._token
        quiet = {}
        if not self.uri.startswith(REMOTE):
            quiet = QUIET
            Path(self.uri).parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._package.MilvusClient(self.uri, token=token, **quiet)
        except self._package.MilvusException as error:
            raise ConnectionError(f"Milvus at {self.uri} can't be opened: {error.message}. Is the server up, the token "
                                  "right, the file not open in another process?") from error

    def _move_in(self, owner):
        """Make the collection one of this owner, by a copy where it is another's who is still there."""
        if self._owner not in (None, owner) and not _has_moved(self._owner):
            theirs, added = self.collection, np.setdiff1d(self._keys, self._saved)
            blocks = self.blocks()
            other = Milvus(uri=self.uri, token=self._token, links=self.links, build_depth=self.build_depth)
            ids, rows = next(blocks)
            other.build(rows, ids)
            for ids, rows in blocks:
                other.add(rows, ids)
            self._delete(added, theirs)
            self.collection, self._keys, self._saved, self._found = other.collection, other._keys, other._saved, None
        marks = _aliases(self._client, self.collection)
        if (mark := self.collection + _of(owner)) not in marks:
            self._client.create_alias(self.collection, mark)  # before the commit: a name too many loses nothing
        for other in marks:
            if other != mark:
                self._client.drop_alias(other)
        self._owner = owner

    def _build(self, rows, ids):
        self._create(rows.shape[1])
        try:
            self._fill(rows)
        except BaseException:
            self._own = False
            _drop(self._client, self.collection)
            raise

    def _fill(self, rows):
        self._keys, self._saved, self._found = self._insert(rows), np.empty(0, np.int64), None
        self._client.flush(self.collection)  # which builds the graph
        self._client.load_collection(self.collection)

    def _create(self, dim):
        gone = _temporary()[1] if self.uri is None else []
        while gone:
            self._client.drop_collection(gone.pop())
        if self._own and self._owner:
            self._replaced.append(self.collection)
            self.collection, self._own, self._owner = None, False, None
        self.collection = self.collection or f"devise_{uuid.uuid4().hex[:12]}"
        if self._client.has_collection(self.collection):
            if not self._own:
                raise ValueError(f"the collection {self.collection!r} is in {self.uri} already: name another, or "
                                 "open it with devise.index.load and drop it")
            _drop(self._client, self.collection)
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
            weakref.finalize(self, _temporary()[1].append, self.collection).atexit = False
        else:
            self._client.create_alias(self.collection, f"{self.collection}{MADE}{_host()}_{os.getpid()}")

    def _insert(self, rows):
        """The keys under which these rows are in the collection now, drawn so that no two writers meet."""
        keys = np.frombuffer(secrets.token_bytes(8 * len(rows)), np.int64) & np.iinfo(np.int64).max
        for start in range(0, len(keys), BATCH):
            batch = zip(keys[start:start + BATCH].tolist(), rows[start:start + BATCH], strict=True)
            self._client.insert(self.collection, [{"id": key, "vector": row} for key, row in batch])
        return keys

    def _delete(self, keys, collection=None):
        for start in range(0, len(keys), BATCH):
            self._client.delete(collection or self.collection, ids=keys[start:start + BATCH].tolist())

    def _add(self, rows, ids):
        self._keys = np.insert(self._keys, np.searchsorted(self._ids, ids), self._insert(rows))
        self._found = None

    def _remove(self, ids):
        """What a folder names is hidden here, and deleted when a folder no longer names it."""
        places = np.searchsorted(self._ids, ids)
        gone, self._keys, self._found = self._keys[places], np.delete(self._keys, places), None
        self._delete(gone[~np.isin(gone, self._saved)])

    def _members(self, keys):
        """The ids of rows with these keys, -1 of those that are no members."""
        if self._found is None:
            order = np.argsort(self._keys)
            self._found = self._keys[order], self._ids[order]
        known, ids = self._found
        places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        return np.where(known[places] == keys, ids[places], -1)

    def _vectors(self, ids):
        keys, places = np.unique(self._keys[np.searchsorted(self._ids, ids)], return_inverse=True)
        rows, there = np.empty((len(keys), self.dim), np.float32), np.zeros(len(keys), bool)
        for start in range(0, len(keys), BATCH):
            names = keys[start:start + BATCH]
            for found in self._client.get(self.collection, ids=names.tolist(), output_fields=["id", "vector"]):
                place = start + np.searchsorted(names, found["id"])
                rows[place], there[place] = found["vector"], True
        if not there.all():
            raise ValueError(f"{(~there).sum():,} of {len(keys):,} rows asked for are gone from the collection "
                             f"{self.collection!r} in {self.uri}: build the index again")
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
            members = self._members(np.array([hit["id"] for hit in found], np.int64))
            known = members >= 0  # there may be rows that were not saved, or are another process's
            ids[row, :known.sum()] = members[known]
            scores[row, :known.sum()] = np.array([hit["distance"] for hit in found], np.float32)[known]
        return ids, scores

    def _save(self, commit):
        if self.uri:
            write_npy(commit.file("keys.npy"), self._keys)
            return
        rows = np.lib.format.open_memmap(commit.file("rows.npy"), "w+", np.float32, (len(self), self.dim))
        place = 0
        for ids, block in self.blocks():
            rows[place:place + len(ids)] = block
            place += len(ids)
        rows.flush()

    def restore(self, document, paths):
        self._owner = document.get("outside", {}).get("owner")
        super().restore(document, paths)

    def _load(self, paths):
        if self.uri is None:
            self._create(self.dim)
            self._fill(read_npy(paths["rows.npy"], np.float32, (len(self), self.dim), mapped=True))
            return
        self._keys = self._saved = read_npy(paths["keys.npy"], np.int64, (len(self),))
        here = self.uri.startswith(REMOTE) or Path(self.uri).exists()
        if not here or not self.collection or not self._client.has_collection(self.collection):
            raise ValueError(f"{self.uri} has no collection {self.collection!r}")
        self._own = True
        self._client.load_collection(self.collection)
        if (count := self._count()) < len(self):
            raise ValueError(f"the collection {self.collection!r} has {count} rows, the folder {len(self)} ids")


def _owner(place):
    """Whose a collection is: a folder of this machine."""
    return {"host": platform.node(), "place": str(Path(place).resolve())}


def _has_moved(owner):
    """Whether an owner's folder was one of this machine and is gone, so that who opened the index there has it now."""
    return owner == _owner(owner["place"]) and not Path(owner["place"]).exists()


def _of(owner):
    """The end of the alias of an owner's collections."""
    return "_of_" + hashlib.sha256(f"{owner['host']}:{owner['place']}".encode()).hexdigest()[:16]


def _host():
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_of_a_dead_process(mark):
    """Whether the end of an alias is that of a process of this machine that has ended."""
    host, _, pid = mark.removeprefix(MADE).partition("_")
    if not mark.startswith(MADE) or host != _host():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's, and there
        return False
    return False


def _aliases(client, collection):
    return list(client.list_aliases(collection)["aliases"])


def _drop(client, collection):
    for alias in _aliases(client, collection):
        client.drop_alias(alias)
    client.drop_collection(collection)


def _place(uri):
    """A server's address as it is, a file's whole path."""
    if uri is None or uri.startswith(REMOTE):
        return uri
    if not str(uri).endswith(".db"):
        raise ValueError(f"uri is {uri!r}: expected http://host:19530, or a path that ends in .db")
    return str(Path(uri).expanduser().resolve())


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
