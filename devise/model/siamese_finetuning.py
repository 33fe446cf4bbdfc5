"""A siamese network end to end: the backbone trained along with the head, on pictures that may be changed ever more."""

import copy
from dataclasses import replace
from pathlib import Path

from devise import features
from devise.datasets import Split
from devise.datasets.augmentation import Augmentation
from devise.model.finetuning import Prepared
from devise.model.siamese_fitting import (
    batch_classes,
    checked,
    knows_classes,
    loss_record,
    own_numbers,
    pair_loss,
    scores,
    validation_labels,
)

PER_CLASS = 4
EPOCHS = 3


def finetune(model, images=None, *, loss=None, miner=None, loss_options=None, classes=None, per_class=PER_CLASS,
             augment=0.0, augmentation=None, epochs=EPOCHS, folder=None, progress=None, **training):
    """A copy of a fitted Siamese with the top of its network trained too, on the pictures.

    Batches of classes go through one network with one set of weights, as both branches of a siamese
    network have it (Bromley et al. 1993). Only pictures of the training classes train; the weights
    kept are those with the best MAP@R on the validation classes, the start included. The pictures
    then go through the new network once, and the thresholds are chosen anew.

    Args:
        model: a fitted Siamese with an mlp or projection head; it stays as it is.
        images: ImageSet of the pictures it was fitted on; by default they are read where they lay.
        loss, miner, loss_options: as in `Siamese.fit`; by default the model's own.
        classes, per_class: of a batch.
        augment: how strong the changes of the pictures are in the last epoch, 0 to 1; they grow from
            none in the first (a curriculum: Bengio et al. 2009), cut-outs among them.
        augmentation: an Augmentation with other limits than the usual ones.
        folder: where the new features are cached, a new folder; by default one of the network's own.
        progress: called as progress(done, total) in pictures, through training and then extraction.
        training: options of `devise.training.finetune`: layers, learning_rate …
    Returns:
        a new Siamese; its history is that of this training.
    Raises:
        ValueError: if a picture of the training is not among the images or can't be read, or an
            option doesn't fit.
        FileNotFoundError: if the pictures are not on this disk.
    """
    from devise import training as room

    if not 0 <= augment <= 1:
        raise ValueError(f"augment is {augment}: expected a strength from 0, no change, to 1")
    images = model.table.images if images is None else images
    if images.label_names != model.label_names:
        raise ValueError("the pictures have other classes than the model: give those of the training")
    if folder and (Path(folder) / "features.json").is_file():
        raise ValueError(f"{folder} holds features already, and those of the new network are others: "
                         "name a new folder")
    base = model.backbone
    parts = checked(Split.from_json(model.split.to_json(model.paths), images.paths))
    mine, theirs = own_numbers(images.labels[parts.train]), own_numbers(images.labels[parts.validation])
    if loss is None:
        loss, miner, loss_options = _own_loss(model.loss)
    chosen = pair_loss(loss, miner, loss_options, n_labels=mine.max() + 1)(model.head.dim)
    growing = _Growing(augmentation or Augmentation(), room.Schedule(0.0, augment, epochs=epochs))
    tuned = room.finetune(
        base.keras_model(), model.head, Prepared(images, parts.train, base), mine, chosen,
        classes=batch_classes(classes, images.labels[parts.train]), per_class=per_class, epochs=epochs,
        augment=growing if augment else None, before_epoch=growing.before_epoch,
        validation=(Prepared(images, parts.validation, base), validation_labels(chosen, theirs, mine.max() + 1)),
        validate=lambda rows: scores(rows, theirs), seed=model.seed, progress=progress, **training)
    own = base.with_weights(tuned.weights)
    new = _with(model, own, tuned, features.extract(images, own, folder, progress=progress))
    new.loss = loss_record(chosen) | {"augment": augment}
    new.history = replace(tuned.history, validation_loss=()) if knows_classes(chosen) else tuned.history
    new.choose_threshold(model.far)
    return new


class _Growing:
    """An augmentation whose strength an epoch sets before its pictures are shown."""

    def __init__(self, augmentation, schedule):
        self._augmentation, self._schedule, self._strength = augmentation, schedule, 0.0

    def before_epoch(self, epoch):
        self._strength = self._schedule(epoch)

    def __call__(self, picture, random):
        return self._augmentation(picture, random, self._strength)


def _own_loss(record):
    """(name, miner, options) of a model's record, as `pair_loss` takes them."""
    from devise.losses import pairs

    if record["name"] not in pairs.NAMES:
        raise ValueError(f"the model was trained with the loss {record['name']!r}, which has no name to be made "
                         f"again by: say which loss, one of {', '.join(pairs.NAMES)}")
    left = ("name", "miner", "augment", "n_labels", "dim", "soft")
    return record["name"], record["miner"], {name: value for name, value in record.items() if name not in left}


def _with(model, backbone, tuned, table):
    """A model like another, with the backbone, head and features that fine-tuning gave."""
    record, new = model.backbone_record, copy.copy(model)
    new._backbone, new._changes = backbone, None
    new.backbone_record = {**features.describe(backbone), "base": record.get("base", record)}
    new.head = tuned.head
    new.split = Split.from_json(model.split.to_json(model.paths), table.images.paths)
    new.paths, new._table, new.data_record = table.images.paths, table, table.source
    return new
