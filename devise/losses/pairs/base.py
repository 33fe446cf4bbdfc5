"""The base of losses over pairs of a batch: unit rows compared, positives and negatives told apart."""

from __future__ import annotations

from abc import abstractmethod

import keras
from keras import KerasTensor as Tensor
from keras import ops
from numpy.typing import ArrayLike

from devise.losses.base import Loss
from devise.losses.mining import Miner
from devise.losses.scores import unit

SMALLEST = 1e-12  # squared distances below this count as this: the root of 0 has no slope


class PairLoss(Loss):
    """A loss of who lies near whom within a batch; rows are compared at length 1.

    A batch in which no row has a positive (another row of its class), or none a negative, has
    nothing to compare: it costs 0 with a gradient of 0, and `empty_batches` counts it.

    Args:
        miner: a `devise.losses.mining.Miner` that chooses triplets, for the losses that take one.

    Attributes:
        empty_batches: keras.Variable, how many batches had nothing to compare.

    >>> from devise.losses.pairs import Triplet
    >>> loss = Triplet(margin=0.1)
    >>> float(loss([0, 0, 1, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))
    0.0
    """

    def __init__(self, miner: Miner | None = None):
        if miner is not None and not isinstance(miner, Miner):
            raise ValueError(f"miner is {miner!r}: expected one that devise.losses.mining.make gives")
        self.miner = miner
        self.empty_batches = keras.Variable(0, trainable=False, dtype="int32", name="empty_batches")

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        labels, rows = aligned(labels, embeddings)
        itself = ops.cast(ops.eye(ops.shape(rows)[0]), "bool")
        return self._between(rows, labels, rows, labels, ops.logical_not(itself), count=True)

    def against(self, labels: Tensor, rows: Tensor, other_labels: Tensor, others: Tensor, known: Tensor) -> Tensor:
        """The loss of unit rows (n, d) compared with others (m, d), those that are known; 0 where none can be."""
        n = ops.shape(rows)[0]
        known = ops.broadcast_to(ops.expand_dims(known, 0), (n, ops.shape(others)[0]))
        return self._between(rows, labels, others, other_labels, known, count=False)

    def _between(self, rows, labels, others, other_labels, compared, *, count):
        same = ops.equal(ops.expand_dims(labels, 1), ops.expand_dims(other_labels, 0))
        positive = ops.logical_and(same, compared)
        negative = ops.logical_and(ops.logical_not(same), compared)
        something = ops.logical_and(ops.any(positive), ops.any(negative))
        if count:
            self.empty_batches.assign_add(ops.cast(ops.logical_not(something), "int32"))
        value = self._value(ops.matmul(rows, ops.transpose(others)), positive, negative, rows.shape[1])
        return ops.where(something, value, 0.0)

    def _pairs(self, cosines, positive, negative, dim):
        """Cosines of positives and of negatives, and which of them count: of the mined triplets, or of all pairs."""
        if not self.miner:
            return cosines, cosines, positive, negative
        near, far, counted = self.miner.triplets(cosines, positive, negative, dim)
        return near, far, counted, counted

    @abstractmethod
    def _value(self, cosines, positive, negative, dim):
        """The loss, finite whatever the masks hold; cosines float (n, m), masks bool (n, m)."""


def aligned(labels: ArrayLike, embeddings: ArrayLike | Tensor) -> tuple[Tensor, Tensor]:
    """Labels int32 (n,) and unit rows (n, d), one label a row as far as the shapes tell."""
    embeddings = ops.cast(embeddings, "float32")
    labels = ops.reshape(ops.cast(labels, "int32"), (-1,))  # Keras' compile hands labels over as floats
    if None not in (labels.shape[0], embeddings.shape[0]) and labels.shape[0] != embeddings.shape[0]:
        raise ValueError(f"there are {labels.shape[0]} labels and {embeddings.shape[0]} embeddings: "
                         "expected one label a row")
    return labels, unit(embeddings)


def distances(cosines: Tensor) -> Tensor:
    """Euclidean distances of unit rows, √(2 - 2 cosine), with a finite slope at 0."""
    return ops.sqrt(ops.maximum(2 - 2 * cosines, SMALLEST))


def mean_cost(costs: Tensor, counted: Tensor) -> Tensor:
    """The mean of the costs above 0 among those that count; 0 where there is none.

    What is satisfied does not dilute what is not, as in the sampling study of Wu et al. 2017.
    """
    costs = ops.where(counted, costs, 0.0)
    return ops.sum(costs) / ops.maximum(ops.sum(ops.cast(costs > 0, costs.dtype)), 1.0)
