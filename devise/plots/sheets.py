"""Sheets of pictures: queries with their hits, pictures with their tags, as PNG files."""

from typing import NamedTuple

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from devise.plots.cards import HEIGHT, INK, MAT, PAPER, QUIET, RIGHT, SIDE, Card, draw_card
from devise.plots.lettering import LINE, elide, face, lines, tidy
from devise.storage import MARK, atomic_path, replaceable

GAP = 22
MARGIN = 36
TITLE = 34
DPI = 200
PANEL = 400  # width of the tags beside a picture
BAR = 14


class Row(NamedTuple):
    """A query and its hits, best first; the query is a word (a string) or a Card.

    >>> Row("ocean", (Card("beach.jpg", score=0.61),)).query
    'ocean'
    """

    query: object
    hits: tuple[Card, ...]


class Tagged(NamedTuple):
    """A picture and its tags: (word, score) pairs, best first; `right` holds the words that are right.

    >>> Tagged(Card("lobster/3.jpg"), (("crab", 0.83),)).tags[0]
    ('crab', 0.83)
    """

    card: Card
    tags: tuple[tuple[str, float], ...]
    right: frozenset = frozenset()


def sheet(rows, path, *, title="", columns=None):
    """Draw queries and their hits, one row a query, and return the path of the PNG.

    A picture that is not on this disk becomes a card with its class and file name, one that
    can't be read a card that says why.

    Args:
        rows: Row(query, hits) or such pairs; the query is a word or a Card, hits are Cards.
        path: where to write; a sheet that exists is replaced in one step.
        columns: hits in a line; more go on beneath. None: as many as the longest row has.
    Raises:
        ValueError: if there are no rows, columns is below 1, or an array is not uint8 (h, w, 3).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = sheet([Row("ocean", (Card(label="beach", score=0.61),))], f"{folder}/sheet.png")
    ...     Image.open(path).format
    'PNG'
    """
    rows = [Row(query, tuple(hits)) for query, hits in rows]
    if not rows:
        raise ValueError("no rows to draw: expected at least one query with its hits")
    columns = max(1, *(len(row.hits) for row in rows)) if columns is None else columns
    if columns < 1:
        raise ValueError(f"columns is {columns}: expected 1 or more")
    width = 2 * MARGIN + (columns + 1) * (SIDE + GAP) + GAP
    depths = [max(1, -(-len(row.hits) // columns)) for row in rows]
    notes = _notes([card for row in rows for card in row.hits])
    image, top = _paper(width, sum(depths) * (HEIGHT + GAP), title, notes)
    for row, depth in zip(rows, depths, strict=True):
        _draw_row(image, top, row, columns)
        top += depth * (HEIGHT + GAP)
    return _save(image, path)


def tag_sheet(rows, path, *, title="", columns=2, score="cosine of picture and word"):
    """Draw pictures with their tags and scores as bars, and return the path of the PNG.

    All bars share one scale, from 0 to a score of 1.

    Args:
        rows: Tagged(card, tags, right), or such tuples.
        columns: pictures in a line.
        score: what the scores are, for the note above the pictures.
    Raises:
        ValueError: if there are no rows, columns is below 1, or an array is not uint8 (h, w, 3).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = tag_sheet([Tagged(Card(label="lobster"), (("crab", 0.83),))], f"{folder}/tags.png")
    ...     Image.open(path).format
    'PNG'
    """
    rows = [Tagged(*row) for row in rows]
    if not rows:
        raise ValueError("no rows to draw: expected at least one picture with its tags")
    if columns < 1:
        raise ValueError(f"columns is {columns}: expected 1 or more")
    columns = min(columns, len(rows))
    step = SIDE + GAP + PANEL + 2 * GAP
    height = max(HEIGHT, *(_tags_height(row) for row in rows)) + GAP
    notes = [f"Bars: {score}, full length = 1."]
    notes += ["✓ the picture's own label."] if any(row.right for row in rows) else []
    width = 2 * MARGIN + columns * step - 2 * GAP
    image, top = _paper(width, -(-len(rows) // columns) * height, title, notes)
    for number, row in enumerate(rows):
        corner = MARGIN + number % columns * step, top + number // columns * height
        draw_card(image, corner, row.card)
        _draw_tags(ImageDraw.Draw(image), (corner[0] + SIDE + GAP, corner[1]), row)
    return _save(image, path)


def _paper(width, height, title, notes):
    """An empty sheet with its title and notes, and where the first row begins."""
    inner = width - 2 * MARGIN
    titles = lines(tidy(title), inner, size=TITLE, bold=True)
    notes = lines(" ".join(notes), inner)
    step = round(1.3 * TITLE)
    top = MARGIN + len(titles) * step + len(notes) * LINE + (GAP if titles or notes else 0)
    image = Image.new("RGB", (width, top + height - GAP + MARGIN), PAPER)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(titles):
        line = elide(line, inner, size=TITLE, bold=True)
        draw.text((MARGIN, MARGIN + row * step), line, font=face(line, TITLE, bold=True), fill=INK)
    for row, line in enumerate(notes):
        draw.text((MARGIN, MARGIN + len(titles) * step + row * LINE), line, font=face(line), fill=QUIET)
    return image, top


def _draw_row(image, top, row, columns):
    draw_card(image, (MARGIN, top), row.query, query=True)
    left = MARGIN + SIDE + 2 * GAP  # twice the gap: the query stands apart from its hits
    if not row.hits:
        draw = ImageDraw.Draw(image)
        draw.text((left, top + SIDE / 2), "no hits", font=face("no hits"), fill=QUIET, anchor="lm")
    for number, card in enumerate(row.hits):
        line, column = divmod(number, columns)
        draw_card(image, (left + column * (SIDE + GAP), top + line * (HEIGHT + GAP)), card)


def _draw_tags(draw, corner, row):
    x, y = corner
    for word, score in row.tags:
        right = word in row.right
        text, colour = f"{score:.3f}".replace("-", "−"), RIGHT if right else INK
        draw.text((x + PANEL, y), text, font=face(text), fill=QUIET, anchor="ra")
        room = PANEL - face(text).getlength(text) - GAP
        word = elide(tidy(f"✓ {word}" if right else word), room, bold=right)
        draw.text((x, y), word, font=face(word, bold=right), fill=colour)
        draw.rectangle((x, y + LINE, x + PANEL - 1, y + LINE + BAR - 1), fill=MAT)
        filled = round(PANEL * min(max(score, 0), 1))
        if filled:
            draw.rectangle((x, y + LINE, x + filled - 1, y + LINE + BAR - 1), fill=RIGHT if right else QUIET)
        y += LINE + BAR + 10


def _tags_height(row):
    return len(row.tags) * (LINE + BAR + 10)


def _notes(cards):
    """What the signs on a sheet mean, for those that are on it."""
    notes = ["Best hit first."]
    notes += ["Number: cosine, at most 1."] if any(card.score is not None for card in cards) else []
    notes += ["✓ right, ✗ wrong."] if any(card.right is not None for card in cards) else []
    return notes


def _save(image, path):
    replaceable(path)
    notes = PngInfo()
    notes.add_text("Software", MARK)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", dpi=(DPI, DPI), optimize=True, pnginfo=notes)
    return path
