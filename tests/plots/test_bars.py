"""Bars: what is drawn is what was given, group beneath group."""

import pytest
from PIL import Image

from devise.plots import bar_plot, bars

GROUPS = {"few": {"devise train": 0.5, "Keras fit": 20.0}, "many": {"devise train": 1234.5, "none": None, "zero": 0}}


@pytest.fixture
def axes(monkeypatch, tmp_path):
    kept, save = [], bars.save
    monkeypatch.setattr(bars, "save", lambda figure, path: kept.append(figure) or save(figure, path))
    path = bar_plot(GROUPS, tmp_path / "bars.png", title="A title", label="seconds", note="a note")
    assert Image.open(path).size[0] > 1000
    return kept[0].axes[0]


def test_a_bar_is_as_long_as_its_number_from_the_top_down(axes):
    assert [bar.get_width() for bar in axes.patches] == [0.5, 20.0, 1234.5]
    tops = [bar.get_y() for bar in axes.patches]
    assert tops == sorted(tops) and axes.yaxis_inverted()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["devise train", "Keras fit", "devise train"]
    assert [text.get_text() for text in axes.texts] == ["0.5", "20", "1,234", "few", "many"]
    assert axes.get_xscale() == "log" and axes.get_xlim()[0] < 0.5 and axes.get_xlim()[1] > 1234.5


def test_what_is_near_one_another_starts_from_zero(monkeypatch, tmp_path):
    kept, save = [], bars.save
    monkeypatch.setattr(bars, "save", lambda figure, path: kept.append(figure) or save(figure, path))
    bar_plot({"": {"devise": 3.0, "other": 2.0}}, tmp_path / "bars.png", label="seconds")
    axes, = kept[0].axes
    assert axes.get_xscale() == "linear" and axes.get_xlim()[0] == 0
    assert axes.get_xlabel() == "seconds" and [text.get_text() for text in axes.texts] == ["3", "2"]


def test_our_own_rows_stand_out(axes):
    ours, others, again = (bar.get_facecolor() for bar in axes.patches)
    assert ours == again != others


def test_nothing_to_draw_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no numbers to draw"):
        bar_plot({"few": {"none": None}}, tmp_path / "bars.png")
    assert not list(tmp_path.iterdir())
