"""The second phase of DeViSE: the top of the network trained along with the head, on pictures.

Everything below the layers that train stays as it is, so the backward pass ends there; the network
runs as it does when features are extracted, its batch normalisation by the running statistics.
"""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from devise import arrays
from devise.training import optimisers
from devise.training.batches import edges
from devise.training.heads import Head
from devise.training.history import History
from devise.training.rows import check_classes, check_labels
from devise.training.trainer import _check_options, _Kept

LAYERS = 10  # of EfficientNet-Lite0: the last three blocks and the convolution behind them
THREADS = 2  # decode one batch while the network works on another


class Finetuned(NamedTuple):
    """What `finetune` gives back.

    Attributes:
        weights: {path: array}, the weights of the layers that trained; for `Backbone.with_weights`.
        head: the head that goes with them.
        history: History; its best_epoch is 0 where no epoch was better than the start.
    """

    weights: dict[str, np.ndarray]
    head: Head
    history: History


def finetune(network, head, pictures, labels, loss, *, layers=LAYERS, optimiser="adagrad",
             learning_rate=0.001, epochs=3, batch_size=8, validation=None, validate=None, seed=0,
             progress=None):
    """Train the top of a network and a trained head together, on copies of both.

    The paper's second phase: once the head is trained on fixed features, the loss also reaches the
    visual network, with Adagrad to keep the steps of its layers in proportion (Frome et al. 2013,
    section 3.3). Neither `network` nor `head` is changed; what the loss itself learns is.

    Args:
        network: keras.Model from pictures float32 (n, h, w, 3) in 0..255 to features (n, dim), such
            as `Backbone.keras_model()`.
        head: a trained MlpHead on these features.
        pictures: n pictures uint8 (h, w, 3) by position: an array, or anything with len and
            pictures[row], which is called in threads ahead of use.
        labels: int (n,).
        loss: a `losses.Loss`, or a function of (labels, embeddings).
        layers: how many layers of the network train, the last ones that have weights; batch
            normalisation is neither among them nor counted.
        optimiser: "sgd", "adam" or "adagrad".
        batch_size: most pictures in a batch; each epoch has every picture in one batch.
        validation: (pictures, labels); the loss on them is taken after each epoch.
        validate: as in `train`; the weights kept are those with the best score, the start included.
        seed: of the order of the pictures.
        progress: called as progress(done, total) after each batch, in pictures of all epochs.
    Returns:
        Finetuned.
    Raises:
        ValueError: before anything starts, if the parts don't fit. Later, if the loss or a weight
            stops being finite, or a picture can't be had.
    """
    labels, validation = _check_data(network, head, pictures, labels, loss, validation)
    _check_options(len(labels), optimiser, learning_rate, epochs, batch_size, validation, validate,
                   patience=None)
    started = time.perf_counter()
    network, head = _thawed(network), type(head)._restore(head.config, head._weights())
    opened, model = _top_variables(network, layers), head.keras_model()
    own = list(getattr(loss, "trainable_variables", ()))
    given, kept = _Kept(own), _Kept([*opened, *model.weights, *own])
    step = _compile(network, model, loss, [*opened, *model.trainable_variables, *own],
                    optimiser=optimiser, learning_rate=learning_rate)
    judge = validation and _judge(network, head, loss, validation, validate, batch_size)
    losses, validation_losses, scores, rng = [], [], [], np.random.default_rng(seed)
    try:
        if validate is not None:
            kept.offer(0, *judge())
        for epoch in range(1, epochs + 1):
            total = 0.0
            for done, value in _steps(step, pictures, labels, batch_size, rng):
                total += value
                if progress is not None:
                    progress((epoch - 1) * len(labels) + done, epochs * len(labels))
            _check_finite(total, kept.variables, epoch, learning_rate)
            losses.append(total / len(labels))
            if judge:
                score, value = judge()
                validation_losses.append(value)
            if validate is not None:
                scores.append(score)
                kept.offer(epoch, score, value)
    except Exception:
        given.restore()  # the copies are dropped, but the loss is the caller's
        raise
    if validate is not None:
        kept.restore()
    history = History(tuple(losses), tuple(validation_losses), tuple(scores), best_epoch=kept.epoch,
                      batch_size=batch_size, seconds=time.perf_counter() - started)
    return Finetuned({variable.path: variable.numpy() for variable in opened}, head, history)


def stream(pictures, batches):
    """Batches of pictures, stacked; each is decoded in threads while the one before is at work.

    Args:
        pictures: anything with pictures[row], uint8 (h, w, 3).
        batches: a list of row arrays.
    Returns:
        an iterator over uint8 (m, h, w, 3).

    >>> [part[:, 0, 0, 0].tolist() for part in stream(np.arange(3).reshape(3, 1, 1, 1), [[2], [0, 1]])]
    [[2], [0, 1]]
    """
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        ahead = None
        for rows in [*batches, ()]:
            decoded, ahead = ahead, [pool.submit(pictures.__getitem__, int(row)) for row in rows]
            if decoded:
                yield np.stack([picture.result() for picture in decoded])


