"""Sentences as rows of meaning and terms, against the two parts computed apart."""

import json

import numpy as np
import pytest

from devise.words import WordVectors  # noqa: E402
from devise.words.sentences import CaptionVectors, SentenceVectors, Tfidf  # noqa: E402

WORDS = ("a", "dog", "puppy", "cat", "runs", "mat", "the")
MATRIX = np.random.default_rng(4).normal(size=(7, 3)).astype(np.float32)
CAPTIONS = [("A dog runs.", "the dog, a hovercraft"), ("a cat on the mat", "the cat"), ("a cat runs",)]
TEXTS = [text for sentences in CAPTIONS for text in sentences]


@pytest.fixture
def words():
    return WordVectors(WORDS, MATRIX, name="toy")


def test_a_row_is_both_parts_by_their_share(words):
    found = CaptionVectors(words, share=0.3).fit(CAPTIONS).embed(TEXTS)
    meaning = SentenceVectors(words).fit(TEXTS).embed(TEXTS)
    told = Tfidf().fit(CAPTIONS).texts(TEXTS).toarray()
    assert found == pytest.approx(np.concatenate([0.3**0.5 * meaning, 0.7**0.5 * told], axis=1), abs=1e-6)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6) and found.dtype == np.float32


def test_cosines_are_the_mean_of_those_of_the_parts(words):
    vectors = CaptionVectors(words, share=0.25).fit(CAPTIONS)
    one, two = vectors.embed(["a dog runs", "a cat runs"])
    meaning, told = vectors.sentences.embed(["a dog runs", "a cat runs"]), vectors.terms.texts(["dog runs", "cat runs"])
    expected = 0.25 * meaning[0] @ meaning[1] + 0.75 * told[0].multiply(told[1]).sum()
    assert float(one @ two) == pytest.approx(expected, abs=1e-6)


def test_where_one_part_knows_nothing_the_other_is_all(words):
    vectors = CaptionVectors(words).fit(CAPTIONS)
    puppy, hovercraft = vectors.embed(["puppy", "hovercraft"])
    assert not puppy[3:].any() and puppy[:3] == pytest.approx(vectors.sentences.embed(["puppy"])[0], abs=1e-6)
    assert not hovercraft[:3].any() and hovercraft[3:].max() == 1
    assert vectors.known(["puppy", "hovercraft", "xylophone", ""]).tolist() == [True, True, False, False]


def test_terms_are_the_most_frequent_ones(words):
    assert CaptionVectors(words, terms=2).fit(CAPTIONS).terms.terms == ("cat", "dog")
    assert CaptionVectors(words, terms=2).fit(CAPTIONS).dim == 5


def test_they_come_back_from_json(words):
    vectors = CaptionVectors(words, share=0.7, terms=3).fit(CAPTIONS)
    again = CaptionVectors.from_json(json.loads(json.dumps(vectors.to_json())), words)
    assert again.embed(TEXTS) == pytest.approx(vectors.embed(TEXTS), abs=1e-6)
    assert again.dim == vectors.dim == 6


def test_what_cannot_be_is_said(words):
    for options in ({"terms": 0}, {"share": 1.5}):
        with pytest.raises(ValueError, match="expected 1 or more, and 0 to 1"):
            CaptionVectors(words, **options)
    vectors = CaptionVectors(words).fit(CAPTIONS)
    with pytest.raises(ValueError, match="1 texts have no word of toy and no term of the captions, the first is 'ufo'"):
        vectors.embed(["a dog", "ufo"])
    np.testing.assert_array_equal(vectors.embed("a dog"), vectors.embed(["a dog"]))
    assert vectors.known("a dog").tolist() == [True]
    with pytest.raises(ValueError, match="call fit with the captions"):
        CaptionVectors(words).embed(["a dog"])
