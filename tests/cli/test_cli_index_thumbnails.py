"""Thumbnails that `devise index` is asked for, and the sheet that shows them."""

import shutil

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def cards(monkeypatch):
    """The cards of each row of a sheet that would be drawn."""
    from devise import plots

    drawn = []
    monkeypatch.setattr(plots, "sheet", lambda rows, path, columns: drawn.extend(rows) or path)
    return drawn


def test_a_sheet_shows_thumbnails_of_pictures_that_are_gone(devise, answer, model, picture_folder, tmp_path, cards):
    ran = devise("index", picture_folder, "--model", model, "--thumbnails", "-o", tmp_path / "kept")
    assert ran.code == 0, ran.err
    devise("index", picture_folder, "--model", model, "-o", tmp_path / "bare")
    expected = {path.name: np.asarray(Image.open(path)).mean(axis=(0, 1)) for path in picture_folder.glob("cat/*")}
    shutil.rmtree(picture_folder)
    for index in ("kept", "bare"):
        found = answer("search", tmp_path / index, "--picture", "cat/1.png", "-k", 5, "--save", tmp_path / "sheet.png")
        assert [match["path"].partition("/")[0] for match in found["results"][0]["matches"]] == ["cat"] * 5
    kept, bare = cards
    assert [card.picture for card in (bare.query, *bare.hits)] == [None] * 6
    for card in (kept.query, *kept.hits):
        np.testing.assert_allclose(card.picture.mean(axis=(0, 1)), expected[card.name.rpartition("/")[2]], atol=6)


def test_pictures_without_a_thumbnail_are_told(devise, answer, model, picture_folder, tmp_path):
    features = tmp_path / "features"
    assert devise("extract", picture_folder, "-o", features).code == 0
    (picture_folder / "cat" / "1.png").unlink()
    ran = devise("index", features, "--model", model, "--engine", "exact", "--thumbnails", "-o", tmp_path / "index")
    assert ran.code == 0 and "1 of 40 pictures have no thumbnail, such as cat/1.png: " in ran.err
    added = Image.new("RGB", (900, 600), "red")
    added.save(tmp_path / "added.png")
    assert devise("add", tmp_path / "index", tmp_path / "added.png").code == 0
    from devise.search import Search

    search = Search.load(tmp_path / "index")
    assert [row for row in range(41) if search.thumbnail(row) is None] == [search.images.paths.index("cat/1.png")]
