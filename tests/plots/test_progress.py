import numpy as np
import pytest
from PIL import Image

from devise.metrics import roc, spread
from devise.plots import progress as room
from devise.plots import progress_curve, roc_plot


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, kept."""
    kept = []
    monkeypatch.setattr(room, "_save", lambda figure, path: kept.append(figure) or path)
    return kept


def test_a_panel_a_score_and_a_line_a_training_through_its_values(figures):
    panels = {"MAP@R": {"plain": [0.5, 0.6, None, 0.7], "curriculum": [spread([0.4, 0.6]), spread([0.6, 0.8])]},
              "hit@1": {"plain": [0.9, 0.8]}}
    progress_curve(panels, "x.png", title="Training", note="of two seeds")
    axes = figures[0].axes
    assert [panel.get_title(loc="left") for panel in axes] == ["MAP@R (%)", "hit@1 (%)"]
    plain, curriculum = axes[0].get_lines()
    assert plain.get_xdata().tolist() == [0, 1, 3] and plain.get_ydata().tolist() == pytest.approx([50, 60, 70])
    assert curriculum.get_ydata().tolist() == pytest.approx([50, 70])
    assert axes[0].collections[0].get_paths()[0].vertices[:, 1].min() == pytest.approx(100 * (0.5 - np.sqrt(0.02)))
    assert axes[0].get_lines()[0].get_color() == axes[1].get_lines()[0].get_color()


def test_the_curve_of_a_roc_and_the_point_of_its_threshold(figures):
    curve = roc([0.9, 0.8, 0.3, 0.1], [True, False, True, False])
    roc_plot({"raw": curve}, "x.png", points={"raw": (0.5, 0.25)})
    line, point, chance = figures[0].axes[0].get_lines()
    np.testing.assert_allclose(line.get_xdata(), 100 * curve.false_accept_rate)
    np.testing.assert_allclose(line.get_ydata(), 100 * curve.true_accept_rate)
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (50, 25) and "0.750" in line.get_label()


def test_files_are_written(tmp_path):
    assert Image.open(progress_curve({"hit@1": {"one": [0.1, 0.2]}}, tmp_path / "a.png")).format == "PNG"
    assert Image.open(roc_plot({"one": roc([1, 0], [True, False])}, tmp_path / "b.png")).format == "PNG"


def test_nothing_to_draw_is_refused(tmp_path):
    for nothing in (lambda: progress_curve({}, tmp_path / "a.png"), lambda: roc_plot({}, tmp_path / "a.png"),
                    lambda: progress_curve({"hit@1": {"one": []}}, tmp_path / "a.png")):
        with pytest.raises(ValueError, match="to draw"):
            nothing()
