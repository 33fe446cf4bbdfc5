"""Candidates: which rows are ranked over, and which of them is right for each label."""

import numpy as np
import pytest

from devise.evaluation import Candidates

WORDS = ("the", "cat", "dog", "car", "bill")
LABELS = ("dog", "dollar bill", "cat", "car_side", "gerenuk")
LABEL_WORDS = ("dog", None, "cat", "car", "gerenuk")


@pytest.fixture
def vectors():
    """Word vectors of five words, and the label vectors made of them."""
    draw = np.random.default_rng(0)
    words = draw.normal(size=(5, 6))
    labels = np.stack([words[2], words[4] + draw.normal(size=6), words[1], words[3], draw.normal(size=6)])
    return words, labels


def test_labels_keep_the_order_of_the_table_whatever_order_they_are_chosen_in(vectors):
    _, labels = vectors
    chosen = Candidates.from_labels("seen", LABELS, labels, ["gerenuk", "dog", "cat"])
    assert chosen.names == ("dog", "cat", "gerenuk")
    assert chosen.answers.tolist() == [0, -1, 1, -1, 2]
    for label, row in enumerate(chosen.answers):
        if row >= 0:
            assert chosen.names[row] == LABELS[label]
            unit = labels[label] / np.linalg.norm(labels[label])
            np.testing.assert_allclose(chosen.vectors[row], unit, rtol=1e-6)


def test_a_word_of_the_vocabulary_answers_for_its_label_and_others_are_added(vectors):
    words, labels = vectors
    chosen = Candidates.from_words("words5", WORDS, words, LABELS, labels, LABEL_WORDS)
    assert chosen.names == (*WORDS, "dollar bill", "gerenuk")
    assert chosen.answers.tolist() == [2, 5, 1, 3, 6]
    assert chosen.added == ("dollar bill", "gerenuk")
    assert chosen.to_json() == {"count": 7, "added": ["dollar bill", "gerenuk"]}
    np.testing.assert_allclose(np.linalg.norm(chosen.vectors, axis=1), 1, rtol=1e-6)


def test_labels_alone_state_their_count_and_nothing_of_a_vocabulary(vectors):
    assert Candidates.from_labels("all", LABELS, vectors[1]).to_json() == {"count": 5}


def test_a_word_that_stands_twice_in_the_vocabulary_answers_with_its_first_row(vectors):
    words, labels = vectors
    twice = Candidates.from_words("words6", (*WORDS, "dog"), words[[0, 1, 2, 3, 4, 2]],
                                  LABELS, labels, LABEL_WORDS)
    assert twice.answers[0] == 2


def test_two_labels_may_stand_for_one_word(vectors):
    words, labels = vectors
    chosen = Candidates.from_words("words5", WORDS, words, ("car", "car_side"), labels[[3, 3]],
                                   ("car", "car"))
    assert chosen.answers.tolist() == [3, 3] and chosen.added == ()


@pytest.mark.parametrize("change, message", [
    ({"label_words": LABEL_WORDS[:4]}, "4 label words but 5 labels"),
    ({"words": WORDS[:4]}, "4 words but 5 word vectors"),
    ({"label_names": ("dog", "dog", "cat", "car", "x")}, "named twice: dog"),
    ({"label_names": LABELS[:3]}, "3 labels but 5 label vectors"),
    ({"label_words": ("cat", None, "cat", "car", None)}, "'dog' is said to stand for the word 'cat'"),
])
def test_what_is_not_aligned_is_refused(vectors, change, message):
    words, labels = vectors
    given = {"words": WORDS, "word_vectors": words, "label_names": LABELS, "label_vectors": labels,
             "label_words": LABEL_WORDS} | change
    with pytest.raises(ValueError, match=message):
        Candidates.from_words("words5", **given)


def test_other_dims_zero_rows_and_unknown_or_no_labels_are_refused(vectors):
    words, labels = vectors
    with pytest.raises(ValueError, match="word vectors have 5 columns, expected 6"):
        Candidates.from_words("words5", WORDS, words[:, :5], LABELS, labels, LABEL_WORDS)
    with pytest.raises(ValueError, match="label vectors hold 1 zero rows"):
        Candidates.from_labels("all", LABELS, labels * [[1], [1], [0], [1], [1]])
    with pytest.raises(ValueError, match="yak, zebra not among the 5 labels"):
        Candidates.from_labels("seen", LABELS, labels, ["zebra", "dog", "yak"])
    with pytest.raises(ValueError, match="'unseen' are empty"):
        Candidates.from_labels("unseen", LABELS, labels, [])
