"""Whole classes drawn again: against a slow loop, and wider than single queries where classes differ."""

import math

import numpy as np
import pytest

from devise.metrics import cluster_bootstrap, paired_bootstrap


@pytest.fixture
def classes():
    return np.repeat(np.arange(12), [3, 9, 5, 8, 2, 20, 4, 4, 7, 1, 6, 10])


def test_the_interval_is_that_of_a_loop(classes):
    random = np.random.default_rng(0)
    a, b = random.random((2, len(classes)))
    got = cluster_bootstrap(a, b, classes, n_resamples=20_000)
    means = []
    for _ in range(4000):
        drawn = np.concatenate([np.flatnonzero(classes == chosen) for chosen in random.integers(0, 12, 12)])
        means.append((b[drawn] - a[drawn]).mean())
    low, high = np.quantile(means, [0.025, 0.975])
    assert got.difference == pytest.approx((b - a).mean()) and got.n == len(classes)
    assert (got.low, got.high) == pytest.approx((low, high), abs=0.01)


def test_dependent_queries_make_it_wider(classes):
    gain = np.random.default_rng(1).standard_normal(12)[classes] + 0.3
    nothing = np.zeros(len(classes))
    mine, naive = cluster_bootstrap(nothing, gain, classes), paired_bootstrap(nothing, gain)
    assert mine.difference == pytest.approx(naive.difference)
    assert mine.high - mine.low > 2 * (naive.high - naive.low)
    assert mine.p > naive.p


def test_many_classes_are_drawn_in_blocks(classes, monkeypatch):
    from devise.metrics import bootstrap

    values = np.random.default_rng(2).random((2, len(classes)))
    whole = cluster_bootstrap(*values, classes)
    monkeypatch.setattr(bootstrap, "BLOCK", 50)
    assert cluster_bootstrap(*values, classes) == whole  # the same draws, some at a time


def test_what_is_left_out_and_what_is_undefined():
    got = cluster_bootstrap([0, 0, 0, np.nan], [1, 1, 9, 1], [0, 1, -1, 0])
    assert (got.difference, got.low, got.high, got.n) == (1, 1, 1, 2)
    assert got.p == 2 / 10_001
    single = cluster_bootstrap([0, 0], [1, 0], [4, 4])
    assert single.difference == 0.5 and math.isnan(single.low) and math.isnan(single.p)
    assert cluster_bootstrap([], [], []).n == 0
    with pytest.raises(ValueError, match="one of each a query"):
        cluster_bootstrap([0, 1], [0, 1], [0])
