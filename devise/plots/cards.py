"""One card of a sheet: a picture letterboxed, a word, or a name where the picture is not on this disk.

A card is a square panel with two lines beneath it: what it shows, and its score with a mark that
says right or wrong in shape as well as in colour.
"""

import colorsys
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from devise.datasets.images import read_image
from devise.plots.lettering import LINE, SIZE, elide, face, tidy, write_centred

SIDE = 240  # the panel's side in pixels
HEIGHT = SIDE + 2 * LINE + 10  # the panel and its two lines
FRAME = 8
MARK = 30

INK, QUIET, PAPER, MAT, WORD = "#1f2933", "#56616d", "#ffffff", "#eef1f4", "#2f3e4e"
RIGHT, WRONG = "#0072b2", "#d55e00"  # Okabe and Ito's blue and vermilion, apart for every kind of eye
MARKS = {True: "✓", False: "✗"}


class Card(NamedTuple):
    """A picture on a sheet, with what is known about it.

    Attributes:
        picture: uint8 (h, w, 3), the path of a file, or None for a picture that is not here.
        label: its class, or whatever should stand beneath it.
        score: a cosine, or None.
        right: whether it counts as right; None where nobody says so.
        name: the file's name; taken from the path where one is given.

    >>> Card("lobster/3.jpg", label="lobster", score=0.83, right=True).score
    0.83
    """

    picture: object = None
    label: str = ""
    score: float | None = None
    right: bool | None = None
    name: str = ""


def draw_card(sheet, corner, card, *, query=False):
    """Draw a card into an image; `card` may be a word (a string).

    Args:
        sheet: PIL image, changed in place.
        corner: (x, y) of the upper left corner.
        query: frame it as the query of its row.
    """
    x, y = corner
    draw = ImageDraw.Draw(sheet)
    if isinstance(card, str):
        draw_panel(sheet, corner, card)
        draw.text((x + SIDE / 2, y + SIDE + 6), "word", font=face("word"), fill=QUIET, anchor="ma")
        return
    named = draw_panel(sheet, corner, card, query=query)
    # a card without a picture shows its label in the panel, and its file beneath
    text = _name(card) if named or not card.label else card.label
    text = elide(tidy(text), SIDE, middle=named)
    draw.text((x, y + SIDE + 6), text, font=face(text), fill=QUIET if named else INK)
    draw_score(draw, (x, y + SIDE + 6 + LINE), card)


def draw_panel(sheet, corner, card, *, query=False):
    """Draw the square of a card, without the lines beneath it.

    Returns:
        Whether its label stands in it, since the picture is not here.
    """
    x, y = corner
    if isinstance(card, str):
        sheet.paste(_written(card, WORD, PAPER), corner)
        return True
    picture, reason = _load(card.picture)
    frame = WORD if query else {True: RIGHT, False: WRONG}.get(card.right)
    if frame:
        ImageDraw.Draw(sheet).rectangle((x, y, x + SIDE - 1, y + SIDE - 1), fill=frame)
    inset = FRAME if frame else 0
    sheet.paste(_panel(card, picture, reason, SIDE - 2 * inset), (x + inset, y + inset))
    return picture is None and not reason


def draw_score(draw, corner, card):
    """Write a card's score, and the mark that says right or wrong, between `corner` and a card's width from it."""
    x, y = corner
    if card.right is not None:
        mark = MARKS[bool(card.right)]
        draw.text((x + SIDE, y - 4), mark, font=face(mark, MARK, bold=True), anchor="ra",
                  fill=RIGHT if card.right else WRONG)
    if card.score is not None:
        text = f"{card.score:.3f}".replace("-", "−")
        draw.text((x, y), text, font=face(text), fill=QUIET)


def class_colour(label):
    """A calm background for a class, the same on every sheet: "#rrggbb".

    >>> class_colour("crab") == class_colour("crab") != class_colour("crocodile")
    True
    """
    hue = int.from_bytes(hashlib.sha256(label.encode()).digest()[:2], "big") / 65536
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, 0.87, 0.5))


def letterbox(picture, side=SIDE, *, background=MAT):
    """A picture scaled to fit a square, whole and undistorted.

    Args:
        picture: uint8 (h, w, 3).
    Returns:
        PIL image (side, side).

    >>> letterbox(np.zeros((2, 4, 3), np.uint8), side=8).getpixel((4, 4))
    (0, 0, 0)
    """
    image = Image.fromarray(picture)
    scale = side / max(image.size)
    size = [max(1, round(length * scale)) for length in image.size]
    image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    square = Image.new("RGB", (side, side), background)
    square.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
    return square


def _load(picture):
    """The pixels, or None and the reason where a file is there but can't be read."""
    if picture is None:
        return None, ""
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise ValueError(f"a picture is {picture.dtype} {picture.shape}: expected uint8 (h, w, 3)")
        return picture, ""
    if not Path(picture).is_file():
        return None, ""
    try:
        return read_image(picture), ""
    except (ValueError, OSError) as error:
        return None, str(error).removeprefix(f"{picture}: ")


def _panel(card, picture, reason, side):
    if picture is not None:
        return letterbox(picture, side)
    if reason:
        return _written(f"{_name(card)} can't be read: {reason}", MAT, QUIET, side, largest=SIZE, bold=False)
    return _written(card.label or _name(card) or "?", class_colour(card.label), INK, side)


def _written(text, ground, ink, side=SIDE, **options):
    panel = Image.new("RGB", (side, side), ground)
    write_centred(panel, tidy(text), ink, **{"bold": True, **options})
    return panel


def _name(card):
    return card.name or (Path(card.picture).name if isinstance(card.picture, str | Path) else "")
