import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devise.datasets import PARTS, ImageSet, caption_set, read_captions, with_captions

FLICKR = Path(__file__).parents[2].parent / "shared" / "data" / "flickr8k-2000"
EXPECTED = {"a.jpg": ("A cat .", "Two cats ."), "b.jpg": ("A dog , running .",)}
LAYOUTS = {
    "token": "a.jpg#0\tA cat .\na.jpg#1\tTwo  cats .\n\nb.jpg#0\tA dog , running .\n",
    "flickr30k": "image_name| comment_number| comment\n"
                 "a.jpg| 0| A cat .\na.jpg| 1| Two cats .\nb.jpg| 0| A dog , running .\n",
    "csv": 'image,caption\na.jpg,A cat .\na.jpg,Two cats .\nb.jpg,"A dog , running ."\n',
    "coco": json.dumps({"images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
                        "annotations": [{"image_id": 7, "caption": "A cat ."}, {"image_id": 7, "caption": "Two cats ."},
                                        {"image_id": 9, "caption": "A dog , running ."}]}),
}


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte order mark"])
def test_every_layout_gives_the_same_captions(layout, mark, tmp_path):
    assert read_captions(write(tmp_path / "captions", mark + LAYOUTS[layout])) == EXPECTED


@pytest.mark.parametrize(("name", "read"), [("a.jpg#\x1d0", "a.jpg"), ("a.jpg # 0 ", "a.jpg"),
                                            (f"a.jpg#{'1' * 5000}", f"a.jpg#{'1' * 5000}")])
def test_what_only_looks_like_a_number_is_part_of_the_name(name, read, tmp_path):
    assert read_captions(write(tmp_path / "captions", f"{name}\tA cat .\n")) == {read: ("A cat .",)}


