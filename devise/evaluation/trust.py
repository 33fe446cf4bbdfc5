"""How far a threshold can be trusted that was chosen on few classes: what other classes would have given."""

import math
from typing import NamedTuple

import numpy as np

from devise.evaluation.scores import labels_of_rows, score_blocks
from devise.metrics.open_set import threshold_at
from devise.metrics.relevance import NO_LABEL

MOST = 200  # classes that are drawn from; of more the interval is narrow, and the table of scores large


class Trust(NamedTuple):
    """The 95 % intervals of a threshold and of the share of unknown pictures that it lets in.

    Attributes:
        low, high: of the threshold, a cosine.
        far_low, far_high: of the false-accept rate on classes that did not choose the threshold.
        far: its mean.
        classes: how many classes they rest on.

    >>> trust = Trust(low=0.71, high=0.79, far_low=0.0, far_high=0.04, far=0.02, classes=12)
    >>> trust.far_low <= trust.far <= trust.far_high
    True
    """

    low: float
    high: float
    far_low: float
    far_high: float
    far: float
    classes: int

    def sentence(self, threshold, asked):
        """What it says of a threshold, for a reader.

        Args:
            threshold: the cosine that these classes chose.
            asked: the false-accept rate that was asked for.

        >>> Trust(0.6, 0.7, 0.0, 0.2, 0.08, classes=9).sentence(0.65, 0.05)[:47]
        '9 validation classes chose the threshold of 0.6'
        """
        said = f"{self.classes} validation classes chose the threshold of {threshold:.3f}"
        if math.isnan(self.far):
            return f"{said}: too few to say what it lets in of other classes; give three or more, better dozens"
        return (f"{said}: other such classes would give {self.low:.3f} to {self.high:.3f}, and it lets in "
                f"{100 * self.far_low:.1f} to {100 * self.far_high:.1f} % of unknown pictures (95 % intervals over "
                f"classes), {100 * self.far:.1f} % on average, where {100 * asked:.1f} % were asked for")


def threshold_trust(embeddings, labels, *, far=0.01, seed=0, n_resamples=1000, confidence=0.95):
    """How a threshold varies, and what it does, as other classes choose it.

    Each resample draws as many classes as there are, with replacement. Those drawn choose a
    threshold among themselves, as `choose_threshold` does, a class drawn twice counting twice. The
    pictures of the classes that were not drawn then ask a gallery of those that were: all are
    unknown, so the share at or above the threshold is a false-accept rate that nothing was fitted to
    (Efron 1983, Estimating the Error Rate of a Prediction Rule, whose ε₀ leaves out rows as this
    leaves out classes).

    Args:
        embeddings, labels: as of `choose_threshold`; rows of -1 are left out.
        far: the wanted false-accept rate.
    Returns:
        Trust; of fewer than three classes every figure is NaN.

    >>> rows, labels = np.eye(6)[[0, 0, 1, 1, 2, 2]] + 0.1, [0, 0, 1, 1, 2, 2]
    >>> threshold_trust(rows, labels, far=0.0, n_resamples=50).classes
    3
    """
    labels = labels_of_rows(labels, len(embeddings))
    best, own = _class_scores(embeddings, labels, seed)
    n = best.shape[1]
    if n < 3:
        return Trust(*[np.nan] * 5, n)
    random, thresholds, rates = np.random.default_rng([seed, 1]), [], []
    for _ in range(n_resamples):
        times = np.bincount(random.integers(n, size=n), minlength=n)
        drawn = np.flatnonzero(times)
        if len(drawn) < 2:
            continue  # one class alone has no impostor
        inside = times[own] > 0
        scores, mine = best[np.ix_(inside, drawn)], np.searchsorted(drawn, own[inside])
        scores[np.arange(len(scores)), mine] = -np.inf
        thresholds.append(threshold_at(np.repeat(scores.max(axis=1), times[own[inside]]), far))
        if not inside.all():
            rates.append(float((best[np.ix_(~inside, drawn)].max(axis=1) >= thresholds[-1]).mean()))
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    # an end lies between two draws that may be -inf, of which there is no mean: take one that was drawn
    low, high = np.quantile(thresholds, ends, method="nearest")
    far_low, far_high = np.quantile(rates, ends)
    return Trust(float(low), float(high), float(far_low), float(far_high), float(np.mean(rates)), n)


def _class_scores(embeddings, labels, seed):
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
