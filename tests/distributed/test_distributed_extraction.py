"""Two workers give what one process gives, and lose nothing when one of them is killed."""

import os
import shutil
import signal
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from devise import distributed, features
from devise.datasets import from_folder
from devise.distributed import extraction, from_parquet, from_url
from devise.distributed import ray as cluster
from devise.distributed.extraction import Worker


def assert_same_table(folder, other):
    """Two folders hold the same table: the same bytes, the same rows, the same document."""
    mine, theirs = (features.load(place) for place in (folder, other))
    np.testing.assert_array_equal(mine.matrix, theirs.matrix)
    for name in ("features.npy", "rows.json"):
        one, two = (next(place.glob(f"{name.split('.')[0]}-*")).read_bytes() for place in (folder, other))
        assert one == two
    assert (folder / "features.json").read_text() == (other / "features.json").read_text()


@pytest.fixture(scope="module")
def images(drawn_folder):
    return from_folder(drawn_folder)


@pytest.fixture(scope="module")
def local(images, make_backbone, tmp_path_factory):
    """The folder of the table as it is computed here."""
    folder = tmp_path_factory.mktemp("local") / "table"
    features.extract(images, make_backbone(), folder)
    return folder


@pytest.fixture(scope="module")
def stopped(ray, images, make_backbone, tmp_path_factory):
    """The folder of a run that was stopped behind four shards of five pictures."""
    def stop(done, total):
        if done >= 20:
            raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("stopped") / "table"
    with pytest.raises(KeyboardInterrupt):
        distributed.extract(images, make_backbone, folder, workers=1, shard_rows=5, progress=stop)
    assert not (folder / "features.json").exists()
    return folder


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_two_workers_give_the_table_of_the_local_path_byte_for_byte(load_backbone, backbone, picture_folder, tmp_path):
    whole = (picture_folder / "cat/0.png").read_bytes()
    (picture_folder / "cat/truncated.png").write_bytes(whole[:-200])
    (picture_folder / "dog/0.png").write_bytes(whole)  # the same content under two names
    images, seen, folder = from_folder(picture_folder), [], tmp_path / "dealt"
    table = distributed.extract(images, load_backbone, folder, workers=2, shard_rows=7,
                                progress=lambda *at: seen.append(at))
    local = features.extract(images, backbone, tmp_path / "local")
    assert_same_table(folder, tmp_path / "local")
    assert table.images.paths == local.images.paths and table.images.skipped == local.images.skipped
    assert [item.path for item in table.images.skipped] == ["cat/truncated.png"]
    assert len(list((tmp_path / "pids").iterdir())) == 2, "each worker loads the network once"
    assert seen[-1] == (41, 41) and [total for _, total in seen] == [41] * 6
    assert {path.name.split("-")[0].split(".")[0] for path in folder.iterdir()} == {"features", "rows"}
    before, calls = times(folder), backbone.calls
    assert features.extract(images, backbone, folder).computed == backbone.calls - calls == 0
    assert times(folder) == before


def test_a_second_run_computes_nothing(load_backbone, images, local, tmp_path):
    folder = shutil.copytree(local, tmp_path / "table")
    before = times(folder)
    assert distributed.extract(images, load_backbone, folder, workers=1).computed == 0
    assert times(folder) == before


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_is_killed_loses_nothing(load_backbone, images, local, tmp_path, workers):
    def kill(done, total):
        pids = sorted(int(path.name) for path in (tmp_path / "pids").iterdir())
        if len(pids) == workers and not killed:
            os.kill(pids[0], signal.SIGKILL)
            killed.append(pids[0])

    killed = []
    table = distributed.extract(images, load_backbone, tmp_path / "dealt", workers=workers, shard_rows=2,
                                progress=kill)
    assert killed and len(list((tmp_path / "pids").iterdir())) > 1, "another one did what was left"
    assert table.computed == 40
    assert_same_table(tmp_path / "dealt", local)


def test_a_stopped_run_goes_on_behind_its_shards_here(stopped, images, local, backbone, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "table")
    assert features.extract(images, backbone, folder).computed == 20
    assert_same_table(folder, local)
    assert not list(folder.glob("partial*"))


def test_a_stopped_run_goes_on_behind_its_shards_and_does_a_damaged_one_again(load_backbone, stopped, images, local,
                                                                             tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "table")
    part, *others = folder.glob("partial*/parts/*.npy")
    assert len(others) == 3
    part.write_bytes(part.read_bytes()[:100])
    assert distributed.extract(images, load_backbone, folder, workers=1, shard_rows=5).computed == 25
    assert_same_table(folder, local)
    assert list(folder.glob("partial*/parts/*")) == [part], "what is not as it was written may be somebody else's"


class Deadly:
    """A network that a black picture kills."""

    def __init__(self, backbone):
        self._backbone = backbone

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._backbone, name)

    def features(self, pictures):
        if (pictures == 0).all(axis=(1, 2, 3)).any():
            os._exit(1)
        return self._backbone.features(pictures)


def deadly(load):
    return Deadly(load())


