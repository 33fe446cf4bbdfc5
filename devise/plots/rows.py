"""Figures of many rows side by side: dots with how far each can be trusted, and bars, group beneath group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from devise.figures import Spread, number
from devise.plots.style import COLOURS, QUIET, drawn, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = "oDs^"
APART = 0.2  # between the dots of one row; rows are 1 apart
BAR = 0.72  # of the room that a row has
OTHERS = "#b3bcc6"
WIDE = 20  # from this ratio of the longest bar to the shortest on the scale is logarithmic


def interval_plot(rows: Mapping[str, Mapping[str, float | Spread | None]], path: str | Path, *, title: str = "",
                  label: str = "% of pictures", note: str = "", origin: float | None = 0) -> str | Path:
    """Draw each row's figures as dots with their 95 % intervals, and return the path of the file.

    Args:
        rows: {name: {series: Spread, or a fraction without an interval}}, from the top down; what a
            row lacks, or is NaN, is left out.
        label: what the figures are, below their axis; they are drawn in percent.
        note: a line beneath: candidates, n, what the intervals are of.
        origin: where the axis begins, in percent; None begins near the least figure, for small
            differences of large ones.
    Raises:
        ValueError: if there is nothing to draw.

    >>> interval_plot({"ridge": {"hit@1": 0.39}, "ConSE": {"hit@1": 0.82}}, "rules.png")  # doctest: +SKIP
    'rules.png'
    """
    series = list(dict.fromkeys(name for values in rows.values() for name in values))
    if not series:
        raise ValueError("no figures to draw: expected {row: {series: Spread or fraction}}")
    with drawn(path, 8, 1.9 + 0.24 * len(rows) * max(1.6, len(series)), title=title, note=note) as figure:
        axes = figure.axes[0]
        for number, name in enumerate(series):
            _draw_series(axes, number, name, [values.get(name) for values in rows.values()], len(series))
        _dress(axes, list(rows), label, origin, len(series))
    return path


def _draw_series(axes: Axes, number: int, name: str, values: Sequence[float | Spread | None], n_series: int) -> None:
    """One series: a dot a row, beside those of the others, and a line from low to high."""
    shift = (number - (n_series - 1) / 2) * APART
    points = [(*_percents(value), row + shift) for row, value in enumerate(values) if value is not None]
    points = [point for point in points if math.isfinite(point[0])]
    if not points:
        return
    means, lows, highs, heights = (list(column) for column in zip(*points, strict=True))
    colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
    axes.hlines(heights, lows, highs, color=colour, linewidth=2.2, alpha=0.55, clip_on=False)
    axes.plot(means, heights, mark, color=colour, label=name, clip_on=False, zorder=3)


def _dress(axes: Axes, names: Sequence[str], label: str, origin: float | None, n_series: int) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    if origin is not None:
        axes.set_xlim(left=origin)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(False, axis="y")
    for row in range(1, len(names), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#f3f5f7", zorder=0, linewidth=0)
    axes.set_xlabel(label)
    if n_series > 1:  # one says what it is at the axis
        legend_beside(axes)


def _percents(value: float | Spread) -> tuple[float, float, float]:
    """Mean, low and high; the mean three times where there is no interval."""
    if not isinstance(value, Spread) or math.isnan(value.low):
        mean = 100 * (value.mean if isinstance(value, Spread) else float(value))
        return mean, mean, mean
    return 100 * value.mean, 100 * max(0.0, value.low), 100 * min(1.0, value.high)


def bar_plot(groups: Mapping[str, Mapping[str, float | None]], path: str | Path, *, title: str = "", label: str = "",
             ours: str = "devise", note: str = "") -> str | Path:
    """Draw positive numbers as bars, group beneath group; returns the path of the file.

    From 0 where they are near one another, on a log scale where they are not.

    Args:
        groups: {group: {row: number}}, from the top down; None and what is not above 0 is left out.
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
    with drawn(path, 8.4, 1.5 + 0.32 * heights[-1], title=title, note=note) as figure:
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
    return path


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
