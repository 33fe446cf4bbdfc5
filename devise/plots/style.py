"""One style for every figure, text that fits into it, and how it is saved: PNG, JPEG, PDF or SVG by its ending."""

from __future__ import annotations

import functools
import math
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from devise.figures import Spread, one_line
from devise.storage import MARK, atomic_path, replaceable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours without the yellow, which is too pale for a line on white
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = "osD^vPX"
INK, QUIET = "#1f2933", "#56616d"
DPI = 200
TITLE, SIZE = 13, 9  # points of a figure's title, and of text on a sheet
STYLE: dict[Any, Any] = {"font.size": 11, "axes.titlesize": 11, "axes.spines.top": False, "axes.spines.right": False,
         "axes.grid": True, "grid.color": "#e3e7eb", "grid.linewidth": 0.8, "axes.axisbelow": True,
         "axes.edgecolor": QUIET, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
         "lines.linewidth": 2, "lines.markersize": 6, "legend.frameon": False, "savefig.facecolor": "white",
         "axes.titlelocation": "left", "figure.dpi": DPI,
         "svg.hashsalt": "devise", "text.parse_math": False}  # a name may hold a $
# where DejaVu Sans lacks a letter: faces that systems bring for the scripts of East and South Asia
FAMILIES = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "PingFang SC", "Hiragino Sans",
            "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "WenQuanYi Zen Hei", "Arial Unicode MS",
            "Nirmala UI", "Noto Sans Devanagari")
# the format of an ending, and in it our mark, without the time of drawing
FORMATS: dict[str, tuple[str, dict]] = {".png": ("png", {"Software": MARK}), ".jpg": ("jpg", {}), ".jpeg": ("jpg", {}),
           ".pdf": ("pdf", {"Creator": MARK, "CreationDate": None}), ".svg": ("svg", {"Creator": MARK, "Date": None})}


def styled() -> AbstractContextManager:
    """A context in which matplotlib draws in our style; its own settings stay as they were.

    >>> import matplotlib
    >>> with styled():
    ...     inside = matplotlib.rcParams["font.family"]
    >>> inside == families()
    True
    """
    import matplotlib

    return matplotlib.rc_context(STYLE | {"font.family": families()})


def new_figure(width: float, height: float, *, panels: int = 1,
               layout: Literal["constrained"] | None = "constrained") -> Figure:
    """A figure of so many inches with its panels side by side, without pyplot and its global state."""
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=DPI, layout=layout)
    if panels:
        figure.subplots(1, panels)
    return figure


@contextmanager
def drawn(path: str | Path, width: float, height: float, *, panels: int = 1, title: str = "",
          note: str = "") -> Iterator[Figure]:
    """A figure in our style under its title, which is written to the path when all is on it."""
    with styled():
        figure = new_figure(width, height, panels=panels)
        entitle(figure, title, note)
        yield figure
        save(figure, path)


def entitle(figure: Figure, title: str = "", note: str = "") -> None:
    """A title above all panels and a small note beneath them, wrapped to the figure's width.

    >>> figure = new_figure(4, 3)
    >>> entitle(figure, "Flat hit@k")
    >>> figure.get_suptitle()
    'Flat hit@k'
    """
    width = figure.get_figwidth()
    if title:
        figure.suptitle(textwrap.fill(title, int(9 * width)), x=0.01, ha="left", fontsize=TITLE, fontweight="bold")
    if note:
        figure.supxlabel(textwrap.fill(note, int(13 * width)), x=0.01, ha="left", fontsize=10, color=QUIET)


def legend_beside(axes: Axes) -> None:
    """The names of the lines of all panels, to the right of the last one's axes."""
    named = {name: handle for panel in axes.figure.axes
             for handle, name in zip(*panel.get_legend_handles_labels(), strict=True)}
    axes.legend(named.values(), named.keys(), loc="upper left", bbox_to_anchor=(1.01, 1))


