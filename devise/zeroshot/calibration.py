"""Generalised zero-shot: seen classes held back, so that unseen ones can win against them."""

import numpy as np

from devise.metrics import harmonic_mean, seen_unseen_curve
from devise.zeroshot.base import Adjusted


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

    def __init__(self, rule, seen, gamma):
        super().__init__(rule)
        if not np.isfinite(gamma):
            raise ValueError(f"gamma is {gamma}: expected a number")
        self.seen, self.gamma = _mask(seen, rule.n_candidates), float(gamma)

    def compare(self, rows):
        scores = self.rule.compare(rows)
        _mask(self.seen, scores.shape[1])
        return scores - np.float32(self.gamma) * self.seen


def choose_gamma(scores, labels, seen):
    """The γ with the largest harmonic mean of seen and unseen hit@1; of several, the middle one.

    Give it validation pictures, those of the unseen kind from classes that were held out of the
    training for this (`class_folds`): a γ chosen on the unseen classes themselves knows too much.

    Args:
        scores: (n, c), a rule's scores before stacking.
        labels: int (n,), the right candidate of each picture; -1, no label, is left out.
        seen: bool (c,), the candidates that were trained on.
    Returns:
        float.
    Raises:
        ValueError: as `devise.metrics.seen_unseen_curve`, which the means are of.

    >>> round(choose_gamma([[.9, .5], [.8, .6]], [0, 1], [True, False]), 3)
    0.3
    """
    curve = seen_unseen_curve(scores, labels, seen)
    means = np.array([harmonic_mean(*pair) for pair in zip(curve.seen, curve.unseen, strict=True)])
    best = np.flatnonzero(means == means.max())
    margins = curve.gammas[1:]  # a picture turns at each of them: stay off, halfway to the next
    between = np.concatenate([[margins[0] - 1], (margins[:-1] + margins[1:]) / 2, [margins[-1] + 1]])
    return float(between[best[len(best) // 2]])


def _mask(seen, n):
    """`seen` as bool (n,), or of any length where n is None."""
    seen = np.asarray(seen)
    if seen.dtype != bool or seen.ndim != 1 or n not in (None, len(seen)):
        raise ValueError(f"seen is {seen.dtype} {seen.shape}: expected bool ({'c' if n is None else n},), "
                         "one a candidate")
    return seen
