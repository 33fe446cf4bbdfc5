"""From a folder of pictures to a learnt index and an answer that may be "no match"."""

import shutil

import numpy as np
import pytest
from PIL import Image

from devise.model import Devise
from devise.model.classes import POWER
from devise.search import Search

FAST = ("--epochs", 2, "--test", 3, "--validation", 3)


@pytest.fixture
def tiles(drawn_tiles, tmp_path):
    """A copy of the tiles, which a test may change."""
    return shutil.copytree(drawn_tiles, tmp_path / "tiles")


def test_the_document_is_what_the_model_says(answer, stub, tiles, tmp_path):
    (tiles / "tile1" / "notes.png").write_text("not a picture")
    found = answer("siamese", tiles, *FAST, "--loss", "contrastive", "--dim", 5, "--false-accept-rate", "0.1",
                   "-o", tmp_path / "m")
    model = Devise.load(tmp_path / "m")
    assert [len(found["classes"][part]) for part in ("train", "validation", "test")] == [4, 3, 3]
    assert found["loss"]["name"] == "contrastive" and model.spaces["learnt"].dim == 5
    assert found["false_accept_rate"] == model.spaces["raw"].calibration["asked"] == 0.1
    figures = model.evaluate()
    runs = figures.retrieval
    assert found["before"] == runs["raw"].to_json() and found["after"] == runs["learnt"].to_json()
    gain = runs["learnt"].means()["map_at_r"] - runs["raw"].means()["map_at_r"]
    assert found["difference"]["difference"] == pytest.approx(gain) and found["difference"]["n"] == 18
    assert found["thresholds"] == {
        name: space.threshold for name, space in model.spaces.items()}
    assert found["open_set"]["learnt"] == figures.open_set["learnt"].to_json()
    assert found["skipped"][0]["path"] == "tile1/notes.png"
    assert found["history"]["batch_size"] == 16  # four classes of four pictures


def test_a_person_reads_both_spaces_and_the_threshold(learnt_run):
    for part in ("the space learnt: kept", "18 pictures of 3 classes, each asking all others", "its ceiling",
                 "learnt − raw, in points", "a match from", "unknown accepted", f"in {learnt_run.folder}"):
        assert part in learnt_run.out


def test_the_power_is_the_heads_own(answer, learnt, tiles, untrained, tmp_path):
    answer("siamese", tiles, *FAST, "--power", "0.7", "-o", tmp_path / "m")
    assert Devise.load(tmp_path / "m").spaces["learnt"].head.config["power"] == 0.7
    assert Devise.load(learnt).spaces["learnt"].head.config["power"] == POWER


def test_galleries_and_how_far_the_threshold_can_be_trusted(answer, devise, stub, tiles, untrained, tmp_path):
    found = answer("siamese", tiles, *FAST, "--gallery", "5,12,10000", "-o", tmp_path / "m")
    model = Devise.load(tmp_path / "m")
    assert found["galleries"] == model.evaluate(galleries=(5, 12, 10_000)).galleries.to_json()
    assert list(found["galleries"]["sizes"]) == ["5", "12", "15"] and found["galleries"]["left_out"] == [10_000]
    assert found["trust"]["learnt"] == model.spaces["learnt"].calibration and found["trust"]["raw"]["classes"] == 3
    ran = devise("siamese", tiles, *FAST, "--gallery", "10000", "-o", tmp_path / "m")
    for said in ("left out: 10,000; 3 to 15 can be drawn", "3 validation classes chose the threshold of",
                 "95 of 100 redraws of the classes give"):
        assert said in " ".join(ran.out.split())
    ran = devise("siamese", tiles, "--epochs", 1, "--test", 3, "--validation", 2, "-o", tmp_path / "m")
    assert "too few to say what it lets in of other classes" in " ".join(ran.out.split())


def test_a_class_of_one_picture_is_told(devise, stub, tiles, draw_tiles, tmp_path):
    draw_tiles(tiles, "lonely", 7, n=1)
    ran = devise("siamese", tiles, *FAST, "-o", tmp_path / "m")
    assert "classes of one row have no pair" in ran.err
    assert "1 class of one picture, without a pair to learn from or to find: lonely" in ran.out


def test_classes_of_one_picture_are_counted_and_named(answer, devise, stub, tiles, draw_tiles, untrained, tmp_path):
    draw_tiles(tiles, "lonely", 7, n=1)
    found = answer("siamese", tiles, *FAST, "-o", tmp_path / "m")
    assert found["single"] == ["lonely"] and "lonely" in found["classes"]["train"]
    ran = devise("siamese", tiles, "--epochs", 1, "--validation", 3, "--test", "lonely", "-o", tmp_path / "m")
    assert ran.code == 1 and "'lonely' has one picture and so no other to find" in ran.err


def test_without_test_classes_there_are_no_figures(answer, stub, tiles, untrained, tmp_path):
    found = answer("siamese", tiles, "--epochs", 1, "--test", 0, "-o", tmp_path / "m")
    assert found["before"] is found["after"] is found["difference"] is found["open_set"] is None


