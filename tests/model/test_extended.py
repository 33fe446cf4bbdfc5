"""Training beside a model that knows concepts, on a drawn one: labels, other words, tags, thresholds, and the start."""

import numpy as np
import pytest

from devise.datasets import Split
from devise.heads import ExtendedHead, RidgeHead
from devise.model import Concepts, Devise, Space, naming, pretrained, train_labels
from devise.model.concept_text import ExtendedText
from devise.model.sources import Words
from devise.search import Search
from devise.words import WordVectors, label_vectors

NAMES = ("the", "cat", "dog", "horse", "red", "car", "sports car", "brown dog")
LABELS = (("car", "car", "car"), ("wain", "wagon", "old_wagon"))


@pytest.fixture(scope="module")
def words():
    return Words(WordVectors([*NAMES, "wagon"], np.random.default_rng(1).normal(size=(len(NAMES) + 1, 5)), name="few"))


@pytest.fixture(scope="module")
def base(words, drawn_space):
    return drawn_space(words, 12)


@pytest.fixture(scope="module")
def space(base):
    kernel = np.random.default_rng(6).normal(size=(base.dim, 2))
    return Space(ExtendedHead(base.head, kernel, np.zeros(2)), ExtendedText(base.text, LABELS))


@pytest.fixture(scope="module")
def rows(space):
    found = space.embed(np.random.default_rng(2).normal(size=(60, 12)))
    assert (found[:, -3:-1] > 0.3).any(axis=0).all()
    return found


def test_a_label_speaks_in_its_column_and_other_words_do_not(space, base):
    dim = base.dim
    for text, column in (("car", 0), ("the Cars", 0), ("wagon", 1)):
        [row] = space.embed_text(text) * np.sqrt(17)
        np.testing.assert_allclose(row[:dim], base.embed_text(text)[0], atol=1e-5)
        assert row[dim:] == pytest.approx(np.eye(3)[column] * 4, abs=1e-5)
    for text in ("dog", "sports car", "a red car and the dog"):
        [row] = space.embed_text(text)
        np.testing.assert_allclose(row, np.append(base.embed_text(text)[0], [0, 0, 0]), atol=1e-6)


def test_two_labels_of_one_name_share_a_question(base):
    text = ExtendedText(base.text, (("car", "car", "car_old"), ("car", "car", "car_new")))
    [row] = text.embed("car") * np.sqrt(17)
    assert row[base.dim:] == pytest.approx([4 / np.sqrt(2), 4 / np.sqrt(2), 0], abs=1e-5)
    table = label_vectors(["car_old", "car_new"], text.words.vectors, synonyms={"car_old": "car", "car_new": "car"})
    own = text.of_labels(table)[:, base.dim:] * np.sqrt(17)
    np.testing.assert_allclose(own, [[4, 0, 0], [0, 4, 0]], atol=1e-5)


def test_a_label_that_the_model_does_not_know_speaks_by_its_column_alone(base):
    text = ExtendedText(base.text, (("grandma", "grandma", "grandma"),))
    np.testing.assert_allclose(text.embed("Grandma"), [[*np.zeros(base.dim), 1, 0]], atol=1e-6)
    with pytest.raises(KeyError, match="grandpa"):
        text.embed("grandpa")
    assert not text.embed_known(["grandpa"]).any()


def test_other_words_rank_images_exactly_as_before(space, base, rows):
    features = np.random.default_rng(2).normal(size=(60, 12))
    before = base.embed_text(["dog", "brown dog"]) @ base.embed(features).T
    after = space.embed_text(["dog", "brown dog"]) @ rows.T
    np.testing.assert_allclose(after * np.sqrt(2), before, atol=1e-5)


def test_tags_are_a_noisy_or_of_the_model_and_the_label(space, base, rows):
    features = np.random.default_rng(2).normal(size=(60, 12))
    mine, theirs = space.text.concepts, base.text.concepts
    before, after = theirs.scores(base.embed(features)), mine.scores(rows)
    assert mine.names == theirs.names
    columns, sure = [theirs.names.index(name) for name in ("car", "wagon")], (rows[:, -3:-1] * np.sqrt(2)) ** 2
    np.testing.assert_allclose(after[:, columns], 1 - (1 - before[:, columns]) * (1 - sure), atol=1e-5)
    others = np.delete(np.arange(len(theirs)), columns)
    np.testing.assert_allclose(after[:, others], before[:, others], atol=1e-5)
    grandma = ExtendedText(base.text, (("car", "car", "car"), ("my grandma", "grandma", "my_grandma"))).concepts
    assert grandma.names == (*theirs.names, "my grandma")  # no concept: a name of its own
    np.testing.assert_allclose(grandma.scores(rows)[:, -1], sure[:, 1], atol=1e-5)
    best = int(sure[:, 1].argmax())
    [tags] = mine.tag(rows[[best]], 3)
    assert [tag.name for tag in tags] == [mine.names[place] for place in np.argsort(-after[best], kind="stable")[:3]]
    assert all(tag.weak == (tag.score < theirs.limit) for tag in tags) and isinstance(theirs, Concepts)


