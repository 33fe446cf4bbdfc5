"""Dots and intervals: figures of many rows side by side, each with how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from devise.figures import Spread
from devise.plots.style import COLOURS, entitle, legend_beside, new_figure, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = "oDs^"
APART = 0.2  # between the dots of one row; rows are 1 apart


def interval_plot(rows: Mapping[str, Mapping[str, float | Spread | None]], path: str | Path, *, title: str = "",
                  label: str = "% of pictures", note: str = "", origin: float | None = 0) -> str | Path:
    """Draw each row's figures as dots with their 95 % intervals, and return the path of the file.

    Args:
        rows: {name: {series: Spread, or a fraction without an interval}}, from the top down; what a
            row lacks, or is NaN, is left out.
        path: where to write; a file that exists is replaced in one step.
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
    with styled():
        figure = new_figure(8, 1.9 + 0.24 * len(rows) * max(1.6, len(series)))
        axes = figure.axes[0]
        for number, name in enumerate(series):
            _draw(axes, number, name, [values.get(name) for values in rows.values()], len(series))
        _dress(axes, list(rows), label, origin, len(series))
        entitle(figure, title, note)
        return save(figure, path)


def _draw(axes: Axes, number: int, name: str, values: Sequence[float | Spread | None], n_series: int) -> None:
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
