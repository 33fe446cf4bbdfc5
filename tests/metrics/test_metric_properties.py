"""What holds for every ranking, whatever is right in it: drawn by hypothesis."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from devise import metrics

RANKINGS = hnp.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 12)))
AT_K = [metrics.hit_at_k, metrics.precision_at_k]


@pytest.mark.parametrize("metric", AT_K)
@settings(max_examples=60, deadline=None)
@given(relevant=RANKINGS, data=st.data())
def test_what_comes_behind_k_does_not_matter(metric, relevant, data):
    k = data.draw(st.integers(1, relevant.shape[1]))
    before = metric(relevant, k)
    changed = relevant.copy()
    changed[:, k:] = data.draw(hnp.arrays(bool, changed[:, k:].shape))
    np.testing.assert_array_equal(metric(changed, k), before)
    assert ((0 <= before) & (before <= 1)).all()


@settings(max_examples=60, deadline=None)
@given(relevant=RANKINGS)
def test_a_hit_stays_one_with_more_answers(relevant):
    hits = [metrics.hit_at_k(relevant, k) for k in range(1, relevant.shape[1] + 1)]
    assert (np.diff(hits, axis=0) >= 0).all()
    np.testing.assert_array_equal(hits[-1], relevant.any(axis=1))


@settings(max_examples=60, deadline=None)
@given(relevant=RANKINGS)
def test_precision_counts(relevant):
    for k in range(1, relevant.shape[1] + 1):
        np.testing.assert_allclose(k * metrics.precision_at_k(relevant, k), [sum(row[:k]) for row in relevant.tolist()])


@settings(max_examples=60, deadline=None)
@given(relevant=RANKINGS)
def test_the_reciprocal_rank_is_that_of_the_first_right_answer(relevant):
    expected = [1 / (row.index(True) + 1) if True in row else 0 for row in relevant.tolist()]
    np.testing.assert_allclose(metrics.reciprocal_rank(relevant), expected)


@settings(max_examples=60, deadline=None)
@given(relevant=RANKINGS, data=st.data())
def test_moving_a_right_answer_forward_never_costs(relevant, data):
    """Swap two neighbours so that the right one comes first: no metric of rank falls."""
    place = data.draw(st.integers(0, max(0, relevant.shape[1] - 2)))
    better = relevant.copy()
    if relevant.shape[1] > 1:
        better[:, place:place + 2] = np.sort(better[:, place:place + 2], axis=1)[:, ::-1]
    total = np.maximum(1, relevant.sum(axis=1))
    for before, after in [(metrics.reciprocal_rank(relevant), metrics.reciprocal_rank(better)),
                          (metrics.average_precision(relevant), metrics.average_precision(better)),
                          (metrics.map_at_r(relevant, n_relevant=total), metrics.map_at_r(better, n_relevant=total))]:
        assert ((after >= before - 1e-12) | (np.isnan(before) & np.isnan(after))).all()


@settings(max_examples=60, deadline=None)
@given(relevant=RANKINGS, data=st.data())
def test_queries_do_not_know_one_another(relevant, data):
    order = np.array(data.draw(st.permutations(range(len(relevant)))))
    total = np.maximum(1, relevant.sum(axis=1))
    for metric in (metrics.reciprocal_rank, lambda rows: metrics.hit_at_k(rows, 1)):
        np.testing.assert_array_equal(metric(relevant)[order], metric(relevant[order]))
    np.testing.assert_array_equal(metrics.map_at_r(relevant, n_relevant=total)[order],
                                  metrics.map_at_r(relevant[order], n_relevant=total[order]))


@settings(max_examples=60, deadline=None)
@given(values=hnp.arrays(float, st.integers(1, 30), elements=st.floats(0, 1)), seed=st.integers(0, 5))
def test_an_interval_lies_within_the_values_and_is_the_same_for_the_same_seed(values, seed):
    low, high = metrics.bootstrap_interval(values, seed=seed, n_resamples=200)[:2]
    assert values.min() - 1e-12 <= low <= high <= values.max() + 1e-12
    assert metrics.bootstrap_interval(values, seed=seed, n_resamples=200)[:2] == (low, high)


@settings(max_examples=60, deadline=None)
@given(first=st.floats(0, 1), second=st.floats(0, 1))
def test_the_harmonic_mean_lies_between_and_is_symmetric(first, second):
    mean = metrics.harmonic_mean(first, second)
    assert min(first, second) - 1e-12 <= mean <= max(first, second) + 1e-12
    assert mean == metrics.harmonic_mean(second, first)
