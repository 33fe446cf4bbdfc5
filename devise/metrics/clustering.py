"""How far clusters that were found fit the labels, whatever the clusters are called."""

import math

import numpy as np


def normalised_mutual_information(labels, clusters):
    """Mutual information of labels and clusters, as a share of the mean of their entropies.

    NMI = I(L; C) / ((H(L) + H(C)) / 2): normalised by the arithmetic mean, as Manning, Raghavan and
    Schütze 2008, Introduction to Information Retrieval, section 16.3, have it, and scikit-learn by
    default; the geometric mean of other papers gives other figures.

    Args:
        labels: int (n,), the true classes.
        clusters: int (n,), the clusters that were found.
    Returns:
        float in [0, 1]; 1.0 where both have one group only.
    Raises:
        ValueError: if there is nothing, or lengths differ.

    >>> normalised_mutual_information([3, 3, 7, 7], [1, 1, 0, 0])
    1.0
    """
    labels, clusters = np.asarray(labels), np.asarray(clusters)
    if labels.ndim != 1 or labels.shape != clusters.shape or not labels.size:
        raise ValueError(f"labels have shape {labels.shape} and clusters {clusters.shape}: expected one of each a "
                         "row, and at least one row")
    (_, left), (_, right) = (np.unique(values, return_inverse=True) for values in (labels, clusters))
    width = right.max() + 1
    cells, joint = np.unique(left * width + right, return_counts=True)
    sizes, others = np.bincount(left), np.bincount(right)
    if len(sizes) == len(others) == 1:
        return 1.0
    expected = sizes[cells // width] * others[cells % width] / labels.size
    information = max(0.0, float((joint * np.log(joint / expected)).sum()) / labels.size)
    whole = (_entropy(sizes) + _entropy(others)) / 2
    return 0.0 if math.isclose(information, 0, abs_tol=1e-12) else min(1.0, information / whole)


def _entropy(counts):
    """−Σ p log p of the shares that counts have."""
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())
