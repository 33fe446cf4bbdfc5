"""How well an order fits relevance that comes in degrees: similar captions, similar meanings.

`scores` are what a model says of each candidate, `relevance` what is so, both (n_queries, n). A
candidate whose relevance is NaN is left out: so a query is kept from its own ranking.
"""

from typing import NamedTuple

import numpy as np


class Agreement(NamedTuple):
    """How often a model orders two candidates as the truth does.

    Attributes:
        value: (right + ties / 2) / n, so that a model that never decides has 0.5; NaN for n = 0.
        n: triplets that the truth decides.
        right: those that the model orders the same way.
        ties: those for which the model scores both candidates the same.
        undecided: further triplets, for which the truth has a tie; they are left out.

    >>> Agreement(value=0.75, n=4, right=3, ties=0, undecided=1).value
    0.75
    """

    value: float
    n: int
    right: int
    ties: int
    undecided: int


def ndcg_at_r(scores, relevance, r):
    """Discounted gain of the r best scored candidates, as a share of what the best order would have.

    DCG@R = Σ_{i ≤ R} relevance(i) / log2(i + 1), divided by that of the candidates in order of
    relevance (Järvelin and Kekäläinen 2002). The similarity is itself the gain, as Gordo and Larlus
    2017, Beyond Instance-Level Image Retrieval, section 5, have it (as recalled; they use no 2^x).
    Ties of the scores go to the smaller column.

    Args:
        scores: float (n_queries, n), higher is better.
        relevance: float (n_queries, n), 0 and more; NaN for a candidate to leave out.
        r: 1..n; of a query with fewer candidates all are taken.
    Returns:
        float64 (n_queries,), NaN where nothing is relevant.
    Raises:
        ValueError: if r is not in 1..n, a relevance is negative or a score NaN.

    >>> ndcg_at_r([[0.1, 0.9]], [[1.0, 0.5]], r=1)
    array([0.5])
    """
    return ndcg_curve(scores, relevance, r)[:, -1]


def ndcg_curve(scores, relevance, r):
    """`ndcg_at_r` for every depth from 1 to r; the mean of a row is the area under its curve.

    Returns:
        float64 (n_queries, r).

    >>> ndcg_curve([[0.1, 0.9]], [[1.0, 0.5]], r=2).round(3)
    array([[0.5 , 0.86]])
    """
    scores, relevance = _pair(scores, relevance)
    if not 1 <= r <= scores.shape[1]:
        raise ValueError(f"r is {r}: expected 1 to {scores.shape[1]}, the number of candidates")
    if (relevance < 0).any():
        raise ValueError(f"relevance goes down to {np.nanmin(relevance):.3g}: a gain is 0 or more, clip a "
                         "similarity at 0 first")
    out = np.isnan(relevance)
    gains = np.where(out, 0.0, relevance)
    order = np.argsort(np.where(out, np.inf, -scores), axis=1, kind="stable")[:, :r]
    discounts = 1 / np.log2(np.arange(2, r + 2))
    found = (np.take_along_axis(gains, order, axis=1) * discounts).cumsum(axis=1)
    best = (-np.sort(-gains, axis=1)[:, :r] * discounts).cumsum(axis=1)
    return np.divide(found, best, out=np.full(found.shape, np.nan), where=best > 0)


def pearson(scores, relevance):
    """Pearson's correlation of scores and relevance over each query's candidates.

    Args:
        scores: float (n_queries, n).
        relevance: float (n_queries, n), NaN for a candidate to leave out.
    Returns:
        float64 (n_queries,), in [-1, 1]; NaN where scores or relevance are all the same.
    Raises:
        ValueError: if shapes differ or a score is NaN.

    >>> pearson([[0.1, 0.2, 0.3]], [[2.0, 4.0, 6.0]]).round(6)
    array([1.])
    """
    scores, relevance = _pair(scores, relevance)
    keep = ~np.isnan(relevance)
    n = np.maximum(keep.sum(axis=1, keepdims=True), 1)
    left, right = (np.where(keep, values - np.where(keep, values, 0).sum(axis=1, keepdims=True) / n, 0)
                   for values in (scores, relevance))
    flat = (_range(scores, keep) == 0) | (_range(relevance, keep) == 0)
    lengths = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    both = (left * right).sum(axis=1)
    defined = ~flat & (lengths > 0)
    return np.clip(np.divide(both, lengths, out=np.full(len(both), np.nan), where=defined), -1, 1)


def triplet_values(scores, truth):
    """Whether a model orders two candidates as the truth does, for each triplet (query, a, b).

    Args:
        scores: float (n_triplets, 2), the model's similarity of the query with a and with b.
        truth: float (n_triplets, 2), that of people or captions.
    Returns:
        float64 (n_triplets,): 1 right, 0 wrong, 0.5 where the model has a tie, NaN where the truth has.
    Raises:
        ValueError: if shapes differ or a value is NaN.

    >>> triplet_values([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5]], [[1, 0], [0, 1], [1, 0]])
    array([1. , 0. , 0.5])
    """
    scores, truth = _pair(scores, truth)
    if scores.shape[1] != 2 or np.isnan(truth).any():
        raise ValueError(f"scores have shape {scores.shape}: expected (n_triplets, 2), and no NaN in the truth")
    said, so = np.sign(scores[:, 0] - scores[:, 1]), np.sign(truth[:, 0] - truth[:, 1])
    return np.where(so == 0, np.nan, (1 + said * so) / 2)


def triplet_agreement(scores, truth):
    """The share of triplets that a model orders as the truth does, with the ties of both counted.

    Args:
        scores, truth: as of `triplet_values`.
    Returns:
        Agreement.

    >>> triplet_agreement([[0.9, 0.1], [0.5, 0.5], [0.2, 0.3]], [[1, 0], [1, 0], [1, 1]])
    Agreement(value=0.75, n=2, right=1, ties=1, undecided=1)
    """
    values = triplet_values(scores, truth)
    decided = values[~np.isnan(values)]
    value = float(decided.mean()) if decided.size else float("nan")
    return Agreement(value, decided.size, int((decided == 1).sum()), int((decided == 0.5).sum()),
                     values.size - decided.size)


def _pair(scores, relevance):
    scores, relevance = np.asarray(scores, np.float64), np.asarray(relevance, np.float64)
    if scores.ndim != 2 or scores.shape != relevance.shape:
        raise ValueError(f"scores have shape {scores.shape} and relevance {relevance.shape}: expected two "
                         "matrices of one shape, a row a query")
    if np.isnan(scores).any() or np.isinf(relevance).any():
        raise ValueError("scores hold NaN, or relevance infinity: expected figures")
    return scores, relevance


def _range(values, keep):
    """The difference of the largest and the smallest kept value of each row."""
    return (np.where(keep, values, -np.inf).max(axis=1, initial=-np.inf)
            - np.where(keep, values, np.inf).min(axis=1, initial=np.inf))
