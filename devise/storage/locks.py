"""One process at a time in a folder; the lock goes with the process, however that ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(folder: str | os.PathLike, *, wait: bool = True) -> Iterator[bool]:
    """Lock a folder for the block; the folder is made where it is not there.

    The folder itself is locked (flock), so that no file is left in it. Where the system has no such
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
