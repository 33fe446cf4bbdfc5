"""Image files as RGB arrays: every odd kind is read one way, or refused with a short reason."""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import sys
import threading
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pi_heif import HeifImageFile
from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TgaImagePlugin import TgaImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from devise.storage import MARK

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".heic", ".heif", ".hif",
              ".gif", ".bmp", ".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga")
RAW = (".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".orf", ".raf", ".rw2", ".rwl", ".pef",
       ".srw", ".3fr", ".iiq", ".x3f", ".raw")
RAW_REASON = "a camera's raw picture, which is not read: save it as jpg or png"
KINDS = "jpg, png, webp, avif, heic, gif, bmp, tiff, jp2, ppm or tga"
MAX_PIXELS = 100_000_000
LARGE_PIXELS = 25_000_000  # from here on one picture at a time is decoded

_LARGE = threading.Lock()
_HELD = threading.Lock()  # Pillow reads an opened picture when it is first looked at

_ORIENTATION, _LIGHT = 0x0112, 262  # tags of EXIF and of TIFF, whose 0 there is white
_UPRIGHT = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90}

# How a file begins. Image.open warns about large pictures before our own limit is asked; its readers do not.
_READERS = tuple((re.compile(begin, re.DOTALL), reader) for begin, reader in (
    (rb"\xff\xd8\xff", JpegImageFile), (rb"\x89PNG\r\n\x1a\n", PngImageFile), (rb"GIF8[79]a", GifImageFile),
    (rb"RIFF.{4}WEBP", WebPImageFile), (rb"BM", BmpImageFile), (rb"II[*+]\0|MM\0[*+]", TiffImageFile),
    (rb".{4}ftyp(.{4})*avi[fs]", AvifImageFile), (rb".{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", HeifImageFile),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", Jpeg2KImageFile), (rb"P[1-7]\s", PpmImageFile),
    # a TGA has no signature: no colours and a kind without, or colours and a kind with; then bits of a pixel
    (rb".(\0[\x02\x03\x0a\x0b]\0{5}|\x01[\x01\x09].{4}[\x0f\x10\x18\x20]).{8}[\x08\x0f\x10\x18\x20]", TgaImageFile)))


def read_image(source: str | os.PathLike | bytes | Image.Image, *, max_pixels: int = MAX_PIXELS,
               least_side: int | None = None) -> NDArray[np.uint8]:
    """The first image in a file, upright, 8 bits a channel, its transparent parts on white.

    The content decides which kind it is: jpg, png, webp, avif, heic, gif, bmp, tiff, jp2, ppm or tga,
    whatever the name says. Values of 16 bits hold 8, 10, 12, 14 or 16, whatever the brightest of the picture
    needs, and keep the highest 8 of them. Grey values of unknown range (32-bit
    integers, floats) are stretched, the least to 0 and the greatest to 255.

    Args:
        source: the path of the file, its content as bytes, or a Pillow image.
        max_pixels: a picture with more pixels is refused before it is decoded.
        least_side: for a small copy in a fraction of the time: a JPEG is decoded at a half, a quarter
            or an eighth of its size, as long as both sides keep this many pixels.
    Returns:
        uint8 (h, w, 3), red, green, blue.
    Raises:
        ValueError: "<path>: <reason>" if the file is missing, unreadable, empty, truncated, too
            large or not a picture; "the picture: <reason>" where it is no path.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("L", (3, 2)).save(f"{folder}/grey.png")
    ...     read_image(f"{folder}/grey.png").shape
    (2, 3, 3)
    """
    held = isinstance(source, (bytes, Image.Image))
    try:
        if isinstance(source, Image.Image):
            with _HELD:
                return _decode(_within(source, max_pixels), least_side)
        with io.BytesIO(source) if isinstance(source, bytes) else _open(source) as file:
            return _decode(_header(file, max_pixels), least_side, again=lambda: _header(file, max_pixels))
    except _Refused as refusal:
        raise ValueError(f"{'the picture' if held else str(source)}: {refusal}") from refusal.__cause__


def check_image(path: str | os.PathLike, *, max_pixels: int = MAX_PIXELS) -> str | None:
    """Why a file can't be read as an image, as far as its header tells; None if nothing is wrong.

    Pixels are not decoded, so a file that is truncated behind its header passes. A drawing that devise
    wrote, such as a sheet of answers, is no picture of the user's.

    >>> check_image("cat that is not there.jpg")
    'no such file'
    """
    try:
        with opened(path, max_pixels=max_pixels) as image:
            told = image.info
    except _Refused as refusal:
        return str(refusal)
    return "a drawing that devise made" if {told.get("Software"), told.get("comment")} & {MARK, MARK.encode()} else None


def has_image(path: str | os.PathLike) -> bool:
    """Whether a file's content is that of a picture, as far as its header tells and whatever its name says."""
    try:
        with opened(path):
            return True
    except _Refused:
        return False


@contextlib.contextmanager
def opened(path: str | os.PathLike, *, max_pixels: int = sys.maxsize) -> Iterator[Image.Image]:
    """The image in a file as Pillow has it, its header read and its pixels not.

    Raises:
        ValueError: if it can't be read; the text is the reason.
    """
    with _open(path) as file:
        yield _header(file, max_pixels)


