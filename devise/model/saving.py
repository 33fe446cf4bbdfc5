"""What a model is written to: a folder with a manifest, or its whole network as one file; and its fingerprint."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from functools import partial
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from devise import __version__, storage
from devise.arrays import read_npy, read_npz, write_npy
from devise.backbones import onnx
from devise.backbones.runtimes import by_onnxruntime
from devise.datasets import PARTS, Split
from devise.errors import unknown
from devise.heads import load_head
from devise.model.sources import Network, Words
from devise.model.space import Space, restored_text
from devise.words import LabelTable

if TYPE_CHECKING:
    import keras

    from devise.backbones.base import Backbone
    from devise.heads import Head
    from devise.model.devise import Devise
    from devise.words import WordVectors

KIND = "model"
FORMATS = (".keras", ".onnx")
OUTPUT = "embeddings"  # the name of the output in an ONNX file


def save(model: Devise, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write a model to a folder, whole or not at all."""
    document = {
        "versions": {"devise": __version__, "python": platform.python_version(),
                     **{package: version(package) for package in ("keras", "numpy")}},
        "backbone": model.network.record, "words": model.words_record,
        "spaces": {name: _described(space) for name, space in model.own_spaces.items()},
        "labels": model.labels and model.labels.to_json(), "label_names": list(model.label_names),
        "split": model.split and model.split.to_json(model.paths), "data": model.data, "record": model.record,
        "history": {name: history.to_json() for name, history in model.history.items()}}
    with storage.Commit(folder, KIND, document, lost=partial(lost, document), overwrite=overwrite) as commit:
        for name, space in model.own_spaces.items():
            space.head.save(commit.file(f"{name}.npz"))
            if space.text is not None and space.text.weights():
                with open(commit.file(f"{name}-text.npz"), "wb") as file:
                    np.savez(file, **dict[str, Any](space.text.weights()))
        if model.labels:
            write_npy(commit.file("labels.npy"), model.labels.vectors)
        if "base" in model.network.record:
            with open(commit.file("backbone.npz"), "wb") as file:
                np.savez(file, **dict[str, Any](model.backbone.changes))


def lost(new: dict, old: dict, paths: dict | None = None) -> str | None:
    """What of the model that is there a new one lacks, or None.

    A model of another network, of other words, without a space, or of labels or images that the new one did not
    learn from is other content; other settings or another seed are not.

    Args:
        new, old: their manifests; of the new one what is known so far.
    """
    for what, record in (("network", "backbone"), ("set of word vectors", "words")):
        if record in new and old[record] and (not new[record] or _made_of(new[record]) != _made_of(old[record])):
            return f"it is of another {what}, {old[record]['name']}"
    for what, key in (("spaces", "spaces"), ("labels", "label_names"), ("pictures", "split")):
        names = _images if key == "split" else itemgetter(key)
        theirs = set(names(old))
        if key in new and (gone := sorted(theirs - set(names(new)))):
            return f"{len(gone):,} of the {len(theirs):,} {what} of it, such as {gone[0]}, are not in the new"
    tuned = "base" in old["backbone"]  # each fine-tuned network has features of its own
    if not tuned and None not in (new.get("data"), old["data"]) and new["data"] != old["data"]:
        return f"it learnt from {old['data']}, the new one from {new['data']}"
    return None


def _made_of(record: dict) -> str:
    """The fingerprint of a network or of words; of a fine-tuned network that of its base."""
    return record.get("base", record)["fingerprint"]


def _images(document: dict) -> set[str]:
    return {path for paths in (document["split"] or {"paths": {}})["paths"].values() for path in paths}


def load(kind: type[Devise], folder: str | Path, *, words: WordVectors | str | Path | None = None) -> Devise:
    """A model from a folder that `save` wrote; see `Devise.load`."""
    document, _ = storage.open_artefact(folder, KIND)
    return storage.read_artefact(folder, KIND, partial(_read, kind, words), check=tuple(document["files"]))


