"""Clusters of embeddings against classes: k-means with as many clusters as there are classes, then NMI."""

import numpy as np

from devise.arrays import BLOCK_BYTES, unit_rows
from devise.evaluation.scores import labels_of_rows
from devise.metrics.clustering import normalised_mutual_information
from devise.metrics.relevance import NO_LABEL


def k_means(rows, k, *, restarts=5, iterations=100, seed=0):
    """The clusters of the best of several runs of Lloyd's k-means, by the sum of squared distances.

    Each run starts from k-means++ (Arthur and Vassilvitskii 2007): centres are rows, drawn in
    proportion to the squared distance from the nearest centre so far. A cluster that loses all its
    rows takes the row that lies farthest from its centre.

    Args:
        rows: float32 (n, d).
        k: 1..n.
        restarts: how many runs; run i depends on `seed` and i alone.
        iterations: most steps of a run; it stops where no row changes its cluster.
    Returns:
        int64 (n,), clusters 0..k-1.
    Raises:
        ValueError: if k is not in 1..n, or an option is below 1.

    >>> k_means([[0.0], [0.1], [5.0], [5.1]], 2)
    array([1, 1, 0, 0])
    """
    rows = np.ascontiguousarray(rows, np.float32)
    if not 1 <= k <= len(rows):
        raise ValueError(f"k is {k}: expected 1 to {len(rows)}, the number of rows")
    for name, value in (("restarts", restarts), ("iterations", iterations)):
        if value < 1:
            raise ValueError(f"{name} is {value}: expected 1 or more")
    best, least = None, np.inf
    for run in range(restarts):
        clusters, inertia = _lloyd(rows, _seeds(rows, k, np.random.default_rng([seed, run])), iterations)
        if inertia < least:
            best, least = clusters, inertia
    return best


def clustering_nmi(embeddings, labels, *, restarts=5, seed=0):
    """How far k-means on unit rows finds the classes, as normalised mutual information.

    k is the number of classes among the labels, as metric-learning papers have it (Song et al. 2016,
    Deep Metric Learning via Lifted Structured Feature Embedding, section 5).

    Args:
        embeddings: (n, d), any length but zero.
        labels: int (n,); rows of -1, no label, are left out.
    Returns:
        float in [0, 1].
    Raises:
        ValueError: if no row has a label, or lengths differ.

    >>> clustering_nmi([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], [4, 4, 9, 9])
    1.0
    """
    labels = labels_of_rows(labels, len(embeddings))
    known = labels != NO_LABEL
    if not known.any():
        raise ValueError("no embedding has a label: expected classes to compare clusters with")
    rows = unit_rows(np.asarray(embeddings)[known], "embeddings")
    labels = labels[known]
    return normalised_mutual_information(labels, k_means(rows, len(np.unique(labels)), restarts=restarts, seed=seed))


def _seeds(rows, k, random):
    """k centres by k-means++; where all rows lie on centres, any row is as good."""
    centres = np.empty((k, rows.shape[1]), np.float32)
    centres[0] = rows[random.integers(len(rows))]
    squares = _squares(rows)
    away = np.full(len(rows), np.inf)
    for place in range(1, k):
        last = centres[place - 1]
        away = np.minimum(away, np.maximum(squares - 2 * (rows @ last) + last @ last, 0))
        total = away.sum()
        chosen = random.choice(len(rows), p=away / total) if total > 0 else random.integers(len(rows))
        centres[place] = rows[chosen]
    return centres


def _lloyd(rows, centres, iterations):
    """(clusters, sum of squared distances) of one run."""
    squares, clusters = _squares(rows), None
    for _ in range(iterations):
        before, (clusters, away) = clusters, _assign(rows, squares, centres)
        sizes = np.bincount(clusters, minlength=len(centres))
        for empty in np.flatnonzero(sizes == 0):
            movable = np.where(sizes[clusters] > 1, away, -1)
            row = int(movable.argmax())
            sizes[clusters[row]] -= 1
            clusters[row], away[row], sizes[empty] = empty, 0, 1
        if before is not None and np.array_equal(before, clusters):
            break
        order = np.argsort(clusters, kind="stable")
        starts = np.concatenate([[0], sizes.cumsum()[:-1]])
        centres = (np.add.reduceat(rows[order], starts, axis=0) / sizes[:, None]).astype(np.float32)
    return clusters, float(_assign(rows, squares, centres)[1].sum())


def _assign(rows, squares, centres):
    """The nearest centre of each row and its squared distance, in blocks."""
    clusters, away = np.empty(len(rows), np.int64), np.empty(len(rows))
    lengths, step = _squares(centres), max(1, BLOCK_BYTES // (4 * len(centres)))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        distances = lengths - 2 * (rows[part] @ centres.T)
        clusters[part] = distances.argmin(axis=1)
        away[part] = np.maximum(distances.min(axis=1) + squares[part], 0)
    return clusters, away


def _squares(rows):
    return np.einsum("ij,ij->i", rows, rows)
