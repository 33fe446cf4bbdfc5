"""A person's path from pictures to answers, and each of its commands against the room behind it."""

import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from devise import features, plots
from devise.arrays import unit_rows
from devise.cli import opening
from devise.model import Devise
from devise.search import Search


def test_from_pictures_to_a_sheet_and_tags(devise, stub, broken, words_file, tmp_path):
    model, index, sheet = tmp_path / "model", tmp_path / "index", tmp_path / "sheet.png"

    trained = devise("train", broken, "--unseen", "horse", "--words", words_file, "--sizes", "16",
                     "--epochs", "5", "-o", model, "--json")
    assert trained.code == 0
    assert "cat/notes.png: not a picture" in trained.err and "backbone thumbnail: nothing else" in trained.err
    document = json.loads(trained.out)
    assert [item["path"] for item in document["skipped"]] == ["cat/notes.png"]
    assert (document["seen"], document["unseen"]) == (["car", "cat", "dog"], ["horse"])
    assert len(document["history"]["loss"]) == 5 and Image.open(model / "history.png").size

    indexed = devise("index", broken, "--model", model, "-o", index, "--json")
    assert indexed.code == 0 and "cat/notes.png: not a picture" in indexed.err
    document = json.loads(indexed.out)
    assert document["n"] == 40 and document["skipped"][0]["path"] == "cat/notes.png"
    assert set(document["recall_at_10"]) == {"raw", "hidden", "shared"}

    found = devise("search", index, "--text", "ocean " * 60, "--save", sheet)  # longer than any file's name
    assert found.code == 0 and str(sheet) in found.out
    assert Image.open(sheet).width > Image.open(sheet).height

    tagged = devise("tag", broken / "cat" / "notes.png", broken / "cat" / "1.png", "--model", model, "-k", "2")
    assert tagged.code == 1, "a picture that was asked for has no tags"
    assert "notes.png: not a picture" in tagged.err
    assert tagged.out.split()[-5] == "1.png" and tagged.out.count(",") == 1


def test_nothing_is_written_but_to_the_home_and_what_is_named(devise, model, picture_folder, tmp_path):
    devise("tag", picture_folder / "cat" / "0.png", "--model", model)
    assert list((tmp_path / "here").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"here", "home", "model", "pictures", "words.txt"}


def test_extract_computes_once_and_lists_what_it_skips(answer, stub, broken, tmp_path):
    first = answer("extract", broken, "-o", tmp_path / "table", "--dtype", "float16")
    again = answer("extract", broken, "-o", tmp_path / "table", "--dtype", "float16")
    assert (first["n"], first["computed"], again["computed"]) == (40, 40, 0)
    assert first["skipped"] == again["skipped"] and first["skipped"][0]["path"] == "cat/notes.png"
    assert features.load(tmp_path / "table").matrix.dtype == np.float16 and first["dtype"] == "float16"


def test_random_weights_are_asked_for_by_name(devise, stub, picture_folder, tmp_path):
    devise("extract", picture_folder, "--backbone", "vgg16", "--weights", "random", "--layer", "fc1",
           "-o", tmp_path / "t")
    assert stub == [("vgg16", {"weights": None, "layer": "fc1", "runtime": "auto"})]


def test_figures_of_untrained_backbones_say_so(devise, answer, stub, picture_folder, words_file, tmp_path):
    from devise import backbones

    backbones.load().trained = False
    ran = devise("train", picture_folder, "--words", words_file, "--head", "ridge", "-o", tmp_path / "model")
    assert ran.code == 0 and ran.out.count("RANDOM WEIGHTS") > 1
    assert answer("evaluate", tmp_path / "model")["backbone"]["trained"] is False


def test_train_takes_a_folder_of_features_without_another_forward_pass(answer, devise, stub, picture_folder,
                                                                       words_file, tmp_path):
    answer("extract", picture_folder, "-o", tmp_path / "table")
    del stub[:]
    ran = ("train", tmp_path / "table", "--words", words_file, "--head", "ridge", "--unseen", "1",
           "-o", tmp_path / "model")
    document = answer(*ran)
    assert stub == [] and len(document["unseen"]) == 1 and document["history"] is None
    assert devise(*ran, "--backbone", "vgg16").code == 2
    assert devise(*ran, "--labels", words_file).code == 2