def test_thresholds_let_in_what_the_model_lets_in(space, base, rows):
    features = np.random.default_rng(2).normal(size=(60, 12))
    texts = ["dog", "car"]
    for rate in (None, 0.1):
        limits = base.text.thresholds(base.embed_text(texts), rate)
        shown = base.embed_text(texts) @ base.embed(features).T >= limits[:, None]
        shown[1] |= base.embed_text("car")[0] @ base.embed(features).T + 4 * rows[:, -3] * np.sqrt(2) >= limits[1]
        asked = space.embed_text(texts)
        np.testing.assert_array_equal(asked @ rows.T >= space.text.thresholds(asked, rate)[:, None], shown)


def test_many_texts_lie_where_each_does(base, space):
    texts = ["dog", "wagon", "the", "a dog and a car on the beach", "car", "sports cars", "horsf"]
    for text in (base.text, space.text):
        found = text.embed_known(texts)
        for row, one in zip(found, texts, strict=True):
            if one in ("the", "horsf"):
                assert not row.any() or np.allclose(row, text.embed(one)[0], atol=1e-6)
            else:
                np.testing.assert_allclose(row, text.embed(one)[0], atol=1e-6)


@pytest.fixture(scope="module")
def bundled():
    from devise import features

    return features.load("caltech37")


@pytest.fixture(scope="module")
def beside(bundled):
    return train_labels(bundled, unseen=["lobster", "elephant"])


def test_a_training_without_options_starts_from_the_model_that_comes_with_devise(beside, bundled):
    everyday = pretrained()
    assert beside.record["start"] == "everyday" and list(beside.spaces) == ["raw", "shared"] and not beside.history
    assert {names[-1] for names in beside.spaces["shared"].text.labels} == set(beside.split.seen)
    test = bundled.subset(beside.split.test)
    seen = beside.candidates("seen")
    named = (beside.embed_images(test) @ seen.vectors.T).argmax(axis=1)
    assert np.mean([seen.names[name] == test.images.label_of(row) for row, name in enumerate(named)]) > 0.95
    asked = ["dog", "beach", "lobster"]
    np.testing.assert_allclose(np.sqrt(2) * beside.embed_images(test) @ beside.embed_text(asked).T,
                               everyday.embed_images(test, "shared") @ everyday.embed_text(asked).T, atol=1e-5)


def test_it_is_the_same_when_it_is_loaded(beside, bundled, tmp_path):
    beside.save(tmp_path / "model")
    again = Devise.load(tmp_path / "model")
    assert again.fingerprint == beside.fingerprint and again.record == beside.record
    some = bundled.subset([0, 900])
    np.testing.assert_array_equal(again.embed_images(some), beside.embed_images(some))
    np.testing.assert_array_equal(again.embed_text(["llama", "a dog"]), beside.embed_text(["llama", "a dog"]))
    assert again.tag(some) == beside.tag(some)
    further = train_labels(bundled, start=tmp_path / "model", unseen=["lobster", "elephant"])
    assert further.fingerprint == beside.fingerprint  # beside what that model started from


def test_what_decides_the_start(bundled, words, drawn_folder, make_backbone, monkeypatch):
    from devise.datasets import open_images
    from devise.features import compute

    ridge = train_labels(bundled, head=RidgeHead(1.0), unseen=["lobster"])
    assert ridge.record["start"] is None and isinstance(ridge.spaces["shared"].head, RidgeHead)
    monkeypatch.setattr("devise.model.labels.train_head", lambda head, matrix, labels, vectors, split, **options: (
        RidgeHead(1.0).fit(matrix[split.train], labels[split.train], vectors), None))  # what is trained is not asked
    fast = {"epochs": 1, "unseen": ["lobster"]}
    assert train_labels(bundled, **fast).record["start"] is None
    with pytest.raises(ValueError, match="options of a training are for one from nothing.*None for start"):
        train_labels(bundled, start="everyday", **fast)
    table = compute(open_images(drawn_folder), make_backbone())
    other = train_labels(table, words.vectors, head=None, start=None, skip_unknown=True, epochs=1)
    assert other.record["start"] is None
    for start, why in (("everyday", "is made for efficientnet_lite0|was trained on"), (other, "knows no concepts")):
        with pytest.raises(ValueError, match=why):
            train_labels(table, words.vectors, start=start, skip_unknown=True)


def test_only_seen_classes_have_columns(base, words):
    from devise.model.labels import extended

    random = np.random.default_rng(3)
    matrix, y = random.normal(size=(40, 12)).astype(np.float32), np.arange(40) % 4
    labels = label_vectors(["cat", "dog", "horse", "car"], words.vectors)
    split = Split(train=np.flatnonzero(y != 2)[:20], test=np.flatnonzero(y != 2)[20:],
                  unseen_rows=np.flatnonzero(y == 2), names={"seen": ("cat", "dog", "car"), "unseen": ("horse",)})
    found = extended(base, matrix, y, labels, split)
    assert [names[-1] for names in found.text.labels] == ["cat", "dog", "car"] and found.head.classes == 3
    rows = found.text.of_labels(labels)
    assert (rows[:, base.dim:].argmax(axis=1) == [0, 1, 0, 2]).all() and not rows[2, base.dim:].any()


def test_an_indexed_image_is_named_by_names_that_were_made_before(beside, bundled):
    search = Search.build(beside, bundled.subset(range(10)), engine="exact")
    assert search.tag(0, 3, candidates=naming(beside)) == search.tag(0, 3)
