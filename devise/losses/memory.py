"""A memory of the embeddings of earlier batches for pair losses (cross-batch memory)."""

from __future__ import annotations

import keras
from keras import KerasTensor as Tensor
from keras import ops
from numpy.typing import ArrayLike

from devise.losses.base import Loss
from devise.losses.pairs.base import PairLoss, aligned
from devise.losses.pairs.rows import Triplet


class CrossBatchMemory(Loss):
    """A pair loss within the batch, and between the batch and the rows of earlier batches (Wang et al. 2020).

    loss = loss(batch, batch) + loss(batch, memory). Embeddings drift slowly once training has
    settled (the paper's section 3.2), so those of earlier batches still serve; the memory counts
    only after `warm_up` batches, which fill it. No gradient goes into the memory, and a full one
    drops the oldest rows.

    Args:
        loss: a PairLoss; against a memory its miner must be one whose triplets grow with the pairs.
        size: rows of the memory, at least those of a batch.
        dim: columns of the embeddings.
        warm_up: batches before the memory counts.
    Raises:
        ValueError: if the loss can't be compared with a memory.

    >>> from devise.losses.pairs import Contrastive
    >>> loss = CrossBatchMemory(Contrastive(), size=4, dim=2)
    >>> float(loss([0, 1], [[1.0, 0.0], [-1.0, 0.0]])), int(loss.filled)
    (0.0, 2)
    """

    def __init__(self, loss: PairLoss, *, size: int, dim: int, warm_up: int = 0):
        if not isinstance(loss, PairLoss):
            raise ValueError(f"the loss {getattr(loss, 'name', loss)} has no form against a memory: expected "
                             "contrastive, triplet, margin, n-pair or multi-similarity")
        if not (loss.miner.quadratic if loss.miner else not isinstance(loss, Triplet)):
            mined = loss.miner.name if loss.miner else "all"
            raise ValueError(f"the {loss.name} loss with the triplets {mined!r} against a memory of {size} rows would "
                             f"have {size}² an anchor: expected the miner hard-negative, hard-positive or hard")
        if size < 1 or warm_up < 0:
            raise ValueError(f"size is {size} and warm_up {warm_up}: expected 1 or more rows and 0 or more batches")
        self.loss, self.size, self.dim, self.warm_up = loss, int(size), int(dim), int(warm_up)
        self.name = f"{loss.name} with memory"
        self.trainable_variables = loss.trainable_variables
        self.empty_batches, self.miner = loss.empty_batches, loss.miner
        self._rows = keras.Variable(keras.ops.zeros((self.size, self.dim)), trainable=False, name="memory")
        self._labels = keras.Variable(keras.ops.zeros((self.size,), "int32"), trainable=False, dtype="int32",
                                      name="memory_labels")
        self._seen, self._batches = (keras.Variable(0, trainable=False, dtype="int32", name=name)
                                     for name in ("seen", "batches"))

    @property
    def filled(self) -> Tensor:
        """How many rows of the memory hold an embedding."""
        return ops.minimum(self._seen.value, self.size)

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        labels, rows = aligned(labels, embeddings)
        value = self.loss(labels, embeddings)
        known = ops.arange(self.size) < self.filled
        past = self.loss.against(labels, rows, self._labels.value, self._rows.value, known)
        value = value + ops.where(self._batches.value >= self.warm_up, past, 0.0)
        n = ops.shape(rows)[0]
        places = ops.expand_dims((self._seen.value + ops.arange(n)) % self.size, 1)
        self._rows.assign(ops.scatter_update(self._rows.value, places, ops.stop_gradient(rows)))
        self._labels.assign(ops.scatter_update(self._labels.value, places, labels))
        self._seen.assign(self._seen.value + n)
        self._batches.assign(self._batches.value + 1)
        return value
