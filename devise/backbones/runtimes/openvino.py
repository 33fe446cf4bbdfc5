"""A network run by OpenVINO, on the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from devise.backbones.runtimes.onnx import threads, unusable
from devise.errors import require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def compiled(path: Path, shape: tuple[int, ...]) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A function from uint8 pictures to a float32 array, for one shape of batch.

    Args:
        path: an ONNX file, as `runtimes.onnx.export` writes it.
        shape: (batch, h, w, 3) of the pictures.
    Raises:
        MissingDependency: without openvino.
        ValueError: if the file can't be run.
    """
    openvino = require("openvino", "openvino")
    core = openvino.Core()
    # without this, a processor that has bfloat16 computes in it, and features would depend on the machine
    options: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if most := threads():
        options["INFERENCE_NUM_THREADS"] = most
    try:
        network = core.read_model(str(path))
        network.reshape(list(shape))
        request = core.compile_model(network, "CPU", options).create_infer_request()
    except RuntimeError as error:
        raise unusable(path, "openvino", error) from error
    # a copy, since the next call writes into the same memory
    return lambda pictures: request.infer({0: pictures.astype(np.float32)})[0].copy()
