"""devise extract with workers: where the options go, and what is refused."""

import numpy as np
import pytest

from devise import distributed, features


@pytest.fixture
def dealt(monkeypatch, make_backbone):
    """What `distributed.extract` was asked for; it computes in this process."""
    asked = {}

    def extract(pictures, load_backbone, folder=None, *, dtype="float32", progress=None, **options):
        print("(raylet) a worker died and will be replaced")  # as Ray does; the answer must not begin with it
        asked.update(options, pictures=pictures, dtype=dtype)
        images = getattr(pictures, "images", pictures)
        if images.root is None:
            paths = [path.removeprefix("file://") for path in images.paths]
            images = type(images)(paths, images.labels, images.label_names, "/")
        return features.extract(images, load_backbone(), folder, dtype=dtype, progress=progress)

    monkeypatch.setattr(distributed, "extract", extract, raising=False)
    return asked


def test_workers_are_asked_for_what_one_process_would_do(answer, stub, dealt, broken, tmp_path):
    mine = answer("extract", broken, "-o", tmp_path / "one")
    theirs = answer("extract", broken, "-o", tmp_path / "many", "--workers", "3", "--threads", "2", "--gpus", "0.5",
                    "--address", "auto", "--dtype", "float32")
    assert theirs | {"folder": "", "title": ""} == mine | {"folder": "", "title": ""}
    assert [dealt[name] for name in ("workers", "threads", "gpus", "address")] == [3, 2, 0.5, "auto"]
    assert len(dealt["pictures"]) == 40


def test_pictures_behind_a_url(answer, stub, dealt, picture_folder, tmp_path):
    pytest.importorskip("fsspec")
    document = answer("extract", f"file://{picture_folder}", "--workers", "2", "-o", tmp_path / "table")
    assert document["n"] == 40 and dealt["pictures"].images.paths[0].startswith(f"file://{picture_folder}/")
    assert np.isfinite(features.load(tmp_path / "table").matrix).all()


def test_several_parquet_files_and_a_folder_of_them(devise, stub, monkeypatch, tmp_path):
    pytest.importorskip("fsspec")
    asked = []
    monkeypatch.setattr(distributed, "from_parquet", lambda places: asked.append(places) or 1 / 0, raising=False)
    (tmp_path / "set").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"set/{name}.parquet").write_bytes(b"")
    for places in ([tmp_path / "set"], [tmp_path / "set/a.parquet", tmp_path / "set/b.parquet"]):
        devise("extract", *places, "--workers", "2", "-o", tmp_path / "table")
        assert asked.pop() == [str(place) for place in places]
    ran = devise("extract", tmp_path / "set", tmp_path, "--workers", "2", "-o", tmp_path / "table")
    assert ran.code == 2 and f"{tmp_path / 'set'} can't be read together with the others" in ran.err


@pytest.mark.parametrize(("argv", "message"), [
    (["s3://bucket/photos"], "s3://bucket/photos is read by workers: add --workers N"),
    (["pictures", "--threads", "2"], "--threads can't be used here: add --workers N"),
    (["pictures", "--address", "auto"], "--address can't be used here"),
    (["s3://bucket/photos", "--workers", "2", "--labels", __file__], "--labels can't be used here")])
def test_what_means_nothing_is_refused(devise, stub, argv, message):
    ran = devise("extract", *argv)
    assert ran.code == 2 and message in ran.err