def test_train_says_beside_which_model_it_learnt(answer, devise, tmp_path, monkeypatch):
    from devise.model import Devise

    whole = Devise.evaluate
    monkeypatch.setattr(Devise, "evaluate", lambda self: whole(self, first=50))  # 20,000 words are not asked here
    ran = devise("train", "caltech37", "-o", tmp_path / "beside")
    assert ran.code == 0 and "Learnt beside the model 'everyday'" in ran.out
    model = Devise.load(tmp_path / "beside")
    used = model.split
    counts = [len(rows) for rows in (used.train, used.validation, used.test, used.unseen_rows)]
    told = "Of 1,609 pictures: {:,} to train on, {:,} to choose by, {:,} to test, {:,} of unseen".format(*counts)
    assert sum(counts) == 1609 and told in " ".join(ran.out.split())
    assert Devise.load(tmp_path / "beside").record["start"] == "everyday"
    for given in (["--from", "none", "--head", "ridge"], ["--head", "ridge"]):
        ran = devise("train", "caltech37", *given, "-o", tmp_path / "nothing", "--overwrite")
        assert ran.code == 0 and "Learnt from nothing" in ran.out and "--from everyday" in ran.out
    further = answer("train", "caltech37", "--from", tmp_path / "beside", "-o", tmp_path / "further")
    assert further["start"] == "everyday"
    refused = devise("train", "caltech37", "--from", "everyday", "--epochs", "3", "-o", tmp_path / "other")
    assert refused.code == 2 and "--epochs can't be used here" in refused.err and not (tmp_path / "other").exists()


def test_train_names_classes_of_one_picture(devise, stub, picture_folder, words_file, tmp_path):
    asked = "train", picture_folder, "--words", words_file, "--head", "ridge", "-o", tmp_path / "model"
    assert "of one picture" not in devise(*asked).out
    (picture_folder / "ocean").mkdir()
    (picture_folder / "cat/0.png").rename(picture_folder / "ocean/0.png")
    assert "1 class of one picture, trained and not tested: ocean" in devise(*asked, "--overwrite").out
    assert "of one picture" not in devise(*asked, "--overwrite", "--unseen", "ocean").out  # that one is not trained


