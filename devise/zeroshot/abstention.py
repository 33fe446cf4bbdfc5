"""No tag rather than a wrong one: scores below a threshold are no hits, and what that costs."""

from typing import NamedTuple

import numpy as np

from devise.zeroshot.base import Adjusted


class CoverageCurve(NamedTuple):
    """Accuracy against coverage, one point for each score that a threshold may take.

    Attributes:
        thresholds: float64 (m,), falling.
        coverage: float64 (m,), the share of pictures whose score is at least that; it rises to 1.
        accuracy: float64 (m,), the share of those that is right.

    >>> curve = coverage_curve([0.9, 0.8, 0.3], [True, True, False])
    >>> curve.accuracy.round(2).tolist()
    [1.0, 1.0, 0.67]
    """

    thresholds: np.ndarray
    coverage: np.ndarray
    accuracy: np.ndarray


class Abstain(Adjusted):
    """A rule that leaves out candidates it scores below a threshold, all of them if need be.

    Rows of Hits are then short, padded with -1 and -inf. Wrap it around the other corrections: they
    need all scores.

    Args:
        rule: Rule.
        threshold: in units of the rule's scores; `choose_threshold` finds one.

    >>> from devise.zeroshot.nearest import NearestLabel
    >>> Abstain(NearestLabel([[1, 0], [0, 1]]), 0.9).tag([[1, 0], [1, 1]], k=2).ids
    array([[ 0, -1],
           [-1, -1]])
    """

    def __init__(self, rule, threshold):
        super().__init__(rule)
        if np.isnan(threshold):
            raise ValueError("threshold is NaN: expected a score")
        self.threshold = threshold

    def compare(self, rows):
        scores = self.rule.compare(rows)
        return np.where(scores >= self.threshold, scores, np.float32(-np.inf))


def coverage_curve(scores, right):
    """Which share of pictures a threshold leaves with a tag, and how many of those tags are right.

    The risk–coverage curve of El-Yaniv and Wiener (2010, On the Foundations of Noise-free Selective
    Classification), with accuracy for risk. Pictures of equal score come and go together.

    Args:
        scores: (n,), of each picture's first tag.
        right: bool (n,), whether that tag is right.
    Returns:
        CoverageCurve.
    Raises:
        ValueError: for no pictures, NaN or infinite scores, or other lengths.

    >>> curve = coverage_curve([0.9, 0.5, 0.7], [True, False, True])
    >>> curve.coverage.round(2), curve.accuracy.round(2)
    (array([0.33, 0.67, 1.  ]), array([1.  , 1.  , 0.67]))
    """
    scores, right = np.asarray(scores, dtype=np.float64), np.asarray(right)
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
        raise ValueError(f"scores have shape {scores.shape}: expected one a picture, (n,) with n > 0, "
                         "none of them NaN or infinite")
    if right.shape != scores.shape or right.dtype != bool:
        raise ValueError(f"right is {right.dtype} {right.shape}: expected bool {scores.shape}")
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    tagged = last + 1
    return CoverageCurve(scores[order][last], tagged / len(scores), right[order].cumsum()[last] / tagged)


def choose_threshold(scores, right, accuracy=0.9):
    """The lowest threshold above which the first tags reach an accuracy, so that coverage is largest.

    Args:
        scores, right: as `coverage_curve`, of validation pictures.
        accuracy: the share that has to be right.
    Raises:
        ValueError: if no threshold reaches it.

    >>> choose_threshold([0.9, 0.5, 0.7], [True, False, True])
    0.7
    """
    curve = coverage_curve(scores, right)
    enough = np.flatnonzero(curve.accuracy >= accuracy)
    if not enough.size:
        best = curve.accuracy.argmax()
        raise ValueError(f"no threshold gives an accuracy of {accuracy}: ask for {curve.accuracy[best]:.3f} "
                         f"or less, which leaves a tag to {curve.coverage[best]:.3f} of the pictures")
    return float(curve.thresholds[enough[-1]])
