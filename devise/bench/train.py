"""How long a head's training takes: ours, Keras' `fit`, a forward pass in every epoch, and the
arithmetic alone."""

import time

import numpy as np

from devise import backbones
from devise.losses import Cosine
from devise.training import HeadConfig, MlpHead, train
from devise.training.draws import usual_size

CLASSES = 32
DATA = "clustered: one of 32 random centres plus noise of twice its size, negative values set to 0"
SQUARE = 2048  # side of the matrices whose product gives the machine's rate
KERAS_BATCH = 32  # what `fit` takes when it is told nothing
RATE = 0.01
LARGE = {"batch_size": 128, "learning_rate": 0.04}  # as good as 32 and 0.01, see `train`


def run(*, n=1233, input_dim=1280, dim=50, epochs=60, fit_epochs=5, batch_size=None, pictures=32,
        backbone="efficientnet_lite0", forward=None, seed=0, progress=None):
    """Time a whole training of the default head, and what it would take otherwise.

    Ours is measured whole. Of the slow ways a part is measured and scaled to all epochs; each row
    says which. All train the same head, with the same loss and optimiser.

    Args:
        n, input_dim, dim: sizes of the features and of the label vectors, which are drawn.
        fit_epochs: epochs of `fit` that are measured, after a first one that builds its graph.
        batch_size: None is what `train` takes by itself.
        pictures: how many pass through the frozen network, once to compile and once measured.
        backbone: its name; without trained weights at hand it is timed with random ones.
        forward: a function of uint8 (pictures, 224, 224, 3) in place of the backbone's features.
        progress: called as progress(done, total) after each row.
    Returns:
        {"bench": "train", "data", sizes, "rows": [{"what", "batch_size", "learning_rate", "measured",
        "seconds" (of all epochs), "gflop_per_second", "loss" (of the last epoch measured)}], "ratios":
        {"over_fit", "over_fit_same_batch", "over_frozen_forward", "over_arithmetic", and as
        "large_batch_over_fit" the same for large batches against fit's own}}. A ratio is our speed
        over the other's; no training is faster than its arithmetic, so that one is below 1.
    """
    batch_size = batch_size or usual_size(n)
    features, labels, vectors = _clustered(n, input_dim, dim, np.random.default_rng(seed))
    config, loss = HeadConfig(dim=dim), Cosine(vectors)
    work = flops(config, input_dim) * n * epochs
    ways = {
        "ours": lambda: _ours(config, features, labels, loss, epochs, seed, batch_size, RATE),
        "ours_large": lambda: _ours(config, features, labels, loss, epochs, seed, **LARGE),
        "fit": lambda: _fit(config, features, labels, loss, KERAS_BATCH, epochs, fit_epochs, seed),
        "fit_same_batch": lambda: _fit(config, features, labels, loss, batch_size, epochs, fit_epochs, seed),
        "frozen_forward": lambda: _forward(forward, backbone, pictures, n, epochs, seed),
        "arithmetic": lambda: _arithmetic(work, seed),
    }
    if batch_size == KERAS_BATCH:
        del ways["fit_same_batch"]
    rows = {}
    for done, (name, measure) in enumerate(ways.items(), start=1):
        rows[name] = measure()
        if progress is not None:
            progress(done, len(ways))
    rows.setdefault("fit_same_batch", rows["fit"])
    for name in ("ours", "ours_large", "fit", "fit_same_batch"):
        rows[name]["gflop_per_second"] = work / rows[name]["seconds"] / 1e9
    ratios = {f"over_{name}": rows[name]["seconds"] / rows["ours"]["seconds"]
              for name in ("fit", "fit_same_batch", "frozen_forward", "arithmetic")}
    ratios["large_batch_over_fit"] = rows["fit"]["seconds"] / rows["ours_large"]["seconds"]
    return {"bench": "train", "data": DATA, "n": n, "input_dim": input_dim, "dim": dim, "epochs": epochs,
            "rows": [rows[name] for name in ways], "ratios": ratios}


def flops(config, input_dim):
    """Floating-point operations of the matrix products that train a head on one row.

    A layer's product takes 2 · inputs · outputs going forward, as much again for its weights'
    gradient, and as much again for its input's, which the first layer has no use for.

    >>> flops(HeadConfig(dim=50), 1280)
    10840000
    """
    sizes = [input_dim, *config.sizes, config.dim]
    products = [2 * inputs * outputs for inputs, outputs in zip(sizes, sizes[1:], strict=False)]
    return 3 * sum(products) - products[0]


def _ours(config, features, labels, loss, epochs, seed, batch_size, learning_rate):
    history = train(MlpHead(config), features, labels, loss, epochs=epochs, batch_size=batch_size,
                    learning_rate=learning_rate, seed=seed)
    return _row("devise train", history.seconds, f"all {epochs} epochs", batch_size, learning_rate,
                history.loss[-1])


def _fit(config, features, labels, loss, batch_size, epochs, fit_epochs, seed):
    import keras

    model = MlpHead(config).build(features.shape[1], seed).keras_model()
    model.compile(optimizer=keras.optimizers.SGD(RATE, momentum=0.9, nesterov=True), loss=loss)
    fit = {"batch_size": batch_size, "verbose": 0}
    first, _ = _timed(lambda: model.fit(features, labels, epochs=1, **fit))
    later, result = _timed(lambda: model.fit(features, labels, epochs=fit_epochs, **fit))
    return _row("Keras fit", first + later / fit_epochs * (epochs - 1),
                f"the first epoch and {fit_epochs} more, scaled to {epochs}", batch_size, RATE,
                result.history["loss"][-1])


def _forward(forward, backbone, pictures, n, epochs, seed):
    forward = forward or _backbone(backbone).features
    batch = np.random.default_rng(seed).integers(0, 256, (pictures, 224, 224, 3), dtype=np.uint8)
    forward(batch)
    seconds, _ = _timed(lambda: forward(batch))
    return _row("the frozen network in every epoch, without the head", seconds / pictures * n * epochs,
                f"{pictures} pictures once, scaled to {n} × {epochs}")


def _backbone(name):
    try:
        return backbones.load(name)
    except (OSError, ImportError):  # the arithmetic is the same without the trained numbers
        return backbones.load(name, weights=None)


def _arithmetic(work, seed):
    """The head's matrix products at the rate of one large product, the best of ten."""
    import tensorflow as tf

    square = tf.constant(np.random.default_rng(seed).standard_normal((SQUARE, SQUARE)), tf.float32)
    seconds = min(_timed(lambda: tf.linalg.matmul(square, square).numpy())[0] for _ in range(10))
    rate = 2 * SQUARE**3 / seconds
    row = _row("the matrix products alone", work / rate, f"the rate of one {SQUARE} × {SQUARE} product")
    return row | {"gflop_per_second": rate / 1e9}


def _row(what, seconds, measured, batch_size=None, learning_rate=None, loss=None):
    return {"what": what, "batch_size": batch_size, "learning_rate": learning_rate, "measured": measured,
            "seconds": seconds, "gflop_per_second": None, "loss": loss}


def _timed(work):
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _clustered(n, input_dim, dim, rng):
    """Features like those of a network's last activation, their labels, and label vectors."""
    labels = np.arange(n) % CLASSES
    centres = rng.standard_normal((CLASSES, input_dim))
    features = np.maximum(centres[labels] + 2 * rng.standard_normal((n, input_dim)), 0)
    return features.astype(np.float32), labels, rng.standard_normal((CLASSES, dim)).astype(np.float32)
