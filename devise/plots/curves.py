"""Curves: hit@k against k, and the history of a training, as PNG files."""

import math
import textwrap

from devise.metrics.summary import Spread
from devise.storage import MARK, atomic_path, replaceable

# Okabe and Ito's colours without the yellow, which is too pale for a line on white
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = "osD^vPX"
HOLLOW = "oDs^v"
QUIET = "#56616d"
STYLE = {"font.size": 11, "axes.titlesize": 12, "axes.spines.top": False, "axes.spines.right": False,
         "axes.grid": True, "grid.color": "#e3e7eb", "grid.linewidth": 0.8, "axes.axisbelow": True,
         "axes.edgecolor": "#56616d", "text.color": "#1f2933", "axes.labelcolor": "#1f2933",
         "xtick.color": "#1f2933", "ytick.color": "#1f2933", "lines.linewidth": 2, "lines.markersize": 6,
         "text.parse_math": False}  # a name may hold a $
DPI = 200
NAME = 13.5  # points a line of a series' name takes


def hit_curve(series, path, *, title="", published=None):
    """Draw hit@k against k, one line a series, and return the path of the PNG.

    Args:
        series: {name: {k: fraction, or Spread over runs}}; a Spread's band is ± one standard deviation.
        path: where to write; a file that exists is replaced in one step.
        published: {name: {k: fraction}}, drawn as hollow points without a line.
    Raises:
        ValueError: if there is nothing to draw.

    >>> hit_curve({"seen labels": {1: 0.94, 5: 0.99}}, "curve.png")  # doctest: +SKIP
    'curve.png'
    """
    published = dict(published or {})
    if not any(series.values()) and not any(published.values()):
        raise ValueError("no series to draw: expected {name: {k: fraction}}")
    with _style():
        names = sum(len(_wrapped(name)) for name in [*series, *published])
        figure, axes = _figure(7.6, max(4.4, names * NAME / 72 + 1.6))
        labels = [_draw_series(axes, number, name, values) for number, (name, values) in
                  enumerate(series.items()) if values]
        labels += [_draw_points(axes, number, name, values) for number, (name, values) in
                   enumerate(published.items(), start=len(series)) if values]
        _dress_hits(axes, [*series.values(), *published.values()])
        _entitle(figure, title)
        if any(_deviation(value) for values in series.values() for value in values.values()):
            axes.set_title("band: ± 1 standard deviation over runs", loc="left", fontsize=10, color=QUIET)
        _label_ends(axes, labels)
        return _save(figure, path)


