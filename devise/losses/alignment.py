"""Losses onto label vectors: each embedding towards its own, or nearer to it than to any other (DeViSE)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from keras import ops, random

from devise import arrays
from devise.losses.base import Loss
from devise.losses.scores import label_scores, own_scores, unit

if TYPE_CHECKING:
    from keras import KerasTensor as Tensor
    from numpy.typing import ArrayLike

    from devise.arrays import Rows

MARGIN = 0.1
NEGATIVES = ("all", "first violation")


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
    cosines = ops.sum(unit(embeddings) * unit(targets), axis=-1)
    return ops.mean(ops.where(known, 1 - cosines, float("nan")))


class Cosine(Loss):
    """`cosine_loss` onto fixed label vectors.

    It asks for the direction of the label's vector and says nothing about the other labels;
    the hinge rank loss of DeViSE (Frome et al. 2013, section 3.2) compares them: `HingeRank`.

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


def hinge_costs(labels: ArrayLike, embeddings: ArrayLike | Tensor, label_vectors: ArrayLike, *,
                margin: float = MARGIN, normalise: bool = False) -> Tensor:
    """How far each other label comes within the margin of the right one, or ahead of it.

    cost(i, j) = max(0, margin - t_{y_i} · e_i + t_j · e_i) for j ≠ y_i, and 0 for j = y_i.

    Args:
        labels: int (n,), rows of `label_vectors`.
        embeddings: float (n, d).
        label_vectors: float (C, d), unit rows.
        normalise: take the embeddings at length 1.
    Returns:
        a tensor (n, C), NaN in the rows whose label is none of the C.

    >>> hinge_costs([0], [[0.5, 1.0]], [[1.0, 0.0], [0.0, 1.0]], margin=0.25).numpy().tolist()
    [[0.0, 0.75]]
    """
    scores = label_scores(embeddings, label_vectors, normalise=normalise)
    own, right = own_scores(labels, scores)
    return ops.where(own, 0, ops.relu(margin - right + scores))


class HingeRank(Loss):
    """The hinge rank loss of DeViSE (Frome et al. 2013, section 3.3, equation 1).

    loss = 1/n Σ_i Σ_{j ≠ y_i} max(0, margin - t_{y_i} · e_i + t_j · e_i), where t are the label
    vectors at length 1 and e the embeddings as the head puts them out: the paper gives them no
    length, so the margin weighs less the longer they are. With `normalise` the scores are cosines.

    The paper looks at the false labels in a random order and stops at the first that violates the
    margin. That one is any of the violating labels with the same chance, and is drawn here as such,
    all rows at once; its gradient is on average that of "all", divided by their number. Every call
    draws anew, a loss on validation rows too.

    Args:
        label_vectors: (C, d), one row a label; kept as unit rows.
        margin: of the scores; above 0, or equal scores would cost nothing.
        negatives: "all" other labels, or the "first violation".
        normalise: take the embeddings at length 1.
        seed: of the random orders.
    Raises:
        ValueError: if a row is zero, NaN or infinite, or an option is none of these.

    >>> loss = HingeRank([[1.0, 0.0], [0.0, 1.0]], margin=0.25)
    >>> float(loss([0], [[1.0, 0.0]])), float(loss([1], [[1.0, 0.0]]))
    (0.0, 1.25)
    """

    name = "hinge rank"

    def __init__(self, label_vectors: ArrayLike, margin: float = MARGIN, negatives: str = "all", *,
                 normalise: bool = False, seed: int = 0):
        if negatives not in NEGATIVES:
            raise ValueError(f"negatives are {negatives!r}: expected 'all' or 'first violation'")
        if not (np.isfinite(margin) and margin > 0):
            raise ValueError(f"margin is {margin}: expected a number above 0")
        self.label_vectors = arrays.unit_rows(label_vectors, "label vectors")
        self.n_labels, self.dim = self.label_vectors.shape
        self.margin, self.negatives, self.normalise, self.seed = margin, negatives, normalise, seed
        self._draws = random.SeedGenerator(seed) if negatives == "first violation" else None

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        costs = hinge_costs(labels, embeddings, self.label_vectors, margin=self.margin,
                            normalise=self.normalise)
        return ops.mean(ops.sum(costs, axis=1) if self._draws is None else self._first(costs))

    def _first(self, costs):
        """The cost (n,) of one violating label of each row, 0 where there is none."""
        ranks = random.uniform(ops.shape(costs), seed=self._draws)
        first = ops.argmax(ops.where(costs > 0, ranks, -1), axis=1)
        return ops.squeeze(ops.take_along_axis(costs, first[:, None], axis=1), axis=1)

    def get_config(self) -> dict:
        return {"label_vectors": self.label_vectors.tolist(), "margin": self.margin,
                "negatives": self.negatives, "normalise": self.normalise, "seed": self.seed}
