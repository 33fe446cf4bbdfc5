"""The known sets, fetched from a server on 127.0.0.1 in small copies of the same layout."""

import dataclasses
import functools
import hashlib
import http.server
import importlib.util
import io
import re
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from devise import storage
from devise.datasets import catalog

PICTURES = {"accordion/image_0001.jpg": b"\xff\xd8 one", "accordion/image_0002.jpg": b"\xff\xd8 two",
            "Faces_easy/image_0001.jpg": b"\xff\xd8 three", "BACKGROUND_Google/tmp": b"none"}


def caltech():
    """caltech-101.zip in small: the pictures in an archive of their own, and what else lies beside it."""
    inner, outer = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        for name, content in PICTURES.items():
            entry = tarfile.TarInfo(f"101_ObjectCategories/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("caltech-101/101_ObjectCategories.tar.gz", inner.getvalue())
        archive.writestr("caltech-101/Annotations.tar", b"outlines")
        archive.writestr("caltech-101/show_annotation.m", b"a script")
        archive.writestr("__MACOSX/caltech-101/._101_ObjectCategories.tar.gz", b"a Mac's own")
    return outer.getvalue()


def glove():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for dim in (50, 100, 200, 300):
            archive.writestr(f"glove.6B.{dim}d.txt", f"the {'0.1 ' * dim}\n")
    return content.getvalue()


def birds():
    """CUB_200_2011.tgz in small, with the file that lies beside its folder."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name in ("CUB_200_2011/images.txt", "CUB_200_2011/images/001.Albatross/one.jpg", "attributes.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    return content.getvalue()


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked = []

    def log_message(self, *arguments):
        self.asked.append(self.path)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The sets in small, on a server; gives the folder served, `asked` lists the requests."""
    monkeypatch.delenv("http_proxy", raising=False)
    Quiet.asked.clear()
    served = tmp_path / "served"
    served.mkdir()
    handler = functools.partial(Quiet, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        for name, content in (("caltech101", caltech()), ("glove-6b", glove()), ("vgg16", b"weights"),
                              ("cub200", birds())):
            entry = catalog.ENTRIES[name]
            file = served / entry.url.rpartition("/")[2]
            file.write_bytes(content)
            monkeypatch.setitem(catalog.ENTRIES, name, dataclasses.replace(
                entry, url=f"http://127.0.0.1:{server.server_address[1]}/{file.name}", size=len(content),
                checksum="sha256:" + hashlib.sha256(content).hexdigest()))
        yield served
        server.shutdown()


def everything(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()}


def test_the_table_is_complete():
    for entry in catalog.entries():
        assert entry.url.startswith("https://") and entry.size > 10**8 and entry.licence and entry.established
        assert re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", entry.checksum)
        with pytest.raises(dataclasses.FrozenInstanceError):
            entry.size = 1


def test_vgg16_is_the_file_that_keras_asks_for():
    keras = importlib.util.find_spec("keras")  # its source is read: importing it takes ten seconds
    file = keras and Path(keras.origin).parent / "src" / "applications" / "vgg16.py"
    if not file or not file.is_file():
        pytest.skip("keras is not installed, or has another layout")
    source, entry = file.read_text(encoding="utf-8").replace('"\n    "', ""), catalog.ENTRIES["vgg16"]
    assert f'"{entry.url}"' in source and f'"{entry.target}"' in source
    assert entry.checksum.removeprefix("md5:") in source


def test_caltech_is_a_folder_a_class(small, tmp_path):
    counts = []
    home = tmp_path / "home"
    folder = catalog.fetch("caltech101", root=home, progress=lambda *count: counts.append(count))
    assert folder == home / "data" / "caltech101"
    assert everything(home) == {  # neither archives nor the other members
        f"data/caltech101/{name}": content for name, content in PICTURES.items() if "BACKGROUND" not in name}
    assert counts[-1] == (len(caltech()), len(caltech()))


@pytest.mark.parametrize("dim", [50, 100, 200, 300, None])
def test_glove_keeps_the_asked_size_only(small, tmp_path, dim):
    path = catalog.fetch("glove-6b", dim=dim, root=tmp_path)
    assert path == tmp_path / "pretrained" / f"glove.6B.{dim or 300}d.txt"
    assert len(path.read_text().split()) == 1 + (dim or 300)
    assert list(path.parent.iterdir()) == [path]


def test_two_sizes_lie_side_by_side(small, tmp_path):
    for dim in (50, 100):
        catalog.fetch("glove-6b", dim=dim, root=tmp_path / "home")
    assert set(everything(tmp_path / "home" / "pretrained")) == {"glove.6B.50d.txt", "glove.6B.100d.txt"}


def test_vgg16(small, tmp_path):
    path = catalog.fetch("vgg16", root=tmp_path)
    assert path == tmp_path / "pretrained" / "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    assert path.read_bytes() == b"weights"


def test_cub200_is_the_folder_that_its_reader_takes(small, tmp_path):
    assert catalog.fetch("cub200", root=tmp_path / "home") == tmp_path / "home" / "data" / "cub200"
    assert sorted(everything(tmp_path / "home")) == [
        "data/cub200/images.txt", "data/cub200/images/001.Albatross/one.jpg"]


def test_things_go_to_the_roots(small, tmp_path, monkeypatch):
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "own"))
    assert catalog.fetch("caltech101").parent == storage.data_root() == tmp_path / "own" / "data"
    assert catalog.fetch("vgg16").parent == storage.pretrained_root()


