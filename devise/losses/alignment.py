"""Losses that draw each embedding towards the vector of its label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import ops

from devise import arrays
from devise.losses.base import Loss

if TYPE_CHECKING:
    from keras import KerasTensor as Tensor
    from numpy.typing import ArrayLike

    from devise.arrays import Rows

SHORTEST = 1e-6  # rows shorter than this are divided by it: a zero row gets a cosine of 0, not NaN


def cosine_loss(labels: ArrayLike, embeddings: ArrayLike | Tensor, label_vectors: Rows) -> Tensor:
    """The mean of 1 - cosine between each embedding and the vector of its label, in 0..2.

    loss = 1/n Σ_i (1 - e_i · v_{y_i} / (|e_i| |v_{y_i}|)). The lengths of both don't matter.

    Args:
        labels: int (n,), rows of `label_vectors`.
        embeddings: float (n, d).
        label_vectors: float (C, d).
    Returns:
        a scalar tensor, NaN where a label is no row.

    >>> float(cosine_loss([0, 1], [[2.0, 0.0], [3.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]))
    0.5
    """
    embeddings = ops.convert_to_tensor(embeddings)
    rows = ops.cast(labels, "int32")  # Keras' compile hands labels over as floats
    known = ops.logical_and(rows >= 0, rows < len(label_vectors))  # take would count -1 from the end
    targets = ops.cast(ops.take(label_vectors, ops.where(known, rows, 0), axis=0), embeddings.dtype)
    cosines = ops.sum(_unit(embeddings) * _unit(targets), axis=-1)
    return ops.mean(ops.where(known, 1 - cosines, float("nan")))


class Cosine(Loss):
    """`cosine_loss` onto fixed label vectors.

    It asks for the direction of the label's vector and says nothing about the other labels;
    the hinge rank loss of DeViSE (Frome et al. 2013, section 3.2) compares them, and is another.

    Args:
        label_vectors: (C, d), one row a label; kept as unit rows.
    Raises:
        ValueError: if a row is zero, NaN or infinite.

    >>> float(Cosine([[1.0, 0.0], [0.0, 2.0]])([1], [[0.0, 5.0]]))
    0.0
    """

    name = "cosine"

    def __init__(self, label_vectors: ArrayLike):
        self.label_vectors = arrays.unit_rows(label_vectors, "label vectors")
        self.n_labels, self.dim = self.label_vectors.shape

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        return cosine_loss(labels, embeddings, self.label_vectors)

    def get_config(self) -> dict:
        return {"label_vectors": self.label_vectors.tolist()}


def _unit(rows):
    squares = ops.sum(ops.square(rows), axis=-1, keepdims=True)
    return rows * ops.rsqrt(ops.maximum(squares, SHORTEST**2))
