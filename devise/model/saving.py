"""The folder of a model, one manifest and a file for each head, text side and label table; a model's fingerprint."""

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
from devise.datasets import PARTS, Split
from devise.heads import load_head
from devise.model.sources import Network, Words
from devise.model.space import Space, restored_text
from devise.words import LabelTable

if TYPE_CHECKING:
    from devise.model.devise import Devise
    from devise.words import WordVectors

KIND = "model"


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
