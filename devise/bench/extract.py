"""Pictures a second through the frozen network: each runtime beside Keras' own `predict`.

Everything that is compared takes turns, so that a busy minute does not fall on one alone, and what is
printed is the median of the rounds' ratios. The machine's matrix product is timed in the same rounds.
"""

import math
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from devise import backbones, features
from devise.backbones import keras_applications, keras_hub
from devise.backbones.runtimes import ENGINES, MIXED, choose, has_gpu, relative_error
from devise.bench.worker import Steps
from devise.datasets import from_folder, read_image

SIZE = (300, 400)  # of the pictures that are drawn where none are given
RUNTIMES = ("function", "xla", "onnxruntime", "openvino")
BASE = "predict"
WHAT = ("forward", "decode, then forward", "decode and forward")
ROUNDS = 5
SIDE = 2048  # of the matrices that are multiplied: 34 GFLOP a product, beyond every cache


def run(*, backbone="vgg16,efficientnet_lite0", images=None, n=32, rounds=ROUNDS, runtimes=None, progress=None):
    """Time the forward pass alone, and the whole of extraction with decoding.

    Args:
        backbone: names between commas; those without trained weights at hand are timed with random ones.
        images: ImageSet; None draws n pictures of noise, 400 × 300, as JPEG files.
        n: how many pictures.
        rounds: how often each is timed, after one that compiles.
        runtimes: beside "predict", which is `keras.Model.predict` on the prepared pictures as one array; None
            for all on processors, with a GPU for half precision too.
    Returns:
        {"bench": "extract", "rows": [{"backbone", "what", "runtime", "per_second" (pictures), "over_predict" (median
        over rounds), "low", "high" (of the rounds), "max_relative_error" (to predict's features), "of_matrix_rate"
        (the share of NumPy's rate in a 2048² float32 product), "first_call_s"}], "ratios": {backbone: {what:
        times predict}}, "networks": {backbone: what it is}, "chosen": what "auto" stands for here, "skipped":
        {runtime: why}}. "forward" is without decoding; "decode, then …" reads a batch, then computes it;
        "decode and …" does both at once.
    """
    names = [name.strip() for name in backbone.split(",") if name.strip()]
    runtimes = runtimes or (*RUNTIMES, *([MIXED] if has_gpu() else []))
    rows, networks, skipped = [], {}, {}
    step = Steps(progress, len(names) * (rounds + 1))
    with tempfile.TemporaryDirectory() as folder:
        images = images or draw_pictures(Path(folder), n)
        images = images.subset(np.arange(min(n, len(images))))
        for name in names:
            network, written = _load(name), []
            try:
                measured, missing = _measure(network, images, rounds, runtimes, written, step)
            finally:
                for path in written:  # of random weights, which nobody meets again
                    path.unlink(missing_ok=True)
            rows += [{"backbone": name, **row} for row in measured]
            skipped |= missing
            networks[name] = {"weights": network.weights, "layer": network.layer, "batch": network.batch,
                              "gflop_a_picture": None if (work := flops(network.keras_model())) is None else work / 1e9}
    ratios = {name: {_title(row): row["over_predict"] for row in rows if row["backbone"] == name and
                     _title(row) != f"forward, {BASE}"} for name in networks}
    return {"bench": "extract", "rows": rows, "ratios": ratios, "pictures": len(images), "rounds": rounds,
            "networks": networks, "chosen": choose("auto", lasting=True), "skipped": skipped}


def plot(document, path):
    """How many times as fast as predict each way is, a group a network; returns the path."""
    from devise.plots import bar_plot

    groups = {}
    for row in document["rows"]:
        groups.setdefault(row["backbone"], {})[_title(row)] = row["over_predict"]
    chosen = document["chosen"]
    return bar_plot(groups, path, title="Pictures a second, as a multiple of keras.Model.predict without decoding",
                    label="times predict", ours=tuple(f"{what}, {chosen}" for what in WHAT),
                    note=f"{document['pictures']} pictures, {document['rounds']} rounds in turns, their median; in "
                    f"colour: {chosen}, which is taken by itself")


