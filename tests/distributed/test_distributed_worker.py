"""What a worker makes of a part, without Ray."""

import hashlib
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from devise import backbones, features
from devise.datasets import from_folder, read_image
from devise.distributed.extraction import THREADS, Worker, _deal, unread
from devise.distributed.sources import OnDisk, Part

NO_PICTURE = "not a picture: its content is no jpg, png, webp, avif, heic, gif, bmp, tiff, jp2, ppm or tga"


@pytest.fixture
def worker(backbone, monkeypatch):
    for name in THREADS:
        monkeypatch.setenv(name, "9")  # restored after the test
    return Worker(lambda: backbone, threads=3)


def test_keys_are_contents_and_vectors_those_of_one_picture_alone(worker, backbone, picture_folder):
    images = from_folder(picture_folder)
    shard = worker.extract(OnDisk(images).part([5, 17, 30]))
    assert shard.keys == [hashlib.sha256(images.file(row).read_bytes()).hexdigest() for row in (5, 17, 30)]
    assert shard.places.tolist() == [0, 1, 2] and shard.reasons == {}
    for place, row in enumerate((5, 17, 30)):
        alone = backbone.features(backbone.prepare(read_image(images.file(row)))[None])[0]
        np.testing.assert_array_equal(shard.vectors[place], alone)


def test_what_can_not_be_read_keeps_its_place_and_reason(worker, picture_folder):
    images = from_folder(picture_folder)
    (picture_folder / images.paths[1]).write_text("x")
    (picture_folder / images.paths[3]).unlink()
    shard = worker.extract(OnDisk(images).part([0, 1, 2, 3]))
    assert shard.places.tolist() == [0, 2] and len(shard.vectors) == 2
    assert shard.reasons == {1: NO_PICTURE,
                             3: "No such file or directory"}
    shard = worker.extract(OnDisk(images).part([1, 3]))
    assert shard.places.tolist() == [] and shard.vectors.shape == (0, 24) and sorted(shard.reasons) == [0, 1]


def test_a_picture_of_another_size_than_the_sender_sees_is_not_that_picture(worker, picture_folder):
    part = OnDisk(from_folder(picture_folder)).part([0, 1, 2])
    file = picture_folder / part.paths[1]
    size = file.stat().st_size
    file.write_bytes(file.read_bytes() + b"x")
    expected = {1: f"it has {size + 1:,} bytes, not {size:,}"}
    assert worker.extract(part).reasons == unread(part) == expected
    (picture_folder / part.paths[2]).write_text("x")
    again = OnDisk(from_folder(picture_folder, check=False)).part([0, 1, 2])
    assert unread(again) == {2: NO_PICTURE}


def test_what_is_wrong_with_the_network_is_no_reason_to_skip(worker, backbone, picture_folder):
    def features(pictures):
        raise ValueError("another size is expected")

    backbone.features = features
    with pytest.raises(ValueError, match="another size"):
        worker.extract(OnDisk(from_folder(picture_folder)).part([0]))


def test_pictures_that_can_not_be_fetched_are_passed_over(worker, picture_folder):
    def fetch(folder):
        (folder / "1").write_bytes((picture_folder / "cat/0.png").read_bytes())
        return {0: "no such file"}

    shard = worker.extract(Part(("a", "b"), fetch=fetch))
    assert shard.keys[0] is None and shard.places.tolist() == [1] and shard.reasons == {0: "no such file"}


def test_threads_are_set_before_the_network_is_loaded(worker):
    import os

    assert [os.environ[name] for name in THREADS] == ["3", "3"]


def test_another_content_of_the_same_size_elsewhere_is_refused_by_name(worker, backbone, picture_folder, tmp_path):
    """The node sees a copy of the folder in which one file has another file's pixels, and the same size and time."""
    there, images = shutil.copytree(picture_folder, tmp_path / "there"), from_folder(picture_folder)
    mine, theirs = picture_folder / "cat/3.png", there / "cat/3.png"
    longer = max(mine.stat().st_size, (there / "dog/0.png").stat().st_size)
    mine.write_bytes(mine.read_bytes().ljust(longer, b"\0"))
    theirs.write_bytes((there / "dog/0.png").read_bytes().ljust(longer, b"\0"))

    class Crew:
        def __init__(self, folder):
            self.images = from_folder(folder)

        def map(self, method, parts, name):
            for number, part in enumerate(parts):
                rows = [self.images.paths.index(path) for path in part.paths]
                yield number, worker.extract(OnDisk(self.images).part(rows)), "node 7"

    def run(folder):
        table, described = tmp_path / "table", SimpleNamespace(**backbones.describe(backbone))
        return _deal(Crew(folder), OnDisk(images), described, table, table / "partial", dtype="float32", shard_rows=8,
                     overwrite=False, progress=None)

    with pytest.raises(ValueError, match="the worker on node 7 read another content of cat/3.png than lies here"):
        run(there)
    assert not (tmp_path / "table/features.json").exists()
    found = run(picture_folder)
    np.testing.assert_array_equal(found.matrix, features.compute(images, backbone).matrix)
    assert found.computed == 40 - 8, "the first eight were kept"
