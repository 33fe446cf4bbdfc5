"""Each way in which an artefact can be wrong is planted, found, and told with what to do."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from devise import datasets, features, storage
from devise.checks import check
from devise.heads import RidgeHead
from devise.model import Devise, train_labels
from devise.search import Search
from devise.words import WordVectors


@pytest.fixture
def images(picture_folder):
    return datasets.from_folder(picture_folder)


@pytest.fixture
def words(vocabulary, tmp_path):
    """The vocabulary as a folder."""
    vocabulary.save(tmp_path / "words")
    return tmp_path / "words"


@pytest.fixture
def table(images, backbone, tmp_path):
    features.extract(images, backbone, tmp_path / "features")
    return tmp_path / "features"


@pytest.fixture
def model(table, words, backbone, tmp_path):
    train_labels(features.load(table), words, backbone=backbone, head=RidgeHead(penalty=1.0)).save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def index(model, table, tmp_path):
    Search.build(Devise.load(model), features.load(table), engine="exact").save(tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def problems():
    """The problems of some places, "what → do" each."""
    def run(*places, **options):
        return [f"{problem.what} → {problem.do}" for found in check(*places, **options) for problem in found.problems]
    return run


def rewrite(folder, name, change):
    """Change an array of an artefact and its manifest, as a wrong program would: the digests are right."""
    kind = next(manifest.stem for manifest in Path(folder).glob("*.json") if manifest.stem in
                ("features", "index", "model", "words"))
    document, paths = storage.open_artefact(folder, kind)
    arrays = np.array(np.load(paths[name]))
    with storage.Commit(folder, kind, {key: value for key, value in document.items()
                                       if key not in ("kind", "format", "files")}) as commit:
        for other, path in paths.items():
            shutil.copy(path, commit.file(other))
        np.save(commit.file(name), change(arrays))


def test_all_is_well(model, index, table, words):
    seen = []
    results = check(model, index, table, words, progress=lambda done, total: seen.append((done, total)))
    assert [found.kind for found in results] == ["model", "search", "features", "words"]
    assert [found.problems for found in results] == [[], [], [], []]
    assert results[2].facts["pictures on this disk"] == 40 and results[1].facts["pictures"] == 40
    assert seen[-1][0] == seen[-1][1] > 0 and seen == sorted(seen)


@pytest.mark.parametrize("name", ["features.npy", "rows.json"])
def test_a_flipped_bit_is_found_in_any_file(table, problems, name):
    path = storage.open_artefact(table, "features")[1][name]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    [problem] = problems(table)
    assert problem == "its content is not what was saved → remove the folder and run devise extract again"
    assert check(table)[0].problems[0].place == str(path)


def test_a_file_that_is_gone_and_a_manifest_that_is_none(table, problems, model):
    storage.open_artefact(table, "features")[1]["rows.json"].unlink()
    assert "lacks" in problems(table)[0]
    (model / "model.json").write_text("{}")
    assert "is not a manifest" in problems(model)[0] and "train again" in problems(model)[0]


def test_nan_and_zero_rows(table):
    def change(matrix):
        matrix[3, 5], matrix[7, 0], matrix[9] = np.nan, np.inf, 0
        return matrix

    rewrite(table, "features.npy", change)
    [found] = check(table)
    paths = features.load(table).images.paths
    assert [problem.what for problem in found.problems] == [
        f"2 of 40 rows hold NaN or infinity: {paths[3]}, {paths[7]}"]
    assert f"1 rows are all zero and are left out of an index: {paths[9]}" in found.notes


def test_pictures_that_are_gone_or_changed(table, images, problems):
    images.file(0).unlink()
    shutil.copy(images.file(20), images.file(1))
    gone, changed = problems(table)
    assert f"1 of 40 pictures are not where they were: {images.paths[0]} → bring them back" in gone
    assert f"from: {images.paths[1]} → run devise extract again" in changed


def test_a_picture_that_was_only_touched_is_well(table, images, problems):
    images.file(0).touch()
    assert problems(table) == []


def test_features_of_another_backbone(model, images, make_backbone, tmp_path, problems):
    features.extract(images, make_backbone(1), tmp_path / "others")
    [problem] = problems(model, tmp_path / "others")
    assert "these features are of thumbnail" in problem and "devise extract with that backbone" in problem


def test_a_split_whose_pictures_are_not_there(model, images, backbone, tmp_path, problems):
    features.extract(images.subset(np.arange(35)), backbone, tmp_path / "fewer")
    [problem] = problems(model, tmp_path / "fewer")
    assert "5 pictures of the model's split are not among the features" in problem


def test_words_that_are_others_or_gone(model, words, vocabulary, tmp_path, problems):
    other = WordVectors(vocabulary.words, np.asarray(vocabulary.matrix) + 1, name="other")
    other.save(tmp_path / "others")
    assert "it was trained on small" in problems(model, tmp_path / "others")[0]
    shutil.rmtree(words)
    [problem] = problems(model)
    assert problem == f"its word vectors {words} are not on this machine → bring {words} back"
    other.save(words)
    assert "the model was trained on small (11 words" in problems(model)[0]


def test_labels_that_have_moved_from_their_words(model, problems):
    rewrite(model, "labels.npy", lambda rows: rows[[1, 0, 2, 3]])
    assert problems(model) == ["2 labels have another vector than the words give: car, cat → train again, or bring "
                               "the folder from where it is whole"]


def test_an_index_of_another_model(index, table, words, backbone, tmp_path, problems):
    other = train_labels(features.load(table), words, backbone=backbone, head=RidgeHead(penalty=9.0))
    other.save(tmp_path / "other")
    found = problems(index, tmp_path / "other")
    assert len(found) == 2 and all("was built with another model" in problem for problem in found)
    build = index / json.loads((index / "search.json").read_text())["build"]
    shutil.rmtree(build / "model")
    shutil.copytree(tmp_path / "other", build / "model")
    assert "is not the one that the index" in problems(index)[0]  # swapped inside the index too


def test_vectors_of_the_index(index, problems):
    document, paths = storage.open_artefact(index, "search")
    path = paths["raw/0/rows.npy"]
    rows = np.load(path)
    rows[2], rows[4, 1] = 2 * rows[2], np.nan
    np.save(path, rows)
    document["files"]["raw/0/rows.npy"]["sha256"] = storage.digest(path)
    storage.write_json(index / "search.json", document)
    assert problems(index)[0] == ("2 of 40 vectors are not of length 1, or hold NaN → build the index again: "
                                  "devise index")


def test_recomputed_vectors(table, index, images, backbone, monkeypatch, make_backbone):
    from devise import backbones

    monkeypatch.setattr(backbones, "load", lambda *args, **options: backbone)
    found = check(table, index, recompute=5)
    assert all(one.ok for one in found)
    assert found[0].facts["features computed again"].startswith("5 pictures, least cosine 1.0000")
    rewrite(table, "features.npy", lambda rows: rows[::-1].copy())
    [found] = check(table, recompute=5)
    assert "of 5 pictures have other features vectors when they are computed again" in found.problems[0].what
    monkeypatch.setattr(backbones, "load", lambda *args, **options: make_backbone(1))
    assert "its backbone can't be loaded: the weights at hand have" in check(table, recompute=1)[0].problems[0].what


def test_an_interrupted_extraction_is_a_note(table):
    (table / "partial-0123456789ab").mkdir()
    [found] = check(table)
    assert found.ok and any("was interrupted" in note for note in found.notes)


def test_nothing_to_check(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist: expected a folder that devise wrote"):
        check(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds nothing that devise wrote"):
        check(tmp_path)


def test_a_place_that_is_gone_does_not_silence_the_others(table, tmp_path):
    nowhere, whole = check(tmp_path / "nowhere", table)
    assert whole.ok and whole.kind == "features" and nowhere.kind == "nothing"
    assert "does not exist" in nowhere.problems[0].what and nowhere.problems[0].do


def test_hostile_rows_end_in_a_problem(table):
    """A manifest with a right digest and rows that are no rows."""
    document, paths = storage.open_artefact(table, "features")
    keep = {key: value for key, value in document.items() if key not in ("kind", "format", "files")}
    with storage.Commit(table, "features", keep) as commit:
        shutil.copy(paths["features.npy"], commit.file("features.npy"))
        commit.file("rows.json").write_text(json.dumps([{"path": 1}] * 40))
    [found] = check(table)
    assert len(found.problems) == 1
