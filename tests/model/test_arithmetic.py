"""Pictures changed by words, against the sum written out."""

import numpy as np
import pytest

from devise.model import changed


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
