"""A model whose network is trained along with its head: a backbone, and features, of its own."""

import copy
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from devise import features, storage
from devise.arrays import read_npz
from devise.datasets import Split, read_image
from devise.model.fitting import hit_at_1, loss_of


def finetune(model, images=None, *, loss="cosine", folder=None, progress=None, **training):
    """A copy of a fitted model with the top of its network trained too, on the pictures.

    The paper's second phase (Frome et al. 2013, section 3.3). Only pictures of the training part
    train; the weights kept are those with the best hit@1 among the seen labels on the validation
    part, the start included. The pictures then go through the new network once.

    Args:
        model: a fitted Devise with an mlp head; it stays as it is.
        images: ImageSet of the pictures it was fitted on; by default they are read where they lay.
        loss: 'cosine', 'hinge', 'infonce', or a `devise.losses.Loss` on the seen labels, in their order.
        folder: where the new features are cached, a new folder; by default one of the network's own.
        progress: called as progress(done, total) in pictures, through training and then extraction.
        training: options of `devise.training.finetune`: layers, learning_rate, epochs …
    Returns:
        a new Devise; its history is that of this training.
    Raises:
        ValueError: if a picture of the training is not among the images or can't be read, the head
            is not of the mlp kind, or an option doesn't fit.
        FileNotFoundError: if the pictures are not on this disk.
    """
    from devise import training as room

    base = model._fitted().backbone
    images = model.table.images if images is None else images
    if images.label_names != model.labels.names:
        raise ValueError("the pictures have other classes than the model: give those of the training")
    if folder and (Path(folder) / "features.json").is_file():
        raise ValueError(f"{folder} holds features already, and those of the new network are others: "
                         "name a new folder")
    parts = Split.from_json(model.split.to_json(model.paths), images.paths)
    # as in fit, only seen labels are there to be pulled to or pushed from
    seen = np.unique(images.labels[np.concatenate([parts.train, parts.validation])])
    vectors = model.labels.vectors[seen]
    shown, held = ((Prepared(images, rows, base), np.searchsorted(seen, images.labels[rows]))
                   for rows in (parts.train, parts.validation))
    validation = validate = None
    if len(parts.validation):
        validation = held
        validate = partial(hit_at_1, labels=held[1], seen=np.arange(len(seen)), vectors=vectors)
    tuned = room.finetune(base.keras_model(), model.head, *shown, loss_of(loss, vectors),
                          validation=validation, validate=validate, seed=model.seed, progress=progress,
                          **training)
    own = base.with_weights(tuned.weights)
    table = features.extract(images, own, folder, progress=progress)
    return _with(model, own, tuned, table)


def save_changes(backbone, path):
    """Write the weights that fine-tuning gave a backbone to one `.npz`."""
    with storage.atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **backbone.changes)


class SavedChanges(NamedTuple):
    """Weights that fine-tuning gave a backbone, in memory, and the file that they were in."""

    path: Path
    weights: dict


def read_changes(path):
    """The SavedChanges that `save_changes` wrote; read with the model, since the file goes when it is saved anew.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist: expected the weights that fine-tuning gave a backbone")
    return SavedChanges(Path(path), read_npz(path))


def with_saved_changes(base, changes, fingerprint):
    """The fine-tuned backbone of a model: its base with SavedChanges.

    Raises:
        ValueError: if they don't fit, or the backbone is not the one of the fingerprint.
    """
    path = changes.path
    try:
        own = base.with_weights(changes.weights)
    except ValueError as error:
        raise ValueError(f"{path} has no fine-tuned weights of {base.name} ({error}): fine-tune again") from error
    if own.fingerprint != fingerprint:
        raise ValueError(f"{path} makes {base.name} {own.fingerprint[:12]}, the model was trained on "
                         f"{fingerprint[:12]}: bring the weights of the training, or fine-tune again")
    return own


class Prepared:
    """The pictures of some rows, decoded when they are asked for."""

    def __init__(self, images, rows, backbone):
        self._images, self._rows, self._backbone = images, rows, backbone

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, position):
        return self._backbone.prepare(read_image(self._images.file(self._rows[position])))


def _with(model, backbone, tuned, table):
    """A model like another, with the backbone, head and features that fine-tuning gave."""
    record, new = model.backbone_record, copy.copy(model)
    new._backbone = backbone
    new.backbone_record = {**features.describe(backbone), "base": record.get("base", record)}
    new._head, new._head_parts, new.history = tuned.head, None, tuned.history
    new.split = Split.from_json(model.split.to_json(model.paths), table.images.paths)
    new.paths, new._table, new.data_record = table.images.paths, table, table.source
    return new
