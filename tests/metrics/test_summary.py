import math
import statistics

import numpy as np
import pytest
from scipy import stats

from devise.metrics import (
    Mean,
    bootstrap_interval,
    harmonic_mean,
    mean_over_classes,
    mean_over_queries,
    paired_bootstrap,
    spread,
)


def test_mean_over_queries_counts_what_it_leaves_out():
    assert mean_over_queries([0.25, math.nan, 0.75, math.nan]) == Mean(0.5, 2, 2)
    nothing = mean_over_queries([math.nan])
    assert math.isnan(nothing.value) and nothing[1:] == (0, 1)
    assert mean_over_queries([])[1:] == (0, 0)


def test_mean_over_classes_is_the_loop():
    random = np.random.default_rng(0)
    values, labels = random.random(40), random.integers(-1, 5, 40)
    values[labels == 3] = math.nan
    values[::7] = math.nan
    means = []
    for label in (0, 1, 2, 4):
        own = [value for value, name in zip(values, labels, strict=True) if name == label and value == value]
        means.append(statistics.fmean(own))
    mean = mean_over_classes(values, labels)
    assert mean.value == pytest.approx(statistics.fmean(means)) and mean[1:] == (4, 1)


def test_mean_over_classes_needs_a_label_a_value():
    with pytest.raises(ValueError, match="one a value"):
        mean_over_classes([1, 2], [0])


def test_harmonic_mean():
    assert harmonic_mean(0.2, 0.8) == pytest.approx(statistics.harmonic_mean([0.2, 0.8]))
    assert harmonic_mean(0.2, 0.3, 0.8) == pytest.approx(statistics.harmonic_mean([0.2, 0.3, 0.8]))
    assert harmonic_mean(0.0, 0.8) == 0
    assert math.isnan(harmonic_mean(0.0, math.nan))


@pytest.mark.parametrize("values", [(), (0.5, -0.1)])
def test_harmonic_mean_refuses(values):
    with pytest.raises(ValueError, match="none negative"):
        harmonic_mean(*values)


def test_spread_is_that_of_statistics_and_scipy():
    values = [0.91, 0.94, 0.92, 0.97, 0.9]
    got = spread(values)
    low, high = stats.t.interval(0.95, 4, loc=statistics.fmean(values), scale=stats.sem(values))
    expected = [statistics.fmean(values), statistics.stdev(values), 0.9, 0.97, 5, low, high]
    assert list(got) == pytest.approx(expected)


def test_spread_of_one_run_has_no_interval():
    got = spread([0.5])
    assert (got.mean, got.min, got.max, got.n) == (0.5, 0.5, 0.5, 1)
    assert all(math.isnan(value) for value in (got.std, got.low, got.high))


@pytest.mark.parametrize("values", [[], [0.5, math.nan]])
def test_spread_refuses(values):
    with pytest.raises(ValueError, match="each defined"):
        spread(values)


def test_bootstrap_is_near_the_normal_interval():
    values = np.random.default_rng(1).normal(0.3, 0.2, 400)
    reach = 1.96 * values.std() / 20
    expected = values.mean() - reach, values.mean() + reach
    assert bootstrap_interval(values) == pytest.approx(expected, abs=2e-3)


def test_bootstrap_is_that_of_scipy():
    values = np.random.default_rng(2).exponential(size=150)
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, rng=3)
    assert bootstrap_interval(values, seed=4) == pytest.approx(tuple(expected.confidence_interval), abs=1e-2)


def test_bootstrap_depends_on_the_seed_alone():
    values = np.random.default_rng(1).random(30)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_bootstrap_in_blocks_covers_every_resample(monkeypatch):
    values = np.random.default_rng(1).random(30)
    whole = bootstrap_interval(values)
    monkeypatch.setattr("devise.metrics.summary.BLOCK", 70)
    assert bootstrap_interval(values) == pytest.approx(whole, abs=5e-3)


def test_bootstrap_leaves_nan_out():
    values = np.random.default_rng(1).random(30)
    assert bootstrap_interval([*values, math.nan]) == bootstrap_interval(values)
    assert all(math.isnan(end) for end in bootstrap_interval([math.nan]))


def test_paired_bootstrap_sees_a_difference_and_its_sign():
    random = np.random.default_rng(0)
    a = random.random(200)
    b = a + 0.02 + random.normal(0, 0.05, 200)
    got = paired_bootstrap(a, b)
    assert got.difference == pytest.approx((b - a).mean())
    assert 0 < got.low < got.difference < got.high
    assert got.p < 0.01 and got.n == 200
    mirrored = paired_bootstrap(b, a)
    assert mirrored.difference == -got.difference and mirrored.p < 0.01


def test_paired_bootstrap_of_nothing_is_no_difference():
    a = np.random.default_rng(0).random(200)
    assert paired_bootstrap(a, a) == (0, 0, 0, 1, 200)
    noise = np.random.default_rng(1).normal(0, 0.1, 200)
    assert paired_bootstrap(a, a + noise - noise.mean() + 1e-4).p > 0.5


def test_paired_bootstrap_takes_pairs_only():
    got = paired_bootstrap([0, math.nan, 1, 0], [1, 1, math.nan, 1])
    assert got.n == 2 and got.difference == 1
    assert paired_bootstrap([math.nan], [1]).n == 0
    with pytest.raises(ValueError, match="same queries"):
        paired_bootstrap([1], [1, 2])
