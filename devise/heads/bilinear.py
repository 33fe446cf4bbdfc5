"""Bilinear compatibility xᵀWs, trained so that an image's own class outscores the others by a margin.

Score and loss: F(x, y) = xᵀ W s_y; the violation of a wrong class is max(0, 1 + F(x, y) - F(x, y_n)).
The heads differ in how violations are weighed. There is no penalty on W: few epochs are the
regularisation, as in the papers.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import as_rows
from devise.heads.linear import LinearHead, standardised

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BilinearHead(LinearHead):
    """Stochastic gradient descent in mini-batches, from zero; a subclass weighs the violations.

    Features are standardised, so that one rate serves any of them, and no intercept is learned. A
    margin of 1 is no loss of generality: another one scales W and nothing else.

    Args:
        rate: step size, above 0.
        epochs: passes over the images.
        batch_size: images in a step.

    >>> ALE(epochs=5).fit(np.eye(4)[[0, 0, 1, 1]], [0, 0, 1, 1], np.eye(2)).outputs(np.eye(4)[:2]).argmax(axis=1)
    array([0, 1])
    """

    comparison = "inner product"

    def __init__(self, *, rate: float = 0.3, epochs: int = 10, batch_size: int = 32):
        super().__init__(rate=rate, epochs=epochs, batch_size=batch_size)

    @abstractmethod
    def _weigh(self, violations: NDArray[np.float32]) -> NDArray:
        """The weight of each class's violation, (m, classes); 0 where there is none, as at the image's own class."""

    def _solve(self, features, labels, vectors, validation, random):
        # a class without images must not be pushed away: it may be one to find later
        seen, labels = np.unique(labels, return_inverse=True)
        vectors, options = vectors[seen], self._options
        x, middle, scale = standardised(as_rows(features, "features"))
        # from zero: what no seen class needs stays out, where random entries would stay as noise; and all that is
        # learnt lies in the span of the label vectors, so that fewer of these than columns spare most of the work
        few = len(vectors) < vectors.shape[1]
        kernel = np.zeros((x.shape[1], min(vectors.shape)), np.float32)
        onto = vectors @ vectors.T if few else vectors.T
        for _ in range(options["epochs"]):
            order = random.permutation(len(x))
            for start in range(0, len(x), options["batch_size"]):
                rows = order[start:start + options["batch_size"]]
                pull = self._pull(x[rows] @ kernel @ onto, labels[rows])
                kernel += options["rate"] / len(rows) * x[rows].T @ (pull if few else pull @ vectors)
        kernel = (kernel @ vectors if few else kernel) / scale
        return kernel, -middle @ kernel

    def _pull(self, scores, labels):
        """The negative gradient by the scores: up at the own class, down at those that violate."""
        own = np.arange(len(labels)), labels
        violations = np.maximum(0, 1 + scores - scores[own][:, None])
        violations[own] = 0
        pull = -self._weigh(violations)
        pull[own] = -pull.sum(axis=1)
        return pull


class ALE(BilinearHead):
    """All violations, weighed by how far down they put the image's own class.

    loss(x, y_n) = (l_r / r) Σ_y max(0, 1 + F(x, y) - F(x, y_n)), with r the number of violating
    classes and l_r = Σ_{i ≤ r} 1/i (Akata et al. 2016, Label-Embedding for Image Classification,
    section 3). Their sampling of one violating class is replaced by the sum over all of them.

    >>> ALE().fit(np.eye(4), [0, 1, 0, 1], np.eye(2)).outputs(np.eye(4)).argmax(axis=1)
    array([0, 1, 0, 1])
    """

    kind = "ale"

    def _weigh(self, violations):
        violating = violations > 0
        counts = violating.sum(axis=1)
        harmonic = np.concatenate([[0], np.cumsum(1 / np.arange(1, violations.shape[1]))])
        weights = harmonic[counts] / np.maximum(counts, 1)
        return (violating * weights[:, None]).astype(np.float32)


class SJE(BilinearHead):
    """The worst violation alone, as a structured support vector machine has it.

    loss(x, y_n) = max_y max(0, 1 + F(x, y) - F(x, y_n)) (Akata et al. 2015, Evaluation of Output
    Embeddings for Fine-Grained Image Classification, section 3).

    >>> SJE().fit(np.eye(4), [0, 1, 0, 1], np.eye(2)).outputs(np.eye(4)).argmax(axis=1)
    array([0, 1, 0, 1])
    """

    kind = "sje"

    def _weigh(self, violations):
        weights = np.zeros_like(violations)
        worst = violations.argmax(axis=1)
        rows = np.arange(len(violations))
        weights[rows, worst] = violations[rows, worst] > 0
        return weights


class HingeRankHead(BilinearHead):
    """DeViSE as a bilinear head: every violation counts the same.

    loss(x, y_n) = Σ_y max(0, 1 + F(x, y) - F(x, y_n)), the hinge rank loss of Frome et al. 2013
    (equation 1) with a linear map and over all false labels, as Xian et al. 2018 (section 3.1) have
    it.

    >>> HingeRankHead().fit(np.eye(4), [0, 1, 0, 1], np.eye(2)).outputs(np.eye(4)).argmax(axis=1)
    array([0, 1, 0, 1])
    """

    kind = "hinge-rank"

    def _weigh(self, violations):
        return (violations > 0).astype(np.float32)
