"""Sheets of queries with the answers of several systems beneath one another, each picture with its sentence."""

from typing import NamedTuple

from PIL import ImageDraw

from devise.plots.cards import INK, QUIET, SIDE, draw_panel, draw_score
from devise.plots.lettering import LINE, elide, face, lines, tidy
from devise.plots.sheets import GAP, MARGIN, _notes, _paper, _save

TEXT = 3  # lines of a sentence beneath its picture


class Compared(NamedTuple):
    """A query, and what each system found: {name: Cards, best first}. The query is a sentence (str) or a Card.

    >>> from devise.plots import Card
    >>> Compared("a dog on a beach", {"learnt": (Card(label="two dogs"),)}).query
    'a dog on a beach'
    """

    query: object
    answers: dict


def comparison_sheet(rows, path, *, title="", note=""):
    """Draw what several systems answer to the same queries, and return the path of the PNG.

    Labels of cards are written out beneath them in up to three lines.

    Args:
        rows: Compared, or such pairs; cards are `devise.plots.Card`.
        path: where to write; a file that exists is replaced in one step.
        note: a line under the title.
    Raises:
        ValueError: if there is nothing to draw.

    >>> import tempfile, pathlib
    >>> from devise.plots import Card
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "answers.png"
    >>> comparison_sheet([("a dog", {"raw": (Card(label="a cat"),), "learnt": (Card(label="a dog"),)})], path) == path
    True
    """
    rows = [Compared(*row) for row in rows]
    if not rows or not all(row.answers for row in rows):
        raise ValueError("no rows to draw: expected at least one query with the answers of one system")
    cards = [card for row in rows for found in row.answers.values() for card in found]
    # where none is marked wrong, ✓ means what the caller's note says
    told = cards if any(card.right is False for card in cards) else [card._replace(right=None) for card in cards]
    columns = max(1, *(len(found) for row in rows for found in row.answers.values()))
    heights = [[_height(name, (*found, row.query)) for name, found in row.answers.items()] for row in rows]
    width = 2 * MARGIN + (columns + 1) * (SIDE + GAP) + GAP
    image, top = _paper(width, sum(map(sum, heights)) + GAP * len(rows), title,
                        [*([note] if note else []), *_notes(told)])
    for row, mine in zip(rows, heights, strict=True):
        _draw(image, (MARGIN, top + (LINE if any(row.answers) else 0)), row.query, query=True)
        for (name, found), height in zip(row.answers.items(), mine, strict=True):
            left, start = MARGIN + SIDE + 2 * GAP, top + (LINE if name else 0)
            if name:
                ImageDraw.Draw(image).text((left, top - 6), name, font=face(name, bold=True), fill=QUIET)
            for number, card in enumerate(found):
                _draw(image, (left + number * (SIDE + GAP), start), card)
            top += height
        top += GAP
    return _save(image, path)


def _draw(image, corner, card, *, query=False):
    """A card with its score, and its label in several lines beneath; a sentence (str) is a panel alone."""
    draw_panel(image, corner, card, query=query)
    if isinstance(card, str):
        return
    x, y = corner[0], corner[1] + SIDE + 6
    draw = ImageDraw.Draw(image)
    if _scored(card):
        draw_score(draw, (x, y), card)
        y += LINE
    for line in _told(card.label):
        draw.text((x, y), line, font=face(line), fill=INK)
        y += LINE


def _scored(card):
    return not isinstance(card, str) and (card.score is not None or card.right is not None)


def _told(label):
    """A sentence in at most three lines."""
    told = lines(tidy(label), SIDE)
    if len(told) > TEXT:
        told = [*told[:TEXT - 1], f"{told[TEXT - 1]} …"]
    return [elide(line, SIDE) for line in told]


def _height(name, cards):
    """Pixels of a row of cards with its name above."""
    told = max((len(_told(card.label)) for card in cards if not isinstance(card, str)), default=0)
    return (LINE if name else 0) + SIDE + 6 + LINE * (told + any(map(_scored, cards))) + GAP
