"""What a head is trained for: the labels of the images, a loss, and what chooses the best epoch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from devise.datasets import open_images
from devise.features import FeatureTable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from devise.datasets import ImageSet
    from devise.heads import Head
    from devise.training import History


@dataclass(frozen=True, eq=False)
class Objective:
    """A loss over the images of a split, and how its epochs are judged; for features and for pixels alike.

    Attributes:
        labels, held: int of the training and of the validation images, as the loss wants them.
        loss: a `devise.losses.Loss`, or a function of (labels, embeddings).
        validate: a function from the embeddings of the validation images to a score or {name: score}; None
            keeps the last epoch.
        classes, per_class: of a batch, where the loss is over pairs; None for batches of all rows.
        before_epoch: called with each epoch, from 1.
        own_classes: whether the loss holds something for each training class, so that its value on the
            validation images means nothing.
    """

    labels: NDArray[np.int64]
    held: NDArray[np.int64]
    loss: Any
    validate: Callable | None
    classes: int | None = None
    per_class: int = 4
    before_epoch: Callable | None = None
    own_classes: bool = False

    def train(self, head: Head, features: Any, held: NDArray, **options: Any) -> History:
        """Train a head on features; options go to `devise.training.train`."""
        from devise.training import train

        return self._cleared(train(head, features, self.labels, self.loss, **self._judged(held) | options))

    def finetune(self, network: Any, head: Head, images: Any, held: Any, **options: Any) -> Any:
        """Train a head and the top of a network on images; options go to `devise.training.finetune`."""
        from devise.training import finetune

        tuned = finetune(network, head, images, self.labels, self.loss, **self._judged(held) | options)
        return tuned._replace(history=self._cleared(tuned.history))

    def _judged(self, held: Any) -> dict:
        """The arguments of a training that judge its epochs and make its batches."""
        judged = {"validation": (held, self.held), "validate": self.validate} if len(self.held) else {}
        return {"classes": self.classes, "per_class": self.per_class, "before_epoch": self.before_epoch, **judged}

    def _cleared(self, history: History) -> History:
        return replace(history, validation_loss=()) if self.own_classes else history


def labelled(images: Any) -> tuple[ImageSet, FeatureTable | None]:
    """The images of a training that needs classes, and their features where these were given.

    Raises:
        ValueError: if they have no labels.
    """
    table = images if isinstance(images, FeatureTable) else None
    found = table.images if table is not None else open_images(images)
    for note in found.notes if found is not images else ():
        warnings.warn(note, stacklevel=3)
    if not found.label_names:
        raise ValueError("the pictures have no labels: expected a folder a class (root/elephant/*.jpg), or a label "
                         "file")
    return found, table


def without(table: FeatureTable, left_out: Collection[str]) -> FeatureTable:
    """A feature table whose images of some classes, which a training left out, have none."""
    names = table.images.label_names
    kept = [name for name in names if name not in left_out]
    return table if len(kept) == len(names) else replace(table, images=table.images.with_classes(kept))
