"""Dots and intervals: what is drawn is what was given, in percent, and inside the picture."""

import numpy as np
import pytest
from PIL import Image

from devise.metrics import spread
from devise.plots import interval_plot, intervals

ROWS = {"ridge": {"open": spread([0.1, 0.2, 0.3]), "strict": spread([0.0, 0.0, 0.1])},
        "a rule with a rather long name": {"open": 0.5}, "none": {"open": float("nan"), "strict": None}}


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, kept for a look at what is on them."""
    kept, save = [], intervals.save
    monkeypatch.setattr(intervals, "save", lambda figure, path: kept.append(figure) or save(figure, path))
    return kept


def test_dots_are_means_and_lines_are_intervals_in_percent(figures, tmp_path):
    path = interval_plot(ROWS, tmp_path / "plot.png", title="Title", note="20,000 candidates " * 8)
    axes, = figures[0].axes
    dots = {line.get_label(): line.get_xydata() for line in axes.lines}
    assert dots["open"][:, 0] == pytest.approx([20, 50]) and dots["strict"][:, 0] == pytest.approx([10 / 3])
    assert dots["open"][:, 1].round().tolist() == [0, 1], "rows are where their names are"
    assert [label.get_text() for label in axes.get_yticklabels()] == list(ROWS)
    ends = [segment[:, 0] for lines in axes.collections for segment in lines.get_segments()]
    low, high = 100 * spread([0.1, 0.2, 0.3]).low, 100 * spread([0.1, 0.2, 0.3]).high
    assert low < 0 and ends[0] == pytest.approx([0, high]) and ends[1] == pytest.approx([50, 50])
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    edge = np.ones(pixels.shape[:2], bool)
    edge[3:-3, 3:-3] = False
    assert (pixels[edge] == 255).all() and (pixels < 100).any(), "something is cut off"


def test_nothing_to_draw_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="no figures to draw"):
        interval_plot({"ridge": {}}, tmp_path / "plot.png")
    assert not list(tmp_path.iterdir())


def test_the_axis_may_begin_near_the_least_figure(tmp_path, monkeypatch):
    from devise.plots import intervals

    drawn = []
    monkeypatch.setattr(intervals, "save", lambda figure, path: drawn.append(figure.axes[0].get_xlim()[0]))
    for options in ({}, {"origin": 50}, {"origin": None}):
        interval_plot({"a": {"x": 0.75}, "b": {"x": 0.8}}, tmp_path / "x.png", **options)
    assert drawn[:2] == [0, 50] and 70 < drawn[2] < 75
