import numpy as np
import pytest

from devise.metrics import any_of, count_any_of, count_same_label, labels_of, same_label


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_same_label_is_the_loop(random):
    queries, hits = random.integers(-1, 4, 30), random.integers(-1, 4, (30, 7))
    expected = [[hit == query and hit != -1 for hit in row] for query, row in zip(queries, hits, strict=True)]
    assert same_label(queries, hits).tolist() == expected


def test_any_of_is_the_loop(random):
    tags = [set(random.integers(-1, 6, random.integers(0, 4)).tolist()) for _ in range(30)]
    hits = random.integers(-1, 6, (30, 7))
    expected = [[int(hit) in own and hit != -1 for hit in row] for own, row in zip(tags, hits, strict=True)]
    assert any_of(tags, hits).tolist() == expected


def test_one_tag_is_a_label(random):
    queries, hits = random.integers(-1, 4, 30), random.integers(-1, 4, (30, 7))
    assert np.array_equal(any_of([{int(query)} for query in queries], hits), same_label(queries, hits))


def test_padding_never_takes_the_last_label():
    assert labels_of([[2, -1], [-1, -1]], [5, 6, 7]).tolist() == [[7, -1], [-1, -1]]
    assert not same_label([7, 7], labels_of([[-1], [-1]], [5, 6, 7])).any()


@pytest.mark.parametrize("ids", [[[3]], [[-2]]])
def test_labels_of_refuses_what_is_no_row(ids):
    with pytest.raises(ValueError, match="expected rows of the 3 labels"):
        labels_of(ids, [5, 6, 7])


def test_counts_are_those_of_the_whole_gallery(random):
    queries, gallery = random.integers(-1, 5, 20), random.integers(-1, 4, 50)
    whole = np.tile(gallery, (20, 1))
    assert np.array_equal(count_same_label(queries, gallery), same_label(queries, whole).sum(axis=1))
    tags = [set(random.integers(0, 5, 2).tolist()) for _ in range(20)]
    assert np.array_equal(count_any_of(tags, gallery), any_of(tags, whole).sum(axis=1))


def test_count_without_self():
    assert count_same_label([0, 0, 1, -1], [0, 0, 1, -1], without_self=True).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("queries, hits", [([0, 1], [[0]]), ([0], [0]), ([[0]], [[0]]), ([0.5], [[0]])])
def test_same_label_refuses_other_shapes_and_fractions(queries, hits):
    with pytest.raises(ValueError, match="expected"):
        same_label(queries, hits)


def test_no_queries():
    assert same_label(np.empty(0, int), np.empty((0, 3), int)).shape == (0, 3)
    assert any_of([], np.empty((0, 3), int)).shape == (0, 3)
    assert count_any_of([], [1, 2]).shape == (0,)
