"""k-means against scikit-learn's, by the sum of squared distances."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from devise.arrays import unit_rows
from devise.evaluation import clustering_nmi, k_means


def inertia(rows, clusters):
    return sum(((rows[clusters == one] - rows[clusters == one].mean(axis=0))**2).sum() for one in np.unique(clusters))


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    labels = np.sort(random.integers(0, 10, 400))
    return (random.standard_normal((10, 6))[labels] + 0.4 * random.standard_normal((400, 6))).astype(np.float32), labels


def test_as_good_as_that_of_scikit_learn(data):
    rows, _ = data
    theirs = KMeans(10, n_init=5, random_state=0).fit(rows)
    assert inertia(rows, k_means(rows, 10)) <= theirs.inertia_ * 1.02


def test_it_is_seeded_and_each_row_is_in_the_nearest_cluster(data):
    rows, _ = data
    clusters = k_means(rows, 10, seed=3)
    np.testing.assert_array_equal(clusters, k_means(rows, 10, seed=3))
    centres = np.stack([rows[clusters == one].mean(axis=0) for one in range(10)])
    nearest = [np.argmin([np.sum((row - centre)**2) for centre in centres]) for row in rows]
    assert np.mean(clusters == nearest) > 0.995  # all but near ties


def test_more_restarts_are_never_worse(data):
    rows, _ = data
    few, many = (inertia(rows, k_means(rows, 25, restarts=restarts)) for restarts in (1, 6))
    assert many <= few * (1 + 1e-6)


def test_far_clusters_are_found_in_one_run():
    labels = np.repeat(np.arange(30), 20)
    rows = 100 * np.eye(30)[labels] + np.random.default_rng(0).standard_normal((600, 30))
    clusters = k_means(rows, 30, restarts=1)
    assert len(set(zip(labels, clusters, strict=True))) == 30


@pytest.mark.parametrize("k", [1, 3, 7])
def test_every_cluster_has_rows(k):
    rows = np.repeat(np.eye(3), [1, 2, 4], axis=0)  # seven rows, three places
    assert sorted(np.unique(k_means(rows, k))) == list(range(k))


def test_nmi_of_unit_rows_with_as_many_clusters_as_classes(data):
    rows, labels = data
    value = clustering_nmi(rows * np.linspace(1, 9, 400)[:, None], labels)
    clusters = KMeans(10, n_init=10, random_state=0).fit_predict(unit_rows(rows))
    assert value == pytest.approx(normalized_mutual_info_score(labels, clusters), abs=0.05)
    unlabelled = np.append(labels, [-1, -1])
    assert clustering_nmi(np.concatenate([rows, rows[:2]]), unlabelled) == pytest.approx(clustering_nmi(rows, labels))


def test_bad_input(data):
    with pytest.raises(ValueError, match="k is 401"):
        k_means(data[0], 401)
    with pytest.raises(ValueError, match="restarts is 0"):
        k_means(data[0], 2, restarts=0)
    with pytest.raises(ValueError, match="no embedding has a label"):
        clustering_nmi(np.eye(2), [-1, -1])
