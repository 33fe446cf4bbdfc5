"""From pictures with sentences to an index that a sentence, a picture or a changed picture asks."""

import numpy as np
import pytest
from PIL import Image

from devise.model import Devise  # noqa: E402
from devise.search import Search  # noqa: E402

FAST = ("--epochs", 2)


def flickr(root, picture_folder, captions_file):
    """The same pictures flat, with a token file and lists of the parts."""
    (root / "images").mkdir(parents=True)
    names = []
    for number, place in enumerate(sorted(picture_folder.glob("*/*.png"))):
        names.append(f"{number}.png")
        Image.open(place).save(root / "images" / names[-1])
    kinds = [place.parent.name for place in sorted(picture_folder.glob("*/*.png"))]
    (root / "captions.token.txt").write_text("".join(
        f"{name}#{place}\tthe {kind} {word}\n" for name, kind in zip(names, kinds, strict=True)
        for place, word in enumerate(("red", "ocean"))))
    random = np.random.default_rng(0).permutation(len(names))
    for part, rows in (("train", random[:24]), ("dev", random[24:30]), ("test", random[30:38])):
        (root / f"{part}.txt").write_text("".join(f"{names[row]}\n" for row in rows))
    return root


def test_the_document_is_what_the_model_says(answer, stub, picture_folder, captions_file, words_file, untrained,
                                             tmp_path):
    text = captions_file.read_text().replace("cat/1.png,the cat\ncat/1.png,a red cat\n", "")  # …\ncat/1.png has none
    captions_file.write_text(text + "cat/99.png,the cat\n")
    (picture_folder / "dog" / "0.png").write_text("not a picture")
    found = answer("captions", picture_folder, "--captions", captions_file, "--words", words_file, *FAST,
                   "--loss", "ranking", "--seed", 2, "-o", tmp_path / "m")
    assert {item["path"]: item["reason"] for item in found["skipped"]}.keys() == {
        "cat/1.png", "cat/99.png", "dog/0.png"}
    model = Devise.load(tmp_path / "m")
    assert found["pictures"] == {part: len(model.split.rows(part)) for part in ("train", "validation", "test")}
    assert sum(found["pictures"].values()) == 38 and found["pictures"]["validation"] == 4 and found["unlisted"] == 0
    assert found["loss"] == model.record["loss"] == "ranking" and found["words"]["n"] == 11
    assert set(found["figures"]["by_space"]) == {"raw", "learnt", "shared"} == set(model.spaces)
    assert found["figures"]["sentences"] == 2 * found["figures"]["pictures"]
    gain = found["figures"]["by_space"]["learnt"]["ndcg"] - found["figures"]["by_space"]["raw"]["ndcg"]
    assert found["difference"]["ndcg"]["difference"] == pytest.approx(gain)
    assert found["history"]["learnt"]["batch_size"] <= 64 and len(found["history"]["shared"]["loss"]) == 2


def test_a_folder_as_flickr8k_has_it_needs_no_more_words(answer, devise, stub, picture_folder, captions_file,
                                                         words_file, untrained, tmp_path):
    root = flickr(tmp_path / "flickr", picture_folder, captions_file)
    found = answer("captions", root, "--words", words_file, *FAST, "-o", tmp_path / "m")
    assert found["pictures"] == {"train": 24, "validation": 6, "test": 8} and found["unlisted"] == 2
    refused = devise("captions", root, "--words", words_file, "--validation", "0.2", "-o", tmp_path / "m")
    assert refused.code == 2 and "--validation can't be used here: the folder lists its own parts" in refused.err
    (root / "dev.txt").unlink()
    drawn = devise("captions", root, "--words", words_file, *FAST, "-o", tmp_path / "m")
    assert drawn.code == 0 and "none of validation pictures that are here: a split is drawn" in drawn.err


def test_a_person_reads_both_trainings_and_what_they_gain(told_run):
    for part in ("the space learnt: kept", "the space shared: kept", "4 pictures, each asking all others",
                 "learnt − raw, in points", "4 pictures and 8 sentences in the space shared", f"in {told_run.folder}"):
        assert part in told_run.out, told_run.out


def test_features_made_before_serve_too_and_without_test_pictures_there_are_no_figures(
        answer, devise, stub, picture_folder, captions_file, words_file, untrained, tmp_path):
    devise("extract", picture_folder, "-o", tmp_path / "features")
    found = answer("captions", tmp_path / "features", "--captions", captions_file, "--words", words_file, *FAST,
                   "--test", 0, "-o", tmp_path / "m")
    assert sum(found["pictures"].values()) == 40 and found["pictures"]["test"] == 0
    assert found["figures"] is found["difference"] is None
    without = devise("captions", tmp_path / "features", "--words", words_file, "-o", tmp_path / "m")
    assert without.code == 2 and "name the file with --captions" in without.err


