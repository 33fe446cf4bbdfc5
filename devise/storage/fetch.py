"""Downloads: a file arrives whole and checked, and a cut one is resumed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import devise
from devise.storage import disk
from devise.storage.claims import is_ours, put
from devise.storage.disk import atomic_path, digest, flush, read_json, write_json

BLOCK = 2**18
PAUSE = 0.5  # seconds before a retry; each further one in a row waits twice as long
HEX_DIGITS = {"sha256": 64, "md5": 32}
BUSY = {408, 425, 429, 500, 502, 503, 504}  # answers that may be others next time
RESUMES = "What has arrived is kept: make room and run the same again, it resumes."


def fetch(url: str, path: str | os.PathLike, *, checksum: str | None, size: int | None = None,
          progress: Callable[[int, int | None], object] | None = None, retries: int = 4, timeout: float = 30,
          by_hand: str = "", passing: bool = False) -> Path:
    """Download a file, or leave it as it is where it is there already.

    What arrives is written to `<path>.part`, checked, and renamed. A cut connection is taken up
    where it broke, in this call and in the next one; a server that can't do that sends the whole
    file again. One process at a time may fetch to a path.

    Args:
        url: http or https; no other scheme is opened, in a redirect neither.
        path: where the file shall lie.
        checksum: "sha256:…" or "md5:…" of the file, or None for a file that nobody vouches for
            (`digest(path)` then says what came, and a later call begins anew).
        size: its number of bytes, where known.
        progress: called as progress(done, total), total None where the server doesn't say.
        retries: how many requests in a row may bring nothing before it gives up.
        timeout: seconds of silence that count as a cut connection.
        by_hand: the command that takes the file from elsewhere, for the errors.
        passing: whether the file is not to stay: a note remains beside it, by which `discard` knows it.
    Returns:
        `path` as a Path.
    Raises:
        ValueError: if the scheme is another, or the file has the wrong size or checksum.
        FileNotFoundError: if the server has no such file.
        FileExistsError: if another file, or a damaged one, is at `path` or `<path>.part`: it stays.
        ConnectionError: if there is no network, or it broke too often.
        OSError: if the disk is full, or the server refuses.

    >>> fetch("https://example.org/set.zip", "data/set.zip", checksum="sha256:617afb…")  # doctest: +SKIP
    PosixPath('data/set.zip')
    """
    if not re.fullmatch(r"https?://[!-~]+", url, re.IGNORECASE):
        raise ValueError(f"{url!r}: expected an address that begins with http:// or https://")
    path = Path(path)
    if _fault(path, checksum, size) is None:
        _tidy(path, passing)
        return path
    _refuse_other(path, checksum, size)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    note = _note(path)
    _claim(part, note)
    # without a checksum nobody could tell whether the two halves belong together
    if checksum is None or (size is not None and _length(part) > size):
        os.truncate(part, 0)
    by_hand = by_hand or f"devise.storage.bring(FILE, {str(path)!r}, checksum={checksum!r})"
    by_hand = f"\nBy hand: bring that file ({checksum or 'no checksum known'}) from elsewhere, then {by_hand}"
    try:
        if size is None or _length(part) < size:
            _Download(url, part, size, progress, timeout, by_hand).run(retries)
    finally:
        if not _length(part):  # nothing arrived
            part.unlink()
            note.unlink()
    if fault := _fault(part, checksum, size):
        part.unlink()
        note.unlink()
        raise ValueError(f"{url} {fault}. The wrong file was removed; should a second try end the same, "
                         "then the file was changed at its source")
    flush(part)
    put(part, path)
    _tidy(path, passing)
    flush(path.parent)
    return path


def discard(path: Path) -> None:
    """Remove a file that `fetch` brought with `passing`, in this call or an earlier one; any other stays."""
    note = _note(path)
    if is_ours(path, _inode(note)):
        path.unlink()
        note.unlink()


def _note(path):
    return path.with_name(f"{path.name}.part.json")


def _tidy(path, passing):
    """Remove the other name of a file that has arrived, and its note; a kill may have come before."""
    part, known = path.with_name(f"{path.name}.part"), _inode(_note(path))
    if is_ours(path, known):
        with contextlib.suppress(OSError):  # the folder may be for reading only
            if is_ours(part, known):
                part.unlink()
            if not passing:
                _note(path).unlink()


def bring(source: str | os.PathLike, path: str | os.PathLike, *, checksum: str | None, size: int | None = None) -> Path:
    """Copy a file that was brought by hand, checked as a download is; the source stays.

    Returns:
        `path` as a Path.
    Raises:
        FileNotFoundError: if there is no such source.
        FileExistsError: if another file, or a damaged one, is at `path`: it stays.
        ValueError: if it has the wrong size or checksum.
        OSError: if the disk is full.

    >>> bring("Downloads/glove.6B.zip", "pretrained/glove.6B.zip", checksum="sha256:617afb…")  # doctest: +SKIP
    PosixPath('pretrained/glove.6B.zip')
    """
    source, path = Path(source), Path(path)
    if _fault(path, checksum, size) is None:
        return path
    _refuse_other(path, checksum, size)
    verify(source, checksum=None, size=size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk.room(path.parent, lambda: _length(source), then="Make room and run the same again."):
        with atomic_path(path) as temporary:
            shutil.copyfile(source, temporary)
            if fault := _fault(temporary, checksum, size):
                raise ValueError(f"{source} {fault}: it is another file, or a damaged one")
    return path


def verify(path: str | os.PathLike, *, checksum: str | None, size: int | None = None) -> None:
    """Check a file's size and checksum.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has the wrong size or checksum.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     verify(file.name, checksum="md5:d41d8cd98f00b204e9800998ecf8427e", size=0)
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    if fault := _fault(Path(path), checksum, size):
        raise ValueError(f"{path} {fault}: it is another file, or a damaged one")


