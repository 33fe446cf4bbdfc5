"""Room on the disk: checked before a long write, and plain errors when it runs out during one."""

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


def _full(folder, size, then):
    need = "an unknown amount more is" if size is None else f"{megabytes(size)} more are"
    free = megabytes(shutil.disk_usage(folder).free)
    error = OSError(f"the disk of {folder} is full: {need} needed, {free} free. {then}")
    error.errno = errno.ENOSPC  # set afterwards: as an argument it would put "[Errno 28]" before the sentence
    return error
