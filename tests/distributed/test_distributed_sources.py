"""Pictures behind URLs: what is listed, how they are named, and what a worker gets of them."""

from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from devise.datasets import from_folder
from devise.distributed import from_url
from devise.errors import MissingDependency
from devise.storage.places import Place, stat

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket(picture_folder):
    """The pictures in memory, below memory://photos, with files that are not read among them."""
    system = fsspec.filesystem("memory")
    for path in [*picture_folder.rglob("*.png")]:
        system.pipe_file(f"/photos/{path.relative_to(picture_folder).as_posix()}", path.read_bytes())
    system.pipe_file("/photos/cat/.hidden.png", b"x")
    system.pipe_file("/photos/cat/raw.nef", b"x")
    system.pipe_file("/photos/notes.txt", b"x")
    yield "memory://photos"
    system.rm("/photos", recursive=True)


def test_classes_and_order_are_those_of_a_folder(bucket, picture_folder):
    found, local = from_url(bucket).images, from_folder(picture_folder)
    assert found.paths == tuple(f"memory://photos/{path}" for path in local.paths)
    assert found.label_names == local.label_names and found.labels.tolist() == local.labels.tolist()
    assert found.root is None
    assert [tuple(item) for item in found.skipped] == [
        ("memory://photos/cat/.hidden.png", "hidden"),
        ("memory://photos/cat/raw.nef", "a camera's raw picture, which is not read: save it as jpg or png")]


@pytest.fixture
def served(picture_folder):
    """The pictures on a server of this machine, as pages of links."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    handler = partial(SimpleHTTPRequestHandler, directory=picture_folder.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{picture_folder.name}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_over_http_is_a_page_of_links(served, picture_folder, end):
    pictures, local = from_url(served + end), from_folder(picture_folder)
    assert pictures.images.paths == tuple(f"{served}/{path}" for path in local.paths)
    assert pictures.images.labels.tolist() == local.labels.tolist()
    with pictures.part([12]).opened() as (images, missing):
        assert images.file(0).read_bytes() == local.file(12).read_bytes() and not missing


def test_a_part_is_fetched_for_as_long_as_it_is_open(bucket, picture_folder):
    pictures = from_url(bucket)
    fsspec.filesystem("memory").rm("/photos/cat/1.png")  # gone since it was listed
    part = pictures.part([9, pictures.images.paths.index("memory://photos/cat/1.png"), 0])
    with part.opened() as (images, missing):
        files = [images.file(place) for place in range(3)]
        assert files[0].read_bytes() == (picture_folder / "car/9.png").read_bytes()
        assert files[2].read_bytes() == (picture_folder / "car/0.png").read_bytes()
        assert missing == {1: "no such file"}
    assert not any(file.exists() for file in files)


def test_what_fails_for_a_while_is_tried_again_and_then_named(bucket, monkeypatch):
    from devise.storage import places

    pictures, calls = from_url(bucket), []
    system = fsspec.filesystem("memory")
    read = type(system).cat_file

    def shaky(self, path, **options):
        calls.append(path)
        if path.endswith("car/0.png") or calls.count(path) < places.TRIES:
            raise TimeoutError("slow down")
        return read(self, path, **options)

    monkeypatch.setattr(type(system), "cat_file", shaky)
    with pictures.part([0, 1]).opened() as (images, missing):
        assert missing == {0: "can't be fetched: slow down"} and images.file(1).stat().st_size
    assert len(calls) == 2 * places.TRIES


def test_a_part_travels_without_the_others(bucket):
    import pickle

    part = from_url(bucket).part([3])
    assert len(pickle.dumps(part)) < 1000
    with pickle.loads(pickle.dumps(part)).opened() as (images, missing):
        assert len(images) == 1 and not missing


def test_size_and_time_are_read_as_each_file_system_tells_them():
    when = datetime(2024, 5, 6, tzinfo=UTC)
    ns = int(when.timestamp()) * 10**9
    assert stat({"size": 7, "mtime": when.timestamp()}) == (7, ns)
    assert stat({"size": 7, "LastModified": when}) == (7, ns)
    assert stat({"size": 7, "updated": "2024-05-06T00:00:00+00:00"}) == (7, ns)
    assert stat({"size": None}) == (0, 0)


def test_nothing_there_no_picture_and_no_opener_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="memory://nowhere does not exist"):
        from_url("memory://nowhere")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match="holds no picture that can be used among 1 files"):
        from_url(f"file://{tmp_path}")
    with pytest.raises((MissingDependency, ValueError)):
        Place("nosuchscheme://bucket")
