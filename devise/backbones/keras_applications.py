"""The networks of keras.applications, VGG16 first, with their preprocessing inside the model.

Keras' own `preprocess_input` writes into its argument and is easily forgotten; here the same
arithmetic is a layer of the network, so it can't be left out.

Source of the constants: keras.applications (imagenet_utils); each network's papers are named there.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from devise.backbones import imagenet
from devise.backbones.base import Backbone, Preprocessing, randomise, seed_of
from devise.storage import pretrained_root, user_home

VGG16_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
VGG16_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{VGG16_FILE}"
VGG16_MD5 = "64373286793e3c8b2b4e3219cbf3544b"

VGG16_REMEDY = (f"run `devise fetch vgg16`; or bring {VGG16_URL} (MD5 {VGG16_MD5}) from another machine "
                "and run `devise fetch vgg16 --from FILE`, which puts it into pretrained/")
REMEDY = "pass the path of a weights file or weights='random', or put Keras' own file into ~/.keras/models"

# Keras' three ways, as scale·x + offset; None where the network rescales by itself
MODES: dict[str | None, dict] = {"caffe": {"bgr": True, "offset": (-103.939, -116.779, -123.68)},
         "tf": {"scale": (1 / 127.5,) * 3, "offset": (-1.0,) * 3},
         "torch": {"scale": tuple(1 / (255 * spread) for spread in (0.229, 0.224, 0.225)),
                   "offset": (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225)},
         None: {}}


class Network(NamedTuple):
    """A constructor of keras.applications, what its weights expect, and the layer before its classes."""

    constructor: str
    mode: str | None
    side: int = 224
    layer: str = "avg_pool"  # "pooled" where Keras numbers that layer by what was built before


NETWORKS = {
    "vgg16": Network("VGG16", "caffe", layer="fc2"),
    "vgg19": Network("VGG19", "caffe", layer="fc2"),
    **{f"resnet{layers}": Network(f"ResNet{layers}", "caffe") for layers in (50, 101, 152)},
    **{f"resnet{layers}_v2": Network(f"ResNet{layers}V2", "tf") for layers in (50, 101, 152)},
    **{f"densenet{layers}": Network(f"DenseNet{layers}", "torch") for layers in (121, 169, 201)},
    "inception_v3": Network("InceptionV3", "tf", 299),
    "inception_resnet_v2": Network("InceptionResNetV2", "tf", 299),
    "xception": Network("Xception", "tf", 299),
    "nasnet_mobile": Network("NASNetMobile", "tf", layer="pooled"),
    "nasnet_large": Network("NASNetLarge", "tf", 331, layer="pooled"),
    "mobilenet": Network("MobileNet", "tf", layer="pooled"),
    "mobilenet_v2": Network("MobileNetV2", "tf", layer="pooled"),
    # pooled is one hidden layer before the classes of the two that follow
    "mobilenet_v3_small": Network("MobileNetV3Small", None, layer="pooled"),
    "mobilenet_v3_large": Network("MobileNetV3Large", None, layer="pooled"),
    **{f"efficientnet_b{i}": Network(f"EfficientNetB{i}", None, side)
       for i, side in enumerate((224, 240, 260, 300, 380, 456, 528, 600))},
    **{f"efficientnet_v2_{size.lower()}": Network(f"EfficientNetV2{size}", None, side)
       for size, side in (("B0", 224), ("B1", 240), ("B2", 260), ("B3", 300),
                          ("S", 384), ("M", 480), ("L", 480))},
    **{f"convnext_{size.lower()}": Network(f"ConvNeXt{size}", None,
                                           layer=f"convnext_{size.lower()}_head_layernorm")
       for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
}


def build(name: str, *, weights: str | None = "imagenet", layer: str | None = None, seed: int = 0,
          **options) -> Backbone:
    """A network of keras.applications as a backbone; arguments as of `devise.backbones.load`.

    Args:
        weights: for "imagenet" a file in `pretrained/`, or in Keras' cache, or Keras' download is taken.
        layer: None is the layer before its classes ("fc2" of VGG16).
    Raises:
        FileNotFoundError: if there is no such file, or ImageNet weights can't be had.
        ValueError: if the file is of another network.
    """
    random = seed_of(weights, seed)
    if random is not None:
        network, weights = _construct(name, None), f"random:{random}"
        randomise(network, random)
    elif weights == "imagenet":
        local = local_weights(name) if name == "vgg16" else None
        network = _loaded(name, local) if local else _imagenet(name)
    else:
        path = Path(str(weights)).expanduser().absolute()
        network, weights = _loaded(name, path), str(path)
    return Backbone(name, network, layer=layer or NETWORKS[name].layer, weights=str(weights), trained=random is None,
                    preprocessing=preprocessing_of(name), class_names=imagenet.class_names(), **options)


def preprocessing_of(name: str) -> Preprocessing:
    """What a network expects: bilinear, the centre .875 (224 of 256 pixels), then its mode.

    >>> preprocessing_of("vgg16").offset
    (-103.939, -116.779, -123.68)
    """
    side = NETWORKS[name].side
    return Preprocessing((side, side), **MODES[NETWORKS[name].mode])


def cache() -> Path:
    """The folder of the weights that Keras has downloaded."""
    return Path(os.environ.get("KERAS_HOME") or user_home() / ".keras") / "models"


def local_weights(name: str = "vgg16") -> Path | None:
    """The path of a network's ImageNet weights in `pretrained/`, for VGG16, or in Keras' cache; or None.

    Keras' names of files follow no rule: the longest of our names in one counts.
    """
    if name == "vgg16":
        places = [folder / VGG16_FILE for folder in (pretrained_root(), cache())]
        return next((path for path in places if path.is_file()), None)
    for file in sorted(cache().glob("*.h5")):
        meant = [known for known in NETWORKS if _letters(known) in _letters(file.name)]
        if "notop" not in file.name and max(meant, key=len, default=None) == name:
            return file
    return None


def _letters(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _construct(name, weights):
    """The Keras model from pictures to logits."""
    from keras import applications

    _pictures, scaled = preprocessing_of(name).inputs()
    constructor = getattr(applications, NETWORKS[name].constructor)
    return constructor(weights=weights, input_tensor=scaled, classifier_activation=None)


def _loaded(name, path):
    """The network with the weights of a file."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no weights file {path}: expected 'imagenet', 'random' or a path")
    if name.startswith("efficientnet_b"):
        # Keras adds a rescaling layer for its own weights only, so a file would be read but misused
        raise ValueError(f"{name} takes no weights file: Keras builds it differently for weights='imagenet'; "
                         "use that, or another network")
    network = _construct(name, None)
    try:
        network.load_weights(path)
    except Exception as error:  # h5py, zipfile and Keras each raise their own
        raise ValueError(f"{path} doesn't hold weights of {name} with its classifier ({error}): "
                         "fetch it again, or name its network") from error
    return network


def _imagenet(name):
    """The network with the weights that Keras has in its cache or downloads."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras draws its progress bar on stdout
            return _construct(name, "imagenet")
    except Exception as error:  # Keras raises bare Exception where a download fails
        remedy = VGG16_REMEDY if name == "vgg16" else f"({error}) {REMEDY}"
        raise FileNotFoundError(
            f"the ImageNet weights of {name} are not on this machine and can't be downloaded: {remedy}; "
            "or take efficientnet_lite0, whose weights are a package") from error
