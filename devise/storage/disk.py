"""The disk: room on it for a long write, plain errors when it runs out, and one process at a time in a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT}


@contextlib.contextmanager
def room(folder: str | os.PathLike, left: Callable[[], int | None], *, then: str) -> Iterator[None]:
    """Guard a block that writes under `folder`: the error of a full disk says how much room is lacking.

    Args:
        left: a function that gives the bytes still to write, None where that is unknown.
        then: the end of the error's sentence, what is kept and what to do.
    Raises:
        OSError: ENOSPC, before the block or out of it, when the disk can't take the bytes.

    >>> with room("/tmp", lambda: 10, then="run it again"):
    ...     pass
    """
    if (left() or 0) > shutil.disk_usage(folder).free:
        raise _full(folder, left(), then)
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
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

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     written(file.name, 0)
    """
    if (there := Path(path).stat().st_size) != size:
        raise _full(Path(path).parent, size - there, "What was there before is kept: make room and save again.")


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
    that ends. Where the system has no such
    locks nobody waits. A block inside another on the same folder would wait for itself.

    Args:
        folder: which one.
        wait: until the others have left; else the block is entered at once.
    Yields:
        whether the lock is ours; False only with wait=False, where another process holds it.

    >>> with alone("/tmp/devise-doctest"), alone("/tmp/devise-doctest", wait=False) as mine:
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
    need = "an unknown amount more is" if size is None else f"{megabytes(size)} more are"
    free = megabytes(shutil.disk_usage(folder).free)
    error = OSError(f"the disk of {folder} is full: {need} needed, {free} free. {then}")
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
