"""Artefacts are read: what a manifest `<kind>.json` names, while others may write; see `devise.storage.atomic`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from devise.storage.claims import is_manifest
from devise.storage.disk import STUMBLES, digest, read_json, stamp

T = TypeVar("T")
FORMAT = 1
CALLED = {"search": "index", "words": "word vectors"}  # kinds, for a person, that are called otherwise


def inside(files: Mapping[str, T], part: str) -> dict[str, T]:
    """What belongs to a part of an artefact, by the part's own names.

    >>> inside({"raw/rows.npy": 1, "rows.json": 2}, "raw")
    {'rows.npy': 1}
    """
    return {name.removeprefix(f"{part}/"): known for name, known in files.items() if name.startswith(f"{part}/")}


def part_digests(folder: str | os.PathLike) -> dict[str, str]:
    """{path in it: digest} of the manifests in the folders of a folder; a manifest holds the digests of its files.

    >>> sorted(part_digests("index/0a1b2c3d4e5f"))  # doctest: +SKIP
    ['model/model.json', 'raw/index.json']
    """
    manifests = sorted(path for path in Path(folder).glob("*/*.json") if is_manifest(path))
    return {path.relative_to(folder).as_posix(): digest(path) for path in manifests}


def open_artefact(folder: str | os.PathLike, kind: str) -> tuple[dict[str, Any], dict[str, Path]]:
    """The manifest of an artefact and the paths of its files.

    A commit that ends between this call and the opening of a path may have removed the file:
    `read_artefact` then asks again.

    Returns:
        document dict, and {name: Path}.
    Raises:
        FileNotFoundError: if the folder holds no such artefact, or a file of it is gone.
        ValueError: if its manifest is of another kind or of a later format.

    >>> import tempfile
    >>> from devise.storage import Commit
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Commit(folder, "note", {}) as commit:
    ...         _ = commit.file("note.txt").write_text("whole")
    ...     list(open_artefact(folder, "note")[1])
    ['note.txt']
    """
    folder = Path(folder)
    manifest = folder / f"{kind}.json"
    if not manifest.is_file():
        there = [one(path.stem) for path in sorted(folder.glob("[!.]*.json")) if is_manifest(path)]
        raise FileNotFoundError(f"{folder} holds no {called(kind)}: expected the file {manifest.name} in it"
                                + (f"; it holds {', '.join(there)}" if there else ""))
    seen = None
    while True:
        document = read_json(manifest)
        paths = paths_of(manifest, document, kind)
        gone = [str(path) for path in paths.values() if not path.is_file()]
        if not gone:
            return document, paths
        if document == seen:  # else a writer has swept between our two reads: look at the new state
            raise FileNotFoundError(f"{folder} lacks {', '.join(gone)}: make the {called(kind)} again")
        seen = document


def read_artefact(folder: str | os.PathLike, kind: str, read: Callable[[dict[str, Any], dict[str, Path]], T], *,
                  check: Collection[str] | None = ()) -> T:
    """What `read(document, paths)` makes of an artefact, called again where a commit came in between.

    Args:
        read: gets what `open_artefact` returns. Whatever it stumbles over in a damaged artefact, a
            key that is missing or a value of another type, becomes a ValueError.
        check: the names of files to be compared with their digests first, where they are there; None for all. One
            that lies there as its manifest noted when it was written, see `stamp`, is not read for that.
    Raises:
        FileNotFoundError, ValueError: as `open_artefact`; or if the artefact can't be read.

    >>> import tempfile
    >>> from devise.storage import Commit
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Commit(folder, "note", {}) as commit:
    ...         _ = commit.file("note.txt").write_text("whole")
    ...     read_artefact(folder, "note", lambda document, paths: paths["note.txt"].read_text(), check=["note.txt"])
    'whole'
    """
    while True:
        document, paths = open_artefact(folder, kind)
        try:
            since = stamp(Path(folder) / f"{kind}.json")[1]
            for name in paths.keys() if check is None else paths.keys() & set(check):
                if not _as_written(paths[name], document["files"][name], since):
                    raise ValueError(f"{paths[name]} is damaged, its content is not what was saved: make it again")
            return read(document, paths)
        except (OSError, *STUMBLES) as error:
            if open_artefact(folder, kind)[0] != document:
                continue  # another process has put a new state in its place
            if isinstance(error, OSError) or isinstance(error, ValueError) and str(folder) in str(error):
                raise
            detail = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise ValueError(f"the {called(kind)} in {folder} is damaged or of another devise ({detail}): "
                             "make it again") from error


def _as_written(path, entry, since):
    """Whether a file is what the manifest of the time `since` names; of the same tick of the clock, none is trusted."""
    if (now := list(stamp(path))) == entry.get("stamp") and now[1] < since:
        return True
    return digest(path) == entry["sha256"]


def paths_of(manifest: Path, document: Any, kind: str) -> dict[str, Path]:
    """The files that a manifest names, all of them beside it."""
    files = document.get("files") if isinstance(document, dict) and document.get("kind") == kind else None
    if not isinstance(files, dict) or not all(
            isinstance(entry, dict) and isinstance(entry.get("file"), str) for entry in files.values()):
        raise ValueError(f"{manifest} is not a manifest of kind {kind!r}: it is damaged, make it again")
    version = document.get("format", 0)
    if not isinstance(version, int) or version > FORMAT:
        raise ValueError(f"{manifest} has format {version!r}, this devise reads {FORMAT}: upgrade devise")
    return {name: manifest.parent / Path(entry["file"]).name for name, entry in files.items()}


def called(kind: str) -> str:
    """A kind as a person calls it."""
    return CALLED.get(kind, kind)


def one(kind: str) -> str:
    """A kind with its article: "an index"."""
    name = called(kind)
    return name if name.endswith("s") else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
