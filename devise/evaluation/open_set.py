"""Retrieval that may refuse: does a query have a match in the gallery at all, and is it the right one?

A query is known where its class has a member in the gallery. It is accepted where its best score is
at least a threshold, which is chosen on other classes, for a wanted share of false accepts. Classes
come into the gallery without training. The best of many scores grows with the gallery: choose a
threshold on a gallery about as large as the one that it is for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.arrays import BLOCK_BYTES, NEAR, Rows
from devise.evaluation.scores import Block, asked_rows, labels_of_rows, pair_cosines, row_ids, score_blocks
from devise.figures import as_json, number, percent, score
from devise.metrics import NO_LABEL, Roc, equal_error_rate, roc, threshold_at, true_accept_rate

RATES = (0.001, 0.01, 0.1)  # of false accepts
MOST = 200  # classes that a threshold's interval is drawn from: of more it is narrow, and the table of scores large


class BestScores(NamedTuple):
    """The best cosine of each query with members of its own class, and with all others.

    Attributes:
        genuine: float64 (q,), -inf where the gallery has no member of its class.
        impostor: float64 (q,), what an unknown query would get: its class taken out of the gallery.
    """

    genuine: NDArray[np.float64]
    impostor: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OpenSet:
    """What a threshold does to queries of known and of unknown classes; shares in [0, 1].

    Attributes:
        threshold: cosine from which on a query is accepted.
        n_known, n_unknown, gallery: numbers of queries and of members.
        unknown_accepted: the share of unknown queries that is accepted: the false-accept rate.
        known_rejected: the share of known queries that is not.
        identified: the share of known queries that is accepted with a best match of their class.
        true_accept_rate: {false-accept rate: share of known queries accepted where that share of the unknown is}, a
            threshold for each from these queries themselves; so are the next two.
        equal_error_rate: where as many unknown are accepted as known are rejected.
        curve: Roc.

    >>> evaluate_open_set([[1, 0], [0.9, 0.1], [0, 1]], [0, 0, 1], gallery=[0], threshold=0.5).n_unknown
    1
    """

    threshold: float
    n_known: int
    n_unknown: int
    gallery: int
    unknown_accepted: float
    known_rejected: float
    identified: float
    true_accept_rate: dict
    equal_error_rate: float
    curve: Roc

    def to_json(self) -> dict:
        """The figures without the points of the curve, for JSON."""
        return {"threshold": self.threshold if np.isfinite(self.threshold) else None,
                "n_known": self.n_known, "n_unknown": self.n_unknown, "gallery": self.gallery,
                "unknown_accepted": self.unknown_accepted, "known_rejected": self.known_rejected,
                "identified": self.identified, "equal_error_rate": self.equal_error_rate,
                "roc_area": self.curve.area,
                "true_accept_rate": as_json(self.true_accept_rate)}


def best_scores(embeddings: Rows, labels: ArrayLike, *, queries: ArrayLike | None = None,
                gallery: ArrayLike | None = None, block_bytes: int = BLOCK_BYTES) -> BestScores:
    """Each query's best cosine inside its class and outside it, exactly and in bounded memory.

    Args:
        embeddings: (n, d), any length but zero.
        labels: int (n,); a member without a label (-1) is an impostor of all.
        queries, gallery: row ids; None is every row. A query is left out of its own ranking.

    >>> best = best_scores([[1, 0], [0, 1], [3, 4]], [0, 1, 1])
    >>> best.genuine.round(3), best.impostor.round(3)
    (array([-inf,  0.8,  0.8]), array([0.6, 0. , 0.6]))
    """
    labels, queries, gallery = asked_rows(labels, len(embeddings), queries, gallery)
    genuine, impostor = np.full((2, len(queries)), -np.inf)
    members = labels[gallery]
    for block in score_blocks(embeddings, queries, gallery, block_bytes=block_bytes):
        own = labels[block.queries]
        same = (members == own[:, None]) & (own != NO_LABEL)[:, None]
        part = slice(block.start, block.start + len(own))
        genuine[part], impostor[part] = _best(block, same), _best(block, ~same)
    return BestScores(genuine, impostor)


def _best(block: Block, among: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The best cosine of each query with some members, -inf where there is none."""
    best = np.max(block.scores, axis=1, where=among, initial=-np.inf)
    rows, columns = np.nonzero(among & (block.scores >= best[:, None] - NEAR) & (block.scores > -np.inf))
    best = np.full(len(best), -np.inf, np.float32)
    np.maximum.at(best, rows, pair_cosines(block.rows, block.members, rows, columns))
    return best


