"""A user's own Keras model as a backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from devise.backbones import graphs
from devise.backbones.base import BATCH, Backbone, Preprocessing

if TYPE_CHECKING:
    import keras

SIDE = 224  # where the model takes any size
PROBE = 8  # pixels a side of what a preprocessing function is tried on
TOLERANCE = 1e-4  # of the largest value: float32


def from_keras(model: keras.Model, *, preprocess: Preprocessing | Callable | None = None, layer: str | None = None,
               name: str | None = None, size: tuple[int, int] | None = None, class_names: Sequence[str] = (),
               runtime: str = "function", batch: int = BATCH) -> Backbone:
    """A Keras model as a backbone: images in, features out, its weights frozen.

    Args:
        model: float32 (n, h, w, 3) in, (n, dim) or (n, h, w, dim) out, of which positions are averaged.
        preprocess: what the model's inputs are made with from pixel values of 0 to 255: a function of
            float32 (n, h, w, 3), such as `keras.applications.resnet50.preprocess_input`, which scales
            and shifts each channel and may swap red and blue; or a `Preprocessing`, which says size
            and crop too. None where the model does it by itself.
        layer: where the model is cut, the name of a layer, or "pooled", the last global pooling; None
            is its end.
        name: what tables and messages call it; None is the model's own name.
        size: (height, width) of images, where the model takes any; 224 × 224 by default.
        class_names: the classes of the model's output, where it is a classifier cut at an inner layer.
        runtime, batch: as in `Backbone`.
    Returns:
        Backbone.
    Raises:
        ValueError: if the model doesn't take images, it has no such layer, or the function does more
            than scale, shift and swap channels.

    >>> from_keras(model, preprocess=keras.applications.resnet50.preprocess_input)  # doctest: +SKIP
    Backbone(resnet50, layer=output, dim=2048, weights=own)
    """
    import keras

    shape = model.input_shape if len(model.inputs) == 1 else None
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3:
        raise ValueError(f"{model.name} takes inputs of shape {model.input_shape}: expected one, (n, h, w, 3)")
    if not isinstance(preprocess, Preprocessing):
        height, width = size or (shape[1] or SIDE, shape[2] or SIDE)
        preprocess = Preprocessing((height, width), **(_affine(preprocess) if preprocess else {}))
    if any(given not in (None, mine) for given, mine in zip(shape[1:3], preprocess.size, strict=True)):
        raise ValueError(f"{model.name} takes images of {shape[1]} × {shape[2]} pixels, but preprocess gives "
                         f"{preprocess.size[0]} × {preprocess.size[1]}")
    functional = keras.Model(model.inputs[0], model.outputs[0], name=model.name)  # a Sequential is none
    network = graphs.copied(functional, preprocess.inputs())
    return Backbone(name or model.name, network, layer=layer or graphs.END, weights="own", trained=True,
                    preprocessing=preprocess, class_names=class_names, runtime=runtime, batch=batch)


def _affine(function):
    """What a function does to pixel values, as the arguments of `Preprocessing`."""
    values = np.random.default_rng(0).integers(0, 256, (2, PROBE, PROBE, 3)).astype(np.float32)
    values[1] //= 4  # darker, so that what depends on the whole image shows
    found = np.concatenate([function(values[:1].copy()), function(values[1:].copy())])  # Keras' own write into theirs
    if found.shape != values.shape:
        raise ValueError(f"preprocess makes {found.shape} of {values.shape}: expected the same shape; resizing is done "
                         "before it")
    for bgr in (False, True):
        given = values[..., ::-1] if bgr else values
        fits = [np.polyfit(given[..., channel].ravel(), found[..., channel].ravel(), 1) for channel in range(3)]
        scale, offset = (tuple(float(value) for value in line) for line in np.transpose(fits))
        if np.abs(given * scale + offset - found).max() <= TOLERANCE * max(1.0, float(np.abs(found).max())):
            return {"scale": scale, "offset": offset, "bgr": bgr}
    raise ValueError("preprocess does more than scale, shift and swap the channels of pixels: make it the model's "
                     "first layer, and leave preprocess out")
