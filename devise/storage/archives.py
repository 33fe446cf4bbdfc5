"""Zip and tar archives, unpacked whole into a new folder or not at all.

An archive is read to its end before anything is written: a name, a link or a size that it should
not have refuses all of it. Nothing but folders and plain files is ever made; a link inside the
archive becomes a copy of the file it names.
"""

from __future__ import annotations

import contextlib
import glob
import os
import posixpath
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from devise.storage import disk
from devise.storage.disk import alone, replace

BLOCK = 2**20
JOURNAL, HEADER = ".unpacking.journal", "devise unpacking 1"
MAX_BYTES = 8 * 2**30
MAX_RATIO = 100  # text packs 3 to 10 times, zeros 1,000 times
SMALL = 2**26  # below this the ratio says nothing
MAX_ENTRIES = 200_000


class _Entry(NamedTuple):
    name: str
    size: int
    kind: str  # "file", "folder", "link", or a reason to refuse it
    record: object  # what zipfile or tarfile knows it by
    target: str = ""


def unpack(archive: str | os.PathLike, folder: str | os.PathLike, *, members: Collection[str] | None = None,
           max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO) -> Path:
    """The files of a zip, tar or tar.gz as a new folder.

    Args:
        archive: the file; its content tells the format, not its name.
        folder: where to; it must not exist yet.
        members: names of the files or folders wanted, None for all.
        max_bytes: the most that all entries may have together.
        max_ratio: the most they may have for each byte of the archive, once beyond 64 MiB.
    Returns:
        `folder` as a Path.
    Raises:
        ValueError: if an entry would lie outside the folder, is a device or a link that leaves it,
            if it is too large, damaged, of another format, or lacks a member.
        FileExistsError: if the folder exists.
        OSError: if the disk is full.

    >>> import tempfile, zipfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with zipfile.ZipFile(f"{folder}/set.zip", "w") as archive:
    ...         archive.writestr("cat/1.txt", "a cat")
    ...     (unpack(f"{folder}/set.zip", f"{folder}/set") / "cat/1.txt").read_text()
    'a cat'
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists: remove it, or unpack to another folder")
    limit = min(max_bytes, max(SMALL, max_ratio * archive.stat().st_size))
    with _reading(archive) as (entries, content):
        entries = _checked(entries, archive, limit)
        wanted = _chosen(entries, archive, members)
        total = sum(entry.size for entry in wanted)
        with workplace(folder) as (work, note):
            unfinished = work / folder.name
            with disk.room(folder.parent, lambda: total, then="Make room and run the same again."):
                unfinished.mkdir()
                for entry in wanted:
                    path = unfinished / entry.name
                    (path if entry.kind == "folder" else path.parent).mkdir(parents=True, exist_ok=True)
                    if entry.kind != "folder":
                        with content(entry.record) as source, open(path, "wb") as target:
                            note(os.fstat(target.fileno()).st_ino)
                            shutil.copyfileobj(source, target, BLOCK)
            # not flushed file by file: on a slow disk thousands of them would take minutes
            replace(unfinished, folder)
    return folder


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[tuple[Path, Callable[[int], object]]]:
    """A new folder beside `folder` to make that in, gone at the end, and a function that notes a file in it.

    The journal in it has the inodes of its files, those of a workplace inside it too. What a killed run left is
    removed by the next: of its files those that are noted.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}.unpacking-"
    for left in folder.parent.glob(f"{glob.escape(prefix)}*"):
        _sweep(left)
    # of a name that nobody has: all that is removed at the end was made here
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    outer = folder.parent / JOURNAL
    with alone(work), open(outer if outer.is_file() else work / JOURNAL, "a", buffering=1, encoding="ascii") as journal:
        if not outer.is_file():
            journal.write(f"{HEADER}\n")
        try:
            yield work, lambda inode: journal.write(f"{inode}\n")
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _sweep(left):
    """Remove what a killed run left of its workplace; with anything else in it, that stays."""
    journal = left / JOURNAL
    if left.is_symlink() or journal.is_symlink() or not journal.is_file():
        return
    with alone(left, wait=False) as free:  # its run holds it
        header, *lines = journal.read_bytes().decode("ascii", "replace").split("\n")
        if not free or header != HEADER:
            return
        noted = {int(line) for line in lines if line.isdigit()}
        for found, _, files in os.walk(left, topdown=False):
            for path in (Path(found, name) for name in files if Path(found, name) != journal):
                facts = path.lstat()
                if stat.S_ISREG(facts.st_mode) and facts.st_ino in noted:
                    path.unlink()
            if Path(found) == left and os.listdir(left) == [JOURNAL]:
                journal.unlink()
            with contextlib.suppress(OSError):  # something is in it
                os.rmdir(found)


