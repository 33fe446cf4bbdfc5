"""Intervals where queries are not independent of one another: those of one class stand or fall together."""

import math

import numpy as np

from devise.metrics.relevance import NO_LABEL
from devise.metrics.summary import BLOCK, Comparison


def cluster_bootstrap(a, b, classes, *, seed=0, n_resamples=10_000, confidence=0.95):
    """How much better b is than a on the same queries, by drawing whole classes again with replacement.

    Queries of one class share what makes them easy or hard, so that drawing single queries gives
    intervals that are too narrow. The mean of a draw is over its queries: Σ of the drawn classes'
    differences / Σ of their numbers of queries (the cluster bootstrap; Davison and Hinkley 1997,
    Bootstrap Methods and their Application, section 3.8). p is as of `paired_bootstrap`.

    Args:
        a, b: float (n_queries,), the same queries in the same order; a pair with a NaN is left out.
        classes: int (n_queries,), the class of each query; those of -1 are left out.
    Returns:
        Comparison; of fewer than two classes, interval and p are NaN.
    Raises:
        ValueError: if lengths differ.

    >>> cluster_bootstrap([0, 0, 1, 1], [1, 1, 1, 1], [5, 5, 8, 8]).difference
    0.5
    """
    a, b, classes = np.asarray(a, np.float64), np.asarray(b, np.float64), np.asarray(classes)
    if a.ndim != 1 or not a.shape == b.shape == classes.shape:
        raise ValueError(f"a has shape {a.shape}, b {b.shape}, classes {classes.shape}: expected one of each a query")
    differences = b - a
    keep = ~np.isnan(differences) & (classes != NO_LABEL)
    differences = differences[keep]
    if not differences.size:
        return Comparison(math.nan, math.nan, math.nan, math.nan, 0)
    _, which = np.unique(classes[keep], return_inverse=True)
    sums, sizes = np.bincount(which, differences), np.bincount(which)
    if len(sizes) < 2:
        return Comparison(float(differences.mean()), math.nan, math.nan, math.nan, differences.size)
    means = _resampled_means(sums, sizes, np.random.default_rng(seed), n_resamples)
    outside = (1 - confidence) / 2
    low, high = np.quantile(means, [outside, 1 - outside])
    fewer = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    p = min(1.0, 2 * (fewer + 1) / (n_resamples + 1))
    return Comparison(float(differences.mean()), float(low), float(high), p, differences.size)


def _resampled_means(sums, sizes, random, n_resamples):
    """Means over the queries of classes that are drawn again, as often each as there are classes."""
    means, n = np.empty(n_resamples), len(sizes)
    step = max(1, BLOCK // n)
    for start in range(0, n_resamples, step):
        part = means[start:start + step]
        times = random.multinomial(n, np.full(n, 1 / n), len(part))
        part[:] = (times @ sums) / (times @ sizes)
    return means
