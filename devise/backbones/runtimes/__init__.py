"""Runtimes of a frozen network: TensorFlow, or an engine that reads an ONNX file of it.

The file is written once a network, under the pretrained root, by the fingerprint. An engine is used
only after it gave the features of Keras on a trial batch, within `TOLERANCE`; half precision likewise,
within `ROUGH`.
"""

from __future__ import annotations

import contextlib
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from devise.backbones.runtimes import onnx, onnxruntime, openvino, tensorflow
from devise.storage import pretrained_root, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import keras
    from numpy.typing import NDArray

ENGINES = {"openvino": openvino, "onnxruntime": onnxruntime}  # on processors; the faster of most networks first
RUNTIMES = ("auto", *tensorflow.RUNTIMES, *ENGINES)
TOLERANCE = 1e-4  # of the largest feature of a batch; float32 sums in another order differ by some 1e-6
ROUGH = 0.02  # of half precision: its 11 bits give 0.007 after the layers of EfficientNet-Lite0


def choose(runtime: str, *, lasting: bool) -> str:
    """The runtime that a name stands for: "auto" is the first engine that is installed, else TensorFlow.

    The engines compute on processors: where there is a GPU, "auto" is TensorFlow, which uses it.

    Args:
        runtime: one of `RUNTIMES`.
        lasting: whether the network is one that is met again. For others, with random or fine-tuned
            weights, "auto" doesn't leave files behind.
    Raises:
        ValueError: if there is no such runtime.

    >>> choose("xla", lasting=True), choose("auto", lasting=False)
    ('xla', 'function')
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime is {runtime!r}: expected one of {', '.join(RUNTIMES)}")
    if runtime != "auto":
        return runtime
    if not lasting or tensorflow.has_gpu():
        return "function"
    return next((name for name in ENGINES if all(map(find_spec, (name, "onnx", "tf2onnx")))), "function")


def file_of(stem: str) -> Path:
    """Where the ONNX file of a network lies, or will lie."""
    return pretrained_root() / "onnx" / f"{stem}.onnx"


def compiled(model: keras.Model, runtime: str, batch: int,
             stem: str | None = None) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A function from uint8 pictures (batch, h, w, 3) to a float32 array (batch, dim).

    Args:
        model: a Keras model of float32 pictures.
        runtime: one of `RUNTIMES` but "auto".
        batch: pictures a call, always as many.
        stem: for an engine that reads a file, the name of that; it must stand for the weights too.
    Raises:
        MissingDependency: if the engine, or the converter where it is needed, is not installed.
        ValueError: if the network can't be written as ONNX, or the engine or half precision gives other
            features than Keras.
    """
    if runtime not in ENGINES:
        forward = tensorflow.compiled(model, runtime, batch)
        if runtime == tensorflow.MIXED:
            _check(_error(model, forward, (batch, *model.input_shape[1:])), ROUGH, runtime, model)
        return forward
    path = file_of(str(stem))
    if not path.is_file():
        onnx.export(model, path)
    shape = (batch, *model.input_shape[1:])
    forward = ENGINES[runtime].compiled(path, shape)
    _check(_known_error(model, forward, shape, runtime, path), TOLERANCE, runtime, model)
    return forward


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference between two arrays, as a fraction of the largest expected value.

    >>> relative_error(np.array([1.0, 2.02]), np.array([1.0, 2.0]))
    0.01
    """
    return round(float(np.abs(found - expected).max() / np.abs(expected).max()), 12)


def _check(error, most, runtime, model):
    if not error <= most:
        raise ValueError(f"{runtime} gives other features for {model.name} than Keras: they differ by {error:.1e} of "
                         f"the largest, expected at most {most}; take runtime='function'")


def _error(model, forward, shape):
    """How far a way to run a network is from Keras on noise."""
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return relative_error(forward(noise), tensorflow.compiled(model, "keras", shape[0])(noise))


def _known_error(model, forward, shape, runtime, path):
    """How far an engine is from Keras on noise, measured once a network and version of the engine."""
    record = path.with_suffix(".json")
    try:
        known = read_json(record)
    except FileNotFoundError:
        known = {}
    except ValueError:
        known = None
    try:
        key = f"{runtime} {version(runtime)}"
    except PackageNotFoundError:
        key = runtime
    if not isinstance(known, dict):  # no record of ours, or damaged: it stays, and the engine is measured each time
        return _error(model, forward, shape)
    if key not in known:
        error = _error(model, forward, shape)
        known[key] = error if np.isfinite(error) else "not finite"
        with contextlib.suppress(OSError):  # in a home that can't be written it is measured each time
            write_json(record, known)
    return known[key] if isinstance(known[key], float) else float("inf")
