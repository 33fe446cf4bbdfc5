"""Artefacts are written: folders of several files that are there whole or not at all.

An artefact is a folder with one manifest `<kind>.json`, which names the data files beside it.
Data files carry a digest in their names and are never changed; replacing the manifest is the one
step that makes a new state visible, so a reader finds the old state or the new one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devise.storage.claims import (
    Journal,
    files_of,
    generation,
    is_manifest,
    is_ours,
    put,
    remove,
    remove_empty,
    sweep,
    vacant,
)
from devise.storage.disk import KEPT, STUMBLES, alone, digest, flush, read_json, room, stamp, temporary_file, write_json
from devise.storage.reading import FORMAT, inside, one, part_digests, paths_of

OWN = {"kind", "format", "files", "folders"}  # what Commit writes into a manifest beside the document


class Overtaken(RuntimeError):
    """Another process replaced the artefact whose files a commit was about to keep: begin the commit again."""


class Commit:
    """Collects the files of an artefact and makes them visible in one step.

    Used as a context manager: `with Commit(folder, "index", document) as commit:` and inside it
    `commit.file("ids.npy")` gives a temporary path to write to. Leaving the block gives every file a
    name with its digest, writes the manifest, and removes what the manifest before named.
    Any number of processes may read the folder meanwhile; of several that commit the last one counts.
    Files that nothing of ours claims are neither removed nor replaced. A commit that fails leaves no folder of its own.

    Args:
        lost: callable (document, paths) of the artefact that is there: what of it the new one lacks, in
            words, or None; a FileExistsError that it raises refuses the commit in words of its own. Without it any
            content is replaced.
        overwrite: whether what `lost` tells of may be lost.
        stamps: whether the manifest notes each file's `stamp`, so that `read_artefact` need not digest it again
            while it lies there as it was written.
    Raises:
        ValueError: if the document has a key that the manifest needs for itself.
        FileExistsError: if the folder holds files of somebody else's and no artefact, if its `<kind>.json` is no
            manifest, or if something would be lost.
        OSError: ENOSPC, which names the folder, where its disk is full.

    >>> import tempfile
    >>> from devise.storage import open_artefact
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Commit(folder, "note", {"by": "me"}) as commit:
    ...         _ = commit.file("note.txt").write_text("whole")
    ...     document, paths = open_artefact(folder, "note")
    ...     document["by"], paths["note.txt"].read_text()
    ('me', 'whole')
    """

    def __init__(self, folder: str | os.PathLike, kind: str, document: Mapping[str, Any], *,
                 lost: Callable[[dict, dict[str, Path]], str | None] | None = None, overwrite: bool = False,
                 stamps: bool = False):
        if taken := OWN & set(document):
            raise ValueError(f"the document of a {kind} has the key {sorted(taken)[0]!r}, which its "
                             "manifest uses itself: choose another name")
        self.folder, self.kind, self.document = Path(folder), kind, dict(document)
        self._lost = None if overwrite else lost
        self.digests: dict[str, str] = {}  # {name: sha256} of the files, once they are committed
        self._there: dict[str, Any] = {}
        self._stamps = stamps
        self._temporary: dict[str, Path] = {}
        self._kept: dict[str, dict[str, Any]] = {}
        self._folders: dict[str, Path] = {}
        self._journal, self._locks, self._made = Journal(self.folder), contextlib.ExitStack(), False

    def file(self, name: str) -> Path:
        """A path to write the data file `name` to."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if name not in self._temporary:
            path = self._temporary[name] = temporary_file(self.folder, os.path.splitext(name)[1])
            self._journal.note(path.name, os.stat(path).st_ino)
        return self._temporary[name]

    def keep(self, name: str, sha256: str | None = None) -> bool:
        """Take a file over from the artefact that is there, as `name` and without writing it again.

        Args:
            sha256: of the file, whatever it is called there; None for the one of that name.
        Returns:
            whether there is an undamaged one of this digest; else write it.
        """
        there = self._there.get("files", {})
        known = there.get(name) if sha256 is None else next(
            (entry for entry in there.values() if entry.get("sha256") == sha256), None)
        if known is None:
            return False
        path = self.folder / Path(known["file"]).name
        try:
            if known.get("stamp") != (now := list(stamp(path))):
                if not is_ours(path, known["sha256"]):
                    return False
                known = {**known, "stamp": now} if self._stamps else known
        except OSError:
            return False
        self._kept[name] = known
        return True

    def part(self, name: str) -> Part:
        """The commit as a part of the artefact sees it, whose files have its name before theirs."""
        return Part(self, name)

    def subfolder(self) -> Path:
        """A new folder to commit further artefacts to, which becomes part of this one with its manifest."""
        path = self.folder / os.urandom(6).hex()
        self._journal.note(path.name, {})
        path.mkdir()
        self._locks.enter_context(alone(path))  # or another's sweep could take it
        self._folders[path.name] = path
        return path

    def check(self) -> dict[str, Any]:
        """Refuse what the commit will refuse, before the work that makes its files.

        Returns:
            the manifest that is about to be replaced, {} where there is none or it is damaged.
        """
        vacant(self.folder)
        path = self.folder / f"{self.kind}.json"
        if not os.path.lexists(path):
            return {}
        if not is_manifest(path):
            raise FileExistsError(f"{path} is no manifest that devise wrote, or it is damaged: move it away, or name "
                                  "another folder")
        try:
            document = read_json(path)
        except ValueError:
            return {}  # a damaged artefact is made again
        paths = paths_of(path, document, self.kind)
        try:
            loss = self._lost and self._lost(document, paths)
        except FileExistsError:
            raise
        except (OSError, *STUMBLES):  # damaged, too
            loss = None
        if loss:
            there = f"{self.folder} holds {one(self.kind)} with other content"
            raise FileExistsError(f"{there}, which would be lost: {loss}. Name another folder, or allow it with "
                                  "--overwrite (in Python overwrite=True)")
        return document

    def __enter__(self):
        self._there = self.check()
        self._made = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind, error, trace):
        with room(self.folder, lambda: None, then=KEPT):
            self._leave(error)
            if isinstance(error, OSError):
                raise error

    def _leave(self, error):
        """Publish what was written, or remove it after an error."""
        done = False
        with alone(self.folder):  # or another's sweep could take what our manifest is about to name
            try:
                if error is None:
                    self._publish()
                    done = True
            finally:
                for path in self._temporary.values():
                    path.unlink(missing_ok=True)
                for path in () if done else self._folders.values():
                    remove(path)
                self._locks.close()
                self._journal.close()
                sweep(self.folder)
                if self._made and not done:
                    remove_empty(self.folder)

    def _publish(self):
        before = self.check()
        folders = {name: part_digests(path) for name, path in self._folders.items()}
        parts = {name: known for name, known in before.get("folders", {}).items() if known}
        for name, claim in {**generation(before), **parts}.items():
            self._journal.note(name, claim)
        claimed, files = files_of(before), {}
        for name, entry in self._kept.items():
            if claimed.get(entry["file"]) != entry["sha256"] or not (self.folder / entry["file"]).is_file():
                raise Overtaken(f"{self.folder} has no {entry['file']} any more: another process wrote a new state")
            files[name] = entry
        for name, temporary in self._temporary.items():
            checksum = digest(temporary)
            files[name] = {"file": self._put(temporary, name, checksum), "sha256": checksum}
            if self._stamps:
                files[name]["stamp"] = list(stamp(self.folder / files[name]["file"]))
        manifest = {"kind": self.kind, "format": FORMAT, **self.document, "files": files}
        if folders:
            manifest["folders"] = folders
        write_json(self.folder / f"{self.kind}.json", manifest)
        self.digests = {name: entry["sha256"] for name, entry in files.items()}

    def _put(self, temporary, name, checksum):
        """Put a finished file under a name with its digest, longer where other content has the short one."""
        stem, suffix = os.path.splitext(name.replace("/", "-"))
        flush(temporary)
        for length in (12, 24, 64):
            path = self.folder / f"{stem}-{checksum[:length]}{suffix}"
            if not os.path.lexists(path):
                self._journal.note(path.name, checksum)
                put(temporary, path)
                temporary.unlink(missing_ok=True)
                flush(self.folder)
                return path.name
            if is_ours(path, checksum):
                return path.name
        raise FileExistsError(f"{path} is there already, and not ours: move it away")


