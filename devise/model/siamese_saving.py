"""The folder of a Siamese: its manifest and the head's weights."""

import math
from functools import partial

from devise import storage
from devise.datasets import PARTS, Split
from devise.evaluation import ThresholdInterval
from devise.model.finetuning import read_changes, save_changes
from devise.model.saving import lost, versions


def save(model, folder, *, overwrite=False):
    """Write a fitted model to a folder, whole or not at all."""
    document = {"versions": versions(), "backbone": model.backbone_record, "head": model.head.config,
                "split": model.split.to_json(model.paths), "label_names": list(model.label_names), "seed": model.seed,
                "data": model.data_record, "loss": model.loss, "history": model.history.to_json(), "far": model.far,
                # all may be accepted, which JSON has no number for
                "thresholds": {space: None if math.isinf(value) else value
                               for space, value in model.thresholds.items()},
                "trust": {space: _json(trust) for space, trust in model.trust.items()}}
    with storage.Commit(folder, "siamese", document, lost=partial(lost, document), overwrite=overwrite) as commit:
        model.head.save(commit.file("head.npz"))
        if "base" in model.backbone_record:
            save_changes(model.backbone, commit.file("backbone.npz"))


def load(kind, folder):
    """A model of the class `kind` from a folder that `save` wrote; see `Siamese.load`."""
    return storage.read_artefact(folder, "siamese", partial(_read, kind), check=["head.npz", "backbone.npz"])


def _read(kind, document, files):
    from devise.heads import load_head
    from devise.training import History

    model = kind(seed=document["seed"])
    model.backbone_record, model.data_record = document["backbone"], document["data"]
    model.head = load_head(files["head.npz"])
    model.paths = tuple(path for part in PARTS for path in document["split"]["paths"][part])
    model.split = Split.from_json(document["split"], model.paths)
    model.label_names, model.loss = tuple(document["label_names"]), document["loss"]
    model.history, model.far = History.from_json(document["history"]), document["far"]
    model.thresholds = {space: -math.inf if value is None else value
                        for space, value in document["thresholds"].items()}
    model.trust = {space: _trust(values) for space, values in document.get("trust", {}).items()}
    model._changes = read_changes(files["backbone.npz"]) if "backbone.npz" in files else None
    return model


def _json(trust):
    """A ThresholdInterval for JSON, NaN and infinity as text."""
    return {name: value if math.isfinite(value) else str(value) for name, value in trust._asdict().items()}


def _trust(values):
    return ThresholdInterval(**{name: float(value) if isinstance(value, str) else value
                                for name, value in values.items()})
