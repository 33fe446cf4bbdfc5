"""The folder of a CaptionModel: its manifest, two heads and the map of its sentences."""

from functools import partial

import numpy as np

from devise import storage
from devise.datasets import Skipped
from devise.model.caption_training import Joint
from devise.model.saving import fitting, lost, versions
from devise.words import open_words
from devise.words.sentences import CaptionVectors, Tfidf


def save(model, folder, *, overwrite=False):
    """Write a fitted model to a folder, whole or not at all."""
    document = {"versions": versions(), "backbone": model.backbone_record, "words": model.words_record,
                "data": model.data_record, "seed": model.seed, "loss": model.loss,
                "parts": {part: list(paths) for part, paths in model.parts.items()},
                "history": {name: found.to_json() for name, found in model.history.items()},
                "skipped": [list(item) for item in model.skipped]}
    with storage.Commit(folder, "captions", document, lost=partial(lost, document), overwrite=overwrite) as commit:
        storage.write_json(commit.file("texts.json"), {"terms": model.terms.to_json(), "texts": model.texts.to_json()})
        model.visual.save(commit.file("visual.npz"))
        model.joint.head.save(commit.file("joint.npz"))
        with open(commit.file("text.npy"), "wb") as file:
            np.save(file, model.joint.kernel, allow_pickle=False)


def load(kind, folder, *, words=None):
    """A model of the class `kind` from a folder that `save` wrote; see `CaptionModel.load`."""
    from devise.heads import load_head
    from devise.training import History

    document, files = storage.open_artefact(folder, "captions")
    record = document["words"]
    if words is None and record["source"] is None:
        raise ValueError(f"the model was trained on word vectors in memory ({record['name']}): give them to "
                         "CaptionModel.load(folder, words=…)")
    words = fitting(open_words(record["source"] if words is None else words), record)
    model = kind(words, seed=document["seed"])
    model.words_record, model.backbone_record = record, document["backbone"]
    model.data_record, model.loss = document["data"], document["loss"]
    model.skipped = tuple(Skipped(*item) for item in document["skipped"])
    model.parts = {part: tuple(paths) for part, paths in document["parts"].items()}
    model.history = {name: History.from_json(found) for name, found in document["history"].items()}
    told = storage.read_json(files["texts.json"])
    model.terms = Tfidf.from_json(told["terms"])
    model.texts = CaptionVectors.from_json(told["texts"], words)
    model.visual = load_head(files["visual.npz"])
    model.joint = Joint(load_head(files["joint.npz"]), _kernel(files["text.npy"]), model.history["joint"])
    return model


def _kernel(path):
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path} is damaged ({error}): train again") from error
