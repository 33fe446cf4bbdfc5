"""One value a query from who is right at which rank.

Every function takes `relevant`, bool (n_queries, depth), best rank first, and gives float64
(n_queries,). What is undefined is NaN. `n_relevant` is the number of right answers that there are
for each query, found or not; where it may be None, all of them are taken to be in the row.
"""

import numpy as np


def hit_at_k(relevant, k):
    """Whether a right answer is among the first k, for each query.

    Metric-learning papers call its mean Recall@K.

    Args:
        relevant: bool (n_queries, depth), best rank first.
        k: 1..depth.
    Returns:
        float64 (n_queries,), each 0.0 or 1.0.
    Raises:
        ValueError: if k is not in 1..depth.

    >>> hit_at_k(np.array([[False, True], [False, False]]), k=2)
    array([1., 0.])
    """
    return _first(relevant, k).any(axis=1).astype(np.float64)


def precision_at_k(relevant, k):
    """The share of the first k that is right.

    Args:
        relevant: bool (n_queries, depth), best rank first.
        k: 1..depth. Rows shorter than k count their padding as wrong.
    Returns:
        float64 (n_queries,).
    Raises:
        ValueError: if k is not in 1..depth.

    >>> precision_at_k(np.array([[True, False, True, False]]), k=4)
    array([0.5])
    """
    return _first(relevant, k).mean(axis=1)


def precision_ceiling(n_relevant, k):
    """The highest precision@k that any order can have: min(k, R) / k, R right answers there are.

    Args:
        n_relevant: int (n_queries,), how many right answers there are.
        k: 1 or more.
    Returns:
        float64 (n_queries,).

    >>> precision_ceiling([4, 100], k=10)
    array([0.4, 1. ])
    """
    if k < 1:
        raise ValueError(f"k is {k}: expected 1 or more")
    return np.minimum(np.asarray(n_relevant), k) / k


def recall_at_k(relevant, k, *, n_relevant):
    """The share of all right answers that is among the first k.

    Not what metric-learning papers call Recall@K: that is the mean of `hit_at_k`.

    Args:
        relevant: bool (n_queries, depth), best rank first.
        k: 1..depth.
        n_relevant: int (n_queries,), how many right answers there are.
    Returns:
        float64 (n_queries,), NaN where there are none.
    Raises:
        ValueError: if k is not in 1..depth, or more are right than there are.

    >>> recall_at_k(np.array([[True, False], [False, False]]), k=2, n_relevant=[4, 0])
    array([0.25,  nan])
    """
    relevant, n_relevant = _with_counts(relevant, n_relevant)
    return _share(_first(relevant, k).sum(axis=1), n_relevant)


def average_precision(relevant, *, n_relevant=None):
    """The mean, over all right answers, of the precision at their ranks; 0 for those not found.

    AP = (1 / n_relevant) · Σ_i P(i) · rel(i). Its mean over queries is MAP (Manning, Raghavan and
    Schütze 2008, Introduction to Information Retrieval, section 8.4).

    Args:
        relevant: bool (n_queries, depth), best rank first.
        n_relevant: int (n_queries,), or None if all right answers are in the rows.
    Returns:
        float64 (n_queries,), NaN where there are no right answers.
    Raises:
        ValueError: if more are right than there are.

    >>> average_precision(np.array([[True, False, True]]))
    array([0.83333333])
    """
    relevant, n_relevant = _with_counts(relevant, n_relevant)
    return _share((_precisions(relevant) * relevant).sum(axis=1), n_relevant)


def r_precision(relevant, *, n_relevant=None):
    """The share of the first R that is right, where R is the number of right answers.

    Args:
        relevant: bool (n_queries, depth), best rank first; depth at least the largest R.
        n_relevant: int (n_queries,), or None if all right answers are in the rows.
    Returns:
        float64 (n_queries,), NaN where there are no right answers.
    Raises:
        ValueError: if an R is larger than the depth, or more are right than there are.

    >>> r_precision(np.array([[True, False, True]]))
    array([0.5])
    """
    relevant, n_relevant = _with_counts(relevant, n_relevant)
    return _share(_first_r(relevant, n_relevant).sum(axis=1), n_relevant)


