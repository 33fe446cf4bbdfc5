"""Linear rules with an exact solution: no steps, no seed.

Penalties are in units of the data's own scale, so that 1 means the same for any features and any
number of pictures; the papers' are not, and their values can't be taken over as they stand.
"""

import numpy as np

from devise.arrays import eigenvectors
from devise.zeroshot.nearest import InnerProduct
from devise.zeroshot.projection import LinearProjection, positive, standardised


class Ridge(LinearProjection):
    """Ridge regression from features to label vectors, with an intercept; candidates by cosine.

    W = argmin |X W - V_y|² + λ |W|², both sides centred, λ = penalty · |X|² / d: a penalty of 1
    weighs like a feature of mean variance (Hoerl and Kennard 1970).

    Args:
        penalty: above 0.

    >>> rule = Ridge(0.1).fit(np.eye(4), [0, 1, 0, 1], [[1, 0], [0, 1]]).onto([[1, 0], [0, 1]])
    >>> rule.tag(np.eye(4), k=1).ids.ravel()
    array([0, 1, 0, 1])
    """

    def __init__(self, penalty=1.0):
        positive(penalty=penalty)
        self.penalty = penalty

    def _solve(self, x, labels, vectors, random):
        (x, middle, scale), targets = standardised(x.astype(np.float64)), vectors[labels].astype(np.float64)
        target_middle = targets.mean(axis=0)
        kernel = _regression(x, targets - target_middle, self.penalty * _scale(x)) / scale
        return kernel, target_middle - middle @ kernel


class ESZSL(LinearProjection):
    """A bilinear score xᵀWs whose squared error and norms on both sides have one exact minimum.

    W = (XᵀX + γI)⁻¹ Xᵀ Y S (SᵀS + λI)⁻¹, with pictures X (n, d), class vectors S (classes, a) and Y
    (n, classes), 1 at the picture's class and 0 elsewhere (Romera-Paredes and Torr 2015, An
    Embarrassingly Simple Approach to Zero-Shot Learning, section 3; 0 as in their code: the -1
    of the paper gave half the hit@1 on held-out classes of Caltech-101).
    γ = gamma · |X|² / d, λ = lam · |S|² / a.

    Args:
        gamma: penalty on the side of the features, above 0.
        lam: penalty on the side of the class vectors, above 0.

    >>> rule = ESZSL(0.1, 0.1).fit(np.eye(4), [0, 1, 0, 1], [[1, 0], [0, 1]]).onto([[1, 0], [0, 1]])
    >>> rule.tag(np.eye(4), k=1).ids.ravel()
    array([0, 1, 0, 1])
    """

    rule = InnerProduct

    def __init__(self, gamma=1.0, lam=1.0):
        positive(gamma=gamma, lam=lam)
        self.gamma, self.lam = gamma, lam

    def _solve(self, x, labels, vectors, random):
        if not x.any():
            raise ValueError("features are zero in every row: there is nothing to learn from them")
        x, vectors = x.astype(np.float64), vectors.astype(np.float64)
        left = _regression(x, vectors[labels], self.gamma * _scale(x))
        right = vectors.T @ vectors + self.lam * _scale(vectors) * np.eye(vectors.shape[1])
        return np.linalg.solve(right, left.T).T, np.zeros(vectors.shape[1])


class SAE(LinearProjection):
    """An encoder into the space of the label vectors whose transpose must decode; candidates by cosine.

    W = argmin |X - S Wᵀ|² + λ |X W - S|², which solves W SᵀS + λ XᵀX W = (1 + λ) XᵀS, with pictures
    X (n, d) and their label vectors S (n, a) (Kodirov, Xiang and Gong 2017, Semantic Autoencoder for
    Zero-Shot Learning, section 3). W and its transpose serve both ways, so the scale of X against S
    matters: features are standardised to |X|² = |S|².

    Args:
        lam: λ, the weight of the encoder against the decoder, above 0.

    >>> rule = SAE().fit(np.eye(4), [0, 1, 0, 1], [[1, 0], [0, 1]]).onto([[1, 0], [0, 1]])
    >>> rule.tag(np.eye(4), k=1).ids.ravel()
    array([0, 1, 0, 1])
    """

    def __init__(self, lam=1.0):
        positive(lam=lam)
        self.lam = lam

    def _solve(self, x, labels, vectors, random):
        (x, middle, scale), targets = standardised(x.astype(np.float64)), vectors[labels].astype(np.float64)
        # both sides are symmetric: in their eigenvectors the Sylvester equation is a division
        values, basis = eigenvectors(self.lam * x.T @ x)
        target_values, target_basis = eigenvectors(targets.T @ targets)
        right = (1 + self.lam) * (basis.T @ (x.T @ targets)) @ target_basis
        sums = values[:, None] + target_values
        # directions that neither side has: nothing is known there, and nothing is put there
        known = sums > sums.max() * len(values) * np.finfo(np.float64).eps
        solved = np.divide(right, sums, out=np.zeros_like(right), where=known)
        kernel = basis @ solved @ target_basis.T / scale
        return kernel, -middle @ kernel


def _regression(x, targets, penalty):
    """(XᵀX + λI)⁻¹ Xᵀ T, from the smaller Gram matrix: it equals Xᵀ (XXᵀ + λI)⁻¹ T."""
    n, d = x.shape
    if d <= n:
        return np.linalg.solve(x.T @ x + penalty * np.eye(d), x.T @ targets)
    return x.T @ np.linalg.solve(x @ x.T + penalty * np.eye(n), targets)


def _scale(rows):
    """The mean diagonal entry of RᵀR, the unit of a penalty."""
    return np.square(rows).sum() / rows.shape[1]
