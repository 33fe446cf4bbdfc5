"""Candidates near a picture's embedding, and the classes of a classifier."""

import numpy as np

from devise.arrays import as_rows, unit_rows
from devise.zeroshot.base import Rule


class NearestLabel(Rule):
    """The candidates whose vectors have the largest cosine with the picture's embedding.

    score(x, c) = cos(x, v_c), the rule of DeViSE (Frome et al. 2013, section 3.3).

    Args:
        vectors: (c, d) candidate vectors, of any length but zero.
        embed: callable x → embeddings (q, d), such as a trained head's `embed`; None where x is
            embeddings already.

    >>> NearestLabel([[1, 0], [0, 1]]).tag([[0.2, 0.9]], k=1).ids
    array([[1]])
    """

    def __init__(self, vectors, embed=None):
        self.vectors, self.embed = unit_rows(vectors, "candidate vectors"), embed

    @property
    def n_candidates(self):
        return len(self.vectors)

    def prepare(self, x):
        x = x if self.embed is None else self.embed(x)
        return unit_rows(x, "embeddings", self.vectors.shape[1])

    def compare(self, rows):
        return rows @ self.vectors.T


class InnerProduct(NearestLabel):
    """The candidates whose unit vectors have the largest inner product with the picture's embedding.

    score(x, c) = f(x)ᵀ v_c / |v_c|. Each picture has the order that NearestLabel gives it, but its
    scores keep the embedding's length: those of several pictures may be compared, as a threshold
    or a calibration does.

    >>> InnerProduct([[1, 0], [0, 2]]).tag([[3, 4]], k=1).scores
    array([[4.]], dtype=float32)
    """

    def prepare(self, x):
        x = x if self.embed is None else self.embed(x)
        return as_rows(x, "embeddings", self.vectors.shape[1])


class Softmax(Rule):
    """The classes to which a classifier gives the largest probability; x is its logits.

    p(c | x) = exp(z_c) / Σ exp(z). It knows the classes it was trained on and no other.

    >>> Softmax().tag([[0.0, 2.0]], k=1).ids
    array([[1]])
    """

    def prepare(self, x):
        return as_rows(x, "logits")

    def compare(self, rows):
        powers = np.exp(rows - rows.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