def map_at_r(relevant, *, n_relevant=None):
    """Average precision over the first R ranks, where R is the number of right answers.

    (1 / R) · Σ_{i ≤ R} P(i) · rel(i), from Musgrave, Belongie and Lim 2020, A Metric Learning
    Reality Check, section 3.2.

    Args:
        relevant: bool (n_queries, depth), best rank first; depth at least the largest R.
        n_relevant: int (n_queries,), or None if all right answers are in the rows.
    Returns:
        float64 (n_queries,), NaN where there are no right answers.
    Raises:
        ValueError: if an R is larger than the depth, or more are right than there are.

    >>> map_at_r(np.array([[False, True, True, False]]))
    array([0.25])
    """
    relevant, n_relevant = _with_counts(relevant, n_relevant)
    return _share((_precisions(relevant) * _first_r(relevant, n_relevant)).sum(axis=1), n_relevant)


def first_hit(relevant):
    """The rank of the first right answer, from 1.

    Args:
        relevant: bool (n_queries, depth), best rank first.
    Returns:
        float64 (n_queries,), NaN where the row has none.

    >>> first_hit(np.array([[False, True], [False, False]]))
    array([ 2., nan])
    """
    relevant = _relevant(relevant)
    return np.where(relevant.any(axis=1), relevant.argmax(axis=1) + 1.0, np.nan)


def reciprocal_rank(relevant):
    """One over the rank of the first right answer, 0 where the row has none.

    Args:
        relevant: bool (n_queries, depth), best rank first.
    Returns:
        float64 (n_queries,).

    >>> reciprocal_rank(np.array([[False, True], [False, False]]))
    array([0.5, 0. ])
    """
    return np.nan_to_num(1 / first_hit(relevant), nan=0.0)


def ndcg_at_k(relevant, k, *, n_relevant=None):
    """Discounted gain of the first k, as a share of what the best order would have.

    Σ_{i ≤ k} rel(i) / log2(i + 1), divided by the same sum with all right answers in front
    (Järvelin and Kekäläinen 2002, with gains 0 and 1).

    Args:
        relevant: bool (n_queries, depth), best rank first.
        k: 1..depth.
        n_relevant: int (n_queries,), or None if all right answers are in the rows.
    Returns:
        float64 (n_queries,), NaN where there are no right answers.
    Raises:
        ValueError: if k is not in 1..depth, or more are right than there are.

    >>> ndcg_at_k(np.array([[False, True]]), k=2)
    array([0.63092975])
    """
    relevant, n_relevant = _with_counts(relevant, n_relevant)
    first = _first(relevant, k)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(n_relevant, k)]
    return _share(first @ discounts, best)


def _relevant(relevant):
    relevant = np.asarray(relevant)
    if relevant.ndim != 2 or relevant.dtype != bool:
        raise ValueError(f"relevant has shape {relevant.shape} and dtype {relevant.dtype}: expected bool "
                         "(n_queries, depth), as the functions of devise.metrics.relevance give it")
    return relevant


def _first(relevant, k):
    relevant = _relevant(relevant)
    if not 1 <= k <= relevant.shape[1]:
        raise ValueError(f"k is {k}: expected 1 to {relevant.shape[1]}, the depth of the rows")
    return relevant[:, :k]


def _with_counts(relevant, n_relevant):
    relevant = _relevant(relevant)
    found = relevant.sum(axis=1)
    if n_relevant is None:
        return relevant, found
    n_relevant = np.asarray(n_relevant)
    if n_relevant.shape != found.shape or (found.size and not np.issubdtype(n_relevant.dtype, np.integer)):
        raise ValueError(f"n_relevant has shape {n_relevant.shape} and dtype {n_relevant.dtype}: "
                         f"expected one count a query, int ({len(found)},)")
    short = np.flatnonzero(n_relevant < found)
    if short.size:
        query = short[0]
        raise ValueError(f"query {query} has {found[query]} right answers in its row and n_relevant says "
                         f"{n_relevant[query]}: count all right answers of the gallery")
    return relevant, n_relevant.astype(np.int64)


def _first_r(relevant, n_relevant):
    """`relevant`, false from rank R + 1 on."""
    depth = relevant.shape[1]
    if (n_relevant > depth).any():
        raise ValueError(f"a query has {n_relevant.max()} right answers and its row {depth} ranks: "
                         f"search {n_relevant.max()} deep")
    return relevant & (np.arange(depth) < n_relevant[:, None])


def _precisions(relevant):
    """Precision at every rank, float64 (n_queries, depth)."""
    return relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)


def _share(part, whole):
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole != 0)