def test_train_takes_labels_from_a_file(answer, stub, picture_folder, words_file, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    rows = []
    for name in ("cat", "dog"):
        for number in range(10):
            shutil.copy(picture_folder / name / f"{number}.png", flat / f"{name} {number}.png")
            rows.append(f"{name} {number}.png,{name}\n")
    (tmp_path / "labels.csv").write_text("path,label\n" + "".join(rows))
    document = answer("train", flat, "--labels", tmp_path / "labels.csv", "--words", words_file,
                      "--head", "ridge", "-o", tmp_path / "model")
    assert document["seen"] == ["cat", "dog"]


@pytest.mark.parametrize(("change", "said"), [
    (["--unseen", "hores"], "there is no class 'hores': did you mean horse?"),
    (["--test", "1.5"], "test is 1.5"),
    (["--synonyms", "nowhere"], "nowhere does not exist"),
    (["--synonyms", "SYNONYMS"], "no vector for 'oceam' (near: ocean)"),
    (["--words", "nowhere"], "nowhere does not exist"),
])
def test_what_would_fail_after_a_long_extraction_fails_before_it(change, said, devise, stub, picture_folder,
                                                                 words_file, tmp_path):
    (tmp_path / "synonyms.txt").write_text("cat = oceam\n")
    change = [str(tmp_path / "synonyms.txt") if word == "SYNONYMS" else word for word in change]
    ran = devise("train", picture_folder, "--words", words_file, "-o", tmp_path / "model", *change)
    assert ran.code == 1 and said in ran.err
    assert stub == [], "the backbone was loaded already"


def test_labels_that_mean_little_are_told_and_unknown_ones_skipped(answer, devise, stub, picture_folder, words_file,
                                                                   tmp_path):
    (picture_folder / "horse").rename(picture_folder / "okapi")
    (picture_folder / "dog").rename(picture_folder / "CAT")
    asked = ["train", picture_folder, "--words", words_file, "--head", "ridge", "-o", tmp_path / "model"]
    ran = devise(*asked)
    assert ran.code == 1 and "okapi: no vector" in ran.err
    assert "with --synonyms (lines such as" in ran.err and "out with --skip-unknown\n" in ran.err
    ran = devise(*asked, "--skip-unknown")
    same = "CAT and cat have the same vector, so no picture can be told to be of one: merge them, or give --synonyms"
    assert ran.code == 0 and same in ran.err.splitlines() and "10 pictures are left out" in ran.out
    document = answer(*asked, "--skip-unknown")
    assert document["left_out"] == ["okapi"] and document["seen"] == ["CAT", "car", "cat"]
    assert document["warnings"][0].startswith("CAT and cat have the same vector")


def test_of_nested_folders_the_level_is_told_kept_and_taken_again(answer, devise, stub, picture_folder, words_file,
                                                                  tmp_path):
    (tmp_path / "nested/animals").mkdir(parents=True)
    for name in ("cat", "dog", "horse"):
        (picture_folder / name).rename(tmp_path / "nested/animals" / name)
    ran = devise("train", tmp_path / "nested", "--words", words_file, "-o", tmp_path / "model")
    assert ran.code == 1 and "1 by the first level (animals) and 3 by the last level (cat, dog, horse)" in ran.err
    assert "the last are likely the classes: --class-level last" in ran.err
    document = answer("train", tmp_path / "nested", "--class-level", "last", "--words", words_file, "--head", "ridge",
                      "-o", tmp_path / "model")
    assert document["seen"] == ["cat", "dog", "horse"]
    assert answer("index", tmp_path / "nested", "--model", tmp_path / "model", "-o", tmp_path / "index")["n"] == 30
    assert set(Search.load(tmp_path / "index").images.label_names) == {"cat", "dog", "horse"}
    (tmp_path / "more/tools").mkdir(parents=True)
    (picture_folder / "car").rename(tmp_path / "more/tools/car")
    assert answer("add", tmp_path / "index", tmp_path / "more")["added"] == 10
    assert "car" in Search.load(tmp_path / "index").images.label_names
    assert answer("evaluate", tmp_path / "model", tmp_path / "more")["n"]["test"] == 10


def test_pictures_without_labels_can_not_train(devise, stub, picture_folder, words_file, tmp_path):
    ran = devise("train", picture_folder / "cat", "--words", words_file, "-o", tmp_path / "model")
    assert ran.code == 1 and "have no labels: expected a folder a class" in ran.err


def test_evaluate_prints_fractions_over_stated_candidates(answer, devise, model):
    document = answer("evaluate", model, "--first", 4)
    hits = document["hit_at_k"]
    assert set(hits) == {"train", "test", "unseen"}
    assert set(hits["test"]) == {"seen", "all", "words4"}
    assert set(hits["unseen"]) == {"unseen", "all", "words4"}
    assert set(hits["test"]["seen"]) == {"1", "2", "3"}
    assert all(0 <= value <= 1 for sets in hits.values() for row in sets.values() for value in row.values())
    assert document["n"] == {"train": 3 * (10 - 2 - 1), "test": 3 * 2, "unseen": 10}
    assert document["candidates"]["words4"] == {"count": 5, "added": ["car"], "ks_left_out": [10, 20]}
    loaded = Devise.load(model)
    figures = loaded.evaluate(first=4)
    expected = json.loads(json.dumps({"model": str(model), "backbone": loaded.network.record, **figures.to_json(),
                                      "tables": figures.report().to_json()["tables"]}))
    assert {name: document[name] for name in expected} == expected

    shown = devise("evaluate", model, "--first", "4").out
    below = shown[shown.index("% of 6 test pictures"):].splitlines()
    row = next(line for line in below if line.startswith("seen "))
    assert row.split()[1:4] == [f"{100 * hits['test']['seen'][k]:.1f}" for k in "123"]
    assert "labels that none of them stands for (car)" in " ".join(shown.split())


def test_a_model_is_evaluated_on_other_pictures_too(answer, devise, model, drawn_folder, tmp_path):
    others = shutil.copytree(drawn_folder, tmp_path / "others" / "of")
    document = answer("evaluate", model, others.parent, "--class-level", "last")
    assert document["n"] == {"test": 40} and set(document["hit_at_k"]["test"]) == {"all", "words11"}
    assert set(document["retrieval"]) == {"raw", "shared"} and document["retrieval"]["raw"]["n"] == 40
    assert "40 pictures of 4 classes, each asking all others" in devise("evaluate", model, others.parent,
                                                                           "--class-level", "last").out


def test_search_by_text_finds_what_the_engine_finds(answer, index):
    found = answer("search", index, "--text", "cat", "--text", "dollar bill", "-k", 4)
    search = Search.load(index)
    for result, text in zip(found["results"], ("cat", "dollar bill"), strict=True):
        expected = search.by_text(text, 4)
        assert (result["query"], result["space"]) == (text, "shared")
        assert [match["row"] for match in result["matches"]] == [match.row for match in expected.matches]
        assert [match["score"] for match in result["matches"]] == [match.score for match in expected.matches]
        assert all(Image.open(match["file"]).size == (32, 24) for match in result["matches"])


def test_search_by_picture_and_by_word(answer, index, picture_folder, tmp_path):
    shutil.copy(picture_folder / "dog" / "4.png", tmp_path / "stray.png")
    [result] = answer("search", index, "--picture", tmp_path / "stray.png", "-k", 1)["results"]
    assert result["matches"][0]["path"] == "dog/4.png"
    assert result["matches"][0]["score"] == pytest.approx(1, abs=1e-5)
    [result] = answer("search", index, "--picture", "dog/4.png", "--space", "shared", "-k", 3)["results"]
    expected = Search.load(index).by_image("dog/4.png", 3, space="shared")
    assert result["space"] == "shared" and "dog/4.png" not in [match["path"] for match in result["matches"]]
    assert [match["row"] for match in result["matches"]] == [match.row for match in expected.matches]
    assert answer("search", index, "--word", "cat", "-k", 1)["words"][0]["word"] == "cats"


def test_a_word_nobody_knows_gives_near_spellings(devise, index):
    ran = devise("search", index, "--text", "oceam")
    assert ran.code == 1 and ran.out == "" and "near spellings are ocean" in ran.err


def test_of_several_queries_those_that_can_be_answered_are(devise, index, tmp_path):
    ran = devise("search", index, "--text", "oceam", "--text", "cat", "-k", 2, "--json")
    document = json.loads(ran.out)
    assert ran.code == 1 and "oceam" in ran.err
    assert [result["query"] for result in document["results"]] == ["cat"]
    assert document["failed"][0]["query"] == "oceam" and "ocean" in document["failed"][0]["reason"]
    (tmp_path / "empty.png").touch()
    ran = devise("search", index, "--picture", tmp_path / "empty.png", "--picture", "cat/1.png", "-k", 2)
    assert ran.code == 1 and "zero bytes" in ran.err and "\ncat/1.png (cosine, raw space)\n" in ran.out
    assert devise("search", index, "--text", "oceam", "--text", "caat").code == 1


def test_tags_come_from_the_candidates_that_are_given(answer, devise, model, picture_folder):
    candidates, picture = ["cat", "dog", "dollar bill"], picture_folder / "dog" / "2.png"
    document = answer("tag", picture, "--model", model, "--candidates", "cat, dog,dollar bill", "-k", 2)
    [expected] = Devise.load(model).tag(picture, k=2, candidates=candidates)
    assert document["candidates"] == candidates
    assert document["pictures"] == [{"path": "2.png", "tags": [tag._asdict() for tag in expected]}]
    assert document["pictures"][0]["tags"][0]["name"] == "dog"
    ran = devise("tag", picture, "--model", model, "--candidates", "caat,dog,car", "--json")
    document = json.loads(ran.out)
    assert ran.code == 1 and document["candidates"] == ["dog", "car"]
    assert {tag["name"] for tag in document["pictures"][0]["tags"]} == {"dog", "car"}
    [unknown] = document["unknown"]
    assert unknown["name"] == "caat" and "near spellings are cat" in unknown["reason"]
    told = devise("tag", picture, "--model", model, "--candidates", "caat,dog").out
    assert "- not among the candidates: caat: 'caat' is not among" in told
    ran = devise("tag", picture, "--model", model, "--candidates", "caat,oceam")
    assert ran.code == 1 and "none of 2 candidates is known: 'caat'" in ran.err and "'oceam'" in ran.err


def test_tags_leave_out_stop_words_and_plurals(answer, model, picture_folder):
    def names(*options):
        found = answer("tag", picture_folder / "cat" / "0.png", "--model", model, "-k", 20, *options)
        return {tag["name"] for tag in found["pictures"][0]["tags"]}

    assert {"cat", "ocean"} <= names() and not {"the", "cats"} & names()
    assert names("--candidates", "unseen") == {"horse"}


def test_softmax_tags_are_the_classes_of_the_backbone(answer, stub, picture_folder, tmp_path):
    document = answer("tag", "--rule", "softmax", "--backbone", "thumbnail", picture_folder / "cat" / "0.png",
                      picture_folder / "dog" / "0.png", "-k", 5, "--save", tmp_path / "tags.png")
    for picture, best in zip(document["pictures"], ("red", "green"), strict=True):
        assert picture["tags"][0]["name"] == best and len(picture["tags"]) == 3
        assert sum(tag["score"] for tag in picture["tags"]) == pytest.approx(1, abs=1e-5)
    assert document["sheet"] == str(tmp_path / "tags.png") and Image.open(tmp_path / "tags.png").size


def test_a_sheet_that_can_not_hold_all_says_what_it_holds(devise, model, index, picture_folder, tmp_path, monkeypatch):
    drawn, sheet, two = [], tmp_path / "sheet.png", ["search", index, "--text", "cat", "--text", "dog"]
    monkeypatch.setattr(plots, "sheet", lambda rows, path, columns: drawn.append([len(row.hits) for row in rows]))
    monkeypatch.setattr(plots, "tag_sheet", lambda rows, path, **how: drawn.append(len(rows)))
    monkeypatch.setattr("devise.cli.search.LINES", 3)  # of 12 pictures
    monkeypatch.setattr("devise.cli.tag.SHEET", 7)
    for argv, expected, said in [
            ([*two, "-k", 20], [20, 12], ", with the first 32 of 40 pictures"), ([*two, "-k", 12], [12, 12], ""),
            (["duplicates", index, "--alike", 0.01], [36], ", with the first 36 of 39 pictures"),
            (["tag", picture_folder / "cat", "--model", model], 7, ", with the first 7 of 10 pictures")]:
        ran = devise(*argv, "--save", sheet)
        assert ran.code == 0 and drawn.pop() == expected
        assert " ".join(ran.out.split()).endswith(f"the sheet is {sheet}{said}")


def test_similarity_is_the_cosine_in_each_space(answer, devise, model, picture_folder, tmp_path):
    pair = [picture_folder / "cat" / "0.png", picture_folder / "car" / "3.png"]
    loaded = Devise.load(model)
    raw = unit_rows(loaded.features(pair).matrix)
    shared = loaded.embed_images(pair)
    found = answer("similarity", *pair, "--model", model)["similarity"]
    assert found == pytest.approx({"raw": raw[0] @ raw[1], "shared": shared[0] @ shared[1]}, abs=1e-6)
    found = answer("similarity", pair[0], pair[0], "--model", model, "--space", "raw")["similarity"]
    assert found == {"raw": pytest.approx(1, abs=1e-6)}
    (tmp_path / "empty.png").touch()
    ran = devise("similarity", pair[0], tmp_path / "empty.png", "--model", model)
    assert ran.code == 1 and "empty.png can't be read (zero bytes)" in ran.err
    ran = devise("similarity", pair[0], picture_folder / "dog", "--model", model)
    assert ran.code == 2 and f"{picture_folder / 'dog'} is a folder: expected two pictures" in ran.err


def test_index_refuses_before_it_extracts(devise, model, picture_folder, stub, tmp_path):
    del stub[:]
    ran = devise("index", picture_folder, "--model", model, "--engine", "exakt", "-o", tmp_path / "i")
    assert ran.code == 1 and "did you mean exact" in ran.err and stub == []


def test_index_says_which_engine_it_chose_and_why(devise, model, picture_folder, tmp_path, monkeypatch):
    from devise.index import registry

    ran = devise("index", picture_folder, "--model", model, "-o", tmp_path / "i")
    assert ran.code == 0 and "engine exact: 40 × 24 numbers are compared in a moment" in ran.err
    assert {part.engine for part in Search.load(tmp_path / "i").indexes.values()} == {"exact"}

    monkeypatch.setattr(registry, "EXACT_NUMBERS", 40 * 24 - 1)
    for package in ("annoy", "faiss", "hnswlib", "usearch.index"):
        monkeypatch.setitem(sys.modules, package, None)
    ran = devise("index", picture_folder, "--model", model, "-o", tmp_path / "i")
    assert ran.code == 0 and "engine exact: 40 × 24 numbers take long" in ran.err and "devise-vse[usearch]" in ran.err


def test_the_knobs_of_an_engine_choose_it(devise, model, picture_folder, tmp_path):
    pytest.importorskip("annoy")
    ran = devise("index", picture_folder, "--model", model, "--trees", "3", "-o", tmp_path / "i")
    assert ran.code == 0 and "engine annoy: it has n_trees" in ran.err
    assert Search.load(tmp_path / "i").indexes["raw"].n_trees == 3


def test_pictures_join_and_leave_an_index(answer, devise, index, picture_folder, tmp_path):
    (tmp_path / "new").mkdir()
    shutil.copy(picture_folder / "dog" / "1.png", tmp_path / "new" / "copy.png")
    added = answer("add", index, tmp_path / "new" / "copy.png", "--label", "puppy")
    assert (added["n"], added["added"], added["index"]) == (41, 1, str(index))
    found = answer("search", index, "--picture", "dog/1.png", "-k", 1)["results"][0]["matches"][0]
    assert found["label"] == "puppy" and found["score"] == pytest.approx(1, abs=1e-5)
    again = answer("add", index, tmp_path / "new" / "copy.png", "--label", "puppy")
    assert (again["n"], again["added"]) == (41, 0) and "in the index already" in again["skipped"][0]["reason"]
    gone = answer("remove", index, tmp_path / "new" / "copy.png", "cat/0.png")
    assert gone["n"] == 39 and gone["removed"][1] == "cat/0.png" and (picture_folder / "cat/0.png").is_file()
    assert len(Search.load(index)) == 39
    ran = devise("remove", index, "cat/0.png")
    assert ran.code == 1 and "there is no picture in the index 'cat/0.png'" in ran.err


def test_a_threshold_is_chosen_for_a_space(answer, devise, model, picture_folder, tmp_path):
    found = answer("calibrate", model, picture_folder, "--space", "raw", "--false-accept-rate", "0.2", "-o",
                   tmp_path / "sure")
    space = Devise.load(tmp_path / "sure").spaces["raw"]
    assert (found["space"], found["threshold"], found["false_accept_rate"]) == ("raw", space.threshold, 0.2)
    assert "4 validation classes chose the threshold" in devise("calibrate", model, picture_folder, "-o",
                                                                tmp_path / "sure").out
    ran = devise("calibrate", model, picture_folder, "-o", model)
    assert ran.code == 2 and "name another folder" in ran.err


def test_an_index_follows_its_folder_when_that_is_agreed_to(answer, devise, index, picture_folder, monkeypatch):
    (picture_folder / "cat/0.png").rename(picture_folder / "dog/was a cat.png")
    (picture_folder / "car/1.png").unlink()
    before = (index / "search.json").read_bytes()
    ran = devise("sync", index)
    assert ran.code == 2 and "nobody can be asked here: say --yes" in ran.err
    shown = answer("sync", index, "--dry-run")
    assert shown["moved"] == [{"path": "cat/0.png", "now": "dog/was a cat.png", "label": "dog"}] and not shown["done"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True, readline=lambda: "n\n"))
    ran = devise("sync", index)
    assert ran.code == 0 and "[y/N]" in ran.err and (index / "search.json").read_bytes() == before
    monkeypatch.setattr("sys.stdin.readline", lambda: "y\n")
    done = answer("sync", index)
    assert done["done"] and done["n"] == 39 and (done["moved"], done["gone"]) == (shown["moved"], ["car/1.png"])
    assert done["recall_at_10"]["raw"] == 1 and not answer("sync", index, "--yes")["done"]
    for number in range(7):
        (picture_folder / f"dog/cut {number}.png").write_text("half")
    (picture_folder / "dog/new.png").write_bytes((picture_folder / "dog/1.png").read_bytes())
    for how in ("--dry-run", "--yes"):
        told = " ".join(devise("sync", index, how).out.split())
        assert "skipped: dog/cut 0.png: not a picture" in told and "skipped: 2 more, see --json" in told
    told = devise("remove", index, "dog/new.png").out
    assert "devise sync would bring dog/new.png back" in told
    (picture_folder / "dog/new.png").unlink()
    assert answer("remove", index, "dog/1.png")["n"] == 38 and answer("sync", index, "--yes")["n"] == 39
    (picture_folder / "dog/1.png").rename(picture_folder.parent / "kept out.png")
    assert "would bring" not in devise("remove", index, "dog/1.png").out
    assert devise("add", index, picture_folder.parent / "kept out.png").code == 0  # of no folder of the index
    assert "would bring" not in devise("remove", index, picture_folder.parent / "kept out.png").out
    (picture_folder.parent / "kept out.png").rename(picture_folder / "dog/1.png")
    assert answer("sync", index, "--yes")["n"] == 39
    picture_folder.rename(picture_folder.with_name("unplugged"))
    ran = devise("sync", index, "--yes")
    assert ran.code == 1 and "is its drive mounted?" in ran.err and ran.err.rstrip().endswith("with --allow-empty")
    assert "name the folder that they are in now (devise sync INDEX FOLDER)" in ran.err
    assert len(Search.load(index)) == 39


