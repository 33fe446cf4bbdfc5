"""Fine-tuning: the top of a model's network trained along with the head of a space, on images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from devise import features
from devise.datasets import Split, open_images
from devise.datasets.augmentation import Augmentation
from devise.heads import RawHead
from devise.model.objective import Objective
from devise.model.space import LEARNT, RAW, SHARED, SentenceText, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.backbones.base import Backbone
    from devise.datasets import ImageSet
    from devise.model.devise import Devise

EPOCHS = 3


def finetune(model: Devise, images: Any = None, *, loss: Any = None, augment: float = 0.0, augmentation: Any = None,
             epochs: int = EPOCHS, folder: str | Path | None = None, progress: Callable | None = None,
             **options: Any) -> Devise:
    """A copy of a trained model with the top of its network trained too, on the images.

    The paper's second phase (Frome et al. 2013, section 3.3); over pairs the training of a siamese
    network, one set of weights seeing both images (Bromley et al. 1993). Only images of the training
    part train; the weights kept are those that serve the validation part best, the start included.
    The images then go through the new network once; what else was learnt on the old features is
    learnt again on the new ones, and thresholds are chosen anew.

    Args:
        model: it stays as it is.
        images: those it was trained on (with their captions, where it learnt from them); by default they are
            read where they lay.
        loss: as the training takes it; by default "cosine" for labels, the model's own for classes.
        augment: how strong the changes of the images are in the last epoch, 0 to 1; they grow from
            none in the first (a curriculum: Bengio et al. 2009), cut-outs among them.
        augmentation: an Augmentation with other limits than the usual ones.
        folder: where the new features are cached, a new folder; by default one of the network's own.
        progress: called as progress(done, total) in images, through training and then extraction.
        options: further ones of `devise.training.finetune`: layers, learning_rate …; for classes also miner,
            loss_options, classes and per_class.
    Returns:
        a new Devise; its history is that of this training.
    Raises:
        ValueError: if the model was not trained, its head is no network, an image of the training is not among
            the images or can't be read, or an option doesn't fit.
        FileNotFoundError: if the images are not on this disk.
    """
    if model.split is None:
        raise ValueError(f"this model ({', '.join(model.spaces)}) was trained on no images, so that there is nothing "
                         "to fine-tune on: train one, devise.train_labels, train_classes or train_captions")
    if not 0 <= augment <= 1:
        raise ValueError(f"augment is {augment}: expected a strength from 0, no change, to 1")
    if folder and (Path(folder) / "features.json").is_file():
        raise ValueError(f"{folder} holds features already, and those of the new network are others: "
                         "name a new folder")
    images = model.table.images if images is None else open_images(images)
    if model.label_names and images.label_names != model.label_names:
        raise ValueError("the pictures have other classes than the model: give those of the training")
    parts, base = model.split.to_json(model.paths), model.backbone
    split = Split.from_json(parts, images.paths)
    name, goal, again = _task(model, images, split, loss, options)
    if augment:
        options |= _growing(augmentation or Augmentation(), augment, epochs)
    tuned = goal.finetune(base.keras_model(), model.spaces[name].head, PreparedImages(images, split.train, base),
                          PreparedImages(images, split.validation, base), epochs=epochs,
                          seed=model.record.get("seed", 0), progress=progress, **options)
    network = model.network.changed(base.with_weights(tuned.weights))
    table = features.extract(images, network.backbone, folder, progress=progress)
    split = Split.from_json(parts, table.images.paths)
    own = {RAW: Space(RawHead(network.backbone.dim)), name: Space(tuned.head)}
    new = type(model)(network, model._words, {found: own[found] for found in model.own_spaces if found in own},
                 labels=model.labels, label_names=model.label_names, split=split, paths=table.images.paths,
                 table=table, record=model.record | {"augment": augment}, history={name: tuned.history})
    return again(new, goal)


class PreparedImages:
    """The images of some rows at the network's size, read when they are asked for."""

    def __init__(self, images: ImageSet, rows: NDArray[np.int64], backbone: Backbone):
        self._images, self._rows, self._backbone = images, rows, backbone

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        return self._backbone.prepare(self._images.read(self._rows[position]))


