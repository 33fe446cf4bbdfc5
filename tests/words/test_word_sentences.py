"""Sentence vectors, against the algorithm of the paper step by step."""

import math

import numpy as np
import pytest

from devise.words import WordVectors
from devise.words.sentences import SentenceVectors

WORDS = ("the", "dog", "cat", "runs", "t-shirt", "black", "white", "zero")
MATRIX = np.vstack([np.random.default_rng(3).normal(size=(7, 5)), np.zeros((1, 5))]).astype(np.float32)
TEXTS = ("The dog runs.", "a cat; the cat!", "black-and-white dog", "a T-shirt")


@pytest.fixture
def words():
    return WordVectors(WORDS, MATRIX, name="toy")


def by_hand(tokens, share, a=1e-3):
    """(1 / |s|) Σ a / (a + p) v, by a loop."""
    total = np.zeros(5)
    for token in tokens:
        total += a / (a + share(token)) * MATRIX[WORDS.index(token)]
    return total / len(tokens)


def zipf(token):
    return 1 / ((WORDS.index(token) + 1) * (math.log(len(WORDS)) + 0.5772156649))


TOKENS = (["the", "dog", "runs"], ["cat", "the", "cat"], ["black", "white", "dog"], ["t-shirt"])


@pytest.mark.parametrize("components", [0, 1, 2])
def test_vectors_are_those_of_the_paper(words, components):
    vectors = SentenceVectors(words, components=components).fit(TEXTS)
    rows = np.array([by_hand(tokens, zipf) for tokens in TOKENS])
    for direction in np.linalg.svd(rows)[2][:components]:
        rows = rows - np.outer(rows @ direction, direction)
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert vectors.embed(TEXTS) == pytest.approx(expected, abs=1e-5)
    assert vectors.embed(TEXTS).dtype == np.float32 and vectors.dim == 5


def test_a_picture_is_the_mean_of_its_captions_and_unknown_ones_are_passed_over(words):
    vectors = SentenceVectors(words).fit(TEXTS)
    mean = vectors.embed(TEXTS[:2]).mean(axis=0)
    found = vectors.embed_pictures([(TEXTS[0], TEXTS[1], "xylophone"), (TEXTS[3],)])
    assert found[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert found[1] == pytest.approx(vectors.embed(TEXTS[3:])[0], abs=1e-6)


def test_texts_without_a_word_are_named_and_can_be_found_before(words):
    vectors = SentenceVectors(words).fit(TEXTS)
    assert vectors.known(["a dog", "xylophone", "", "zero"]).tolist() == [True, False, False, False]
    with pytest.raises(ValueError, match="2 texts have no word of toy, the first is 'xylophone'"):
        vectors.embed(["dog", "xylophone", ""])
    with pytest.raises(ValueError, match="1 images have no caption with a word of toy, the first is row 1"):
        vectors.embed_pictures([("dog",), ("xylophone", "")])
    assert vectors.embed([]).shape == (0, 5)


def test_one_text_is_one_row(words):
    vectors = SentenceVectors(words, components=0)
    np.testing.assert_array_equal(vectors.embed(TEXTS[0]), vectors.embed([TEXTS[0]]))
    assert vectors.known(TEXTS[0]).tolist() == [True]


def test_what_cannot_be_is_said(words):
    with pytest.raises(ValueError, match="call fit with the captions"):
        SentenceVectors(words).embed(["dog"])
    with pytest.raises(ValueError, match="too few have a word of toy"):
        SentenceVectors(words, components=2).fit(["dog", "xylophone"])
    with pytest.raises(ValueError, match="components is -1"):
        SentenceVectors(words, components=-1)
