"""Maps: pictures and words of one space, laid out in the plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from devise.plots.style import COLOURS, MARKERS, QUIET, entitle, new_figure, save, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation


def space_map(points: ArrayLike, labels: Sequence[str], path: str | Path, *,
              words: Mapping[str, tuple[float, float]] | None = None, highlight: Sequence[str] = (), title: str = "",
              note: str = "") -> str | Path:
    """Draw pictures as points, the name of each class at its middle and words where they lie; returns the path.

    Args:
        points: float (n, 2), of pictures, from t-SNE, UMAP or principal components.
        labels: n names of classes.
        words: {word: (x, y)}, drawn as boxed text.
        highlight: classes to draw in colour, seven at most; all others are grey.
        note: a line beneath the title, such as how the plane was made.
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
    with styled():
        figure = new_figure(8.4, 7.2)
        axes = figure.axes[0]
        for name in names:
            number = highlight.index(name) if name in highlight else None
            place = points[labels == name]
            colour = "#b9c1c9" if number is None else COLOURS[number]
            axes.scatter(place[:, 0], place[:, 1], s=14 if number is None else 26, color=colour, linewidths=0,
                         marker="o" if number is None else MARKERS[number], zorder=2 + (number is not None))
            axes.annotate(name, np.median(place, axis=0), fontsize=8 if number is None else 11, ha="center",
                          color=QUIET if number is None else colour, weight="normal" if number is None else "bold",
                          zorder=5, bbox={"facecolor": "white", "alpha": 0.65, "linewidth": 0, "pad": 0.6})
        boxes = [axes.annotate(word, place, xytext=(0, 0), textcoords="offset points", fontsize=9, ha="center",
                               va="center", style="italic", zorder=6,
                               arrowprops={"arrowstyle": "-", "color": "#8a6d1b"},
                               bbox={"facecolor": "#fff7df", "edgecolor": "#8a6d1b", "linewidth": 0.8, "pad": 1.4})
                 for word, place in (words or {}).items()]
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        for side in axes.spines.values():
            side.set_visible(False)
        entitle(figure, title)
        if note:
            axes.set_title(note, loc="left", fontsize=10, color=QUIET)
        _part(figure, boxes)
        return save(figure, path)


def _part(figure: Figure, boxes: Sequence[Annotation]) -> None:
    """Move words that would cover one another up or down, each as little as will do."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    taken: list[Any] = []
    for box in boxes:
        for step in sorted(range(-12, 13), key=abs):
            box.set_position((0, 15 * step))
            extent = Text.get_window_extent(box).padded(8)  # of the word alone, without its line
            if not any(extent.overlaps(other) for other in taken):
                break
        taken.append(extent)
