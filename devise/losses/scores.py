"""Rows at length 1, and their scores for every label, for all losses that compare."""

from __future__ import annotations

from keras import KerasTensor as Tensor
from keras import ops
from numpy.typing import ArrayLike

SHORTEST = 1e-6  # rows shorter than this are divided by it: a zero row gets cosines of 0, not NaN


def unit(rows: ArrayLike | Tensor) -> Tensor:
    """Rows at length 1, as a tensor."""
    rows = ops.convert_to_tensor(rows)
    squares = ops.sum(ops.square(rows), axis=-1, keepdims=True)
    return rows * ops.rsqrt(ops.maximum(squares, SHORTEST**2))


def label_scores(embeddings: ArrayLike | Tensor, label_vectors: ArrayLike, *, normalise: bool) -> Tensor:
    """Inner products (n, C) of embeddings, at length 1 if `normalise`, with every label's vector."""
    embeddings = unit(embeddings) if normalise else ops.convert_to_tensor(embeddings)
    table = ops.cast(label_vectors, embeddings.dtype)
    return ops.matmul(embeddings, ops.transpose(table))


def own_scores(labels: ArrayLike, scores: ArrayLike | Tensor) -> tuple[Tensor, Tensor]:
    """Each row's own label as a mask (n, C) over the columns of `scores`, and its score (n, 1).

    A graph can't refuse a label that is no column: its score is NaN, and so is its loss. Looked up
    by position, -1 would pass for the last label. Keras' compile hands labels over as floats.
    """
    scores = ops.convert_to_tensor(scores)
    labels = ops.reshape(ops.cast(labels, "int32"), (-1, 1))
    own = ops.equal(labels, ops.arange(scores.shape[1], dtype="int32"))
    found = ops.sum(ops.where(own, scores, 0), axis=1, keepdims=True)
    return own, ops.where(ops.any(own, axis=1, keepdims=True), found, float("nan"))
