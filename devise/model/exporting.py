"""A trained model as one file that other programs open without devise: pictures in, unit embeddings out."""

from pathlib import Path

import numpy as np

from devise.errors import unknown
from devise.model.identity import fingerprint
from devise.model.network import whole_model
from devise.storage import atomic_path, replaceable

OUTPUT = "embeddings"  # the name of the output in an ONNX file


def export(model, path, *, overwrite=False):
    """Write a model's whole network, preprocessing included, as a Keras or an ONNX file.

    The input is float32 (n, h, w, 3), 0 to 255, at the backbone's size (`model.backbone.prepare`
    crops and resizes a picture to it); the output float32 (n, dim), unit rows.

    Args:
        model: a fitted Devise or Siamese, whose head is a linear map or a network.
        path: a name that ends in .keras or .onnx; an export of this model is replaced in one step.
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
    name = f"devise_{fingerprint(model)[:32]}"
    if not overwrite:
        replaceable(path, name)
    network = whole_model(model.backbone, model.head, name=name)
    FORMATS[path.suffix](network, path)
    return path


def largest_difference(model, path, *, n=2, seed=0):
    """How far the file's embeddings are from the model's own, over drawn pictures; None where it can't be opened here.

    Args:
        n: how many pictures of random pixels.
    Returns:
        The largest absolute difference of two components, or None for ONNX without onnxruntime.
    """
    pictures = np.random.default_rng(seed).integers(0, 256, (n, *model.backbone.size, 3), np.uint8)
    mine = model.head.embed(model.backbone.features(pictures))
    theirs = READERS[Path(path).suffix](path, pictures.astype(np.float32))
    return None if theirs is None else float(np.abs(mine - theirs).max())


def _write_keras(network, path):
    with atomic_path(path) as temporary:
        network.save(temporary)


def _write_onnx(network, path):
    from devise.backbones.runtimes.onnx import export

    export(network, path, name=OUTPUT)


def _read_keras(path, pictures):
    import keras

    return np.asarray(keras.saving.load_model(path, compile=False)(pictures, training=False))


def _read_onnx(path, pictures):
    try:
        from devise.backbones.runtimes.onnxruntime import compiled

        return compiled(path, pictures.shape)(pictures)
    except ImportError:
        return None


FORMATS = {".keras": _write_keras, ".onnx": _write_onnx}
READERS = {".keras": _read_keras, ".onnx": _read_onnx}
