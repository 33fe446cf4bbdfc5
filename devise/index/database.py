"""Indexes whose vectors lie in a database: the saved folder is the one commit point.

Each row has a key drawn at random, and the folder's `keys.npy` says which rows are the index's: rows that were added
and never saved, or by somebody else, are passed over, and those that were removed are deleted after the save. A
collection (a table) has one owner, the folder in which it was saved first; an index that is saved in another folder
gets a collection of its own. Marks in the database say whose a collection is (`of_OWNER`), or which process made it
that has not saved it yet (`made_HOST_PID`), so that `repair` can drop what is left over. Without a uri the vectors
live in a temporary database of this process, and the saved folder holds them all.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import os
import platform
import secrets
import uuid
import weakref
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from devise.arrays import NEAR, read_npy, write_npy
from devise.index.base import Index
from devise.index.comparing import SPARE, widened
from devise.storage import Commit, Part

BATCH = 5000  # rows of an insert or a look-up, at most
MESSAGE_BYTES = 32 << 20  # of an insert or a look-up; a server takes 64 MB in one message
MADE = "made_"  # the mark of a collection that is not saved yet


class Database(Index):
    """An index in a database. A subclass says how its database makes, fills, asks and drops a collection.

    Args:
        uri: of the database; None for a temporary one of this process.
        collection: its name; None makes one up. `build` refuses one that is there and is not this index's own; a
            saved one it leaves until the new one is saved, under a made-up name.
    """

    can_map = False
    deepest: int | None = None  # how many answers the database gives to a query at most
    failures: tuple[type[Exception], ...] = (OSError,)  # what its client raises where the database does not answer

    def __init__(self, *, uri: str | None = None, collection: str | None = None,
                 fingerprint: str | None = None) -> None:
        super().__init__(fingerprint=fingerprint)
        if uri is None and collection is not None:
            raise ValueError(f"the collection {collection!r} has no uri: say which database it is in")
        self.uri, self.collection, self._own, self._owner = uri, collection, False, None
        self._keys, self._saved, self._found = np.empty(0, np.int64), np.empty(0, np.int64), None
        self._replaced: list[str] = []

    @property
    def parameters(self) -> dict:
        return super().parameters | {"collection": self.collection if self.uri else None}

    @property
    def outside(self) -> dict | None:
        return {"uri": self.uri, "collection": self.collection, "owner": self._owner} if self.uri else None

    def drop(self) -> None:
        """Remove the collection from the database; the index is empty then, and can be built again."""
        if self._own:
            self._drop_collection(self.collection)
        self._own, self._owner, self.dim, self._ids = False, None, None, self._ids[:0]
        self._keys = self._saved = self._keys[:0]

    def save(self, folder: str | Path, *, document: dict | None = None) -> None:
        super().save(folder, document=document)
        while self.uri and self._replaced:
            self._drop_collection(self._replaced.pop())

    def stored(self, commit: Commit | Part, home: str | Path) -> dict[str, Any]:
        self._require_built("save it")
        if self.uri:
            self._move_in(_owner(home))
        return super().stored(commit, home)

    def settled(self, commit: Commit | Part) -> None:
        before, self._saved = self._saved, self._keys.copy()
        if self.uri:
            self._delete(np.setdiff1d(before, self._keys))

    def renumber(self) -> None:
        self._require_built("renumber it")
        self._ids, self._found = np.arange(len(self)), None

    def repair(self, folder: str | Path, keep: Iterable[str] = ()) -> list[str]:
        if not self._owner:
            return []
        done, keep, mine = [], {self.collection, *keep}, self._owner == _owner(folder)
        if mine and len(left := np.setdiff1d(self._all_keys(), self._keys)):
            self._delete(left)
            done.append(f"{len(left):,} rows of {self.collection} that the index does not name are deleted")
        for name in self._collections():
            if name not in keep and any((mine and mark == _of(self._owner)) or _is_of_a_dead_process(mark)
                                        for mark in self._marks(name)):
                self._drop_collection(name)
                done.append(f"the collection {name}, left over by a build that was replaced or never saved, is dropped")
        return done

    @classmethod
    def discard(cls, outside: dict[str, Any], folder: str | Path) -> None:
        """Drop the collection that a manifest's `outside` tells of, if it is this folder's own and no copy's."""
        if outside["owner"] == _owner(folder):
            database = cls(uri=outside["uri"])
            if outside["collection"] in database._collections():
                database._drop_collection(outside["collection"])

    @functools.cached_property
    def _client(self):
        return self._connect() if self.uri else self._temporary()[0]

    def _move_in(self, owner):
        """Make the collection one of this owner, by a copy where it is another's who is still there."""
        if self._owner not in (None, owner) and not _has_moved(self._owner):
            theirs, added = self.collection, np.setdiff1d(self._keys, self._saved)
            blocks, other = self.blocks(), copy.copy(self)
            other.collection, other._own, other._owner = None, False, None
            ids, rows = next(blocks)
            other.build(rows, ids)
            for ids, rows in blocks:
                other.add(rows, ids)
            self._delete(added, theirs)
            self.collection, self._keys, self._saved, self._found = other.collection, other._keys, other._saved, None
            self._reopen()
        self._mark(_of(owner))  # before the commit: a name too many loses nothing
        for other in self._marks(self.collection):
            if other != _of(owner):
                self._unmark(other)
        self._owner = owner

    def _build(self, rows, ids):
        self._create(rows.shape[1])
        try:
            self._keys, self._saved, self._found = self._insert(rows), np.empty(0, np.int64), None
            self._settle_rows()
        except BaseException:
            self._own = False
            self._drop_collection(self.collection)
            raise

    def _create(self, dim):
        gone = self._temporary()[1] if self.uri is None else []
        while gone:
            if (name := gone.pop()) in self._collections():  # built twice, it is here twice
                self._drop_collection(name)
        if self._own and self._owner:
            self._replaced.append(self.collection)
            self.collection, self._own, self._owner = None, False, None
        self.collection = self.collection or f"devise_{uuid.uuid4().hex[:12]}"
        if self.collection in self._collections():
            if not self._own:
                raise ValueError(f"the collection {self.collection!r} is in {self.uri} already: name another, or "
                                 "open it with devise.index.load and drop it")
            self._drop_collection(self.collection)
        self._make(dim)
        self._own = True
        if self.uri is None:
            # not dropped at once: this may run in a thread of the database, which would wait for itself
            weakref.finalize(self, self._temporary()[1].append, self.collection).atexit = False
        else:
            self._mark(f"{MADE}{_host()}_{os.getpid()}")

    def _batches(self, n):
        """Slices of so many rows, each small enough for one message."""
        step = max(1, min(BATCH, MESSAGE_BYTES // (4 * (self.dim or 1))))
        return (slice(start, start + step) for start in range(0, n, step))

    def _insert(self, rows):
        """The keys under which these rows are in the collection now, drawn so that no two writers meet."""
        keys = np.frombuffer(secrets.token_bytes(8 * len(rows)), np.int64) & np.iinfo(np.int64).max
        self.dim = rows.shape[1]
        for batch in self._batches(len(keys)):
            self._insert_rows(keys[batch], rows[batch])
        return keys

    def _delete(self, keys, collection=None):
        for start in range(0, len(keys), BATCH):
            self._delete_rows(keys[start:start + BATCH], collection or self.collection)

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

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Errors of the database as a ConnectionError that says which one does not answer."""
        try:
            yield
        except self.failures as error:
            raise ConnectionError(f"{self.collection!r} in {self.uri} does not answer: {error}") from error

    def _vectors(self, ids):
        keys, places = np.unique(self._keys[np.searchsorted(self._ids, ids)], return_inverse=True)
        rows, there = np.empty((len(keys), self.dim), np.float32), np.zeros(len(keys), bool)
        for batch in self._batches(len(keys)):
            with self._answering():
                found, vectors = self._fetch(keys[batch])
            place = batch.start + np.searchsorted(keys[batch], found)
            rows[place], there[place] = vectors, True
        if not there.all():
            raise ConnectionError(f"{(~there).sum():,} of {len(keys):,} rows asked for are gone from the collection "
                             f"{self.collection!r} in {self.uri}: build the index again")
        return rows[places]

    def _search(self, queries, k):
        """Deeper where a row is short, or where a tie goes on past the last answer: of equals the first are wanted."""
        deepest = min(len(self), self.deepest or len(self))
        if k > deepest:
            raise ValueError(f"k is {k}: {type(self).__name__} answers with {self.deepest:,} at most")
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
        with self._answering():
            nearest = self._nearest(queries, k) if len(queries) else ()
        for row, (keys, found) in enumerate(nearest):
            members = self._members(keys)
            known = members >= 0  # there may be rows that were not saved, or are another process's
            ids[row, :known.sum()], scores[row, :known.sum()] = members[known], found[known]
        return ids, scores

    def _save(self, commit):
        if self.uri:
            write_npy(commit.file("keys.npy"), self._keys)
            return
        rows = np.lib.format.open_memmap(commit.file("rows.npy"), "w+", np.float32, (len(self), self.dim))
        for ids, block in self.blocks():
            rows[np.searchsorted(self._ids, ids)] = block
        rows.flush()

    def _load(self, paths):
        self._owner = self._manifest.get("outside", {}).get("owner")
        if self.uri is None:
            self._build(read_npy(paths["rows.npy"], np.float32, (len(self), self.dim), mapped=True), self._ids)
            return
        self._keys = self._saved = read_npy(paths["keys.npy"], np.int64, (len(self),))
        if not self._is_there() or not self.collection or self.collection not in self._collections():
            raise ValueError(f"{self.uri} has no collection {self.collection!r}")
        self._own = True
        self._reopen()
        if (count := self._count()) < len(self):
            raise ValueError(f"the collection {self.collection!r} has {count} rows, the folder {len(self)} ids")

    def _reopen(self):
        """Get the collection ready to be asked."""

    @abstractmethod
    def _connect(self):
        """A client of the database at `uri`."""

    @abstractmethod
    def _is_there(self):
        """Whether there is a database at `uri`, without making one."""

    @classmethod
    @abstractmethod
    def _temporary(cls):
        """A client of this process's own database, and the names of collections in it that nobody holds any more."""

    @abstractmethod
    def _collections(self):
        """The names of all collections."""

    @abstractmethod
    def _marks(self, collection):
        """The marks of a collection."""

    @abstractmethod
    def _mark(self, mark):
        """Give the collection a mark, which it may have."""

    @abstractmethod
    def _unmark(self, mark):
        """Take a mark from the collection."""

    @abstractmethod
    def _make(self, dim):
        """Make the collection, empty, with a key and a vector in each row."""

    @abstractmethod
    def _drop_collection(self, collection):
        """Remove a collection and its marks."""

    @abstractmethod
    def _settle_rows(self):
        """Get a collection that was just filled ready to be asked."""

    @abstractmethod
    def _insert_rows(self, keys, rows):
        """Store a batch of unit rows under their keys."""

    @abstractmethod
    def _delete_rows(self, keys, collection):
        """Remove a batch of rows from a collection."""

    @abstractmethod
    def _all_keys(self):
        """The keys of all rows of the collection, int64."""

    @abstractmethod
    def _count(self):
        """The number of rows of the collection, those of others too, as they are stored now."""

    @abstractmethod
    def _fetch(self, keys):
        """Keys and float32 rows of those of a batch that are there, in any order."""

    @abstractmethod
    def _nearest(self, queries, k):
        """For each query the keys and cosines of its k nearest rows, best first."""


def _owner(place):
    """Whose a collection is: a folder of this machine."""
    return {"host": platform.node(), "place": str(Path(place).resolve())}


def _has_moved(owner):
    """Whether an owner's folder was one of this machine and is gone, so that who opened the index there has it now."""
    return owner == _owner(owner["place"]) and not Path(owner["place"]).exists()


def _of(owner):
    """The mark of an owner's collections."""
    return "of_" + hashlib.sha256(f"{owner['host']}:{owner['place']}".encode()).hexdigest()[:16]


def _host():
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_of_a_dead_process(mark):
    """Whether a mark is that of a process of this machine that has ended."""
    host, _, pid = mark.removeprefix(MADE).partition("_")
    if not mark.startswith(MADE) or host != _host():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's, and there
        pass
    return False