def check_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Check that an array is an image, uint8 (h, w, 3) with one pixel or more, and return it.

    Raises:
        ValueError: if it is not.
    """
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        hint = ", values from 0 to 255" if pixels.dtype.kind in "fiub" else ""
        raise ValueError(f"the picture is an array {pixels.dtype} {pixels.shape}: expected uint8 (h, w, 3){hint}")
    return pixels


class _Refused(ValueError):
    """Why a file is not read as a picture; its text is the reason."""


def _open(path):
    """The file, opened; only regular files are, since a pipe or a device may never answer."""
    if str(path).lower().endswith(RAW):  # as a TIFF it would be its thumbnail
        raise _Refused(RAW_REASON)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise _Refused("a folder, not a file")
        if not stat.S_ISREG(status.st_mode):
            raise _Refused("a pipe or a device, not a regular file")
        if status.st_size == 0:
            raise _Refused("zero bytes")
        return open(path, "rb")
    except FileNotFoundError as error:
        raise _Refused("no such file") from error
    except OSError as error:
        raise _Refused(f"can't be opened: {error.strerror}") from error


def _header(file, max_pixels):
    """The picture in an open file, its header read and its pixels not."""
    file.seek(0)
    begin = file.read(32)
    if not begin:
        raise _Refused("zero bytes")
    reader = next((reader for pattern, reader in _READERS if pattern.match(begin)), None)
    if reader is None:
        raise _Refused(f"not a picture: its content is no {KINDS}")
    try:
        file.seek(0)
        image = reader(file)
    except Image.DecompressionBombError as error:
        raise _Refused(f"more pixels than {max_pixels:,}") from error
    except Exception as error:  # a damaged file may raise anything in a decoder
        raise _Refused(f"damaged or unsupported {reader.format} header") from error
    return _within(image, max_pixels)


def _within(image, max_pixels):
    """A picture, if it has pixels and no more than are wanted."""
    width, height = image.size
    if not 0 < width * height <= max_pixels:
        raise _Refused(f"{width:,} x {height:,} pixels, more than {max_pixels:,}" if width * height else "no pixels")
    return image


def _decode(image, least_side, again=None):
    """The pixels of a picture whose header was read; `again` reads it anew."""
    try:
        tiles = list(image.tile) if again else []
        if least_side:
            image.draft(None, (least_side, least_side))
        width, height = image.size
        # one of 100 million pixels with transparency takes 1.8 GB, and every thread may meet such a one
        with _LARGE if width * height > LARGE_PIXELS else contextlib.nullcontext():
            image.load()
            if tiles and image.mode in ("RGB", "RGBA") and ";16" in _kind(tiles[0]):
                _brighten(image, again)
            white_is_zero = image.mode.startswith("I;16") and image.format == "TIFF" and not image.tag_v2.get(_LIGHT, 1)
            pixels = np.array(_rgb(_upright(image)))
            return 255 - pixels if white_is_zero else pixels  # of 8 bits Pillow turns it itself
    except Exception as error:  # a damaged file may raise anything in a decoder
        if "truncated" in str(error):
            raise _Refused(f"truncated {image.format}") from error
        detail = str(error) or type(error).__name__
        raise _Refused(f"damaged or unsupported {image.format} ({detail})") from error


def _kind(tile):
    """How Pillow unpacks a tile, "RGB;16B"."""
    return tile.args if isinstance(tile.args, str) else tile.args[0]


def _brighten(image, again):
    """Let a picture whose 16-bit colours hold fewer bits be as bright as it is; Pillow kept their high bytes."""
    high = np.asarray(image)[..., :3]
    if high.max() >= 64:
        return
    low = again()
    for place, tile in enumerate(low.tile):  # read in the other order of bytes, they are the low ones
        kind, native = _kind(tile), "L" if sys.byteorder == "little" else "B"
        other = kind[:-1] + ("B" if kind[-1].replace("N", native) == "L" else "L")
        low.tile[place] = tile._replace(args=other if isinstance(tile.args, str) else (other, *tile.args[1:]))
    low.load()
    values = high.astype(np.uint16) << 8 | np.asarray(low)[..., :3]
    image.paste(Image.merge(image.mode, (*Image.fromarray(_eight_bits(values)).split(), *image.split()[3:])))


def _upright(image):
    """The picture turned as its EXIF orientation says; Pillow has already turned a TIFF."""
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # damaged EXIF says nothing about the pixels
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _rgb(image):
    if image.mode.startswith("I;16"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_stretched(np.asarray(image, dtype=np.float64)))
    if image.has_transparency_data:
        above = image if image.mode == "RGBA" else image.convert("RGBA")  # it would copy
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), above)
        del above
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values):
    """The highest 8 bits of uint16 that hold 8, 10, 12, 14 or 16: cameras write 12 as they are, scanners scale."""
    bits = max(8, int(values.max()).bit_length())
    return (values >> (bits + bits % 2 - 8)).astype(np.uint8)


def _stretched(values):
    """Numbers of unknown range as uint8: the least is 0 and the greatest 255."""
    finite = np.isfinite(values)
    low, high = values.min(where=finite, initial=np.inf), values.max(where=finite, initial=-np.inf)
    if not low < high:
        return np.zeros(values.shape, np.uint8)
    return np.rint((np.where(finite, values, low) - low) * (255 / (high - low))).astype(np.uint8)
