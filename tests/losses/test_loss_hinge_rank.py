import itertools

import keras
import numpy as np
import pytest

from devise.losses import HingeRank, hinge_costs


def by_loop(labels, embeddings, vectors, margin=0.1, normalise=False):
    """Equation 1 term by term, and the mean over rows."""
    total = 0.0
    for label, embedding in zip(labels, embeddings, strict=True):
        if normalise:
            embedding = embedding / np.sqrt(embedding @ embedding)
        for other, vector in enumerate(vectors):
            if other != label:
                total += max(0.0, margin - vectors[label] @ embedding + vector @ embedding)
    return total / len(labels)


def truncated(label, embedding, vectors, order, margin=0.1):
    """The paper's walk: the cost of the first false label in an order that violates the margin."""
    for other in order:
        cost = margin - vectors[label] @ embedding + vectors[other] @ embedding
        if other != label and cost > 0:
            return cost
    return 0.0


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("margin", [0.1, 0.5])
def test_equals_a_loop_over_rows_and_labels(rows, margin, normalise):
    loss = HingeRank(rows[2], margin, normalise=normalise)
    assert float(loss(*rows[:2])) == pytest.approx(by_loop(*rows, margin, normalise), rel=1e-5)


@pytest.mark.parametrize("normalise", [False, True])
def test_gradient_equals_finite_differences(rows, gradient, differences, normalise):
    labels, embeddings, vectors = rows
    numeric = differences(lambda values: by_loop(labels, values, vectors, normalise=normalise), embeddings)
    slopes = gradient(HingeRank(vectors, normalise=normalise), labels, embeddings)
    np.testing.assert_allclose(slopes, numeric, atol=1e-5)


def test_a_label_ahead_by_the_margin_costs_nothing(gradient):
    loss = HingeRank(np.eye(3), margin=0.25)
    assert float(loss([1], [[0.5, 0.75, -1.0]])) == 0
    assert not gradient(loss, [1], [[0.5, 0.75, -1.0]]).any()
    assert float(loss([1], [[0.625, 0.75, -1.0]])) == pytest.approx(0.125)


def test_a_zero_embedding_costs_the_margin_for_each_other_label(gradient):
    for normalise in (False, True):
        loss = HingeRank(np.eye(4), normalise=normalise)
        assert float(loss([2], np.zeros((1, 4)))) == pytest.approx(0.3)
        assert np.isfinite(gradient(loss, [2], np.zeros((1, 4)))).all()


def test_length_matters_unless_normalised(rows):
    labels, embeddings, vectors = rows
    plain, cosines = HingeRank(vectors), HingeRank(vectors, normalise=True)
    assert float(plain(labels, 10 * embeddings)) > 5 * float(plain(labels, embeddings))
    same = pytest.approx(float(cosines(labels, embeddings)), rel=1e-5)
    assert float(cosines(labels, 10 * embeddings)) == same


def test_label_vectors_are_taken_at_length_1(rows):
    assert float(HingeRank(3 * rows[2])(*rows[:2])) == pytest.approx(by_loop(*rows), rel=1e-5)


def test_the_first_violation_is_distributed_as_in_the_walk(rows):
    """Every order of the labels walked, against many draws: the same costs, as often."""
    labels, embeddings, vectors = rows
    expected = [[truncated(label, embedding, vectors, order) for order in itertools.permutations(range(5))]
                for label, embedding in zip(labels, embeddings, strict=True)]
    loss = HingeRank(vectors, negatives="first violation", seed=3)
    n = 4000
    tiled = hinge_costs(np.repeat(labels, n), np.repeat(embeddings, n, axis=0), vectors)
    drawn = np.asarray(loss._first(tiled)).reshape(12, n)
    for walked, found in zip(expected, drawn, strict=True):
        values, times = np.unique(np.round(walked, 4), return_counts=True)
        again, often = np.unique(np.round(found, 4), return_counts=True)
        np.testing.assert_allclose(again, values, atol=2e-4)
        np.testing.assert_allclose(often / n, times / len(walked), atol=0.04)


def test_the_first_violation_moves_two_labels_of_a_row(rows, gradient):
    """Its gradient is t_j - t_y for one violating j, over the number of rows."""
    labels, embeddings, vectors = rows
    slopes = 12 * gradient(HingeRank(vectors, negatives="first violation"), labels, embeddings)
    costs = np.asarray(hinge_costs(*rows))
    for label, slope, cost in zip(labels, slopes, costs, strict=True):
        steps = [vectors[other] - vectors[label] for other in np.flatnonzero(cost)] or [np.zeros(7)]
        assert min(np.abs(slope - step).max() for step in steps) < 1e-5


def test_a_seed_decides_the_orders(rows):
    def values(seed):
        loss = HingeRank(rows[2], negatives="first violation", seed=seed)
        return [float(loss(*rows[:2])) for _ in range(4)]

    assert values(1) == values(1) != values(2)
    assert len(set(values(1))) > 1


def test_global_seeds_are_not_read(rows):
    keras.utils.set_random_seed(1)
    first = float(HingeRank(rows[2], negatives="first violation")(*rows[:2]))
    keras.utils.set_random_seed(2)
    assert float(HingeRank(rows[2], negatives="first violation")(*rows[:2])) == first


@pytest.mark.parametrize(("options", "message"), [
    ({"margin": 0.0}, "margin is 0.0: expected a number above 0"),
    ({"margin": float("nan")}, "margin is nan"),
    ({"negatives": "hardest"}, "negatives are 'hardest': expected 'all' or 'first violation'"),
    ({"label_vectors": [[1.0, 0.0], [0.0, 0.0]]}, "label vectors hold 1 zero rows"),
])
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HingeRank(**{"label_vectors": np.eye(3), **options})
