"""Bars: how much one way takes beside others, group beneath group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from devise.figures import number
from devise.plots.style import COLOURS, QUIET, entitle, new_figure, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAR = 0.72  # of the room that a row has
OTHERS = "#b3bcc6"
WIDE = 20  # from this ratio of the longest bar to the shortest on the scale is logarithmic


def bar_plot(groups: Mapping[str, Mapping[str, float | None]], path: str | Path, *, title: str = "", label: str = "",
             ours: str = "devise", note: str = "") -> str | Path:
    """Draw positive numbers as bars, group beneath group; returns the path of the file.

    From 0 where they are near one another, on a log scale where they are not.

    Args:
        groups: {group: {row: number}}, from the top down; None and what is not above 0 is left out.
        path: where to write; a file that exists is replaced in one step.
        label: what the numbers are, with their unit.
        ours: rows whose names begin so have a colour of their own.
        note: a line beneath.
    Raises:
        ValueError: if there is nothing to draw.

    >>> bar_plot({"1,233 rows": {"devise train": 20.0, "Keras fit": 60.0}}, "bars.png")  # doctest: +SKIP
    'bars.png'
    """
    rows = [(group, name, float(value)) for group, values in groups.items() for name, value in values.items()
            if value is not None and value > 0]
    if not rows:
        raise ValueError("no numbers to draw: expected {group: {row: number above 0}}")
    heights = _heights([group for group, _, _ in rows])
    values = [value for _, _, value in rows]
    with styled():
        figure = new_figure(8.4, 1.5 + 0.32 * heights[-1])
        axes = figure.axes[0]
        colours = [COLOURS[0] if name.startswith(ours) else OTHERS for _, name, _ in rows]
        axes.barh(heights, values, height=BAR, color=colours, left=0)
        for height, value in zip(heights, values, strict=True):
            axes.annotate(number(value), (value, height), xytext=(4, 0), textcoords="offset points", va="center",
                          fontsize=10)
        logarithmic = max(values) > WIDE * min(values)
        _scale(axes, values, logarithmic)
        axes.set_yticks(heights, [name for _, name, _ in rows])
        axes.set_ylim(heights[-1] + 0.7, -1.2 if any(groups) else -0.7)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        for group in groups:
            place = min((height for height, row in zip(heights, rows, strict=True) if row[0] == group), default=None)
            if group and place is not None:
                axes.annotate(group, (0, place - 0.75), xycoords=("axes fraction", "data"), xytext=(4, 0),
                              textcoords="offset points", va="center", fontsize=10, color=QUIET, fontweight="bold")
        axes.set_xlabel(f"{label} (log scale)" if logarithmic else label)
        entitle(figure, title, note)
        return save(figure, path)


def _heights(groups: Sequence[str]) -> list[float]:
    """The places of rows, 1 apart, with room for a heading before each group but the first."""
    places, height = [], 0.0
    for row, group in enumerate(groups):
        height += 0 if row == 0 else 1.0 if group == groups[row - 1] else 2.0
        places.append(height)
    return places


def _scale(axes: Axes, values: Sequence[float], logarithmic: bool) -> None:
    """The axis of the numbers, with room behind the longest bar for what is written there."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    if not logarithmic:
        axes.set_xlim(0, 1.15 * max(values))
        return
    low = 10 ** math.floor(math.log10(min(values)) - 0.1)
    axes.set_xscale("log")
    axes.set_xlim(low, max(values) * (max(values) / low) ** 0.12)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
