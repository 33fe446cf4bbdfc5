"""How a training gets a batch's outputs: through the head's layers, or in the span of few rows."""

import keras
import tensorflow as tf


def make(model, features, optimiser):
    """The cheaper of the two passes that give the same weights.

    Args:
        model: the head as a `keras.Sequential`.
        features: float32 tensor (n, d) of all rows, or None where they don't stay in memory.
        optimiser: its name.
    Returns:
        a `Span` where an SGD learns a dense first layer from fewer rows than they have columns,
        else `Layers`.
    """
    first = model.layers[0]
    if (optimiser == "sgd" and features is not None and features.shape[0] < features.shape[1]
            and isinstance(first, keras.layers.Dense) and first.activation is keras.activations.linear):
        return Span(model, features)
    return Layers(model)


class Layers:
    """The layers as they are.

    Attributes:
        learned: the variables that the optimiser steps on.
    """

    def __init__(self, model):
        self._model, self.learned = model, list(model.trainable_variables)

    def outputs(self, features, rows):
        """Embeddings of some rows of the features, in training mode."""
        return self._model(tf.gather(features, rows), training=True)

    def settle(self):
        """Bring the model's weights up to date with what was learned."""


class Span:
    """The first layer's kernel as W₀ + Xᵀ A, where A (n, units) is learned in its place.

    The gradient of a kernel is Xᵀ G with G that of the layer's outputs, so what SGD adds, momentum
    included, stays in the span of the rows: its step on A is G itself. The outputs are
    X W₀ + (X Xᵀ) A. Of n rows with d columns a step touches n · units numbers, not d · units, and
    spares the product of the gradient. (The dual form of the perceptron: Schölkopf and Smola 2002,
    Learning with Kernels, section 2.2.2.)
    """

    def __init__(self, model, features):
        self._first, *self._others = model.layers
        self._features, self._start = features, tf.identity(self._first.kernel.value)
        self._products = tf.matmul(features, features, transpose_b=True)
        self._begun = tf.matmul(features, self._start)
        self._coefficients = keras.Variable(tf.zeros_like(self._begun), name="coefficients")
        kept = [variable for variable in model.trainable_variables if variable is not self._first.kernel]
        self.learned = [self._coefficients, *kept]

    def outputs(self, features, rows):
        """Embeddings of some rows of the features that it was made with, in training mode."""
        @tf.custom_gradient
        def learned(coefficients):
            def gradient(upstream):
                return tf.scatter_nd(rows[:, None], upstream, tf.shape(coefficients))
            return tf.matmul(tf.gather(self._products, rows), coefficients), gradient

        found = tf.gather(self._begun, rows) + learned(self._coefficients.value)
        if self._first.use_bias:
            found += self._first.bias
        for layer in self._others:
            found = layer(found, training=True)
        return found

    def settle(self):
        """Bring the model's weights up to date with what was learned."""
        self._first.kernel.assign(
            self._start + tf.matmul(self._features, self._coefficients.value, transpose_a=True))
