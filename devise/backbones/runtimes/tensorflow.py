"""A network run by TensorFlow, as a compiled graph, through XLA, in half precision, or by Keras itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise.backbones import graphs

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    from numpy.typing import NDArray

MIXED = "mixed_float16"  # Keras' name: products in half precision, weights in float32; bfloat16 is off by 6 %
RUNTIMES = ("function", "xla", "keras", MIXED)
DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of NVIDIA's, AMD's and Windows' GPUs, as Linux shows them


def compiled(model: keras.Model, runtime: str, batch: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A function from uint8 pictures (batch, h, w, 3) to a float32 array.

    Args:
        runtime: "function" (a compiled graph), "xla", "keras" (`predict_on_batch`), or "mixed_float16".
    """
    if runtime == "keras":
        return lambda pictures: model.predict_on_batch(pictures.astype(np.float32))
    import tensorflow as tf

    network = graphs.copied(model, dtype=runtime) if runtime == MIXED else model

    @tf.function(input_signature=[tf.TensorSpec((batch, *model.input_shape[1:]), tf.uint8)],
                 jit_compile=runtime == "xla")
    def forward(pictures):
        return tf.cast(network(tf.cast(pictures, tf.float32), training=False), tf.float32)

    return lambda pictures: forward(pictures).numpy()


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU; on Linux it is asked, which takes seconds, only where a driver is."""
    if sys.platform == "linux" and not any(Path(driver).exists() for driver in DRIVERS):
        return False
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
