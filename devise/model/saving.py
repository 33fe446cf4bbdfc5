"""A model's folder: its manifest, the head's weights and the label vectors."""

import platform
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from devise import __version__, storage
from devise.arrays import read_npy, write_npy
from devise.datasets import PARTS, Split
from devise.model.finetuning import read_changes, save_changes
from devise.words import NAMES, LabelTable


def save(model, folder, *, overwrite=False):
    """Write a fitted model to a folder, whole or not at all."""
    document = {"versions": versions(), "backbone": model.backbone_record, "words": model.words_record,
                "head": model.head.config, "labels": model.labels.to_json(), "synonyms": model.synonyms,
                "split": model.split.to_json(model.paths), "seed": model.seed, "data": model.data_record,
                "history": model.history and model.history.to_json()}
    with storage.Commit(folder, "model", document, lost=partial(lost, document), overwrite=overwrite) as commit:
        model.head.save(commit.file("head.npz"))
        write_npy(commit.file("labels.npy"), model.labels.vectors)
        if "base" in model.backbone_record:
            save_changes(model.backbone, commit.file("backbone.npz"))


def lost(new, old, paths=None):
    """What of the model that is there a new one lacks, or None.

    A model of another network, of other words, or of labels or pictures that the new one did not learn from is
    other content; other settings or another seed are not.

    Args:
        new, old: their manifests, of any kind of model; what `new` does not tell is not compared.
    """
    for what, record in (("network", "backbone"), ("set of word vectors", "words")):
        if new.get(record) and _made_of(new[record]) != _made_of(old[record]):
            return f"it is of another {what}, {old[record]['name']}"
    for what, names in (("labels", _labels), ("pictures", _pictures)):
        theirs = names(old)
        if gone := sorted(theirs - names(new)):
            return f"{len(gone):,} of the {len(theirs):,} {what} it learnt from, such as {gone[0]}, are not in the new"
    tuned = "base" in old["backbone"]  # each fine-tuned network has features of its own
    if not tuned and None not in (new.get("data"), old["data"]) and new["data"] != old["data"]:
        return f"it learnt from {old['data']}, the new one from {new['data']}"
    return None


def _made_of(record):
    """The fingerprint of a network or of words; of a fine-tuned network that of its base."""
    return record.get("base", record)["fingerprint"]


def _labels(document):
    return set(document["label_names"] if "label_names" in document else document.get("labels", {}).get("names", ()))


def _pictures(document):
    parts = document["split"]["paths"] if "split" in document else document["parts"]
    return {path for paths in parts.values() for path in paths}


def load(kind, folder, *, words=None):
    """A model of the class `kind` from a folder that `save` wrote; see `Devise.load`."""
    return storage.read_artefact(folder, "model", partial(_read, kind, words),
                                 check=["head.npz", "labels.npy", "backbone.npz"])


def _read(kind, words, document, files):
    from devise.heads.base import read
    from devise.training import History

    model = kind.__new__(kind)
    model.words_record, model.backbone_record = document["words"], document["backbone"]
    model._words = words and fitting(words, model.words_record)
    model._backbone = model._table = None
    model._changes = read_changes(files["backbone.npz"]) if "backbone.npz" in files else None
    model.synonyms, model.seed, model.data_record = document["synonyms"], document["seed"], document["data"]
    model.paths = tuple(path for part in PARTS for path in document["split"]["paths"][part])
    model.split = Split.from_json(document["split"], model.paths)
    model.history = document["history"] and History.from_json(document["history"])
    model.labels = LabelTable.from_json(document["labels"], read_npy(files["labels.npy"], np.float32, (None, None)))
    # read at once, since the file goes when the model is saved anew; its layers are made when they are needed
    model._head, model._head_parts = None, (files["head.npz"], *read(files["head.npz"]))
    return model


def versions():
    """What the model was made with."""
    found = {package: version(package) for package in ("keras", "numpy")}
    return {"devise": __version__, "python": platform.python_version(), **found}


def fitting(words, record):
    """The words, if they are those that a model was trained on."""
    if words.fingerprint != record["fingerprint"]:
        raise ValueError(f"the model was trained on {record['name']} ({record['n']:,} words, {record['dim']}-d, "
                         f"{record['fingerprint'][:12]}), these are {words.name} ({len(words):,} words, {words.dim}-d, "
                         f"{words.fingerprint[:12]}): bring the words of the training, or train again")
    return words


def source_of(words):
    """What opens these words again in another process, or None."""
    if isinstance(words, (str, Path)):
        return str(words if words in NAMES else Path(words).expanduser().resolve())
    return words.name if words.name in NAMES else None
