"""What a camera wrote into an image file: when and where it was taken, and with what (EXIF)."""

from __future__ import annotations

import math
import os
import re
import warnings
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import ExifTags, Image

from devise.datasets.images import opened

if TYPE_CHECKING:
    from devise.datasets.base import ImageSet

FIRST_PHOTOGRAPH = 1826  # by Niépce: what is said to be older is a clock that was never set
LONGEST = 100  # signs of a camera's name
DATE = re.compile(r"\s*(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)(?:[ T]+(\d\d?):(\d\d)(?::(\d\d))?)?")
TURNED = (5, 6, 7, 8)  # orientations in which width and height change places
_BASE, _GPS = ExifTags.Base, ExifTags.GPS


class Metadata(NamedTuple):
    """What is known of how an image was taken; None where the file does not say it.

    Attributes:
        taken: the camera's own clock, "2024-06-01T18:30:00", or the day alone; of no time zone.
        camera: make and model.
        latitude, longitude: degrees, north and east positive.
        width, height: of the upright image, in pixels.

    >>> Metadata("2024-06-01T18:30:00", "Google Pixel 8").camera
    'Google Pixel 8'
    """

    taken: str | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    width: int | None = None
    height: int | None = None


def read_metadata(path: str | os.PathLike) -> Metadata | None:
    """The metadata of an image file, from its header; what is damaged or makes no sense in it is left out.

    The date is that of the exposure, else of the digitising, else of the last change.

    Returns:
        Metadata, or None if no image can be read there.

    >>> read_metadata("a picture that is not there.jpg") is None
    True
    """
    try:
        with opened(path) as image, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of damaged EXIF
            base, photo, place = _exif(image)
            dates = (photo.get(_BASE.DateTimeOriginal), photo.get(_BASE.DateTimeDigitized), base.get(_BASE.DateTime))
            turned = image.format != "TIFF" and base.get(_BASE.Orientation) in TURNED  # Pillow has turned a TIFF
            width, height = image.size[::-1] if turned else image.size
            latitude, longitude = _place(place)
            return Metadata(next(filter(None, map(_date, dates)), None),
                            _camera(_text(base.get(_BASE.Make)), _text(base.get(_BASE.Model))), latitude, longitude,
                            width, height)
    except (ValueError, OSError):
        return None


def metadata_of(images: ImageSet) -> list[Metadata | None]:
    """The metadata of each image of a set; of one in memory its size alone, None where there is no file.

    >>> from devise.datasets import open_images
    >>> import numpy as np
    >>> metadata_of(open_images(np.zeros((30, 40, 3), np.uint8)))[0].width
    40
    """
    found: list[Metadata | None] = []
    for row in range(len(images)):
        held = images.held(row)
        if held is not None:
            found.append(Metadata(width=held.shape[1], height=held.shape[0]))
            continue
        try:
            found.append(read_metadata(images.file(row)))
        except FileNotFoundError:  # it is on no disk of this machine
            found.append(None)
    return found


def _exif(image):
    """The three tables of an image's EXIF, each empty where it can't be read."""
    tables: list[dict] = [{}, {}, {}]
    try:
        exif = Image.Image.getexif(image)  # a PNG's own decodes all pixels, for what may stand behind them
        tables[0] = dict(exif)
        for place, name in ((1, ExifTags.IFD.Exif), (2, ExifTags.IFD.GPSInfo)):
            tables[place] = exif.get_ifd(name)
    except Exception:  # a damaged file may raise anything in a decoder
        pass
    return tables


def _text(value: Any) -> str:
    """A text of EXIF in one line, without what follows a zero byte; "" for anything else."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    shown = "".join(sign if sign.isprintable() else " " for sign in value.partition("\0")[0])
    return " ".join(shown.split())[:LONGEST]


def _date(value: Any) -> str | None:
    """A date of EXIF as ISO 8601 writes it; None for one that no calendar has."""
    if not (found := DATE.match(_text(value))):
        return None
    year, month, day, hour, minute, second = (int(number) for number in found.groups(default="0"))
    try:
        taken = date(year, month, day).isoformat()
    except ValueError:
        return None
    if year < FIRST_PHOTOGRAPH:
        return None
    told = found[4] and hour < 24 and minute < 60 and second < 60
    return f"{taken}T{hour:02}:{minute:02}:{second:02}" if told else taken


def _camera(make: str, model: str) -> str | None:
    """Make and model, the make once: many models begin with it."""
    if make and model.casefold().startswith(make.split()[0].casefold()):
        return model
    return f"{make} {model}".strip() or None


def _place(gps: dict) -> tuple[float, float] | tuple[None, None]:
    """Latitude and longitude in degrees; none where one is missing or impossible, or both are 0, as without a fix."""
    latitude = _degrees(gps.get(_GPS.GPSLatitude), gps.get(_GPS.GPSLatitudeRef), "NS", 90)
    longitude = _degrees(gps.get(_GPS.GPSLongitude), gps.get(_GPS.GPSLongitudeRef), "EW", 180)
    if latitude is None or longitude is None or latitude == longitude == 0:
        return None, None
    return latitude, longitude


def _degrees(value: Any, side: Any, sides: str, most: int) -> float | None:
    side = _text(side)[:1].upper()
    try:
        parts = [float(part) for part in value]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    degrees = sum(part / 60 ** place for place, part in enumerate(parts[:3]))
    if not parts or not side or side not in sides or not math.isfinite(degrees) or not 0 <= degrees <= most:
        return None
    return -degrees if side == sides[1] else degrees
