"""Runtimes of a frozen network: TensorFlow, or an engine that reads an ONNX file of it.

The file is written once a network, under the pretrained root, by the fingerprint. An engine is used
only after it gave the features of Keras on a trial batch, within `TOLERANCE`, or, of a network that is
written without Keras, those of ONNX's reference evaluator; half precision likewise, within `ROUGH`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise.backbones import graphs, onnx
from devise.backbones.onnx import Graph
from devise.errors import require
from devise.storage import pretrained_root, read_json, write_json

if TYPE_CHECKING:
    from typing import TypeAlias

    import keras
    from numpy.typing import NDArray

    Forward: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

MIXED = "mixed_float16"  # Keras' name: products in half precision, weights in float32; bfloat16 is off by 6 %
DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of NVIDIA's, AMD's and Windows' GPUs, as Linux shows them
TOLERANCE = 1e-4  # of the largest feature of a batch; float32 sums in another order differ by some 1e-6
ROUGH = 0.02  # of half precision: its 11 bits give 0.007 after the layers of EfficientNet-Lite0


def by_tensorflow(model: keras.Model, runtime: str, batch: int) -> Forward:
    """A function from uint8 pictures (batch, h, w, 3) to a float32 array, run by TensorFlow."""
    if runtime == "keras":
        return lambda pictures: model.predict_on_batch(pictures.astype(np.float32))
    import tensorflow as tf

    network = graphs.copied(model, dtype=runtime) if runtime == MIXED else model

    @tf.function(input_signature=[tf.TensorSpec((batch, *model.input_shape[1:]), tf.uint8)],
                 jit_compile=runtime == "xla", autograph=False)
    def forward(pictures):
        return tf.cast(network(tf.cast(pictures, tf.float32), training=False), tf.float32)

    return lambda pictures: forward(pictures).numpy()


def by_onnxruntime(path: Path, shape: tuple[int, ...]) -> Forward:
    """A function from uint8 pictures to a float32 array for one shape of batch, run by ONNX Runtime on processors."""
    onnxruntime = require("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.add_free_dimension_override_by_name(onnx.FREE, shape[0])  # with shapes known, more is computed beforehand
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the other cores decode meanwhile
    options.intra_op_num_threads = _threads() or 0  # 0 is one a core
    options.log_severity_level = 3  # errors only
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen of its own
        raise _unusable(path, "onnxruntime", error) from error
    return lambda pictures: session.run(None, {onnx.INPUT: pictures.astype(np.float32)})[0]


def by_openvino(path: Path, shape: tuple[int, ...]) -> Forward:
    """As `by_onnxruntime`, run by OpenVINO on the processor."""
    openvino = require("openvino", "openvino")
    core = openvino.Core()
    # without this, a processor that has bfloat16 computes in it, and features would depend on the machine
    options: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if most := _threads():
        options["INFERENCE_NUM_THREADS"] = most
    try:
        network = core.read_model(str(path))
        network.reshape(list(shape))
        request = core.compile_model(network, "CPU", options).create_infer_request()
    except RuntimeError as error:
        raise _unusable(path, "openvino", error) from error
    # a copy, since the next call writes into the same memory
    return lambda pictures: request.infer({0: pictures.astype(np.float32)})[0].copy()


ENGINES = {"onnxruntime": by_onnxruntime, "openvino": by_openvino}  # on processors; the first to answer first
RUNTIMES = ("auto", "function", "xla", "keras", MIXED, *ENGINES)


def choose(runtime: str, *, lasting: bool, graph: Graph | None = None) -> str:
    """The runtime that a name stands for: "auto" is the first engine that is installed, else TensorFlow.

    The engines compute on processors: where there is a GPU, "auto" is TensorFlow, which uses it. A network
    that is not `lasting`, with random or fine-tuned weights, is not met again: "auto" leaves no file of it
    behind. One that is given as a Graph needs no converter.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime is {runtime!r}: expected one of {', '.join(RUNTIMES)}")
    if runtime != "auto":
        return runtime
    if not lasting or has_gpu():
        return "function"
    needed = ("onnx",) if graph else ("onnx", "tf2onnx")
    return next((name for name in ENGINES if all(map(find_spec, (name, *needed)))), "function")


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU; on Linux it is asked, which takes seconds, only where a driver is."""
    if sys.platform == "linux" and not any(Path(driver).exists() for driver in DRIVERS):
        return False
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def file_of(stem: str) -> Path:
    """Where the ONNX file of a network lies, or will lie."""
    return pretrained_root() / "onnx" / f"{stem}.onnx"


def compiled(model: keras.Model | Graph, runtime: str, shape: tuple[int, ...],
             stem: str | None = None) -> Forward:
    """A function from uint8 pictures (batch, h, w, 3) to a float32 array (batch, dim).

    Args:
        model: a Keras model of float32 pictures; for an engine that reads a file also a Graph.
        shape: (batch, h, w, 3) of the pictures of a call, always the same.
        stem: for an engine that reads a file, the name of that; it must stand for the weights too.
    Raises:
        ValueError: if the network can't be written as ONNX, or the engine or half precision gives other
            features than it should.
    """
    if not isinstance(model, Graph) and runtime not in ENGINES:
        forward = by_tensorflow(model, runtime, shape[0])
        if runtime == MIXED:
            _check(_error(forward, by_tensorflow(model, "keras", shape[0]), shape), ROUGH, runtime, model)
        return forward
    path = file_of(str(stem))
    if not path.is_file():
        _ = model.write(path) if isinstance(model, Graph) else onnx.export(model, path)
    forward = ENGINES[runtime](path, shape)

    def measured():
        if not isinstance(model, Graph):
            return _error(forward, by_tensorflow(model, "keras", shape[0]), shape)
        reference = onnx.by_reference(path)
        return _error(lambda noise: forward(noise)[:1], lambda noise: reference(noise[:1].astype(np.float32)), shape)

    _check(_known_error(measured, runtime, path), TOLERANCE, runtime, model)
    return forward


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference between two arrays, as a fraction of the largest expected value."""
    return round(float(np.abs(found - expected).max() / np.abs(expected).max()), 12)


def _threads():
    """How many threads OMP_NUM_THREADS allows an engine, which does not ask; None where it says nothing."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() and int(said) else None


def _unusable(path, engine, error):
    return ValueError(f"{path} can't be run by {engine} ({' '.join(str(error).split())}): remove it, it is written "
                      "again, or take runtime='function'")


def _check(error, most, runtime, model):
    if not error <= most:
        measure = "ONNX's reference" if isinstance(model, Graph) else "Keras"
        raise ValueError(f"{runtime} gives other features for {model.name} than {measure}: they differ by {error:.1e} "
                         f"of the largest, expected at most {most}; take runtime='function'")


def _error(forward, right, shape):
    """How far a way to run a network is from the right one on noise."""
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return relative_error(forward(noise), right(noise))


def _known_error(measured, runtime, path):
    """How far an engine is off on noise, measured once a network and version of the engine."""
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
        return measured()
    if key not in known:
        error = measured()
        known[key] = error if np.isfinite(error) else "not finite"
        with contextlib.suppress(OSError):  # in a home that can't be written it is measured each time
            write_json(record, known)
    return known[key] if isinstance(known[key], float) else float("inf")
