"""Accuracy where seen and unseen classes are candidates together, at one calibration or at all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.metrics.summary import NO_LABEL, Mean, label_rows, mean_over_classes


class Generalised(NamedTuple):
    """Per-class mean top-1 over all candidates.

    Attributes:
        unseen: u, of the pictures of unseen classes.
        seen: s, of the pictures of seen classes.
        harmonic: H, their harmonic mean.

    >>> Generalised(unseen=0.25, seen=0.75, harmonic=0.375).harmonic
    0.375
    """

    unseen: float
    seen: float
    harmonic: float


class Curve(NamedTuple):
    """Seen against unseen accuracy for every calibration.

    Attributes:
        gammas: float64 (m,), ascending from -inf; point i holds between gammas[i] and gammas[i + 1].
        seen: float64 (m,), per-class mean top-1 of the pictures of seen classes, falling to 0.
        unseen: float64 (m,), that of the pictures of unseen classes, rising from 0.
        area: AUSUC, the area under the line through the points (unseen, seen).

    >>> curve = seen_unseen_curve([[0.9, 0.1], [0.6, 0.4]], [0, 1], np.array([True, False]))
    >>> curve.seen.tolist(), curve.unseen.tolist()
    ([1.0, 1.0, 0.0], [0.0, 1.0, 1.0])
    """

    gammas: NDArray[np.float64]
    seen: NDArray[np.float64]
    unseen: NDArray[np.float64]
    area: float


def per_class_top1(scores: ArrayLike, labels: ArrayLike) -> Mean:
    """The mean over classes of the share of their pictures whose best score is their class's.

    Ties go to the smaller class.

    Args:
        scores: float (n, C), higher is better.
        labels: int (n,), columns of `scores`; -1, no label, is left out.
    Returns:
        Mean over the classes that have pictures.
    Raises:
        ValueError: if scores hold NaN or a label is no column.

    >>> per_class_top1([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 0, 1]).value
    0.25
    """
    scores, labels = _scores(scores, labels)
    return mean_over_classes(scores.argmax(axis=1) == labels, labels)


def generalised(scores: ArrayLike, labels: ArrayLike, seen: ArrayLike, *, gamma: float = 0.0) -> Generalised:
    """u, s and H of generalised zero-shot learning: every class is a candidate for every picture.

    A picture goes to argmax of score − γ · [the class is seen], of equal ones to the smaller class, as
    in `per_class_top1`: the calibrated stacking of Chao et al. 2016, An Empirical Study and Analysis of
    Generalized Zero-Shot Learning, section 3. Per-class means and H as in Xian et al. 2018, Zero-Shot
    Learning: The Good, the Bad and the Ugly, section 4.

    Args:
        scores: float (n, C), higher is better.
        labels: int (n,), columns of `scores`; -1, no label, is left out.
        seen: bool (C,), which classes were trained on.
        gamma: what seen classes give away; 0 leaves the scores as they are.
    Raises:
        ValueError: if there are no pictures, or no classes, of one kind; if scores hold NaN.

    >>> generalised([[0.9, 0.5], [0.6, 0.5]], [0, 1], [True, False], gamma=0.2)
    Generalised(unseen=1.0, seen=1.0, harmonic=1.0)
    """
    from scipy.stats import hmean

    split = _Split(scores, labels, seen)
    as_seen = (split.margins > gamma) | ((split.margins == gamma) & split.seen_first)
    right = np.where(as_seen, split.right_if_seen, split.right_if_unseen)
    unseen, of_seen = (mean_over_classes(right[rows], split.labels[rows]).value
                       for rows in (~split.is_seen, split.is_seen))
    return Generalised(unseen, of_seen, float(hmean([unseen, of_seen])))


def seen_unseen_curve(scores: ArrayLike, labels: ArrayLike, seen: ArrayLike) -> Curve:
    """Seen against unseen accuracy for every γ of calibrated stacking, and the area under the curve.

    Exact, without a grid: a picture turns from seen to unseen at one γ, its best seen less its best
    unseen score, so the accuracies change at these margins alone. The points are those between two
    margins, where no picture has a tie between the two; pictures with the same margin turn together. The
    area is AUSUC of Chao et al. 2016, section 3, by trapezoids between the points.

    Args:
        scores: float (n, C), higher is better.
        labels: int (n,), columns of `scores`; -1, no label, is left out.
        seen: bool (C,), which classes were trained on.
    Raises:
        ValueError: if there are no pictures, or no classes, of one kind; if scores hold NaN.

    >>> seen_unseen_curve([[0.9, 0.5], [0.75, 0.5]], [0, 1], [True, False])
    Curve(gammas=array([-inf, 0.25, 0.4 ]), seen=array([1., 1., 0.]), unseen=array([0., 1., 1.]), area=1.0)
    """
    split = _Split(scores, labels, seen)
    margins, turn = np.unique(split.margins, return_inverse=True)
    _, which, sizes = np.unique(split.labels, return_inverse=True, return_counts=True)
    n_seen, n_unseen = (np.unique(split.labels[rows]).size for rows in (split.is_seen, ~split.is_seen))
    # what each picture adds to its group's per-class mean
    shares = 1 / (sizes[which] * np.where(split.is_seen, n_seen, n_unseen))
    lost = np.bincount(turn, shares * (split.is_seen & split.right_if_seen), len(margins))
    won = np.bincount(turn, shares * (~split.is_seen & split.right_if_unseen), len(margins))
    of_seen = np.append(lost[::-1].cumsum()[::-1], 0.0)  # summed from the end, so that it ends at 0
    unseen = np.append(0.0, won.cumsum())
    area = float(np.trapezoid(of_seen, unseen))
    return Curve(np.append(-np.inf, margins), of_seen, unseen, area)


class _Split:
    """The labelled pictures, each with its best seen class against its best unseen one."""

    def __init__(self, scores, labels, seen):
        scores, labels = _scores(scores, labels)
        seen = np.asarray(seen)
        if seen.shape != scores.shape[1:] or seen.dtype != bool:
            raise ValueError(f"seen has shape {seen.shape} and dtype {seen.dtype}: expected bool "
                             f"({scores.shape[1]},), one a class")
        if seen.all() or not seen.any():
            raise ValueError(f"{seen.sum()} of {seen.size} classes are seen: expected some seen and some "
                             "unseen ones")
        self.labels = labels
        self.is_seen = seen[labels]
        if self.is_seen.all() or not self.is_seen.any():
            raise ValueError(f"{self.is_seen.sum()} of {labels.size} labelled pictures are of seen classes: "
                             "expected pictures of seen and of unseen ones")
        best_seen, of_seen = _best(scores, np.flatnonzero(seen))
        best_unseen, of_unseen = _best(scores, np.flatnonzero(~seen))
        self.right_if_seen, self.right_if_unseen = of_seen == labels, of_unseen == labels
        self.margins, self.seen_first = best_seen - best_unseen, of_seen < of_unseen


def _best(scores, columns):
    """Each picture's best score among some classes, and which class has it, the smallest of several."""
    part = scores[:, columns]
    best = part.argmax(axis=1)
    return part[np.arange(len(part)), best], columns[best]


def _scores(scores, labels):
    """Scores as float64 and labels as int64, of the labelled pictures."""
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f"scores have shape {scores.shape} and labels {labels.shape}: expected (n, classes) "
                         "and (n,)")
    if not np.isfinite(scores).all():
        raise ValueError("scores hold NaN or infinity: expected a finite score for every class")
    labels = label_rows(labels, "labels", 1, scores.shape[1])
    return scores[labels != NO_LABEL], labels[labels != NO_LABEL]
