"""Dots with their intervals, and bars: what is drawn is what was given, row beneath row, and inside the picture."""

import pytest
from PIL import Image

from devise.metrics import spread
from devise.plots import bar_plot, interval_plot

GROUPS = {"few": {"devise train": 0.5, "Keras fit": 20.0}, "many": {"devise train": 1234.5, "none": None, "zero": 0}}
ROWS = {"ridge": {"open": spread([0.1, 0.2, 0.3]), "strict": spread([0.0, 0.0, 0.1])},
        "a rule with a rather long name": {"open": 0.5}, "none": {"open": float("nan"), "strict": None}}


def test_dots_are_means_and_lines_are_intervals_in_percent(figures, tmp_path, margins_are_white):
    path = interval_plot(ROWS, tmp_path / "plot.png", title="Title", note="20,000 candidates " * 8)
    axes, = figures[0].axes
    dots = {line.get_label(): line.get_xydata() for line in axes.lines}
    assert dots["open"][:, 0] == pytest.approx([20, 50]) and dots["strict"][:, 0] == pytest.approx([10 / 3])
    assert dots["open"][:, 1].round().tolist() == [0, 1], "rows are where their names are"
    assert [label.get_text() for label in axes.get_yticklabels()] == list(ROWS)
    ends = [segment[:, 0] for lines in axes.collections for segment in lines.get_segments()]
    low, high = 100 * spread([0.1, 0.2, 0.3]).low, 100 * spread([0.1, 0.2, 0.3]).high
    assert low < 0 and ends[0] == pytest.approx([0, high]) and ends[1] == pytest.approx([50, 50])
    assert margins_are_white(path), "something is cut off"


def test_nothing_to_draw_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="no figures to draw"):
        interval_plot({"ridge": {}}, tmp_path / "plot.png")
    assert not list(tmp_path.iterdir())


def test_the_axis_may_begin_near_the_least_figure(tmp_path, figures):
    for options in ({}, {"origin": 50}, {"origin": None}):
        interval_plot({"a": {"x": 0.75}, "b": {"x": 0.8}}, tmp_path / "x.png", **options)
    drawn = [figure.axes[0].get_xlim()[0] for figure in figures]
    assert drawn[:2] == [0, 50] and 70 < drawn[2] < 75


@pytest.fixture
def axes(figures, tmp_path):
    path = bar_plot(GROUPS, tmp_path / "bars.png", title="A title", label="seconds", note="a note")
    assert Image.open(path).size[0] > 1000
    return figures[0].axes[0]


def test_a_bar_is_as_long_as_its_number_from_the_top_down(axes):
    assert [bar.get_width() for bar in axes.patches] == [0.5, 20.0, 1234.5]
    tops = [bar.get_y() for bar in axes.patches]
    assert tops == sorted(tops) and axes.yaxis_inverted()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["devise train", "Keras fit", "devise train"]
    assert [text.get_text() for text in axes.texts] == ["0.5", "20", "1,234", "few", "many"]
    assert axes.get_xscale() == "log" and axes.get_xlim()[0] < 0.5 and axes.get_xlim()[1] > 1234.5


def test_what_is_near_one_another_starts_from_zero(figures, tmp_path):
    bar_plot({"": {"devise": 3.0, "other": 2.0}}, tmp_path / "bars.png", label="seconds")
    axes, = figures[0].axes
    assert axes.get_xscale() == "linear" and axes.get_xlim()[0] == 0
    assert axes.get_xlabel() == "seconds" and [text.get_text() for text in axes.texts] == ["3", "2"]


def test_our_own_rows_stand_out(axes):
    ours, others, again = (bar.get_facecolor() for bar in axes.patches)
    assert ours == again != others


def test_no_bars_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no numbers to draw"):
        bar_plot({"few": {"none": None}}, tmp_path / "bars.png")
    assert not list(tmp_path.iterdir())
