"""Concepts and their texts on drawn numbers, each recomputed in loops."""

import sys

import numpy as np
import pytest

from devise.model import ConceptText, Devise
from devise.model.concepts import Concepts, singular, word_weight
from devise.model.sources import Words
from devise.model.tags import naming
from devise.words import WordVectors

NAMES = ("the", "cat", "dog", "horse", "red", "car", "sports car", "brown dog")


@pytest.fixture(scope="module")
def words():
    return Words(WordVectors([*NAMES, "wagon"], np.random.default_rng(1).normal(size=(len(NAMES) + 1, 5)), name="few"))


@pytest.fixture(scope="module")
def space(words, drawn_space):
    return drawn_space(words, 12)


@pytest.fixture(scope="module")
def rows(space):
    return space.embed(np.random.default_rng(2).normal(size=(7, 12)))


def test_a_score_is_what_the_classifier_or_captions_say(space, rows):
    held, found = space.text.weights(), space.text.concepts.scores(rows)
    classes, probes = 1000, held["probes"] * held["probes_scale"][:, None]
    for image, row in enumerate(rows.astype(np.float64) * np.sqrt(2)):
        for name in range(len(NAMES) + 1):
            own = held["kinds"][held["kinds_starts"][name]:held["kinds_starts"][name + 1]]
            if len(own):
                seen = sum(row[column] ** 2 for column in own)
            else:
                mixture = np.zeros(classes)
                for column, weight in zip(held["near"][name], held["near_weights"][name], strict=True):
                    mixture[column] += weight
                seen = max(row[:classes] @ mixture / np.linalg.norm(mixture), 0) ** 2
            said, term = 0, held["name_terms"][name]
            if term >= 0:
                share = min(max(held["term_shares"][term] + row[classes:] @ probes[term], 0), 1)
                usual = 0.2 * held["term_shares"][term]
                said = max(share - usual, 0) / (1 - usual + 1e-6)
            expected = 1 - (1 - min(held["gate"][name] * seen, 1)) * (1 - held["trust"][name] * said)
            assert found[image, name] == pytest.approx(expected, abs=1e-5)


def test_a_text_needs_no_sparse_matrix(words, drawn_space, monkeypatch):
    text = drawn_space(words, 12).text
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError):
        text.concepts.scores(np.zeros((1, text.dim)))
    held = text.weights()
    for row in range(len(text.concepts)):
        near = np.zeros(1000)
        near[held["near"][row]] = held["near_weights"][row]
        np.testing.assert_allclose(text.concepts.mixture(row), near / np.linalg.norm(near), atol=1e-6)
    assert text.embed(["a red sports car"]).shape == (1, text.dim)


def test_tags_are_the_surest_names_and_the_rare_ones_at_the_end(space, rows, monkeypatch):
    concepts, scores = space.text.concepts, space.text.concepts.scores(rows)
    for tags, row in zip(concepts.tag(rows, 3), scores, strict=True):
        assert [tag.name for tag in tags] == [concepts.names[place] for place in np.argsort(-row)[:3]]
        assert all(tag.score == pytest.approx(max(row[concepts.names.index(tag.name)], 0)) for tag in tags)
        assert [tag.weak for tag in tags] == [tag.score < 0.3 for tag in tags]
    monkeypatch.setattr("devise.model.concepts.FAR_FROM_CLASSES", 1)
    monkeypatch.setattr(concepts, "exact", np.ones(len(concepts), bool))
    concepts.exact[3] = False  # horse, and as if captions did not say it
    monkeypatch.setattr(concepts, "_term", np.where(np.arange(len(concepts)) == 3, -1, concepts._term))
    assert all("horse" in {tag.name for tag in tags} for tags in concepts.tag(rows, 10)[:1])


def test_blocks_change_no_tag(space, rows, monkeypatch):
    whole = space.text.concepts.tag(rows, 3)
    monkeypatch.setattr("devise.model.concepts.BLOCK", 2)
    assert space.text.concepts.tag(rows, 3) == whole


def test_a_text_is_cut_into_its_longest_names(space):
    text = space.text
    assert text.units("the sports cars and a Brown dog") == ["sports car", "brown dog"]
    assert text.units("moggies") == ["moggy"]
    assert text.units("dogs") == ["dog"] and text.units("wagon") == ["wagon"] and text.units("the") == []


