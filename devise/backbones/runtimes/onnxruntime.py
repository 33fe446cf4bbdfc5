"""A network run by ONNX Runtime, on the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from devise.backbones.runtimes.onnx import FREE, INPUT, threads, unusable
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
        MissingDependency: without onnxruntime.
        ValueError: if the file can't be run.
    """
    onnxruntime = require("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.add_free_dimension_override_by_name(FREE, shape[0])  # with shapes known, more is computed beforehand
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the other cores decode meanwhile
    options.intra_op_num_threads = threads() or 0  # 0 is one a core
    options.log_severity_level = 3  # errors only
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen of its own
        raise unusable(path, "onnxruntime", error) from error
    return lambda pictures: session.run(None, {INPUT: pictures.astype(np.float32)})[0]