def _chosen(entries, archive, members):
    """The entries that are a member or lie in one, in the archive's order."""
    if members is None:
        return entries
    chosen = set()
    for member in [members] if isinstance(members, str) else members:
        found = {entry for entry in entries if entry.name == member or entry.name.startswith(f"{member}/")}
        if not found:
            held = ", ".join(entry.name for entry in entries[:5]) + (" …" if len(entries) > 5 else "")
            raise ValueError(f"{archive} has no member {member!r}: it holds {held or 'nothing'}")
        chosen |= found
    return [entry for entry in entries if entry in chosen]


def _checked(entries, archive, limit):
    """The entries as a list with tidy names, once each of them and all together are found harmless."""
    kept, total = [], 0
    for entry in entries:
        if fault := _fault(entry):
            raise ValueError(f"{archive} is refused: its entry {entry.name!r} {fault}")
        kept.append(entry._replace(name=posixpath.normpath(entry.name)))
        total += entry.size
        if total > limit or len(kept) > MAX_ENTRIES:
            break
    files = {entry.name: entry for entry in kept if entry.kind == "file"}
    for row, entry in enumerate(kept):
        if entry.kind == "link":
            if entry.target not in files:
                raise ValueError(f"{archive} is refused: its entry {entry.name!r} is a link to "
                                 f"{entry.target!r}, which is no file of the archive")
            kept[row] = files[entry.target]._replace(name=entry.name)
    if sum(entry.size for entry in kept) > limit or len(kept) > MAX_ENTRIES:
        raise ValueError(f"{archive} is refused: it would unpack to more than {disk.megabytes(limit)} or "
                         f"{MAX_ENTRIES:,} files, as a decompression bomb does")
    return kept


def _fault(entry):
    """Why an entry is refused, as the end of a sentence, or None."""
    if entry.kind not in ("file", "folder", "link"):
        return f"is {entry.kind}"
    if not entry.name or "\0" in entry.name:
        return "has no name, or one with a NUL"
    # a backslash and a drive mean nothing here, and lead out of the folder on Windows
    if entry.name.startswith("/") or "\\" in entry.name or re.match("[A-Za-z]:", entry.name):
        return "has an absolute path or a backslash"
    return "leaves the folder" if ".." in entry.name.split("/") else None


@contextlib.contextmanager
def _reading(path):
    """The entries of an archive, one after the other, and a function that opens a file's content."""
    import gzip
    import tarfile
    import zipfile
    import zlib

    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(0)
        try:
            if start in (b"PK\3\4", b"PK\5\6"):  # the second begins an empty zip
                with zipfile.ZipFile(file) as archive:
                    yield map(_zip_entry, archive.infolist()), archive.open
            else:
                plain = gzip.GzipFile(fileobj=file) if start[:2] == b"\x1f\x8b" else file
                with tarfile.open(fileobj=_Headers(plain), mode="r:") as archive:
                    yield map(_tar_entry, archive), archive.extractfile
        except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError,
                NotImplementedError) as error:
            raise ValueError(f"{path} can't be unpacked ({error}): it is damaged, "
                             "or no zip, tar or tar.gz") from error


def _zip_entry(record):
    mode = stat.S_IFMT(record.external_attr >> 16)  # 0 where the archive was made on Windows
    kind = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder"}.get(mode, "a link or a device")
    if record.is_dir():
        kind = "folder"
    if record.flag_bits & 1:
        kind = "encrypted"
    return _Entry(record.orig_filename, record.file_size, kind, record)  # the other name ends at a NUL


def _tar_entry(record):
    kind = ("file" if record.isreg() else "folder" if record.isdir()
            else "link" if record.issym() or record.islnk() else "a device")
    beside = posixpath.dirname(record.name) if record.issym() else ""
    target = posixpath.normpath(posixpath.join(beside, record.linkname)) if kind == "link" else ""
    return _Entry(record.name, record.size if kind == "file" else 0, kind, record, target)


class _Headers:
    """A tar's bytes in pieces: tarfile reads a header of any length that is claimed at once."""

    def __init__(self, file):
        self.file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size):
        if size > BLOCK:
            raise ValueError(f"a tar header of {size:,} bytes is refused")
        return self.file.read(size)
