"""Generalised zero-shot: seen classes held back, so that unseen ones can win against them."""

from typing import NamedTuple

import numpy as np

from devise.metrics import harmonic_mean
from devise.zeroshot.base import Adjusted


class SeenUnseenCurve(NamedTuple):
    """What each handicap of the seen classes costs and brings; per-class mean hit@1 over all candidates.

    Attributes:
        gammas: float64 (m,), rising: one between each two that a picture tells apart.
        seen: float64 (m,), of pictures of seen classes; it falls.
        unseen: float64 (m,), of pictures of unseen classes; it rises.
    """

    gammas: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray

    @property
    def area(self):
        """AUSUC, the area under seen over unseen, from 0 to 1."""
        return float(np.trapezoid(self.seen, self.unseen))


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


def seen_unseen_curve(scores, answers, seen):
    """How hit@1 of seen and of unseen classes trade against one another, exactly, for every γ.

    Args:
        scores: (n, c), a rule's scores before stacking.
        answers: int (n,), the right candidate of each picture.
        seen: bool (c,), the candidates that were trained on.
    Returns:
        SeenUnseenCurve.
    Raises:
        ValueError: if shapes differ, scores hold NaN or infinity, or there are no pictures of seen,
            or of unseen classes.

    >>> curve = seen_unseen_curve([[.9, .5], [.8, .6]], [0, 1], [True, False])
    >>> curve.seen, curve.unseen, curve.area
    (array([1., 1., 0.]), array([0., 1., 1.]), 1.0)
    """
    scores, answers, seen = _checked(scores, answers, seen)
    # γ moves all seen candidates alike: only the best of either kind can come first
    best_seen, best_unseen = (np.where(kind, scores, -np.inf).argmax(axis=1) for kind in (seen, ~seen))
    rows = np.arange(len(scores))
    margins = scores[rows, best_seen] - scores[rows, best_unseen]
    steps = np.unique(margins)
    gammas = np.concatenate([[steps[0] - 1], (steps[:-1] + steps[1:]) / 2, [steps[-1] + 1]])
    weights = _class_weights(answers, seen)
    return SeenUnseenCurve(gammas, _below(-margins, weights * (best_seen == answers), -gammas),
                           _below(margins, weights * (best_unseen == answers), gammas))


def choose_gamma(scores, answers, seen):
    """The γ with the largest harmonic mean of seen and unseen hit@1; of several, the middle one.

    Give it validation pictures, those of the unseen kind from classes that were held out of the
    training for this (`class_folds`): a γ chosen on the unseen classes themselves knows too much.

    Args:
        scores, answers, seen: as `seen_unseen_curve`.

    >>> round(choose_gamma([[.9, .5], [.8, .6]], [0, 1], [True, False]), 3)
    0.3
    """
    curve = seen_unseen_curve(scores, answers, seen)
    means = np.array([harmonic_mean(*pair) for pair in zip(curve.seen, curve.unseen, strict=True)])
    best = np.flatnonzero(means == means.max())
    return float(curve.gammas[best[len(best) // 2]])


def _class_weights(answers, seen):
    """What a picture counts, so that each class counts the same and each kind of class sums to 1."""
    classes = np.unique(answers)
    n_seen = seen[classes].sum()
    return 1 / np.bincount(answers)[answers] / np.where(seen[answers], n_seen, len(classes) - n_seen)


def _below(margins, weights, gammas):
    """For each γ, the sum of the weights of the margins below it."""
    order = np.argsort(margins)
    sums = np.concatenate([[0.0], np.cumsum(weights[order])])
    return sums[np.searchsorted(margins[order], gammas)]


def _checked(scores, answers, seen):
    scores, answers = np.asarray(scores, dtype=np.float64), np.asarray(answers)
    if scores.ndim != 2 or not np.isfinite(scores).all():
        raise ValueError(f"scores have shape {scores.shape}: expected (n, c), none of them NaN or infinite")
    n, n_candidates = scores.shape
    seen = _mask(seen, n_candidates)
    if answers.shape != (n,) or answers.dtype.kind not in "iu":
        raise ValueError(f"answers are {answers.dtype} {answers.shape}: expected integers ({n},)")
    if n and not 0 <= answers.min() <= answers.max() < n_candidates:
        raise ValueError(f"answers run from {answers.min()} to {answers.max()}: expected candidates, "
                         f"0 to {n_candidates - 1}")
    of_seen = int(seen[answers].sum())
    if of_seen in (0, n):
        raise ValueError(f"{of_seen} of {n} pictures are of seen classes: expected some of seen and some of "
                         "unseen ones, as class_folds gives them")
    return scores, answers, seen


def _mask(seen, n):
    """`seen` as bool (n,), or of any length where n is None."""
    seen = np.asarray(seen)
    if seen.dtype != bool or seen.ndim != 1 or n not in (None, len(seen)):
        raise ValueError(f"seen is {seen.dtype} {seen.shape}: expected bool ({'c' if n is None else n},), "
                         "one a candidate")
    return seen
