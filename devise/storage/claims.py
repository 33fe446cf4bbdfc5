"""What in a folder is ours: only that is removed or replaced, and only while it is as we wrote it.

Three things claim a file. A manifest `<kind>.json` names the data files of an artefact with their digests.
A journal `.partial-*.journal` names what a writer has begun, by inode until it has a digest, so that what a
killed run left is known by more than its name. A report names the pages beside it. A link is never followed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devise.storage.disk import STUMBLES, alone, atomic_path, digest, read_json, write_json

MARK = "devise, which may replace this file"  # in a single file that we wrote, such as a drawing
DRAWN = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
DAY = 24 * 60 * 60
HEADER = ["devise journal", 1]
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def is_ours(path: Path, claim: str | int | None) -> bool:
    """Whether a path is a plain file, no link, that has a digest (hex) or an inode (int)."""
    try:
        facts = os.lstat(path)
        if not stat.S_ISREG(facts.st_mode):
            return False
        return facts.st_ino == claim if isinstance(claim, int) else digest(path) == claim
    except OSError:
        return False


def put(temporary: Path, path: Path) -> None:
    """Give a finished file its name, which nothing may have yet; the temporary name may stay.

    Raises:
        FileExistsError: if there is anything of that name.
    """
    try:
        os.link(temporary, path)  # unlike a renaming it never replaces
    except OSError as error:
        without_links = error.errno in NO_LINKS
        if isinstance(error, FileExistsError) or without_links and os.path.lexists(path):
            raise FileExistsError(f"{path} is there already, and not ours: move it away") from None
        if not without_links:
            raise
        os.rename(temporary, path)


def is_manifest(path: Path) -> bool:
    """Whether a file begins as a manifest of ours does: with its kind, which is its name.

    >>> is_manifest(Path("/dev/null"))
    False
    """
    start = f'{{\n  "kind": {json.dumps(path.stem, ensure_ascii=False)},'.encode("utf-8", "backslashreplace")
    try:
        with open(path, "rb") as file:
            return file.read(len(start)) == start
    except OSError:
        return False


def files_of(document: dict) -> dict[str, str]:
    """{name: digest} of the files that a manifest claims, all of them beside it."""
    entries = [entry for entry in document.get("files", {}).values() if isinstance(entry.get("sha256"), str)]
    return {entry["file"]: entry["sha256"] for entry in entries if Path(entry["file"]).name == entry["file"]}


def generation(document: dict) -> dict[str, str]:
    """{name: digest} of the data files that a manifest claims; each has a part of its digest in its name."""
    return {name: known for name, known in files_of(document).items() if known[:12] in name}


def vacant(folder: str | Path) -> None:
    """Refuse a folder to write an artefact of many files to, if it holds files of somebody else's.

    A folder that holds an artefact already is not refused: what else is in it stays. Hidden files don't count.

    Raises:
        FileExistsError: if there is another file, in it or below it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     vacant(folder)
    """
    folder = Path(folder)
    if any(map(is_manifest, folder.glob("[!.]*.json"))):
        return
    for found, folders, files in os.walk(folder):
        place, known = Path(found), None
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if (place / name).is_symlink()]
        for name in sorted([*files, *links]):
            if name.startswith("."):
                continue
            known = _known(place) if known is None else known
            if name not in known and not (name.endswith(DRAWN) and _marked(place / name, MARK)):
                raise FileExistsError(f"{folder} holds files that devise did not write, such as "
                                      f"{(place / name).relative_to(folder)}: name a new or an empty folder")


def replaceable(path: str | Path, mark: str = MARK) -> None:
    """Refuse to write a single file where another is, unless that one has a mark of ours in it.

    Raises:
        FileExistsError: if it has not, or is no plain file.

    >>> replaceable("sheet-that-is-not-there.png")
    """
    path = Path(path)
    if os.path.lexists(path) and not _marked(path, mark):
        raise FileExistsError(f"{path} is there already, and is not what is about to be written anew: move it away, or "
                              "name another file")


def write_report(folder: str | os.PathLike, document: Mapping[str, Any], pages: Mapping[str, str], *,
                 overwrite: bool = False) -> None:
    """A document as `report.json`, and pages of text beside it, each whole or not at all.

    Args:
        pages: {file name: text}.
        overwrite: whether a report of another title, or of another benchmark, that is there may be lost.
    Raises:
        FileExistsError: if it would be, or one of the files is there and no report of ours wrote it as it is.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(folder, {"n": 3}, {"report.md": "three"})
    ...     Path(folder, "report.md").read_text()
    'three'
    """
    folder = Path(folder)
    path, claimed, other = folder / "report.json", {}, None
    if is_manifest(path):
        with contextlib.suppress(*STUMBLES):
            old = read_json(path)
            claimed = files_of(old)
            name = next((key for key in ("title", "bench") if old.get(key) != document.get(key)), None)
            other = None if overwrite or name is None else old.get(name) or "another one"
    if other:
        raise FileExistsError(f"{folder} holds another report, which would be lost: {other}. Name another folder, or "
                              "allow it with --overwrite (in Python overwrite=True)")
    foreign = [path] if os.path.lexists(path) and not is_manifest(path) else []
    foreign += [folder / name for name in pages if os.path.lexists(folder / name)
                and not is_ours(folder / name, claimed.get(name, ""))]
    if foreign:
        raise FileExistsError(f"{foreign[0]} is not as a report of devise left it: move it away, or name another "
                              "folder")
    texts = {name: text.encode("utf-8", "backslashreplace") for name, text in pages.items()}
    files = {name: {"file": name, "sha256": hashlib.sha256(text).hexdigest()} for name, text in texts.items()}
    write_json(path, {"kind": "report", **document, "files": files})
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(text)


def remove(folder: Path, digests: dict[str, str] | None = None) -> None:
    """Remove a folder of artefacts, each file held to its digest; with anything else in it, it stays.

    Args:
        digests: {path of a manifest in it: digest}; None for all manifests below the folder.

    >>> remove(Path("index/0a1b2c3d4e5f"))  # doctest: +SKIP
    """
    folder = Path(folder)
    if folder.is_symlink() or not folder.is_dir():
        return
    if digests is None:
        digests = {path.relative_to(folder).as_posix(): digest(path) for path in folder.rglob("[!.]*.json")
                   if not path.is_symlink() and is_manifest(path)}
    parts = {(folder / name).parent for name in digests} | {path.parent for path in folder.rglob(".partial-*.journal")}
    for name, known in digests.items():
        manifest = folder / name
        inside = [folder / above for above in Path(name).parents]
        if ".." in Path(name).parts or any(map(os.path.islink, inside)) or not is_ours(manifest, known):
            continue
        with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
            for file, content in generation(json.loads(manifest.read_bytes())).items():
                _remove(manifest.parent / file, content)
            manifest.unlink(missing_ok=True)
    for part in sorted(parts, reverse=True):
        sweep(part, age=0)
        if part != folder:
            remove_empty(part)
    remove_empty(folder)


class Journal:
    """A file that names what its writer has begun in a folder; `sweep` removes that when the writer was killed."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._file: io.FileIO | None = None

    def note(self, name: str, claim: str | int | dict) -> None:
        """Claim a name in the folder: a digest, an inode, or of a folder the digests of its manifests."""
        if self._file is None:
            # held open: a line must not begin a new file where the journal was removed
            path = self._folder / f".partial-{os.urandom(6).hex()}.journal"
            self._file = open(path, "xb", buffering=0)  # noqa: SIM115
            self._write(HEADER)
        self._write([name, claim])

    def close(self) -> None:
        """End the journal; `sweep` removes it once nothing is left of what it names."""
        if self._file is not None:
            self._file.close()
            path, self._file = Path(self._file.name), None
            if _lines(path) is None:  # the disk was full at its first line
                path.unlink(missing_ok=True)

    def _write(self, line):
        content = json.dumps(line).encode() + b"\n"
        if self._file.write(content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)


