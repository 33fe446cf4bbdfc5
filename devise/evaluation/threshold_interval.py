"""The interval of a threshold that was chosen on few classes: what other classes would have given."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.arrays import Rows
from devise.evaluation.scores import labels_of_rows, score_blocks
from devise.figures import number, percent, score
from devise.metrics import NO_LABEL, threshold_at

MOST = 200  # classes that are drawn from; of more the interval is narrow, and the table of scores large


class ThresholdInterval(NamedTuple):
    """What 95 of 100 redraws of the classes give for a threshold and for the share of unknown pictures it lets in.

    Attributes:
        low, high: of the threshold, a cosine.
        accepted_low, accepted_high: of the false-accept rate on classes that did not choose the threshold.
        accepted: its mean.
        classes: how many classes they rest on.

    >>> found = ThresholdInterval(0.71, 0.79, accepted_low=0.0, accepted_high=0.04, accepted=0.02, classes=12)
    >>> found.accepted_low <= found.accepted <= found.accepted_high
    True
    """

    low: float
    high: float
    accepted_low: float
    accepted_high: float
    accepted: float
    classes: int

    def sentence(self, threshold: float, asked: float) -> str:
        """What it says of a threshold, for a reader.

        Args:
            threshold: the cosine that these classes chose.
            asked: the false-accept rate that was asked for.

        >>> ThresholdInterval(0.6, 0.7, 0.0, 0.2, 0.08, classes=9).sentence(0.65, 0.05)[:47]
        '9 validation classes chose the threshold of 0.6'
        """
        said = f"{self.classes} validation classes chose the threshold of {score(threshold)}"
        if math.isnan(self.accepted):
            return f"{said}: too few to say what it lets in of other classes; give three or more, better dozens"
        return (f"{said}: 95 of 100 redraws of the classes give {score(self.low)} to {score(self.high)}, and let in "
                f"{number(self.accepted_low, 'percent')} to {percent(self.accepted_high)} of unknown pictures, "
                f"{percent(self.accepted)} on average, where {percent(asked)} were asked for")


def threshold_interval(embeddings: Rows, labels: ArrayLike, *, false_accept_rate: float = 0.01, seed: int = 0,
                       n_resamples: int = 1000) -> ThresholdInterval:
    """How a threshold varies, and what it does, as other classes choose it.

    Each resample draws as many classes as there are, with replacement. Those drawn choose a
    threshold among themselves, as `choose_threshold` does, a class drawn twice counting twice. The
    pictures of the classes that were not drawn then ask a gallery of those that were: all are
    unknown, so the share at or above the threshold is a false-accept rate that nothing was fitted to
    (Efron 1983, Estimating the Error Rate of a Prediction Rule, whose ε₀ leaves out rows as this
    leaves out classes).

    Args:
        embeddings, labels: as of `choose_threshold`; rows of -1 are left out.
        false_accept_rate: the wanted share of unknown pictures that are let in.
    Returns:
        ThresholdInterval; of fewer than three classes every figure is NaN.

    >>> rows, labels = np.eye(6)[[0, 0, 1, 1, 2, 2]] + 0.1, [0, 0, 1, 1, 2, 2]
    >>> threshold_interval(rows, labels, false_accept_rate=0.0, n_resamples=50).classes
    3
    """
    labels = labels_of_rows(labels, len(embeddings))
    best, own = _class_scores(embeddings, labels, seed)
    n = best.shape[1]
    if n < 3:
        return ThresholdInterval(np.nan, np.nan, np.nan, np.nan, np.nan, n)
    random, thresholds, rates = np.random.default_rng([seed, 1]), [], []
    for _ in range(n_resamples):
        times = np.bincount(random.integers(n, size=n), minlength=n)
        drawn = np.flatnonzero(times)
        if len(drawn) < 2:
            continue  # one class alone has no impostor
        inside = times[own] > 0
        scores, mine = best[np.ix_(inside, drawn)], np.searchsorted(drawn, own[inside])
        scores[np.arange(len(scores)), mine] = -np.inf
        thresholds.append(threshold_at(np.repeat(scores.max(axis=1), times[own[inside]]), false_accept_rate))
        if not inside.all():
            rates.append(float((best[np.ix_(~inside, drawn)].max(axis=1) >= thresholds[-1]).mean()))
    ends = [0.025, 0.975]
    # an end lies between two draws that may be -inf, of which there is no mean: take one that was drawn
    low, high = np.quantile(thresholds, ends, method="nearest")
    accepted_low, accepted_high = np.quantile(rates, ends)
    return ThresholdInterval(float(low), float(high), float(accepted_low), float(accepted_high),
                             float(np.mean(rates)), n)


def _class_scores(embeddings: Rows, labels: NDArray[np.int64], seed: int) -> tuple[NDArray, NDArray]:
    """The best cosine of each labelled row with each class, itself left out, (n, C), and its own class, (n,)."""
    names = np.unique(labels[labels != NO_LABEL])
    if len(names) > MOST:
        names = np.random.default_rng([seed, 0]).choice(names, MOST, replace=False)
    rows = np.flatnonzero(np.isin(labels, names))
    rows = rows[np.argsort(labels[rows], kind="stable")]  # class by class, so that each is a run of columns
    if not rows.size:
        return np.empty((0, 0), np.float32), rows
    _, own = np.unique(labels[rows], return_inverse=True)
    starts = np.flatnonzero(np.diff(own, prepend=-1))
    chosen = np.asarray(embeddings)[rows]
    everyone = np.arange(len(rows))
    parts = [np.maximum.reduceat(block.scores, starts, axis=1) for block in score_blocks(chosen, everyone, everyone)]
    return np.concatenate(parts), own
