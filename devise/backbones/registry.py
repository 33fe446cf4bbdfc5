"""Backbones by name."""

from __future__ import annotations

import difflib
import os
import sys
from typing import TYPE_CHECKING

from devise.backbones import efficientnet_lite, keras_applications, keras_hub
from devise.backbones.base import RUNTIME, STRETCHED, Backbone
from devise.backbones.own import from_keras
from devise.errors import MissingDependency

if TYPE_CHECKING:
    import keras

AUTO = "auto"

DEFAULT = "vgg16"
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
    Returns:
        Backbone.
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
        near = difflib.get_close_matches(str(name), BUILDERS, n=3)
        hint = f"did you mean {', '.join(near)}" if near else f"expected one of {', '.join(BUILDERS)}"
        raise ValueError(f"there is no backbone {name!r}: {hint}")
    found = BUILDERS[plain](plain, weights=weights, layer=layer, seed=seed, runtime=runtime, batch=batch)
    return found if plain == name else found.stretched()


def plain_name(name: str) -> str:
    """The network's name without "-stretched".

    >>> plain_name("vgg16-stretched"), plain_name("vgg16")
    ('vgg16', 'vgg16')
    """
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
        return "vgg16", f"its ImageNet weights are in {path.parent}"
    try:
        efficientnet_lite.package_file("efficientnet_lite0")
    except MissingDependency as error:
        raise MissingDependency(f"{error}. Or fetch VGG16's weights: devise fetch vgg16") from error
    return "efficientnet_lite0", ("its ImageNet weights come with a package; VGG16's are not on this machine "
                                  "(`devise fetch vgg16` brings them, 553 MB)")
