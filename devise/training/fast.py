"""The fast path: a batch's outputs in the span of few rows, and optimisers of one fused kernel a variable.

The arithmetic of the optimisers is that of keras.optimizers under the same names. Theirs goes
through several passes over the weights and a temporary array for each, which costs as much as a
small batch's matrix products; a fused kernel reads and writes the weights once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

# the kernel of each, and what it keeps beside a variable, with its value at the start
OPTIMISERS = {"adagrad": (tf.raw_ops.ResourceApplyAdagrad, {"accum": 0.1}),
              "adam": (tf.raw_ops.ResourceApplyAdam, {"m": 0.0, "v": 0.0}),
              "sgd": (tf.raw_ops.ResourceApplyKerasMomentum, {"accum": 0.0})}


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

    - sgd: v ← momentum·v - lr·g; w ← w + v, or with Nesterov w + momentum·v - lr·g.
    - adam: Kingma and Ba 2015, algorithm 1, with the bias corrections in the step size.
    - adagrad: a ← a + g²; w ← w - lr·g / √a (Duchi et al. 2011). The start of a keeps it off zero.

    Args:
        name: one of OPTIMISERS; `momentum` and `nesterov` are for "sgd", the others have Keras' defaults.
        variables: list of keras.Variable.
    Raises:
        ValueError: if the name is unknown.
    """
    if name not in OPTIMISERS:
        raise ValueError(f"optimiser is {name!r}: expected one of {', '.join(OPTIMISERS)}")
    options: dict[str, Any] = {"lr": learning_rate}
    if name == "sgd":
        options |= {"momentum": momentum, "use_nesterov": nesterov}
    elif name == "adam":
        options |= {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7, "beta1_power": tf.Variable(1.0),
                    "beta2_power": tf.Variable(1.0)}
    kernel, starts = OPTIMISERS[name]
    slots = [{slot: tf.Variable(tf.fill(variable.shape, start)) for slot, start in starts.items()}
             for variable in variables]

    def update(gradients):
        for beta in ("beta1", "beta2") if name == "adam" else ():
            options[f"{beta}_power"].assign(options[f"{beta}_power"] * options[beta])
        for variable, own, gradient in zip(variables, slots, gradients, strict=True):
            kernel(var=variable.value.handle, grad=tf.convert_to_tensor(gradient), **options,
                   **{slot: kept.handle for slot, kept in own.items()})

    return update
