import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from devise.metrics import normalised_mutual_information


@pytest.mark.parametrize("seed", range(5))
def test_it_is_that_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 9, 300)
    clusters = np.where(random.random(300) < 0.25 * seed, labels * 7 % 5, random.integers(-3, 4, 300))
    assert normalised_mutual_information(labels, clusters) == pytest.approx(
        normalized_mutual_info_score(labels, clusters), abs=1e-12)


@pytest.mark.parametrize("labels, clusters, expected", [
    ([1, 1, 1], [5, 5, 5], 1.0), ([1, 2, 3], [5, 5, 5], 0.0), ([1, 1, 2, 2], [0, 1, 0, 1], 0.0),
    ([1, 2, 3], [9, 8, 7], 1.0)])
def test_extremes(labels, clusters, expected):
    assert normalised_mutual_information(labels, clusters) == pytest.approx(expected)
    assert normalised_mutual_information(clusters, labels) == pytest.approx(expected)


def test_bad_input():
    for labels, clusters in [([], []), ([1], [1, 2]), ([[1]], [[1]])]:
        with pytest.raises(ValueError, match="one of each a row"):
            normalised_mutual_information(labels, clusters)
