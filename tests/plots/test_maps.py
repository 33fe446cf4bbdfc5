"""Maps: each point, name and word stands where it was said to be."""

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from devise.plots import maps, space_map

POINTS = np.array([[0, 0], [2, 0], [1, 5], [10, 10], [12, 10]])
LABELS = ["cat", "cat", "cat", "dog", "dog"]


@pytest.fixture
def figures(monkeypatch):
    kept, save = [], maps.save
    monkeypatch.setattr(maps, "save", lambda figure, path: kept.append(figure) or save(figure, path))
    return kept


def test_points_names_and_words_are_where_they_lie(figures, tmp_path):
    path = space_map(POINTS, LABELS, tmp_path / "map.png", words={"ocean": (5, 6)}, highlight=("dog",), title="Map")
    axes, = figures[0].axes
    drawn = np.concatenate([np.asarray(found.get_offsets()) for found in axes.collections])
    np.testing.assert_array_equal(drawn, POINTS)
    places = {text.get_text(): text.xy for text in axes.texts}
    assert {name: tuple(place) for name, place in places.items()} == {"cat": (1, 0), "dog": (11, 10), "ocean": (5, 6)}
    grey, blue = (found.get_facecolor()[0] for found in axes.collections)
    assert tuple(blue) != tuple(grey)
    assert Image.open(path).size[0] > 1000


def test_words_at_one_place_do_not_cover_one_another(figures, tmp_path):
    space_map(POINTS, LABELS, tmp_path / "map.png", words=dict.fromkeys(("boat", "ship", "ferry"), (5, 6)))
    axes, = figures[0].axes
    boxes = [Text.get_window_extent(text) for text in axes.texts if text.get_text() in ("boat", "ship", "ferry")]
    assert len(boxes) == 3 and not any(a.overlaps(b) for a in boxes for b in boxes if a is not b)


def test_what_cannot_be_drawn_is_refused(tmp_path):
    for points, labels, options, said in (
            (POINTS[:4], LABELS, {}, r"shape \(4, 2\) for 5 labels"), (POINTS * np.nan, LABELS, {}, "finite"),
            (POINTS, LABELS, {"highlight": ("bird",)}, "no picture is of the class 'bird'"),
            (np.zeros((8, 2)), list("abcdefgh"), {"highlight": tuple("abcdefgh")}, "7 colours can be told apart")):
        with pytest.raises(ValueError, match=said):
            space_map(points, labels, tmp_path / "map.png", **options)