def _measure(network, images, rounds, asked, written, step):
    """The rows of one network, and {runtime: why it is missing}."""
    prepared = np.stack([network.prepare(read_image(images.file(row))) for row in range(len(images))])
    ways, missing = _ways(network, images, prepared, asked, written), {}
    matrices = square_matrices(SIDE)
    seconds, answers, rates = {way: [] for way in ways}, {}, []
    for number in range(rounds + 1):
        rates.append(matrix_rate(matrices))
        for way in list(ways):
            started = time.perf_counter()
            try:
                answers[way] = ways[way]()
            except (ImportError, ValueError) as error:
                if number:
                    raise
                missing[way[1]] = str(error)
                del ways[way]
                continue
            took = time.perf_counter() - started
            seconds[way].append(took)
        step()
    work = flops(network.keras_model())
    base = np.array(seconds["forward", BASE][1:])
    rows = []
    for way in ways:
        took = np.array(seconds[way][1:])
        ratios = base / took
        share = work * len(prepared) / took / np.array(rates[1:]) if work else None
        rows.append({"what": way[0], "runtime": way[1], "per_second": len(prepared) / float(np.median(took)),
                     "over_predict": float(np.median(ratios)), "low": float(ratios.min()), "high": float(ratios.max()),
                     "max_relative_error": relative_error(answers[way], answers["forward", BASE]),
                     "of_matrix_rate": None if share is None else float(np.median(share)),
                     "first_call_s": seconds[way][0]})
    return rows, missing


def _ways(network, images, prepared, asked, written):
    """{(what, runtime): a function that gives the features of all pictures}."""
    model, floats = network.keras_model(), prepared.astype(np.float32)

    def predict(pictures):
        return model.predict(pictures, batch_size=network.batch, verbose=0)

    def decoded():
        return [network.prepare(read_image(images.file(row))) for row in range(len(images))]

    ways = {("forward", BASE): lambda: predict(floats)}
    others = {runtime: network.with_runtime(runtime) for runtime in asked}
    for runtime, other in others.items():
        ways["forward", runtime] = lambda other=other: other.features(prepared)
        if not network.trained and runtime in ENGINES and other.pending_export:
            files = other.pending_export, other.pending_export.with_suffix(".json")
            written += [path for path in files if not path.exists()]
    ways["decode, then forward", BASE] = lambda: predict(np.stack(decoded()).astype(np.float32))
    for runtime, other in others.items():
        if runtime != "xla":  # compiled for as long as all else takes
            ways["decode, then forward", runtime] = lambda other=other: _in_turn(other, images)
            ways["decode and forward", runtime] = lambda other=other: features.compute(images, other).matrix
    return ways


def _in_turn(network, images):
    """Batch by batch, first read, then computed."""
    rows = range(len(images))
    blocks = [rows[start:start + network.batch] for start in range(0, len(rows), network.batch)]
    return np.concatenate([network.features(np.stack([network.prepare(read_image(images.file(row)))
                                                      for row in block])) for block in blocks])


def _title(row):
    return f"{row['what']}, {row['runtime']}"


def _load(name):
    """A backbone with the weights that are at hand; a benchmark downloads nothing."""
    absent = (keras_applications.local_weights() is None if name == "vgg16" else
              name in (*keras_applications.NETWORKS, *keras_hub.NETWORKS))  # and would be downloaded
    if not absent:
        try:
            return backbones.load(name, runtime="function")
        except (OSError, ImportError):  # the arithmetic is the same without the trained numbers
            pass
    return backbones.load(name, weights=None, runtime="function")


def draw_pictures(folder, n):
    """Pictures of smoothed noise: JPEG files that take about as long to decode as photographs."""
    random = np.random.default_rng(0)
    for number in range(n):
        coarse = random.integers(0, 256, (SIZE[0] // 10, SIZE[1] // 10, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:04}.jpg", quality=90)
    return from_folder(folder)


def flops(model):
    """Floating-point operations of one picture: a multiplication and an addition for each use of a weight.

    Counted are convolutions and dense layers, which is all but a few hundredths of a convolutional network; None where
    another layer holds matrices, such as a transformer's.
    """
    import keras

    total = 0
    for layer in model.layers:
        matrices = [weight for weight in layer.weights if len(weight.shape) > 1]
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            positions = math.prod(layer.output.shape[1:3])
        elif isinstance(layer, keras.layers.Dense):
            positions = math.prod(layer.output.shape[1:-1])
        elif matrices:
            return None
        else:
            continue
        total += 2 * positions * math.prod(matrices[0].shape)
    return total


def matrix_rate(matrices):
    """Floating-point operations a second of one product of two float32 matrices, by NumPy's BLAS."""
    started = time.perf_counter()
    matrices[0] @ matrices[1]
    return 2 * matrices.shape[1] ** 3 / (time.perf_counter() - started)


def square_matrices(side):
    """Two float32 matrices to multiply, of so many rows."""
    return np.random.default_rng(0).standard_normal((2, side, side), dtype=np.float32)