def _task(model: Devise, images: ImageSet, split: Split, loss: Any, options: dict
          ) -> tuple[str, Objective, Callable]:
    """(space, objective, what makes the new model whole) of what the model was trained on."""
    if split.disjoint:
        return LEARNT, *_by_classes(model, images, split, loss, options)
    if model.labels is not None:
        from devise.model import labels

        text = model.spaces[SHARED].text
        goal = labels.objective(images.labels, model.labels.vectors, split, loss or "cosine")
        return SHARED, goal, lambda new, goal: new.with_space(SHARED, Space(new.spaces[SHARED].head, text))
    return SHARED, *_by_captions(model, images, split, loss)


def _by_classes(model, images, split, loss, options):
    from devise.model import classes

    how = {name: options.pop(name, None) for name in ("miner", "loss_options")}
    if loss is None:
        loss, how = _own_loss(model.record["loss"])
    batches = {name: options.pop(name) for name in ("classes", "per_class") if name in options}
    head = model.spaces[LEARNT].head
    goal = classes.objective(images.labels, split, loss, **how, dim=head.dim, **batches)

    def whole(new, goal):
        new.record["loss"] = classes.loss_record(goal.loss)
        rows = new.table.matrix[new.split.validation]
        labels = new.table.images.labels[new.split.validation]
        for name in (LEARNT, RAW):
            asked = model.spaces[name].calibration["asked"]
            new = new.with_space(name, new.spaces[name].calibrated(rows, labels, asked, model.record.get("seed", 0)))
        return new

    return goal, whole


def _by_captions(model, images, split, loss):
    from devise.model import captions
    from devise.model.caption_data import caption_data, sentences_of

    if images.captions is None:
        raise ValueError("the captions are not kept with the features: give finetune the pictures with their captions, "
                         "see devise.datasets.with_captions")
    if loss is not None:
        raise ValueError("a model of captions is fine-tuned by the loss of its training: leave loss out")
    table = model.features(model.table)
    data, _, _ = caption_data(captions.captioned(table, images), split, model.words)
    text = model.spaces[SHARED].text
    told, held = (sentences_of(text.sentences, said) for said in (data.captions, data.held_captions))
    goal = captions.joint_objective(data, told, held, text.kernel, model.record.get("seed", 0))

    def whole(new, goal):
        fresh, _, _ = caption_data(captions.captioned(new.table, images), new.split, model.words)
        learnt, history = captions.train_visual(fresh, loss=model.record["loss"], seed=model.record.get("seed", 0))
        shared = Space(new.spaces[SHARED].head, SentenceText(text.words, text.sentences, np.asarray(goal.loss.kernel)))
        new.history[LEARNT] = history
        return new.with_space(SHARED, shared).with_space(LEARNT, Space(learnt), first=True)

    return goal, whole


def _own_loss(record: dict) -> tuple[str, dict]:
    """The loss of a model's record, as `classes.objective` takes it."""
    from devise.losses import pairs

    if record["name"] not in pairs.NAMES:
        raise ValueError(f"the model was trained with the loss {record['name']!r}, which has no name to be made "
                         f"again by: say which loss, one of {', '.join(pairs.NAMES)}")
    left = ("name", "miner", "n_labels", "dim", "soft")
    return record["name"], {"miner": record["miner"],
                            "loss_options": {name: value for name, value in record.items() if name not in left}}


def _growing(change: Augmentation, augment: float, epochs: int) -> dict:
    """The options of a training whose images are changed the more the later the epoch."""
    from devise.training import Schedule

    schedule, strength = Schedule(0.0, augment, epochs=epochs), 0.0

    def before_epoch(epoch: int) -> None:
        nonlocal strength
        strength = schedule(epoch)

    return {"augment": lambda image, random: change(image, random, strength), "before_epoch": before_epoch}
