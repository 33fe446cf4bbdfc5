"""Curves: hit@k against k, a training and its schedules epoch by epoch, what a threshold and what an index trades."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devise.figures import Spread
from devise.plots.style import COLOURS, QUIET, draw_line, drawn, legend_beside, look, points, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from devise.metrics import Roc

REFERENCE = "exact"  # the engine that finds all
STAR: dict[str, Any] = {"marker": "*", "linestyle": "none", "color": COLOURS[-1], "markersize": 13, "zorder": 4}
HOLLOW: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 1.8, "markersize": 8, "zorder": 4}


def hit_curve(series: Mapping[str, Mapping[int, float | Spread]], path: str | Path, *, title: str = "",
              published: Mapping[str, Mapping[int, float]] | None = None) -> str | Path:
    """Draw hit@k against k, one line a series, and return the path of the file.

    Args:
        series: {name: {k: fraction, or Spread over runs}}; a Spread's band is ± one standard deviation.
        published: {name: {k: fraction}}, drawn as hollow points without a line.
    Raises:
        ValueError: if there is nothing to draw.

    >>> hit_curve({"seen labels": {1: 0.94, 5: 0.99}}, "curve.png")  # doctest: +SKIP
    'curve.png'
    """
    series = {name: dict(sorted(values.items())) for name, values in series.items() if values}
    published = {name: dict(sorted(values.items())) for name, values in (published or {}).items() if values}
    if not series and not published:
        raise ValueError("no series to draw: expected {name: {k: fraction}}")
    names = sum(wrapped(name).count("\n") + 1.4 for name in [*series, *published])  # lines of the legend
    with drawn(path, 9, max(4.4, 0.2 * names + 1.6), title=title) as figure:
        axes = figure.axes[0]
        bands = [draw_line(axes, number, name, values, clip_on=False) for number, (name, values) in
                 enumerate(series.items())]
        for number, (name, values) in enumerate(published.items(), start=len(series)):
            draw_line(axes, number, name, values, clip_on=False, **HOLLOW | {"linestyle": "none"})
        every = [*series.values(), *published.values()]
        ks = sorted({k for values in every for k in values})
        axes.set_xscale("log", base=2)
        axes.set_xticks(ks, [str(k) for k in ks])
        axes.minorticks_off()
        axes.set_xlim(ks[0] / 1.1, ks[-1] * 1.1)
        lowest = min(mean for values in every for mean in points(values)[1])
        axes.set_ylim(max(0, 10 * math.floor((lowest - 3) / 10)), 101)
        axes.set_xlabel("k, number of candidates looked at (log scale)")
        axes.set_ylabel("hit@k (% of pictures)")
        if any(bands):
            axes.set_title("band: ± 1 standard deviation over runs", loc="left", fontsize=10, color=QUIET)
        legend_beside(axes)
    return path


def history_curve(history: Mapping, path: str | Path, *, title: str = "",
                  score: str = "validation hit@1") -> str | Path:
    """Draw the loss and the validation score of each epoch, and return the path of the file.

    Args:
        history: {"loss", "validation_loss", "score": one value an epoch, "best_epoch"}, as a training's
            `History.to_json()` gives it; what is missing or empty is not drawn, None and NaN are gaps.
        score: what the score is; a fraction, drawn in percent.
    Raises:
        ValueError: if it holds neither a loss nor a score.

    >>> history_curve({"loss": [0.9, 0.4], "score": [0.5, 0.8], "best_epoch": 2}, "history.png")  # doctest: +SKIP
    'history.png'
    """
    losses = {name: history[key] for name, key in [("training", "loss"), ("validation", "validation_loss")]
              if history.get(key)}
    scores = history.get("score")
    if not losses and not scores:
        raise ValueError(f"history holds {', '.join(history) or 'nothing'}: expected a loss or a score "
                         "for each epoch")
    panels = bool(losses) + bool(scores)
    with drawn(path, 4.6 * panels + 0.6, 3.8, panels=panels, title=title) as figure:
        for number, (name, values) in enumerate(losses.items()):
            known = _known(values)
            figure.axes[0].plot(list(known), list(known.values()), label=name, **look(number) | {"marker": "."})
            figure.axes[0].set_ylabel("loss")
        if scores:
            axes, known = figure.axes[-1], {epoch: 100 * value for epoch, value in _known(scores).items()}
            axes.plot(list(known), list(known.values()), label=score, **look(1) | {"marker": "."})
            axes.set_ylabel(f"{score} (%)")
            if (kept := history.get("best_epoch")) in known:
                axes.plot(kept, known[kept], "o", color=COLOURS[1], **HOLLOW,
                          label=f"kept: {known[kept]:.1f} % after epoch {kept}")
        for axes in figure.axes:
            _epochs(axes, "epoch")
            axes.legend()
    return path


def progress_curve(panels: Mapping[str, Mapping[str, Sequence[float | Spread | None]]], path: str | Path, *,
                   title: str = "", note: str = "", unit: str = "%") -> str | Path:
    """Draw scores against epochs, a panel a score and a line a training, and return the path of the file.

    Each panel has its own scale, as the scores of one training lie far apart and change by little.

    Args:
        panels: {score: {training: [fraction or Spread of epoch 0, of epoch 1, …]}}; epoch 0 is the
            start. None and NaN are gaps, a Spread's band is ± one standard deviation.
        note: a line beneath: over which pictures, of how many seeds.
        unit: of 100 times the values, for the panels' titles.
    Raises:
        ValueError: if there is nothing to draw.

    >>> progress_curve({"hit@1": {"triplet": [0.5, 0.6, 0.7]}}, "progress.png")  # doctest: +SKIP
    'progress.png'
    """
    if not panels or not any(values for trainings in panels.values() for values in trainings.values()):
        raise ValueError("no scores to draw: expected {score: {training: one value an epoch}}")
    names = list(dict.fromkeys(name for trainings in panels.values() for name in trainings))
    with drawn(path, 4.6 * len(panels) + 2.8, 3.8, panels=len(panels), title=title, note=note) as figure:
        for axes, (score, trainings) in zip(figure.axes, panels.items(), strict=True):
            for name, values in trainings.items():
                draw_line(axes, names.index(name), name, list(values), markersize=4)
            axes.set_title(f"{score} ({unit})", loc="left")
            _epochs(axes, "epoch (0 is the start)")
        legend_beside(figure.axes[-1])
    return path


def schedule_plot(schedules: Mapping[str, Sequence[float]], path: str | Path, *, title: str = "") -> str | Path:
    """Draw the value of each schedule in every epoch, side by side, and return the path of the file.

    Each has its own scale, since a share and a margin have nothing in common.

    Args:
        schedules: {what it is: one value an epoch, from 1}.
    Raises:
        ValueError: if there is nothing to draw, or a value is no number.

    >>> schedule_plot({"strength": [0.0, 0.5, 1.0]}, "curriculum.png")  # doctest: +SKIP
    'curriculum.png'
    """
    shown = {name: list(map(float, values)) for name, values in schedules.items()}
    if not shown or not all(shown.values()):
        raise ValueError("no schedule to draw: expected {what it is: one value an epoch}")
    for name, values in shown.items():
        if not all(map(math.isfinite, values)):
            raise ValueError(f"{name} holds a value that is no number: expected one for each epoch")
    with drawn(path, 4.2 * len(shown) + 0.4, 3.4, panels=len(shown), title=title) as figure:
        for number, (axes, (name, values)) in enumerate(zip(figure.axes, shown.items(), strict=True)):
            axes.step(range(1, len(values) + 1), values, where="mid", color=COLOURS[number % len(COLOURS)])
            axes.set_ylim(bottom=min(0.0, *values, axes.get_ylim()[0]))
            axes.set_title(name, loc="left")
            _epochs(axes, "epoch")
    return path


def roc_plot(curves: Mapping[str, Roc], path: str | Path, *, title: str = "", note: str = "",
             points: Mapping[str, tuple[float, float]] | None = None) -> str | Path:
    """Draw true against false accepts of several spaces, and return the path of the file.

    Args:
        curves: {space: Roc}, see `devise.metrics.roc`.
        note: a line beneath: which pictures are known and which are not.
        points: {space: (false-accept rate, true-accept rate)}, what a chosen threshold does.
    Raises:
        ValueError: if there is nothing to draw.

    >>> from devise.metrics import roc
    >>> roc_plot({"raw": roc([0.9, 0.4, 0.6], [True, False, True])}, "roc.png")  # doctest: +SKIP
    'roc.png'
    """
    if not curves:
        raise ValueError("no curve to draw: expected {space: Roc}")
    with drawn(path, 6.6, 5.0, title=title, note=note) as figure:
        axes = figure.axes[0]
        for number, (name, curve) in enumerate(curves.items()):
            style = look(number)
            axes.plot(100 * curve.false_accept_rate, 100 * curve.true_accept_rate, color=style["color"],
                      linestyle="-" if number == 0 else "--", label=f"{name}, area {curve.area:.3f}")
            if points and name in points:
                false, true = points[name]
                axes.plot(100 * false, 100 * true, style["marker"], color=style["color"], **HOLLOW,
                          label=f"{name}, the chosen threshold")
        axes.plot([0, 100], [0, 100], color="#b5bec7", linewidth=1, linestyle=":", label="chance")
        axes.set(xlabel="unknown pictures let in (%)", ylabel="known pictures let in (%)", xlim=(-1, 101),
                 ylim=(-1, 101))
        axes.legend(loc="lower right")
    return path


def recall_curves(points: Sequence[dict], path: str | Path, *, title: str = "") -> str | Path:
    """Draw queries a second (log scale) against recall, a panel a set of vectors; returns the path of the file.

    Args:
        points: [{"vectors", "n", "engine", "value" (of the engine's knob), "recall_at_10", "single_per_s"}];
            "recall_at_…" may name another depth. A point of the engine "exact" is drawn alone.
    Raises:
        ValueError: if there is nothing to draw.

    >>> points = [{"vectors": "clusters", "n": 100000, "engine": "annoy", "value": value, "recall_at_10": recall,
    ...            "single_per_s": speed} for value, recall, speed in [(500, 0.9, 900), (5000, 0.99, 200)]]
    >>> recall_curves(points, "recall.png")  # doctest: +SKIP
    'recall.png'
    """
    if not points:
        raise ValueError("no points to draw: expected [{\"vectors\", \"engine\", \"recall_at_10\", \"single_per_s\"}]")
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    depth = next(name for name in points[0] if name.startswith("recall_at_"))
    sets = list(dict.fromkeys(point["vectors"] for point in points))
    engines = sorted({point["engine"] for point in points} - {REFERENCE})
    looks = {engine: look(number) for number, engine in enumerate(engines)} | {REFERENCE: STAR}
    with drawn(path, max(6.4, 4.2 * len(sets) + 1.6), 4.6, panels=len(sets), title=title) as figure:
        for axes, name in zip(figure.axes, sets, strict=True):
            of_set = [point for point in points if point["vectors"] == name]
            of_set.sort(key=lambda point: point.get("value") or 0)
            for engine, style in looks.items():
                if mine := [point for point in of_set if point["engine"] == engine]:
                    axes.plot([100 * point[depth] for point in mine], [point["single_per_s"] for point in mine],
                              label=engine, clip_on=False, **style)
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # written out: powers would need math,
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))  # which names may break
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_xlabel(f"{depth.replace('_at_', '@')} (% of the true neighbours)")
            axes.set_title(f"{name}, n = {of_set[0]['n']:,}", loc="left", fontsize=11, color=QUIET)
            axes.set_xlim(right=100)
        figure.axes[0].set_ylabel("single queries a second (log scale)")
        legend_beside(figure.axes[-1])
    return path


def _known(values: Sequence[float | None]) -> dict[int, float]:
    """{epoch from 1: value} of those that have one."""
    return {epoch: float(value) for epoch, value in enumerate(values, start=1)
            if value is not None and math.isfinite(value)}


def _epochs(axes: Axes, label: str) -> None:
    axes.set_xlabel(label)
    axes.locator_params(axis="x", integer=True)
