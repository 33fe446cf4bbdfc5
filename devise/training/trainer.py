"""Training of a head on cached features, near the time of its matrix products.

The loop over batches is one TensorFlow graph, entered once an epoch; the features stay on the
device, and the optimiser is one fused kernel a variable; few rows are trained in their span, see
`Span`. XLA is left out: on a CPU it makes these matrix products slower than the library's are.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from devise.heads import Head
from devise.heads.base import blocks
from devise.losses import Loss, as_loss
from devise.training import batches, loop
from devise.training.augmented import AugmentedFeatures
from devise.training.loop import History, run_epochs
from devise.training.validation import Validation, check, touched

RESIDENT_BYTES = 2 * 2**30  # features up to this size are held in memory, larger ones are streamed


def train(head: Head, features: ArrayLike | AugmentedFeatures, labels: ArrayLike, loss: Loss | Callable, *,
          optimiser: str = "sgd", learning_rate: float = 0.01, momentum: float = 0.9, nesterov: bool = True,
          epochs: int = 60, batch_size: int | None = None, classes: int | None = None, per_class: int = 4,
          validation: tuple[ArrayLike, ArrayLike] | None = None, validate: Callable | None = None,
          patience: int | None = None, seed: int = 0, before_epoch: Callable[[int], None] | None = None,
          after_epoch: Callable[[History], None] | None = None,
          progress: Callable[[int, int], None] | None = None, resident_bytes: int = RESIDENT_BYTES) -> History:
    """Fit a head's weights, in place.

    The result is that of Keras' `fit` over the same batches, but for rounding, and the same on every
    run with the same seed on the same machine. Larger batches are faster, and as good where
    `learning_rate` grows with them.

    Args:
        head: an MlpHead or a ProjectionHead; one without weights gets its start first.
        features: (n, d), may be memory-mapped; or a AugmentedFeatures, of which each row takes one of
            the levels that are open in the epoch.
        labels: int (n,).
        loss: a `losses.Loss`, or a function of (labels, embeddings).
        optimiser: "sgd", "adam" or "adagrad"; momentum and nesterov are for "sgd".
        batch_size: most rows in a batch, each epoch has every row in one batch; None takes 32, or
            less where that would make fewer than 20 batches.
        classes: in place of batch_size, batches of so many classes with `per_class` rows of each,
            for losses over pairs. A class with fewer rows gives those it has, one of a single row
            is left out, with a warning; an epoch has as many batches as hold the rows once.
        validation: (features, labels); the loss on them is taken after each epoch, of batches of
            classes where the training has such.
        validate: a function from the embeddings of the validation rows, unit rows (m, dim), to a
            score where higher is better, such as hit@1, or to {name: score} whose first decides.
            With it the head keeps the weights of the epoch with the best score, of equals the one
            with the least validation loss; a ProjectionHead's start is one more candidate.
        patience: stop after so many epochs without a better one; needs `validate`.
        seed: of the order of the rows, of the levels, and of the weights where the head has none.
        before_epoch: called as before_epoch(epoch), from 1, before its rows are drawn. What it
            changes in the loss must be a variable: the loss becomes a graph once, before epoch 1.
        after_epoch: called as after_epoch(history) with the History so far.
        progress: called as progress(done, total) after each epoch.
        resident_bytes: larger features are read in parts of at most this size.
    Returns:
        History. Where batches had no pair for the loss (its `empty_batches` rose), a warning at the
        end says how many.
    Raises:
        ValueError: before anything starts, if the arrays or options don't fit. Later, if the loss,
            a weight or a score stops being finite. What goes wrong later, a function of the
            caller's included, leaves head and loss as they were at the start.

    >>> from devise.losses import Cosine
    >>> from devise.heads import HeadConfig, MlpHead
    >>> head = MlpHead(HeadConfig(dim=2, sizes=(8,)))
    >>> train(head, np.eye(4), [0, 1, 0, 1], Cosine(np.eye(2)), epochs=3).epochs
    3
    """
    features, loss = features if isinstance(features, AugmentedFeatures) else np.asarray(features), as_loss(loss)
    levels = features.levels if isinstance(features, AugmentedFeatures) else (features,)

    def look(rows, name):
        for level in levels if rows is features else (rows,):
            for _ in blocks(level, name=name, dim=head.input_dim if rows is features else features.shape[1]):
                pass

    labels, validation = check(head, features, labels, loss, validation, look, optimiser=optimiser,
                               learning_rate=learning_rate, epochs=epochs, validate=validate, patience=patience)
    draw = batches.make(labels, batch_size=batch_size, classes=classes, per_class=per_class)
    state = touched(loss, head.dim)
    scored = Validation(lambda: head.outputs(validation[0]), validation[1], loss, state, validate,
                        classes=classes, per_class=per_class, seed=seed) if validation else None
    if head.input_dim is None:
        head.begin(levels[0], labels, seed)
    model, own = head.keras_model(), list(loss.trainable_variables)
    variables, rng = [*model.weights, *own], np.random.default_rng(seed)
    drawn = batches.Batches(features, labels, draw, resident_bytes=resident_bytes)
    way = head_pass(model, drawn.resident, optimiser)
    learned = [*way.learned, *own]
    run = _compile(way, loss, learned, columns=features.shape[1],
                   optimiser=optimiser, learning_rate=learning_rate, momentum=momentum, nesterov=nesterov)
    watched = any(one is not None for one in (scored, before_epoch, after_epoch))

    def one_epoch(epoch):
        total, rows, count = 0.0, 0, 0
        for part in drawn.epoch(rng, epoch):
            total += float(run(*part))
            rows, count = rows + len(part[2]), count + len(part[3]) - 1
        if watched or epoch == epochs:
            way.settle()
        if progress is not None:
            progress(epoch, epochs)
        return (total if loop.finite([*variables, *way.learned]) else np.nan), rows, count

    try:
        return run_epochs(one_epoch, epochs=epochs, draw=draw, loss=loss, state=state, variables=variables,
                          validation=scored, start_counts=head.start_counts, patience=patience,
                          learning_rate=learning_rate, before_epoch=before_epoch, after_epoch=after_epoch)
    except KeyboardInterrupt:
        way.settle()  # who stops it by hand goes on with the head as it is
        raise


def _compile(way, loss, learned, *, columns, optimiser, **options):
    """A graph to train on a run of batches: the sum of its rows' losses."""
    update = loop.optimiser(optimiser, learned, **options)
    numbers = tf.TensorSpec((None,), tf.int32)

    @tf.function(input_signature=[tf.TensorSpec((None, columns), tf.float32), numbers, numbers, numbers],
                 autograph=False)
    def run(features, labels, order, ends):
        def value_of(rows):
            with tf.GradientTape() as tape:
                value = loss(tf.gather(labels, rows), way.outputs(features, rows))
            sources = [variable.value for variable in learned]
            update(tape.gradient(value, sources, unconnected_gradients="zero"))
            return value

        return loop.summed(value_of, order, ends)

    return run


def head_pass(model: keras.Sequential, features: tf.Tensor | None, optimiser: str) -> Layers | Span:
    """The cheaper of two ways through a head that give the same weights.

    A `Span` where an SGD learns a dense first layer from fewer rows than they have columns, all in
    memory, else `Layers`.
    """
    first = model.layers[0]
    if (optimiser == "sgd" and features is not None and features.shape[0] < features.shape[1]
            and isinstance(first, keras.layers.Dense) and first.activation is keras.activations.linear):
        return Span(model, features)
    return Layers(model)


class Layers:
    """The layers as they are; `learned` are the variables that the optimiser steps on."""

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