def _claim(part, note):
    """Begin a download, or go on with one of ours, whose note has its inode; refuse files of somebody else's."""
    known = _inode(note)
    if os.path.lexists(note) and known is None:
        raise FileExistsError(f"{note} is not one that devise wrote: move it away")
    # an empty one may be ours without its note, and nothing is lost with it
    if os.path.lexists(part) and not is_ours(part, known) and (part.is_symlink() or _length(part) or part.is_dir()):
        raise FileExistsError(f"{part} is not one that devise began: move it away")
    part.touch()
    write_json(note, {"kind": "part", "inode": os.stat(part).st_ino})


def _inode(note):
    """The inode in the note of a download, None where there is no such note."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        document = read_json(note)
        return document.get("inode") if document.get("kind") == "part" else None


def _refuse_other(path, checksum, size):
    """Refuse to write where another file has the name, or a damaged one."""
    if os.path.lexists(path):
        raise FileExistsError(f"{path} {_fault(path, checksum, size)}: it is another file, or a damaged one, and is "
                              "left as it is: move it away and run the same again")


class _Download:
    """A file on its way: `part` holds what has arrived, each request asks for the rest."""

    def __init__(self, url, part, size, progress, timeout, by_hand):
        self.url, self.part, self.size, self.by_hand = url, part, size, by_hand
        self.progress, self.timeout = progress or (lambda done, total: None), timeout
        self.total, self.answered = size, False
        self.version = None  # the server's name for this state of the file, for If-Range

    def run(self, retries):
        """Ask until all is there, or until `retries` further requests in a row brought nothing."""
        from urllib.error import HTTPError, URLError

        failures, reached = 0, _length(self.part)
        while True:
            try:
                return self._request()
            except HTTPError as answer:
                with answer:
                    if answer.code == 416:
                        if answer.headers.get("Content-Range") == f"bytes */{_length(self.part)}":
                            return None  # nothing is left to ask for
                        os.truncate(self.part, 0)  # else what we hold is of no use
                    elif answer.code in (404, 410):
                        raise FileNotFoundError(f"{self.url}: the server has no such file (HTTP {answer.code})"
                                                f"{self.by_hand}") from None
                    elif answer.code not in BUSY:
                        raise OSError(f"{self.url}: the server refuses, HTTP {answer.code} {answer.reason}"
                                      f"{self.by_hand}") from None
                self.answered, reason = True, f"HTTP {answer.code}"
            except URLError as error:
                if not self.answered:  # a machine without a network shall not wait for retries
                    reason = getattr(error.reason, "strerror", None) or error.reason
                    raise ConnectionError(f"{self.url} can't be reached: {reason}{self.by_hand}") from error
                reason = error.reason
            except ConnectionError as error:
                reason = error
            failures = 0 if _length(self.part) > reached else failures + 1
            reached = max(reached, _length(self.part))
            if failures > retries:
                raise ConnectionError(
                    f"{self.url}: {failures} requests in a row brought nothing ({reason}). The "
                    f"{disk.megabytes(_length(self.part))} that arrived are kept, the same call resumes"
                    f"{self.by_hand}")
            time.sleep(PAUSE * 2**failures)

    def _request(self):
        have = _length(self.part)
        headers = {"User-Agent": f"devise/{devise.__version__}", "Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-"} | ({"If-Range": self.version} if self.version else {})
        with contextlib.closing(_open(self.url, headers, self.timeout)) as answer:
            self.answered = True
            done = self._accept(answer, have)
            with disk.room(self.part.parent, lambda: self.total and self.total - _length(self.part), then=RESUMES):
                with open(self.part, "ab") as file:
                    while block := _read(answer):
                        file.write(block)
                        done += len(block)
                        self.progress(done, self.total)
                        if self.total is not None and done > self.total:
                            return  # too long: the check that follows says so
        if self.total is not None and done < self.total:
            raise ConnectionError(f"cut after {done:,} of {self.total:,} bytes")

    def _accept(self, answer, have):
        """Where in the file the answer's bytes begin; notes the file's length and version."""
        start, total = 0, answer.headers.get("Content-Length", "")
        if answer.status == 206:
            extent = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            start, total = (int(extent[1]), extent[2]) if extent else (-1, "")
            if start != have:
                os.truncate(self.part, 0)
                raise ConnectionError("the server sent another part than was asked for")
        self.total = int(total) if total.isdigit() else self.size
        if self.size not in (None, self.total):
            raise ValueError(f"{self.url} has {self.total:,} bytes, expected {self.size:,}: "
                             "it is another file, or a page in its place")
        tag = answer.headers.get("ETag", "")
        # a weak tag, W/"…", may name two files that differ in bytes
        self.version = tag if tag.startswith('"') else answer.headers.get("Last-Modified")
        if start == 0:
            os.truncate(self.part, 0)
        return start


def _open(url, headers, timeout):
    """The server's answer, through an opener of our own: the usual one also knows file: and ftp:."""
    from urllib import request

    opener = request.OpenerDirector()
    for handler in (request.ProxyHandler, request.UnknownHandler, request.HTTPHandler,
                    request.HTTPSHandler, request.HTTPDefaultErrorHandler,
                    request.HTTPRedirectHandler, request.HTTPErrorProcessor):
        opener.add_handler(handler())
    with _as_connection_error():
        return opener.open(request.Request(url, headers=headers), timeout=timeout)


def _read(answer):
    with _as_connection_error():
        return answer.read1(BLOCK)


@contextlib.contextmanager
def _as_connection_error():
    """One type for all the ways a connection breaks, apart from the disk's OSErrors."""
    from http.client import HTTPException
    from urllib.error import URLError

    try:
        yield
    except URLError:
        raise
    except (OSError, HTTPException) as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def _fault(path, checksum, size):
    """What is wrong with a file, as the end of a sentence, or None."""
    algorithm, _, expected = (checksum or "").lower().partition(":")
    if checksum is not None and len(expected) != HEX_DIGITS.get(algorithm):
        raise ValueError(f"checksum is {checksum!r}: expected sha256: and 64, or md5: and 32, hex digits")
    if not path.is_file():
        return "is not there"
    if size is not None and _length(path) != size:
        return f"has {_length(path):,} bytes, expected {size:,}"
    if checksum is None:
        return None
    found = digest(path, algorithm=algorithm)
    return None if found == expected else f"has {algorithm} {found}, expected {expected}"


def _length(path):
    """The bytes in a file, 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0
