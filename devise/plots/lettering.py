"""Text on sheets: a type face that has the letters, lines that fit, long names elided."""

import functools
import re
import unicodedata
from pathlib import Path

from PIL import ImageDraw, ImageFont

SIZE = 22  # pixels; still 11 when a sheet is shown at half its size
LINE = 30

# where DejaVu lacks a letter: faces that systems bring for the scripts of East and South Asia
FAMILIES = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "PingFang SC", "Hiragino Sans",
            "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "WenQuanYi Zen Hei", "Arial Unicode MS",
            "Nirmala UI", "Noto Sans Devanagari")


def face(text, size=SIZE, *, bold=False):
    """A Pillow font that has every letter of `text` where one is installed, else DejaVu Sans."""
    if not text.isascii():
        missing = frozenset(map(ord, text)) - _letters(_dejavu(bold))
        if missing:
            return _font(_fallback(missing) or _dejavu(bold), size)
    return _font(_dejavu(bold), size)


def tidy(text):
    """`text` in one line, with composed accents (file names of macOS come apart).

    >>> tidy("cafe\\u0301\\n au  lait")
    'café au lait'
    """
    return " ".join(unicodedata.normalize("NFC", str(text)).split())


def elide(text, width, *, size=SIZE, bold=False, middle=False):
    """`text` cut to `width` pixels, with … at its end or in its middle.

    >>> elide("short", 200), elide("a long file name.jpg", 120, middle=True)
    ('short', 'a lon….jpg')
    """
    font = face(text, size, bold=bold)
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        tail = kept // 2 if middle else 0
        short = text[:kept - tail] + "…" + text[len(text) - tail:]
        if font.getlength(short) <= width:
            return short
    return "…"


def lines(text, width, *, size=SIZE, bold=False, anywhere=False):
    """`text` broken into lines of at most `width` pixels, at spaces, underscores, hyphens, slashes.

    A longer piece gets a line of its own, or is broken too where `anywhere` is given.

    >>> lines("dollar_bill note", 100)
    ['dollar_', 'bill note']
    """
    font, broken = face(text, size, bold=bold), [""]
    pieces = re.findall(r"[^\s_/-]*(?:[\s_/-]+|$)", text)
    if anywhere:
        pieces = [part for piece in pieces for part in (piece if font.getlength(piece) > width else [piece])]
    for piece in pieces:
        if broken[-1] and font.getlength((broken[-1] + piece).rstrip()) > width:
            broken.append("")
        broken[-1] += piece
    return [line.rstrip() for line in broken if line.strip()]


def write_centred(panel, text, ink, *, largest=40, smallest=SIZE, bold=False, margin=14):
    """Write `text` into the middle of a panel, as large as it fits; what does not fit is elided."""
    width, height = panel.width - 2 * margin, panel.height - 2 * margin
    for size in range(largest, smallest - 1, -2):
        broken = lines(text, width, size=size, bold=bold, anywhere=size <= smallest)
        font, step = face(text, size, bold=bold), round(1.25 * size)
        if len(broken) * step <= height and all(font.getlength(line) <= width for line in broken):
            break
    room = height // step
    if len(broken) > room:
        broken = [*broken[:room - 1], broken[room - 1] + "…"]
    top = (panel.height - len(broken) * step) / 2
    draw = ImageDraw.Draw(panel)
    for row, line in enumerate(broken):
        draw.text((panel.width / 2, top + (row + 0.5) * step), elide(line, width, size=size, bold=bold),
                  font=font, fill=ink, anchor="mm")


@functools.cache
def _font(path, size):
    return ImageFont.truetype(path, size)


@functools.cache
def _dejavu(bold):
    import matplotlib  # carries DejaVu Sans, so that a sheet looks the same on every machine

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return str(folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"))


@functools.cache
def _letters(path):
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(path).get_charmap())


@functools.cache
def _fallback(missing):
    """The file of the first installed face of FAMILIES that has the missing letters, or None."""
    from matplotlib.font_manager import fontManager

    for family in FAMILIES:
        for entry in fontManager.ttflist:
            if entry.name == family and missing <= _letters(entry.fname):
                return entry.fname
    return None
