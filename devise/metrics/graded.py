"""How well an order fits relevance that comes in degrees: similar captions, similar meanings.

`scores` are what a model says of each candidate, `relevance` what is so, both (n_queries, n). A
candidate whose relevance is NaN is left out: so a query is kept from its own ranking.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


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


def ndcg_at_r(scores: ArrayLike, relevance: ArrayLike, r: int) -> NDArray[np.float64]:
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


def ndcg_curve(scores: ArrayLike, relevance: ArrayLike, r: int) -> NDArray[np.float64]:
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


def triplet_agreement(scores: ArrayLike, truth: ArrayLike) -> Agreement:
    """The share of triplets (query, a, b) that a model orders as the truth does, with the ties of both counted.

    Args:
        scores: float (n_triplets, 2), the model's similarity of the query with a and with b.
        truth: float (n_triplets, 2), that of people or captions.
    Raises:
        ValueError: if shapes differ or a value is NaN.

    >>> triplet_agreement([[0.9, 0.1], [0.5, 0.5], [0.2, 0.3]], [[1, 0], [1, 0], [1, 1]])
    Agreement(value=0.75, n=2, right=1, ties=1, undecided=1)
    """
    scores, truth = _pair(scores, truth)
    if scores.shape[1] != 2 or np.isnan(truth).any():
        raise ValueError(f"scores have shape {scores.shape}: expected (n_triplets, 2), and no NaN in the truth")
    said, so = np.sign(scores[:, 0] - scores[:, 1]), np.sign(truth[:, 0] - truth[:, 1])
    n, right, ties = (int(found.sum()) for found in (so != 0, (so != 0) & (said == so), (so != 0) & (said == 0)))
    return Agreement((right + ties / 2) / n if n else float("nan"), n, right, ties, len(so) - n)


def _pair(scores, relevance):
    scores, relevance = np.asarray(scores, np.float64), np.asarray(relevance, np.float64)
    if scores.ndim != 2 or scores.shape != relevance.shape:
        raise ValueError(f"scores have shape {scores.shape} and relevance {relevance.shape}: expected two "
                         "matrices of one shape, a row a query")
    if np.isnan(scores).any() or np.isinf(relevance).any():
        raise ValueError("scores hold NaN, or relevance infinity: expected figures")
    return scores, relevance
