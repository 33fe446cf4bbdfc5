"""One value a query from who is right at which rank.

Every function takes `relevant`, bool (n_queries, depth), best rank first, and gives float64
(n_queries,). What is undefined is NaN. `n_relevant` is the number of right answers that there are
for each query, found or not; where it may be None, all of them are taken to be in the row.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.metrics.summary import NO_LABEL, label_rows


def hit_at_k(relevant: ArrayLike, k: int) -> NDArray[np.float64]:
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


def precision_at_k(relevant: ArrayLike, k: int) -> NDArray[np.float64]:
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


def precision_ceiling(n_relevant: ArrayLike, k: int) -> NDArray[np.float64]:
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


def recall_at_k(relevant: ArrayLike, k: int, *, n_relevant: ArrayLike) -> NDArray[np.float64]:
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


def r_precision(relevant: ArrayLike, *, n_relevant: ArrayLike | None = None) -> NDArray[np.float64]:
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


def map_at_r(relevant: ArrayLike, *, n_relevant: ArrayLike | None = None) -> NDArray[np.float64]:
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
    precisions = relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)
    return _share((precisions * _first_r(relevant, n_relevant)).sum(axis=1), n_relevant)


def correct_sets(distances: ArrayLike, ks: Iterable[int]) -> dict[int, NDArray[np.bool_]]:
    """The labels that count as right for each true label, at each k.

    From the true label the radius grows until k candidates or more lie within it; all that lie
    within count, ties at the rim too, so a set may hold more than k. The mean of a set's row over
    labels is the precision of guessing.

    Args:
        distances: float (n_true, n_candidates), edges between each true label and each candidate,
            as `Taxonomy.distances` gives them; infinity where there is no path.
        ks: numbers of labels, each 1..n_candidates.
    Returns:
        {k: bool (n_true, n_candidates)}.
    Raises:
        ValueError: if a k is out of range, or distances are negative or NaN.

    >>> correct_sets([[0, 2, 2, 4]], [1, 2])[2]
    array([[ True,  True,  True, False]])
    """
    distances = _distances(distances)
    return {k: distances <= _radii(distances, k)[:, None] for k in ks}


def hierarchical_precision(query_labels: ArrayLike, hit_labels: ArrayLike, distances: ArrayLike,
                           k: int) -> NDArray[np.float64]:
    """The share of the first k hits that lies near the true label in the hierarchy.

    hp@k = (1/k) · |first k hits ∩ correct set at k|; its mean over queries is the hierarchical
    precision@k of Frome et al. 2013 (DeViSE), supplementary material, whose correct set is called
    hCorrectSet there. Where all labels differ, hp@1 is flat hit@1. It need not grow with k.

    How sure: the paper's appendix was not at hand. The share over k agrees with a later paper that
    scores itself against DeViSE's rows, the growing set with public code for it, and the sizes of
    the sets come near the paper's chance row (see `devise.words.Taxonomy.imagenet_tree`).

    Args:
        query_labels: int (q,), rows of `distances`, -1 for no label.
        hit_labels: int (q, depth), columns of `distances`, best rank first, -1 for no hit.
        distances: float (n_true, n_candidates): of the candidates alone, for a label that is no
            candidate takes no place in a correct set.
        k: 1..depth.
    Returns:
        float64 (q,).
    Raises:
        ValueError: if a label is out of range, or k is.

    >>> hierarchical_precision([0], [[1, 2]], [[0, 1, 4], [1, 0, 4], [4, 4, 0]], k=2)
    array([0.5])
    """
    distances = _distances(distances)
    query_labels = label_rows(query_labels, "query_labels", 1, distances.shape[0])
    hit_labels = label_rows(hit_labels, "hit_labels", 2, distances.shape[1])
    if len(query_labels) != len(hit_labels):
        raise ValueError(f"there are {len(query_labels)} queries and {len(hit_labels)} rows of hits: "
                         "expected one row a query")
    within = distances[query_labels[:, None], hit_labels] <= _radii(distances, k)[query_labels, None]
    return precision_at_k(within & (hit_labels != NO_LABEL) & (query_labels != NO_LABEL)[:, None], k)


def _relevant(relevant):
    relevant = np.asarray(relevant)
    if relevant.ndim != 2 or relevant.dtype != bool:
        raise ValueError(f"relevant has shape {relevant.shape} and dtype {relevant.dtype}: expected bool "
                         "(n_queries, depth), whether each hit is right, best rank first")
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


def _share(part, whole):
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole != 0)


def _radii(distances, k):
    """The distance of each true label's k-th nearest candidate, (n_true,)."""
    if not 1 <= k <= distances.shape[1]:
        raise ValueError(f"k is {k}: expected 1 to {distances.shape[1]}, the number of candidates")
    return np.partition(distances, k - 1, axis=1)[:, k - 1]


def _distances(values):
    values = np.asarray(values)
    if values.ndim != 2 or not (values >= 0).all():  # NaN is not >= 0
        raise ValueError(f"distances have shape {values.shape}: expected (n_true, n_candidates), none "
                         "negative and none NaN, as Taxonomy.distances gives them")
    return values
