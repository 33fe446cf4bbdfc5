"""The closed forms against scipy's and scikit-learn's own solvers."""

import numpy as np
import pytest
from scipy import linalg
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from devise.heads import base
from devise.heads import projection as whitening


@pytest.fixture
def data(monkeypatch):
    monkeypatch.setattr(base, "BLOCK_ROWS", 16)
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), [5, 8, 10, 14, 20, 43])
    mixed = rng.standard_normal((100, 7)) @ rng.standard_normal((7, 7))
    return (mixed + 2 * rng.standard_normal((6, 7))[labels] + 3).astype(np.float32), labels


def coordinates(features, found):
    mean, kernel = found
    return (features.astype(np.float64) - mean) @ kernel


def same_axes(ours, theirs, tolerance=1e-5):
    """Equal but for the sign of each column."""
    assert ours.shape == theirs.shape
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours, theirs * signs, rtol=tolerance, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize("dim", [1, 3, 7])
def test_principal_components_are_those_of_sklearn(data, dim):
    features, _ = data
    theirs = PCA(dim).fit_transform(features.astype(np.float64))
    same_axes(coordinates(features, whitening.pca(features, dim)), theirs)


@pytest.mark.parametrize("dim", [1, 3, 7])
def test_unshrunk_whitening_is_that_of_sklearn(data, dim):
    features, _ = data
    theirs = PCA(dim, whiten=True).fit_transform(features.astype(np.float64)) * np.sqrt(100 / 99)  # over n, not n - 1
    same_axes(coordinates(features, whitening.whitening(features, dim, shrinkage=0.0)), theirs)


@pytest.mark.parametrize("shrinkage", [0.25, 1.0])
def test_shrunk_whitening_is_the_inverse_root_of_the_shrunk_covariance(data, shrinkage):
    """In all its columns |x|² is the squared Mahalanobis distance."""
    features, _ = data
    covariance = np.cov(features.T.astype(np.float64), bias=True)
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / 7 * np.eye(7)
    centred = features - features.mean(axis=0, dtype=np.float64)
    expected = np.einsum("ni,ij,nj->n", centred, linalg.inv(shrunk), centred)
    found = coordinates(features, whitening.whitening(features, 7, shrinkage=shrinkage))
    np.testing.assert_allclose((found ** 2).sum(axis=1), expected, rtol=1e-5)


def scatter(features, labels):
    """Covariance within classes and over all rows, row by row."""
    features = features.astype(np.float64)
    means = {label: features[labels == label].mean(axis=0) for label in set(labels.tolist())}
    within = sum(np.outer(row - means[label], row - means[label])
                 for row, label in zip(features, labels.tolist(), strict=True))
    return within / len(features), np.cov(features.T, bias=True)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dim", [2, 5])  # of 6 classes there are no more with γ above 1
def test_within_class_whitening_solves_the_generalised_problem(data, dim, shrinkage):
    features, labels = data
    within, total = scatter(features, labels)
    shrunk = (1 - shrinkage) * within + shrinkage * np.trace(within) / 7 * np.eye(7)
    _, vectors = linalg.eigh(total, shrunk)  # uᵀ S_w u = 1, smallest γ first
    mean, kernel = whitening.within_class_whitening(features, labels, dim, shrinkage=shrinkage)
    same_axes(kernel, vectors[:, ::-1][:, :dim])
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-5)


def test_its_first_directions_are_the_discriminants_of_sklearn(data):
    features, labels = data
    theirs = LinearDiscriminantAnalysis(solver="eigen").fit(features.astype(np.float64), labels).scalings_[:, :5]
    kernel = whitening.within_class_whitening(features, labels, 5, shrinkage=0.0)[1]
    same_axes(kernel / np.linalg.norm(kernel, axis=0), theirs / np.linalg.norm(theirs, axis=0), 1e-4)


def test_labels_may_be_any_numbers_in_any_order(data):
    features, labels = data
    order = np.random.default_rng(1).permutation(100)
    one = whitening.within_class_whitening(features, labels, 3, shrinkage=0.2)[1]
    other = whitening.within_class_whitening(features[order], (70 - 9 * labels)[order], 3, shrinkage=0.2)[1]
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_largest_entry_of_a_column_is_positive(data):
    features, labels = data
    for kernel in (whitening.pca(features, 7)[1], whitening.whitening(features, 7, shrinkage=0.1)[1],
                   whitening.within_class_whitening(features, labels, 7, shrinkage=0.1)[1]):
        assert (kernel[np.abs(kernel).argmax(axis=0), np.arange(7)] > 0).all()


def test_a_direction_without_variance_needs_shrinkage(data):
    features, labels = data
    flat = np.concatenate([features, features[:, :2]], axis=1)
    with pytest.raises(ValueError, match="2 of 9 directions have no variance .* raise shrinkage, now 0"):
        whitening.whitening(flat, 9, shrinkage=0.0)
    with pytest.raises(ValueError, match="2 of 9 directions"):
        whitening.within_class_whitening(flat, labels, 9, shrinkage=0.0)
    assert np.isfinite(whitening.within_class_whitening(flat, labels, 9, shrinkage=0.1)[1]).all()


def test_classes_of_one_row_each_tell_nothing(data):
    features, _ = data
    with pytest.raises(ValueError, match="no class has two rows"):
        whitening.within_class_whitening(features, np.arange(100), 3, shrinkage=0.5)
