"""Maps: each point, name and word stands where it was said to be."""

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from devise.plots import space_map

POINTS = np.array([[0, 0], [2, 0], [1, 5], [10, 10], [12, 10]])
LABELS = ["cat", "cat", "cat", "dog", "dog"]


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


def test_no_label_lies_under_another_or_outside(figures, tmp_path):
    generator = np.random.default_rng(0)
    names = [f"class {number}" for number in range(30)]
    points = np.repeat(generator.uniform(0, 12, (30, 2)), 6, axis=0) + 0.3 * generator.normal(size=(180, 2))
    words = {f"word {number}": tuple(generator.uniform(0, 12, 2)) for number in range(8)}
    words |= dict.fromkeys(("boat", "ship", "ferry"), (5, 6))  # all at one place
    space_map(points, np.repeat(names, 6), tmp_path / "map.png", words=words, highlight=names[:5])
    axes, = figures[0].axes
    boxes = {text.get_text(): Text.get_window_extent(text) for text in axes.texts}
    assert set(boxes) == {*names, *words}
    assert not [(a, b) for a in boxes for b in boxes if a < b and boxes[a].overlaps(boxes[b])]
    width, height = figures[0].get_size_inches() * figures[0].dpi
    assert all(0 < box.x0 and box.x1 < width and 0 < box.y0 and box.y1 < height for box in boxes.values())


def test_a_line_leads_to_what_was_moved_away(figures, tmp_path):
    space_map(POINTS, LABELS, tmp_path / "map.png", words=dict.fromkeys(("boat", "ship", "ferry", "raft"), (5, 6)))
    axes, = figures[0].axes
    for text in axes.texts:
        far = np.abs(text.get_position()).max() > 40  # points
        assert text.arrow_patch.get_visible() or not far
    assert any(text.arrow_patch.get_visible() for text in axes.texts)


def test_what_cannot_be_drawn_is_refused(tmp_path):
    for points, labels, options, said in (
            (POINTS[:4], LABELS, {}, r"shape \(4, 2\) for 5 labels"), (POINTS * np.nan, LABELS, {}, "finite"),
            (POINTS, LABELS, {"highlight": ("bird",)}, "no picture is of the class 'bird'"),
            (np.zeros((8, 2)), list("abcdefgh"), {"highlight": tuple("abcdefgh")}, "7 colours can be told apart")):
        with pytest.raises(ValueError, match=said):
            space_map(points, labels, tmp_path / "map.png", **options)