def test_a_word_speaks_by_classes_and_by_captions_each_in_deviations(space):
    text, held = space.text, space.text.weights()
    [row] = text.embed("dog")
    mixture = np.zeros(1000)
    np.add.at(mixture, held["near"][2], held["near_weights"][2])
    mixture /= np.linalg.norm(mixture)
    term = 2
    known = held["term_images"][term] / (held["term_images"][term] + 15)
    bag = held["bag"][2] * held["bag_scale"][2]
    vector = text.words.vectors.unit([2])[0]
    sentence = bag + vector @ held["word_map"]
    probe = held["probes"][term] / np.linalg.norm(held["probes"][term].astype(float))
    use = known * probe + (1 - known) * sentence / np.linalg.norm(sentence)
    use /= np.linalg.norm(use)
    first, second = max(1 - known, 0.1), known + 0.15 * (1 - known)
    halves = text.background[:, :1000], text.background[:, 1000:]
    expected = np.concatenate([first * mixture / (halves[0] @ mixture).std(), second * use / (halves[1] @ use).std()])
    np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-4)


def test_thresholds_are_deviations_above_the_background(space):
    text, rows = space.text, space.text.embed(["dog", "car"])
    usual = rows.astype(np.float64) @ text.background.T
    for rate, limit in ((0.01, 2), (0.1, 1), (np.sqrt(0.001), 1.5)):
        expected = usual.mean(axis=1) + limit * np.sqrt(usual.var(axis=1) + 0.01)
        np.testing.assert_allclose(text.thresholds(rows, rate), expected, atol=1e-5)
    np.testing.assert_array_equal(text.thresholds(rows), text.thresholds(rows, 0.01))
    with pytest.raises(ValueError, match="false_accept_rate is 0: expected a share between 0 and 1"):
        text.thresholds(rows, 0)


def test_a_text_without_a_known_word_is_refused_with_near_spellings(space):
    with pytest.raises(KeyError, match="hors.*near spellings are horse"):
        space.text.embed("horsf")
    with pytest.raises(KeyError, match="has no word|is not among"):
        space.text.embed("…")
    assert not space.text.embed_known(["horsf"]).any() and space.text.embed_known(["horse"]).any()


def test_many_words_are_a_sentence(space):
    one, two = space.text.embed(["a dog and a car on the beach", "a car and a dog on the beach"])
    np.testing.assert_allclose(one, two, atol=1e-6)  # a bag of words


def test_it_is_restored_from_config_and_weights(space, words):
    again = ConceptText.restore(space.text.config, space.text.weights(), words)
    np.testing.assert_array_equal(again.embed(["dog", "wagon"]), space.text.embed(["dog", "wagon"]))


def test_names_are_concepts_where_the_space_has_them(space, words, backbone, drawn_space):
    model = Devise(backbone, words, {"shared": drawn_space(words, 24)})
    assert isinstance(naming(model), Concepts)
    assert naming(model, "words").names and naming(model, ["cat", "dog"]).names == ("cat", "dog")
    with pytest.raises(ValueError, match="no concepts of its own: take the candidates 'words'"):
        from devise.model import Space, Text, WordText

        assert Text.concepts.fget(WordText(words)) is None
        head = drawn_space(words, 24).head
        naming(Devise(backbone, words, {"shared": Space(head, WordText(words))}), "concepts")


def test_plurals_become_singular_where_that_is_a_noun():
    assert singular("wolves", {"wolf"}) == "wolf" and singular("children", {"child"}) == "child"
    assert singular("wolves", {}) == "wolves"


def test_an_unknown_word_counts_as_the_rarest(words):
    assert word_weight("okapi", words.vectors) == pytest.approx(word_weight("wagon", words.vectors))
    assert word_weight("the", words.vectors) < word_weight("cat", words.vectors)


@pytest.mark.parametrize(("text", "plain"), [
    ("dog's", "dog"), ("“dog”", "dog"), ("#dog", "dog"), ("¿dog?", "dog"), ("cat,dog", "cat dog"), ("DOG", "dog"),
    ("ｄｏｇ", "dog"), ("d\u200bog", "dog"), ("the child’s dog", "the child dog"), ("#BrownDog", "brown dog"),
    ("cafe\u0301", "café"), ("Café!", "café")])
def test_text_is_read_as_people_write_it(drawn_space, text, plain):
    words = Words(WordVectors([*NAMES, "café", "child"], np.random.default_rng(1).normal(size=(len(NAMES) + 2, 5))))
    one, other = drawn_space(words, 12).embed_text([text, plain])
    np.testing.assert_array_equal(one, other)
