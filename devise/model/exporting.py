"""A model's whole network, pixels to a space: as a Keras model, and as one file that opens without devise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise.backbones import onnx
from devise.backbones.runtimes import by_onnxruntime
from devise.errors import unknown
from devise.storage import atomic_path, replaceable

if TYPE_CHECKING:
    import keras

    from devise.backbones.base import Backbone
    from devise.heads import Head
    from devise.model.devise import Devise

FORMATS = (".keras", ".onnx")
OUTPUT = "embeddings"  # the name of the output in an ONNX file


def whole_network(backbone: Backbone, head: Head, *, name: str = "devise") -> keras.Model:
    """Backbone and head as one Keras model: image in, unit embedding out. It shares its weights with its two parts.

    Args:
        backbone: a Backbone, which stays frozen.
        head: a Head that is a network: mlp, ridge, projection, raw …
        name: of the Keras model.
    Returns:
        keras.Model from float32 (n, h, w, 3), 0 to 255, to float32 (n, dim).
    Raises:
        ValueError: if the head is no network, or takes features of another dim.

    >>> whole_network(backbone, head).output_shape  # doctest: +SKIP
    (None, 300)
    """
    import keras

    layers = head.keras_layers()
    if head.input_dim not in (None, backbone.dim):
        raise ValueError(f"the head takes {head.input_dim} features, {backbone.name} {backbone.layer} "
                         f"gives {backbone.dim}")
    frozen = backbone.keras_model()
    outputs = frozen.output
    for layer in layers:
        outputs = layer(outputs)
    [pictures] = frozen.inputs
    return keras.Model(pictures, keras.layers.UnitNormalization(name="unit_embedding")(outputs), name=name)


def parameter_counts(model: keras.Model) -> dict[str, int]:
    """How many parameters a Keras model has: {"total", "trainable", "non_trainable"}.

    >>> import keras
    >>> parameter_counts(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
    {'total': 15, 'trainable': 15, 'non_trainable': 0}
    """
    trainable, frozen = (sum(int(np.prod(weight.shape)) for weight in weights)
                         for weights in (model.trainable_weights, model.non_trainable_weights))
    return {"total": trainable + frozen, "trainable": trainable, "non_trainable": frozen}


def export(model: Devise, path: str | Path, space: str | None = None, *, overwrite: bool = False) -> Path:
    """Write the whole network of a space, preprocessing included, as a Keras or an ONNX file.

    The input is float32 (n, h, w, 3), 0 to 255, at the backbone's size (`model.backbone.prepare`
    crops and resizes an image to it); the output float32 (n, dim), unit rows.

    Args:
        path: a name that ends in .keras or .onnx; an export of this model is replaced in one step.
        space: its name; None is the one that text shares, or, where there is none, the first.
        overwrite: whether any other file there is replaced, too.
    Returns:
        path, a Path.
    Raises:
        ValueError: for another ending, or a head that is no network, such as that of conse.
        FileExistsError: if another file is there.
        MissingDependency: for ONNX without tf2onnx.

    >>> export(model, "model.onnx")  # doctest: +SKIP
    PosixPath('model.onnx')
    """
    path = Path(path).expanduser()
    if path.suffix not in FORMATS:
        raise ValueError(f"{path}: {unknown('format', path.suffix, FORMATS)}")
    name = f"devise_{model.fingerprint[:32]}"
    if not overwrite:
        replaceable(path, name)
    network = whole_network(model.backbone, model.embedding_space(space).head, name=name)
    if path.suffix == ".onnx":
        onnx.export(network, path, name=OUTPUT)
    else:
        with atomic_path(path) as temporary:
            network.save(temporary)
    return path


def largest_difference(model: Devise, path: str | Path, space: str | None = None, *, n: int = 2, seed: int = 0
                       ) -> float | None:
    """How far a file's embeddings are from the model's own, over images of random pixels.

    Returns:
        The largest absolute difference of two components, or None for ONNX without onnxruntime.
    """
    pictures = np.random.default_rng(seed).integers(0, 256, (n, *model.backbone.size, 3), np.uint8)
    mine = model.embedding_space(space).embed(model.backbone.features(pictures))
    if Path(path).suffix == ".keras":
        import keras

        network = keras.saving.load_model(path, compile=False)
        theirs = np.asarray(network(pictures.astype(np.float32), training=False))
    else:
        try:
            theirs = by_onnxruntime(path, pictures.shape)(pictures.astype(np.float32))
        except ImportError:
            return None
    return float(np.abs(mine - theirs).max())
