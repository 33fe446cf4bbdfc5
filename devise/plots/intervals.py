"""Dots and intervals: figures of many rows side by side, each with how far it can be trusted."""

import math

from devise.plots.curves import COLOURS, _entitle, _figure, _note, _save, _style

MARKS = "oDs^"
APART = 0.2  # between the dots of one row; rows are 1 apart


def interval_plot(rows, path, *, title="", label="% of pictures", note="", origin=0):
    """Draw each row's figures as dots with their 95 % intervals, and return the path of the PNG.

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
    with _style():
        figure, axes = _figure(8, 1.9 + 0.24 * len(rows) * max(1.6, len(series)))
        for number, name in enumerate(series):
            _draw(axes, number, name, [values.get(name) for values in rows.values()], len(series))
        _dress(axes, list(rows), label, origin, len(series))
        _entitle(figure, title)
        _note(figure, note)
        return _save(figure, path)


def _draw(axes, number, name, values, n_series):
    """One series: a dot a row, beside those of the others, and a line from low to high."""
    shift = (number - (n_series - 1) / 2) * APART
    points = [(_mean(value), row + shift, *_ends(value)) for row, value in enumerate(values)
              if value is not None and math.isfinite(_mean(value))]
    if not points:
        return
    means, heights, lows, highs = (list(column) for column in zip(*points, strict=True))
    colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
    axes.hlines(heights, lows, highs, color=colour, linewidth=2.2, alpha=0.55, clip_on=False)
    axes.plot(means, heights, mark, color=colour, label=name, clip_on=False, zorder=3)


def _dress(axes, names, label, origin, n_series):
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
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


def _mean(value):
    return 100 * float(getattr(value, "mean", value))


def _ends(value):
    """Low and high in percent; the mean itself where there is no interval."""
    low, high = getattr(value, "low", math.nan), getattr(value, "high", math.nan)
    if math.isnan(low) or math.isnan(high):
        return _mean(value), _mean(value)
    return 100 * max(0.0, low), 100 * min(1.0, high)
