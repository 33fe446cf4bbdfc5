import math

import numpy as np
import pytest

from devise.losses import InfoNCE, Softmax, cross_entropy


def by_loop(labels, logits):
    total = 0.0
    for label, row in zip(labels, logits, strict=True):
        total -= math.log(math.exp(row[label]) / sum(math.exp(value) for value in row))
    return total / len(labels)


def infonce_by_loop(labels, embeddings, vectors, temperature=0.07):
    lengths = np.sqrt((embeddings**2).sum(axis=1, keepdims=True))
    return by_loop(labels, (embeddings / lengths) @ vectors.T / temperature)


def softmax_by_loop(labels, embeddings, kernel, bias):
    return by_loop(labels, embeddings @ kernel + bias)


def values(loss):
    return [np.asarray(variable).astype(float) for variable in loss.trainable_variables]


def test_cross_entropy_equals_a_loop():
    rng = np.random.default_rng(1)
    labels, logits = rng.integers(0, 6, 20), 3 * rng.standard_normal((20, 6))
    assert float(cross_entropy(labels, logits)) == pytest.approx(by_loop(labels, logits), rel=1e-5)


def test_cross_entropy_of_large_logits_is_finite():
    assert float(cross_entropy([0, 1], [[1000.0, 0.0], [1000.0, 0.0]])) == pytest.approx(500)


def test_softmax_equals_a_loop_over_its_classifier(rows):
    labels, embeddings, _ = rows
    loss = Softmax(5, dim=7, seed=4)
    expected = softmax_by_loop(labels, embeddings, *values(loss))
    assert float(loss(labels, embeddings)) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(loss.logits(embeddings), embeddings @ values(loss)[0], atol=1e-5)


def test_softmax_gradients_equal_finite_differences(rows, gradient, differences):
    labels, embeddings, _ = rows
    loss = Softmax(5, dim=7)
    kernel, bias = values(loss)
    numeric = differences(lambda changed: softmax_by_loop(labels, changed, kernel, bias), embeddings)
    np.testing.assert_allclose(gradient(loss, labels, embeddings), numeric, atol=1e-5)
    own = gradient(loss, labels, embeddings, loss.trainable_variables)
    numeric = [differences(lambda changed: softmax_by_loop(labels, embeddings, changed, bias), kernel),
               differences(lambda changed: softmax_by_loop(labels, embeddings, kernel, changed), bias)]
    for slopes, expected in zip(own, numeric, strict=True):
        np.testing.assert_allclose(slopes, expected, atol=1e-5)


def test_a_seed_decides_the_first_classifier_and_its_spread_is_glorots():
    first, again, other = (values(Softmax(300, dim=200, seed=seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.abs(first).max() <= math.sqrt(6 / 500)
    assert first.std() == pytest.approx(math.sqrt(2 / 500), rel=0.02)


def test_a_zero_embedding_says_nothing_to_the_fresh_classifier(gradient):
    loss = Softmax(4, dim=3)
    assert float(loss([2], np.zeros((1, 3)))) == pytest.approx(math.log(4), rel=1e-5)
    assert np.isfinite(gradient(loss, [2], np.zeros((1, 3)))).all()


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
@pytest.mark.parametrize("learned", [False, True])
def test_infonce_equals_a_loop(rows, temperature, learned):
    loss = InfoNCE(rows[2], temperature, learn_temperature=learned)
    assert float(loss(*rows[:2])) == pytest.approx(infonce_by_loop(*rows, temperature), rel=1e-4)
    assert loss.temperature == pytest.approx(temperature)


def test_infonce_gradients_equal_finite_differences(rows, gradient, differences):
    labels, embeddings, vectors = rows
    loss = InfoNCE(vectors, 0.3, learn_temperature=True)
    numeric = differences(lambda changed: infonce_by_loop(labels, changed, vectors, 0.3), embeddings)
    np.testing.assert_allclose(gradient(loss, labels, embeddings), numeric, atol=1e-4)
    numeric = differences(lambda at: infonce_by_loop(labels, embeddings, vectors, math.exp(-at[0])),
                          np.array([-math.log(0.3)]))
    slope, = gradient(loss, labels, embeddings, loss.trainable_variables)
    assert float(slope) == pytest.approx(numeric[0], abs=1e-5)


def test_lengths_do_not_matter_to_infonce(rows):
    labels, embeddings, vectors = rows
    expected = pytest.approx(float(InfoNCE(vectors)(labels, embeddings)), rel=1e-4)
    assert float(InfoNCE(4 * vectors)(labels, 100 * embeddings)) == expected


def test_a_zero_embedding_has_equal_cosines(gradient):
    loss = InfoNCE(np.eye(4))
    assert float(loss([2], np.zeros((1, 4)))) == pytest.approx(math.log(4), rel=1e-5)
    assert np.isfinite(gradient(loss, [2], np.zeros((1, 4)))).all()


def test_a_learned_temperature_stops_at_a_hundredth_and_comes_back(rows, gradient):
    labels, embeddings, vectors = rows
    loss = InfoNCE(vectors, 0.02, learn_temperature=True)
    log_scale, = loss.trainable_variables
    log_scale.assign(math.log(1000))
    assert loss.temperature == pytest.approx(0.01)
    assert float(loss(labels, embeddings)) == pytest.approx(infonce_by_loop(*rows, 0.01), rel=1e-4)
    slope, = gradient(loss, labels, embeddings, loss.trainable_variables)
    assert slope > 0  # wrong labels ask for a higher temperature


def test_a_fixed_temperature_is_not_trained(rows):
    assert InfoNCE(rows[2]).trainable_variables == ()


@pytest.mark.parametrize(("make", "message"), [
    (lambda: InfoNCE(np.eye(2), 0.0), "temperature is 0.0: expected a number above 0"),
    (lambda: InfoNCE(np.eye(2), float("inf")), "temperature is inf"),
    (lambda: InfoNCE(np.eye(2), 0.005, learn_temperature=True), "at least 0.01 where it is learned"),
    (lambda: InfoNCE([[0.0, 0.0]]), "label vectors hold 1 zero rows"),
    (lambda: Softmax(0, dim=3), "n_labels is 0 and dim is 3"),
])
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
