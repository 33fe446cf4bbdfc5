"""What an approximate search finds against how fast it answers, a line an engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from devise.plots.style import COLOURS, QUIET, entitle, legend_beside, look, new_figure, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

REFERENCE = "exact"


def recall_curves(points: Sequence[dict], path: str | Path, *, title: str = "") -> str | Path:
    """Draw queries a second (log scale) against recall, a panel a set of vectors; returns the path of the file.

    Args:
        points: [{"vectors", "n", "engine", "value" (of the engine's knob), "recall_at_10", "single_per_s"}];
            "recall_at_…" may name another depth. A point of the engine "exact" is drawn alone.
        path: where to write; a file that exists is replaced in one step.
    Raises:
        ValueError: if there is nothing to draw.

    >>> points = [{"vectors": "clusters", "n": 100000, "engine": "annoy", "value": value, "recall_at_10": recall,
    ...            "single_per_s": speed} for value, recall, speed in [(500, 0.9, 900), (5000, 0.99, 200)]]
    >>> recall_curves(points, "recall.png")  # doctest: +SKIP
    'recall.png'
    """
    if not points:
        raise ValueError("no points to draw: expected [{\"vectors\", \"engine\", \"recall_at_10\", \"single_per_s\"}]")
    depth = next(name for name in points[0] if name.startswith("recall_at_"))
    sets = list(dict.fromkeys(point["vectors"] for point in points))
    engines = sorted({point["engine"] for point in points} - {REFERENCE})
    with styled():
        figure = new_figure(max(6.4, 4.2 * len(sets) + 1.6), 4.6, panels=len(sets))
        for axes, name in zip(figure.axes, sets, strict=True):
            of_set = [point for point in points if point["vectors"] == name]
            for number, engine in enumerate(engines):
                _draw_engine(axes, number, engine, [point for point in of_set if point["engine"] == engine], depth)
            for point in of_set:
                if point["engine"] == REFERENCE:
                    axes.plot(100 * point[depth], point["single_per_s"], "*", color=COLOURS[-1], markersize=13,
                              label=REFERENCE, clip_on=False, zorder=4)
            axes.set_yscale("log")
            _number(axes.yaxis)
            axes.set_xlabel(f"{depth.replace('_at_', '@')} (% of the true neighbours)")
            axes.set_title(f"{name}, n = {of_set[0]['n']:,}", loc="left", fontsize=11, color=QUIET)
            axes.set_xlim(right=100)
        figure.axes[0].set_ylabel("single queries a second (log scale)")
        legend_beside(figure.axes[-1])
        entitle(figure, title)
        return save(figure, path)


def _number(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 times a power of ten, written out: powers would need math, which names may break."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


def _draw_engine(axes: Axes, number: int, engine: str, points: Sequence[dict], depth: str) -> None:
    points = sorted(points, key=lambda point: point["value"] or 0)
    if points:
        axes.plot([100 * point[depth] for point in points], [point["single_per_s"] for point in points], label=engine,
                  clip_on=False, **look(number))
