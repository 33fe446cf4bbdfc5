"""Models: head, labels, words, backbone, and the features they were made with."""

from pathlib import Path

import numpy as np

from devise import backbones, features
from devise.backbones.offline import weights_of
from devise.checks.base import AGAIN, DAMAGE, whole
from devise.model.spaces import open_model
from devise.words import NAMES, label_vectors
from devise.words.readers import at_hand

ALIKE = 1e-4  # how far a label vector may be from the one that the words give: float32, summed in another order


def check_model(found, folder, progress, *, within=False):
    """The facts and problems of a Devise or a Siamese.

    Args:
        within: whether it lies in an index, where the features of its training may be elsewhere.
    """
    if not whole(found, folder, found.kind, progress):
        return
    try:
        model = open_model(folder)
        heads = getattr(model, "heads", None) or (model.head,)  # read, and refused where they hold NaN or don't fit
    except DAMAGE as error:
        found.problem(str(error), AGAIN[found.kind])
        return
    found.opened, record = model, model.backbone_record
    found.facts = {"head": ", ".join(f"{head.kind} {head.input_dim} → {head.dim}" for head in heads),
                   "backbone": record["name"]}
    for head in heads:
        if record.get("dim") not in (None, head.input_dim):
            found.problem(f"its head takes {head.input_dim} features, its backbone {record['name']} gives "
                          f"{record['dim']}", AGAIN[found.kind])
    if found.kind == "captions":
        _check_split(found, [np.array(paths) for paths in model.parts.values()])
    elif found.kind == "siamese":
        found.facts["classes"] = len(model.label_names)
        _check_split(found, [model.split.train, model.split.validation, model.split.test])
    else:
        _check_split(found, [model.split.train, model.split.validation, model.split.test, model.split.unseen_rows])
        _check_words(found, model)
    _check_backbone(found, record)
    _check_training(found, model, within)


def _check_split(found, parts):
    rows = np.concatenate(parts)
    twice = len(rows) - len(np.unique(rows))
    if twice:
        found.problem(f"{twice:,} pictures are in two parts of its split, so its figures can't be trusted",
                      AGAIN[found.kind])


def _check_words(found, model):
    """Whether the words of the training are at hand, are those, and still give the labels their vectors."""
    record, labels = model.words_record, model.labels
    found.facts |= {"labels": len(labels), "unseen": len(model.split.unseen), "words": record["name"]}
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
        given = label_vectors(labels.names, words, synonyms=model.synonyms)
    except DAMAGE as error:
        found.problem(str(error), "bring the words of the training, or train again")
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
    if name not in backbones.names():
        found.notes.append(f"the backbone {name} is not one that devise knows by name: give it to the model yourself")
    elif weights == "imagenet" and weights_of(name).place is None:
        found.problem(f"the weights of its backbone {name} are not on this machine, so no new picture can be embedded",
                      weights_of(name).bring)
    elif weights not in ("imagenet", "preset") and not weights.startswith("random") and not Path(weights).exists():
        found.problem(f"the weights of its backbone {name} are gone: {weights}", "bring them back")


def _check_training(found, model, within):
    """Whether the features it was trained on are there and its own, which an evaluation needs."""
    if within:
        return
    if model.data_record is None:
        found.notes.append("the features of its training are not on disk: give evaluate a feature table")
        return
    try:
        table = features.load(model.data_record)
    except DAMAGE as error:
        found.problem(f"the features of its training can't be opened: {error}",
                      "devise extract the same pictures to that folder; searching and tagging work without")
        return
    fit_features(found, model, table)


def fit_features(found, model, table):
    """Whether a table is of the model's backbone, has its classes and the pictures of its split."""
    place = table.source or "the features"
    try:
        model.check_features(table)
    except ValueError as error:
        found.problem(str(error), "devise extract with that backbone, or train again", place)
        return
    if found.kind != "captions":  # which knows no classes
        names = model.labels.names if found.kind == "model" else model.label_names
        if tuple(names) != tuple(table.images.label_names):
            found.problem("the features have other classes than the model", "give those of the training", place)
    used = [path for paths in model.parts.values() for path in paths] if found.kind == "captions" else model.paths
    gone = set(used) - set(table.images.paths)
    if gone:
        found.problem(f"{len(gone):,} pictures of the model's split are not among the features: {min(gone)}",
                      "extract the same pictures again, or train again", place)
