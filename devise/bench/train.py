"""How long a head's training takes: ours, Keras' `fit`, a forward pass in every epoch, and the
arithmetic alone."""

import numpy as np

from devise import backbones
from devise.bench.worker import Steps, in_turns, medians, ratio, timed
from devise.heads import HeadConfig, MlpHead
from devise.losses import Cosine
from devise.training import train
from devise.training.batches import usual_size

CLASSES = 32
DATA = "clustered: one of 32 random centres plus noise of twice its size, negative values set to 0"
SQUARE = 2048  # side of the matrices whose product gives the machine's rate
KERAS_BATCH = 32  # what `fit` takes when it is told nothing
RATE = 0.01
LARGE = {"batch_size": 128, "learning_rate": 0.04}  # as good as 32 and 0.01 of a thousand rows or more, see `train`
SMALL = (96, 400)  # rows, far fewer than the columns
OLDER = "vgg16"  # what the older projects push every picture through in every epoch


def run(*, n=1233, small=SMALL, input_dim=1280, dim=50, epochs=60, fit_epochs=5, batch_size=None, pictures=32,
        backbone="efficientnet_lite0", older_pictures=8, forward=None, rounds=3, seed=0, progress=None):
    """Time a whole training of the default head, and what it would take otherwise.

    Ours is measured whole. Of the slow ways a part is measured and scaled to all epochs; each row
    says which. All train the same head, with the same loss and optimiser. They take turns, for
    `rounds` rounds; a row has the median of its times, a ratio is the median of each round's ratio,
    so that what else the machine does falls on both sides.

    Args:
        n, input_dim, dim: sizes of the features and of the label vectors, which are drawn.
        small: other numbers of rows, of which ours and `fit` are measured.
        fit_epochs: epochs of `fit` that are measured, after a first one that builds its graph.
        batch_size: None is what `train` takes by itself.
        pictures: how many pass through the frozen network, once to compile and once measured.
        backbone: its name; both networks are timed with random weights.
        older_pictures: how many pass through VGG16, likewise; 0 leaves it out.
        forward: a function of uint8 (pictures, 224, 224, 3) in place of both networks' features.
        progress: called as progress(done, total) after each measurement.
    Returns:
        {"bench": "train", "data", sizes, "rounds", "rows": [{"what", "n", "batch_size", "learning_rate",
        "measured", "seconds" (of all epochs), "gflop_per_second" (of plain training's arithmetic),
        "loss" (of the last epoch measured)}], "ratios": {"over_fit", "over_fit_same_batch",
        "over_frozen_forward", "over_frozen_vgg16", "over_arithmetic", as "large_batch_over_fit" the
        same for large batches against fit's own, as "large_batch_over_frozen_vgg16" against that, and
        "small": {n: {"over_fit", "over_fit_same_batch"}}}. A ratio is our speed over the other's.
        "over_arithmetic" is the share of the machine's own rate, at most 1 but where rows are so few
        that training needs less than the plain arithmetic.
    """
    sets = {rows: _Set(rows, input_dim, dim, epochs, fit_epochs, seed, batch_size if rows == n else None)
            for rows in (n, *small)}
    whole, ways = sets[n], {}
    for rows, data in sets.items():
        ways[rows, "ours"] = data.ours
        ways[rows, "fit"] = data.fit
        if data.batch_size != KERAS_BATCH:
            ways[rows, "fit_same_batch"] = lambda data=data: data.fit(data.batch_size)
    ways[n, "ours_large"] = lambda: whole.ours(**LARGE)
    ways[n, "frozen_forward"] = _forward(forward, backbone, pictures, n * epochs, seed)
    if older_pictures:
        ways[n, "frozen_vgg16"] = _forward(forward, OLDER, older_pictures, n * epochs, seed)
    ways[n, "arithmetic"] = _arithmetic(whole.work, seed)
    measured = in_turns(ways, rounds, Steps(progress, rounds * len(ways)))
    return {"bench": "train", "data": DATA, "n": n, "input_dim": input_dim, "dim": dim, "epochs": epochs,
            "rounds": rounds, "rows": [_median(way[0], results) for way, results in measured.items()],
            "ratios": _ratios(measured, n, small)}


def plot(document, path):
    """The seconds of every way, a group a number of rows; returns the path."""
    from devise.plots import bar_plot

    groups = {}
    for row in document["rows"]:
        batch = f", batch {row['batch_size']}" if row["batch_size"] else ""
        name = row["what"].removesuffix(", without the head")
        groups.setdefault(f"{row['n']:,} rows", {})[f"{name}{batch}"] = row["seconds"]
    return bar_plot(groups, path, title=f"Training a head for {document['epochs']} epochs on "
                f"{document['input_dim']:,} columns", label=f"seconds, median of {document['rounds']} rounds")


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


