"""Sheets of pictures: queries with what was found, pictures with their tags."""

from __future__ import annotations

import colorsys
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from devise.datasets.images import read_image
from devise.figures import score
from devise.plots.style import INK, QUIET, SIZE, TITLE, checked_format, fitted, new_figure, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, GAP, MARGIN, LINE, BARS = 1.4, 0.14, 0.2, 0.17, 2.1  # inches: of a picture, between two, of a line, of bars
PIXELS = 320  # of a picture's longer side; more are not seen
MOST = 3  # lines of a label, and of a name, beneath a picture
FADED = 0.5  # of a weak picture's colours
LITTLE = 0.25  # lift's cosines are some hundredths
PALE = "#b3bcc5"
RIGHT, WRONG, DARK, MAT = "#0072b2", "#d55e00", "#2f3e4e", "#eef1f4"  # Okabe and Ito's blue and vermilion


class Card(NamedTuple):
    """A picture on a sheet, with what is known about it.

    Attributes:
        picture: uint8 (h, w, 3), the path of a file, or None for a picture that is not here.
        label: its class, or whatever should stand beneath it.
        score: a cosine, or None.
        right: whether it counts as right; None where nobody says so.
        name: the file's name; taken from the path where one is given.
        weak: whether the score is too low to be relied on; such a picture is paler.

    >>> Card("lobster/3.jpg", label="lobster", score=0.83, right=True).score
    0.83
    """

    picture: Any = None
    label: str = ""
    score: float | None = None
    right: bool | None = None
    name: str = ""
    weak: bool = False


class Row(NamedTuple):
    """A query and its hits, best first; the query is a word (a string) or a Card.

    >>> Row("ocean", (Card("beach.jpg", score=0.61),)).query
    'ocean'
    """

    query: str | Card
    hits: tuple[Card, ...]


class Compared(NamedTuple):
    """A query, and what each system found: {name: Cards, best first}. The query is a sentence or a Card.

    >>> Compared("a dog on a beach", {"learnt": (Card(label="two dogs"),)}).query
    'a dog on a beach'
    """

    query: str | Card
    answers: Mapping[str, Sequence[Card]]


class Tagged(NamedTuple):
    """A picture and its tags, best first: (word, score) or (word, score, weak); `right` holds the words that are right.

    >>> Tagged(Card("lobster/3.jpg"), (("crab", 0.83),)).tags[0]
    ('crab', 0.83)
    """

    card: Card
    tags: Sequence[tuple]
    right: frozenset | set = frozenset()


def sheet(rows: Iterable[Row | tuple], path: str | Path, *, title: str = "",
          columns: int | None = None) -> str | Path:
    """Draw queries and their hits, one row a query, and return the path of the file.

    A picture that is not on this disk becomes a card with its class and file name, one that
    can't be read a card that says why.

    Args:
        rows: Row(query, hits) or such pairs; the query is a word or a Card, hits are Cards.
        columns: hits in a line; more go on beneath. None: as many as the longest row has.
    Raises:
        ValueError: if there are no rows, columns is below 1, or an array is not uint8 (h, w, 3).

    >>> sheet([Row("ocean", (Card(label="beach", score=0.61),))], "sheet.png")  # doctest: +SKIP
    'sheet.png'
    """
    asked = [Row(query, tuple(hits)) for query, hits in rows]
    if not asked:
        raise ValueError("no rows to draw: expected at least one query with its hits")
    columns = max(1, *(len(row.hits) for row in asked)) if columns is None else columns
    if columns < 1:
        raise ValueError(f"columns is {columns}: expected 1 or more")
    parts = [("" if start else row.query, "", row.hits[start:start + columns])
             for row in asked for start in range(0, max(1, len(row.hits)), columns)]
    return _answers(parts, path, title, ("Best hit first.",))


def comparison_sheet(rows: Iterable[Compared | tuple], path: str | Path, *, title: str = "",
                     note: str = "") -> str | Path:
    """Draw what several systems answer to the same queries, and return the path of the file.

    Args:
        rows: Compared, or such pairs; beneath a card stand its label and its file's name, in up to three lines each.
        note: a line under the title.
    Raises:
        ValueError: if there is nothing to draw.

    >>> rows = [("a dog", {"raw": (Card(label="a cat"),), "learnt": (Card(label="a dog"),)})]
    >>> comparison_sheet(rows, "answers.png")  # doctest: +SKIP
    'answers.png'
    """
    asked = [Compared(*row) for row in rows]
    if not asked or not all(row.answers for row in asked):
        raise ValueError("no rows to draw: expected at least one query with the answers of one system")
    parts = [("" if place else row.query, name, tuple(found))
             for row in asked for place, (name, found) in enumerate(row.answers.items())]
    return _answers(parts, path, title, ([note] if note else []) + ["Best hit first."])


