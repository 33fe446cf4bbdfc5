"""One figure from many: means that say what they left out, and how far a figure can be trusted."""

import math
from typing import NamedTuple

import numpy as np

from devise.figures import Comparison, Spread
from devise.metrics.relevance import NO_LABEL

BLOCK = 4_000_000  # resampled values held at a time


class Mean(NamedTuple):
    """A mean, over how many it was taken, and how many were undefined and left out.

    Attributes:
        value: NaN where nothing was defined.
        n: the number of queries, or classes, in it.
        undefined: how many were NaN.

    >>> mean_over_queries(np.array([1.0, 0.0, np.nan]))
    Mean(value=0.5, n=2, undefined=1)
    """

    value: float
    n: int
    undefined: int


def mean_over_queries(values):
    """The mean of the defined values; every query counts the same.

    Args:
        values: float (n_queries,), NaN where undefined.

    >>> mean_over_queries([1, 0, np.nan])
    Mean(value=0.5, n=2, undefined=1)
    """
    values = _row(values)
    defined = values[~np.isnan(values)]
    value = float(defined.mean()) if defined.size else math.nan
    return Mean(value, int(defined.size), int(values.size - defined.size))


def mean_over_classes(values, labels):
    """The mean of the classes' means; every class counts the same, however many queries it has.

    Args:
        values: float (n_queries,), NaN where undefined.
        labels: int (n_queries,), the class of each query; those of -1, no label, are left out.
    Returns:
        Mean over classes; a class without a defined value is undefined.
    Raises:
        ValueError: if there is not one label a value.

    >>> mean_over_classes([1, 1, 1, 0], [7, 7, 7, 9])
    Mean(value=0.5, n=2, undefined=0)
    """
    values, labels = _row(values), np.asarray(labels)
    if labels.shape != values.shape:
        raise ValueError(f"labels have shape {labels.shape}: expected one a value, {values.shape}")
    classes = np.unique(labels[labels != NO_LABEL])
    return mean_over_queries([mean_over_queries(values[labels == label]).value for label in classes])


def harmonic_mean(*values):
    """n / Σ 1/x, which is small as soon as one value is; 0 if one is 0.

    Of the seen and the unseen classes' accuracy it is the H of generalised zero-shot learning
    (Xian et al. 2017, Zero-Shot Learning: The Good, the Bad and the Ugly).

    Raises:
        ValueError: for no values, or negative ones.

    >>> round(harmonic_mean(0.9, 0.1), 3)
    0.18
    """
    if not values or any(value < 0 for value in values):
        raise ValueError(f"values are {values}: expected one or more, none negative")
    if any(math.isnan(value) for value in values):
        return math.nan
    return 0.0 if min(values) == 0 else len(values) / sum(1 / value for value in values)


def spread(values):
    """Mean, standard deviation, range and 95 % Student t interval of repeated runs.

    mean ± t(0.975, n - 1) · std / √n.

    Args:
        values: float (n,), one a run, none NaN.
    Returns:
        Spread.
    Raises:
        ValueError: for no values, or NaN.

    >>> spread([0.90, 0.92, 0.94]).std.__round__(4)
    0.02
    """
    values = _row(values)
    if not values.size or np.isnan(values).any():
        raise ValueError(f"values are {values.tolist()}: expected one or more, each defined")
    from scipy.special import stdtrit  # comes with gensim

    n, mean = values.size, float(values.mean())
    std = float(values.std(ddof=1)) if n > 1 else math.nan
    reach = float(stdtrit(n - 1, 0.975)) * std / math.sqrt(n) if n > 1 else math.nan
    return Spread(mean, std, float(values.min()), float(values.max()), n, mean - reach, mean + reach)


def bootstrap_interval(values, *, seed=0, n_resamples=10_000, confidence=0.95):
    """The percentile interval of the mean, by drawing queries again with replacement.

    Args:
        values: float (n_queries,); NaN is left out.
        confidence: 0.95 takes the means between the 2.5th and the 97.5th percentile.
    Returns:
        low and high, NaN where no value is defined.

    >>> low, high = bootstrap_interval([0, 1] * 50)
    >>> low < 0.5 < high
    True
    """
    values = _row(values)
    values = values[~np.isnan(values)]
    if not values.size:
        return math.nan, math.nan
    return _percentiles(_resampled_means(values, seed, n_resamples), confidence)


def paired_bootstrap(a, b, *, seed=0, n_resamples=10_000, confidence=0.95):
    """How much better b is than a on the same queries, by drawing pairs again with replacement.

    p is twice the share of resampled mean differences on the other side of 0 (after Koehn 2004,
    Statistical Significance Tests for Machine Translation Evaluation), and never below
    2 / (n_resamples + 1).

    Args:
        a, b: float (n_queries,), the same queries in the same order; a pair with a NaN is left out.
    Returns:
        Comparison.
    Raises:
        ValueError: if a and b differ in length.

    >>> paired_bootstrap([0, 1, 0, 1], [1, 1, 1, 1]).difference
    0.5
    """
    a, b = _row(a), _row(b)
    if a.shape != b.shape:
        raise ValueError(f"a has {a.size} values and b {b.size}: expected the same queries in both")
    differences = b - a
    differences = differences[~np.isnan(differences)]
    if not differences.size:
        return Comparison(math.nan, math.nan, math.nan, math.nan, 0)
    means = _resampled_means(differences, seed, n_resamples)
    fewer = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    p = min(1.0, 2 * (fewer + 1) / (n_resamples + 1))
    return Comparison(float(differences.mean()), *_percentiles(means, confidence), p, differences.size)


def _row(values):
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"values have shape {values.shape}: expected one value a query, (n,)")
    return values


def _resampled_means(values, seed, n_resamples):
    generator = np.random.default_rng(seed)
    means = np.empty(n_resamples)
    step = max(1, BLOCK // values.size)
    for start in range(0, n_resamples, step):
        part = means[start:start + step]
        part[:] = values[generator.integers(0, values.size, (len(part), values.size))].mean(axis=1)
    return means


def _percentiles(means, confidence):
    outside = (1 - confidence) / 2
    low, high = np.quantile(means, [outside, 1 - outside])
    return float(low), float(high)
