"""Single files, written whole; room on the disk for a long write; and one process at a time in a folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# what reading a damaged document runs into
STUMBLES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, EOFError, MemoryError)
FULL = {errno.ENOSPC, errno.EDQUOT}
KEPT = "What was there before is kept: make room and run the same again."


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Raises:
        OSError: ENOSPC, which names the folder, where its disk is full.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with atomic_path(f"{folder}/new.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     os.listdir(folder)
    ['new.txt']
    """
    path = Path(path)
    if path.name.startswith(".partial-"):  # a file of a Commit, which takes its place with the others
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with room(path.parent, lambda: None, then=KEPT):
        temporary = temporary_file(path.parent, path.suffix)
        try:
            yield temporary
            replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def replace(temporary: str | os.PathLike, path: str | os.PathLike) -> None:
    """Put a finished file or folder in the place of `path`, on the same disk, for good."""
    flush(temporary)
    os.replace(temporary, path)
    flush(Path(path).parent)


def write_json(path: str | os.PathLike, document: object, *, indent: int | None = 2) -> None:
    """`document` as UTF-8 JSON, atomically; NaN is refused, since JSON has none.

    Args:
        indent: spaces a level; None for one line, which takes a twentieth of the time.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(f"{folder}/a.json", {"seeds": 5})
    ...     Path(folder, "a.json").read_text()
    '{\\n  "seeds": 5\\n}\\n'
    """
    text = json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        # a path that is not UTF-8 holds surrogates; "\\udcff" is what JSON calls one
        temporary.write_bytes((text + "\n").encode("utf-8", "backslashreplace"))


def read_json(path: str | os.PathLike) -> Any:
    """The document in a JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not JSON, or nested too deep.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(f"{folder}/a.json", {"seeds": 5})
    ...     read_json(f"{folder}/a.json")
    {'seeds': 5}
    """
    content = Path(path).read_bytes()
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}): it is damaged, make it again") from error


def temporary_file(folder: Path, suffix: str) -> Path:
    """A new empty file; unlike tempfile's it has the permissions of any other new file."""
    path = folder / f".partial-{os.urandom(6).hex()}{suffix}"
    path.touch(exist_ok=False)
    return path


def flush(path: str | os.PathLike) -> None:
    """Push a file's or a folder's content to the disk, so that a rename after it is safe."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(path: str | Path, *, algorithm: str = "sha256") -> str:
    """The hex digest of a file's content, read in blocks.

    >>> digest("/dev/null")[:12]
    'e3b0c44298fc'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def stamp(path: str | Path) -> tuple[int, int]:
    """Size of a file in bytes and when it was last changed, in ns: while both stay, so does its content.

    A copy, a move or an archive may set the time of its content (mtime) back, but not the system's own (ctime).

    Raises:
        OSError: if there is no such file.

    >>> stamp("/dev/null")[0]
    0
    """
    status = os.stat(path)
    return status.st_size, status.st_ctime_ns if os.name == "posix" else status.st_mtime_ns


@contextlib.contextmanager
def room(folder: str | os.PathLike, left: Callable[[], int | None], *, then: str) -> Iterator[None]:
    """Guard a block that writes under `folder`: the error of a full disk says how much room is lacking.

    Args:
        left: a function that gives the bytes still to write, None where that is unknown.
        then: the end of the error's sentence, what is kept and what to do.
    Raises:
        OSError: ENOSPC, before the block or out of it, when the disk can't take the bytes.
    """
    if (size := left()) and size > shutil.disk_usage(folder).free:
        raise _full(folder, left(), then)
    try:
        yield
    except OSError as error:
        told = getattr(error, "folder", folder)  # of a block within, which has named its disk
        if error.errno not in FULL or not Path(told).is_relative_to(folder):
            raise
        raise _full(folder, left(), then) from error


def writable(folder: str | os.PathLike) -> bool:
    """Whether a folder, or the nearest one above it that is there, can be written to; nothing is made.

    >>> writable("/tmp/not/there/yet"), writable("/dev/null/folder")
    (True, False)
    """
    above = next(place for place in (Path(folder), *Path(folder).absolute().parents) if os.path.lexists(place))
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def written(path: str | os.PathLike, size: int) -> None:
    """Check that a file has the size that was written to it: some libraries ignore a full disk.

    Raises:
        OSError: ENOSPC.

    >>> written("/dev/null", 0)
    """
    if (there := Path(path).stat().st_size) != size:
        raise _full(Path(path).parent, size - there, KEPT)


def megabytes(size: int) -> str:
    """A number of bytes as text, in megabytes where it is large.

    >>> megabytes(862182613)
    '862.2 MB'
    """
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"


@contextlib.contextmanager
def alone(folder: str | os.PathLike, *, wait: bool = True) -> Iterator[bool]:
    """Lock a folder for the block; the folder is made where it is not there.

    The folder itself is locked (flock), so that no file is left in it, and the lock goes with the process, however
    that ends. Where the system has no such locks nobody waits.

    Args:
        wait: until the others have left, be it a block of this process; else the block is entered at once.
    Yields:
        whether the lock is ours; False only with wait=False, where another process holds it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, alone(folder), alone(folder, wait=False) as mine:
    ...     mine
    False
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield True
        return
    handle = _locked(Path(folder), fcntl, wait)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)


def _full(folder, size, then):
    there = next(place for place in (Path(folder), *Path(folder).absolute().parents) if place.is_dir())
    free = megabytes(shutil.disk_usage(there).free)
    lack = (f"more than the {free} free are needed" if size is None else
            f"{megabytes(size)} more are needed, {free} free")
    error = OSError(f"the disk of {folder} is full: {lack}. {then}")
    error.folder = Path(folder)
    error.errno = errno.ENOSPC  # set afterwards: as an argument it would put "[Errno 28]" before the sentence
    return error


def _locked(folder, fcntl, wait):
    """An open handle that holds the lock of a folder, or None where another has it."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # removed between the two lines
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:  # a file system without locks
            return handle
        # who held it before may have removed the folder, and another may have made it anew
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(folder), os.fstat(handle)):
                return handle
        os.close(handle)