@pytest.mark.parametrize("name", ["caltech101", "glove-6b", "vgg16", "cub200"])
def test_what_is_there_is_neither_fetched_nor_changed(small, tmp_path, name):
    path = catalog.fetch(name, root=tmp_path / "home")
    Quiet.asked.clear()
    before = everything(tmp_path / "home")
    assert catalog.fetch(name, root=tmp_path / "home") == path
    assert catalog.fetch(name, root=tmp_path / "home", source=tmp_path / "nothing") == path
    assert Quiet.asked == [] and everything(tmp_path / "home") == before


@pytest.mark.parametrize("name", ["caltech101", "glove-6b", "vgg16", "cub200"])
def test_a_file_brought_by_hand(small, tmp_path, name):
    source = tmp_path / "stick" / "download (1)"
    source.parent.mkdir()
    (small / catalog.ENTRIES[name].url.rpartition("/")[2]).rename(source)
    by_hand = catalog.fetch(name, source=source, root=tmp_path / "home")
    assert by_hand.exists() and Quiet.asked == []
    assert everything(source.parent) == {source.name: source.read_bytes()}
    leftovers = [path.name for path in by_hand.parent.iterdir() if path != by_hand]
    assert leftovers == []


@pytest.mark.parametrize("name", ["caltech101", "glove-6b", "vgg16", "cub200"])
def test_a_wrong_file_brought_by_hand(small, tmp_path, name):
    source = tmp_path / "file"
    source.write_bytes(b"x" * catalog.ENTRIES[name].size)
    with pytest.raises(ValueError, match="file has sha256 .* expected .*: it is another file"):
        catalog.fetch(name, source=source, root=tmp_path / "home")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        catalog.fetch(name, source=tmp_path / "nothing", root=tmp_path / "home")
    assert everything(tmp_path / "home") == {}


def test_a_mirror_is_checked_like_the_source(small, tmp_path):
    url = catalog.ENTRIES["vgg16"].url
    (small / "good").write_bytes(b"weights")
    (small / "bad").write_bytes(b"WEIGHTS")
    with pytest.raises(ValueError, match="/bad has sha256"):
        catalog.fetch("vgg16", root=tmp_path, url=url.rpartition("/")[0] + "/bad")
    catalog.fetch("vgg16", root=tmp_path, url=url.rpartition("/")[0] + "/good")
    assert Quiet.asked == ["/bad", "/good"]


def test_a_missing_file_names_the_way_by_hand(small, tmp_path):
    for file in small.iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError, match="devise fetch glove-6b --dim 50 --from FILE"):
        catalog.fetch("glove-6b", dim=50, root=tmp_path / "home")
    with pytest.raises(FileNotFoundError, match="devise fetch vgg16 --from FILE"):
        catalog.fetch("vgg16", root=tmp_path / "home")


def test_a_fetched_archive_is_kept_until_it_is_unpacked(small, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "unpack", full)
        with pytest.raises(OSError, match="full"):
            catalog.fetch("caltech101", root=tmp_path / "home")
    catalog.fetch("caltech101", root=tmp_path / "home")
    assert Quiet.asked == ["/caltech-101.zip"]
    assert [path.name for path in (tmp_path / "home" / "data").iterdir()] == ["caltech101"]


def test_an_archive_that_somebody_brought_stays(small, tmp_path):
    place = tmp_path / "home" / "data" / ".download" / "caltech-101.zip"
    place.parent.mkdir(parents=True)
    place.write_bytes((small / "caltech-101.zip").read_bytes())
    catalog.fetch("caltech101", root=tmp_path / "home")
    assert Quiet.asked == [] and place.is_file()


def test_unknown_names_and_dims(tmp_path):
    with pytest.raises(ValueError, match="no set 'imagenet': expected caltech101, cub200, glove-6b, vgg16"):
        catalog.fetch("imagenet", root=tmp_path)
    with pytest.raises(ValueError, match="no dim 299: expected 50, 100, 200, 300"):
        catalog.fetch("glove-6b", dim=299, root=tmp_path)
    with pytest.raises(ValueError, match="caltech101 has no dim 50"):
        catalog.fetch("caltech101", dim=50, root=tmp_path)
    assert list(tmp_path.iterdir()) == []
