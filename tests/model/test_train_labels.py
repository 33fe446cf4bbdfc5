import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from devise import features
from devise.datasets import from_folder
from devise.heads import HeadConfig, MlpHead, RidgeHead
from devise.model import SHARED, Devise, tags, train_labels
from devise.search import Search
from devise.words import WordVectors


def small_head():
    return MlpHead(HeadConfig(dim=12, sizes=(32,)))


@pytest.fixture(scope="module")
def table(drawn_folder, make_backbone, tmp_path_factory):
    return features.extract(from_folder(drawn_folder), make_backbone(), tmp_path_factory.mktemp("features") / "drawn")


@pytest.fixture(scope="module")
def model(table, make_backbone, vocabulary):
    """Trained once; the tests leave it as it is."""
    return train_labels(table, vocabulary, backbone=make_backbone(), head=small_head(), unseen=["horse"], epochs=80,
                        learning_rate=0.05, batch_size=4)


def test_trained_on_colours_it_names_test_pictures(model):
    assert model.evaluate().hit_at_k["test"]["seen"][1] == 1.0


def test_unseen_classes_are_in_no_training_row(model, table):
    labels = table.images.labels
    trained = {table.images.label_names[label] for label in labels[model.split.train]}
    assert trained == {"cat", "dog", "car"} == set(model.split.seen)
    assert model.split.unseen == ("horse",)
    assert len(model.split.unseen_rows) == 10 == model.evaluate().hits.n["unseen"]


def test_embeddings_are_the_heads_unit_rows(model, table, drawn_folder):
    from_paths = model.embed_images([drawn_folder / "cat/0.png", drawn_folder / "dog/3.png"])
    names = list(table.images.paths)
    rows = [names.index("cat/0.png"), names.index("dog/3.png")]
    outputs = model.spaces[SHARED].head.outputs(table.matrix[rows])
    np.testing.assert_allclose(from_paths, outputs / np.linalg.norm(outputs, axis=1, keepdims=True), atol=1e-5)


def test_words_of_a_phrase_are_pooled(model, vocabulary):
    word, phrase = model.embed_text(["ocean", "dollar bill"])
    both = [vocabulary.vector(name) / np.linalg.norm(vocabulary.vector(name)) for name in ("dollar", "bill")]
    mean = both[0] + both[1]  # in so small a vocabulary all words count alike
    np.testing.assert_allclose(word, vocabulary.vector("ocean") / np.linalg.norm(vocabulary.vector("ocean")), atol=1e-6)
    np.testing.assert_allclose(phrase, mean / np.linalg.norm(mean), atol=1e-6)
    with pytest.raises(KeyError, match="oceam"):
        model.embed_text(["oceam"])


def test_tags_rank_the_given_candidates_by_cosine(model, drawn_folder):
    [tags] = model.tag(drawn_folder / "dog/2.png", k=3, candidates=["cat", "dog", "horse", "ocean"])
    embedding = model.embed_images(drawn_folder / "dog/2.png")[0]
    cosines = {name: float(embedding @ model.embed_text([name])[0]) for name in ("cat", "dog", "horse", "ocean")}
    assert [tag.name for tag in tags] == sorted(cosines, key=cosines.get, reverse=True)[:3]
    assert tags[0].name == "dog" and tags[0].score == pytest.approx(cosines["dog"], abs=1e-5)


def test_candidates_say_who_may_be_named(model):
    assert model.candidates("seen").names == ("car", "cat", "dog")
    assert model.candidates("unseen").names == ("horse",)
    assert set(model.candidates("all").names) == {"car", "cat", "dog", "horse"}
    words = model.candidates("words", first=3)
    assert words.names[:3] == ("the", "cat", "dog") and set(words.added) == {"horse", "car"}
    assert "the" not in model.candidates("words", filtered=True).names
    with pytest.raises(ValueError, match="expected 'seen', 'unseen'"):
        model.candidates("everything")


def test_the_ridge_head_serves_too(table, backbone, vocabulary):
    model = train_labels(table, vocabulary, backbone=backbone, head=RidgeHead(), unseen=1)
    assert model.history == {} and list(model.spaces) == ["raw", "shared"]
    assert model.evaluate().hit_at_k["test"]["seen"][1] == 1.0


def test_a_saved_model_is_the_same_in_a_new_process(model, vocabulary, tmp_path, table):
    model.save(tmp_path / "model")
    vocabulary.save(tmp_path / "words")
    expected = model.spaces[SHARED].embed(table.matrix[:3])
    code = ("import sys, json, numpy as np; from devise.model import Devise; from devise.words import WordVectors;"
            "m = Devise.load(sys.argv[1], words=WordVectors.load(sys.argv[2]));"
            "print(json.dumps([m.spaces['shared'].embed(m.table.matrix[:3]).tolist(), m.evaluate().to_json()]))")
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "model", tmp_path / "words"],
                         capture_output=True, text=True, check=True)
    embeddings, evaluation = json.loads(run.stdout.splitlines()[-1])
    np.testing.assert_allclose(embeddings, expected, atol=1e-6)
    assert evaluation == json.loads(json.dumps(model.evaluate().to_json()))


