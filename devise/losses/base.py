"""The base of all losses: `loss(labels, embeddings)`, a scalar."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from keras import KerasTensor as Tensor
    from numpy.typing import ArrayLike


class Loss(ABC):
    """`loss(labels, embeddings)`, a scalar to make small.

    Whatever else it needs (label vectors, a margin, a miner) goes to its constructor. Training
    reads the five attributes below and knows nothing else about a loss; a plain function of labels
    and embeddings serves too, see `as_loss`.

    Attributes:
        name: how reports call it.
        n_labels: labels are in 0..n_labels - 1; None where any label will do.
        dim: the columns that embeddings must have; None where any number will do.
        trainable_variables: what the loss itself learns, such as a classifier's weights; made in
            the constructor, trained and kept with the head's best weights.
        empty_batches: how many batches had nothing to learn from, for a loss that counts them.

    >>> class Squares(Loss):
    ...     name = "squares"
    ...     def __call__(self, labels, embeddings):
    ...         return (embeddings ** 2).mean()
    >>> float(Squares()([0], np.array([[1.0, 3.0]])))
    5.0
    """

    name: str = ""
    n_labels: int | None = None
    dim: int | None = None
    trainable_variables: tuple[Any, ...] = ()
    empty_batches: Any = 0

    @abstractmethod
    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        """The loss of a batch, a scalar: labels int (n,), embeddings (n, d) of any length, as the head makes them."""

    def get_config(self) -> dict:
        """The constructor's arguments, ready for JSON: the attributes of the same names, without objects as a miner."""
        values = {name: vars(self).get(name) for name in inspect.signature(type(self)).parameters}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()
                if value is None or isinstance(value, (bool, int, float, str, np.ndarray))}


class FunctionLoss(Loss):
    """A plain function of labels and embeddings, which learns, counts and remembers nothing."""

    name = "function"

    def __init__(self, function: Callable[[Any, Any], Tensor]):
        self.function = function

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        return self.function(labels, embeddings)


def as_loss(loss: Loss | Callable[[Any, Any], Tensor]) -> Loss:
    """A loss as it is, a plain function as a FunctionLoss.

    >>> as_loss(max).name
    'function'
    """
    return loss if isinstance(loss, Loss) else FunctionLoss(loss)
