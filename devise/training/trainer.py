"""Training of a head on cached features, near the time of its matrix products.

The loop over batches is one TensorFlow graph, entered once an epoch; the features stay on the
device, and the optimiser is one fused kernel a variable. XLA is left out: on a CPU it makes these
matrix products slower than the library's are.
"""

import time

import numpy as np
import tensorflow as tf

from devise import arrays
from devise.training import optimisers
from devise.training.batches import Batches, edges, usual_size
from devise.training.history import History
from devise.training.rows import blocks, check_classes, check_labels

RESIDENT_BYTES = 2 * 2**30  # features up to this size are held in memory, larger ones are streamed


def train(head, features, labels, loss, *, optimiser="sgd", learning_rate=0.01, momentum=0.9, nesterov=True,
          epochs=60, batch_size=None, validation=None, validate=None, patience=None, seed=0,
          progress=None, resident_bytes=RESIDENT_BYTES):
    """Fit a head's weights, in place.

    The result is that of Keras' `fit` over the same batches, and the same on every run with the
    same seed on the same machine. Larger batches are faster, and as good where `learning_rate`
    grows with them: 128 and 0.04 gave the hit@1 and cosines of 32 and 0.01 (32 and 60 classes of
    Caltech-101), while 128 and 0.01 gave less of both.

    Args:
        head: an MlpHead; one without weights is built first.
        features: (n, d), may be memory-mapped.
        labels: int (n,).
        loss: a `losses.Loss`, or a function of (labels, embeddings).
        optimiser: "sgd", "adam" or "adagrad"; momentum and nesterov are for "sgd".
        batch_size: most rows in a batch, each epoch has every row in one batch; None takes 32, or
            less where that would make fewer than 20 batches.
        validation: (features, labels); the loss on them is taken after each epoch.
        validate: a function from the embeddings of the validation rows, unit rows (m, dim), to a
            score where higher is better, such as hit@1. With it the head keeps the weights of the
            epoch with the best score, of equals the one with the least validation loss.
        patience: stop after so many epochs without a better one; needs `validate`.
        seed: of the order of the rows, and of the weights where the head has none.
        progress: called as progress(done, total) after each epoch.
        resident_bytes: larger features are read in parts of at most this size.
    Returns:
        History.
    Raises:
        ValueError: before anything starts, if the arrays or options don't fit. Later, if the loss
            or a weight stops being finite; the head then has the weights it started with.

    >>> from devise.losses import Cosine
    >>> from devise.training import HeadConfig, MlpHead
    >>> head = MlpHead(HeadConfig(dim=2, sizes=(8,)))
    >>> train(head, np.eye(4), [0, 1, 0, 1], Cosine(np.eye(2)), epochs=3).epochs
    3
    """
    features = np.asarray(features)
    labels, validation = _check_data(head, features, labels, loss, validation)
    batch_size = usual_size(len(labels)) if batch_size is None else batch_size
    _check_options(len(labels), optimiser, learning_rate, epochs, batch_size, validation, validate, patience)
    if head.input_dim is None:
        head.build(features.shape[1], seed)

    started = time.perf_counter()
    model, own = head.keras_model(), list(getattr(loss, "trainable_variables", ()))
    kept = _Kept([*model.weights, *own])
    run = _compile(model, loss, [*model.trainable_variables, *own], kept.variables,
                   optimiser=optimiser, learning_rate=learning_rate, momentum=momentum, nesterov=nesterov)
    batches = Batches(features, labels, batch_size=batch_size, resident_bytes=resident_bytes)
    rng = np.random.default_rng(seed)
    losses, validation_losses, scores = [], [], []
    for epoch in range(1, epochs + 1):
        losses.append(sum(float(run(*part)) for part in batches.epoch(rng)) / len(labels))
        if not np.isfinite(losses[-1]):
            kept.restore()
            raise ValueError(f"the loss is no longer a finite number in epoch {epoch}: lower learning_rate, "
                             f"now {learning_rate:g}, or raise batch_size, now {batch_size}")
        if validation is not None:
            outputs = head.outputs(validation[0])
            validation_losses.append(float(loss(validation[1], outputs)))
        if validate is not None:
            scores.append(float(validate(arrays.unit_rows(outputs, "validation embeddings"))))
            kept.offer(epoch, scores[-1], validation_losses[-1])
        if progress is not None:
            progress(epoch, epochs)
        if patience is not None and epoch - kept.epoch >= patience:
            break
    if validate is not None:
        kept.restore()
    return History(tuple(losses), tuple(validation_losses), tuple(scores), best_epoch=kept.epoch,
                   batch_size=batch_size, seconds=time.perf_counter() - started)


