"""One figure from many: means that say what they left out, and 95 % intervals of means and differences."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.figures import Comparison, Spread

NO_LABEL = -1  # a label that is never right


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


def label_rows(values: ArrayLike, name: str, n_axes: int, n_labels: int) -> NDArray[np.int64]:
    """Labels as int64, each in 0..n_labels - 1 or NO_LABEL."""
    values = np.asarray(values)
    if values.ndim != n_axes or (values.size and not np.issubdtype(values.dtype, np.integer)):
        raise ValueError(f"{name} have shape {values.shape} and dtype {values.dtype}: expected whole "
                         f"numbers, {n_axes} axes")
    if values.size and not (NO_LABEL <= values.min() and values.max() < n_labels):
        raise ValueError(f"{name} run from {values.min()} to {values.max()}: expected 0 to {n_labels - 1}, and -1 for "
                         "none")
    return values.astype(np.int64)


def mean_over_queries(values: ArrayLike) -> Mean:
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


def mean_over_classes(values: ArrayLike, labels: ArrayLike) -> Mean:
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


def spread(values: ArrayLike) -> Spread:
    """Mean, standard deviation, range and 95 % Student t interval of repeated runs.

    mean ± t(0.975, n - 1) · std / √n.

    Args:
        values: float (n,), one a run, none NaN.
    Raises:
        ValueError: for no values, or NaN.

    >>> spread([0.90, 0.92, 0.94]).std.__round__(4)
    0.02
    """
    values = _row(values)
    if not values.size or np.isnan(values).any():
        raise ValueError(f"values are {values.tolist()}: expected one or more, each defined")
    from scipy.special import stdtrit

    n, mean = values.size, float(values.mean())
    std = float(values.std(ddof=1)) if n > 1 else math.nan
    reach = float(stdtrit(n - 1, 0.975)) * std / math.sqrt(n) if n > 1 else math.nan
    return Spread(mean, std, float(values.min()), float(values.max()), n, mean - reach, mean + reach)


def paired_difference(a: ArrayLike, b: ArrayLike, classes: ArrayLike | None = None) -> Comparison:
    """How much better b is than a on the same queries, with the 95 % interval of a paired t-test.

    Queries of one class share what makes them easy or hard, so that an interval over single queries is
    too narrow for other classes. With `classes` each class counts once, by the mean of its queries'
    differences d: d̄ ± t(0.975, C - 1) · std(d) / √C. Drawing classes again (the cluster bootstrap) covers
    less than it promises where there are few: 77 % for 3 classes, 90 for 12.

    Args:
        a, b: float (n_queries,), the same queries in the same order; a pair with a NaN is left out.
        classes: int (n_queries,), the class of each query, those of -1 being left out; None takes each query
            as one by itself.
    Returns:
        Comparison; of fewer than two queries, or classes, interval and p are NaN.
    Raises:
        ValueError: if lengths differ.

    >>> found = paired_difference([0, 0, 1, 1], [1, 1, 1, 1.5], [5, 5, 8, 8])
    >>> found.difference, found.n, round(found.high, 2)
    (0.625, 4, 5.39)
    """
    from scipy.special import stdtr

    a, b = _row(a), _row(b)
    labels = np.arange(a.size) if classes is None else np.asarray(classes)
    if not a.shape == b.shape == labels.shape:
        raise ValueError(f"a has shape {a.shape}, b {b.shape}, classes {labels.shape}: expected one of each for the "
                         "same queries")
    keep = ~np.isnan(b - a) & (labels != NO_LABEL)
    _, which = np.unique(labels[keep], return_inverse=True)
    if not which.size:
        return Comparison(math.nan, math.nan, math.nan, math.nan, 0)
    found = spread(np.bincount(which, (b - a)[keep]) / np.bincount(which))
    error = found.std / math.sqrt(found.n)
    if error == 0:  # all the same: of no difference nothing speaks against it, any other can't be chance
        p = float(found.mean == 0)
    else:
        p = 2 * float(stdtr(found.n - 1, -abs(found.mean) / error))  # NaN for one class
    return Comparison(found.mean, found.low, found.high, p, int(which.size))


def _row(values: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"values have shape {values.shape}: expected one value a query, (n,)")
    return values
