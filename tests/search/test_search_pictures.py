"""Pictures behind URLs, the thumbnails that an index keeps of them, and indexes of several places as one."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from devise import features, storage
from devise.datasets import from_folder, read_image
from devise.heads import RawHead
from devise.model import Devise, Space
from devise.search import Search
from devise.search.joining import names_of
from devise.search.pictures import SEGMENTS, Thumbnails, shown, source
from devise.storage import read_url


@pytest.fixture
def model(backbone):
    """One space, the features themselves."""
    return Devise(backbone, None, {"raw": Space(RawHead(backbone.dim))})


@pytest.fixture
def table(picture_folder, backbone, tmp_path):
    return features.extract(from_folder(picture_folder), backbone, tmp_path / "features")


@pytest.fixture
def bucket(picture_folder):
    """The pictures in memory, below memory://photos."""
    system = pytest.importorskip("fsspec").filesystem("memory")
    for path in picture_folder.rglob("*.png"):
        system.pipe_file(f"/photos/{path.relative_to(picture_folder).as_posix()}", path.read_bytes())
    yield system
    system.rm("/photos", recursive=True)


@pytest.fixture
def behind(table, bucket):
    """The table as workers make it of pictures behind URLs."""
    return replace(table, images=replace(table.images, root=None, paths=tuple(
        f"memory://photos/{path}" for path in table.images.paths)))


def saved(search, folder, model):
    search.save(folder)
    opened = Search.load(folder)
    opened.model = model  # whose network is not one that a folder names
    return opened


def held(folder):
    """The digests in all files of thumbnails of an index."""
    import sqlite3
    from contextlib import closing

    found = []
    for path in sorted(folder.glob("thumbnails*")):
        with closing(sqlite3.connect(path)) as opened:
            found.append({digest.hex() for digest, in opened.execute("SELECT sha256 FROM thumbnails")})
    return found


def test_an_index_of_pictures_behind_urls_answers_as_that_of_the_files(model, table, behind, tmp_path, picture_folder):
    search = saved(Search.build(model, behind, engine="exact"), tmp_path / "index", model)
    local = Search.build(model, table, engine="exact")
    found = search.by_image("memory://photos/cat/1.png", 5).matches
    wanted = local.by_image("cat/1.png", 5).matches
    assert [(one.row, one.score) for one in found] == [(one.row, one.score) for one in wanted]
    assert [one.path for one in found] == [f"memory://photos/{one.path}" for one in wanted]
    assert source(search.images, 3) == table.images.file(3).read_bytes()
    assert (shown(search, 3) == read_image(table.images.file(3))).all() and search.thumbnail(3) is None
    with pytest.raises(FileNotFoundError, match="memory://photos/car/0.png is behind a URL"):
        search.images.file(0)


def test_a_url_is_read_within_bounds_and_its_failure_is_told(bucket, monkeypatch):
    assert read_url("memory://photos/cat/1.png", 10**6)[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="cat/1.png is larger than 0 MB"):
        read_url("memory://photos/cat/1.png", 10)
    with pytest.raises(FileNotFoundError, match="memory://photos/none.png does not exist"):
        read_url("memory://photos/none.png", 10)

    def fail(self, *given, **options):
        raise RuntimeError("slow down")

    monkeypatch.setattr(type(bucket), "_open", fail)
    with pytest.raises(OSError, match="memory://photos/cat/1.png can't be fetched: slow down"):
        read_url("memory://photos/cat/1.png", 10)


@pytest.mark.parametrize("kind", ["files", "urls"])
def test_thumbnails_stand_in_for_pictures_that_are_gone(kind, model, table, behind, bucket, tmp_path, picture_folder):
    search = Search.build(model, table if kind == "files" else behind, engine="exact")
    assert search.make_thumbnails() == ()
    search = saved(search, tmp_path / "index", model)
    shutil.move(picture_folder, tmp_path / "away")
    bucket.rm("/photos/cat", recursive=True)
    row = table.images.paths.index("cat/1.png")
    picture = Image.open(tmp_path / "away" / "cat/1.png").convert("RGB")
    small = Image.open(io.BytesIO(search.thumbnail(row)))
    assert small.format == "JPEG" and small.size == picture.size  # it was smaller than a thumbnail
    near = np.abs(np.asarray(picture, float) - shown(search, row)).mean()
    others = [np.abs(np.asarray(picture, float) - shown(search, other)).mean() for other in range(len(search))]
    assert near == min(others) < 0.5 * np.median(others)