def test_features_made_before_serve_too(devise, answer, stub, tiles, untrained, tmp_path):
    assert devise("extract", tiles, "-o", tmp_path / "table").code == 0
    found = answer("siamese", tmp_path / "table", *FAST, "-o", tmp_path / "m")
    assert found["backbone"]["name"] == "thumbnail"
    ran = devise("siamese", tmp_path / "table", "--backbone", "vgg16", "-o", tmp_path / "m")
    assert ran.code == 2 and "these features are of thumbnail" in ran.err


def test_an_index_of_it_has_the_learnt_space_first(answer, learnt_index, drawn_tiles):
    search = Search.load(learnt_index)
    assert list(search.indexes) == ["learnt", "raw"]
    [found] = answer("search", learnt_index, "--picture", drawn_tiles / "tile2" / "1.png", "-k", 3)["results"]
    expected = search.by_image("tile2/1.png", 3, space="learnt")
    assert found["space"] == "learnt" and [match["row"] for match in found["matches"]] == [
        match.row for match in expected.matches]
    assert found["threshold"] == search.model.spaces["learnt"].threshold and found["known"] == expected.known
    [raw] = answer("search", learnt_index, "--picture", "tile2/1.png", "--space", "raw")["results"]
    assert raw["space"] == "raw" and raw["threshold"] == search.model.spaces["raw"].threshold


def test_a_picture_of_something_else_has_no_match_until_its_class_is_added(answer, devise, learnt_index, tmp_path):
    noise = np.random.default_rng(0)
    for place in ("new", "asked"):
        (tmp_path / place).mkdir()
        for number in range(3):
            pixels = np.zeros((24, 24, 3))
            pixels[::, 12:, 1] = 220
            pixels += noise.normal(scale=5, size=pixels.shape)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(tmp_path / place / f"{number}.png")
    asked = tmp_path / "asked" / "0.png"
    ran = devise("search", learnt_index, "--picture", asked, "-k", 2)
    said = " ".join(ran.out.split())
    assert ran.code == 0 and "no match in the index: the best score" in said
    assert "(false accepts 1.0 % on validation classes)" in said
    assert answer("search", learnt_index, "--picture", asked)["results"][0]["known"] is False

    added = answer("add", learnt_index, tmp_path / "new", "--label", "striped")
    assert (added["n"], added["added"], added["index"]) == (63, 3, str(learnt_index))
    [found] = answer("search", learnt_index, "--picture", asked, "-k", 3)["results"]
    assert found["known"] is True and {match["label"] for match in found["matches"]} == {"striped"}
    assert found["matches"][0]["file"].startswith(str(tmp_path / "new"))
    again = answer("add", learnt_index, tmp_path / "new", "--label", "striped")
    assert (again["n"], again["added"]) == (63, 0) and "in the index already" in again["skipped"][0]["reason"]


def test_words_are_not_for_such_an_index(devise, learnt_index):
    for ask in (("--text", "ocean"), ("--word", "ocean")):
        ran = devise("search", learnt_index, *ask)
        assert ran.code == 1 and ("no space of this model has a text side" in ran.err or "has no words" in ran.err)
    ran = devise("search", learnt_index, "--picture", "tile0/0.png", "--space", "shared")
    assert ran.code == 1 and "there is no space 'shared': expected learnt, raw" in ran.err


def test_an_index_of_some_spaces(answer, devise, learnt, drawn_tiles, tmp_path):
    argv = ("index", drawn_tiles, "--model", learnt, "--engine", "exact", "-o", tmp_path / "i", "--spaces")
    assert list(answer(*argv, "raw")["recall_at_10"]) == ["raw"]
    ran = devise(*argv, "cooked")
    assert ran.code == 1 and "there is no space 'cooked'" in ran.err


@pytest.mark.parametrize(("argv", "code", "said"), [
    (["siamese", "{tiles}", "-o", "m", "--false-accept-rate", "2"], 2, "'2' is not a share from 0 to 1"),
    (["siamese", "{tiles}", "-o", "m", "--validation", "2", "--loss", "tripled"], 1, "there is no loss 'tripled'"),
    (["siamese", "{tiles}", "-o", "m", "--test", "dog"], 1, "dog"),
    (["siamese", "{tiles}", "-o", "m", "--validation", "2", "--classes", "1"], 1, "a batch needs two or more"),
    (["siamese", "{tiles}", "-o", "m", "--power", "2"], 1, "power is 2.0: expected a number above 0"),
    (["siamese", "{tiles}", "-o", "m", "--validation", "2", "--classes", "9"], 1, "classes with two pictures or more"),
    (["index", "{tiles}"], 2, "arguments are required: -o"),
])
def test_wrong_usage(argv, code, said, devise, stub, tiles):
    ran = devise(*[word.format(tiles=tiles) for word in argv])
    assert ran.code == code and said in ran.err and len(ran.err.splitlines()) <= 3
