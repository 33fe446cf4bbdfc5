"""Models: head, labels, words, backbone, and the features they were made with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from devise import backbones
from devise.backbones.registry import plain_name, weights_of
from devise.checks.base import AGAIN, DAMAGE, Checked, opens, whole
from devise.datasets import PARTS
from devise.model import Devise
from devise.words import NAMES, label_vectors
from devise.words.readers import at_hand

ALIKE = 1e-4  # how far a label vector may be from the one that the words give: float32, summed in another order


def check_model(found: Checked, folder: Path, progress: Callable, *, within: bool = False) -> None:
    """The facts and problems of a model; `within` an index the features of its training may be elsewhere."""
    if not (whole(found, folder, progress) and opens(found, folder, _load)):
        return
    model = found.opened
    record = model.network.record
    found.facts = {"spaces": ", ".join(f"{name} ({space.head.kind} {space.head.input_dim} → {space.dim})"
                                       for name, space in model.own_spaces.items()), "backbone": record["name"]}
    if model.label_names:
        found.facts["classes"] = len(model.label_names)
    if model.words_record:
        _check_words(found, model)
    _check_backbone(found, record)
    _check_training(found, model, within)


def _load(folder):
    model = Devise.load(folder)
    for space in model.own_spaces.values():
        space.head.weights()  # read, and refused where they hold NaN or don't fit
    return model


def _check_words(found, model):
    """Whether the words of the training are at hand, are those, and still give the labels their vectors."""
    record, labels = model.words_record, model.labels
    found.facts["words"] = record["name"]
    if labels:
        found.facts["unseen"] = len(model.split.unseen)
    source = record["source"]
    if source is None:
        found.notes.append(f"its words ({record['name']}) were in memory: give them to Devise.load(folder, words=…)")
        return
    if not (at_hand(source) if source in NAMES else Path(source).exists()):
        bring = f"devise fetch glove-6b --dim {record['dim']}" if source in NAMES else f"bring {source} back"
        found.problem(f"its word vectors {source} are not on this machine", bring)
        return
    try:
        words = model.words
        given = labels and label_vectors(labels.names, words, synonyms=model.record.get("synonyms"))
    except DAMAGE as error:
        found.problem(str(error), "bring the words of the training, or train again")
        return
    if not labels:
        return
    apart = [name for name, mine, theirs in zip(labels.names, labels.vectors, given.vectors, strict=True)
             if np.abs(mine - theirs).max() > ALIKE]
    if apart:
        found.problem(f"{len(apart)} labels have another vector than the words give: {', '.join(apart[:3])}",
                      AGAIN["model"])


def _check_backbone(found, record):
    """Whether new pictures could be embedded: the trained weights are on this machine."""
    base = record.get("base", record)
    name, weights = base["name"], str(base["weights"])
    if plain_name(name) not in backbones.names():
        found.notes.append(f"the backbone {name} is not one that devise knows by name: give it to the model yourself")
    elif weights == "imagenet" and weights_of(name).place is None:
        found.problem(f"the weights of its backbone {name} are not on this machine, so no new picture can be embedded",
                      weights_of(name).bring)
    elif weights not in ("imagenet", "preset") and not weights.startswith("random") and not Path(weights).exists():
        found.problem(f"the weights of its backbone {name} are gone: {weights}", "bring them back")


def _check_training(found, model, within):
    """Whether the features it was trained on are there and its own, which an evaluation needs."""
    if within or model.data is None and model.split is None:
        return
    if model.data is None:
        found.notes.append("the features of its training are not on disk: give evaluate a feature table")
        return
    try:
        table = model.table
    except DAMAGE as error:
        found.problem(f"the features of its training can't be opened: {error}",
                      "devise extract the same pictures to that folder; searching and tagging work without")
        return
    fit_features(found, model, table)


def fit_features(found, model, table):
    """Whether a table is of the model's backbone, has its classes and the pictures of its split."""
    place = table.source or "the features"
    try:
        model.network.check(table)
    except ValueError as error:
        found.problem(str(error), "devise extract with that backbone, or train again", place)
        return
    if model.label_names and model.label_names != tuple(table.images.label_names):
        found.problem("the features have other classes than the model", "give those of the training", place)
    used = [model.paths[row] for part in PARTS for row in model.split.rows(part)] if model.split else []
    gone = set(used) - set(table.images.paths)
    if gone:
        found.problem(f"{len(gone):,} pictures of the model's split are not among the features: {min(gone)}",
                      "extract the same pictures again, or train again", place)
