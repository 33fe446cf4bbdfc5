"""The set that comes with the package, and the program that made it."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devise import features, storage
from devise.recipes import bundled_table

FOLDER = storage.bundled("caltech37")
MEGABYTE = 10**6
SPEC = importlib.util.spec_from_file_location("caltech37", Path(__file__).parents[2] / "docs/measured/caltech37.py")
caltech37 = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(caltech37)


@pytest.fixture(scope="module")
def bundled():
    return bundled_table()


def test_it_has_32_seen_and_5_unseen_classes(bundled):
    table, parts = bundled
    assert set(parts.seen) == set(caltech37.SEEN) and len(parts.seen) == 32
    assert set(parts.unseen) == set(caltech37.UNSEEN) and len(parts.unseen) == 5
    assert set(table.images.label_names) == set(parts.seen) | set(parts.unseen)


def test_each_class_has_as_many_pictures_as_it_should(bundled):
    counts = bundled[0].images.counts()
    assert all(10 <= counts[name] <= 50 for name in caltech37.SEEN)
    assert all(counts[name] == 10 for name in caltech37.UNSEEN)
    assert sum(counts.values()) == len(bundled[0]) == 1609


def test_a_picture_lies_in_the_folder_of_its_class_and_stands_there_once(bundled):
    images = bundled[0].images
    classes = [images.label_of(row) for row in range(len(images))]
    assert [path.split("/")[0] for path in images.paths] == classes
    assert len(set(images.paths)) == len(images)
    assert not images.skipped


def test_the_split_puts_every_picture_into_one_part(bundled):
    table, parts = bundled
    rows = np.concatenate([parts.train, parts.validation, parts.test, parts.unseen_rows])
    assert sorted(rows.tolist()) == list(range(len(table)))
    of_unseen = {table.images.label_of(row) for row in parts.unseen_rows}
    assert of_unseen == set(parts.unseen) and len(parts.unseen_rows) == 50
    share = len(parts.test) / (len(table) - 50)
    assert 0.18 < share < 0.22


def test_the_features_are_those_of_the_pooled_layer(bundled):
    matrix = bundled[0].matrix
    assert matrix.shape == (1609, 1280) and matrix.dtype == np.float16
    values = np.asarray(matrix, np.float32)
    assert np.isfinite(values).all() and (values >= 0).all(), "the last activation is a ReLU6, then a mean"
    assert values.max() <= 6 and values.any(axis=1).all()
    record = bundled[0].backbone
    assert (record["name"], record["layer"], record["trained"]) == ("efficientnet_lite0", "pooled", True)


def test_its_files_are_small_and_are_what_the_manifest_says():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 6 * MEGABYTE
    manifest = storage.read_json(FOLDER / "features.json")
    for entry in manifest["files"].values():
        assert storage.digest(FOLDER / entry["file"]) == entry["sha256"]


def test_licence_and_source_are_stated():
    manifest = storage.read_json(FOLDER / "features.json")
    assert manifest["licence"] == "CC BY 4.0"
    assert "Caltech-101" in manifest["source"] and "10.22002/D1.20086" in manifest["source"]
    assert manifest["catalog"] == "caltech101"


def test_no_place_of_another_disk_is_in_it(bundled):
    files = [path for path in FOLDER.iterdir() if path.suffix != ".npy"]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    for name, text in texts.items():
        assert not re.search(r'"(/|~|[A-Za-z]:|\\\\|file:)', text), f"{name} holds an absolute path"
    assert storage.read_json(FOLDER / "features.json")["root"] is None
    assert stamps(FOLDER) == {(0, 0)}


def stamps(folder):
    """The sizes and times of the pictures that a set's rows tell of."""
    manifest = storage.read_json(folder / "features.json")
    rows = storage.read_json(folder / manifest["files"]["rows.json"]["file"])
    return {(record["size"], record["mtime_ns"]) for record in rows}


def draw_classes(root, names, n):
    """n tiny pictures of each class, every one another."""
    random = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True)
        for number in range(n):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def small(monkeypatch, backbone):
    """The recipe at a size for tests: at most three pictures a seen class, two an unseen one."""
    monkeypatch.setattr(caltech37.backbones, "load", lambda name, **options: backbone)
    monkeypatch.setattr(caltech37, "MOST_SEEN", 3)
    monkeypatch.setattr(caltech37, "MOST_UNSEEN", 2)


def test_the_recipe_draws_the_same_pictures_each_time(small, tmp_path, backbone):
    root = draw_classes(tmp_path / "pictures", [*caltech37.SEEN, *caltech37.UNSEEN, "wrench"], n=4)
    table = caltech37.bundle(root, tmp_path / "first")
    again = caltech37.bundle(root, tmp_path / "again")
    assert table.images.paths == again.images.paths and len(table) == 32 * 3 + 5 * 2
    assert "wrench" not in table.images.label_names
    for name, most in ((caltech37.SEEN[0], 3), (caltech37.UNSEEN[0], 2)):
        assert table.images.counts()[name] == most
    assert stamps(tmp_path / "first") == {(0, 0)}
    assert str(tmp_path) not in "".join(path.read_text() for path in (tmp_path / "first").glob("*.json"))
    expected = features.compute(table.images.__class__(table.images.paths, table.images.labels,
                                                       table.images.label_names, root), backbone)
    np.testing.assert_allclose(np.asarray(table.matrix, np.float32), expected.matrix, rtol=1e-3)


def test_the_recipe_names_the_classes_it_misses(small, tmp_path):
    root = draw_classes(tmp_path / "pictures", [*caltech37.SEEN, *caltech37.UNSEEN[1:]], n=1)
    with pytest.raises(ValueError, match="lacks the classes elephant"):
        caltech37.bundle(root, tmp_path / "bundle")
