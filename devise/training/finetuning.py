"""The second phase of DeViSE: the top of the network trained along with the head, on images.

Everything below the layers that train stays as it is, so the backward pass ends there; the network
runs as it does when features are extracted, its batch normalisation by the running statistics.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from devise.backbones.graphs import copied
from devise.heads import Head
from devise.losses import Loss, as_loss
from devise.training import batches, loop
from devise.training.loop import History, run_epochs
from devise.training.validation import Validation, check, touched

LAYERS = 10  # of EfficientNet-Lite0: the last three blocks and the convolution behind them
BATCH_SIZE = 8
THREADS = 2  # decode one batch while the network works on another


class Finetuned(NamedTuple):
    """What `finetune` gives back.

    Attributes:
        weights: {path: array}, the weights of the layers that trained; for `Backbone.with_weights`.
        head: the head that goes with them.
        history: History; its best_epoch is 0 where no epoch was better than the start.

    >>> tuned = finetune(network, head, images, labels, loss)  # doctest: +SKIP
    >>> backbone.with_weights(tuned.weights)  # doctest: +SKIP
    Backbone(vgg16, layer=fc2, dim=4096, weights=imagenet, fine-tuned)
    """

    weights: dict[str, np.ndarray]
    head: Head
    history: History


def finetune(network: keras.Model, head: Head, images: Sequence[NDArray[np.uint8]], labels: ArrayLike,
             loss: Loss | Callable, *, layers: int = LAYERS, optimiser: str = "adagrad", learning_rate: float = 0.001,
             epochs: int = 3, batch_size: int | None = None, classes: int | None = None, per_class: int = 4,
             augment: Callable | None = None, validation: tuple | None = None, validate: Callable | None = None,
             seed: int = 0, before_epoch: Callable[[int], None] | None = None,
             after_epoch: Callable[[History], None] | None = None,
             progress: Callable[[int, int], None] | None = None) -> Finetuned:
    """Train the top of a network and a trained head together, on copies of both.

    The paper's second phase: once the head is trained on fixed features, the loss also reaches the
    visual network, with Adagrad to keep the steps of its layers in proportion (Frome et al. 2013,
    section 3.3). With a loss over pairs and batches of classes it is the training of a siamese
    network: one set of weights sees both images of a pair. Neither `network` nor `head` is
    changed; what the loss itself learns is.

    Args:
        network: keras.Model from images float32 (n, h, w, 3) in 0..255 to features (n, dim), such
            as `Backbone.keras_model()`.
        head: a trained MlpHead or ProjectionHead on these features.
        images: n images uint8 (h, w, 3) by position: an array, or anything with len and
            images[row], which is called in threads ahead of use.
        labels: int (n,).
        loss: a `losses.Loss`, or a function of (labels, embeddings).
        layers: how many layers of the network train, the last ones that have weights; batch
            normalisation is neither among them nor counted.
        optimiser: "sgd", "adam" or "adagrad".
        batch_size: most images in a batch, 8 by default; each epoch has every image in one batch.
        classes, per_class: as in `train`, in place of batch_size.
        augment: a function of an image and a `numpy.random.Generator` to an image of the same
            shape, uint8. It is called in the threads, so it must not write what it shares with
            itself; it is given a copy, and a generator that seed, epoch and place decide.
        validation: (images, labels), not augmented; the loss on them is taken after each epoch.
        validate: as in `train`; the weights kept are those with the best score, the start included.
        seed: of the order of the images and of their augmentation.
        before_epoch, after_epoch: as in `train`.
        progress: called as progress(done, total) after each batch, in images of all epochs.
    Returns:
        Finetuned. Batches without a pair for the loss are warned of as in `train`.
    Raises:
        ValueError: before anything starts, if the parts don't fit. Later, if the loss or a weight
            stops being finite, or an image can't be had.

    >>> tuned = finetune(backbone.keras_model(), head, images, labels, loss, layers=2, epochs=1)  # doctest: +SKIP
    >>> tuned.history.best_epoch  # doctest: +SKIP
    1
    """
    loss = as_loss(loss)

    def look(rows, name):
        if head.input_dim != (columns := network.output_shape[-1]):
            raise ValueError(f"the head takes {head.input_dim} features but {network.name} gives {columns}: "
                             "train the head on this network's features first")
        image = np.asarray(rows[0])
        if image.dtype != np.uint8 or image.shape != network.input_shape[1:]:
            raise ValueError(f"the first image is {image.dtype} {image.shape}: expected uint8 "
                             f"{network.input_shape[1:]}, prepared for {network.name}")

    labels, validation = check(head, images, labels, loss, validation, look, what="images", optimiser=optimiser,
                               learning_rate=learning_rate, epochs=epochs, validate=validate)
    if batch_size is None and classes is None:
        batch_size = BATCH_SIZE
    draw = batches.make(labels, batch_size=batch_size, classes=classes, per_class=per_class)
    network = copied(network, trainable=True)  # built frozen, a layer would count its weights as fixed for good
    head = head.copy()
    opened, model = _top_variables(network, layers), head.keras_model()
    own = list(loss.trainable_variables)
    variables, state = [*opened, *model.weights, *own], touched(loss, head.dim)
    step = _compile(network, model, loss, [*opened, *model.trainable_variables, *own],
                    optimiser=optimiser, learning_rate=learning_rate)
    scored = Validation(_outputs(network, head, validation[0], draw.most), validation[1], loss, state, validate,
                        classes=classes, per_class=per_class, seed=seed) if validation else None
    rng = np.random.default_rng(seed)

    def one_epoch(epoch):
        order, ends = draw.draw(rng)

        def shown(place):
            """The image at a place of the epoch, as `augment` makes it there."""
            image = images[int(order[place])]
            if augment is None:
                return image
            changed = np.asarray(augment(np.array(image), np.random.default_rng([seed, epoch, place])))
            if (changed.dtype, changed.shape) != (np.uint8, np.shape(image)):
                raise ValueError(f"augment returned {changed.dtype} {changed.shape} of an image uint8 "
                                 f"{np.shape(image)}: expected the same")
            return changed

        parts, total = [np.arange(*part) for part in itertools.pairwise(ends)], 0.0
        for places, batch in zip(parts, stream(shown, parts), strict=True):
            total += len(places) * float(step(batch, labels[order[places]].astype(np.int32)))
            if progress is not None:  # an epoch of classes may show some more or fewer than n
                done = (places[-1] + 1) * len(labels) // len(order)
                progress((epoch - 1) * len(labels) + int(done), epochs * len(labels))
        return (total if loop.finite(variables) else np.nan), len(order), len(parts)

    history = run_epochs(one_epoch, epochs=epochs, draw=draw, loss=loss, state=state,
                         variables=variables, validation=scored, start_counts=True, learning_rate=learning_rate,
                         before_epoch=before_epoch, after_epoch=after_epoch)
    return Finetuned({variable.path: variable.numpy() for variable in opened}, head, history)


def stream(image: Callable[[int], NDArray[np.uint8]], row_parts: Sequence[NDArray]) -> Iterator[NDArray[np.uint8]]:
    """Batches uint8 (m, h, w, 3), one for each array of rows, decoded in threads while the one before is at work."""
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        ahead = None
        parts: list[Any] = [*row_parts, ()]
        for rows in parts:
            decoded, ahead = ahead, [pool.submit(image, int(row)) for row in rows]
            if decoded:
                yield np.stack([image.result() for image in decoded])


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
    """A graph that trains on one batch of images and labels and returns its loss."""
    update = loop.optimiser(optimiser, learned, learning_rate=learning_rate)

    @tf.function(input_signature=[_signature(network), tf.TensorSpec((None,), tf.int32)], autograph=False)
    def step(images, labels):
        sources = [variable.value for variable in learned]
        # only what learns is watched: the layers below keep nothing for a backward pass
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            features = network(tf.cast(images, tf.float32), training=False)
            value = loss(labels, head(features, training=True))
        update(tape.gradient(value, sources, unconnected_gradients="zero"))
        return value

    return step


def _outputs(network, head, images, batch_size):
    """A function to the head's outputs of some images, from the weights as they are when it is called."""
    parts = [np.arange(*ends) for ends in itertools.pairwise(batches.edges(len(images), batch_size))]

    @tf.function(input_signature=[_signature(network)], autograph=False)
    def forward(batch):
        return network(tf.cast(batch, tf.float32), training=False)

    return lambda: head.outputs(np.concatenate([forward(batch) for batch in stream(images.__getitem__, parts)]))


def _signature(network):
    return tf.TensorSpec(network.input_shape, tf.uint8)