def test_a_saved_model_keeps_its_split_by_path(model, tmp_path, vocabulary, table):
    model.save(tmp_path / "model")
    again = Devise.load(tmp_path / "model", words=vocabulary)
    paths = np.array(table.images.paths)
    named = {part: {again.paths[row] for row in getattr(again.split, part)}
             for part in ("train", "test", "unseen_rows")}
    for part, there in named.items():
        assert there == set(paths[getattr(model.split, part)])


def test_other_words_are_refused_by_name(model, tmp_path):
    model.save(tmp_path / "model")
    others = WordVectors(["cat", "dog"], np.eye(2, 12, dtype=np.float32), name="others")
    with pytest.raises(ValueError, match="trained on small .* these are others"):
        Devise.load(tmp_path / "model", words=others)


def test_another_backbone_is_refused_by_name(model, tmp_path, vocabulary, make_backbone, monkeypatch, drawn_folder):
    from devise import backbones

    model.save(tmp_path / "model")
    again = Devise.load(tmp_path / "model", words=vocabulary)
    monkeypatch.setattr(backbones, "load", lambda name, **options: make_backbone(1))
    with pytest.raises(ValueError, match="trained on thumbnail .* train again"):
        again.embed_images(drawn_folder / "cat/0.png")


def test_features_of_another_backbone_are_refused(model, drawn_folder, make_backbone):
    other = features.compute(from_folder(drawn_folder), make_backbone(1))
    with pytest.raises(ValueError, match="extract them with its backbone"):
        model.evaluate(other)


def test_a_label_without_a_vector_stops_before_any_forward_pass(picture_folder, backbone, vocabulary):
    (picture_folder / "cat").rename(picture_folder / "kitten")
    with pytest.raises(ValueError, match="kitten"):
        train_labels(from_folder(picture_folder), vocabulary, backbone=backbone)
    assert backbone.calls == 0


def test_a_synonym_helps(picture_folder, backbone, vocabulary, tmp_path):
    (picture_folder / "cat").rename(picture_folder / "kitten")
    table = features.extract(from_folder(picture_folder), backbone, tmp_path / "features")
    model = train_labels(table, vocabulary, backbone=backbone, synonyms={"kitten": "cat"}, head=RidgeHead())
    assert model.labels.parts[model.labels.names.index("kitten")] == ("cat",)


def test_labels_without_a_vector_are_left_out_and_listed(picture_folder, backbone, vocabulary, tmp_path):
    (picture_folder / "horse").rename(picture_folder / "okapi")
    table = features.extract(from_folder(picture_folder), backbone, tmp_path / "features")
    with pytest.warns(UserWarning, match="10 pictures are left out, .*: okapi"):
        model = train_labels(table, vocabulary, backbone=backbone, head=RidgeHead(), skip_unknown=True)
    assert model.split.seen == model.label_names == ("car", "cat", "dog") and model.record["left_out"] == ["okapi"]
    assert not any(path.startswith("okapi") for part in model.split.to_json(model.paths)["paths"].values()
                   for path in part)
    hits = model.evaluate().hit_at_k
    assert hits["test"]["seen"][1] == 1.0
    model.save(tmp_path / "model")
    again = Devise.load(tmp_path / "model", words=vocabulary)  # its features still have the class
    assert again.evaluate().hit_at_k == again.evaluate(table).hit_at_k == hits


def test_other_pictures_are_evaluated_without_the_labels_that_have_no_vector(model, picture_folder, backbone):
    (picture_folder / "horse").rename(picture_folder / "okapi")
    other = features.compute(from_folder(picture_folder), backbone)
    other = replace(other, images=replace(other.images, paths=tuple(f"new/{path}" for path in other.images.paths)))
    with pytest.warns(UserWarning, match="10 pictures are left out, .*: okapi"):
        hits = model.evaluate(other).hits
    assert hits.hit_at_k["test"]["all"][1] == 1.0 and hits.without_answer["test"]["all"] == 10


def test_labels_of_one_vector_are_warned_of_before_any_forward_pass(picture_folder, backbone, vocabulary):
    (picture_folder / "dog").rename(picture_folder / "Cat")
    with pytest.warns(UserWarning, match="Cat and cat have the same vector"), pytest.raises(ValueError, match="nobody"):
        train_labels(from_folder(picture_folder), vocabulary, backbone=backbone, unseen=["nobody"])
    assert backbone.calls == 0


