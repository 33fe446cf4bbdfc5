import numpy as np
import pytest

from devise.words import WordVectors

NAMES = [f"word{number}" for number in range(40)]


@pytest.fixture
def matrix():
    return np.random.default_rng(3).normal(size=(40, 7)).astype(np.float32)


@pytest.fixture
def words(matrix):
    return WordVectors(NAMES, matrix, name="drawn")


def slow_neighbours(query, names, matrix, leave_out=()):
    """Cosines one by one, in Python floats."""
    scores = []
    for name, row in zip(names, matrix.tolist(), strict=True):
        dot = sum(a * b for a, b in zip(query, row, strict=True))
        scores.append((dot / (sum(a * a for a in query) ** 0.5 * sum(b * b for b in row) ** 0.5), name))
    return [(name, score) for score, name in sorted(scores, reverse=True) if name not in leave_out]


def assert_same(found, expected):
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-6)


@pytest.mark.parametrize("k", [1, 5, 39])
def test_neighbours_of_a_word_leave_it_out(words, matrix, k):
    expected = slow_neighbours(matrix[4].tolist(), NAMES, matrix, leave_out=["word4"])
    assert_same(words.neighbours("word4", k=k), expected[:k])


def test_neighbours_of_a_vector_keep_every_word(words, matrix):
    expected = slow_neighbours(matrix[4].tolist(), NAMES, matrix)
    assert_same(words.neighbours(100 * matrix[4], k=6), expected[:6])
    assert words.neighbours(matrix[4], k=1)[0][0] == "word4"


def test_neighbours_among_the_first_words(words, matrix):
    expected = slow_neighbours(matrix[30].tolist(), NAMES[:10], matrix[:10])
    assert_same(words.neighbours("word30", k=3, first=10), expected[:3])
    assert_same(words.neighbours("word30", k=99, first=10), expected)  # fewer come where there are fewer
    assert len(words.neighbours("word3", k=99, first=10)) == 9
    expected = slow_neighbours(matrix[3].tolist(), NAMES, matrix, leave_out=["word3"])
    among_30 = [(name, score) for name, score in expected if name in NAMES[:30]]
    assert_same(words.neighbours("word3", k=99, first=30), among_30)
    assert_same(words.neighbours("word3", k=99), expected)  # longer and longer: lengths are added as needed


def test_a_zero_vector_is_kept_and_near_to_nothing():
    words = WordVectors(["a", "none", "b"], [[1, 0], [0, 0], [-1, 0]])
    assert words.neighbours("a") == [("none", 0.0), ("b", -1.0)]
    with pytest.raises(ValueError, match="zero"):
        words.neighbours("none")
    with pytest.raises(ValueError, match="zero"):
        words.unit([0, 1])


@pytest.mark.parametrize("options", [{"k": 0}, {"first": 0}, {"k": -3}])
def test_neighbours_refuse_counts_below_one(words, options):
    with pytest.raises(ValueError, match="at least 1"):
        words.neighbours("word1", **options)


def test_a_query_of_another_dim_is_refused(words):
    with pytest.raises(ValueError, match="3 columns, expected 7"):
        words.neighbours([1, 2, 3])


def test_case_falls_back_to_lower_case():
    words = WordVectors(["May", "may", "cat"], np.eye(3))
    assert words.row("May") == 0 and words.row("may") == 1 and words.row("MAY") == 1
    assert words.row("CaT") == 2 and "CAT" in words
    assert "Maybe" not in words and 3 not in words


def test_a_missing_word_is_a_key_error_with_near_spellings():
    words = WordVectors(["saxophone", "elephant", "sax", "the"], np.eye(4), name="toy")
    with pytest.raises(KeyError, match="'saxaphone' is not among the 4 words of toy.*saxophone") as caught:
        words.vector("saxaphone")
    assert type(caught.value) is KeyError
    with pytest.raises(KeyError) as caught:
        words.vector("zzz")
    assert "near" not in str(caught.value)
    with pytest.raises(TypeError, match="int"):
        words.row(3)


def test_near_spellings_prefer_the_nearer_then_the_more_frequent():
    words = WordVectors(["planet", "plant", "plans", "plane", "elephant", "planett"], np.eye(6))
    assert words.near_spellings("Planets", n=3) == ["planet", "planett", "plant"]
    assert "planet" not in words.near_spellings("planet")


def test_the_first_of_equal_words_wins_and_the_others_are_counted():
    words = WordVectors(["a", "b", "a", "c", "b"], [[1], [2], [3], [4], [5]])
    assert words.words == ("a", "b", "c")
    assert words.matrix.ravel().tolist() == [1, 2, 4]
    assert words.counts["duplicates"] == 2 and "2 duplicates left out" in words.report()


def test_vectors_are_copies_and_the_matrix_is_read_only(words, matrix):
    words.vector("word0")[:] = 0
    assert np.array_equal(words.vector("word0"), matrix[0])
    with pytest.raises(ValueError, match="read-only"):
        words.matrix[0] = 0
    assert matrix.flags.writeable  # the caller's own array stays as it was


def test_unit_rows_by_slice_and_by_number(words, matrix):
    expected = matrix[[3, 1]] / np.linalg.norm(matrix[[3, 1]], axis=1, keepdims=True)
    assert words.unit([3, 1]) == pytest.approx(expected)
    assert words.unit(slice(0, 4)).shape == (4, 7)


def test_the_fingerprint_covers_words_and_vectors_but_not_the_name(matrix):
    same = WordVectors(NAMES, matrix.copy(), name="another")
    renamed = WordVectors(["other", *NAMES[1:]], matrix)
    moved = matrix.copy()
    moved[39, 6] += 1e-6
    fingerprint = WordVectors(NAMES, matrix).fingerprint
    assert same.fingerprint == fingerprint
    assert len({fingerprint, renamed.fingerprint, WordVectors(NAMES, moved).fingerprint}) == 3


@pytest.mark.parametrize(("names", "values", "error"), [
    (["a"], [[1, 2], [3, 4]], "1 words and 2 vectors"),
    ([], np.empty((0, 3)), "at least one"),
    (["a", "b"], [[1, 2], [np.nan, 4]], "NaN or infinity in 1 rows, the first is row 1"),
    (["a"], [1, 2], "shape"),
])
def test_what_does_not_belong_together_is_refused(names, values, error):
    with pytest.raises(ValueError, match=error):
        WordVectors(names, values)


def test_words_are_text():
    with pytest.raises(TypeError, match="7, a int"):
        WordVectors(["a", 7], np.eye(2))
