import math
import statistics

import numpy as np
import pytest
from scipy import stats

from devise.metrics import Mean, mean_over_classes, mean_over_queries, paired_difference, spread


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


@pytest.fixture
def classes():
    return np.repeat(np.arange(12), [3, 9, 5, 8, 2, 20, 4, 4, 7, 1, 6, 10])


def test_a_paired_difference_is_that_of_scipy():
    a, b = np.random.default_rng(0).random((2, 40))
    got, expected = paired_difference(a, b), stats.ttest_rel(b, a)
    interval = expected.confidence_interval(0.95)
    assert got == pytest.approx(((b - a).mean(), interval.low, interval.high, expected.pvalue, 40))


def test_each_class_counts_once(classes):
    a, b = np.random.default_rng(1).random((2, len(classes)))
    means = [[statistics.fmean(values[classes == one]) for one in range(12)] for values in (a, b)]
    expected = stats.ttest_rel(means[1], means[0])
    interval = expected.confidence_interval(0.95)
    got = paired_difference(a, b, classes)
    assert got[:4] == pytest.approx((np.subtract(*means[::-1]).mean(), interval.low, interval.high, expected.pvalue))
    assert got.n == len(classes)
    order = np.random.default_rng(2).permutation(len(classes))
    assert paired_difference(a[order], b[order], classes[order]) == pytest.approx(got)


def test_dependent_queries_make_it_wider(classes):
    gain, nothing = np.random.default_rng(1).standard_normal(12)[classes] + 0.3, np.zeros(len(classes))
    mine, naive = paired_difference(nothing, gain, classes), paired_difference(nothing, gain)
    assert mine.high - mine.low > 2 * (naive.high - naive.low) and mine.p > naive.p


@pytest.mark.parametrize("n_classes", [3, 12, 37, 200])
def test_95_of_100_intervals_hold_the_truth(n_classes):
    """Classes differ, queries of a class differ, classes are of unequal size: over classes b is no better than a."""
    random, held, false, runs = np.random.default_rng(n_classes), 0, 0, 1500
    labels = np.repeat(np.arange(n_classes), random.integers(3, 40, n_classes))
    for _ in range(runs):
        gains = 0.1 + (0.2 * random.standard_normal(n_classes))[labels] + 0.4 * random.standard_normal(len(labels))
        found = paired_difference(np.full(len(labels), 0.1), gains, labels)
        held += found.low <= 0 <= found.high
        false += found.p < 0.05
    assert 0.935 <= held / runs <= 0.965 and 0.035 <= false / runs <= 0.065


@pytest.mark.parametrize("n_classes", [60, 200])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_intervals_over_classes_hold_the_truth_for_hits(n_classes, rate):
    """Each class has a rate of its own about the mean, and 8 pictures that are hits or not."""
    random, held = np.random.default_rng(n_classes), 0
    for _ in range(1500):
        rates = random.beta(3 * rate, 3 * (1 - rate), n_classes)
        found = spread(random.binomial(8, rates) / 8)
        held += found.low <= rate <= found.high
    assert 0.93 <= held / 1500 <= 0.965


@pytest.mark.parametrize("runs", [3, 5, 10, 20, 21])
def test_intervals_over_runs_hold_the_truth(runs):
    """A run's figure is the share of 50 hits, its rate drawn about .6 as unseen classes differ."""
    random, held = np.random.default_rng(runs), 0
    for _ in range(3000):
        found = spread(random.binomial(50, np.clip(random.normal(0.6, 0.1, runs), 0, 1)) / 50)
        held += found.low <= 0.6 <= found.high
    assert 0.935 <= held / 3000 <= 0.965


@pytest.mark.parametrize(("n", "rate"), [(30, 0.5), (100, 0.8), (1000, 0.3)])
def test_intervals_over_queries_hold_the_truth_for_hits(n, rate):
    """b hits with `rate`, a with half of it, on the same queries."""
    random, held = np.random.default_rng(n), 0
    for _ in range(1500):
        b = random.random(n) < rate
        a = b & (random.random(n) < 0.5)
        found = paired_difference(a, b)
        held += found.low <= rate / 2 <= found.high
    assert 0.935 <= held / 1500 <= 0.965


def test_what_is_left_out_and_what_is_undefined():
    got = paired_difference([0, 0, 0, 0, math.nan], [1, 1, 2, 9, 1], [0, 0, 1, -1, 0])
    assert (got.difference, got.n) == (1.5, 3)
    assert paired_difference([0, math.nan, 1, 0], [1, 1, math.nan, 3]).n == 2
    single = paired_difference([0, 0], [1, 0], [4, 4])
    assert single.difference == 0.5 and math.isnan(single.low) and math.isnan(single.p)
    nothing = paired_difference([math.nan], [1])
    assert nothing.n == 0 and math.isnan(nothing.difference)
    assert paired_difference([1, 2, 3], [1, 2, 3]) == (0, 0, 0, 1, 3)
    assert paired_difference([1, 2, 3], [2, 3, 4]) == (1, 1, 1, 0, 3)
    for wrong in ([[1], [1, 2]], [[1, 2], [1, 2], [0]]):
        with pytest.raises(ValueError, match="the same queries"):
            paired_difference(*wrong)
