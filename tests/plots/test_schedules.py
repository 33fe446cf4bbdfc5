"""The plot of a curriculum: every value stands at its epoch, and nothing is cut off."""

import numpy as np
import pytest
from PIL import Image

from devise.plots import schedules
from devise.plots.schedules import schedule_plot
from devise.training import Schedule


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, kept for a look at what is on them."""
    kept, save = [], schedules._save
    monkeypatch.setattr(schedules, "_save", lambda figure, path: kept.append(figure) or save(figure, path))
    return kept


def test_each_schedule_has_a_panel_with_its_values_by_epoch(figures, tmp_path):
    strength = Schedule(0.0, 1.0, epochs=9, warm_up=2)
    path = schedule_plot({"strength": strength, "gap": [0.3, 0.2, -0.1]}, tmp_path / "plot.png", title="Title", kept=2)
    left, right = figures[0].axes
    assert left.lines[0].get_xydata() == pytest.approx(np.column_stack([range(1, 10), strength.values()]))
    assert right.lines[0].get_xydata() == pytest.approx(np.array([[1, 0.3], [2, 0.2], [3, -0.1]]))
    assert [axes.get_title(loc="left") for axes in (left, right)] == ["strength", "gap"]
    assert right.lines[1].get_xydata().tolist() == [[2, 0.2]] and left.lines[1].get_xydata().tolist() == [[2, 0.0]]
    low, high = right.get_ylim()
    assert low < -0.1 and high > 0.3, "no value lies outside"
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    edge = np.ones(pixels.shape[:2], bool)
    edge[3:-3, 3:-3] = False
    assert (pixels[edge] == 255).all() and (pixels < 100).any(), "something is cut off"


def test_the_start_and_an_unknown_epoch_are_not_marked(figures, tmp_path):
    for kept in (None, 0, 4):
        schedule_plot({"one value": [0.0]}, tmp_path / "plot.png", kept=kept)
        assert len(figures[-1].axes[0].lines) == 1


@pytest.mark.parametrize("nothing", [{}, {"gap": []}, {"gap": [0.1, float("nan")]}])
def test_nothing_to_draw_is_refused_and_leaves_no_file(nothing, tmp_path):
    with pytest.raises(ValueError, match="no schedule to draw|no number"):
        schedule_plot(nothing, tmp_path / "plot.png")
    assert not list(tmp_path.iterdir())