def test_four_pictures_a_class_are_enough_for_a_ridge(picture_folder, backbone, vocabulary, tmp_path):
    for path in picture_folder.glob("*/[4-9].png"):
        path.unlink()
    table = features.extract(from_folder(picture_folder), backbone, tmp_path / "features")
    model = train_labels(table, vocabulary, head=RidgeHead())
    assert len(model.split.validation) == 0 and model.evaluate().hit_at_k["test"]["seen"][1] == 1.0


def test_a_model_remembers_which_level_of_folders_names_a_class(picture_folder, backbone, vocabulary, tmp_path):
    (tmp_path / "nested/animals").mkdir(parents=True)
    for name in ("cat", "dog", "horse"):
        (picture_folder / name).rename(tmp_path / "nested/animals" / name)
    with pytest.warns(UserWarning) as said, pytest.raises(ValueError):
        train_labels(tmp_path / "nested", vocabulary, backbone=backbone, folder=tmp_path / "features")
    assert "the last are likely the classes: class_level='last'" in str(said[0].message)
    images = from_folder(tmp_path / "nested", class_level="last")
    features.extract(images, backbone, tmp_path / "features")
    model = train_labels(features.load(tmp_path / "features"), vocabulary, backbone=backbone, head=RidgeHead())
    model.save(tmp_path / "model")
    again = Devise.load(tmp_path / "model", words=vocabulary)
    again.network = model.network
    assert again.features(tmp_path / "nested").images.label_names == ("cat", "dog", "horse")
    search = Search.build(again, tmp_path / "nested", folder=tmp_path / "features")
    assert set(search.images.label_names) == {"cat", "dog", "horse"}
    search.save(tmp_path / "index")
    (tmp_path / "more/tools").mkdir(parents=True)
    (picture_folder / "car").rename(tmp_path / "more/tools/car")
    search = Search.load(tmp_path / "index", words=vocabulary)
    search.model.network = model.network
    assert search.add(tmp_path / "more", folder=tmp_path / "others").label_names == ("car",)


def test_unlabelled_pictures_can_not_train(picture_folder, backbone, vocabulary):
    with pytest.raises(ValueError, match="no labels"):
        train_labels(from_folder(picture_folder / "cat"), vocabulary, backbone=backbone)


def test_an_unreadable_picture_is_named(model, tmp_path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ValueError, match="empty.jpg"):
        model.embed_images(tmp_path / "empty.jpg")


@pytest.mark.parametrize("loss", ["hinge", "infonce"])
def test_other_losses_name_test_pictures_too(table, backbone, vocabulary, loss):
    model = train_labels(
        table,
        vocabulary,
        backbone=backbone,
        head=small_head(),
        unseen=["horse"],
        loss=loss,
        epochs=30,
        learning_rate=0.05,
        batch_size=4,
    )
    assert model.evaluate().hit_at_k["test"]["seen"][1] >= 0.8


def test_an_unknown_loss_and_one_for_ridge_are_refused(table, backbone, vocabulary):
    with pytest.raises(ValueError, match=r"did you mean cosine\? Or give a Loss"):
        train_labels(table, vocabulary, backbone=backbone, head=small_head(), loss="cosin")
    with pytest.raises(TypeError, match="closed form"):
        train_labels(table, vocabulary, backbone=backbone, head=RidgeHead(), loss="hinge")


def test_a_class_that_was_added_later_changes_no_figure(picture_folder, backbone, vocabulary, tmp_path):
    """Its pictures join the features that the model learnt from, and stand between its classes."""
    def extract():
        return features.extract(from_folder(picture_folder), backbone, tmp_path / "features")

    train_labels(extract(), vocabulary, backbone=backbone, head=RidgeHead(), unseen=["horse"]).save(tmp_path / "model")
    before = Devise.load(tmp_path / "model", words=vocabulary).evaluate().to_json()
    shutil.copytree(picture_folder / "car", picture_folder / "coach")
    assert extract().images.label_names == ("car", "cat", "coach", "dog", "horse")
    after = Devise.load(tmp_path / "model", words=vocabulary)
    assert after.evaluate().to_json() == before
    coaches = [row for row, path in enumerate(after.table.images.paths) if path.startswith("coach/")]
    assert len(coaches) == 10 and {after.table.images.label_of(row) for row in coaches} == {None}


def test_the_vocabulary_is_named_once_and_anew_for_another_space(model, table, monkeypatch):
    made, whole = [], tags.candidates
    monkeypatch.setattr(tags, "candidates", lambda *args, **options: made.append(options) or whole(*args, **options))
    fresh = model.with_space(SHARED, model.spaces[SHARED])
    first, again = (fresh.tag(table.subset([0]), k=2) for _ in range(2))
    assert first == again and len(made) == 1
    assert first == model.tag(table.subset([0]), k=2, candidates=whole(model, filtered=True))
    fresh.tag(table.subset([0]), k=2, first=3)
    fresh.with_space(SHARED, model.spaces[SHARED]).tag(table.subset([0]), k=2)
    assert [options["first"] for options in made] == [20_000, 3, 20_000]