def _read(kind, words, document, files):
    from devise.training import History

    record = document["words"]
    source = record and Words.recorded(record, words)
    network = Network.recorded(document["backbone"], files.get("backbone.npz"))
    split, paths = document["split"], ()
    if split:
        paths = tuple(path for part in PARTS for path in split["paths"][part])
        split = Split.from_json(split, paths)
    labels = document["labels"] and LabelTable.from_json(
        document["labels"], read_npy(files["labels.npy"], np.float32, (None, None)))
    spaces = {name: _space(name, described, files, source) for name, described in document["spaces"].items()}
    return kind(network, source, spaces, labels=labels, label_names=document["label_names"], split=split, paths=paths,
                data=document["data"], record=document["record"],
                history={name: History.from_json(found) for name, found in document["history"].items()})


def _described(space: Space) -> dict:
    """A space for JSON; all may be accepted, or a figure undefined, which JSON has no number for: they are text."""
    return {"text": space.text and space.text.config, "threshold": _finite(space.threshold),
            "calibration": space.calibration and {name: _finite(value) for name, value in space.calibration.items()}}


def _space(name, described, files, words):
    found = described["text"]
    if found:
        weights = files.get(f"{name}-text.npz")
        found = restored_text(found, read_npz(weights) if weights else {}, words)
    return Space(load_head(files[f"{name}.npz"]), found, _number(described["threshold"]),
                 described["calibration"] and {key: _number(value) for key, value in described["calibration"].items()})


def _finite(value):
    return value if value is None or math.isfinite(value) else str(value)


def _number(value):
    return float(value) if isinstance(value, str) else value


def fingerprint(model: Devise) -> str:
    """A SHA-256 over the fingerprints of backbone and words, and every space's head and text side.

    Thresholds are not in it: they decide what is a match, not where anything lies.
    """
    words = model.words_record
    content = hashlib.sha256(f"{model.network.record['fingerprint']} {words and words['fingerprint']}".encode())
    for name, space in sorted(model.own_spaces.items()):
        _update(content, name, space.head)
        if space.text is not None:
            _update(content, "text", space.text)
    return content.hexdigest()


def _update(content, name: str, part) -> None:
    content.update(f"{name}{json.dumps(part.config, sort_keys=True)}".encode())
    for name, weight in sorted(part.weights().items()):
        weight = np.ascontiguousarray(weight)
        content.update(f"{name}{weight.dtype.str}{weight.shape}".encode())
        content.update(weight)


def whole_network(backbone: Backbone, head: Head, *, name: str = "devise") -> keras.Model:
    """Backbone and head as one Keras model: image in, unit embedding out. It shares its weights with its two parts.

    Args:
        head: a Head that is a network: mlp, ridge, projection, raw …
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
        storage.replaceable(path, name)
    network = whole_network(model.backbone, model.embedding_space(space).head, name=name)
    if path.suffix == ".onnx":
        onnx.export(network, path, name=OUTPUT)
    else:
        with storage.atomic_path(path) as temporary:
            network.save(temporary)
    return path


def largest_difference(model: Devise, path: str | Path, space: str | None = None, *, n: int = 2, seed: int = 0
                       ) -> float | None:
    """The largest difference of a component in a file's embeddings from the model's own, over images of random pixels.

    None for ONNX without onnxruntime.
    """
    pictures = np.random.default_rng(seed).integers(0, 256, (n, *model.backbone.size, 3), np.uint8)
    mine = model.embedding_space(space).embed(model.backbone.features(pictures))
    path = Path(path)
    if path.suffix == ".keras":
        import keras

        network = keras.saving.load_model(path, compile=False)
        theirs = np.asarray(network(pictures.astype(np.float32), training=False))
    else:
        try:
            theirs = by_onnxruntime(path, pictures.shape)(pictures.astype(np.float32))
        except ImportError:
            return None
    return float(np.abs(mine - theirs).max())