@dataclass(frozen=True)
class Part:
    """A part of an artefact in a commit: its files are named `part/name`, see `Commit.part`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Commit(folder, "note", {}) as commit:
    ...     write_json(commit.part("raw").file("note.json"), 3)
    >>> sorted(commit.digests), sorted(commit.part("raw").digests)
    (['raw/note.json'], ['note.json'])
    """

    whole: Commit | Part
    name: str

    def file(self, name: str) -> Path:
        """As of `Commit`."""
        return self.whole.file(f"{self.name}/{name}")

    def keep(self, name: str, sha256: str) -> bool:
        """As of `Commit`."""
        return self.whole.keep(f"{self.name}/{name}", sha256)

    def part(self, name: str) -> Part:
        """A part of the part."""
        return Part(self, name)

    @property
    def digests(self) -> dict[str, str]:
        """{name: sha256} of the part's files, once they are committed."""
        return inside(self.whole.digests, self.name)


def publish(folder: str | os.PathLike, kind: str, fill: Callable[[Commit], None], **options: Any) -> Commit:
    """A commit that `fill(commit)` fills, begun again where another process replaced what it was about to keep.

    Args:
        options: of `Commit`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sorted(publish(folder, "note", lambda commit: write_json(commit.file("note.json"), 3)).digests)
    ['note.json']
    """
    while True:
        try:
            with Commit(folder, kind, {}, **options) as commit:
                fill(commit)
            return commit
        except Overtaken:
            continue
