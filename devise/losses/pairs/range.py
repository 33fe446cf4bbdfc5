"""The range loss: the widest distances within classes, and the nearest two class centres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import ops

from devise.losses.pairs.base import SMALLEST, PairLoss, above, aligned, no_miner

if TYPE_CHECKING:
    from keras import KerasTensor as Tensor
    from numpy.typing import ArrayLike

    from devise.losses.mining import Miner


class Range(PairLoss):
    """Classes drawn together where they are widest, and the nearest two apart (Zhang et al. 2017, section 3.2).

    loss = within · Σ_classes k / Σ_{j ≤ k} (1 / D_j) + between · max(0, margin - D_min). D_j are the k
    largest squared distances within a class, taken by their harmonic mean, so that a single outlier
    does not rule; D_min is the least squared distance of two class centres. The sum over classes is
    taken as a mean, over those with two rows or more; k is 2, as in the paper, or 1 where a class has
    a single pair. The paper adds the loss to a softmax with weights of 1e-5 on features of any
    length; on unit rows and alone both weigh 1, with a margin of 1: choices of this package.

    Args:
        margin: of the centres' squared distance, above 0.
        within, between: weights of the two parts.

    >>> round(float(Range()([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])), 3)
    1.0
    """

    name = "range"

    def __init__(self, margin: float = 1.0, within: float = 1.0, between: float = 1.0, miner: Miner | None = None):
        super().__init__()
        no_miner(self, miner)
        above(margin=margin, within=within, between=between)
        self.margin, self.within, self.between = margin, within, between

    def against(self, labels: Tensor, rows: Tensor, other_labels: Tensor, others: Tensor, known: Tensor) -> Tensor:
        raise NotImplementedError("the range loss looks at the centres of one batch: it has no form against a memory")

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        labels, rows = aligned(labels, embeddings)
        same = ops.equal(ops.expand_dims(labels, 1), ops.expand_dims(labels, 0))
        itself = ops.cast(ops.eye(ops.shape(rows)[0]), "bool")
        something = ops.logical_and(ops.any(ops.logical_and(same, ops.logical_not(itself))),
                                    ops.any(ops.logical_not(same)))
        self.empty_batches.assign_add(ops.cast(ops.logical_not(something), "int32"))
        squared = ops.maximum(2 - 2 * ops.matmul(rows, ops.transpose(rows)), SMALLEST)
        first = ops.equal(ops.argmax(ops.cast(same, "int32"), axis=1), ops.arange(ops.shape(rows)[0]))
        value = self.within * self._inside(squared, same, first) + self.between * self._apart(rows, same, first)
        return ops.where(something, value, 0.0)

    def _inside(self, squared, same, first):
        """The mean over classes of the harmonic mean of their two largest squared distances."""
        n = ops.shape(squared)[0]
        earlier = ops.expand_dims(ops.arange(n), 1) < ops.expand_dims(ops.arange(n), 0)
        pairs = ops.logical_and(ops.expand_dims(same, 2), ops.expand_dims(same, 1))  # (class of row, a, b)
        pairs = ops.reshape(ops.logical_and(pairs, ops.expand_dims(earlier, 0)), (n, n * n))
        largest = ops.max(ops.where(pairs, ops.reshape(squared, (1, n * n)), 0.0), axis=1)
        place = ops.argmax(ops.where(pairs, ops.reshape(squared, (1, n * n)), -1.0), axis=1)
        others = ops.logical_and(pairs, ops.not_equal(ops.expand_dims(place, 1), ops.expand_dims(ops.arange(n * n), 0)))
        second = ops.max(ops.where(others, ops.reshape(squared, (1, n * n)), 0.0), axis=1)
        both = ops.logical_and(first, ops.any(others, axis=1))
        one = ops.logical_and(first, ops.logical_and(ops.any(pairs, axis=1), ops.logical_not(ops.any(others, axis=1))))
        largest, second = ops.maximum(largest, SMALLEST), ops.maximum(second, SMALLEST)
        wide = ops.where(both, 2 / (1 / largest + 1 / second), ops.where(one, largest, 0.0))
        counted = ops.sum(ops.cast(ops.logical_or(both, one), wide.dtype))
        return ops.sum(wide) / ops.maximum(counted, 1.0)

    def _apart(self, rows, same, first):
        """How much nearer than the margin the nearest two class centres are."""
        weights = ops.cast(same, rows.dtype)
        centres = ops.matmul(weights, rows) / ops.sum(weights, axis=1, keepdims=True)
        lengths = ops.sum(ops.square(centres), axis=1)
        products = ops.matmul(centres, ops.transpose(centres))
        squared = ops.expand_dims(lengths, 1) + ops.expand_dims(lengths, 0) - 2 * products
        both = ops.logical_and(ops.expand_dims(first, 1), ops.expand_dims(first, 0))
        two = ops.logical_and(both, ops.logical_not(same))
        nearest = ops.min(ops.where(two, ops.maximum(squared, 0.0), 1e9))
        return ops.relu(self.margin - nearest)

    def _value(self, cosines, positive, negative, dim):
        raise NotImplementedError("the range loss needs rows, not their cosines")

    def get_config(self) -> dict:
        return {"margin": self.margin, "within": self.within, "between": self.between}
