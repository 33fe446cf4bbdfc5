"""What scores are worth: seen classes held back against unseen ones, doubtful tags left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise.metrics import seen_unseen_curve
from devise.zeroshot.nearest import Adjusted, Rule

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Stacking(Adjusted):
    """Calibrated stacking: seen candidates lose γ of their score.

    score'(x, c) = score(x, c) - γ · [c is seen] (Chao et al. 2016, An Empirical Study and Analysis of
    Generalized Zero-Shot Learning for Object Recognition in the Wild, section 3).

    Args:
        rule: Rule.
        seen: bool (c,), the candidates that were trained on.
        gamma: in units of the rule's scores; `choose_gamma` finds one.

    >>> from devise.zeroshot.nearest import NearestLabel
    >>> rule = Stacking(NearestLabel([[1, 0], [0, 1]]), [True, False], gamma=0.5)
    >>> rule.tag([[4, 3]], k=1).ids
    array([[1]])
    """

    def __init__(self, rule: Rule, seen: ArrayLike, gamma: float):
        super().__init__(rule)
        if not np.isfinite(gamma):
            raise ValueError(f"gamma is {gamma}: expected a number")
        self.seen, self.gamma = _mask(seen, rule.n_candidates), float(gamma)

    def compare(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = self.rule.compare(rows)
        _mask(self.seen, scores.shape[1])
        return scores - np.float32(self.gamma) * self.seen


def choose_gamma(scores: ArrayLike, labels: ArrayLike, seen: ArrayLike) -> float:
    """The γ with the largest harmonic mean of seen and unseen hit@1; of several, the middle one.

    Give it validation images, those of the unseen kind from classes that were held out of the
    training for this (`class_folds`): a γ chosen on the unseen classes themselves knows too much.

    Args:
        scores: (n, c), a rule's scores before stacking.
        labels: int (n,), the right candidate of each image; -1, no label, is left out.
        seen: bool (c,), the candidates that were trained on.
    Raises:
        ValueError: as `devise.metrics.seen_unseen_curve`, which the means are of.

    >>> round(choose_gamma([[.9, .5], [.8, .6]], [0, 1], [True, False]), 3)
    0.3
    """
    from scipy.stats import hmean

    curve = seen_unseen_curve(scores, labels, seen)
    means = hmean([curve.seen, curve.unseen], axis=0)
    best = np.flatnonzero(means == means.max())
    margins = curve.gammas[1:]  # an image turns at each of them: stay off, halfway to the next
    between = np.concatenate([[margins[0] - 1], (margins[:-1] + margins[1:]) / 2, [margins[-1] + 1]])
    return float(between[best[len(best) // 2]])


class CoverageCurve(NamedTuple):
    """Accuracy against coverage, one point for each score that a threshold may take.

    Attributes:
        thresholds: float64 (m,), falling.
        coverage: float64 (m,), the share of images whose score is at least that; it rises to 1.
        accuracy: float64 (m,), the share of those that is right.

    >>> curve = coverage_curve([0.9, 0.8, 0.3], [True, True, False])
    >>> curve.accuracy.round(2).tolist()
    [1.0, 1.0, 0.67]
    """

    thresholds: NDArray[np.float64]
    coverage: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def coverage_curve(scores: ArrayLike, right: ArrayLike) -> CoverageCurve:
    """Accuracy against coverage for every threshold on the scores of first tags.

    The risk–coverage curve of El-Yaniv and Wiener (2010, On the Foundations of Noise-free Selective
    Classification), with accuracy for risk. Pictures of equal score come and go together.

    Args:
        scores: (n,), of each image's first tag.
        right: bool (n,), whether that tag is right.
    Raises:
        ValueError: for no images, NaN or infinite scores, or other lengths.

    >>> curve = coverage_curve([0.9, 0.5, 0.7], [True, False, True])
    >>> curve.coverage.round(2), curve.accuracy.round(2)
    (array([0.33, 0.67, 1.  ]), array([1.  , 1.  , 0.67]))
    """
    scores, right = np.asarray(scores, dtype=np.float64), np.asarray(right)
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
        raise ValueError(f"scores have shape {scores.shape}: expected one an image, (n,) with n > 0, "
                         "none of them NaN or infinite")
    if right.shape != scores.shape or right.dtype != bool:
        raise ValueError(f"right is {right.dtype} {right.shape}: expected bool {scores.shape}")
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    tagged = last + 1
    return CoverageCurve(scores[order][last], tagged / len(scores), right[order].cumsum()[last] / tagged)


def choose_threshold(scores: ArrayLike, right: ArrayLike, accuracy: float = 0.9) -> float:
    """The lowest score from which on first tags reach an accuracy.

    Args:
        scores, right: as `coverage_curve`, of validation images.
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
                         f"or less, which leaves a tag to {curve.coverage[best]:.3f} of the images")
    return float(curve.thresholds[enough[-1]])


def _mask(seen, n):
    """`seen` as bool (n,), or of any length where n is None."""
    seen = np.asarray(seen)
    if seen.dtype != bool or seen.ndim != 1 or n not in (None, len(seen)):
        raise ValueError(f"seen is {seen.dtype} {seen.shape}: expected bool ({'c' if n is None else n},), "
                         "one a candidate")
    return seen