def history_curve(history, path, *, title="", score="validation hit@1"):
    """Draw the loss and the validation score of each epoch, and return the path of the PNG.

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
    with _style():
        panels = bool(losses) + bool(scores)
        figure, axes = _figure(4.6 * panels + 0.6, 3.8, panels=panels)
        for number, (name, values) in enumerate(losses.items()):
            _draw_epochs(axes, number, name, values)
        if losses:
            axes.set_ylabel("loss")
        if scores:
            axes = figure.axes[-1]
            known = _draw_epochs(axes, 1, score, [value and 100 * value for value in scores])
            _ring(axes, history.get("best_epoch"), known)
            axes.set_ylabel(f"{score} (%)")
        for axes in figure.axes:
            axes.legend(frameon=False)
        _entitle(figure, title)
        return _save(figure, path)


def _draw_series(axes, number, name, values):
    """A line with its band; returns what the label beside the axes needs."""
    style = _look(number)
    ks = sorted(k for k in values if values[k] is not None)
    means = [100 * _mean(values[k]) for k in ks]
    deviations = [100 * _deviation(values[k]) for k in ks]
    axes.plot(ks, means, label=name, clip_on=False, zorder=3, **style)
    if any(deviations):
        axes.fill_between(ks, [mean - by for mean, by in zip(means, deviations, strict=True)],
                          [min(100, mean + by) for mean, by in zip(means, deviations, strict=True)],
                          color=style["color"], alpha=0.18, linewidth=0)
    return name, style, (ks[-1], means[-1])


def _draw_points(axes, number, name, values):
    """Hollow points without a line."""
    style = _look(number) | {"linestyle": "none", "marker": HOLLOW[number % len(HOLLOW)],
                             "markerfacecolor": "white", "markeredgewidth": 1.8, "markersize": 8}
    ks = sorted(k for k in values if values[k] is not None)
    axes.plot(ks, [100 * values[k] for k in ks], label=name, clip_on=False, zorder=4, **style)
    return name, style, (ks[-1], 100 * values[ks[-1]])


def _dress_hits(axes, series):
    """Ticks at the ks that were measured, and a percent axis that ends at 100."""
    ks = sorted({k for values in series for k in values})
    lowest = min(100 * _mean(value) for values in series for value in values.values() if value is not None)
    axes.set_xscale("log", base=2)
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.minorticks_off()
    axes.set_xlim(ks[0] / 1.1, ks[-1] * 1.1)
    axes.set_ylim(max(0, 10 * math.floor((lowest - 3) / 10)), 101)
    axes.yaxis.get_major_locator().set_params(nbins=6, steps=[1, 2, 5, 10])
    axes.set_xlabel("k, number of candidates looked at (log scale)")
    axes.set_ylabel("hit@k (% of pictures)")


def _label_ends(axes, labels):
    """Name each series beside the axes at the height of its end, apart from one another."""
    axes.figure.draw_without_rendering()  # settles the height of the axes
    height = axes.get_window_extent().height / axes.figure.dpi * 72  # points
    bottom, top = axes.get_ylim()
    ends = [(end[1] - bottom) / (top - bottom) for _, _, end in labels]
    places = spaced(ends, [NAME * len(_wrapped(name)) / height for name, _, _ in labels], 0, 1.08)
    last = max(end[0] for _, _, end in labels)
    for (name, style, end), place in zip(labels, places, strict=True):
        if end[0] == last and style["linestyle"] != "none":
            thread = {"arrowstyle": "-", "color": style["color"], "linewidth": 0.8, "shrinkB": 0}
            axes.annotate("", (1.03, place), end, xycoords="axes fraction", textcoords="data",
                          annotation_clip=False, arrowprops=thread)
        axes.plot([1.045], [place], transform=axes.transAxes, clip_on=False, **style)
        axes.text(1.07, place, "\n".join(_wrapped(name)), transform=axes.transAxes, va="center", fontsize=10)


def spaced(places, sizes, low=-math.inf, high=math.inf):
    """Places moved as little as needed for things of these sizes not to overlap, order kept.

    They stay between low and high where there is room for all.

    >>> spaced([0.5, 0.5], [0.2, 0.2])
    [0.4, 0.6]
    """
    moved, order = list(places), sorted(range(len(places)), key=lambda row: (places[row], row))
    for _ in range(200):  # neighbours push each other apart by equal parts
        for lower, upper in zip(order, order[1:], strict=False):
            missing = max(0, (sizes[lower] + sizes[upper]) / 2 - (moved[upper] - moved[lower]))
            moved[lower] -= missing / 2
            moved[upper] += missing / 2
    for row in reversed(order):  # from the top down, then from the bottom up: what was left
        moved[row] = min(moved[row], high - sizes[row] / 2)
        high = moved[row] - sizes[row] / 2
    for row in order:
        moved[row] = max(moved[row], low + sizes[row] / 2)
        low = moved[row] + sizes[row] / 2
    return moved


def _wrapped(name):
    """A series' name in at most three lines."""
    return textwrap.wrap(name, 26, max_lines=3, placeholder=" …") or [""]


def _draw_epochs(axes, number, name, values):
    """A curve through the epochs that have a value; returns {epoch: value} of them."""
    known = {epoch: float(value) for epoch, value in enumerate(values, start=1)
             if value is not None and math.isfinite(value)}
    style = _look(number) | {"marker": "." if len(known) < len(values) or len(known) == 1 else ""}
    axes.plot(known.keys(), known.values(), label=name, **style)
    axes.set_xlim(0.5 if len(values) == 1 else 1 - len(values) / 50, len(values) * 1.02 + 0.3)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch")
    return known


def _ring(axes, epoch, known):
    """Mark the epoch whose weights were kept."""
    if epoch in known:
        axes.plot(epoch, known[epoch], "o", color=COLOURS[1], markerfacecolor="white", markeredgewidth=1.8,
                  markersize=8, label=f"kept: {known[epoch]:.1f} % after epoch {epoch}", zorder=4)


def _mean(value):
    return value.mean if isinstance(value, Spread) else float(value)


def _deviation(value):
    return value.std if isinstance(value, Spread) and value.n > 1 else 0.0


def _look(number):
    """Colour, marker and line of the n-th series; lines change where the colours begin again."""
    lines = ("-", "--", ":")
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)],
            "linestyle": lines[number // len(COLOURS) % len(lines)]}


def _style():
    import matplotlib

    return matplotlib.rc_context(STYLE)


def _figure(width, height, *, panels=1):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.subplots(1, panels)
    figure.get_layout_engine().set(wspace=0.06)
    return figure, figure.axes[0]


def _entitle(figure, title):
    if title:
        width = int(figure.get_figwidth() * 9)  # letters of this size to the inch
        figure.suptitle(textwrap.fill(title, width), x=0.01, ha="left", fontweight="bold")


def _note(figure, note):
    """A small line beneath all panels."""
    if note:
        width = int(figure.get_figwidth() * 13)  # letters of this size to the inch
        figure.supxlabel(textwrap.fill(note, width), x=0.01, ha="left", fontsize=10, color=QUIET)


def _save(figure, path):
    replaceable(path)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": MARK})
    return path
