"""Pictures changed by words, and weighted texts, against the sum written out."""

import numpy as np
import pytest

from devise.model import changed, mixed, weights_of


class Model:
    vectors = {"hat": [1, 0, 0], "blue": [0, 1, 0], "dog": [0, 0, 1]}

    def embed_text(self, texts, space=None):
        return np.array([self.vectors[text] for text in texts], np.float32)


def test_words_are_added_and_taken_away():
    pictures = np.array([[0, 0, 1], [0.6, 0, 0.8]])
    found = changed(Model(), pictures, plus=["hat", "blue"], minus=["dog"], force=0.5, less=0.4)
    for row, picture in zip(found, pictures, strict=True):
        expected = [picture[0] + 0.5, picture[1] + 0.5, picture[2] - 0.2]
        assert row == pytest.approx(np.array(expected) / np.linalg.norm(expected), abs=1e-6)
    assert found.dtype == np.float32 and pictures[0, 0] == 0


def test_one_text_is_no_list_of_letters():
    one, several = (changed(Model(), [[0, 0, 1]], plus=plus) for plus in ("hat", ["hat"]))
    np.testing.assert_array_equal(one, several)


def test_the_more_force_the_nearer_to_the_word():
    cosines = [changed(Model(), [[0, 0, 1]], plus=["hat"], force=force)[0, 0] for force in (0.1, 1, 10)]
    assert cosines == sorted(cosines) and cosines[0] < 0.2 and cosines[2] > 0.98


@pytest.mark.parametrize(("options", "message"), [
    ({}, "nothing to change"), ({"plus": ["hat"], "force": 0}, "force is 0"),
    ({"minus": ["dog"], "less": 1.0}, "zero rows"), ({"minus": ["dog"], "less": 0}, "less is 0"),
])
def test_what_can_not_be_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        changed(Model(), [[0, 0, 1]], **options)


@pytest.mark.parametrize(("text", "weights"), [
    ("beach", {"beach": 1}), ("beach -people", {"beach": 1, "people": -1}), ("dog^2 snow", {"snow": 1, "dog": 2}),
    ("a dog on the beach -people -cars", {"a dog on the beach": 1, "people": -1, "cars": -1}),
    ("-people beach", {"beach": 1, "people": -1}), ("snow −dog^0.5", {"snow": 1, "dog": -0.5}),
    ('"red car"^3 -"parking lot" street', {"street": 1, "red car": 3, "parking lot": -1}), ("dog dog^2", {"dog": 3}),
    *((text, {text: 1}) for text in (
        "t-shirt", "a black-and-white half-timbered house", "rock - paper", "- dog", "--", "-", "1914-1918", "x^y",
        "^2", '"red car" street', 'a 5" screen', "", "  spaces  kept ", "e=mc^")),
    ("t-shirt -half-timbered", {"t-shirt": 1, "half-timbered": -1}), ("dog -", {"dog -": 1}),
    ("-5 degrees", {"degrees": 1, "5": -1})])
def test_signs_of_a_text_and_words_that_look_like_them(text, weights):
    assert weights_of(text) == weights


def test_a_weight_of_nothing_is_refused():
    with pytest.raises(ValueError, match="dog\\^0' has the weight 0"):
        weights_of("snow dog^0")


@pytest.mark.parametrize("text", ["cat^-1", "snow cat^1e9", "cat^.5", "cat^2x dog", "-cat^+2"])
def test_a_weight_that_is_no_number_above_0_is_refused(text):
    with pytest.raises(ValueError, match=r"cat\^\S+' has no number above 0 behind \^: write cat\^2"):
        weights_of(text)


@pytest.mark.parametrize("pictures", [None, [[0, 0, 1]], [[0, 0.6, 0.8], [0, 1, 0]]])
def test_weighted_texts_and_pictures_are_added_up(pictures):
    weights = {"hat": 2, "blue": -3, "dog": 0.5}
    found = mixed(Model(), weights, pictures, less=0.25)
    for row, picture in zip(found, pictures or [[0, 0, 0]], strict=True):
        expected = np.array([picture[0] + 2, picture[1] - 0.75, picture[2] + 0.5])
        assert row == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)


@pytest.mark.parametrize(("weights", "message"), [
    ({}, "nothing to look for"), ({"hat": -1}, "nothing to look for"), ({"hat": 0}, "hat: 0"),
    ({"hat": float("nan")}, "expected numbers"), ({"hat": 1, "dog": float("inf")}, "expected numbers")])
def test_what_looks_for_nothing_is_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        mixed(Model(), weights)
