"""How retrieval changes while a training goes on, and what a threshold trades: curves as PNG files."""

import math

from devise.metrics.summary import Spread
from devise.plots.curves import COLOURS, _entitle, _figure, _look, _note, _save, _style

PANEL = 4.6  # inches


def progress_curve(panels, path, *, title="", note="", unit="%"):
    """Draw scores against epochs, a panel a score and a line a training, and return the path of the PNG.

    Each panel has its own scale, as the scores of one training lie far apart and change by little.

    Args:
        panels: {score: {training: [fraction or Spread of epoch 0, of epoch 1, …]}}; epoch 0 is the
            start. None and NaN are gaps, a Spread's band is ± one standard deviation.
        path: where to write; a file that exists is replaced in one step.
        note: a line beneath: over which pictures, of how many seeds.
        unit: of 100 times the values, for the panels' titles.
    Raises:
        ValueError: if there is nothing to draw.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "progress.png"
    >>> progress_curve({"hit@1": {"triplet": [0.5, 0.6, 0.7]}}, path) == path
    True
    """
    if not panels or not any(values for trainings in panels.values() for values in trainings.values()):
        raise ValueError("no scores to draw: expected {score: {training: one value an epoch}}")
    names = list(dict.fromkeys(name for trainings in panels.values() for name in trainings))
    with _style():
        figure, _ = _figure(PANEL * len(panels) + 2.8, 3.8, panels=len(panels))
        for axes, (score, trainings) in zip(figure.axes, panels.items(), strict=True):
            for name, values in trainings.items():
                _draw(axes, names.index(name), name, values)
            axes.set_title(f"{score} ({unit})", loc="left")
            axes.set_xlabel("epoch (0 is the start)")
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.axes[-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        _entitle(figure, title)
        _note(figure, note)
        return _save(figure, path)


def roc_plot(curves, path, *, title="", points=None, note=""):
    """Draw true against false accepts of several spaces, and return the path of the PNG.

    Args:
        curves: {space: Roc}, see `devise.metrics.roc`.
        path: where to write; a file that exists is replaced in one step.
        points: {space: (false-accept rate, true-accept rate)}, what a chosen threshold does.
        note: a line beneath: which pictures are known and which are not.
    Raises:
        ValueError: if there is nothing to draw.

    >>> import tempfile, pathlib
    >>> from devise.metrics import roc
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "roc.png"
    >>> roc_plot({"raw": roc([0.9, 0.4, 0.6], [True, False, True])}, path) == path
    True
    """
    if not curves:
        raise ValueError("no curve to draw: expected {space: Roc}")
    with _style():
        figure, axes = _figure(6.6, 5.0)
        for number, (name, curve) in enumerate(curves.items()):
            style = _look(number)
            axes.plot(100 * curve.false_accept_rate, 100 * curve.true_accept_rate, color=style["color"],
                      linestyle="-" if number == 0 else "--", label=f"{name}, area {curve.area:.3f}")
            if points and name in points:
                false, true = points[name]
                axes.plot(100 * false, 100 * true, style["marker"], color=style["color"], markerfacecolor="white",
                          markeredgewidth=1.8, markersize=9, label=f"{name}, the chosen threshold", zorder=4)
        axes.plot([0, 100], [0, 100], color="#b5bec7", linewidth=1, linestyle=":", label="chance")
        axes.set_xlabel("unknown pictures let in (%)")
        axes.set_ylabel("known pictures let in (%)")
        axes.set_xlim(-1, 101)
        axes.set_ylim(-1, 101)
        axes.legend(loc="lower right", frameon=False)
        _entitle(figure, title)
        _note(figure, note)
        return _save(figure, path)


def _draw(axes, number, name, values):
    """One training: a line, and its band where there is one."""
    known = [(epoch, value) for epoch, value in enumerate(values) if value is not None and not math.isnan(_mean(value))]
    if not known:
        return
    epochs, found = zip(*known, strict=True)
    style = _look(number) | {"markersize": 4}
    axes.plot(epochs, [100 * _mean(value) for value in found], label=name, **style)
    lows, highs = zip(*map(_band, found), strict=True)
    if lows != highs:
        axes.fill_between(epochs, [100 * low for low in lows], [100 * high for high in highs],
                          color=COLOURS[number % len(COLOURS)], alpha=0.15, linewidth=0)


def _mean(value):
    return value.mean if isinstance(value, Spread) else float(value)


def _band(value):
    """Low and high of a band; both the value itself where there is none."""
    if isinstance(value, Spread) and value.n > 1:
        return value.mean - value.std, value.mean + value.std
    return _mean(value), _mean(value)