def test_duplicates_are_listed_and_drawn_and_stay(answer, devise, index, picture_folder, tmp_path):
    shutil.copy(picture_folder / "dog/1.png", picture_folder / "dog/copy.png")
    assert answer("sync", index, "--yes")["new"] == ["dog/copy.png"]
    told = answer("duplicates", index, "--alike", 1, "--save", tmp_path / "copies.png")
    [pair] = [group for group in told["groups"] if any(copy["same_as"] for copy in group)]
    assert {copy["path"]: copy["same_as"] for copy in pair} == {"dog/1.png": None, "dog/copy.png": "dog/1.png"}
    assert {copy["file"] for copy in pair} == {str(picture_folder / "dog/1.png"), str(picture_folder / "dog/copy.png")}
    assert Image.open(tmp_path / "copies.png").size and (picture_folder / "dog/copy.png").is_file()
    assert "same bytes as dog/1.png" in devise("duplicates", index, "--alike", 1).out


def test_several_indexes_are_searched_with_one_command(answer, devise, model, index, picture_folder, tmp_path):
    ran = devise("index", picture_folder / "cat", "--model", model, "--engine", "exact", "-o", tmp_path / "cats")
    assert ran.code == 0
    one, two = (answer("search", *folders, "--text", "cat", "-k", 12)
                for folders in ([index], [index, tmp_path / "cats"]))
    assert two["index"] == [str(index), str(tmp_path / "cats")] and one["index"] == str(index)
    assert [match["file"] for match in two["results"][0]["matches"]] == [
        match["file"] for match in one["results"][0]["matches"]]


