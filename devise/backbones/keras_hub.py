"""Transformers of keras-hub: DINOv2, CLIP, SigLIP and ViT, their picture towers as frozen backbones.

A preset's tower is built again at the side below and filled with the preset's numbers, so that its
weights have the same paths whatever the preset calls its layers.

Sources: Oquab et al. 2023 (DINOv2) and Darcet et al. 2023 (registers), Radford et al. 2021 (CLIP),
Zhai et al. 2023 and Tschannen et al. 2025 (SigLIP), Dosovitskiy et al. 2021 (ViT).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from devise.backbones.base import Backbone, Preprocessing, randomise, seed_of
from devise.errors import require
from devise.storage import user_home

TOWER = "encoder"  # its name in the network; keras-hub puts it in front of the names of the layers inside


class Network(NamedTuple):
    """A tower's family and sizes: square patches of so many pixels, blocks of that width and heads.

    Attributes:
        side: of the picture, in pixels. DINOv2's positions were learnt at 518 and are interpolated.
        registers: tokens that stand for nothing (DINOv2).
        projection: columns of the space that pictures share with sentences (CLIP).
    """

    family: str
    patch: int
    dim: int
    blocks: int
    heads: int
    side: int = 224
    registers: int = 0
    projection: int | None = None


class Family(NamedTuple):
    """What the networks of one family have in common: a class of keras-hub, scaling, where it is cut."""

    tower: str
    mean: tuple
    spread: tuple
    layer: str
    resampling: str = "bicubic"
    crop: float = 1.0


FAMILIES = {
    "dinov2": Family("DINOV2Backbone", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "class_token", crop=0.875),
    "clip": Family("CLIPVisionEncoder", (0.48145466, 0.4578275, 0.40821073),
                   (0.26862954, 0.26130258, 0.27577711), "vision_projection"),
    "siglip": Family("SigLIPVisionEncoder", (0.5,) * 3, (0.5,) * 3, "head"),  # the tower pools by attention
    "vit": Family("ViTBackbone", (0.5,) * 3, (0.5,) * 3, "class_token", "bilinear"),
}

NETWORKS = {
    "dinov2_small": Network("dinov2", 14, 384, 12, 6),
    "dinov2_base": Network("dinov2", 14, 768, 12, 12),
    "dinov2_large": Network("dinov2", 14, 1024, 24, 16),
    "dinov2_with_registers_small": Network("dinov2", 14, 384, 12, 6, registers=4),
    "dinov2_with_registers_base": Network("dinov2", 14, 768, 12, 12, registers=4),
    "clip_vit_base_patch32": Network("clip", 32, 768, 12, 12, projection=512),
    "clip_vit_base_patch16": Network("clip", 16, 768, 12, 12, projection=512),
    "clip_vit_large_patch14": Network("clip", 14, 1024, 24, 16, projection=768),
    "siglip_base_patch16_224": Network("siglip", 16, 768, 12, 12),
    "siglip2_base_patch16_224": Network("siglip", 16, 768, 12, 12),
    "vit_base_patch16_224_imagenet": Network("vit", 16, 768, 12, 12),
    "vit_base_patch16_224_imagenet21k": Network("vit", 16, 768, 12, 12),
}


def build(name: str, *, weights: str | None = "imagenet", layer: str | None = None, seed: int = 0,
          **options) -> Backbone:
    """A network of keras-hub as a backbone; arguments as of `devise.backbones.load`.

    Args:
        weights: "preset", or "imagenet" for the same (keras-hub downloads it, or has it in its cache), a
            handle such as "hf://user/model", or the folder of a saved preset.
        layer: "class_token" or, the default of CLIP, "vision_projection"; SigLIP has one place only.
    Raises:
        MissingDependency: without keras-hub.
        FileNotFoundError: if there is no such folder, or the preset can't be had.
        ValueError: if the folder does not hold a preset of this size.
    """
    models, size = require("keras_hub", "hub").models, NETWORKS[name]
    family = FAMILIES[size.family]
    random = seed_of(weights, seed)
    if random is None:
        preset, weights = _preset(models, name, weights)
        network = _filled(models, name, preset, weights)
    else:
        network = _network(name, getattr(models, family.tower)(name=TOWER, **_config(size)))
        weights = f"random:{random}"
        _randomise(network, random)
    return Backbone(name, network, layer=layer or family.layer, weights=weights, trained=random is None,
                    preprocessing=preprocessing_of(name), **options)


def preprocessing_of(name: str) -> Preprocessing:
    """What a network expects: (x/255 - mean) / spread. CLIP, SigLIP and ViT see the whole shorter side.

    The last two were shown pictures squeezed to a square; here the ends of the longer side are cut off.
    """
    family, side = FAMILIES[NETWORKS[name].family], NETWORKS[name].side
    return Preprocessing((side, side), scale=tuple(1 / 255 / spread for spread in family.spread),
                         offset=tuple(-mean / spread for mean, spread in zip(family.mean, family.spread, strict=True)),
                         resampling=family.resampling, crop=family.crop)


def local_weights(name: str) -> Path | None:
    """The folder of a network's preset in the cache of keras-hub's downloads, or None."""
    cache = Path(os.environ.get("KAGGLEHUB_CACHE") or user_home() / ".cache/kagglehub")
    return next(iter(sorted(cache.glob(f"models/keras/*/keras/{name}"))), None)


def _config(size):
    """The sizes as keras-hub's constructors call them."""
    wide = "mlp_dim" if size.family == "vit" else "intermediate_dim"
    config = {"patch_size": size.patch, "hidden_dim": size.dim, "num_layers": size.blocks, "num_heads": size.heads,
              wide: 4 * size.dim, "image_shape": (size.side, size.side, 3)}
    if size.family == "dinov2":
        config |= {"num_register_tokens": size.registers, "position_embedding_shape": (size.side, size.side)}
    return config