def _steps(step, pictures, labels, batch_size, rng):
    """One epoch, in the order that `rng` draws: yields (pictures done, loss of a batch × its rows)."""
    ends = edges(len(labels), batch_size)
    batches = np.split(rng.permutation(len(labels)), ends[1:-1])
    for end, rows, batch in zip(ends[1:], batches, stream(pictures, batches), strict=True):
        yield int(end), len(rows) * float(step(batch, labels[rows].astype(np.int32)))


def _thawed(network):
    """A copy of a frozen network, all of whose layers may train."""
    import keras

    def thawed(layer):  # built frozen, a layer would count its weights as fixed for good
        thaw = {"trainable": True} if isinstance(layer, keras.Layer) else {}
        return type(layer).from_config({**layer.get_config(), **thaw})

    copy = keras.models.clone_model(network, clone_function=thawed)
    values = {weight.path: weight for weight in network.weights}
    for weight in copy.weights:
        weight.assign(values[weight.path])
    return copy


def _top_variables(network, n):
    """What the last n layers that have weights train; batch normalisation is not among them."""
    from keras.layers import BatchNormalization

    found = [layer for layer in network.layers
             if layer.trainable_variables and not isinstance(layer, BatchNormalization)]
    if not 1 <= n <= len(found):
        raise ValueError(f"layers is {n}: expected 1 to {len(found)}, as many as {network.name} "
                         "has with weights")
    return [variable for layer in found[-n:] for variable in layer.trainable_variables]


def _compile(network, head, loss, learned, *, optimiser, learning_rate):
    """A graph that trains on one batch of pictures and labels and returns its loss."""
    update = optimisers.make(optimiser, learned, learning_rate=learning_rate)

    @tf.function(input_signature=[_signature(network), tf.TensorSpec((None,), tf.int32)])
    def step(pictures, labels):
        sources = [variable.value for variable in learned]
        # only what learns is watched: the layers below keep nothing for a backward pass
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            features = network(tf.cast(pictures, tf.float32), training=False)
            value = loss(labels, head(features, training=True))
        update(tape.gradient(value, sources, unconnected_gradients="zero"))
        return value

    return step


def _judge(network, head, loss, validation, validate, batch_size):
    """A function that gives the score, or None, and the loss of the validation pictures as they are now."""
    pictures, labels = validation
    batches = [np.arange(*ends) for ends in itertools.pairwise(edges(len(labels), batch_size))]

    @tf.function(input_signature=[_signature(network)])
    def forward(batch):
        return network(tf.cast(batch, tf.float32), training=False)

    def judge():
        features = np.concatenate([forward(batch) for batch in stream(pictures, batches)])
        outputs = head.outputs(features)
        value = float(loss(labels, outputs))
        if validate is None:
            return None, value
        return float(validate(arrays.unit_rows(outputs, "validation embeddings"))), value

    return judge


def _signature(network):
    return tf.TensorSpec(network.input_shape, tf.uint8)


def _check_data(network, head, pictures, labels, loss, validation):
    """Labels as int64 and the validation pair or None, once network, head, loss and pictures fit."""
    if not hasattr(head, "keras_model"):
        raise ValueError(f"the {head.kind} head is a closed form: train an mlp head, which has a gradient")
    columns = network.output_shape[-1]
    if head.input_dim != columns:
        raise ValueError(f"the head takes {head.input_dim} features but {network.name} gives {columns}: "
                         "train the head on this network's features first")
    n_labels, dim = getattr(loss, "n_labels", None), getattr(loss, "dim", None)
    if dim not in (None, head.dim):
        raise ValueError(f"embeddings have {head.dim} columns but the loss expects {dim}")
    labels = check_labels(labels, len(pictures), n_labels=n_labels)
    check_classes(labels)
    _check_picture(pictures[0], network)
    if validation is not None:
        shown, expected = validation
        expected = check_labels(expected, len(shown), n_labels=n_labels, name="validation labels")
        if not len(expected):
            raise ValueError("validation has no pictures: give some, or None")
        _check_picture(shown[0], network)
        validation = shown, expected
    return labels, validation


def _check_picture(picture, network):
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.shape != network.input_shape[1:]:
        raise ValueError(f"the first picture is {picture.dtype} {picture.shape}: expected uint8 "
                         f"{network.input_shape[1:]}, prepared for {network.name}")


def _check_finite(total, variables, epoch, learning_rate):
    if not (np.isfinite(total) and all(np.isfinite(variable.numpy()).all() for variable in variables)):
        raise ValueError(f"the loss or a weight is no longer a finite number in epoch {epoch}: "
                         f"lower learning_rate, now {learning_rate:g}")