def sweep(folder: Path, *, age: float = DAY) -> None:
    """Remove what journals name and no manifest does: old generations, and what killed writers left.

    Args:
        age: seconds that an unfinished file must have, since a live writer's is younger.
    """
    journals = [path for path in folder.glob(".partial-*.journal") if not path.is_symlink()]
    named = _named(folder) if journals else None
    if named is None:  # nothing to do, or a manifest that can't be read: then nobody knows
        return
    for path in journals:
        lines = _lines(path)
        left = [name for name, claim in lines or () if name not in named and not _swept(folder / name, claim, age)]
        if lines is not None and not left:
            path.unlink(missing_ok=True)


def _swept(path, claim, age):
    """Remove what is claimed; False where it must be looked at again."""
    if isinstance(claim, dict):
        if path.is_symlink() or not path.is_dir():
            return True
        with alone(path, wait=False) as free:  # its writer holds it
            if free:
                remove(path, claim or None)
            return free
    if isinstance(claim, int):
        with contextlib.suppress(FileNotFoundError):
            if is_ours(path, claim) and path.stat().st_mtime > time.time() - age:
                return False
    _remove(path, claim)
    return True


def _lines(path):
    """[(name, claim)] of a journal, None where it is none; a line that was cut is left out."""
    found = []
    try:
        *lines, _ = path.read_bytes().split(b"\n")
        if not lines or json.loads(lines[0]) != HEADER:
            return None
        for name, claim in map(json.loads, lines[1:]):
            if Path(name).name != name or type(claim) not in (str, int, dict):
                return None
            found.append((name, claim))
    except (OSError, ValueError, TypeError):
        return None
    return found


def _named(folder):
    """What the manifests in a folder name, or None where one can't be read."""
    named = set()
    for manifest in filter(is_manifest, folder.glob("[!.]*.json")):
        try:
            document = json.loads(manifest.read_bytes())
            named |= {manifest.name, *files_of(document), *document.get("folders", {})}
        except (ValueError, AttributeError, TypeError, KeyError, OSError):
            return None
    return named


def _known(folder):
    """What in a folder is claimed by a manifest or a journal there."""
    claimed = {name for path in folder.glob(".partial-*.journal") for name, _ in _lines(path) or ()}
    return claimed | (_named(folder) or set())


def _marked(path, mark):
    """Whether a path is a plain file, no link, with a mark in it."""
    return path.is_file() and not path.is_symlink() and mark.encode() in path.read_bytes()


def _remove(path, claim):
    if is_ours(path, claim):
        path.unlink(missing_ok=True)


def remove_empty(folder: Path) -> None:
    """Remove a folder if there is nothing in it.

    >>> remove_empty(Path("a-folder-that-is-not-there"))
    """
    with contextlib.suppress(OSError):  # something is in it
        folder.rmdir()
