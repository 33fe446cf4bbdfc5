"""Small copies of the index's pictures, made anew, so that nothing of a file but its pixels goes out, and the cache."""

import hashlib
import logging
import threading
from collections import OrderedDict
from typing import NamedTuple

from devise import storage
from devise.datasets import read_image
from devise.search.pictures import SMALL, jpeg, small_copy, source
from devise.web.answers import Refused

LOG = logging.getLogger("devise.web")
LARGE = 1600  # the longer side of the one to look at, in pixels
SIZES = ("small", "large")


class Rendition(NamedTuple):
    """A JPEG, the tag that changes when the file does, and whether it stands in for what can't be reached now."""

    content: bytes
    etag: str
    stands_in: bool = False


class Renditions:
    """Copies of the pictures of a Search, by row; those used last are kept.

    A copy has no EXIF, which may hold a place or a name, and stands upright. Only what the index lists is opened: a
    file, or a URL. Where a picture can't be had its thumbnail stands in, if the index keeps one.

    `cache_bytes` are kept, and `most` are read of a picture behind a URL.
    """

    def __init__(self, search, cache_bytes, most):
        self.search, self._most = search, most
        self._recent = Recent(cache_bytes, size=lambda rendition: len(rendition.content))

    def get(self, row, size="small"):
        """The copy of a picture.

        Raises:
            Refused: if its file is gone or can't be read, or the place behind its URL does not answer.
        """
        key = self._key(row, size)
        try:
            return self._recent.get(key, lambda: Rendition(self._made(row, size), self._etag(key)))
        except Refused:
            if content := self._thumbnail(row):
                return Rendition(content, self._etag((*key, "thumbnail")), stands_in=True)
            raise

    def etag(self, row, size="small"):
        """The tag that `get` would give, without making the copy."""
        return self._etag(self._key(row, size))

    def is_far(self, row):
        """Whether a picture must be fetched."""
        return storage.is_url(self.search.images.paths[row])

    def _etag(self, key):
        text = repr((self.search.images.paths[key[0]], *key))
        return f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'

    def _key(self, row, size):
        """What of a picture is asked for, and of which content: a file's stamp, else that of when it was indexed."""
        if not self.is_far(row):
            try:
                return (row, size, *storage.stamp(self.search.images.file(row)))
            except OSError:
                pass
        contents = self.search.contents
        return row, size, "" if contents is None else contents["sha256"][row].tobytes().hex()

    def _thumbnail(self, row):
        try:
            return self.search.thumbnail(row)
        except OSError as error:
            LOG.error("%s", error)
            return None

    def _made(self, row, size):
        if size == "small" and self.is_far(row) and (content := self._thumbnail(row)):
            return content
        pixels = self._pixels(row, SMALL if size == "small" else LARGE)
        return small_copy(pixels) if size == "small" else jpeg(pixels, (LARGE, LARGE), progressive=True)

    def _pixels(self, row, least_side):
        found = None
        try:
            found = source(self.search.images, row, self._most)
            return read_image(found, least_side=least_side)
        except FileNotFoundError:
            self._refuse_missing(row)
        except (OSError, ImportError) as error:
            LOG.error("picture %s: %s", row, error)
            raise Refused(503, "unreachable_picture", f"the place where picture {row} lies does not answer, or lets "
                          "nobody in: the server's log says why") from None
        except ValueError as error:
            reason = str(error).removeprefix(f"{found}: ").removeprefix("the picture: ")
            if reason == "no such file":
                self._refuse_missing(row)
            # where it lies is nobody's business
            reason = reason.replace(self.search.images.paths[row], "it")
            raise Refused(404, "unreadable_file", f"the file of picture {row} can't be read: {reason}") from None

    def _refuse_missing(self, row):
        raise Refused(404, "missing_file", f"the file of picture {row} is no longer where it was when it was "
                      "indexed") from None


class Recent:
    """Values by key, those used last up to a `limit` of the sum of their sizes, from any thread; None is no value.

    >>> recent = Recent(2)
    >>> for word in ["one", "two", "one", "three"]:
    ...     value = recent.get(word, lambda: word.upper())
    >>> "one" in recent, "two" in recent
    (True, False)
    """

    def __init__(self, limit, size=lambda value: 1):
        self.limit, self.held, self._size = limit, 0, size
        self._values, self._lock = OrderedDict(), threading.Lock()

    def __len__(self):
        return len(self._values)

    def __contains__(self, key):
        return key in self._values

    def peek(self, key):
        """The value of a key, or None where it is not held."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def get(self, key, make):
        """The value of a key, made where it is not held; two threads may both make it, outside the lock."""
        held = self.peek(key)
        if held is not None:
            return held
        value = make()
        with self._lock:
            if key not in self._values and self._size(value) <= self.limit:
                self._values[key] = value
                self.held += self._size(value)
            while self.held > self.limit:
                self.held -= self._size(self._values.popitem(last=False)[1])
        return value
