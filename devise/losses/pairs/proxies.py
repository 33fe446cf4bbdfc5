"""Losses with a learnt point for each class, its proxy."""

from __future__ import annotations

import numpy as np
from keras import KerasTensor as Tensor
from keras import Variable, ops
from numpy.typing import ArrayLike

from devise.errors import above
from devise.losses.base import Loss
from devise.losses.pairs.base import aligned
from devise.losses.scores import own_scores, unit


class Proxies(Loss):
    """A learnt point for each class, compared by cosine.

    Args:
        n_labels: classes; labels are in 0..n_labels - 1, another gives NaN.
        dim: columns of the embeddings.
        seed: of the points at the start, which are drawn from a normal distribution.
    """

    def __init__(self, n_labels: int, dim: int, *, seed: int = 0):
        if n_labels < 2:
            raise ValueError(f"n_labels is {n_labels}: expected two classes or more")
        self.n_labels, self.dim, self.seed = int(n_labels), int(dim), seed
        start = np.random.default_rng(seed).standard_normal((self.n_labels, self.dim)) / np.sqrt(self.dim)
        self.proxies = Variable(start.astype(np.float32), name="proxies")
        self.trainable_variables = (self.proxies,)

    def _cosines(self, labels, embeddings):
        """Cosines (n, C) with the proxies, where the own one stands (n, C), and its cosine (n, 1)."""
        labels, rows = aligned(labels, embeddings)
        cosines = ops.matmul(rows, ops.transpose(unit(self.proxies)))
        return cosines, *own_scores(labels, cosines)


class ProxyAnchor(Proxies):
    """Each proxy as the anchor of a batch (Kim et al. 2020, section 3.2).

    loss = 1/|P⁺| Σ_{p ∈ P⁺} log(1 + Σ_{x of p} exp(-scale (cos(x, p) - margin)))
         + 1/|P| Σ_p log(1 + Σ_{x not of p} exp(scale (cos(x, p) + margin))),
    P all proxies and P⁺ those whose class is in the batch; scale 32 and margin 0.1 as in the paper.

    >>> 0 < float(ProxyAnchor(n_labels=2, dim=2)([0, 1], [[1.0, 0.0], [0.0, 1.0]])) < 100
    True
    """

    name = "proxy-anchor"

    def __init__(self, n_labels: int, dim: int, scale: float = 32.0, margin: float = 0.1, *, seed: int = 0):
        super().__init__(n_labels, dim, seed=seed)
        above(scale=scale)
        self.scale, self.margin = scale, margin

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        cosines, own, found = self._cosines(labels, embeddings)
        pulls = ops.logsumexp(ops.where(own, -self.scale * (cosines - self.margin), -1e9), axis=0)
        pushes = ops.logsumexp(ops.where(own, -1e9, self.scale * (cosines + self.margin)), axis=0)
        present = ops.cast(ops.any(own, axis=0), cosines.dtype)
        value = (ops.sum(present * ops.softplus(pulls)) / ops.maximum(ops.sum(present), 1.0)
                 + ops.mean(ops.softplus(pushes)))
        return value + 0 * ops.sum(found)  # NaN where a label is none of the classes


class NormalisedSoftmax(Proxies):
    """Cross-entropy over cosines with a point for each class (Zhai and Wu 2019, section 3.2).

    loss = 1/n Σ_i -log exp(cos(x_i, p_y) / τ) / Σ_c exp(cos(x_i, p_c) / τ), τ = 0.05 as in the paper.

    >>> 0 < float(NormalisedSoftmax(n_labels=2, dim=2)([0, 1], [[1.0, 0.0], [0.0, 1.0]])) < 100
    True
    """

    name = "normalised-softmax"

    def __init__(self, n_labels: int, dim: int, temperature: float = 0.05, *, seed: int = 0):
        super().__init__(n_labels, dim, seed=seed)
        above(temperature=temperature)
        self.temperature = temperature

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        cosines, _own, found = self._cosines(labels, embeddings)
        return ops.mean(ops.logsumexp(cosines / self.temperature, axis=1) - found[:, 0] / self.temperature)
