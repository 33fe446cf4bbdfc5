"""The aligned rows of a picture set."""

from pathlib import Path

import numpy as np
import pytest

from devise.datasets import ImageSet, Skipped

PATHS = ("ant/1.jpg", "bee/1.jpg", "bee/2.jpg", "3.jpg")


def small(**changes):
    values = {"paths": PATHS, "labels": [0, 1, 1, -1], "label_names": ("ant", "bee"), "root": Path("there")}
    return ImageSet(**(values | changes))


def test_rows():
    images = small()
    assert len(images) == 4
    assert [images.label_of(row) for row in range(4)] == ["ant", "bee", "bee", None]
    assert images.file(1) == Path("there/bee/1.jpg")
    assert images.counts() == {"ant": 1, "bee": 2}
    assert images.labels.dtype == np.int64


def test_it_does_not_change():
    labels = np.array([0, 1, 1, -1])
    images = small(labels=labels)
    labels[0] = 1
    assert images.labels[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        images.labels[0] = 1
    with pytest.raises(AttributeError):
        images.paths = ()
    assert not images.subset([0]).labels.flags.writeable


def test_pictures_elsewhere():
    with pytest.raises(FileNotFoundError, match="ant/1.jpg is not on this disk"):
        small(root=None).file(0)


@pytest.mark.parametrize("rows, kept", [
    ([2, 0], [2, 0]), ([], []), ((1, 1), [1, 1]), (range(4), [0, 1, 2, 3]),
    (np.array([False, True, False, True]), [1, 3]),
])
def test_subset(rows, kept):
    images = small(skipped=[("x.jpg", "zero bytes")], captions=[("a", "b"), (), ("c",), ()])
    part = images.subset(rows)
    assert part.paths == tuple(PATHS[row] for row in kept)
    assert part.labels.tolist() == [[0, 1, 1, -1][row] for row in kept]
    assert part.captions == tuple((("a", "b"), (), ("c",), ())[row] for row in kept)
    for name in ("label_names", "skipped", "root"):
        assert getattr(part, name) == getattr(images, name)


@pytest.mark.parametrize("rows, message", [
    ([4], "row 4 is not in 0..3"), ([-1], "row -1 is not in 0..3"), ([0.5], "row ids or a mask"),
    ([True, False], r"the mask has shape \(2,\): expected \(4,\)"), ([[0]], "row ids or a mask"),
    (np.array([], bool), "the mask has shape"),
])
def test_subset_of_rows_that_are_not_there(rows, message):
    with pytest.raises(ValueError, match=message):
        small().subset(rows)


@pytest.mark.parametrize("changes, message", [
    ({"labels": [0, 1, 1]}, "4 paths but 3 labels"), ({"captions": [("a",)]}, "4 paths but 1 captions"),
    ({"labels": [0, 1, 2, -1]}, "label 2 of row 2 is not in -1..1"),
    ({"labels": [0, 1, 1, -2]}, "label -2 of row 3"), ({"labels": [0.0, 1, 1, 1]}, "expected integers"),
    ({"labels": [[0, 1, 1, 1]]}, "expected integers"), ({"label_names": ("ant", "ant")}, "a name twice"),
])
def test_rows_that_are_not_aligned(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_empty_set():
    images = ImageSet((), [], (), None)
    assert len(images) == 0 and images.counts() == {} and images.report() == "0 pictures, 0 classes"


def test_report():
    assert small().report() == "4 pictures, 2 classes, 1 without a class"
    odd = Skipped("two\nlines\x1b[31m.jpg", "truncated PNG")
    images = small(skipped=[Skipped("a.jpg", "zero bytes"), odd])
    assert images.report().splitlines() == [
        "4 pictures, 2 classes, 1 without a class; 2 skipped:",
        "  a.jpg: zero bytes",
        r"  two\nlines\x1b[31m.jpg: truncated PNG",
    ]
    many = ImageSet([f"{row}.jpg" for row in range(1234)], [0] * 1234, ("ant", "bee"), None)
    assert many.report() == "1,234 pictures, 1 class"