def test_an_index_in_a_milvus_database(answer, devise, model, picture_folder, tmp_path, index):
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")
    ran = devise("index", picture_folder, "--model", model, "--engine", "milvus", "--uri", tmp_path / "p.db",
                 "-o", tmp_path / "i")
    assert ran.code == 0 and (tmp_path / "p.db").is_dir()
    found, expected = (answer("search", folder, "--text", "cat", "-k", 5)["results"][0]["matches"]
                       for folder in (tmp_path / "i", index))
    assert [match["path"] for match in found] == [match["path"] for match in expected]


def test_a_recipe_runs_on_pictures_and_prints_its_tables(devise, stub, picture_folder, words_file, untrained,
                                                         tmp_path):
    ran = devise("recipe", "hybrid", "--images", picture_folder, "--words", words_file,
                 "--backbone", "thumbnail", "--unseen", "horse", "--epochs", "2",
                 "--seeds", "2", "-o", tmp_path / "results")
    assert ran.code == 0, ran.err
    assert stub == [("thumbnail", {"weights": "imagenet", "layer": None, "runtime": "auto"})]
    lines = ran.out.splitlines()
    head = next(row for row, line in enumerate(lines) if line.startswith("candidates, k ="))
    assert lines[head].split()[3:6] == ["1", "2", "3"]
    body = lines[head:head + 5]
    assert any(line.startswith("seen") and "±" in line for line in body) and "96.3" in "".join(body)
    report = json.loads((tmp_path / "results" / "report.json").read_text())
    before = {path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()}
    refused = devise("recipe", "hybrid", "--images", picture_folder, "--words", words_file, "--backbone", "thumbnail",
                     "--unseen", "cat", "--epochs", "2", "-o", tmp_path / "results")
    assert refused.code == 1 and "would be lost: hybrid, --seeds 2, --unseen horse. Name another" in refused.err
    assert {path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()} == before
    again = devise("tag", picture_folder / "cat" / "0.png", "--model", tmp_path / "results" / "model")
    assert report["facts"]["unseen classes"] == ["horse"] and again.code == 0