def test_a_picture_that_kills_every_worker_is_named_and_the_others_are_kept(ray, load_backbone, picture_folder,
                                                                           tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(cluster, "RETRIES", 1)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    Image.new("RGB", (9, 9)).save(picture_folder / "horse/black.png")
    images, folder = from_folder(picture_folder), tmp_path / "table"
    with pytest.raises(ChildProcessError, match=r"died 2 times with horse/9.png … horse/black.png at hand, on .*\("):
        distributed.extract(images, partial(deadly, load_backbone), folder, workers=1, shard_rows=3)
    kept = sum(len(np.load(path)) for path in folder.glob("partial*/parts/*.npy"))
    assert kept == 39, "all but the last shard"


def test_workers_with_different_networks_are_refused(load_backbone, images, make_backbone, tmp_path):
    load = partial(_by_turn, make_backbone, tmp_path)
    with pytest.raises(ValueError, match="workers have different networks"):
        distributed.extract(images, load, tmp_path / "table", workers=2)


def _by_turn(make_backbone, folder):
    try:
        (folder / "taken").mkdir()
    except FileExistsError:
        return make_backbone(1)
    return make_backbone(0)


class Blind:
    """A worker that does not see the pictures of one class."""

    def __init__(self, load_backbone, threads):
        self._worker = Worker(load_backbone, threads)

    def describe(self):
        return self._worker.describe()

    def extract(self, part):
        return self._worker.extract(replace(part, images=replace(part.images, paths=tuple(
            path.replace("dog", "elsewhere") for path in part.paths))))


def test_a_worker_that_does_not_see_what_is_seen_here_is_refused_by_name(ray, load_backbone, images, tmp_path,
                                                                         monkeypatch):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(extraction, "Worker", Blind)
    with pytest.raises(ValueError, match=r"the worker on .*\(.*\) can't read 10 of 40 pictures that can be read here, "
                                         r"such as dog/0.png \(No such file or directory\)"):
        distributed.extract(images, load_backbone, tmp_path / "table", workers=1)
    assert not (tmp_path / "table/features.json").exists()


def test_workers_for_whom_there_is_no_room_are_told_of(load_backbone, images, local, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "LOOK", 0.1)
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    n = 5 + os.cpu_count()
    with pytest.warns(UserWarning, match=rf"of {n} workers wait for room: each takes 1 CPU, .* has \d+ CPU"):
        distributed.extract(images, load_backbone, tmp_path / "dealt", workers=n, shard_rows=9)
    assert_same_table(tmp_path / "dealt", local)
    with pytest.raises(ChildProcessError, match="1 of 1 workers wait for room: each takes 99 CPU, .* Ask for less"):
        distributed.extract(images, load_backbone, tmp_path / "none", workers=1, threads=99)


def test_the_address_is_what_ray_address_says(images, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(cluster, "_connected", lambda *given: asked.append(given) or 1 / 0)
    for address, environment, expected in [(None, None, None), (None, "auto", "auto"), ("ray://a:1", "auto", "ray://a:1"),
                                           ("local", "auto", None)]:
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        if environment:
            monkeypatch.setenv("RAY_ADDRESS", environment)
        with pytest.raises(ZeroDivisionError):
            distributed.extract(images, None, tmp_path, address=address)
        assert asked.pop() == (expected, 2, 1)


def test_a_worker_that_can_not_start_says_why(ray, images, tmp_path):
    with pytest.raises(ChildProcessError, match=r"the worker on .* could not start: ZeroDivisionError: .* by zero"):
        distributed.extract(images, partial(divmod, 1, 0), tmp_path / "table", workers=1)


def test_pictures_behind_a_url_and_in_parquet_have_the_same_features(load_backbone, backbone, picture_folder, tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (picture_folder / "cat/broken.png").write_text("no picture")
    images = from_folder(picture_folder, check=False)
    local = features.extract(images, backbone, tmp_path / "local")
    by_url = distributed.extract(from_url(f"file://{picture_folder}"), load_backbone, tmp_path / "url", workers=1,
                                 shard_rows=16)
    np.testing.assert_array_equal(by_url.matrix, local.matrix)
    assert by_url.images.paths == tuple(f"file://{picture_folder}/{path}" for path in local.images.paths)
    assert by_url.images.label_names == local.images.label_names
    np.testing.assert_array_equal(by_url.images.labels, local.images.labels)
    assert [(item.path.removeprefix(f"file://{picture_folder}/"), item.reason) for item in by_url.images.skipped] == [
        tuple(item) for item in local.images.skipped]

    column = [{"bytes": images.file(row).read_bytes(), "path": path} for row, path in enumerate(images.paths)]
    table = pyarrow.table({"image": column, "label": [images.label_of(row) for row in range(len(images))]})
    parquet.write_table(table, tmp_path / "pictures.parquet", row_group_size=9)
    rows = distributed.extract(from_parquet(tmp_path / "pictures.parquet"), load_backbone, tmp_path / "rows",
                               workers=1, shard_rows=16)
    np.testing.assert_array_equal(rows.matrix, local.matrix)
    np.testing.assert_array_equal(rows.images.labels, local.images.labels)
    assert [item.reason for item in rows.images.skipped] == [item.reason for item in local.images.skipped]
    assert distributed.extract(from_parquet(tmp_path / "pictures.parquet"), load_backbone, tmp_path / "rows",
                               workers=1).computed == 0


@pytest.mark.parametrize(("options", "message"), [
    ({"dtype": "int8"}, "dtype is 'int8'"), ({"workers": 0}, "workers is 0"), ({"shard_rows": 0}, "shard_rows is 0")])
def test_what_does_not_fit_is_refused_before_ray_starts(images, options, message):
    with pytest.raises(ValueError, match=message):
        distributed.extract(images, None, **options)
