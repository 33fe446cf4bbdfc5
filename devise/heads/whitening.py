"""Linear maps of features in closed form: principal components, whitened over all or within classes.

Each function returns (mean float64 (d,), kernel float64 (d, dim)), and (x - mean) @ kernel are the
new coordinates, the most telling first. Columns are turned so that their largest entry is positive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import eigenvectors
from devise.heads.rows import blocks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from devise.arrays import Rows

    Map = tuple[NDArray[np.float64], NDArray[np.float64]]


def pca(features: Rows, dim: int) -> Map:
    """The directions of greatest variance: a rotation, cut to `dim` columns.

    Args:
        features: (n, d), may be memory-mapped.

    >>> mean, kernel = pca(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [0.0, 1.0]]), 1)
    >>> mean.tolist(), kernel.round(6).tolist()
    ([2.0, 0.5], [[1.0], [0.0]])
    """
    mean, covariance = _moments(features)
    return mean, _turned(_descending(covariance)[1][:, :dim])


def whitening(features: Rows, dim: int, *, shrinkage: float) -> Map:
    """Principal components, each divided by its deviation.

    The variances are drawn towards their mean: (1 - shrinkage) · λ_i + shrinkage · mean(λ). With 0
    every direction gets variance 1, noise included, with 1 the map is the PCA's but for its scale.

    Args:
        features: (n, d), may be memory-mapped.
        shrinkage: 0 to 1.
    Raises:
        ValueError: if a direction that is kept has no variance and none is lent to it.
    """
    mean, covariance = _moments(features)
    variances, axes = _descending(covariance)
    deviations = _deviations(variances, shrinkage)
    return mean, _turned(axes[:, :dim]) / deviations[:dim]


def within_class_whitening(features: Rows, labels: ArrayLike, dim: int, *, shrinkage: float) -> Map:
    """Whitened by how rows of one class differ, then the principal components of what is left.

    With covariances S_w within classes and S of all rows, the columns solve S u = γ S_w u, largest
    γ first, uᵀ S_w u = 1: Fisher's discriminants. As a descriptor's last layer: Mikolajczyk and Matas
    2007, and the "learned whitening" of Radenović et al. 2018 (section 3.5), who sum over matching
    pairs, which gives large classes more weight than rows do here. S_w is shrunk towards its mean
    variance as in `whitening`, since few classes leave most directions without evidence.

    Args:
        features: (n, d), may be memory-mapped.
        labels: int (n,).
        shrinkage: 0 to 1; with 1 this is the PCA but for its scale.
    Raises:
        ValueError: if no class has two rows, or rows of one class don't differ in some direction
            and shrinkage is 0.
    """
    _, own, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.max() < 2:
        raise ValueError("no class has two rows: how rows of one class differ can't be told")
    mean, covariance = _moments(features)
    centres = np.zeros((len(counts), len(mean)))
    for start, rows in blocks(features):
        np.add.at(centres, own[start:start + len(rows)], rows)
    centres /= counts[:, None]
    variances, axes = _descending(_covariance(features, lambda start, n: centres[own[start:start + n]]))
    white = axes / _deviations(variances, shrinkage)
    kernel = white @ _descending(white.T @ covariance @ white)[1][:, :dim]
    return mean, _turned(kernel)


def _moments(features):
    """Mean and covariance over all rows, summed in float64."""
    mean = sum(rows.sum(axis=0, dtype=np.float64) for _, rows in blocks(features)) / len(features)
    return mean, _covariance(features, lambda start, n: mean)


def _covariance(features, centre):
    """The mean of (x - c)(x - c)ᵀ, c = centre(first row, rows) of each block."""
    total = 0.0
    for start, rows in blocks(features):
        rows = rows - centre(start, len(rows))
        total = total + rows.T @ rows
    return total / len(features)


def _descending(matrix):
    """Eigenvalues, largest first and none below zero, and their vectors as columns."""
    values, vectors = eigenvectors(matrix)
    return np.maximum(values[::-1], 0), vectors[:, ::-1]


def _deviations(variances, shrinkage):
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.mean()
    if shrunk.min() <= 1e-12 * shrunk.max():
        flat = int((shrunk <= 1e-12 * shrunk.max()).sum())
        raise ValueError(f"{flat} of {len(shrunk)} directions have no variance to divide by, with so few rows or "
                         f"columns that repeat others: raise shrinkage, now {shrinkage:g}")
    return np.sqrt(shrunk)


def _turned(kernel):
    largest = np.abs(kernel).argmax(axis=0)
    return kernel * np.where(kernel[largest, np.arange(kernel.shape[1])] < 0, -1.0, 1.0)
