"""Near-duplicates: copies of smooth pictures, made here, are grouped; different pictures are not."""

import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dct

from devise import backbones
from devise.datasets import read_image
from devise.model import Devise
from devise.search import Search
from devise.search.duplicates import perceptual_hash


@pytest.fixture
def search(make_backbone, tmp_path, monkeypatch):
    """Six pictures of coloured clouds, and copies of the first two."""
    root = tmp_path / "photos"
    root.mkdir()
    random = np.random.default_rng(3)
    for number in range(6):
        clouds = Image.fromarray(random.integers(0, 256, (5, 5, 3)).astype(np.uint8)).resize((96, 72), 2)
        clouds.save(root / f"{number}.png")
    first, second = (Image.open(root / f"{number}.png") for number in (0, 1))
    first.resize((48, 36)).save(root / "0 small.png")
    first.save(root / "0 pressed.jpg", quality=30)
    shutil.copy(root / "0.png", root / "0 copy.png")
    second.crop((2, 2, 94, 70)).save(root / "1 cut.png")
    network = make_backbone()
    monkeypatch.setattr(backbones, "load", lambda name, **how: network)
    return Search.build(Devise(network), root, engine="exact", folder=tmp_path / "features")


def test_copies_are_grouped_and_the_same_bytes_marked(search, tmp_path):
    groups = search.duplicates(alike=1.0)  # by the hash alone: colours of clouds are alike
    assert [[copy.path for copy in group] for group in groups] == [
        ["0 copy.png", "0 pressed.jpg", "0 small.png", "0.png"], ["1 cut.png", "1.png"]]
    assert [copy.same_as for copy in groups[0]] == [None, None, None, "0 copy.png"]
    assert groups[0][0].score == groups[0][3].score == 1
    rows = search.indexes["raw"].vectors(np.arange(len(search)))
    cut, whole = groups[1]
    assert cut.score == whole.score == pytest.approx(float(rows[cut.row] @ rows[whole.row]), abs=1e-5)
    search.save(tmp_path / "index")
    assert Search.load(tmp_path / "index", tmp_path / "index").duplicates(alike=1.0) == groups


def test_features_alone_connect_what_is_alike_enough(search):
    rows = search.indexes["raw"].vectors(np.arange(len(search)))
    least = (rows @ rows.T).min()
    assert [len(group) for group in search.duplicates(alike=float(least) - 1e-4)] == [len(search)]
    for path in search.images.root.iterdir():
        path.unlink()  # then nothing can be hashed
    assert [[copy.path for copy in group] for group in search.duplicates(alike=1.1)] == [["0 copy.png", "0.png"]]


def test_pictures_without_copies_have_no_groups(search):
    search.remove([path for path in search.images.paths if " " in path])
    assert search.duplicates(alike=1.1) == []


def test_the_hash_is_the_signs_of_low_frequencies(search):
    pixels = read_image(search.images.file(0))
    grey = np.asarray(Image.fromarray(pixels).convert("L").resize((32, 32), Image.Resampling.LANCZOS), float)
    low = dct(dct(grey, axis=0), axis=1)[:8, :8]
    expected = [value > np.median(np.delete(low.ravel(), 0)) for value in low.ravel()]
    assert perceptual_hash(pixels).tolist() == expected


def test_blank_pictures_with_a_line_have_no_hash():
    for height in (40, 200):
        page = np.full((300, 400, 3), 255, np.uint8)
        assert perceptual_hash(page) is None
        page[height:height + 3] = (255, 0, 0)
        assert perceptual_hash(page) is None
    page[:, 100:103] = 0
    assert perceptual_hash(page) is not None
