"""Graded relevance against scikit-learn, SciPy and loops."""

import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from devise.metrics import ndcg_at_r, ndcg_curve, triplet_agreement


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    return random.standard_normal((40, 12)), random.random((40, 12)) * (random.random((40, 12)) < 0.7)


@pytest.mark.parametrize("r", [1, 5, 12])
def test_ndcg_is_that_of_scikit_learn(pair, r):
    scores, relevance = pair
    expected = [ndcg_score([gains], [row], k=r) for row, gains in zip(scores, relevance, strict=True)]
    np.testing.assert_allclose(ndcg_at_r(scores, relevance, r), expected)


def test_the_curve_holds_every_depth(pair):
    curve = ndcg_curve(*pair, 12)
    for r in range(1, 13):
        np.testing.assert_allclose(curve[:, r - 1], ndcg_at_r(*pair, r))


def test_a_candidate_without_relevance_is_not_there(pair):
    scores, relevance = pair
    wide = np.insert(scores, 5, 9.0, axis=1), np.insert(relevance, 5, np.nan, axis=1)
    np.testing.assert_allclose(ndcg_at_r(*wide, 4), ndcg_at_r(scores, relevance, 4))


def test_ties_go_to_the_smaller_column():
    assert ndcg_at_r([[0.5, 0.5]], [[1.0, 0.2]], 1)[0] == 1
    assert ndcg_at_r([[0.5, 0.5]], [[0.2, 1.0]], 1)[0] == pytest.approx(0.2)


def test_undefined_ndcg_and_bad_input():
    assert math.isnan(ndcg_at_r([[0.1, 0.2]], [[0.0, 0.0]], 2)[0])
    with pytest.raises(ValueError, match="r is 3: expected 1 to 2"):
        ndcg_at_r([[0.1, 0.2]], [[0.0, 0.0]], 3)
    with pytest.raises(ValueError, match="clip a similarity at 0"):
        ndcg_at_r([[0.1, 0.2]], [[0.0, -0.1]], 1)
    with pytest.raises(ValueError, match="two matrices of one shape"):
        ndcg_at_r([[0.1, 0.2]], [[0.0]], 1)
    with pytest.raises(ValueError, match="NaN"):
        ndcg_at_r([[0.1, np.nan]], [[0.0, 1.0]], 1)


def test_triplets_by_a_loop():
    random = np.random.default_rng(1)
    scores, truth = random.integers(0, 4, (200, 2)) / 3, random.integers(0, 4, (200, 2))
    right = ties = undecided = 0
    for (a, b), (c, d) in zip(scores, truth, strict=True):
        if c == d:
            undecided += 1
        elif a == b:
            ties += 1
        elif (a > b) == (c > d):
            right += 1
    got = triplet_agreement(scores, truth)
    n = 200 - undecided
    assert got == pytest.approx(((right + ties / 2) / n, n, right, ties, undecided))
    assert min(right, ties, undecided) > 20


def test_a_model_that_never_decides_has_half():
    assert triplet_agreement(np.ones((9, 2)), np.arange(18).reshape(9, 2)).value == 0.5
    assert math.isnan(triplet_agreement(np.ones((1, 2)), np.ones((1, 2))).value)
    with pytest.raises(ValueError, match="n_triplets, 2"):
        triplet_agreement(np.ones((1, 3)), np.ones((1, 3)))
