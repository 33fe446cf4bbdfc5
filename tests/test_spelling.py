import unicodedata

import pytest

from devise.spelling import folded, meant, plain, spellings


@pytest.mark.parametrize(("text", "expected"), [
    ("cafe\u0301", "café"), ("child’s", "child's"), ("rock‘n’roll", "rock'n'roll"), ("a\u200bb\ufeff\u00ad", "ab"),
    ("कुत्ता", "कुत्ता"), ("dog", "dog")])
def test_what_is_written_in_several_ways_is_one(text, expected):
    assert plain(text) == expected


def test_a_name_means_the_only_known_one_that_is_equal_but_for_case_and_encoding():
    apart = unicodedata.normalize("NFD", "Café")
    assert meant("café", [apart, "bar"]) == apart and meant(apart, ["CAFÉ"]) == "CAFÉ"
    assert meant("bass", ["Bass", "BASS"]) == "bass", "two may be meant"
    assert meant("Bass", ["Bass", "BASS"]) == "Bass" and meant("okapi", ["bar"]) == "okapi"


def test_case_and_width_are_folded():
    assert folded("ＤＯＧ") == folded("dog") and folded("İ") and folded("ﬁsh") == "fish"


def test_the_first_spelling_is_the_own_one():
    assert next(spellings("Café")) == "Café" and "cafe\u0301" in spellings("Café") and "don’t" in spellings("don't")
