"""Backbones by name, whose weights are on this machine, and a user's own Keras model as one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from devise.backbones import efficientnet_lite, graphs, keras_applications, keras_hub
from devise.backbones.base import BATCH, RUNTIME, STRETCHED, Backbone, Preprocessing
from devise.errors import MissingDependency, pip_line, unknown

if TYPE_CHECKING:
    import keras

AUTO = "auto"
DEFAULT = "vgg16"
SIDE = 224  # of a user's model that takes any size
PROBE = 8  # pixels a side of what a preprocessing function is tried on
TOLERANCE = 1e-4  # of the largest value: float32
BUILDERS = {DEFAULT: keras_applications.build,
            **dict.fromkeys(efficientnet_lite.VARIANTS, efficientnet_lite.build),
            **dict.fromkeys(keras_applications.NETWORKS, keras_applications.build),
            **dict.fromkeys(keras_hub.NETWORKS, keras_hub.build)}


def names() -> tuple[str, ...]:
    """The backbones that `load` knows, the default first.

    >>> names()[:2]
    ('vgg16', 'efficientnet_lite0')
    """
    return tuple(BUILDERS)


def load(name: str = DEFAULT, *, weights: str | None = "imagenet", layer: str | None = None, seed: int = 0,
         runtime: str = RUNTIME, batch: int | None = None) -> Backbone:
    """A backbone, ready to compute features.

    Args:
        name: one of `names()`; with "-stretched" behind it, as in "vgg16-stretched", whole pictures are put
            into the network's square by their nearest pixels, as Keras' `load_img(target_size=…)` does, where
            else the centre is cut out.
        weights: "imagenet", the path of a weights file, or random ones: None, "random" or "random:SEED".
            For the networks of keras-hub "imagenet" is their preset, whatever that learnt from, and the
            path that of its folder. `Backbone.weights` gives the same backbone again.
        layer: where the network is cut, the name of a layer; None is the one before the classes.
        seed: of random weights.
        runtime, batch: as in `Backbone`; neither changes the fingerprint, so compute a table by one.
    Raises:
        ValueError: if there is no such backbone, layer or runtime, or the file is of another network.
        FileNotFoundError: if the weights can't be had; the message says how to bring them.
        MissingDependency: if the package that carries the weights is not installed.

    >>> load("resnet5")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: there is no backbone 'resnet5': did you mean resnet50...
    """
    plain = plain_name(name)
    if plain not in BUILDERS:
        raise ValueError(unknown("backbone", name, BUILDERS))
    found = BUILDERS[plain](plain, weights=weights, layer=layer, seed=seed, runtime=runtime, batch=batch)
    return found if plain == name else found.stretched()


def plain_name(name: str) -> str:
    """The network's name without "-stretched"."""
    return str(name).removesuffix(STRETCHED)


def as_backbone(backbone: str | Backbone | keras.Model) -> Backbone:
    """The backbone of a name, of "auto", or of a user's own Keras model; a Backbone as it is.

    Args:
        backbone: one of `names()`; "auto", what `choose` takes; a Keras model, as `from_keras` takes
            it by default; or a Backbone.
    Raises:
        TypeError: if it is none of these.
        ValueError, FileNotFoundError, MissingDependency: as `load`.

    >>> as_backbone("vgg16").dim  # doctest: +SKIP
    4096
    """
    if isinstance(backbone, str):
        return load(choose()[0] if backbone == AUTO else backbone)
    keras = sys.modules.get("keras")  # where it was not imported nobody holds a model of it
    if keras and isinstance(backbone, keras.Model):
        return from_keras(backbone)
    if backbone is None or isinstance(backbone, (bool, int, float, list, tuple, dict, os.PathLike, type)):
        raise TypeError(f"backbone is {backbone!r}: expected 'auto', one of {', '.join(names()[:3])} …, a Backbone, or "
                        "a Keras model")
    return backbone


def describe(backbone: Backbone) -> dict[str, Any]:
    """Record of a backbone for a manifest: name, layer, dim, weights, trained, fingerprint.

    >>> from types import SimpleNamespace
    >>> describe(SimpleNamespace(name="vgg16", layer="fc2", dim=4096, weights="imagenet", trained=True,
    ...                          fingerprint="ab12"))["layer"]
    'fc2'
    """
    return {"name": backbone.name, "layer": backbone.layer, "dim": backbone.dim, "weights": backbone.weights,
            "trained": backbone.trained, "fingerprint": backbone.fingerprint}


class Weights(NamedTuple):
    """Where a backbone's trained weights are, or how to bring them.

    Attributes:
        place: the file or folder, None where they are not on this machine.
        bring: a command or a sentence.
    """

    place: Path | None
    bring: str


def weights_of(name: str) -> Weights:
    """Where the trained weights of a backbone are; nothing is loaded.

    Args:
        name: one of `names()`, "-stretched" or not.

    >>> weights_of("vgg16").bring
    'devise fetch vgg16'
    """
    name, extract = plain_name(name), f"devise extract samples --backbone {plain_name(name)} with internet"
    if name in efficientnet_lite.VARIANTS:
        try:
            return Weights(efficientnet_lite.package_file(name), "")
        except MissingDependency as error:
            return Weights(None, str(error).partition(": ")[2])
    if name in keras_applications.NETWORKS:
        bring = f"{extract}, or bring Keras' file to {keras_applications.cache()}"
        return Weights(keras_applications.local_weights(name), "devise fetch vgg16" if name == "vgg16" else bring)
    if name in keras_hub.NETWORKS:
        return Weights(keras_hub.local_weights(name), f"{pip_line('hub')} and {extract}")
    return Weights(None, "load it once on a machine with internet")


def choose() -> tuple[str, str]:
    """The backbone that needs no download: VGG16 if its weights are here, else EfficientNet-Lite0.

    Returns:
        (name, why), the second a clause to print.
    Raises:
        MissingDependency: if neither can be had; the message says how to bring either.

    >>> choose()[0]  # doctest: +SKIP
    'efficientnet_lite0'
    """
    path = keras_applications.local_weights()
    if path:
        return DEFAULT, f"its ImageNet weights are in {path.parent}"
    try:
        efficientnet_lite.package_file("efficientnet_lite0")
    except MissingDependency as error:
        raise MissingDependency(f"{error}. Or fetch VGG16's weights: devise fetch vgg16") from error
    return "efficientnet_lite0", ("its ImageNet weights come with a package; VGG16's are not on this machine "
                                  "(`devise fetch vgg16` brings them, 553 MB)")


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
