"""Whatever holds images, as one image set; what holds none is named."""


import numpy as np
import pytest
from PIL import Image

from devise.datasets import ImageSet, from_folder, open_images, read_image


def picture(path, colour="red", size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def test_files_are_in_the_order_given(tmp_path):
    paths = [picture(tmp_path / "b/2.png"), picture(tmp_path / "a/x/1.png"), tmp_path / "b/none.png"]
    images = open_images(paths)
    assert images.root == tmp_path and images.paths == ("b/2.png", "a/x/1.png")
    assert images.labels.tolist() == [-1, -1] and images.label_names == () and images.pixels is None
    assert {item.path: item.reason for item in images.skipped} == {"b/none.png": "no such file"}
    for one in (paths[0], str(paths[0]), [paths[0]]):
        assert open_images(one).paths == ("2.png",)
    with pytest.raises(ValueError, match=r"none of 2 files can be used.*none\.png: no such file"):
        open_images([paths[2], paths[2]])


def test_a_path_starts_here_or_at_home(tmp_path, monkeypatch):
    picture(tmp_path / "1.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("1.png", "~/1.png"):
        assert open_images(path).file(0).samefile(tmp_path / "1.png")


def test_a_folder_is_what_from_folder_reads(tmp_path):
    for place in ("a/cat/1.png", "a/dog/1.png", "2.png"):
        picture(tmp_path / place)
    (tmp_path / "labels.csv").write_text("a/cat/1.png,feline\n")
    calls = []
    for options in ({}, {"class_level": "last"}, {"labels": "labels.csv"}, {"check": False}):
        mine = open_images(str(tmp_path), **options, progress=lambda *call: calls.append(call))
        theirs = from_folder(tmp_path, **options)
        assert (mine.paths, mine.label_names, mine.skipped) == (theirs.paths, theirs.label_names, theirs.skipped)
        assert mine.labels.tolist() == theirs.labels.tolist()
    assert calls[:3] == [(1, 3), (2, 3), (3, 3)]


def test_images_in_memory_are_named_by_their_place(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), np.uint8)
    for given in (pixels, list(pixels), tuple(map(Image.fromarray, pixels)), (one for one in pixels)):
        images = open_images(given)
        assert images.paths == ("image-0", "image-1", "image-2") and images.root is None
        for row in range(3):
            np.testing.assert_array_equal(images.read(row), pixels[row])
    for given in (pixels[1], Image.fromarray(pixels[1])):
        images = open_images(given)
        assert len(images) == 1
        np.testing.assert_array_equal(images.read(0), pixels[1])


def test_a_pil_image_is_read_as_its_file_would_be(tmp_path):
    grey = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    grey.save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGBA", (3, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    for name in ("turned.jpg", "clear.png"):
        with Image.open(tmp_path / name) as image:
            np.testing.assert_array_equal(open_images(image).read(0), read_image(tmp_path / name))


def test_a_mixture_keeps_its_order(tmp_path):
    folder = tmp_path / "set"
    picture(folder / "cat/1.png", "green")
    file, pixels = picture(tmp_path / "3.png", "blue"), np.full((2, 2, 3), 7, np.uint8)
    images = open_images([pixels, folder, file, Image.new("RGB", (1, 1), "white")])
    assert images.paths == ("image-0", "set/cat/1.png", "3.png", "image-3")
    assert [images.read(row)[0, 0].tolist() for row in range(4)] == [[7] * 3, [0, 128, 0], [0, 0, 255], [255] * 3]
    assert [images.label_of(row) for row in range(4)] == [None, "cat", None, None]


def test_labels_are_one_an_image(tmp_path):
    file, gone, pixels = picture(tmp_path / "3.png"), tmp_path / "none.png", np.zeros((2, 2, 3), np.uint8)
    images = open_images([pixels, gone, file, pixels], labels=["dog", "emu", "ant", None])
    assert images.label_names == ("ant", "dog") and [images.label_of(row) for row in range(3)] == ["dog", "ant", None]
    for labels, message in ((["a"], "1 labels for 2 pictures"), ({"3.png": "a"}, "with single pictures"),
                            ("labels.csv", "with single pictures")):
        with pytest.raises(ValueError, match=message):
            open_images([file, pixels], labels=labels)
    with pytest.raises(ValueError, match="3.png is labelled 'a' and 'b'"):
        open_images([file, file], labels=["a", "b"])
    with pytest.raises(ValueError, match=r"labels of a folder are \['a'\]: expected \{path: class\}, or a label file"):
        open_images(tmp_path, labels=["a"])
    with pytest.raises(ValueError, match="labels were given with a folder in a list"):
        open_images([tmp_path, file], labels=["a", "b"])


def test_an_image_set_stays_as_it_is():
    images = ImageSet(("a.jpg",), [0], ("cat",), None)
    assert open_images(images) is images
    with pytest.raises(ValueError, match="an ImageSet, which has its own"):
        open_images(images, labels=["dog"])


@pytest.mark.parametrize("given, error, message", [
    (3, TypeError, r"images is '3' \(int\): expected the path of a file or a folder, a PIL image"),
    (None, TypeError, "images is None: expected the path"), ({"a": 1}, TypeError, r"\(dict\): expected"),
    (b"\xff\xd8", TypeError, r"\(bytes\): expected"), ([None], TypeError, "image 0 is None: expected"),
    ([np.zeros((2, 2, 3), np.uint8), 7], TypeError, r"image 1 is '7' \(int\): expected"),
    ([], ValueError, "no picture was named: expected the path"),
    (np.zeros((0, 4, 4, 3), np.uint8), ValueError, "no picture"),
    (np.array(["a.jpg"]), ValueError, r"image 0: the picture is an array <U5 \(1,\): expected uint8 \(h, w, 3\)"),
    (np.zeros((4, 4, 3)), ValueError, r"float64 \(4, 4, 3\): expected uint8 \(h, w, 3\), values from 0 to 255"),
    (np.zeros((2, 4, 4, 1), np.uint8), ValueError, r"image 0: the picture is an array uint8 \(4, 4, 1\)"),
    ("no such place", FileNotFoundError, "'no such place' does not exist: expected a picture, or a folder of pictures"),
])
def test_what_holds_no_image_is_told(given, error, message):
    with pytest.raises(error, match=message):
        open_images(given)


def test_a_long_path_is_told_in_few_words():
    for given in ("a" * 100_000, ["a" * 100_000] * 2):
        with pytest.raises((FileNotFoundError, ValueError), match="a…a") as told:
            open_images(given)
        assert len(str(told.value)) < 400
