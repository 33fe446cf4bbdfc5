"""Hits that count for being near the truth in a hierarchy, as DeViSE's paper scores them."""

import numpy as np

from devise.metrics.ranking import precision_at_k
from devise.metrics.relevance import NO_LABEL


def correct_sets(distances, ks):
    """The labels that count as right for each true label, at each k.

    From the true label the radius grows until k candidates or more lie within it; all that lie
    within count, ties at the rim too, so a set may hold more than k. The mean of a set's row over
    labels is the precision of guessing.

    Args:
        distances: float (n_true, n_candidates), edges between each true label and each candidate,
            as `Hierarchy.distances` gives them; infinity where there is no path.
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


def near_label(query_labels, hit_labels, distances, k):
    """Whether a hit is in its query's correct set at k, which `hierarchical_precision` counts.

    Args:
        query_labels: int (q,), rows of `distances`, -1 for no label: nothing is right for it.
        hit_labels: int (q, depth), columns of `distances`, best rank first, -1 for no hit.
        distances: float (n_true, n_candidates), as for `correct_sets`.
        k: 1..n_candidates.
    Returns:
        bool (q, depth).
    Raises:
        ValueError: if a label is out of range, or k is.

    >>> near_label([0], [[2, 1, -1]], [[0, 1, 4], [1, 0, 4], [4, 4, 0]], k=2)
    array([[False,  True, False]])
    """
    distances = _distances(distances)
    query_labels = _indices(query_labels, "query_labels", 1, distances.shape[0])
    hit_labels = _indices(hit_labels, "hit_labels", 2, distances.shape[1])
    if len(query_labels) != len(hit_labels):
        raise ValueError(f"there are {len(query_labels)} queries and {len(hit_labels)} rows of hits: "
                         "expected one row a query")
    within = distances[query_labels[:, None], hit_labels] <= _radii(distances, k)[query_labels, None]
    return within & (hit_labels != NO_LABEL) & (query_labels != NO_LABEL)[:, None]


def hierarchical_precision(query_labels, hit_labels, distances, k):
    """The share of the first k hits that lies near the true label in the hierarchy.

    hp@k = (1/k) · |first k hits ∩ correct set at k|; its mean over queries is the hierarchical
    precision@k of Frome et al. 2013 (DeViSE), supplementary material, whose correct set is called
    hCorrectSet there. Where all labels differ, hp@1 is flat hit@1. It need not grow with k.

    How sure: the paper's appendix was not at hand. The share over k agrees with a later paper that
    scores itself against DeViSE's rows, the growing set with public code for it, and the sizes of
    the sets come near the paper's chance row (see `devise.words.synsets.imagenet_tree`).

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
    return precision_at_k(near_label(query_labels, hit_labels, distances, k), k)


def _radii(distances, k):
    """The distance of each true label's k-th nearest candidate, (n_true,)."""
    if not 1 <= k <= distances.shape[1]:
        raise ValueError(f"k is {k}: expected 1 to {distances.shape[1]}, the number of candidates")
    return np.partition(distances, k - 1, axis=1)[:, k - 1]


def _distances(values):
    values = np.asarray(values)
    if values.ndim != 2 or not (values >= 0).all():  # NaN is not >= 0
        raise ValueError(f"distances have shape {values.shape}: expected (n_true, n_candidates), none "
                         "negative and none NaN, as Hierarchy.distances gives them")
    return values


def _indices(values, name, n_axes, size):
    values = np.asarray(values)
    if values.ndim != n_axes or (values.size and not np.issubdtype(values.dtype, np.integer)):
        raise ValueError(f"{name} have shape {values.shape} and dtype {values.dtype}: expected whole "
                         f"numbers, {n_axes} axes")
    if values.size and not (NO_LABEL <= values.min() and values.max() < size):
        raise ValueError(f"{name} run from {values.min()} to {values.max()}: distances know labels 0 to "
                         f"{size - 1}, and -1 is none")
    return values.astype(np.int64)
