import numpy as np
import pytest

from devise.spelling import singulars
from devise.words import WordVectors, tag_rows
from devise.words.phrases import OFFENSIVE_WORDS, STOP_WORDS, read_list

NAMES = ["the", "dog", "dogs", "u.s.", "2", "x", "Of", "fuck", "cat", "new", "news", "glass", "men", "man",
         "cats"]


@pytest.fixture
def words():
    matrix = np.random.default_rng(4).normal(size=(len(NAMES), 8)).astype(np.float32)
    for plural, singular in (("dogs", "dog"), ("news", "new"), ("men", "man")):
        matrix[NAMES.index(plural)] = matrix[NAMES.index(singular)] + 0.1
    matrix[NAMES.index("cats")] = -matrix[NAMES.index("cat")]
    return WordVectors(NAMES, matrix)


def chosen(words, **options):
    rows = tag_rows(words, **options)
    assert rows.dtype == np.int64
    return [words.words[row] for row in rows]


def test_function_words_slurs_and_what_is_no_word_are_left_out(words):
    assert chosen(words) == ["dog", "dogs", "cat", "new", "news", "glass", "men", "man", "cats"]


def test_plurals_are_merged_where_the_vectors_agree(words):
    # "men" comes before "man" and goes all the same; "cats" means something else here; "news" is no plural
    assert chosen(words, merge_plurals=True) == ["dog", "cat", "new", "news", "glass", "man", "cats"]
    assert chosen(words, first=13, merge_plurals=True)[-1] == "men"  # its singular is not among the first 13


def test_first_is_checked_and_may_exceed_the_words(words):
    assert len(tag_rows(words, first=10**6)) == len(tag_rows(words))
    with pytest.raises(ValueError, match="at least 1"):
        tag_rows(words, first=0)


@pytest.mark.parametrize(("plural", "singular"), [
    ("dogs", "dog"), ("boxes", "box"), ("cities", "city"), ("movies", "movie"), ("wolves", "wolf"),
    ("knives", "knife"), ("houses", "house"), ("men", "man"), ("women", "woman"), ("children", "child"),
    ("feet", "foot"), ("teeth", "tooth"), ("geese", "goose"), ("mice", "mouse"), ("people", "person"),
])
def test_singulars(plural, singular):
    assert singular in singulars(plural)


@pytest.mark.parametrize("word", ["glass", "news", "gas", "dog", "series", "is"])
def test_what_is_no_plural(word):
    assert singulars(word) == []


def test_the_lists_are_lower_case_single_words_without_repeats_or_overlap():
    for path in (STOP_WORDS, OFFENSIVE_WORDS):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
        assert len(lines) == len(set(lines)) == len(read_list(path)) > 150
        assert all(line == line.strip().lower() and " " not in line for line in lines)
    assert not read_list(STOP_WORDS) & read_list(OFFENSIVE_WORDS)


def test_labels_of_pictures_are_not_on_the_lists(genuine_text):
    """Words that people tagged pictures with, but for function words and numbers at the file's head."""
    words = [line.split(" ", 1)[0] for line in genuine_text.read_text(encoding="utf-8").splitlines()[120:]]
    assert set(words) & (read_list(STOP_WORDS) | read_list(OFFENSIVE_WORDS)) <= {"little", "long", "outside"}


def test_genuine_vocabulary(packaged):
    plain, merged = chosen(packaged), chosen(packaged, merge_plurals=True)
    assert {"elephant", "elephants", "people", "news"} <= set(plain)
    assert not {"the", "of", "'s", "2004"} & set(plain)
    assert {"elephant", "person", "woman", "news"} <= set(merged)
    assert not {"people", "women", "children", "countries"} & set(merged)
