"""What a curriculum changes from epoch to epoch, a panel a schedule, as a PNG file."""

import math

from devise.plots.curves import COLOURS, _entitle, _figure, _save, _style

PANEL = 4.2  # inches
KEPT = "kept: epoch {}"


def schedule_plot(schedules, path, *, title="", kept=None):
    """Draw the value of each schedule in every epoch, side by side, and return the path of the PNG.

    Each has its own scale, since a share and a margin have nothing in common.

    Args:
        schedules: {what it is: one value an epoch, from 1; or a schedule whose `values()` gives them}.
        path: where to write; a file that exists is replaced in one step.
        kept: the epoch whose weights were kept, marked in each panel; 0 is the start, and not drawn.
    Raises:
        ValueError: if there is nothing to draw, or a value is no number.

    >>> from devise.training import Schedule
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "curriculum.png"
    >>> schedule_plot({"strength": Schedule(0.0, 1.0, epochs=5)}, path) == path
    True
    """
    drawn = {name: [float(value) for value in (values.values() if hasattr(values, "values") else values)]
             for name, values in schedules.items()}
    if not drawn or not all(drawn.values()):
        raise ValueError("no schedule to draw: expected {what it is: one value an epoch}")
    for name, values in drawn.items():
        if not all(map(math.isfinite, values)):
            raise ValueError(f"{name} holds a value that is no number: expected one for each epoch")
    with _style():
        figure, _ = _figure(PANEL * len(drawn) + 0.4, 3.4, panels=len(drawn))
        for number, (axes, (name, values)) in enumerate(zip(figure.axes, drawn.items(), strict=True)):
            _draw(axes, number, name, values, kept)
        _entitle(figure, title)
        return _save(figure, path)


def _draw(axes, number, name, values, kept):
    epochs = range(1, len(values) + 1)
    axes.step(epochs, values, where="mid", color=COLOURS[number % len(COLOURS)])
    axes.set_title(name, loc="left")
    axes.set_xlabel("epoch")
    axes.set_xlim(0.5, len(values) + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    low, high = min(0.0, *values), max(values)
    room = 0.06 * ((high - low) or 1)
    axes.set_ylim(low - room, high + room)
    if kept and kept <= len(values):
        axes.plot(kept, values[kept - 1], "o", color=COLOURS[1], markerfacecolor="white", markeredgewidth=1.8,
                  markersize=8, label=KEPT.format(kept), zorder=4)
        axes.legend(frameon=False)
