import math

import numpy as np
import pytest

from devise.metrics import hit_at_k, map_at_r, precision_at_k, precision_ceiling, r_precision, recall_at_k


@pytest.fixture(params=range(4))
def relevant(request):
    """60 rows, from all wrong to all right."""
    random = np.random.default_rng(request.param)
    return random.random((60, 1 + 6 * request.param)) < np.linspace(0, 1, 60)[:, None]


def by_hand(function, rows):
    return np.array([function([bool(cell) for cell in row]) for row in rows], dtype=float)


def average_precision_of(row, n_relevant, upto):
    if not n_relevant:
        return math.nan
    return sum(sum(row[:rank]) / rank for rank in range(1, upto + 1) if row[rank - 1]) / n_relevant


def test_first_ranks(relevant):
    for k in {1, relevant.shape[1] // 2, relevant.shape[1]} - {0}:
        np.testing.assert_array_equal(hit_at_k(relevant, k), by_hand(lambda row, k=k: any(row[:k]), relevant))
        np.testing.assert_allclose(precision_at_k(relevant, k),
                                   by_hand(lambda row, k=k: sum(row[:k]) / k, relevant))


def test_recall(relevant):
    there = relevant.sum(axis=1) + np.arange(len(relevant)) % 3
    got = recall_at_k(relevant, 1, n_relevant=there)
    for value, row, count in zip(got, relevant, there, strict=True):
        assert value == row[0] / count if count else math.isnan(value)


def test_averages_over_ranks(relevant):
    np.testing.assert_allclose(map_at_r(relevant),
                               by_hand(lambda row: average_precision_of(row, sum(row), sum(row)), relevant))
    np.testing.assert_allclose(
        r_precision(relevant),
        by_hand(lambda row: sum(row[:sum(row)]) / sum(row) if any(row) else math.nan, relevant))


def test_answers_that_were_not_found_count():
    relevant = np.array([[True, False, True, False, False]])
    assert r_precision(relevant, n_relevant=[4])[0] == pytest.approx(2 / 4)
    assert map_at_r(relevant, n_relevant=[2])[0] == pytest.approx(1 / 2)


def test_map_at_r_of_the_paper():
    """Two rows with the same R-precision and different orders (R = 10, as in its figure of toy cases)."""
    first = np.zeros((1, 10), bool)
    last = first.copy()
    first[0, 0] = last[0, 9] = True
    assert map_at_r(first, n_relevant=[10])[0] == pytest.approx(0.1)
    assert map_at_r(last, n_relevant=[10])[0] == pytest.approx(0.01)
    assert r_precision(first, n_relevant=[10]) == r_precision(last, n_relevant=[10])


def test_no_order_beats_the_ceiling():
    for right in range(7):
        best = np.array([[True] * right + [False] * (6 - right)])
        for k in range(1, 7):
            assert precision_ceiling([right], k)[0] == precision_at_k(best, k)[0]
    with pytest.raises(ValueError, match="k is 0"):
        precision_ceiling([1], 0)


@pytest.mark.parametrize("k", [0, -1, 4])
def test_k_within_the_depth(k):
    for metric in (hit_at_k, precision_at_k):
        with pytest.raises(ValueError, match="expected 1 to 3, the depth"):
            metric(np.zeros((2, 3), bool), k)


@pytest.mark.parametrize("relevant", [np.zeros((2, 3)), np.zeros(3, bool), np.zeros((2, 3), int)])
def test_scores_are_no_relevance(relevant):
    with pytest.raises(ValueError, match=r"expected bool \(n_queries, depth\)"):
        hit_at_k(relevant, 1)


def test_impossible_counts_are_refused():
    relevant = np.array([[True, True, False]])
    with pytest.raises(ValueError, match="query 0 has 2 right answers in its row and n_relevant says 1"):
        r_precision(relevant, n_relevant=[1])
    with pytest.raises(ValueError, match=r"int \(1,\)"):
        recall_at_k(relevant, 1, n_relevant=[0.5])
    for metric in (r_precision, map_at_r):
        with pytest.raises(ValueError, match="search 4 deep"):
            metric(relevant, n_relevant=[4])
