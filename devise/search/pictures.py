"""The pictures of an index, on this disk or behind URLs, and the small copies of them that it may keep."""

from __future__ import annotations

import contextlib
import io
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from PIL import Image

from devise import storage
from devise.datasets import ImageSet, Skipped, read_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from devise.search.engine import Search

SMALL = 360  # the shorter side of a small copy, in pixels: 180 on a screen of two pixels a point
LONG = 3  # times its shorter side is the most of a small copy's longer one
QUALITY = 82
FETCHED = 100_000_000  # bytes of a picture behind a URL, at most
AT_ONCE = 16  # pictures that are fetched and copied together
SEGMENTS = 8  # files of thumbnails, beyond which they are made one
FILE, SUFFIX = "thumbnails", ".sqlite"
FIND, PUT = "SELECT jpeg FROM thumbnails WHERE sha256 = ?", "INSERT OR IGNORE INTO thumbnails VALUES (?, ?)"


def source(images: ImageSet, row: int, most: int = FETCHED) -> Path | bytes:
    """Where a picture can be read: its path on this disk, or its content, `most` bytes of it, from behind a URL.

    Raises:
        OSError: if it is on no disk, or can't be fetched; FileNotFoundError if it is gone.
        ValueError: if it is too large.
    """
    path = images.paths[row]
    return storage.read_url(path, most) if storage.is_url(path) else images.file(row)


def small_copy(pixels: NDArray[np.uint8]) -> bytes:
    """A picture as a JPEG whose shorter side is SMALL pixels, and its longer one LONG times that at most."""
    return jpeg(pixels, _small((pixels.shape[1], pixels.shape[0])))


def jpeg(pixels: NDArray[np.uint8], box: tuple[int, int], *, progressive: bool = False) -> bytes:
    """A picture within a box (width, height) as a JPEG without EXIF."""
    picture, held = Image.fromarray(pixels), io.BytesIO()
    picture.thumbnail(box, Image.Resampling.LANCZOS)
    picture.save(held, "JPEG", quality=QUALITY, progressive=progressive)
    return held.getvalue()


def _small(shape):
    """The box that makes a picture's shorter side SMALL, and its longer one LONG times that at most."""
    scale = SMALL / min(shape)
    longer = round(max(shape) * scale)
    if longer > LONG * SMALL:
        return LONG * SMALL, LONG * SMALL
    return tuple(SMALL if side == min(shape) else longer for side in shape)


def shown(search: Search, row: int) -> Path | NDArray[np.uint8] | None:
    """What a drawing shows of a picture: its file, else its thumbnail or what is behind its URL; None for nothing."""
    with contextlib.suppress(OSError):
        if (file := search.images.file(row)).is_file():
            return file
    with contextlib.suppress(OSError, ValueError, ImportError):
        return read_image(search.thumbnail(row) or source(search.images, row))
    return None


class Thumbnails:
    """Small copies of pictures by the SHA-256 of their files' content: what has changed has none until it is made.

    They lie in SQLite files beside an index, each written once; any number of threads may read.

    Args:
        files: {name in the manifest: path} of those that are saved.

    >>> Thumbnails().get(bytes(32)) is None
    True
    """

    def __init__(self, files: Mapping[str, Path] = MappingProxyType({})) -> None:
        self._lock = threading.Lock()
        self._new = _created("")  # a file of SQLite's own, gone when it is closed
        self._saved = {name: (path, _opened(path)) for name, path in files.items()}

    @classmethod
    def join(cls, several: Iterable[Thumbnails]) -> Thumbnails:
        """Those of several indexes, to be read."""
        whole = cls()
        for number, one in enumerate(several):
            whole._saved |= {f"{number}-{name}": held for name, held in one._saved.items()}
        return whole

    def get(self, content: bytes) -> bytes | None:
        """The JPEG of the picture whose content has this digest (32 bytes), or None.

        Raises:
            OSError: if a file of them is damaged.
        """
        with self._lock:
            for connection in (self._new, *(connection for _, connection in self._saved.values())):
                try:
                    found = connection.execute(FIND, (content,)).fetchone()
                except sqlite3.DatabaseError as error:
                    raise OSError(f"the thumbnails are damaged ({error}): index the pictures again") from error
                if found:
                    return found[0]
        return None

    def make(self, images: ImageSet, contents: NDArray, progress: Callable | None = None) -> tuple[Skipped, ...]:
        """Make those that are lacking.

        Args:
            contents: `devise.features.table.CONTENT` (n,) of the images.
        Returns:
            the pictures that have none, and why.
        """
        digests = [digest.tobytes() for digest in contents["sha256"]]
        lacking = [row for row, digest in enumerate(digests) if self.get(digest) is None]
        lost, done = [], len(images) - len(lacking)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(lacking), 4 * AT_ONCE):
                rows = lacking[start:start + 4 * AT_ONCE]
                made = pool.map(lambda row: _made(images, row, digests[row]), rows)
                for row, copy in zip(rows, made, strict=True):
                    if isinstance(copy, str):
                        lost.append(Skipped(images.paths[row], copy))
                    else:
                        with self._lock:
                            self._new.execute(PUT, (digests[row], copy))
                    done += 1
                    if progress:
                        progress(done, len(images))
        return tuple(lost)

    def save(self, commit: storage.Commit, contents: NDArray) -> None:
        """Write those of these contents; what others there are is forgotten.

        A file that holds nothing to forget stays as it is where the index has it already.
        """
        wanted = {digest.tobytes() for digest in contents["sha256"]}
        kept = {name for name, (path, connection) in self._saved.items()
                if path.parent == commit.folder and set(_digests(connection)) <= wanted}
        if len(kept) >= SEGMENTS:
            kept = set()
        for name in kept:
            commit.keep(name)
        others = [connection for name, (_, connection) in self._saved.items() if name not in kept]
        written = next(name for name in map(f"{FILE}-{{}}{SUFFIX}".format, count()) if name not in self._saved)
        with self._lock:
            rows = [(connection, digest) for connection in (*others, self._new) for digest in _digests(connection)
                    if digest in wanted]
            if not rows and kept:
                return
            path = commit.file(written)
            with contextlib.closing(_created(str(path))) as fresh, fresh:
                fresh.executemany(PUT, ((digest, connection.execute(FIND, (digest,)).fetchone()[0])
                                        for connection, digest in rows))


def _made(images, row, digest):
    """A small copy, or why there is none."""
    try:
        if (pixels := images.held(row)) is None:
            found = source(images, row)
            content = found if isinstance(found, bytes) else found.read_bytes()
            if sha256(content).digest() != digest:
                return "its content is not that of its features: extract them again"
            pixels = read_image(content, least_side=SMALL)
        return small_copy(pixels)
    except (OSError, ValueError, ImportError) as error:
        return str(error).removeprefix("the picture: ")


def _created(path):
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")  # a Commit is what makes it whole
    connection.execute("CREATE TABLE thumbnails (sha256 BLOB PRIMARY KEY, jpeg BLOB)")
    return connection


def _opened(path):
    """A file of thumbnails, only to be read; what else SQL in it says is not trusted."""
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _digests(connection):
    try:
        return [digest for digest, in connection.execute("SELECT sha256 FROM thumbnails")]
    except sqlite3.DatabaseError:  # a damaged file holds nothing
        return []
