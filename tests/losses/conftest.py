import os

import numpy as np
import pytest

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # what is compiled here runs once


def framework_gradient(loss, labels, embeddings, sources=None):
    """The loss's gradient with respect to the embeddings, or to `sources`, by the framework."""
    import tensorflow as tf

    rows = tf.Variable(embeddings, dtype=tf.float32)
    with tf.GradientTape() as tape:
        value = loss(labels, rows)
    if sources is None:
        return np.asarray(tape.gradient(value, rows))
    return [np.asarray(slope) for slope in tape.gradient(value, [source.value for source in sources])]


def finite_differences(function, values, step=1e-6):
    """The gradient of a function of one float64 array, entry by entry."""
    slopes = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        up, down = values.copy(), values.copy()
        up[place] += step
        down[place] -= step
        slopes[place] = (function(up) - function(down)) / (2 * step)
    return slopes


@pytest.fixture
def gradient():
    return framework_gradient


@pytest.fixture
def differences():
    return finite_differences


@pytest.fixture
def rows():
    """Labels (12,), embeddings (12, 7), unit label vectors (5, 7)."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((5, 7))
    return rng.integers(0, 5, 12), 0.4 * rng.standard_normal((12, 7)), unit(vectors)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
