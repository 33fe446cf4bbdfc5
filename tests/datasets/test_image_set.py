"""The aligned rows of an image set, in files and in memory, and several sets as one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devise import storage
from devise.datasets import ImageSet, Skipped, join, read_image

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
    ({"labels": [0, 1, 1, -2]}, "label -2 of row 3"), ({"labels": [0.0, 1, 1, 1]}, "expected whole numbers"),
    ({"labels": [[0, 1, 1, 1]]}, "expected whole numbers"), ({"label_names": ("ant", "ant")}, "a name twice"),
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
    lost = [Skipped(f"{number}.mov", "a video") for number in range(2000)]
    assert small(skipped=[*lost, odd]).report().splitlines()[1:] == [
        *(f"  {number}.mov: a video" for number in range(5)), "  … and 1,995 more: a video",
        r"  two\nlines\x1b[31m.jpg: truncated PNG"]
    many = ImageSet([f"{row}.jpg" for row in range(1234)], [0] * 1234, ("ant", "bee"), None)
    assert many.report() == "1,234 pictures, 1 class"


def test_images_in_memory_are_read_beside_files(tmp_path):
    Image.new("RGB", (4, 3), "red").save(tmp_path / "red.png")
    held = np.arange(30, dtype=np.uint8).reshape(2, 5, 3)
    images = ImageSet(("image-0", "red.png"), [-1, -1], (), tmp_path, pixels=[held, None])
    assert images.held(1) is None and images.held(0) is not None and not images.all_held
    assert images.subset([0]).all_held and not small().all_held
    np.testing.assert_array_equal(images.read(0), held)
    np.testing.assert_array_equal(images.read(1), read_image(tmp_path / "red.png"))
    with pytest.raises(ValueError, match="read-only"):
        images.read(0)[0] = 0
    assert held.flags.writeable and np.shares_memory(images.read(0), held)
    with pytest.raises(FileNotFoundError, match=r"image-0 is held in memory and has no file: use read\(row\)"):
        images.file(0)
    assert images.subset([1, 0]).read(1).shape == (2, 5, 3)
    assert images.digest(1) == storage.digest(tmp_path / "red.png")
    other = ImageSet(("a", "b", "c"), [-1] * 3, (), None, pixels=[held.copy(), held[:, ::-1], held.reshape(5, 2, 3)])
    assert [images.digest(0) == other.digest(row) for row in range(3)] == [True, False, False]


@pytest.mark.parametrize("pixels, message", [
    ([np.zeros((2, 2, 3))] * 4, r"array float64 \(2, 2, 3\): expected uint8 \(h, w, 3\), values from 0 to 255"),
    ([np.zeros((2, 2), np.uint8)] * 4, r"uint8 \(2, 2\): expected"), ([None], "4 paths but 1 pixels"),
    ([np.zeros((0, 2, 3), np.uint8)] * 4, r"uint8 \(0, 2, 3\)"),
    ([np.zeros((2, 2, 4), np.uint8)] * 4, "expected uint8"),
])
def test_pixels_that_are_no_image_are_refused(pixels, message):
    with pytest.raises(ValueError, match=message):
        small(pixels=pixels)


def listed(paths, labels, names, root):
    return ImageSet(tuple(paths), np.array(labels), tuple(names), root and Path(root), (Skipped(paths[0], "why"),))


def test_classes_are_joined_by_name_and_paths_from_the_shared_folder():
    left = listed(["1.jpg", "x/2.jpg"], [1, -1], ["dog", "cat"], "/a/b/left")
    right = listed(["3.jpg", "4.jpg"], [0, 1], ["cat", "bird"], "/a/b/right/deep")
    whole = join([left, right])
    assert whole.root == Path("/a/b")
    assert whole.paths == ("left/1.jpg", "left/x/2.jpg", "right/deep/3.jpg", "right/deep/4.jpg")
    assert [whole.label_of(row) for row in range(4)] == ["cat", None, "cat", "bird"]
    assert len(whole.skipped) == 2
    assert [whole.file(row) for row in (1, 2)] == [left.file(1), right.file(0)]


def test_without_a_root_paths_stay():
    whole = join([listed(["1.jpg"], [0], ["a"], "/p"), listed(["2.jpg"], [0], ["a"], None)])
    assert whole.root is None and whole.paths == ("1.jpg", "2.jpg") and whole.label_names == ("a",)


def test_images_in_memory_join_those_in_files(tmp_path):
    held = [np.full((2, 2, 3), value, np.uint8) for value in (1, 2)]
    memory = ImageSet(("image-0", "image-1"), [0, -1], ("cat",), None, pixels=held)
    (tmp_path / "b").mkdir()
    Image.new("RGB", (4, 3), "red").save(tmp_path / "b/red.png")
    files = ImageSet(("red.png", "red.png"), [0, 0], ("dog",), tmp_path / "b")
    for order in ((memory, files), (files, memory)):
        whole = join(order)
        assert whole.root == (tmp_path / "b").resolve()
        assert sorted(zip(whole.paths, map(whole.label_of, range(4)), strict=True)) == [
            ("image-0", "cat"), ("image-1", None), ("red.png", "dog"), ("red.png", "dog")]
        for row, path in enumerate(whole.paths):
            expected = read_image(tmp_path / "b/red.png") if path == "red.png" else held[int(path[-1])]
            np.testing.assert_array_equal(whole.read(row), expected)
    assert join([memory, memory]).root is None and join([files, files]).pixels is None


def test_captions_are_kept_where_all_sets_have_them():
    told = ImageSet(("a.jpg",), [-1], (), None, captions=[("a cat",)])
    assert join([told, told]).captions == (("a cat",), ("a cat",))
    assert join([told, ImageSet(("b.jpg",), [-1], (), None)]).captions is None