def choose_threshold(embeddings: Rows, labels: ArrayLike, *, false_accept_rate: float = 0.01,
                     queries: ArrayLike | None = None, gallery: ArrayLike | None = None) -> float:
    """The threshold that lets at most a share of unknown queries in, from pictures of known classes.

    Every query is asked as if its class were not in the gallery, so that each gives one impostor;
    the lowest threshold is taken that accepts at most ⌊false_accept_rate · n⌋ of them.

    Args:
        embeddings, labels: pictures of validation classes, which neither training nor test has.
        false_accept_rate: the wanted share of unknown queries that are let in, 0 to 1.
        queries, gallery: row ids; None is every row.
    Returns:
        float, a cosine.
    Raises:
        ValueError: if no query has a member of another class in the gallery.

    >>> choose_threshold([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], [0, 0, 1, 1], false_accept_rate=0).__round__(3)
    0.198
    """
    impostor = best_scores(embeddings, labels, queries=queries, gallery=gallery).impostor
    impostor = impostor[np.isfinite(impostor)]
    if not impostor.size:
        raise ValueError("no query has a picture of another class to be mistaken for: expected two classes or more")
    return threshold_at(impostor, false_accept_rate)


def evaluate_open_set(embeddings: Rows, labels: ArrayLike, *, gallery: ArrayLike, threshold: float,
                      queries: ArrayLike | None = None) -> OpenSet:
    """What a threshold does: unknown queries let in, known ones refused, and those named rightly.

    Args:
        embeddings: (n, d), any length but zero.
        labels: int (n,), -1 for a picture of no class, which as a query is unknown.
        gallery: row ids.
        threshold: a cosine, chosen on other classes, see `choose_threshold`.
        queries: row ids; None is every row outside the gallery.
    Raises:
        ValueError: if all queries are known, or none is.

    >>> rows = [[1, 0], [0.9, 0.1], [0, 1]]
    >>> figures = evaluate_open_set(rows, [0, 0, 1], gallery=[0], threshold=0.5)
    >>> figures.unknown_accepted, figures.known_rejected, figures.identified
    (0.0, 0.0, 1.0)
    """
    n = len(embeddings)
    labels = labels_of_rows(labels, n)
    gallery = row_ids(gallery, n, "gallery")
    queries = np.setdiff1d(np.arange(n), gallery) if queries is None else row_ids(queries, n, "queries")
    best = best_scores(embeddings, labels, queries=queries, gallery=gallery)
    scores, known = np.maximum(best.genuine, best.impostor), np.isfinite(best.genuine)
    if known.all() or not known.any():
        raise ValueError(f"{known.sum()} of {known.size} queries have their class in the gallery: expected some that "
                         "have and some that have not")
    accepted = scores >= threshold
    right = best.genuine > best.impostor  # a tie with another class is no identification
    return OpenSet(
        float(threshold), int(known.sum()), int((~known).sum()), len(gallery),
        unknown_accepted=float(accepted[~known].mean()), known_rejected=float((~accepted[known]).mean()),
        identified=float((accepted & right)[known].mean()),
        true_accept_rate={rate: true_accept_rate(scores, known, rate) for rate in RATES},
        equal_error_rate=equal_error_rate(scores, known), curve=roc(scores, known))


class ThresholdInterval(NamedTuple):
    """What 95 of 100 redraws of the classes give for a threshold and for the share of unknown pictures it lets in.

    Attributes:
        low, high: of the threshold, a cosine.
        accepted_low, accepted_high: of the false-accept rate on classes that did not choose the threshold.
        accepted: its mean.
        classes: how many classes they rest on.

    >>> ThresholdInterval(0.6, 0.7, 0.0, 0.2, 0.08, classes=9).sentence(0.65, asked=0.05)[:47]
    '9 validation classes chose the threshold of 0.6'
    """

    low: float
    high: float
    accepted_low: float
    accepted_high: float
    accepted: float
    classes: int

    def sentence(self, threshold: float, asked: float) -> str:
        """What it says, for a reader, of a threshold that was chosen for the false-accept rate `asked`."""
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
