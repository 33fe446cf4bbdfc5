"""An index follows its folders: what a sync leaves is what an index built anew would hold."""

import os
import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image

from devise import backbones
from devise.datasets import from_folder, read_image
from devise.features import default_folder
from devise.search import Moved, Search


@pytest.fixture(autouse=True)
def looked_at(model, monkeypatch, tmp_path):
    """The network of an opened index, and how many pictures go through it."""
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(backbones, "load", lambda name, **how: model.backbone)
    seen, forward = [], model.backbone.features
    monkeypatch.setattr(model.backbone, "features", lambda pictures: (seen.append(len(pictures)), forward(pictures))[1])
    return seen


@pytest.fixture
def search(model, picture_folder, tmp_path, looked_at):
    made = Search.build(model, picture_folder, engine="exact")
    made.save(tmp_path / "index")
    del looked_at[:]
    return Search.load(tmp_path / "index")


def taken(date):
    """EXIF that says when a picture was taken."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = date  # DateTimeOriginal
    return exif


def as_built_anew(search, folder):
    """Check rows, classes and vectors of an index against one that is built of the folder now."""
    anew = Search.build(search.model, from_folder(folder), engine="exact")
    mine, theirs = ({built.images.file(row).resolve(): (row, built.images.label_of(row)) for row in range(len(built))}
                    for built in (search, anew))
    assert mine.keys() == theirs.keys() and len(mine) == len(search)
    assert {file: label for file, (_, label) in mine.items()} == {file: label for file, (_, label) in theirs.items()}
    for space, part in anew.indexes.items():
        np.testing.assert_allclose(search.indexes[space].vectors([mine[file][0] for file in mine]),
                                   part.vectors([theirs[file][0] for file in mine]), atol=1e-5)
    for file in mine:
        assert search.metadata[mine[file][0]] == anew.metadata[theirs[file][0]]
        assert search.row(file) == mine[file][0] and not search.changed(mine[file][0])
    assert not search.changes() and not search.changes().stamps


def test_new_changed_moved_and_gone_at_once(search, picture_folder, looked_at, tmp_path):
    root = picture_folder
    shutil.copy(root / "cat/0.png", tmp_path / "other.png")
    Image.fromarray(255 - read_image(root / "cat/0.png")).save(root / "cat/new.png")
    shutil.copy(root / "dog/3.png", root / "dog/copy.png")  # the same picture twice
    shutil.copy(root / "car/1.png", root / "car/0.png")
    Image.fromarray(read_image(root / "cat/1.png")).save(root / "cat/dated.jpg", exif=taken("2019:05:04 12:00:00"))
    (root / "cat/1.png").rename(root / "dog/from-cat.png")
    (root / "horse").rename(root / "pony")
    (root / "dog/9.png").unlink()
    os.utime(root / "dog/8.png", (1, 1))
    before = search.images.paths
    found = search.changes()
    assert search.images.paths == before and not looked_at, "asking changes nothing"
    assert found.new == ("cat/dated.jpg", "cat/new.png", "dog/copy.png") and found.changed == ("car/0.png",)
    assert found.gone == ("dog/9.png",) and not found.unreached and set(found.stamps) == {"dog/8.png"}
    assert Moved("cat/1.png", "dog/from-cat.png", "dog") in found.moved
    assert {move.path: move for move in found.moved}["horse/4.png"] == Moved("horse/4.png", "pony/4.png", "pony")
    assert (len(found.moved), len(found)) == (11, 16)
    done = search.sync()
    assert (done.new, done.changed, done.moved, done.gone) == (found.new, found.changed, found.moved, found.gone)
    assert sum(looked_at) == 2, "two contents were never seen before"
    search.save(tmp_path / "index", overwrite=True)
    as_built_anew(Search.load(tmp_path / "index"), root)


def test_what_moved_keeps_its_vectors_without_a_network(search, picture_folder, looked_at, tmp_path):
    shutil.rmtree(tmp_path / "home")  # the features are not on this machine
    vectors = search.indexes["raw"].vectors([search.row(picture_folder / "cat/3.png")])
    (picture_folder / "cat").rename(picture_folder / "kitten")
    search.sync()
    assert not looked_at and len(search) == 40
    row = search.row(picture_folder / "kitten/3.png")
    assert search.images.label_of(row) == "kitten"
    np.testing.assert_array_equal(search.indexes["raw"].vectors([row]), vectors)
    as_built_anew(search, picture_folder)


def test_names_that_change_places_and_spelling(search, picture_folder):
    cat = picture_folder / "cat"
    (cat / "0.png").rename(cat / "x")
    (cat / "1.png").rename(cat / "0.png")
    (cat / "x").rename(cat / "1.png")
    (cat / "2.png").rename(cat / "2.PNG")
    (cat / "3.png").rename(cat / unicodedata.normalize("NFD", "café.png"))
    found = search.changes()
    assert found.changed == ("cat/0.png", "cat/1.png") and not found.gone and not found.new
    assert [move.now for move in found.moved] == ["cat/2.PNG", unicodedata.normalize("NFD", "cat/café.png")]
    search.sync()
    as_built_anew(search, picture_folder)


def test_a_disk_that_knows_no_case_has_each_file_once(model, picture_folder):
    """Both spellings name the file there; so do two paths here, of which the folder lists the shorter."""
    (picture_folder / "Cat").symlink_to("cat")
    names = [picture_folder / "Cat" / f"{number}.png" for number in range(10)]
    search = Search.build(model, [*names, picture_folder / "dog/0.png"], engine="exact")
    search.links.clear()
    search._behind.clear()
    found = search.changes(picture_folder / "cat")
    assert not found.new and not found.gone and len(found.moved) == 10
    assert {(move.path, move.now) for move in found.moved} >= {("Cat/3.png", "cat/3.png")}


def test_one_of_two_same_files_goes_or_moves(search, picture_folder):
    shutil.copy(picture_folder / "cat/0.png", picture_folder / "cat/again.png")
    search.sync()
    (picture_folder / "cat/0.png").unlink()
    assert search.changes().gone == ("cat/0.png",)
    (picture_folder / "cat/again.png").rename(picture_folder / "dog/zero.png")
    shutil.copy(picture_folder / "dog/zero.png", picture_folder / "dog/again.png")
    assert search.changes().moved == (Moved("cat/0.png", "dog/zero.png", "dog"),
                                      Moved("cat/again.png", "dog/again.png", "dog")), "its own name first"
    search.sync()
    as_built_anew(search, picture_folder)


def test_links_and_further_names(search, picture_folder, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    shutil.move(picture_folder / "cat/0.png", store / "a.png")
    (picture_folder / "cat/0.png").symlink_to(store / "a.png")
    os.link(picture_folder / "cat/1.png", picture_folder / "cat/1 again.png")
    (picture_folder / "dog").rename(store / "dog")
    (picture_folder / "dog").symlink_to(store / "dog", target_is_directory=True)
    found = search.changes()
    assert not found and "cat/0.png" in found.stamps, "the content is the same"
    search.sync()
    (picture_folder / "cat/1.png").unlink()
    (picture_folder / "cat/0.png").rename(picture_folder / "cat/linked.png")
    assert {(move.path, move.now) for move in search.changes().moved} == {("cat/0.png", "cat/linked.png"),
                                                                         ("cat/1.png", "cat/1 again.png")}
    search.sync()
    as_built_anew(search, picture_folder)
    (store / "dog").rename(store / "away")  # a drive that is not mounted
    found = search.changes()
    assert not found and len(found.unreached) == 10
    assert len(search.changes(allow_empty=True).gone) == 10


def test_a_folder_that_is_missing_or_empty_does_not_empty_the_index(search, picture_folder, tmp_path):
    away = picture_folder.rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"is (not there|empty): is its drive mounted\?.*--allow-empty"):
            search.sync()
        picture_folder.mkdir(exist_ok=True)
    shutil.copytree(away / "cat", picture_folder / "cat")
    with pytest.raises(ValueError, match=r"30 of 40 pictures would leave the index, such as car/0\.png"):
        search.sync()
    assert len(search) == 40
    assert len(search.sync(allow_empty=True).gone) == 30 and len(search) == 10
    shutil.rmtree(picture_folder)
    with pytest.raises(ValueError, match="remove the folder of the index instead"):
        search.sync(allow_empty=True)
    assert len(search) == 10


def test_a_folder_that_can_not_be_read_keeps_its_pictures(search, picture_folder, monkeypatch):
    closed, stat, scan = str(picture_folder / "cat"), os.stat, os.scandir

    def refused(does):
        def call(path=".", *rest, **options):
            if str(path).startswith(closed) and (does is scan or str(path) != closed):
                raise PermissionError(13, "Permission denied", path)
            return does(path, *rest, **options)
        return call

    monkeypatch.setattr(os, "stat", refused(stat))
    monkeypatch.setattr(os, "scandir", refused(scan))
    found = search.changes()
    assert not found and len(found.unreached) == 10


def test_what_became_no_picture_leaves_and_what_can_not_be_decoded_is_told(search, picture_folder):
    (picture_folder / "cat/0.png").write_text("no picture")
    content = (picture_folder / "dog/5.png").read_bytes()
    for name in ("cat/1.png", "cat/broken.png"):
        (picture_folder / name).write_bytes(content[:len(content) // 2])
    assert search.changes().gone == ("cat/0.png",) and search.changes().new == ("cat/broken.png",)
    done = search.sync()
    assert done.gone == ("cat/0.png", "cat/1.png") and not done.new and not done.changed
    assert {"cat/0.png", "cat/1.png", "cat/broken.png"} <= {item.path for item in done.skipped}
    assert len(search) == 38


def test_a_renamed_root_and_a_folder_within(search, picture_folder, tmp_path):
    album = picture_folder.rename(tmp_path / "album")
    done = search.sync(album)
    assert len(done.moved) == len(search) == 40 and "cat/0.png" in search.images.paths
    assert search.images.sources == (str(album),) and search.images.root == album
    shutil.copy(album / "cat/0.png", album / "cat/copy.png")
    (album / "dog/0.png").rename(album / "cat/dog.png")
    (album / "dog/1.png").unlink()
    done = search.sync(album / "cat")
    assert done.new == ("cat/copy.png",) and done.moved == (Moved("dog/0.png", "cat/dog.png", "cat"),)
    assert not done.gone and search.sync().gone == ("dog/1.png",)
    as_built_anew(search, album)


def test_pictures_from_elsewhere_and_classes_given_by_hand(search, picture_folder, tmp_path):
    more = tmp_path / "more"
    shutil.copytree(picture_folder / "cat", more / "lynx")
    stray = tmp_path / "usb/stray.png"
    stray.parent.mkdir()
    shutil.copy(picture_folder / "dog/0.png", stray)
    hidden = picture_folder / ".hidden/0.png"
    hidden.parent.mkdir()
    shutil.copy(picture_folder / "dog/1.png", hidden)
    search.add([stray, hidden])
    assert search.images.sources == (str(picture_folder),) and not search.changes()
    assert len(search.sync(more).new) == 10 and search.images.sources == (str(picture_folder), str(more))
    assert search.images.label_of(search.row(more / "lynx/0.png")) == "lynx"
    (more / "lynx/0.png").unlink()
    assert search.sync().gone == (str(more / "lynx/0.png"),)
    (more / "lynx").rename(picture_folder / "lynx")
    more.rmdir()
    done = search.sync()
    assert len(done.moved) == len(done) == 9, "a missing folder whose pictures are elsewhere is no loss"
    assert search.images.sources == (str(picture_folder),)
    stray.parent.rename(tmp_path / "unplugged")
    assert search.changes().unreached == (str(stray),)
    stray.parent.mkdir()
    assert str(stray) in search.sync().gone and search.row(hidden) is not None


def test_single_pictures_that_are_added_share_a_table(search, picture_folder, looked_at, tmp_path):
    (tmp_path / "more").mkdir()
    files = [tmp_path / f"more/{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        Image.fromarray(255 - read_image(picture_folder / f"cat/{number}.png")).save(file)
        assert len(search.add(file)) == 1
    place = default_folder(search.images, search.model.backbone).parent
    assert len(list(place.glob("more-*"))) == 1 and looked_at == [1, 1, 1]
    again = Search.load(tmp_path / "index")
    assert len(again.add(files)) == 3 and len(looked_at) == 3  # what each of them gave is known


def test_labels_that_no_folder_gave_stay(model, picture_folder, tmp_path):
    labels = {f"{name}/{number}.png": "pet" for name in ("cat", "dog") for number in range(10)}
    search = Search.build(model, from_folder(picture_folder, labels=labels), engine="exact")
    (picture_folder / "cat/0.png").rename(picture_folder / "dog/moved.png")
    done = search.sync()
    assert done.moved == (Moved("cat/0.png", "dog/moved.png", "pet"),) and len(done.new) == 20
    assert search.images.label_of(search.row(picture_folder / "car/0.png")) is None


def test_an_index_without_contents_or_folders(search, model, picture_folder):
    search.contents = None
    (picture_folder / "cat/0.png").rename(picture_folder / "cat/renamed.png")
    found = search.sync()
    assert (found.new, found.gone, found.moved) == (("cat/renamed.png",), ("cat/0.png",), ())
    files = Search.build(model, [picture_folder / "cat/1.png", picture_folder / "dog/1.png"], engine="exact")
    with pytest.raises(ValueError, match="does not know the folder of its pictures"):
        files.sync()
    assert len(files.sync(picture_folder).new) == 38
