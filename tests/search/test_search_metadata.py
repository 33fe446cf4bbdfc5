"""Questions to some of the pictures, of several texts and pictures: against the same question to all, cut by a loop."""

import contextlib
import shutil
import sqlite3

import numpy as np
import pytest
from PIL import Image

from devise import features
from devise.arrays import unit_rows
from devise.checks import check
from devise.datasets import from_folder
from devise.heads import RidgeHead
from devise.model import train_labels
from devise.search import Search

YEARS = {"cat": 2021, "dog": 2022, "horse": None, "car": 2024}


def dated(folder, year, camera="X100"):
    """Give each picture of a folder a date in its own month, and its camera."""
    for place, path in enumerate(sorted(folder.iterdir()), start=1):
        block = Image.Exif()
        block[272] = camera
        if year:
            block[306] = f"{year}:{place:02}:01 12:00:00"
        Image.open(path).save(path, exif=block)


@pytest.fixture
def pictures(picture_folder):
    for name, year in YEARS.items():
        dated(picture_folder / name, year)
    return picture_folder


@pytest.fixture
def search(pictures, backbone, vocabulary, tmp_path):
    table = features.extract(from_folder(pictures), backbone, tmp_path / "features")
    model = train_labels(table, vocabulary, backbone=backbone, head=RidgeHead(), unseen=["horse"])
    return Search.build(model, table, engine="exact")


def test_only_pictures_for_which_the_condition_holds_are_found(search):
    def holds(path):
        name, number = path.split("/")[0], int(path.split("/")[1].removesuffix(".png"))
        return name == "dog" and number >= 4 or name == "car" and number < 3

    where = "taken>=2022-05 and taken<2023 or taken<2024-04 and label=car"
    for ask in (lambda **more: search.by_text("cat", 40, **more),
                lambda **more: search.by_image("cat/1.png", 40, **more),
                lambda **more: search.by_image("dog/6.png", 40, **more),
                lambda **more: search.by_change("cat/1.png", 40, plus="dog", **more)):
        found = ask(where=where)
        assert found.matches == tuple(match for match in ask().matches if holds(match.path))
        assert found.among.where == where and found.among.lacking == {"taken": 10}
        assert len(found.among.rows) == 9 == sum(map(holds, search.images.paths))
    assert search.by_text("cat", 3, where=where).matches == search.by_text("cat", 40, where=where).matches[:3]


def test_a_condition_that_holds_for_none(search):
    found = search.by_text("cat", where="taken<1990")
    assert found.matches == () and len(found.among.rows) == 0 and found.among.lacking == {"taken": 10}
    with pytest.raises(ValueError, match="no field 'date'"):
        search.by_text("cat", where="date=2024")


def test_texts_and_pictures_are_one_question(search):
    rows = search.indexes["shared"].vectors(np.arange(40))
    dog, cat, car = search.model.embed_text(["dog", "cat", "car"])
    expected = unit_rows((2 * dog + cat - 0.5 * car + rows[3] + rows[17])[None])[0] @ rows.T
    expected[[3, 17]] = -2
    paths = [search.images.paths[row] for row in (3, 17)]
    for text in ({"dog": 2, "cat": 1, "car": -1}, "dog^2 cat -car"):
        found = search.by_text(text, 12, also=paths)
        assert [match.row for match in found.matches] == np.argsort(-expected, kind="stable")[:12].tolist()
        np.testing.assert_allclose([match.score for match in found.matches], -np.sort(-expected)[:12], atol=1e-5)
    assert found.also == tuple(paths) and found.asked == f"dog^2 cat -car + {paths[0]} + {paths[1]}"
    assert search.by_text({"red car": 1, "dog": -2}).query == '"red car" -dog^2'


def test_several_pictures_changed_by_words(search):
    rows = search.indexes["shared"].vectors(np.arange(40))
    both = unit_rows((rows[3] + rows[17])[None])[0]
    for plus, question in (((), both), (("dog",), both + search.model.embed_text("dog")[0])):
        expected = unit_rows(question[None])[0] @ rows.T
        expected[[3, 17]] = -2
        found = search.by_change(3, 9, also=17, plus=plus)
        assert [match.row for match in found.matches] == np.argsort(-expected, kind="stable")[:9].tolist()


def test_metadata_follow_what_is_added_changed_moved_and_removed(search, pictures, backbone, tmp_path):
    dated(pictures / "horse", 2025, "Pixel")
    (pictures / "car/0.png").rename(pictures / "car/moved.png")
    shutil.copytree(pictures / "dog", pictures / "new")
    dated(pictures / "new", 2026)
    search.add(pictures, folder=tmp_path / "features")
    search.remove(["cat/3.png", "dog/1.png"])
    search.save(tmp_path / "index")
    for opened in (search, Search.load(tmp_path / "index")):
        known = {path: one.taken[:7] for path, one in zip(opened.images.paths, opened.metadata, strict=True)}
        assert known == {f"{folder}/{name}.png": f"{year}-{place:02}" for folder, year in (
            ("cat", 2021), ("dog", 2022), ("horse", 2025), ("car", 2024), ("new", 2026))
            for place, name in enumerate(range(10), start=1)
            if (folder, name) not in (("cat", 3), ("dog", 1), ("car", 0))} | {"car/moved.png": "2024-01"}
    with contextlib.closing(sqlite3.connect(next((tmp_path / "index").glob("metadata-*.sqlite")))) as database:
        assert database.execute("select count(*), max(taken) from pictures where camera = 'Pixel'").fetchall() == [
            (10, "2025-10-01T12:00:00")]
    (found,) = check(tmp_path / "index")
    assert found.ok


def test_an_index_without_metadata_reads_them_and_keeps_them_when_it_is_saved(search, pictures, vocabulary, tmp_path):
    search.save(tmp_path / "new")
    bare = Search(search.model, search.images, search.indexes, search.contents)  # as an older devise knew it
    assert len(bare.by_text("cat", where="taken=2024").among.rows) == 10
    bare.save(tmp_path / "index")
    shutil.rmtree(pictures)
    kept = Search.load(tmp_path / "index")
    assert kept.metadata == Search.load(tmp_path / "new").metadata == search.metadata
    lost = Search(search.model, search.images, search.indexes)
    assert lost.metadata == [None] * 40
    lost.save(tmp_path / "lost")
    found = Search.load(tmp_path / "lost", words=vocabulary).by_text("cat", where="taken=2024")
    assert found.among.lacking == {"taken": 40}


def test_several_indexes_keep_their_metadata(search, vocabulary, tmp_path):
    for name, rows in (("one", range(25)), ("two", range(15, 40))):
        Search.build(search.model, search.model.table.subset(list(rows)), engine="exact").save(tmp_path / name)
    both = Search.load(tmp_path / "one", tmp_path / "two", words=vocabulary)
    found = both.by_text("cat", 40, where="taken>=2022")
    assert [match.path for match in found.matches] == [
        match.path for match in search.by_text("cat", 40, where="taken>=2022").matches]


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 200])
def test_a_damaged_table_is_refused(content):
    from devise.search.saving import unpacked

    with pytest.raises(ValueError, match="table of metadata is damaged"):
        unpacked(content, 3)
