"""One picture, one identity: however it is named, linked or listed, at build, at query, at adding and at removing."""

import os
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from devise import backbones, features
from devise.checks import check
from devise.datasets import read_image
from devise.search import Search


@pytest.fixture(autouse=True)
def network(model, monkeypatch):
    """The network of an index that was saved and opened."""
    monkeypatch.setattr(backbones, "load", lambda name, **how: model.backbone)


@pytest.fixture
def search(model, picture_folder):
    return Search.build(model, picture_folder, engine="exact", folder=picture_folder.parent / "features")


def found(search, image, k=3):
    """The paths of an answer, which comes without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return [match.path for match in search.by_image(image, k, space="raw").matches]


def test_a_file_that_is_there_is_that_file_and_not_an_indexed_one_of_its_name(search, picture_folder, tmp_path,
                                                                            monkeypatch):
    other = tmp_path / "other/cat"
    other.mkdir(parents=True)
    shutil.copy(picture_folder / "dog/3.png", other / "0.png")
    monkeypatch.chdir(tmp_path / "other")
    for spelled in ("cat/0.png", "./cat/0.png", other / "0.png"):
        assert found(search, spelled)[0] == "dog/3.png"
    assert "cat/0.png" not in found(search, search.row(picture_folder / "cat/0.png"), k=40)
    with pytest.raises(ValueError, match=r"is the file .*other/cat/0\.png, which is not in the index: name the "
                                         r"one of that name by its whole path, .*pictures/cat/0\.png"):
        search.remove("cat/0.png")
    monkeypatch.chdir(picture_folder)
    for spelled in ("cat/0.png", "./cat/0.png", "dog/../cat/0.png", picture_folder / "cat/0.png"):
        assert search.row(spelled) == search.row(picture_folder / "cat/0.png") is not None
        assert "cat/0.png" not in found(search, spelled, k=40)
    monkeypatch.chdir(tmp_path)
    assert search.row("cat/0.png") == search.row(picture_folder / "cat/0.png"), "no such file here: the indexed one"
    with pytest.raises(IndexError, match=r"row 40 is not in 0\.\.39"):
        search.row(40)


def test_linked_files_and_folders_are_left_out_of_their_own_answers(model, picture_folder, tmp_path):
    store, linked = tmp_path / "store", tmp_path / "linked"
    shutil.move(picture_folder / "cat", store)
    (linked / "cat").mkdir(parents=True)
    for file in store.iterdir():
        (linked / "cat" / file.name).symlink_to(file)
    (linked / "dog").symlink_to(picture_folder / "dog", target_is_directory=True)
    search = Search.build(model, linked, engine="exact")
    assert len(search) == 20
    search.save(tmp_path / "index")
    for opened in (search, Search.load(tmp_path / "index")):
        for asked in (linked / "cat/0.png", store / "0.png"):
            assert "cat/0.png" not in found(opened, asked, k=40)
        for asked in (linked / "dog/0.png", picture_folder / "dog/0.png"):
            assert "dog/0.png" not in found(opened, asked, k=40)
        assert not len(opened.add([store / "1.png", picture_folder / "dog/1.png"]))
    assert opened.remove([store / "0.png", picture_folder / "dog/2.png"]) == ("cat/0.png", "dog/2.png")


def test_a_folder_is_removed_with_all_below_it(search, picture_folder, tmp_path, monkeypatch):
    (tmp_path / "dog").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="there is no picture in the index 'dog'"):  # another folder of that name
        search.remove("dog")
    with pytest.raises(ValueError, match="all 40 pictures would go"):
        search.remove(picture_folder)
    assert len(search) == 40
    gone = search.remove([picture_folder / "dog", "cat/", "car/3.png"])
    assert sorted(gone) == sorted([*(f"{name}/{n}.png" for name in ("cat", "dog") for n in range(10)), "car/3.png"])
    assert sorted({path.split("/")[0] for path in search.images.paths}) == ["car", "horse"] and len(search) == 19
    assert found(search, picture_folder / "cat/0.png", k=1)[0].startswith(("car/", "horse/"))


def test_a_root_behind_a_link_is_the_same_folder(model, picture_folder, tmp_path):
    (tmp_path / "alias").symlink_to(picture_folder, target_is_directory=True)
    for built, asked in ((tmp_path / "alias", picture_folder), (picture_folder, tmp_path / "alias")):
        search = Search.build(model, built, engine="exact")
        assert "cat/0.png" not in found(search, asked / "cat/0.png", k=40)
        assert not len(search.add(asked / "cat"))


def test_a_file_is_indexed_once_however_often_it_is_named(model, picture_folder, monkeypatch):
    monkeypatch.chdir(picture_folder)
    (picture_folder / "cat/again.png").symlink_to("0.png")
    files = [*sorted((picture_folder / "cat").glob("?.png")), "cat/0.png", "./cat/../cat/1.png", "cat/again.png"]
    search = Search.build(model, files, engine="exact")
    assert len(search) == 10 and sorted(set(search.images.paths)) == sorted(search.images.paths)
    assert [(item.path, item.reason) for item in search.images.skipped] == [("again.png", "the same file as 0.png")]
    assert not len(search.add([picture_folder / "cat/0.png", picture_folder / "cat/0.png"]))


def test_a_changed_file_is_asked_as_it_is_and_taken_by_adding(search, picture_folder, tmp_path, model):
    search.save(tmp_path / "index")
    shutil.copy(picture_folder / "dog/3.png", picture_folder / "cat/0.png")
    opened = Search.load(tmp_path / "index")
    with pytest.warns(UserWarning, match=r"cat/0\.png has changed since it was indexed"):
        answer = opened.by_image(picture_folder / "cat/0.png", 1, space="raw").matches[0]
    assert answer.path == "dog/3.png" and answer.score == pytest.approx(1)
    told = [str(problem) for part in check(tmp_path / "index") for problem in part.problems]
    assert any("1 picture with another content" in text and "cat/0.png" in text for text in told)
    added = opened.add([picture_folder / "cat/0.png", picture_folder / "cat/1.png"])
    assert added.paths == ("cat/0.png",) and [item.path for item in added.skipped] == ["cat/1.png"]
    assert len(opened) == 40 and found(opened, picture_folder / "cat/0.png", 1) == ["dog/3.png"]
    for space, part in opened.indexes.items():
        row = features.compute(picture_folder / "cat/0.png", model.backbone).matrix
        np.testing.assert_allclose(part.vectors([opened.row(picture_folder / "cat/0.png")]),
                                   model.spaces[space].embed(row), atol=1e-5)
    opened.save(tmp_path / "index", overwrite=True)
    assert not Search.load(tmp_path / "index").changed(0)


@pytest.mark.parametrize("engine", ["annoy", "sharded"])
def test_a_changed_file_is_taken_by_engines_that_can_only_build(engine, model, picture_folder):
    pytest.importorskip(engine) if engine != "sharded" else None
    search = Search.build(model, picture_folder, engine=engine)
    shutil.copy(picture_folder / "dog/3.png", picture_folder / "cat/0.png")
    assert search.add(picture_folder).paths == ("cat/0.png",)
    assert found(search, picture_folder / "cat/0.png", 1) == ["dog/3.png"] and len(search) == 40


def test_a_touched_file_is_the_same_picture(search, picture_folder):
    os.utime(picture_folder / "cat/0.png", (1, 1))
    assert "cat/0.png" not in found(search, picture_folder / "cat/0.png", k=40)
    assert not len(search.add(picture_folder / "cat"))


@pytest.mark.parametrize("workers", [2, 8])
def test_threads_get_the_answers_of_one(search, picture_folder, tmp_path, workers):
    files = []
    for number in range(24):
        files.append(shutil.copy(picture_folder / ("cat", "dog")[number % 2] / f"{number % 10}.png",
                                 tmp_path / f"{number}.png"))
    asked = [*files, *(picture_folder / f"car/{number}.png" for number in range(10))]
    alone = [(found(search, image), search.tag(image, 3), search.by_text("dog", 3).matches) for image in asked]
    with ThreadPoolExecutor(workers) as pool:
        told = list(pool.map(lambda image: (found_in_thread(search, image), search.tag(image, 3),
                                            search.by_text("dog", 3).matches), asked))
    assert told == alone


def found_in_thread(search, image):
    """As `found`, whose guard on warnings is not for threads."""
    return [match.path for match in search.by_image(image, 3, space="raw").matches]


def test_a_further_name_of_a_file_is_that_file(model, picture_folder, tmp_path):
    """A hard link: no link tells of it, the names share an inode."""
    os.link(picture_folder / "cat/0.png", picture_folder / "cat/again.png")
    os.link(picture_folder / "cat/0.png", tmp_path / "elsewhere.png")
    search = Search.build(model, picture_folder, engine="exact")
    assert len(search) == 40 and search.images.skipped[-1] == ("cat/again.png", "the same file as cat/0.png")
    for name in ("pictures/cat/0.png", "pictures/cat/again.png", "elsewhere.png"):
        assert "cat/0.png" not in found(search, tmp_path / name, k=40)
        assert not len(search.add(tmp_path / name))
    copy = shutil.copy(picture_folder / "cat/0.png", tmp_path / "copy.png")
    os.link(copy, tmp_path / "of-the-copy.png")
    assert found(search, tmp_path / "of-the-copy.png", 1) == ["cat/0.png"]
    assert search.remove([tmp_path / "elsewhere.png", "cat/0.png"]) == ("cat/0.png",)


def test_a_file_replaced_with_equal_size_and_time_has_changed(model, picture_folder, tmp_path):
    for number in range(3):
        Image.fromarray(read_image(picture_folder / f"dog/{number}.png")).save(tmp_path / f"{number}.bmp")
        os.utime(tmp_path / f"{number}.bmp", (1000, 1000))
    files = [tmp_path / f"{number}.bmp" for number in range(3)]
    search = Search.build(model, files, engine="exact", folder=tmp_path / "bmp")
    shutil.copy2(files[1], files[0])
    os.replace(files[1], files[2])
    with pytest.warns(UserWarning, match="has changed since it was indexed"):
        search.by_image(files[0], 1)
    assert search.changed(2) and not search.changed(1)
    assert search.add(files[::2], folder=tmp_path / "bmp").paths == ("0.bmp", "2.bmp")


def test_an_index_follows_pictures_that_moved(model, picture_folder, tmp_path):
    search = Search.build(model, picture_folder, engine="exact", folder=tmp_path / "features")
    moved = picture_folder.rename(tmp_path / "album")
    (moved / "dog").rename(moved / "hound")
    added = search.add(moved, folder=tmp_path / "features-2")
    assert len(added) == len(search) == 40 and not set(search.images.paths) & {"dog/3.png"}
    row = search.row(moved / "hound/3.png")
    assert search.images.file(row) == moved / "hound/3.png" and search.images.label_of(row) == "hound"
    assert str(moved / "hound/3.png") not in found(search, moved / "hound/3.png", k=40)
    assert not len(search.add(moved, folder=tmp_path / "features-2"))
    shutil.copy(moved / "hound/3.png", moved / "cat/copy.png")  # whose first is still there
    assert len(search.add(moved / "cat/copy.png")) == 1 and len(search) == 41