def test_the_runtime_is_passed_on_and_what_it_will_write_is_said(devise, stub, picture_folder, tmp_path):
    from devise import backbones

    network = backbones.load()
    network.runtime, network.pending_export = "openvino", tmp_path / "thumbnail-0123.onnx"
    ran = devise("extract", picture_folder, "--backbone", "vgg16", "--runtime", "openvino", "-o", tmp_path / "t")
    assert ran.code == 0 and stub[-1][1]["runtime"] == "openvino"
    assert f"thumbnail is written as ONNX for openvino, once: {network.pending_export}" in ran.err
    network.pending_export = None
    assert "ONNX" not in devise("extract", picture_folder, "-o", tmp_path / "t").err


def test_a_folder_called_as_the_sample_pictures_is_that_folder(drawn_folder):
    shutil.copytree(drawn_folder / "cat", "samples/cat")
    for named in ("samples", ["samples"], "./samples"):
        assert opening.images(named).label_names == ("cat",)


def test_features_are_kept_until_they_are_pruned(answer, devise, stub, drawn_folder):
    shutil.copytree(drawn_folder, "pictures")
    assert answer("extract", "pictures", "-o", "table")["computed"] == 40
    shutil.move("pictures/cat", "away")
    assert answer("extract", "pictures", "-o", "table")["n"] == 30
    shutil.move("away", "pictures/cat")
    assert answer("extract", "pictures", "-o", "table")["computed"] == 0
    shutil.move("pictures/cat", "away")
    devise("extract", "pictures", "-o", "table", "--prune")
    shutil.move("away", "pictures/cat")
    assert answer("extract", "pictures", "-o", "table")["computed"] == 10
    assert "--prune goes without --workers" in devise("extract", "pictures", "--prune", "--workers", "2").err