class _Kept:
    """The weights to go back to: those at the start, then those of the best epoch."""

    def __init__(self, variables):
        self.variables = variables
        self.epoch = None
        self._rank = None
        self._values = [variable.numpy() for variable in variables]

    def offer(self, epoch, score, loss):
        """Keep the weights as they are now, if (score, -loss) is the best so far."""
        if not np.isfinite(score):
            raise ValueError(f"validate returned {score} after epoch {epoch}: expected a finite score")
        if self._rank is None or (score, -loss) > self._rank:
            self.epoch, self._rank = epoch, (score, -loss)
            self._values = [variable.numpy() for variable in self.variables]

    def restore(self):
        for variable, value in zip(self.variables, self._values, strict=True):
            variable.assign(value)


def _compile(model, loss, learned, watched, *, optimiser, **options):
    """A graph that trains on a run of batches and returns the sum of its rows' losses.

    The sum is NaN where a variable of `watched` has stopped being finite.
    """
    update = optimisers.make(optimiser, learned, **options)
    columns = model.input_shape[1]

    numbers = tf.TensorSpec((None,), tf.int32)

    @tf.function(input_signature=[tf.TensorSpec((None, columns), tf.float32), numbers, numbers, numbers])
    def run(features, labels, order, ends):
        total = tf.constant(0.0)
        for batch in tf.range(tf.size(ends) - 1):
            rows = order[ends[batch]:ends[batch + 1]]
            with tf.GradientTape() as tape:
                value = loss(tf.gather(labels, rows), model(tf.gather(features, rows), training=True))
            sources = [variable.value for variable in learned]
            update(tape.gradient(value, sources, unconnected_gradients="zero"))
            total += value * tf.cast(tf.size(rows), tf.float32)
        finite = [tf.reduce_all(tf.math.is_finite(variable.value)) for variable in watched]
        return tf.where(tf.reduce_all(finite), total, np.nan)

    return run


def _check_data(head, features, labels, loss, validation):
    """Labels as int64, the validation pair or None; every row looked at."""
    n_labels, dim = getattr(loss, "n_labels", None), getattr(loss, "dim", None)
    if dim not in (None, head.dim):
        raise ValueError(f"embeddings have {head.dim} columns but the loss expects {dim}: "
                         f"make a head with dim={dim}, or a loss on vectors of dim {head.dim}")
    labels = check_labels(labels, len(features), n_labels=n_labels)
    check_classes(labels)
    for _ in blocks(features, dim=head.input_dim):
        pass
    if validation is not None:
        rows, expected = validation
        expected = check_labels(expected, len(rows), n_labels=n_labels, name="validation labels")
        for _ in blocks(rows, name="validation features", dim=features.shape[1]):
            pass
        if not len(expected):
            raise ValueError("validation has no rows: give some, or None")
        validation = rows, expected
    return labels, validation


def _check_options(n, optimiser, learning_rate, epochs, batch_size, validation, validate, patience):
    if optimiser not in optimisers.NAMES:
        raise ValueError(f"optimiser is {optimiser!r}: expected one of {', '.join(optimisers.NAMES)}")
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise ValueError(f"learning_rate is {learning_rate}: expected a number above 0")
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}: expected 1 or more")
    if batch_size < 2 or np.diff(edges(n, batch_size)).min() < 2:
        raise ValueError(f"batch_size is {batch_size}, which gives batches of one row out of {n}: "
                         "batch normalisation needs two or more, give a larger one")
    if validate is not None and validation is None:
        raise ValueError("validate has no rows to judge: give validation=(features, labels) too")
    if patience is not None and validate is None:
        raise ValueError("patience needs a score to wait for: give validate too")
    if patience is not None and patience < 1:
        raise ValueError(f"patience is {patience}: expected 1 epoch or more")