def test_thumbnails_follow_what_is_added_changed_and_removed(model, table, backbone, tmp_path, picture_folder):
    table = features.extract(from_folder(picture_folder), backbone, tmp_path / "features")
    search = Search.build(model, table.subset(range(20)), engine="exact")
    search.make_thumbnails()
    search = saved(search, tmp_path / "index", model)
    assert held(tmp_path / "index") == [{storage.digest(table.images.file(row)) for row in range(20)}]
    first = next((tmp_path / "index").glob("thumbnails-0*"))
    Image.new("RGB", (800, 400), "white").save(picture_folder / "car" / "1.png")
    search.add(features.extract(from_folder(picture_folder), backbone, tmp_path / "features"))
    search = saved(search, tmp_path / "index", model)
    now = {storage.digest(search.images.file(row)) for row in range(40)}
    assert set.union(*held(tmp_path / "index")) == now and len(now) == 40
    assert not first.exists()  # it held a picture that is no more
    row = search.images.paths.index("car/1.png")
    assert Image.open(io.BytesIO(search.thumbnail(row))).size == (720, 360)
    leaving = [f"dog/{place}.png" for place in range(10)]
    gone = {storage.digest(picture_folder / path) for path in search.remove(leaving)}
    search = saved_again(search, tmp_path / "index", model)
    assert set.union(*held(tmp_path / "index")) == now - gone
    assert all(search.thumbnail(row) for row in range(len(search)))
    search.thumbnails = None
    search.save(tmp_path / "index")
    assert held(tmp_path / "index") == []


def saved_again(search, folder, model):
    search.save(folder, overwrite=True)
    opened = Search.load(folder)
    opened.model = model
    return opened


def test_files_of_thumbnails_stay_as_they_are_until_they_are_many(model, table, tmp_path):
    search = Search.build(model, table.subset([0]), engine="exact")
    search.make_thumbnails()
    search = saved(search, tmp_path / "index", model)
    counts = []
    for row in range(1, SEGMENTS + 2):
        before = set((tmp_path / "index").glob("thumbnails*"))
        search.add(table.subset([row]))
        search = saved(search, tmp_path / "index", model)
        after = set((tmp_path / "index").glob("thumbnails*"))
        counts.append(len(after))
        assert before < after or len(after) == 1
    assert counts == [*range(2, SEGMENTS + 1), 1, 2]
    everything = {storage.digest(table.images.file(row)) for row in range(SEGMENTS + 2)}
    assert set.union(*held(tmp_path / "index")) == everything
    search.save(tmp_path / "copy")
    assert held(tmp_path / "copy") == [everything]


def test_a_picture_without_a_thumbnail_is_told_and_why(model, behind, bucket):
    bucket.rm("/photos/car/0.png")
    bucket.pipe_file("/photos/car/1.png", b"another content")
    search = Search.build(model, behind, engine="exact")
    lost = search.make_thumbnails()
    assert [tuple(one) for one in lost] == [
        ("memory://photos/car/0.png", "memory://photos/car/0.png does not exist"),
        ("memory://photos/car/1.png", "its content is not that of its features: extract them again")]
    search.contents = None
    with pytest.raises(ValueError, match="which these features don't tell"):
        search.make_thumbnails()


def test_a_damaged_file_of_thumbnails_is_an_error(tmp_path):
    (tmp_path / "thumbnails-0.sqlite").write_bytes(b"SQLite format 3\0" + bytes(4000))
    with pytest.raises(OSError, match="the thumbnails are damaged"):
        Thumbnails({"thumbnails-0.sqlite": tmp_path / "thumbnails-0.sqlite"}).get(bytes(32))


def test_indexes_of_a_folder_a_bucket_and_no_place_are_one(model, table, behind, tmp_path):
    """Of the same names: a file, a URL and a name are three pictures; two names of one content are one."""
    names = replace(table, images=replace(table.images, root=None))
    other = replace(names, contents=table.contents[::-1].copy())
    kinds = {"disk": table, "bucket": behind, "names": names, "again": names, "others": other}
    for name, each in kinds.items():
        search = Search.build(model, each, engine="exact")
        if name in ("disk", "bucket"):
            search.make_thumbnails()
        search.save(tmp_path / name / "index")
    both = Search.load(*(tmp_path / name / "index" for name in kinds))
    assert [(part.name, part.images) for part in both.parts] == [(f"{name}/index", 40) for name in kinds]
    assert both.parts[1].folder == (tmp_path / "bucket" / "index").resolve()
    assert [both.part_of(row).split("/")[0] for row in (0, 39, 40, 199)] == ["disk", "disk", "bucket", "others"]
    found = both.by_image(7, 200).matches
    rows = {match.row for match in found}
    assert rows == set(range(200)) - {7} - set(range(120, 160))  # those of "again" are those of "names"
    assert {match.row for match in found if match.score > 0.999999} >= {47, 87, 167}
    assert both.images.file(7) == table.images.file(7).resolve() and both.images.paths[47].startswith("memory://")
    assert all(both.thumbnail(row) for row in range(200))  # of one content it matters not which index has it
    assert both.row(table.images.file(7)) == 7 and both.row("memory://photos/car/7.png") == 47


def test_an_index_is_called_by_what_it_differs_in(tmp_path):
    assert names_of([tmp_path / "a" / "index", tmp_path / "b" / "index"]) == ["a/index", "b/index"]
    assert names_of([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