def tag_sheet(rows: Iterable[Tagged | tuple], path: str | Path, *, title: str = "", columns: int = 2,
              score: str = "cosine of picture and word") -> str | Path:
    """Draw pictures with their tags and scores as bars, and return the path of the file.

    All bars share one scale, from 0 to 1, or to the largest score where that is more, or so little that bars of it
    could not be told apart.

    Args:
        rows: Tagged(card, tags, right), or such tuples.
        columns: pictures in a line.
        score: what the scores are, for the note above the pictures.
    Raises:
        ValueError: if there are no rows, columns is below 1, or an array is not uint8 (h, w, 3).

    >>> tag_sheet([Tagged(Card(label="lobster"), (("crab", 0.83),))], "tags.png")  # doctest: +SKIP
    'tags.png'
    """
    tagged = [Tagged(*row) for row in rows]
    if not tagged:
        raise ValueError("no rows to draw: expected at least one picture with its tags")
    if columns < 1:
        raise ValueError(f"columns is {columns}: expected 1 or more")
    columns, largest = min(columns, len(tagged)), max((tag[1] for row in tagged for tag in row.tags), default=1.0)
    full = largest if largest > 1 or 0 < largest < LITTLE else 1.0
    height = max(max(_height([row.card]), 1.9 * LINE * len(row.tags)) for row in tagged) + GAP
    notes = [f"Bars: {score}, full length = {full:.3g}."]
    notes += ["✓ the picture's own label."] if any(row.right for row in tagged) else []
    notes += ["? weak: too low to be relied on."] if any(any(tag[2:]) for row in tagged for tag in row.tags) else []
    step = SIDE + BARS + 3 * GAP
    with styled():
        page = _Page(columns * step - GAP, -(-len(tagged) // columns) * height, title, notes, path)
        for place, row in enumerate(tagged):
            x, y = place % columns * step, place // columns * height
            page.card(x, y, row.card)
            _draw_bars(page.axes(x + SIDE + GAP, y, BARS, 1.9 * LINE * max(1, len(row.tags))), row, full)
        return save(page.figure, path)


def class_colour(label: str) -> tuple[float, float, float]:
    """A pale background for a class, the same on every sheet: red, green and blue from 0 to 1."""
    return colorsys.hls_to_rgb(int.from_bytes(hashlib.sha256(label.encode()).digest()[:2], "big") / 65536, 0.87, 0.5)


class _Page:
    """A figure with its title and notes; places are inches from the upper left corner beneath these."""

    def __init__(self, width: float, height: float, title: str, notes: Sequence[str], path: str | Path):
        checked_format(path)
        titles = fitted(title, width, 3, size=TITLE, weight="bold") if title else []
        notes = fitted(" ".join(notes), width, 5) if notes else []
        self._top = MARGIN + 0.22 * len(titles) + LINE * len(notes) + GAP
        self._width, self._height = width + 2 * MARGIN, self._top + height + MARGIN
        self.figure: Figure = new_figure(self._width, self._height, panels=0, layout=None)
        self._text(0, MARGIN - self._top, titles, size=TITLE, weight="bold", step=0.22)
        self._text(0, MARGIN - self._top + 0.22 * len(titles), notes, colour=QUIET)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Empty axes at a place."""
        axes = self.figure.add_axes(((MARGIN + x) / self._width, 1 - (self._top + y + height) / self._height,
                                     width / self._width, height / self._height))
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        for side in axes.spines.values():
            side.set_visible(False)
        return axes

    def card(self, x: float, y: float, card: Card | str, *, query: bool = False) -> None:
        """A picture, a word or what is known of a picture that is not here, and the lines beneath it."""
        word = card if isinstance(card, str) else None
        known = card if isinstance(card, Card) else Card()
        pixels, reason = (None, "") if word is not None else _pixels(known)
        axes = self.axes(x, y, SIDE, SIDE)
        axes.set(xlim=(0, 1), ylim=(1, 0))
        if pixels is not None:
            height, width = (length / max(pixels.shape[:2]) for length in pixels.shape[:2])
            axes.set_facecolor(MAT)
            axes.imshow(pixels, extent=((1 - width) / 2, (1 + width) / 2, (1 + height) / 2, (1 - height) / 2),
                        aspect="auto", interpolation="antialiased", alpha=FADED if known.weak else 1)
            axes.set(xlim=(0, 1), ylim=(1, 0))
        else:
            axes.set_facecolor(DARK if word is not None else MAT if reason else class_colour(known.label))
            said = (word if word is not None else f"{_name(known)} can't be read: {reason}" if reason else
                    known.label or _name(known) or "?")
            size, weight = (SIZE, "normal") if reason else (11, "bold")
            axes.text(0.5, 0.5, "\n".join(fitted(said, SIDE - 0.16, 6, size=size, weight=weight)), ha="center",
                      va="center", fontsize=size, color="white" if word is not None else INK, weight=weight)
        answer = None if known.right is None else RIGHT if known.right else WRONG  # of a word: None
        frame = DARK if query else answer
        for side in axes.spines.values():
            side.set(visible=frame is not None, color=frame or MAT, linewidth=3)
        if word is not None:
            return
        label, name = _beneath(known)
        self._text(x, y + SIDE + 0.05, label)
        self._text(x, y + SIDE + 0.05 + LINE * len(label), name, colour=QUIET if label else INK)
        y += SIDE + 0.05 + LINE * len(label + name)
        if known.score is not None:
            self._text(x, y, [score(known.score) + " weak" * known.weak], colour=QUIET)
        if known.right is not None:
            self._text(x + SIDE, y, ["✓" if known.right else "✗"], size=11,
                       colour=answer if answer and not query else INK, weight="bold", ha="right")

    def heading(self, x: float, y: float, text: str) -> None:
        """A line of its own above some cards."""
        self._text(x, y, [text], colour=QUIET, weight="bold")

    def _text(self, x: float, y: float, lines: Sequence[str], *, size: float = SIZE, colour: str = INK,
              step: float = LINE, **options: Any) -> None:
        """Lines beneath one another."""
        for place, line in enumerate(lines):
            self.figure.text((MARGIN + x) / self._width, 1 - (self._top + y + place * step) / self._height, line,
                             va="top", fontsize=size, color=colour, **options)


def _answers(parts: Sequence[tuple], path: str | Path, title: str, notes: Sequence[str]) -> str | Path:
    """A sheet of (query, or "" where it goes on, name of the system or "", cards) parts."""
    cards = [card for _, _, found in parts for card in found]
    notes = [*notes, *(["Number: cosine, at most 1."] if any(card.score is not None for card in cards) else []),
             *(["Paler and weak: below the threshold of the query."] if any(card.weak for card in cards) else []),
             *(["✓ right, ✗ wrong."] if any(card.right is False for card in cards) else [])]
    columns = max(1, *(len(found) for _, _, found in parts))
    tops, y = [], 0.0
    for query, name, found in parts:
        tops.append(y)
        y += (1.2 * LINE if name else 0) + _height([*found, *([query] if query else [])]) + GAP
    left = SIDE + 2 * GAP  # twice the gap: the query stands apart from its hits
    with styled():
        page = _Page(left + columns * (SIDE + GAP) - GAP, y - GAP, title, notes, path)
        for (query, name, found), top in zip(parts, tops, strict=True):
            start = top + (1.2 * LINE if name else 0)
            if name:
                page.heading(left, top, name)
            if query:
                page.card(0, start, query, query=True)
            if query and not found:
                page.heading(left, start + SIDE / 2, "no hits")
            for place, card in enumerate(found):
                page.card(left + place * (SIDE + GAP), start, card)
        return save(page.figure, path)


def _draw_bars(axes: Axes, row: Tagged, full: float) -> None:
    """Each tag above its bar, its score to the right."""
    for place, (word, value, *weak) in enumerate(row.tags):
        colour = RIGHT if word in row.right else PALE if any(weak) else QUIET
        axes.barh(place + 0.75, full, height=0.32, color=MAT)
        axes.barh(place + 0.75, max(value, 0), height=0.32, color=colour)
        right = word in row.right
        weight = "bold" if right else "normal"
        said, = fitted(f"✓ {word}" if right else f"? {word}" if any(weak) else word, BARS - 0.6, 1, weight=weight)
        axes.text(0, place + 0.5, said, va="bottom", fontsize=SIZE, color=INK, weight=weight)
        axes.text(full, place + 0.5, score(value), va="bottom", ha="right", fontsize=SIZE, color=QUIET)
    axes.set(xlim=(0, full), ylim=(max(1, len(row.tags)), 0))


def _pixels(card: Card) -> tuple[np.ndarray | None, str]:
    """A picture's pixels, or None and the reason where a file is there but can't be read."""
    picture = card.picture
    if picture is None:
        return None, ""
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise ValueError(f"a picture is {picture.dtype} {picture.shape}: expected uint8 (h, w, 3)")
    elif not os.path.isfile(picture):
        return None, ""
    else:
        try:
            picture = read_image(picture)
        except (ValueError, OSError) as error:
            return None, str(error).removeprefix(f"{picture}: ")
    small = Image.fromarray(picture)
    small.thumbnail((PIXELS, PIXELS), Image.Resampling.LANCZOS, reducing_gap=3)
    return np.asarray(small), ""


def _name(card: Card) -> str:
    return card.name or (Path(card.picture).name if isinstance(card.picture, str | Path) else "")


def _beneath(card: Card) -> tuple[list[str], list[str]]:
    """The lines of a picture's label, and those of its file's name where it has one of its own."""
    name = _name(card)
    return (fitted(card.label, SIDE, MOST) if card.label else [],
            fitted(name, SIDE, MOST) if name and name != card.label else [])


def _height(cards: Sequence[Card | str]) -> float:
    """Inches of a row of cards with the lines beneath them."""
    lines = [sum(map(len, _beneath(card))) + (card.score is not None or card.right is not None)
             for card in cards if not isinstance(card, str)]
    return SIDE + (0.05 + LINE * max(lines) if any(lines) else 0)
