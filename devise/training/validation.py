"""What a training is given, checked, and its loss and scores on validation rows after an epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from devise import arrays
from devise.errors import above
from devise.heads import Head
from devise.heads.base import check_classes, check_labels
from devise.losses.base import FunctionLoss, Loss
from devise.training.batches import ClassRows
from devise.training.loop import OPTIMISERS, UNNAMED, restore, summed, values_of


def check(head: Head, rows: Any, labels: ArrayLike, loss: Loss, validation: tuple | None,
          look: Callable[[Any, str], None], *, optimiser: str, learning_rate: float, epochs: int,
          validate: object, patience: int | None = None, what: str = "rows") -> tuple[NDArray[np.int64], tuple | None]:
    """Labels as int64 and the validation pair or None, once all that a training is given fits.

    `look` is called with the rows, and a name for messages, to refuse those that don't fit head or network.
    """
    if not head.trains:
        raise head.no_gradient()
    if loss.dim not in (None, head.dim):
        raise ValueError(f"embeddings have {head.dim} columns but the loss expects {loss.dim}: "
                         f"make a head with dim={loss.dim}, or a loss on vectors of dim {head.dim}")
    labels = check_labels(labels, len(rows), n_labels=loss.n_labels)
    check_classes(labels)
    look(rows, "features")
    if validation is not None:
        held, expected = validation
        validation = held, check_labels(expected, len(held), n_labels=loss.n_labels, name="validation labels")
        if not len(held):
            raise ValueError(f"validation has no {what}: give some, or None")
        look(held, "validation features")
    if optimiser not in OPTIMISERS:
        raise ValueError(f"optimiser is {optimiser!r}: expected one of {', '.join(OPTIMISERS)}")
    above(learning_rate=learning_rate)
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}: expected 1 or more")
    if validate is not None and validation is None:
        raise ValueError("validate has no rows to score: give validation=(features, labels) too")
    if patience is not None and validate is None:
        raise ValueError("patience needs a score to wait for: give validate too")
    if patience is not None and patience < 1:
        raise ValueError(f"patience is {patience}: expected 1 epoch or more")
    return labels, validation


def touched(loss: Loss, dim: int | None) -> list[Any]:
    """The variables that a loss reads or writes: what it learns, counts or remembers.

    A plain function has none. Of any other the graph is made, which runs nothing and so changes none.
    """
    if isinstance(loss, FunctionLoss):
        return []
    specs = [tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None, dim), tf.float32)]
    function = tf.function(lambda labels, embeddings: loss(labels, embeddings), input_signature=specs, autograph=False)
    return list(function.get_concrete_function().graph.variables)


class Verdict(NamedTuple):
    """The loss on the validation rows, and the scores by name, the one that decides first."""

    loss: float
    scores: dict[str, float]

    @property
    def score(self) -> float | None:
        """The score that decides, or None."""
        return next(iter(self.scores.values()), None)


class Validation:
    """The loss and `validate` on validation rows, from the weights as they are at a call.

    Args:
        outputs: a function to the embeddings float32 (m, dim) of the validation rows, of any length.
        labels: int (m,), theirs.
        loss: of (labels, embeddings).
        state: the variables it touches; they are the same after a verdict as before.
        validate: of the unit rows, to a number or {name: number} whose first decides; or None.
        classes, per_class: where classes is given the loss is taken of batches of classes like those of the training,
            else of all rows at once.
        seed: of these batches, which are drawn once, so that epochs compare.
    Attributes:
        decides: whether there is a score.
    Raises:
        ValueError: if `classes` is given and fewer than two classes have two rows.
    """

    def __init__(self, outputs: Callable[[], NDArray], labels: NDArray, loss: Loss, state: Sequence[Any],
                 validate: Callable | None, *, classes: int | None, per_class: int, seed: int):
        self._outputs, self._loss, self._validate, self._state = outputs, _summed(loss), validate, state
        self.decides = validate is not None
        order, ends = np.arange(len(labels)), np.array([0, len(labels)])
        if classes is not None:
            paired = int((np.unique(labels, return_counts=True)[1] > 1).sum())
            if paired < 2:
                raise ValueError(f"of the validation classes {paired} have two or more rows: batches of classes need "
                                 "two")
            order, ends = ClassRows(labels, min(classes, paired), per_class).draw(np.random.default_rng(seed))
        self._labels, self._order, self._ends = (tf.constant(part, tf.int32) for part in (labels, order, ends))

    def __call__(self, epoch: int) -> Verdict:
        """The verdict after an epoch; the loss remembers nothing of it."""
        outputs, before = self._outputs(), values_of(self._state)
        total = float(self._loss(self._labels, tf.constant(outputs, tf.float32), self._order, self._ends))
        restore(self._state, before)  # a memory must not hold validation rows
        return Verdict(total / len(self._order), self._scores(outputs, epoch))

    def _scores(self, outputs, epoch):
        if self._validate is None:
            return {}
        found = self._validate(arrays.unit_rows(outputs, "validation embeddings"))
        named = found if isinstance(found, dict) else {UNNAMED: found}
        scores = {name: float(score) for name, score in named.items()}
        if not scores or not np.isfinite(list(scores.values())).all():
            raise ValueError(f"validate returned {found} after epoch {epoch}: expected a finite score, or some "
                             "by name")
        return scores


def _summed(loss):
    """A graph of (labels, outputs, order, ends): the loss of each batch times its rows, summed."""
    @tf.function(autograph=False)
    def total(labels, outputs, order, ends):
        return summed(lambda rows: loss(tf.gather(labels, rows), tf.gather(outputs, rows)), order, ends)

    return total
