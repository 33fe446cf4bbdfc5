"""Whether two pictures, or a picture and a gallery, belong together at all: acceptance by a threshold.

A pair is accepted where its score is at least the threshold, so pairs of one score are accepted or
rejected together. `same` says which pairs do belong together (genuine), the others are impostors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Roc(NamedTuple):
    """Both kinds of acceptance for every threshold that makes a difference.

    Attributes:
        thresholds: float64 (m,), descending: inf, which accepts nothing, then each distinct score.
        false_accept_rate: float64 (m,), the share of impostors at or above each, rising from 0 to 1.
        true_accept_rate: float64 (m,), that of the genuine.
        area: under the line through the points (false, true).

    >>> roc([0.9, 0.6, 0.7, 0.2], np.array([True, True, False, False])).true_accept_rate.tolist()
    [0.0, 0.5, 0.5, 1.0, 1.0]
    """

    thresholds: NDArray[np.float64]
    false_accept_rate: NDArray[np.float64]
    true_accept_rate: NDArray[np.float64]
    area: float


def roc(scores: ArrayLike, same: ArrayLike) -> Roc:
    """True against false accepts for every threshold.

    Args:
        scores: float (n,), higher is more alike.
        same: bool (n,), the genuine ones.
    Raises:
        ValueError: if a score is NaN, or there is no genuine or no impostor one.

    >>> curve = roc([0.9, 0.8, 0.3], [True, False, True])
    >>> curve.false_accept_rate, curve.true_accept_rate, curve.area
    (array([0., 0., 1., 1.]), array([0. , 0.5, 0.5, 1. ]), 0.5)
    """
    from sklearn.metrics import auc, roc_curve

    scores, same = _pairs(scores, same)
    false, true, thresholds = roc_curve(same, scores, drop_intermediate=False)
    return Roc(thresholds, false, true, float(auc(false, true)))


def equal_error_rate(scores: ArrayLike, same: ArrayLike) -> float:
    """The rate at which as many impostors are accepted as genuine ones are rejected.

    Between two thresholds neither rate is defined; the line between their points is taken, so that
    scores which say nothing have 0.5.

    Args:
        scores, same: as of `roc`.
    Returns:
        float in [0, 1].

    >>> equal_error_rate([0.9, 0.8, 0.7, 0.1], [True, False, True, False])
    0.5
    """
    curve = roc(scores, same)
    gap = curve.false_accept_rate - (1 - curve.true_accept_rate)  # rises from -1 to 1
    after = int(np.argmax(gap >= 0))
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    low, high = curve.false_accept_rate[after - 1:after + 1]
    return float(low + share * (high - low))


def threshold_at(impostor_scores: ArrayLike, false_accept_rate: float) -> float:
    """The lowest threshold that accepts at most a share of the impostors.

    Of n impostors at most ⌊false_accept_rate · n⌋ are accepted; fewer where the next ones have the same score.

    Args:
        impostor_scores: float (n,).
        false_accept_rate: the wanted share, 0 to 1.
    Returns:
        float: just above the best score that must be rejected; -inf where all may be accepted.
    Raises:
        ValueError: if there is no impostor, a score is NaN, or the rate is not in 0..1.

    >>> threshold = threshold_at([0.1, 0.2, 0.3, 0.9], false_accept_rate=0.25)
    >>> [score >= threshold for score in (0.3, 0.31, 0.9)]
    [False, True, True]
    """
    scores = np.asarray(impostor_scores, np.float64)
    if scores.ndim != 1 or not scores.size or np.isnan(scores).any():
        raise ValueError(f"impostor scores have shape {scores.shape}: expected one or more, none NaN")
    if not 0 <= false_accept_rate <= 1:
        raise ValueError(f"false_accept_rate is {false_accept_rate}: expected a share from 0 to 1")
    accepted = math.floor(false_accept_rate * scores.size + 1e-9)  # 0.29 · 100 is 28.999…
    if accepted >= scores.size:
        return -math.inf
    return float(np.nextafter(np.sort(scores)[scores.size - 1 - accepted], np.inf))


def true_accept_rate(scores: ArrayLike, same: ArrayLike, false_accept_rate: float) -> float:
    """The share of the genuine that is accepted where at most a share of the impostors is (TAR@FAR).

    Args:
        scores, same: as of `roc`.
        false_accept_rate: the wanted share, 0 to 1.
    Returns:
        float in [0, 1], at the threshold of `threshold_at`.

    >>> true_accept_rate([0.9, 0.8, 0.7, 0.1], [True, False, True, False], false_accept_rate=0)
    0.5
    """
    scores, same = _pairs(scores, same)
    return float((scores[same] >= threshold_at(scores[~same], false_accept_rate)).mean())


def _pairs(scores, same):
    scores, same = np.asarray(scores, np.float64), np.asarray(same)
    if scores.ndim != 1 or same.shape != scores.shape or same.dtype != bool:
        raise ValueError(f"scores have shape {scores.shape}, same has {same.shape} and dtype {same.dtype}: expected "
                         "a score and a bool a pair")
    if np.isnan(scores).any():
        raise ValueError(f"{np.isnan(scores).sum()} scores are NaN: leave those pairs out, and say how many")
    if same.all() or not same.any():
        raise ValueError(f"{same.sum()} of {same.size} pairs are genuine: expected genuine and impostor ones")
    return scores, same