def look(number: int) -> dict:
    """Colour, marker and line of the n-th series; lines change where the colours begin again."""
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)],
            "linestyle": ("-", "--", ":")[number // len(COLOURS) % 3]}


def points(values: Mapping | Sequence) -> tuple[list, list, list, list]:
    """Places, means, and the lows and highs of a band of ± one standard deviation, in percent, of what is defined.

    `values` are {place: fraction, Spread or None}, or a list of them with places from 0.
    """
    found = [(place, value.mean, value.std if value.n > 1 else 0.0) if isinstance(value, Spread)
             else (place, float(value), 0.0) for place, value in
             (values.items() if isinstance(values, Mapping) else enumerate(values)) if value is not None]
    found = [row for row in found if math.isfinite(row[1])]
    return ([place for place, _, _ in found], [100 * mean for _, mean, _ in found],
            [100 * (mean - by) for _, mean, by in found], [100 * (mean + by) for _, mean, by in found])


def wrapped(name: str) -> str:
    """The name of a line in lines of a legend."""
    return textwrap.fill(name, 32)


def draw_line(axes: Axes, number: int, name: str, values: Mapping | Sequence, **options: Any) -> bool:
    """A line through the points of the n-th series, with its band; whether it has one."""
    places, means, lows, highs = points(values)
    style = look(number) | options
    axes.plot(places, means, label=wrapped(name), **style)
    if lows == highs:
        return False
    axes.fill_between(places, lows, [min(100, high) for high in highs], color=style["color"], alpha=0.18, linewidth=0)
    return True


def checked_format(path: str | Path) -> tuple[str, dict]:
    """The format that a path's ending asks for, and the metadata of such a file.

    Raises:
        ValueError: if it is none that is drawn.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise ValueError(f"{path} ends in {ending or 'nothing'!r}: expected {', '.join(FORMATS)}")
    return FORMATS[ending]


def save(figure: Figure, path: str | Path) -> str | Path:
    """Write the figure in one step, in the format of the path's ending; returns the path.

    Raises:
        FileExistsError: if a file is there that we did not draw.
    """
    kind, metadata = checked_format(path)
    options = {"metadata": metadata} if metadata else {"pil_kwargs": {"comment": MARK}}  # which JPEG has in a comment
    replaceable(path)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a letter that no installed face has is drawn as a box
        figure.savefig(temporary, format=kind, dpi=DPI, **options)
    return path


@functools.cache
def _installed() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    there = {entry.name for entry in fontManager.ttflist}
    return tuple(family for family in FAMILIES if family in there)


def families() -> list[str]:
    """The faces of a figure's text, those tried first first."""
    return ["DejaVu Sans", *_installed()]


def tidy(text: Any) -> str:
    """`text` on one line, with composed accents (file names of macOS come apart)."""
    return one_line(unicodedata.normalize("NFC", str(text)))


def fitted(text: str, width: float, most: int, *, size: float = SIZE, weight: str = "normal") -> list[str]:
    """Text in at most so many lines of so many inches; of what is too long, the middle becomes one …

    A line ends after a space, _, / or -, and within a word only where the word alone is wider than a line.
    """
    text = tidy(text)
    whole = _broken(text, width, size, weight)
    if len(whole) <= most:
        return whole
    low, high, best = 0, len(text) - 1, ["…"]  # letters kept: the most that still fit
    while low < high:
        kept = (low + high + 1) // 2
        short = f"{text[:kept - kept // 2].rstrip()}…{text[len(text) - kept // 2:].lstrip()}"
        lines = _broken(short, width, size, weight)
        if len(lines) <= most:
            low, best = kept, lines
        else:
            high = kept - 1
    return best


def _broken(text: str, width: float, size: float, weight: str) -> list[str]:
    """Text in lines of so many inches."""
    lines = [""]
    for part in re.findall(r"[^\s_/-]*[\s_/-]?", text):
        if _inches((lines[-1] + part).rstrip(), size, weight) <= width:
            lines[-1] += part
            continue
        lines.append("")
        for sign in part:  # most parts fit as they are
            if lines[-1] and _inches((lines[-1] + sign).rstrip(), size, weight) > width:
                lines.append("")
            lines[-1] += sign
    return [line.rstrip() for line in lines if line.strip()] or [""]


@functools.lru_cache(4096)
def _inches(text: str, size: float, weight: str) -> float:
    """How wide a text is drawn."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    face = FontProperties(family=families(), size=size, weight=weight)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # drawn as a box
        return text_to_path.get_text_width_height_descent(text, face, ismath=False)[0] / 72