def _network(name, tower):
    """The Keras model from pictures through a tower to features."""
    import keras

    size = NETWORKS[name]
    pictures, scaled = preprocessing_of(name).inputs()
    x = tower({"images": scaled} if isinstance(tower.input, dict) else scaled)
    if size.family == "siglip":
        x = keras.layers.Identity(name="head")(x)  # the tower's own output belongs to a graph of its own
    else:  # two layers, since a slice of a tensor can't be given a name
        x = keras.layers.Cropping1D((0, x.shape[1] - 1), name="first_token")(x)
        x = keras.layers.Reshape((size.dim,), name="class_token")(x)
    if size.projection:
        x = keras.layers.Dense(size.projection, use_bias=False, name="vision_projection")(x)
    return keras.Model(pictures, x, name=name)


def _preset(models, name, weights):
    """A preset of keras-hub with its weights, and what it is called as `weights`."""
    weights, folder, size = "preset" if str(weights) == "imagenet" else str(weights), None, NETWORKS[name]
    if weights != "preset" and "://" not in weights:
        folder = Path(weights).expanduser().absolute()
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}: expected 'preset', 'random', a handle such as "
                                    "hf://user/model, or the folder of a saved preset")
        weights = str(folder)
    place = name if weights == "preset" else weights
    resized = {"image_shape": (size.side, size.side, 3)} if size.family == "dinov2" else {}
    try:
        return models.Backbone.from_preset(place, **resized), weights
    except Exception as error:  # keras-hub, kagglehub and h5py each raise their own
        if folder:
            raise ValueError(f"{place} can't be read as a preset ({error}): expected what keras-hub's "
                             f"save_to_preset writes, of {name}") from error
        raise FileNotFoundError(
            f"the preset {place} is not on this machine and can't be downloaded ({error}): bring its folder from "
            f"https://www.kaggle.com/models/keras/{size.family}/keras/{name} and load with weights='FOLDER', "
            "or weights='random' for a trial") from error


def _filled(models, name, preset, place):
    """The network with the numbers of a preset."""
    size = NETWORKS[name]
    tower_class = getattr(models, FAMILIES[size.family].tower)
    source = getattr(preset, "vision_encoder", preset)
    theirs = source.get_config()
    config = _config(size)
    asked = {key: config[key] for key in config if key != "position_embedding_shape"}
    wrong = [f"{key} is {theirs.get(key)}, not {value}" for key, value in asked.items()
             if np.ravel(theirs.get(key)).tolist() not in (np.ravel(value).tolist(), [value, value])]
    projection = getattr(preset, "projection_dim", None)
    if projection != size.projection:
        wrong.append(f"its projection is {projection}, not {size.projection}")
    if wrong or not isinstance(source, tower_class):
        raise ValueError(f"{place} holds {type(preset).__name__} of another size than {name}: "
                         f"{'; '.join(wrong) or f'expected {tower_class.__name__}'}")
    # what the table doesn't say, such as the epsilon of the norms, is the preset's
    network = _network(name, tower_class.from_config({**theirs, **config, "name": TOWER}))
    at_size = {weight.name: weight for weight in source.weights}.get("interpolated_position_embeddings")
    for old, new in zip(source.weights, network.get_layer(TOWER).weights, strict=True):
        new.assign(at_size if new.name == "position_embeddings" and at_size is not None else old)
    if size.projection:
        network.get_layer("vision_projection").set_weights(preset.vision_projection.get_weights())
    return network


def _randomise(network, seed):
    """Random weights, but every position has its number, and DINOv2's two copies of the positions agree."""
    randomise(network, seed)
    named = {weight.name: weight for weight in network.weights}
    for weight in network.weights:
        if weight.name == "bias":
            weight.assign(np.zeros(weight.shape))  # keras-hub's ViT draws them, from no seed
    if "class_embedding" in named:
        dim = named["class_embedding"].shape[0]
        named["class_embedding"].assign(np.random.default_rng([seed, 1]).normal(0, dim ** -0.5, dim))
    if "position_ids" in named:
        named["position_ids"].assign(np.arange(named["position_ids"].shape[1])[None])
    if "interpolated_position_embeddings" in named:
        named["interpolated_position_embeddings"].assign(named["position_embeddings"])
