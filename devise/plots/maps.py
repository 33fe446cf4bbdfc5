"""Maps: pictures and words of one space, laid out in the plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.plots.style import COLOURS, MARKERS, QUIET, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

GREY, BOX = "#b9c1c9", "#8a6d1b"
AWAY = (1, 6, 12, 20, 30, 42, 56, 72, 90)  # points between a place and its label
LED = 12  # from here on a line leads from the one to the other
TURNS = np.array([(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)])


def space_map(points: ArrayLike, labels: Sequence[str], path: str | Path, *,
              words: Mapping[str, tuple[float, float]] | None = None, highlight: Sequence[str] = (), title: str = "",
              note: str = "") -> str | Path:
    """Draw pictures as points, the name of each class at its middle and words where they lie; returns the path.

    Names and words that would lie on one another are moved aside, far ones with a line to their place.

    Args:
        points: float (n, 2), of pictures, from t-SNE, UMAP or principal components.
        labels: n names of classes.
        words: {word: (x, y)}, drawn as boxed text in italics.
        highlight: classes to draw in colour, seven at most; all others are grey.
        note: a line beneath, such as how the plane was made.
    Raises:
        ValueError: if points and labels differ in number, points are not finite, or a highlighted class
            has no picture.

    >>> space_map([[0, 0], [1, 1]], ["cat", "dog"], "map.png", words={"animal": (0.5, 0.5)})  # doctest: +SKIP
    'map.png'
    """
    points, labels = np.asarray(points, float), np.asarray(labels)
    if points.shape != (len(labels), 2) or not len(labels) or not np.isfinite(points).all():
        raise ValueError(f"points have shape {points.shape} for {len(labels)} labels: expected finite (n, 2), one "
                         "label a point")
    names = np.unique(labels)
    if strange := [name for name in highlight if name not in names]:
        raise ValueError(f"no picture is of the class {strange[0]!r}: highlight some of {', '.join(names[:5])} …")
    if len(highlight) > len(COLOURS):
        raise ValueError(f"{len(highlight)} classes are to be highlighted: {len(COLOURS)} colours can be told apart")
    from matplotlib.patheffects import withStroke

    with drawn(path, 8.4, 7.2, title=title, note=note) as figure:
        axes = figure.axes[0]
        foremost: list[Annotation] = []
        others: list[Annotation] = []
        for name in names:
            number = highlight.index(name) if name in highlight else None
            place = points[labels == name]
            colour = GREY if number is None else COLOURS[number]
            axes.scatter(place[:, 0], place[:, 1], s=14 if number is None else 26, color=colour, linewidths=0,
                         marker="o" if number is None else MARKERS[number], zorder=2 + (number is not None))
            look: dict[str, Any] = ({"fontsize": 9, "color": QUIET} if number is None else
                                    {"fontsize": 12, "color": colour, "weight": "bold"})
            (others if number is None else foremost).append(_label(
                axes, name, np.median(place, axis=0), zorder=5, **look,
                path_effects=[withStroke(linewidth=2.5, foreground="white")]))
        boxes = [_label(axes, word, place, zorder=6, fontsize=10, style="italic",
                        bbox={"facecolor": "#fff7df", "edgecolor": BOX, "linewidth": 0.8, "pad": 1.4})
                 for word, place in (words or {}).items()]
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.margins(0.08)
        _part(figure, axes, [*foremost, *boxes, *others], points)
    return path


def _label(axes: Axes, text: str, place: Any, **options: Any) -> Annotation:
    """A text at a point, with a line to it for where it is moved away."""
    return axes.annotate(text, place, xytext=(0, 0), textcoords="offset points", ha="center", va="center",
                         arrowprops={"arrowstyle": "-", "color": BOX if "bbox" in options else QUIET, "linewidth": 0.8,
                                     "shrinkA": 0, "shrinkB": 2}, **options)


def _part(figure: Figure, axes: Axes, labels: Sequence[Annotation], points: NDArray) -> None:
    """Move labels so that none covers another and few points are covered, each as little as will do."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    scale = figure.dpi / 72
    dots = axes.transData.transform(points)
    frame = axes.get_window_extent().padded(4 * scale)
    away = np.array([0, *np.repeat(AWAY, len(TURNS))])
    turns = np.concatenate([[(0, 0)], np.tile(TURNS, (len(AWAY), 1))])
    taken = np.empty((0, 2, 2))  # the corners of the labels that have their place

    for label in labels:
        anchor = axes.transData.transform(label.xy)
        box = Text.get_window_extent(label).padded((2 + 2 * (label.get_bbox_patch() is not None)) * scale)
        half = np.array([box.width, box.height]) / 2
        middles = anchor + turns * (half + scale * away[:, None])
        low, high = middles - half, middles + half
        over = ((low[:, None] <= taken[:, 1]) & (high[:, None] >= taken[:, 0])).all(axis=2).sum(axis=1)
        out = ((low < frame.min) | (high > frame.max)).any(axis=1)
        under = ((low[:, None] < dots) & (dots < high[:, None])).all(axis=2).sum(axis=1)
        best = int(np.argmin(1000 * (over + out) + 4 * under + away))
        label.set_position(tuple((middles[best] - anchor) / scale))
        taken = np.concatenate([taken, [[low[best], high[best]]]])
        assert label.arrow_patch is not None
        label.arrow_patch.set_visible(bool(away[best] >= LED))
