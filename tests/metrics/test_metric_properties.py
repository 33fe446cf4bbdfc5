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
@given(relevant=RANKINGS, data=st.data())
def test_moving_a_right_answer_forward_never_costs(relevant, data):
    """Swap two neighbours so that the right one comes first: no metric of rank falls."""
    place = data.draw(st.integers(0, max(0, relevant.shape[1] - 2)))
    better = relevant.copy()
    if relevant.shape[1] > 1:
        better[:, place:place + 2] = np.sort(better[:, place:place + 2], axis=1)[:, ::-1]
    total = np.maximum(1, relevant.sum(axis=1))
    for metric in (metrics.map_at_r, metrics.r_precision):
        before, after = metric(relevant, n_relevant=total), metric(better, n_relevant=total)
        assert ((after >= before - 1e-12) | (np.isnan(before) & np.isnan(after))).all()


@settings(max_examples=60, deadline=None)
@given(relevant=RANKINGS, data=st.data())
def test_queries_do_not_know_one_another(relevant, data):
    order = np.array(data.draw(st.permutations(range(len(relevant)))))
    total = np.maximum(1, relevant.sum(axis=1))
    np.testing.assert_array_equal(metrics.hit_at_k(relevant, 1)[order], metrics.hit_at_k(relevant[order], 1))
    np.testing.assert_array_equal(metrics.map_at_r(relevant, n_relevant=total)[order],
                                  metrics.map_at_r(relevant[order], n_relevant=total[order]))


@settings(max_examples=60, deadline=None)
@given(values=hnp.arrays(float, st.integers(2, 30), elements=st.floats(0, 1)), data=st.data())
def test_a_difference_is_symmetric_and_knows_no_order(values, data):
    other = data.draw(hnp.arrays(float, len(values), elements=st.floats(0, 1)))
    order = np.array(data.draw(st.permutations(range(len(values)))))
    found, back = metrics.paired_difference(values, other), metrics.paired_difference(other, values)
    np.testing.assert_allclose(found[:3], [-back.difference, -back.high, -back.low], atol=1e-12)
    np.testing.assert_allclose(metrics.paired_difference(values[order], other[order])[:3], found[:3], atol=1e-9)
    assert found.low <= found.difference <= found.high and 0 <= found.p <= 1
