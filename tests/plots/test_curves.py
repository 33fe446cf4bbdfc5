"""Curves: what was drawn is what was given, in percent, with its labels inside the picture."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from devise.metrics import roc, spread
from devise.plots import history_curve, hit_curve, progress_curve, recall_curves, roc_plot, schedule_plot

SERIES = {"test over seen": {1: spread([0.94, 0.96]), 2: spread([0.98, 1.0]), 20: spread([1.0, 1.0])},
          "unseen over unseen": {1: 0.7, 2: 0.8, 5: 1.0}}
ENGINES = [{"vectors": vectors, "n": n, "engine": engine, "value": value, "recall_at_10": found, "single_per_s": rate}
          for vectors, n in [("drawn", 1000), ("words", 400)]
          for engine, value, found, rate in [("exact", None, 1.0, 70), ("usearch", 100, 0.99, 900),
                                             ("usearch", 10, 0.8, 5000), ("faiss", 1, 0.7, 8000)]]
PUBLISHED = {"paper": {2: 0.65, 3: 0.70}}


def test_lines_hold_the_means_in_percent_at_the_real_ks(figures, tmp_path, margins_are_white):
    path = hit_curve(SERIES, tmp_path / "hit.png", title="Title", published=PUBLISHED)
    axes, = figures[0].axes
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["test over seen"].get_xydata() == pytest.approx(np.array([[1, 95], [2, 99], [20, 100]]))
    assert lines["unseen over unseen"].get_ydata() == pytest.approx([70, 80, 100])
    assert lines["paper"].get_linestyle() == "None" and lines["paper"].get_markerfacecolor() == "white"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3", "5", "20"]
    assert "%" in axes.get_ylabel() and "log" in axes.get_xlabel()
    band, = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    deviation = 100 * np.std([0.94, 0.96], ddof=1)
    assert heights.min() == pytest.approx(95 - deviation) and heights.max() == 100
    assert "standard deviation" in axes.get_title(loc="left")
    assert path == tmp_path / "hit.png" and margins_are_white(path)


def test_every_series_is_named_beside_the_axes(figures, tmp_path, margins_are_white):
    series = {f"series number {number} with a rather long name": {1: 0.5, 2: 0.9} for number in range(15)}
    path = hit_curve(series, tmp_path / "hit.png", title="A title of very many words " * 5)
    axes, = figures[0].axes
    named = axes.get_legend()
    assert [text.get_text().replace("\n", " ") for text in named.get_texts()] == list(series)
    assert named.get_window_extent().x0 > axes.get_window_extent().x1 and margins_are_white(path)


def test_one_run_has_no_band(figures, tmp_path):
    hit_curve({"a $ and a $_{": {1: spread([0.9]), 2: 0.95}}, tmp_path / "hit.png", title="$^$")
    axes, = figures[0].axes
    assert not axes.collections and axes.get_title(loc="left") == ""


def test_series_differ_in_more_than_colour(figures, tmp_path):
    hit_curve({f"{number}": {1: 0.1 * number, 2: 0.5} for number in range(9)}, tmp_path / "hit.png")
    lines = figures[0].axes[0].lines
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == 9


def test_a_history_has_a_panel_for_the_loss_and_one_for_the_score(figures, tmp_path, margins_are_white):
    history = {"loss": [1.0, 0.5, 0.4], "validation_loss": [1.1, None, 0.6],
               "score": [0.0, float("nan"), 0.9], "best_epoch": 3, "seconds": 12.5}
    path = history_curve(history, tmp_path / "history.png", title="Training")
    losses, scores = figures[0].axes
    assert [line.get_label() for line in losses.lines] == ["training", "validation"]
    assert losses.lines[1].get_xydata().tolist() == [[1, 1.1], [3, 0.6]]
    assert scores.lines[0].get_xydata().tolist() == [[1, 0], [3, 90]]
    assert scores.lines[1].get_label() == "kept: 90.0 % after epoch 3"
    assert scores.get_ylabel() == "validation hit@1 (%)"
    assert losses.get_xlabel() == scores.get_xlabel() == "epoch"
    assert margins_are_white(path)


@pytest.mark.parametrize("history", [{"loss": [0.5]}, {"loss": [0.5, 0.4], "validation_loss": []},
                                     {"loss": [], "score": [0.5, 0.6], "best_epoch": None}])
def test_a_history_of_one_kind_has_one_panel(figures, tmp_path, history, margins_are_white):
    assert margins_are_white(history_curve(history, tmp_path / "history.png"))
    assert len(figures[0].axes) == 1 and len(figures[0].axes[0].lines) == 1


def test_the_history_of_a_training_is_a_history(figures, tmp_path):
    training = pytest.importorskip("devise.training.loop")
    history = training.History((1.0, 0.5), (1.0, 0.6), (0.1, 0.2), 2, 1.5)
    history_curve(history.to_json(), tmp_path / "history.png")
    assert len(figures[0].axes) == 2


def test_nothing_to_draw_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="no series"):
        hit_curve({"test": {}}, tmp_path / "hit.png")
    with pytest.raises(ValueError, match="history holds epochs: expected a loss"):
        history_curve({"epochs": [1, 2]}, tmp_path / "history.png")
    assert not list(tmp_path.iterdir())


def test_global_state_of_matplotlib_is_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    hit_curve(SERIES, tmp_path / "hit.png")
    assert dict(matplotlib.rcParams) == before
    code = ("import sys, devise.plots; assert not {'matplotlib', 'PIL'} & set(sys.modules); "
            "devise.plots.history_curve({'loss': [1, 2]}, sys.argv[1]); "
            "assert 'matplotlib.pyplot' not in sys.modules")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "history.png")], check=True)


def test_a_panel_a_score_and_a_line_a_training_through_its_values(figures, tmp_path, margins_are_white):
    panels = {"MAP@R": {"plain": [0.5, 0.6, None, 0.7], "curriculum": [spread([0.4, 0.6]), spread([0.6, 0.8])]},
              "hit@1": {"plain": [0.9, 0.8]}}
    assert margins_are_white(progress_curve(panels, tmp_path / "x.png", title="Training", note="of two seeds"))
    axes = figures[0].axes
    assert [panel.get_title(loc="left") for panel in axes] == ["MAP@R (%)", "hit@1 (%)"]
    plain, curriculum = axes[0].get_lines()
    assert plain.get_xdata().tolist() == [0, 1, 3] and plain.get_ydata().tolist() == pytest.approx([50, 60, 70])
    assert curriculum.get_ydata().tolist() == pytest.approx([50, 70])
    assert axes[0].collections[0].get_paths()[0].vertices[:, 1].min() == pytest.approx(100 * (0.5 - np.sqrt(0.02)))
    assert axes[0].get_lines()[0].get_color() == axes[1].get_lines()[0].get_color()


def test_each_schedule_has_a_panel_with_its_values_by_epoch(figures, tmp_path, margins_are_white):
    strength = np.linspace(0, 1, 9).tolist()
    path = schedule_plot({"strength": strength, "gap": [0.3, 0.2, -0.1]}, tmp_path / "plot.png", title="Title")
    left, right = figures[0].axes
    assert left.lines[0].get_xydata() == pytest.approx(np.column_stack([range(1, 10), strength]))
    assert right.lines[0].get_xydata() == pytest.approx(np.array([[1, 0.3], [2, 0.2], [3, -0.1]]))
    assert [axes.get_title(loc="left") for axes in (left, right)] == ["strength", "gap"]
    low, high = right.get_ylim()
    assert low < -0.1 and high > 0.3 and margins_are_white(path)


def test_the_curve_of_a_roc_and_the_point_of_its_threshold(figures, tmp_path, margins_are_white):
    curve = roc([0.9, 0.8, 0.3, 0.1], [True, False, True, False])
    assert margins_are_white(roc_plot({"raw": curve}, tmp_path / "x.png", points={"raw": (0.5, 0.25)}))
    line, point, chance = figures[0].axes[0].get_lines()
    np.testing.assert_allclose(line.get_xdata(), 100 * curve.false_accept_rate)
    np.testing.assert_allclose(line.get_ydata(), 100 * curve.true_accept_rate)
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (50, 25) and "0.750" in line.get_label()


@pytest.mark.parametrize("draw", [
    lambda path: progress_curve({}, path), lambda path: progress_curve({"hit@1": {"one": []}}, path),
    lambda path: roc_plot({}, path), lambda path: schedule_plot({}, path),
    lambda path: schedule_plot({"gap": []}, path), lambda path: schedule_plot({"gap": [0.1, float("nan")]}, path)])
def test_nothing_to_draw_is_said(draw, tmp_path):
    with pytest.raises(ValueError, match="to draw|no number"):
        draw(tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("ending", "first"), [
    ("png", b"\x89PNG"), ("jpg", b"\xff\xd8\xff"), ("jpeg", b"\xff\xd8\xff"), ("PDF", b"%PDF"), ("svg", b"<?xml")])
def test_the_ending_says_the_format_and_the_same_figure_is_the_same_file(ending, first, tmp_path):
    for name in ("a", "b"):
        hit_curve(SERIES, tmp_path / f"{name}.{ending}", title="Title")
    content = (tmp_path / f"a.{ending}").read_bytes()
    assert content.startswith(first) and content == (tmp_path / f"b.{ending}").read_bytes()
    hit_curve({"other": {1: 0.5}}, tmp_path / f"a.{ending}")  # what we drew, we may draw anew
    assert (tmp_path / f"a.{ending}").read_bytes() != content
    (tmp_path / f"c.{ending}").write_bytes(b"a file of somebody's own")
    with pytest.raises(FileExistsError, match="there already"):
        hit_curve(SERIES, tmp_path / f"c.{ending}")
    assert (tmp_path / f"c.{ending}").read_bytes() == b"a file of somebody's own"


@pytest.mark.parametrize("name", ["x.bmp", "x"])
def test_another_ending_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="expected .png, .jpg, .jpeg, .pdf, .svg"):
        hit_curve(SERIES, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_line_an_engine_and_a_panel_a_set(figures, tmp_path):
    path = recall_curves(ENGINES, tmp_path / "recall.png", title="Engines")
    assert Image.open(path).width > Image.open(path).height
    left, right = figures[0].axes
    assert left.get_title(loc="left") == "drawn, n = 1,000" and right.get_title(loc="left") == "words, n = 400"
    lines = {line.get_label(): line.get_xydata().tolist() for line in left.lines}
    assert lines == {"exact": [[100, 70]], "usearch": [[80, 5000], [99, 900]], "faiss": [[70, 8000]]}
    assert left.get_yscale() == "log" and "recall@10" in left.get_xlabel()


def test_without_points_there_is_no_curve(tmp_path):
    with pytest.raises(ValueError, match="no points"):
        recall_curves([], tmp_path / "recall.png")