class _Set:
    """Features of n rows, and the trainings of one head on them."""

    def __init__(self, n, input_dim, dim, epochs, fit_epochs, seed, batch_size):
        self.features, self.labels, vectors = _clustered(n, input_dim, dim, np.random.default_rng(seed))
        self.config, self.loss, self.seed = HeadConfig(dim=dim), Cosine(vectors), seed
        self.epochs, self.fit_epochs, self.batch_size = epochs, fit_epochs, batch_size or usual_size(n)
        self.work = flops(self.config, input_dim) * n * epochs

    def ours(self, batch_size=None, learning_rate=RATE):
        batch_size = batch_size or self.batch_size
        history = train(MlpHead(self.config), self.features, self.labels, self.loss, epochs=self.epochs,
                        batch_size=batch_size, learning_rate=learning_rate, seed=self.seed)
        return _row("devise train", history.seconds, f"all {self.epochs} epochs", self.work, batch_size, learning_rate,
                    history.loss[-1])

    def fit(self, batch_size=KERAS_BATCH):
        import keras

        model = MlpHead(self.config).build(self.features.shape[1], self.seed).keras_model()
        model.compile(optimizer=keras.optimizers.SGD(RATE, momentum=0.9, nesterov=True), loss=self.loss)
        options = {"batch_size": batch_size, "verbose": 0}
        first, _ = timed(lambda: model.fit(self.features, self.labels, epochs=1, **options))
        later, result = timed(lambda: model.fit(self.features, self.labels, epochs=self.fit_epochs, **options))
        return _row("Keras fit", first + later / self.fit_epochs * (self.epochs - 1),
                    f"the first epoch and {self.fit_epochs} more, scaled to {self.epochs}", self.work, batch_size, RATE,
                    result.history["loss"][-1])


def _forward(forward, name, pictures, times, seed):
    """A measurement of the network's forward pass, scaled to so many pictures."""
    forward = forward or backbones.load(name, weights=None).features  # the arithmetic is that of trained weights
    batch = np.random.default_rng(seed).integers(0, 256, (pictures, 224, 224, 3), dtype=np.uint8)
    forward(batch)

    def measure():
        seconds, _ = timed(lambda: forward(batch))
        return _row(f"frozen {name} in every epoch, without the head", seconds / pictures * times,
                    f"{pictures} pictures once, scaled to {times}")

    return measure


def _arithmetic(work, seed):
    """A measurement of the head's matrix products at the rate of one large product, the best of ten."""
    import tensorflow as tf

    square = tf.constant(np.random.default_rng(seed).standard_normal((SQUARE, SQUARE)), tf.float32)

    def measure():
        seconds = min(timed(lambda: tf.linalg.matmul(square, square).numpy())[0] for _ in range(10))
        rate = 2 * SQUARE**3 / seconds
        return _row("the matrix products alone", work / rate, f"the rate of one {SQUARE} × {SQUARE} product", work)

    return measure


def _row(what, seconds, measured, work=None, batch_size=None, learning_rate=None, loss=None):
    return {"what": what, "batch_size": batch_size, "learning_rate": learning_rate, "measured": measured,
            "seconds": seconds, "gflop_per_second": work and work / seconds / 1e9, "loss": loss}


def _median(n, results):
    """One row for the rounds of a measurement; what is timed is the median."""
    return {"what": results[0]["what"], "n": n, **results[0], **medians(results, "seconds", "gflop_per_second")}


def _ratios(measured, n, small):
    """The medians of the rounds' ratios."""
    def over(rows, other, ours="ours"):
        other = other if (rows, other) in measured else "fit"  # the same batch is fit's own
        return ratio(measured[rows, other], measured[rows, ours])

    older = ["frozen_vgg16"] if (n, "frozen_vgg16") in measured else []
    names = ["fit", "fit_same_batch", "frozen_forward", *older, "arithmetic"]
    return {**{f"over_{name}": over(n, name) for name in names},
            **{f"large_batch_over_{name}": over(n, name, "ours_large") for name in ("fit", *older)},
            "small": {str(rows): {f"over_{name}": over(rows, name) for name in ("fit", "fit_same_batch")}
                      for rows in small}}


def _clustered(n, input_dim, dim, rng):
    """Features like those of a network's last activation, their labels, and label vectors."""
    labels = np.arange(n) % CLASSES
    centres = rng.standard_normal((CLASSES, input_dim))
    features = np.maximum(centres[labels] + 2 * rng.standard_normal((n, input_dim)), 0)
    return features.astype(np.float32), labels, rng.standard_normal((CLASSES, dim)).astype(np.float32)
