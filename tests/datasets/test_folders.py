"""Folders of pictures made on the spot, with everything that real ones hold."""

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devise.datasets import from_folder, read_image
from devise.datasets.folders import by_folder
from devise.plots import history_curve

CALTECH60 = Path(__file__).parents[2].parent / "shared" / "data" / "caltech60"


def picture(path, colour="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), colour).save(path, format="PNG")
    return path


def classes(images):
    return {path: images.label_of(row) for row, path in enumerate(images.paths)}


def reasons(images):
    return dict(images.skipped)


def test_a_folder_a_class(tmp_path):
    for name in ("dog/b.jpg", "dog/a.PNG", "cat/c.JPEG", "cat/d.webp", "ant/e.bmp", "ant/f.tif", "ant/g.gif"):
        picture(tmp_path / name)
    images = from_folder(tmp_path)
    assert images.paths == ("ant/e.bmp", "ant/f.tif", "ant/g.gif", "cat/c.JPEG", "cat/d.webp", "dog/a.PNG",
                            "dog/b.jpg")
    assert images.label_names == ("ant", "cat", "dog")
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert images.skipped == () and images.root == tmp_path
    assert read_image(images.file(0)).shape == (3, 4, 3)


def test_order_goes_part_by_part(tmp_path):
    for name in ("a/x.png", "a-b/x.png", "a/10.png", "a/9.png", "a b/x.png"):
        picture(tmp_path / name)
    assert from_folder(tmp_path).paths == ("a/10.png", "a/9.png", "a/x.png", "a b/x.png", "a-b/x.png")


def test_class_level(tmp_path):
    for name in ("train/cat/1.png", "test/cat/1.png", "test/dog/old/2.png", "loose.png"):
        picture(tmp_path / name)
    assert classes(from_folder(tmp_path)) == {"loose.png": None, "test/cat/1.png": "test",
                                              "test/dog/old/2.png": "test", "train/cat/1.png": "train"}
    assert classes(from_folder(tmp_path, class_level="last")) == {
        "loose.png": None, "test/cat/1.png": "cat", "test/dog/old/2.png": "old", "train/cat/1.png": "cat"}
    with pytest.raises(ValueError, match="class_level is 'middle': expected 'first' or 'last'"):
        from_folder(tmp_path, class_level="middle")


def test_unusable_files_are_listed_with_their_reasons(tmp_path):
    picture(tmp_path / "cat/good.png")
    (tmp_path / "cat/empty.jpg").touch()
    (tmp_path / "cat/page.jpg").write_text("<html>")
    (tmp_path / "cat/gone.jpg").symlink_to("nowhere")
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog/phone.JXL").write_bytes(b"jxl")
    images = from_folder(tmp_path)
    assert images.paths == ("cat/good.png",) and images.label_names == ("cat",)
    assert [path for path, _ in images.skipped] == ["cat/empty.jpg", "cat/gone.jpg", "cat/page.jpg",
                                                    "dog/phone.JXL"]
    found = reasons(images)
    assert found["cat/empty.jpg"] == "zero bytes" and found["cat/gone.jpg"] == "no such file"
    assert "not a picture" in found["cat/page.jpg"] and "save it as jpg or png" in found["dog/phone.JXL"]
    assert images.report().splitlines()[0] == "1 picture, 1 class; 4 skipped:"
    unchecked = from_folder(tmp_path, check=False)
    assert len(unchecked) == 4 and list(reasons(unchecked)) == ["dog/phone.JXL"]


def test_what_is_no_picture_is_passed_over_and_hidden_pictures_are_listed(tmp_path):
    picture(tmp_path / "cat/1.png")
    for name in ("cat/.DS_Store", "cat/Thumbs.db", "notes.md", "cat/._1.png", "__MACOSX/1.png", ".git/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"x")
    picture(tmp_path / "cat/.secret.png")
    picture(tmp_path / ".thumbnails/1.png")
    images = from_folder(tmp_path)
    assert images.paths == ("cat/1.png",)
    assert reasons(images) == {".thumbnails": "a hidden folder", "cat/.secret.png": "hidden"}


NOT_THEIRS = {  # a picture in it: the folder that is listed, and a word of the reason
    "cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.png": ("cat/@eaDir", "NAS"),
    "#recycle/old.png": ("#recycle", "recycle bin"),
    "$RECYCLE.BIN/S-1-5-18/$RABCDEF.png": ("$RECYCLE.BIN", "recycle bin"),
    "@Recycle/cat/2.png": ("@Recycle", "recycle bin"), ".Trashes/501/2.png": (".Trashes", "hidden"),
    ".Trash-1000/files/2.png": (".Trash-1000", "hidden"), "#snapshot/1/cat/1.png": ("#snapshot", "old states"),
    "lost+found/2.png": ("lost+found", "keeps for itself"), ".@__thumb/default2.png": (".@__thumb", "hidden"),
    "System Volume Information/2.png": ("System Volume Information", "keeps for itself"),
    "Trip Previews.lrdata/0/1.jpg": ("Trip Previews.lrdata", "Lightroom"),
    "cat/.picasaoriginals/1.png": ("cat/.picasaoriginals", "hidden"),
    "cat/[Originals]/1.png": ("cat/[Originals]", "program"),
    "cat/thumbs/1.png": ("cat/thumbs", "beside it"),
    "Us.photoslibrary/resources/derivatives/1.png": ("Us.photoslibrary/resources", "photo manager")}


@pytest.mark.parametrize("name", NOT_THEIRS)
def test_folders_of_pictures_that_are_not_the_users_are_listed_once_and_not_read(tmp_path, name):
    picture(tmp_path / "cat/1.png")
    for path in (name, f"{name.rpartition('.')[0]}b.png"):
        picture(tmp_path / path)
    images = from_folder(tmp_path)
    folder, word = NOT_THEIRS[name]
    assert classes(images) == {"cat/1.png": "cat"} and list(reasons(images)) == [folder]
    assert word in reasons(images)[folder]
    listed, unused = by_folder([name, "cat/1.png"], "first")  # as behind a URL
    assert listed == {"cat/1.png": "cat"} and unused == reasons(images)


def test_folders_that_may_be_classes_are_read(tmp_path):
    names = ["thumbs/1.png", "#sunset/1.png", "@home/1.png", "recycling/1.png", "Us.photoslibrary/originals/0/1.png"]
    for name in names:
        picture(tmp_path / name)
    assert sorted(from_folder(tmp_path).paths) == sorted(names)


def test_empty_folders_of_systems_are_no_news(tmp_path):
    picture(tmp_path / "cat/1.png")
    for name in ("lost+found", "#recycle", ".cache"):
        (tmp_path / name).mkdir()
    assert from_folder(tmp_path).skipped == ()
    picture(tmp_path / "#recycle/2.png")
    assert classes(from_folder(tmp_path / "#recycle")) == {"2.png": None}  # that folder was asked for


def test_a_picture_of_any_name_is_read_or_listed_with_the_reason(tmp_path):
    for name in ("photo", "a.jpg_large", "b.jpg:large", "c.JPG.1", "d.mpo", "e.ppm", "f.tga", "g.dat"):
        picture(tmp_path / "signs" / name)
    for name in ("e.jpg~", "f.jpg_original", "g.jpg.bak", "h.thm", "i.jpg.part"):
        picture(tmp_path / "signs" / name)
    for name in ("j.mov", "k.cr2", "l.svg", "notes.txt~", "IMG_1.AAE", "Thumbs.db", "data.json"):
        (tmp_path / "signs" / name).write_bytes(b"x")
    images = from_folder(tmp_path)
    assert images.paths == tuple(f"signs/{name}" for name in (
        "a.jpg_large", "b.jpg:large", "c.JPG.1", "d.mpo", "e.ppm", "f.tga", "g.dat", "photo"))
    words = {"e.jpg~": "copy", "f.jpg_original": "copy", "g.jpg.bak": "copy", "h.thm": "copy", "i.jpg.part": "copy",
             "j.mov": "video", "k.cr2": "raw", "l.svg": "not read"}
    found = reasons(images)
    assert set(found) == {f"signs/{name}" for name in words}
    assert all(word in found[f"signs/{name}"] for name, word in words.items())
    listed, unused = by_folder(["signs/photo", "signs/a.jpg_large", "signs/a.jpg", "notes.md"], "first")
    assert list(listed) == ["signs/a.jpg"] and set(unused) == {"signs/photo", "signs/a.jpg_large"}  # unseen, told


def test_our_own_drawings_are_not_read_and_make_no_class(tmp_path):
    picture(tmp_path / "cat/1.png")
    history_curve({"loss": [0.9, 0.4], "score": [0.5, 0.8], "best_epoch": 2}, tmp_path / "model/history.png")
    images = from_folder(tmp_path)
    assert images.label_names == ("cat",)
    assert reasons(images) == {"model/history.png": "a drawing that devise made"}


@pytest.mark.parametrize("names, level, said, likely", [
    (["animals/ant", "animals/bee", "tools/axe"], "first", "2 by the first level (animals, tools) and 3 by the last "
     "level (ant, axe, bee)", "'last'"),
    (["train/ant", "test/ant", "train/bee", "test/bee"], "first", "2 by the first level (test, train)", "'last'"),
    (["all/ant", "all/bee"], "first", "1 by the first level (all) and 2 by the last", "'last'"),
    (["ant/day1", "ant/day2", "ant/day3", "bee/day1", "bee/day2", "bee/day3"], "first", "2 by the first", None),
    (["ant/2019-05", "ant/2019-06", "bee/2019-07"], "first", "2 by the first", None),
    (["ant/100APPLE", "bee/101APPLE"], "last", "2 by the last level (100APPLE", "'first'"),
    (["animals/ant", "animals/bee", "tools/axe"], "last", "the last are taken", None)])
def test_of_nested_folders_the_classes_of_each_level_are_said(tmp_path, names, level, said, likely):
    for name in names:
        for number in range(2):
            picture(tmp_path / name / f"{number}.png")
    images = from_folder(tmp_path, class_level=level)
    note, = images.notes
    assert images.class_level == level and said in note and f"the {level} are taken" in note
    assert note.endswith(f"are likely the classes: class_level={likely}") is bool(likely)


def test_of_plain_folders_there_is_nothing_to_say(tmp_path):
    picture(tmp_path / "cat/1.png")
    picture(tmp_path / "loose.png")
    assert from_folder(tmp_path).notes == ()
    assert from_folder(tmp_path, labels={"loose.png": "cat"}).class_level is None


@pytest.mark.parametrize("name", ["two words", "naïve", "漢字", "line\nbreak", "a;b, c", "-dash", "a%20b"])
def test_names_survive(tmp_path, name):
    name = unicodedata.normalize("NFC", name)
    picture(tmp_path / name / f"{name}.png")
    images = from_folder(tmp_path)
    assert images.paths == (f"{name}/{name}.png",) and images.label_names == (name,)
    assert read_image(images.file(0)).shape == (3, 4, 3)


def test_one_class_spelt_in_two_unicode_forms(tmp_path):
    for number, form in enumerate(("NFC", "NFD")):
        picture(tmp_path / unicodedata.normalize(form, "café") / f"{number}.png")
    images = from_folder(tmp_path)
    assert len(images) == 2 and images.label_names == (unicodedata.normalize("NFC", "café"),)


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names are Unicode here")
def test_name_that_is_not_utf8_is_skipped(tmp_path):
    picture(tmp_path / "cat/1.png")
    os.rename(tmp_path / "cat/1.png", os.fsencode(tmp_path) + b"/cat/\xff.png")
    picture(tmp_path / "cat/2.png")
    images = from_folder(tmp_path)
    assert images.paths == ("cat/2.png",)
    (path, reason), = images.skipped
    assert "not valid UTF-8" in reason and path.encode() == rb"cat/\udcff.png"


def test_links(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    picture(root / "zebra/1.png")
    picture(elsewhere / "2.png")
    (root / "zebra/loop").symlink_to(root, target_is_directory=True)
    for name in ("again", "zz"):  # whatever its place in the order, a link never wins over the real folder
        (root / name).symlink_to(root / "zebra", target_is_directory=True)
    (root / "okapi").symlink_to(elsewhere, target_is_directory=True)
    (root / "zebra/3.png").symlink_to(elsewhere / "2.png")
    (elsewhere / "back").symlink_to(elsewhere, target_is_directory=True)
    images = from_folder(root)
    assert classes(images) == {"okapi/2.png": "okapi", "zebra/1.png": "zebra", "zebra/3.png": "zebra"}
    assert sorted(reasons(images)) == ["again", "okapi/back", "zebra/loop", "zz"]
    assert set(reasons(images).values()) == {"a link to a folder that is read under its own name"}


def test_a_pipe_among_the_pictures(tmp_path):
    picture(tmp_path / "cat/1.png")
    os.mkfifo(tmp_path / "cat/2.png")
    assert reasons(from_folder(tmp_path)) == {"cat/2.png": "a pipe or a device, not a regular file"}


def test_nothing_to_use(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"looked for \.jpg .*\.tga among 1 files"):
        from_folder(tmp_path)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ValueError, match=r"1 were skipped, the first a\.jpg: zero bytes"):
        from_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        from_folder(tmp_path / "none")
    with pytest.raises(ValueError, match="is a file: expected the folder"):
        from_folder(tmp_path / "a.jpg")


def test_progress(tmp_path):
    for number in range(3):
        picture(tmp_path / f"{number}.png")
    calls = []
    from_folder(tmp_path, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


LABELLED = {"1.png": "cat", "deep/2.png": "dog", "é 3.png": "cat", "4.png": None}
FORMS = {
    "header.csv": "path,label\n1.png,cat\ndeep/2.png,dog\né 3.png,cat\n4.png,\n",
    "file.csv": "Label, File ,note\ncat,1.png,x\ndog,deep/2.png,\ncat,é 3.png,\n,4.png,\n",
    "bare.csv": "1.png,cat\r\n./deep/2.png,dog\r\n\r\n\"é 3.png\",cat\r\n4.png,\r\n",
    "mark.csv": "\ufefffile,label\n1.png,cat\ndeep\\2.png,dog\ne\u0301 3.png,cat\n4.png,\n",
    "map.json": json.dumps(LABELLED),
    "list.json": json.dumps([{"path": path, "label": label} for path, label in LABELLED.items()]),
    "files.JSON": json.dumps([{"file": path, "label": label} for path, label in LABELLED.items()]),
}


@pytest.fixture
def labelled(tmp_path):
    for name in LABELLED:
        picture(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", FORMS)
def test_label_files(labelled, name):
    (labelled / name).write_text(FORMS[name], encoding="utf-8")
    by_path, by_name = from_folder(labelled, labels=labelled / name), from_folder(labelled, labels=name)
    assert classes(by_path) == classes(by_name) == LABELLED
    assert by_path.paths == ("1.png", "4.png", "deep/2.png", "é 3.png")
    assert by_path.label_names == ("cat", "dog") and by_path.skipped == ()


def test_mapping_of_labels(labelled):
    labels = {labelled / "1.png": "cat", "deep/../1.png": "cat", "deep/2.png": 7}
    images = from_folder(labelled, labels=labels)
    assert classes(images) == {"1.png": "cat", "deep/2.png": "7"}
    assert reasons(images) == {"4.png": "not in the label file", "é 3.png": "not in the label file"}


def test_entries_without_a_file_are_listed(labelled):
    long = f"{'a' * 300}.png"  # than any file's name may be
    images = from_folder(labelled, labels=dict(LABELLED) | {"9.png": "cat", "../out.png": "dog", long: "cat"})
    assert len(images) == 4
    assert reasons(images) == dict.fromkeys(("../out.png", "9.png", long),
                                            "in the label file, but there is no such file")


def test_named_files_need_no_ending(tmp_path):
    picture(tmp_path / "img1")
    picture(tmp_path / ".hidden.png")
    picture(tmp_path / ".apart/2.png")
    assert classes(from_folder(tmp_path, labels={"img1": "cat", ".hidden.png": "dog", ".apart/2.png": "cat"})) == {
        ".apart/2.png": "cat", ".hidden.png": "dog", "img1": "cat"}


@pytest.mark.parametrize("name, content, message", [
    ("a.csv", "path,label\n1.png\n", "too few columns in row 2"),
    ("a.csv", "1.png\n", "too few columns in row 1"),
    ("a.csv", "1.png,cat\n1.png,dog\n", "1.png is labelled 'cat' and 'dog'"),
    ("a.csv", b"path,label\n1.png,caf\xe9\n", "not UTF-8"),
    ("a.json", "[1, 2]", "holds neither"), ("a.json", '[{"path": "1.png"}]', "one of the keys label"),
    ("a.json", "{", "not valid JSON"), ("a.json", '{"1.png": ["cat", "dog"]}', "expected one class name"),
    ("a.json", '{"path": "g", "1": {"": " 4"}}', r"a\.json give '1' the label \{'': ' 4'\}: expected one class name"),
])
def test_label_files_that_make_no_sense(labelled, name, content, message):
    (labelled / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        from_folder(labelled, labels=labelled / name)


def test_no_label_file(labelled):
    with pytest.raises(FileNotFoundError, match="there is no label file none.csv"):
        from_folder(labelled, labels="none.csv")


@pytest.mark.skipif(not CALTECH60.is_dir(), reason="shared/data/caltech60 is not here")
def test_caltech60():
    images = from_folder(CALTECH60)
    assert images.report() == "2,835 pictures, 60 classes"
    assert max(images.counts().values()) == 50
    assert np.bincount(images.labels).sum() == 2835
    for row in (0, 1500, 2834):
        assert read_image(images.file(row)).shape[2] == 3
        assert images.file(row).parent.name == images.label_of(row)


def test_links_that_lead_to_themselves_are_listed_and_the_others_read(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "whole.png")
    (tmp_path / "a.jpg").symlink_to("b.jpg")
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    images = from_folder(tmp_path)
    assert images.paths == ("whole.png",)
    assert [item.path for item in images.skipped] == ["a.jpg", "b.jpg"]
    assert all("can't be opened" in item.reason for item in images.skipped)


@pytest.mark.parametrize("path", [7, None, ["a.png"], {"a": 1}])
def test_a_label_for_what_is_no_path_is_refused(tmp_path, path):
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    (tmp_path / "labels.json").write_text(json.dumps([{"path": path, "label": "cat"}]))
    with pytest.raises(ValueError, match="labels.json name the picture .*: expected a path"):
        from_folder(tmp_path, labels="labels.json")
