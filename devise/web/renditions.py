"""Small copies of the index's pictures: made anew, so that nothing of a file but its pixels goes out."""

import hashlib
import io
from typing import NamedTuple

from PIL import Image

from devise import storage
from devise.datasets import read_image
from devise.web.answers import Refused
from devise.web.recent import Recent

SMALL = 360  # the shorter side of a tile's copy, in pixels: 180 on a screen of two pixels a point
LARGE = 1600  # the longer side of the one to look at
LONG = 3  # times its shorter side is the most of a small copy's longer one
SIZES = ("small", "large")
QUALITY = 82


class Rendition(NamedTuple):
    """A JPEG, and the tag that changes when the file does."""

    content: bytes
    etag: str


class Renditions:
    """Copies of the pictures of an ImageSet, by row; those used last are kept.

    A copy has no EXIF, which may hold a place or a name, and stands upright.

    Args:
        images: ImageSet.
        cache_bytes: how much is kept.
    """

    def __init__(self, images, cache_bytes):
        self.images = images
        self._recent = Recent(cache_bytes, size=lambda rendition: len(rendition.content))

    def get(self, row, size="small"):
        """The copy of a picture.

        Raises:
            Refused: if its file is gone or can't be read.
        """
        path, stamp = self._file(row)
        key = (row, size, *stamp)
        return self._recent.get(key, lambda: Rendition(self._made(row, path, size), self._etag(key)))

    def etag(self, row, size="small"):
        """The tag that `get` would give, without making the copy."""
        return self._etag((row, size, *self._file(row)[1]))

    def _etag(self, key):
        text = repr((self.images.paths[key[0]], *key))
        return f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'

    def _file(self, row):
        try:
            path = self.images.file(row)
            return path, storage.stamp(path)
        except OSError:
            raise Refused(404, "missing_file", f"the file of picture {row} is no longer where it was when it was "
                          "indexed") from None

    def _made(self, row, path, size):
        try:
            pixels = read_image(path, least_side=SMALL if size == "small" else LARGE)
        except ValueError as error:
            reason = str(error).removeprefix(f"{path}: ")  # the path is nobody's business
            raise Refused(404, "unreadable_file", f"the file of picture {row} can't be read: {reason}") from None
        picture = Image.fromarray(pixels)
        box = _small(picture.size) if size == "small" else (LARGE, LARGE)
        picture.thumbnail(box, Image.Resampling.LANCZOS)
        held = io.BytesIO()
        picture.save(held, "JPEG", quality=QUALITY, progressive=size == "large")
        return held.getvalue()


def _small(shape):
    """The box that makes a picture's shorter side SMALL, and its longer one LONG times that at most.

    >>> _small((4000, 3000)), _small((9000, 100))
    ((480, 360), (1080, 1080))
    """
    scale = SMALL / min(shape)
    longer = round(max(shape) * scale)
    if longer > LONG * SMALL:
        return LONG * SMALL, LONG * SMALL
    return tuple(SMALL if side == min(shape) else longer for side in shape)