@pytest.mark.parametrize(("content", "said"), [
    ("image,caption\nnowhere.png,a cat\n", "none of 40 pictures has a caption"),
    ("image,caption\ncat/1.png,a cat\n", "bring more"),
    (None, "does not exist"),
])
def test_captions_that_can_not_serve_are_told(content, said, devise, stub, picture_folder, words_file, tmp_path):
    file = tmp_path / "told.csv"
    if content:
        file.write_text(content)
    ran = devise("captions", picture_folder, "--captions", file, "--words", words_file, "-o", tmp_path / "m")
    assert ran.code == 1 and said in ran.err and not (tmp_path / "m").exists()


def test_a_file_is_a_wrong_usage(devise, stub, words_file, tmp_path):
    ran = devise("captions", words_file, "--words", words_file, "-o", tmp_path / "m")
    assert ran.code == 2 and "is a file: name a folder of pictures" in ran.err


def test_the_index_is_asked_by_sentence_and_picture_and_says_its_space(answer, devise, told_index, drawn_folder):
    picture = drawn_folder / "cat" / "3.png"
    for argv, space in ((("--text", "a red cat"), "shared"), (("--picture", picture), "learnt"),
                        (("--picture", picture, "--space", "raw"), "raw")):
        found = answer("search", told_index, *argv, "-k", 5)["results"][0]
        assert found["space"] == space and len(found["matches"]) == 5 and "plus" not in found
        assert f"(cosine, {space} space)" in " ".join(devise("search", told_index, *argv).out.split())
    assert "cat" in devise("search", told_index, "--word", "cats").out


def test_a_picture_changed_by_words_is_the_sum_of_their_vectors(answer, devise, told_index, drawn_folder, tmp_path):
    picture = drawn_folder / "cat" / "3.png"
    found = answer("search", told_index, "--picture", picture, "--plus", "ocean", "--plus", "dog", "--minus", "red",
                   "-k", 4, "--save", tmp_path / "sheet.png")["results"][0]
    assert (found["plus"], found["minus"], found["space"]) == (["ocean", "dog"], ["red"], "shared")
    search = Search.load(told_index)
    model, row = search.model, search.row(picture)
    rows = search.indexes["shared"].vectors(np.arange(len(search)))
    ocean, dog, red = model.embed_text(["ocean", "dog", "red"])
    scores = rows @ (rows[row] + ocean + dog - 0.3 * red)
    scores[row] = -np.inf
    assert [match["row"] for match in found["matches"]] == np.argsort(-scores, kind="stable")[:4].tolist()
    assert min(Image.open(tmp_path / "sheet.png").size) > 100
    said = devise("search", told_index, "--picture", picture, "--plus", "ocean", "--minus", "red").out
    assert f"{picture} + ocean − red (cosine, shared space)" in " ".join(said.split())


def test_the_words_of_a_trained_model_change_pictures_too(answer, index, picture_folder):
    picture = picture_folder / "cat" / "3.png"
    found = answer("search", index, "--picture", picture, "--plus", "dog", "--plus", "dog", "-k", 3)["results"][0]
    search = Search.load(index)
    rows, row = search.indexes["shared"].vectors(np.arange(len(search))), search.row(picture)
    scores = rows @ (rows[row] + 2 * search.model.embed_text("dog")[0])
    scores[row] = -np.inf
    assert [match["row"] for match in found["matches"]] == np.argsort(-scores, kind="stable")[:3].tolist()
    plain = answer("search", index, "--picture", picture, "--space", "shared", "-k", 3)["results"][0]["matches"]
    assert [match["score"] for match in found["matches"]] != [match["score"] for match in plain]


@pytest.mark.parametrize(("argv", "code", "said"), [
    (("--text", "cat", "--plus", "dog"), 2, "--plus can't be used here: they change a picture"),
    (("--picture", "cat/0.png", "--plus", "dog", "--space", "raw"), 1, "the space 'raw' has no text side"),
    (("--picture", "cat/0.png", "--minus", "xylophone"), 1, "'xylophone'"),
    (("--text", "xylophone"), 1, "'xylophone'"),
])
def test_questions_without_an_answer_are_told(argv, code, said, devise, told_index):
    ran = devise("search", told_index, *argv)
    assert ran.code == code and said in ran.err


def test_a_model_from_captions_names_pictures_and_says_its_figures(answer, devise, told, picture_folder, captions_file):
    found = answer("tag", picture_folder / "cat" / "3.png", "--model", told, "-k", 3)
    assert len(found["pictures"][0]["tags"]) == 3
    figures = answer("evaluate", told, picture_folder, "--captions", captions_file)["captions"]
    assert figures["pictures"] == 4 and set(figures["text"]) == {"shared"}
    ran = devise("evaluate", told)
    assert ran.code == 1 and "come without: name a file of them with --captions" in ran.err
    assert "Python" not in ran.err
