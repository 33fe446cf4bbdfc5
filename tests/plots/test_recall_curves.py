import pytest
from PIL import Image

from devise import plots
from devise.plots import recall

POINTS = [{"vectors": vectors, "n": n, "engine": engine, "value": value, "recall_at_10": found, "single_per_s": rate}
          for vectors, n in [("drawn", 1000), ("words", 400)]
          for engine, value, found, rate in [("exact", None, 1.0, 70), ("usearch", 100, 0.99, 900),
                                             ("usearch", 10, 0.8, 5000), ("faiss", 1, 0.7, 8000)]]


@pytest.fixture
def figure(monkeypatch):
    kept = []
    save = recall.save
    monkeypatch.setattr(recall, "save", lambda figure, path: kept.append(figure) or save(figure, path))
    return kept


def test_a_line_an_engine_and_a_panel_a_set(figure, tmp_path):
    path = plots.recall_curves(POINTS, tmp_path / "recall.png", title="Engines")
    assert Image.open(path).width > Image.open(path).height
    left, right = figure[0].axes
    assert left.get_title(loc="left") == "drawn, n = 1,000" and right.get_title(loc="left") == "words, n = 400"
    lines = {line.get_label(): line.get_xydata().tolist() for line in left.lines}
    assert lines == {"exact": [[100, 70]], "usearch": [[80, 5000], [99, 900]], "faiss": [[70, 8000]]}
    assert left.get_yscale() == "log" and "recall@10" in left.get_xlabel()


def test_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match="no points"):
        plots.recall_curves([], tmp_path / "recall.png")
