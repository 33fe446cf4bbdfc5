"""The fast path: a batch's outputs in the span of few rows, and optimisers of one fused kernel a variable.

The arithmetic of the optimisers is that of keras.optimizers under the same names. Theirs goes
through several passes over the weights and a temporary array for each, which costs as much as a
small batch's matrix products; a fused kernel reads and writes the weights once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from devise.training.loop import OPTIMISERS


def head_pass(model: keras.Sequential, features: tf.Tensor | None, optimiser: str) -> Layers | Span:
    """The cheaper of two ways through a head that give the same weights.

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

    def __init__(self, model: keras.Sequential):
        self._model, self.learned = model, list(model.trainable_variables)

    def outputs(self, features: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Embeddings of some rows of the features, in training mode."""
        return self._model(tf.gather(features, rows), training=True)

    def settle(self) -> None:
        """Bring the model's weights up to date with what was learned."""


class Span:
    """The first layer's kernel as W₀ + Xᵀ A, where A (n, units) is learned in its place.

    The gradient of a kernel is Xᵀ G with G that of the layer's outputs, so what SGD adds, momentum
    included, stays in the span of the rows: its step on A is G itself. The outputs are
    X W₀ + (X Xᵀ) A. Of n rows with d columns a step touches n · units numbers, not d · units, and
    spares the product of the gradient. (The dual form of the perceptron: Schölkopf and Smola 2002,
    Learning with Kernels, section 2.2.2.)
    """

    def __init__(self, model: keras.Sequential, features: tf.Tensor):
        self._first, *self._others = model.layers
        self._features, self._start = features, tf.identity(self._first.kernel.value)
        self._products = tf.matmul(features, features, transpose_b=True)
        self._begun = tf.matmul(features, self._start)
        self._coefficients = keras.Variable(tf.zeros_like(self._begun), name="coefficients")
        kept = [variable for variable in model.trainable_variables if variable is not self._first.kernel]
        self.learned = [self._coefficients, *kept]

    def outputs(self, features: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
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

    def settle(self) -> None:
        """Bring the model's weights up to date with what was learned."""
        self._first.kernel.assign(
            self._start + tf.matmul(self._features, self._coefficients.value, transpose_a=True))


def optimiser(name: str, variables: Sequence[keras.Variable], *, learning_rate: float, momentum: float = 0.9,
              nesterov: bool = True) -> Callable[[Sequence[tf.Tensor]], None]:
    """A function that takes a gradient for each variable and updates the variables.

    Args:
        name: one of OPTIMISERS; `momentum` and `nesterov` are for "sgd", the others have Keras' defaults.
        variables: list of keras.Variable.
    Raises:
        ValueError: if the name is unknown.
    """
    if name == "sgd":
        return _sgd(variables, learning_rate, momentum, nesterov)
    if name == "adam":
        return _adam(variables, learning_rate)
    if name == "adagrad":
        return _adagrad(variables, learning_rate)
    raise ValueError(f"optimiser is {name!r}: expected one of {', '.join(OPTIMISERS)}")


def _sgd(variables, learning_rate, momentum, nesterov):
    """v ← momentum·v - lr·g; w ← w + v, or with Nesterov w + momentum·v - lr·g."""
    velocities = _slots(variables, 0.0)

    def update(gradients):
        for variable, velocity, gradient in zip(variables, velocities, gradients, strict=True):
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.value.handle, accum=velocity.handle, lr=learning_rate, momentum=momentum,
                use_nesterov=nesterov, grad=tf.convert_to_tensor(gradient))

    return update


def _adam(variables, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Kingma and Ba 2015, algorithm 1, with the bias corrections in the step size."""
    means, squares = _slots(variables, 0.0), _slots(variables, 0.0)
    power_1, power_2 = tf.Variable(1.0), tf.Variable(1.0)

    def update(gradients):
        power_1.assign(power_1 * beta_1)
        power_2.assign(power_2 * beta_2)
        for variable, mean, square, gradient in zip(variables, means, squares, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle, m=mean.handle, v=square.handle, lr=learning_rate,
                beta1_power=power_1, beta2_power=power_2, beta1=beta_1, beta2=beta_2, epsilon=epsilon,
                grad=tf.convert_to_tensor(gradient))

    return update


def _adagrad(variables, learning_rate, start=0.1):
    """a ← a + g²; w ← w - lr·g / √a (Duchi et al. 2011). The start of a keeps it off zero."""
    sums = _slots(variables, start)

    def update(gradients):
        for variable, total, gradient in zip(variables, sums, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdagrad(
                var=variable.value.handle, accum=total.handle, lr=learning_rate,
                grad=tf.convert_to_tensor(gradient))

    return update


def _slots(variables, value):
    return [tf.Variable(tf.fill(variable.shape, value)) for variable in variables]