@pytest.mark.parametrize(("text", "said"), [
    ("image_name| comment_number| comment\na.jpg| " + "1" * 5000 + "| A cat .\n", "line 2: expected 'image_name"),
    ("a.jpg#0\tA cat .\nno tab here\n", "line 2: expected 'name.jpg#0"),
    ("image_name| comment_number| comment\na.jpg| 0\n", "line 2: expected 'image_name"),
    ("image,caption\na.jpg,one,two\n", "line 2: 3 columns"),
    ("image,caption\na.jpg,one\n,two\n", "line 3: 2 columns, expected 2, among them a picture"),
    ("\tA cat .\n", "line 1: expected 'name.jpg#0"),
    ('{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": null}]}', "is None"),
    ('{"images": []}', "no captions file of COCO"),
    ('{"images": [', "no captions file of COCO"),
    ("", "holds no caption"),
])
def test_a_file_in_no_layout_is_refused_by_line(text, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        read_captions(write(tmp_path / "captions", text))


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a file of captions"):
        read_captions(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match="no UTF-8"):
        read_captions(tmp_path / "binary")


def test_pictures_and_captions_without_one_another_are_listed():
    images = ImageSet(("x/a.jpg", "b.jpg", "c.jpg", "d.jpg"), [-1] * 4, (), root=None, skipped=(("e.jpg", "damaged"),))
    told = with_captions(images, {"a.jpg": ("one", ""), "b.jpg": ("two",), "c.jpg": ("",), "z.jpg": ("three",)})
    assert told.paths == ("x/a.jpg", "b.jpg") and told.captions == (("one",), ("two",))
    assert [tuple(item) for item in told.skipped] == [
        ("e.jpg", "damaged"), ("x/a.jpg", "1 of its 2 captions are empty"),
        ("c.jpg", "its captions are empty"), ("d.jpg", "it has no caption"),
        ("z.jpg", "it has captions and no picture")]
    with pytest.raises(ValueError, match="none of 4 pictures has a caption"):
        with_captions(images, {"z.jpg": ("three",)})


@pytest.fixture
def layout(tmp_path):
    """Three pictures in the layout of Flickr8k, one of them in no list, one list with a stranger."""
    (tmp_path / "images").mkdir()
    for name in "abc":
        Image.new("RGB", (4, 4)).save(tmp_path / "images" / f"{name}.jpg")
    write(tmp_path / "captions.token.txt", LAYOUTS["token"] + "c.jpg#0\tA bird .\n")
    write(tmp_path / "Flickr_8k.trainImages.txt", "a.jpg\n")
    write(tmp_path / "test.txt", "b.jpg\ngone.jpg\n")
    write(tmp_path / "ExpertAnnotations.txt", "a.jpg\tb.jpg#0\t1\t2\t1\nb.jpg\ta.jpg#1\t4\t4\t3\n"
          "a.jpg\tgone.jpg#2\t1\t1\t1\na.jpg\tb.jpg#1\t1\t1\t1\n")
    write(tmp_path / "CrowdFlowerAnnotations.txt", "c.jpg\ta.jpg#0\t0.25\t1\t3\n")
    return tmp_path


def test_a_caption_set_has_parts_and_judgements(layout):
    found = caption_set(layout)
    assert [Path(path).name for path in found.images.paths] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [found.split.rows(part).tolist() for part in PARTS] == [[0], [], [1], []]
    assert found.images.skipped[-1] == ("gone.jpg", "test.txt lists it and it is not here")
    expert = found.expert
    assert (expert.pictures.tolist(), expert.captioned.tolist(), expert.captions.tolist()) == ([0, 1], [1, 0], [0, 1])
    assert expert.scores.tolist() == [[1, 2, 1], [4, 4, 3]] and expert.left_out == 2 and len(expert) == 2
    assert found.crowd.scores.tolist() == [[0.25]]


@pytest.mark.parametrize("name", ["validation.txt", "dev.txt", "Flickr_8k.devImages.txt"])
def test_a_list_named_dev_is_of_validation(layout, name):
    write(layout / name, "c.jpg\n")
    assert [caption_set(layout).split.rows(part).tolist() for part in PARTS] == [[0], [2], [1], []]
    for path in (layout / "Flickr_8k.trainImages.txt", layout / "test.txt", layout / name):
        path.unlink()
    assert caption_set(layout).split is None


def test_what_a_caption_set_lacks_is_said(layout):
    write(layout / "train.txt", "b.jpg\n")
    with pytest.raises(ValueError, match="b.jpg, which is in train already"):
        caption_set(layout)
    (layout / "train.txt").unlink()
    write(layout / "ExpertAnnotations.txt", "a.jpg\tb.jpg#0\t1\t2\tmany\n")
    with pytest.raises(ValueError, match="ExpertAnnotations.txt, line 1"):
        caption_set(layout)
    (layout / "captions.token.txt").unlink()
    with pytest.raises(FileNotFoundError, match="name the file of captions"):
        caption_set(layout)


def test_the_real_slice_of_flickr8k():
    if not FLICKR.is_dir():
        pytest.skip("no ../shared/data/flickr8k-2000")
    found = caption_set(FLICKR)
    assert len(found.images) == 2000 and set(map(len, found.images.captions)) == {5} and not found.images.skipped
    assert [len(found.split.rows(part)) for part in PARTS] == [1600, 200, 200, 0]
    lines = (FLICKR / "ExpertAnnotations.txt").read_text().splitlines()
    assert len(found.expert) + found.expert.left_out == len(lines)
    row = len(lines) // 2
    picture, caption, *scores = lines[row].split("\t")
    assert found.images.paths[found.expert.pictures[row]] == picture
    owner, number = caption.split("#")
    assert (found.images.paths[found.expert.captioned[row]], found.expert.captions[row]) == (owner, int(number))
    np.testing.assert_array_equal(found.expert.scores[row], [float(score) for score in scores])
    assert ((found.crowd.scores >= 0) & (found.crowd.scores <= 1)).all()


@pytest.mark.parametrize(("text", "layout"), [
    ("a.jpg,A cat .\na.jpg,Two cats .\nb.jpg,\"A dog , running .\"\n", "csv"),
    ("split,Caption,Image\n\ntrain,A cat .,a.jpg\ntrain,\"Two\ncats .\",a.jpg\n"
     "test,\"A dog , running .\",b.jpg\n,,\n", None),
    ("a.jpg| 1| Two cats .\nb.jpg| 0| A dog , running .\na.jpg| 0| A cat .\n", "flickr30k"),
    ("image_name| comment_number| comment\na.jpg| 0| A cat .\n"
     "a.jpg| 1   Two cats .\nb.jpg| 0| A dog , running .\n", None),
    ("b.jpg#0\tA dog , running .\na.jpg#1\tTwo cats .\na.jpg#0\tA cat .\n", "tokens"),
    ("a.jpg\tA cat .\na.jpg\tTwo cats .\nb.jpg\tA dog ,\u2028running .\n", None),
], ids=["no header", "more columns", "told", "a bar is missing", "out of order", "no numbers"])
def test_captions_in_less_tidy_files(text, layout, tmp_path):
    assert read_captions(write(tmp_path / "captions", text), layout=layout) == EXPECTED


def test_a_csv_without_a_header_is_not_guessed_at(tmp_path):
    path = write(tmp_path / "captions.csv", "a.jpg,A cat .\n")
    with pytest.raises(ValueError, match="line 1: expected 'name.jpg#0"):
        read_captions(path)
    with pytest.raises(ValueError, match="layout is 'tsv': expected one of tokens"):
        read_captions(path, layout="tsv")


def test_a_bar_inside_a_caption_is_part_of_it(tmp_path):
    text = "image_name| comment_number| comment\na.jpg| 0| Either | or\n"
    assert read_captions(write(tmp_path / "results.csv", text)) == {"a.jpg": ("Either | or",)}


def test_coco_captions_of_an_image_that_is_not_listed_are_kept_for_the_list(tmp_path):
    text = json.dumps({"images": [{"id": 7, "file_name": "a.jpg"}],
                       "annotations": [{"image_id": 7, "caption": "one"}, {"image_id": 8, "caption": "two"}]})
    captions = read_captions(write(tmp_path / "captions.json", text))
    assert captions == {"a.jpg": ("one",), "image id 8": ("two",)}
    told = with_captions(ImageSet(("a.jpg",), [-1], (), root=None), captions)
    assert [tuple(item) for item in told.skipped] == [("image id 8", "it has captions and no picture")]


def test_a_file_name_that_fits_two_pictures_is_refused():
    images = ImageSet(("x/1.jpg", "y/1.jpg"), [-1, -1], (), root=None)
    with pytest.raises(ValueError, match="'1.jpg' fit more than one picture, 'x/1.jpg'"):
        with_captions(images, {"1.jpg": ("one",)})
    told = with_captions(images, {"x/1.jpg": ("one",), "y/1.jpg": ("two",)})
    assert told.captions == (("one",), ("two",)) and not told.skipped
    above = ImageSet(("1.jpg", "y/1.jpg"), [-1, -1], (), root=None)
    with pytest.raises(ValueError, match="fit more than one picture, 'y/1.jpg'"):
        with_captions(above, {"1.jpg": ("one",)})


def test_judgements_follow_the_number_of_a_caption_where_others_are_empty(layout):
    write(layout / "captions.token.txt", "a.jpg#2\tthree\na.jpg#0\t \na.jpg#1\ttwo\n"
          "b.jpg#0\tA dog .\nc.jpg#0\tA bird .\n")
    write(layout / "ExpertAnnotations.txt", "".join(f"b.jpg\ta.jpg#{number}\t1\t1\t1\n" for number in range(4)))
    found = caption_set(layout)
    assert found.images.captions[0] == ("two", "three")
    assert found.expert.captions.tolist() == [0, 1] and found.expert.left_out == 2  # the empty one, and #3
    assert found.images.skipped[0] == ("a.jpg", "1 of its 3 captions are empty")


@pytest.mark.parametrize(("file", "line"), [
    ("ExpertAnnotations.txt", "a.jpg\tb.jpg#0\t1\t2"), ("ExpertAnnotations.txt", "a.jpg\tb.jpg#0\t1\t2\t5"),
    ("ExpertAnnotations.txt", "a.jpg\tb.jpg#0\t1\t2\tnan"), ("ExpertAnnotations.txt", "a.jpg\tb.jpg\t1\t2\t3"),
    ("CrowdFlowerAnnotations.txt", "a.jpg\tb.jpg#0\t1.5\t3\t0"), ("CrowdFlowerAnnotations.txt", "a.jpg\tb.jpg#0\t0.5")])
def test_a_bad_line_of_judgements_is_named(layout, file, line):
    good = (layout / file).read_text().splitlines()[0]
    write(layout / file, f"{good}\n\n{line}\n")
    with pytest.raises(ValueError, match=f"{file}, line 3: expected picture, caption and 3 numbers"):
        caption_set(layout)


def test_texts_may_lie_in_a_folder_of_their_own(layout):
    (layout / "Flickr8k_text").mkdir()
    for name in ("captions.token.txt", "Flickr_8k.trainImages.txt", "test.txt", "ExpertAnnotations.txt"):
        (layout / name).rename(layout / "Flickr8k_text" / name)
    found = caption_set(layout)
    assert [found.split.rows(part).tolist() for part in PARTS] == [[0], [], [1], []]
    assert len(found.expert) == 2


def test_a_listed_picture_without_captions_is_listed_once(layout):
    write(layout / "captions.token.txt", LAYOUTS["token"])
    write(layout / "train.txt", "a.jpg\nc.jpg\ngone.png\ngone.png\n")
    found = caption_set(layout)
    assert [tuple(item) for item in found.images.skipped] == [
        ("c.jpg", "it has no caption"), ("gone.png", "train.txt lists it and it is not here"),
        ("gone.jpg", "test.txt lists it and it is not here")]
    assert found.crowd.left_out == 1 and found.crowd.scores.shape == (0, 1)
