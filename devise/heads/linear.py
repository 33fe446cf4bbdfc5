"""Linear heads with an exact solution: no steps, no seed.

Penalties are in units of the data's own scale, so that 1 means the same for any features and any
number of images; the papers' are not, and their values can't be taken over as they stand.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from devise.arrays import as_rows, eigenvectors, unit_rows
from devise.errors import above
from devise.heads.base import Head, blocks, check_classes, check_labels, check_weights, dense

if TYPE_CHECKING:
    import keras
    from numpy.typing import ArrayLike, NDArray

    from devise.arrays import Rows

    Map = tuple[NDArray[np.float64], NDArray[np.float64]]

PENALTIES = tuple(10.0 ** (step / 2) for step in range(-6, 5))  # 0.001 to 100, two a decade


class LinearHead(Head):
    """f(x) = xᵀW + b, found from labelled images; a subclass says how, in `_solve`.

    Args:
        options: numbers above 0 that a subclass solves with; they are saved with the head.
    Attributes:
        kernel: W, float32 (input_dim, dim); None before `fit`.
        bias: b, float32 (dim,).

    >>> issubclass(RidgeHead, LinearHead)
    True
    """

    def __init__(self, **options: float | None):
        above(**{name: value for name, value in options.items() if value is not None})
        self._options = options
        self.kernel: NDArray[np.float32] | None = None
        self.bias: NDArray[np.float32] | None = None

    def _solved(self, kernel: NDArray, bias: NDArray) -> Self:
        """The head itself, with this map."""
        self.kernel, self.bias = (np.asarray(part, np.float32) for part in (kernel, bias))
        self.input_dim, self.dim = kernel.shape
        return self

    def fit(self, features: Rows, labels: ArrayLike, label_vectors: ArrayLike, *,
            validation: tuple[Rows, ArrayLike] | None = None, seed: int = 0) -> Self:
        """Learn the map from images of seen classes.

        Args:
            features: (n, d); a RidgeHead's may be memory-mapped.
            labels: int (n,), rows of `label_vectors`.
            label_vectors: (C, dim), used as unit rows; those of classes without images play no part.
            validation: (features, labels) that choose an option that is None, which only a
                RidgeHead's penalty can be.
            seed: for what is drawn at random, if anything.
        Returns:
            the head itself.
        Raises:
            ValueError: if the arrays don't fit, hold NaN or infinity, there are fewer than two
                classes, or an option is None and there is no validation data.
        """
        vectors = unit_rows(label_vectors, "label vectors")
        labels = check_labels(labels, len(features), n_labels=len(vectors))
        check_classes(labels)
        return self._solved(*self._solve(features, labels, vectors, validation, np.random.default_rng(seed)))

    @abstractmethod
    def _solve(self, features, labels: NDArray[np.int64], vectors: NDArray[np.float32], validation,
               random: np.random.Generator) -> Map:
        """Kernel (d, dim) and bias (dim,) for checked labels and unit label vectors (C, dim)."""

    def keras_layers(self) -> list[keras.layers.Layer]:
        """The map as one Dense layer, to be put behind a backbone; a copy of its weights."""
        return [dense(**self.weights(), name="embedding")]

    def _forward(self, rows):
        return rows @ self.kernel + self.bias

    def _weights(self):
        return {"kernel": self.kernel, "bias": self.bias}

    @classmethod
    def _restore(cls, config, weights):
        check_weights(weights, {"kernel": (config["input_dim"], config["dim"]), "bias": (config["dim"],)})
        head = cls(**{name: value for name, value in config.items() if name not in ("kind", "input_dim", "dim")})
        return head._solved(weights["kernel"], weights["bias"])


class RidgeHead(LinearHead):
    """Ridge regression from features to label vectors, with an intercept.

    W = argmin |X_c W - V_y,c|² + λ |W|², both sides centred, λ = penalty · |X_c|² / d: a penalty of
    1 weighs like a feature of mean variance, whatever the scale of the features and their number
    (Hoerl and Kennard 1970).

    Args:
        penalty: λ in that unit; None chooses the one of `penalties` with the best hit@1 on validation
            data among the labels trained on, of equals the one with the largest mean cosine. Without
            validation data each training image is left out in turn, which has a closed form.
        penalties: those to choose from.
    Attributes:
        penalty: the one in use; None before it is chosen.

    >>> head = RidgeHead(penalty=1.0).fit(np.eye(4), [0, 1, 0, 1], np.eye(2))
    >>> head.embed(np.eye(4)[:2]).argmax(axis=1)
    array([0, 1])
    """

    kind = "ridge"

    def __init__(self, penalty: float | None = None, *, penalties: Sequence[float] = PENALTIES):
        super().__init__(penalty=penalty)
        self._given, self._penalties = penalty, penalties

    @property
    def penalty(self) -> float | None:
        return self._options["penalty"]

    def _solve(self, features, labels, vectors, validation, random):
        solve, left_out = ridge(features, vectors[labels])
        if self._given is None:
            seen, rows, expected = np.unique(labels), None, labels
            if validation is not None:
                rows, expected = validation
                expected = check_labels(expected, len(rows), n_labels=len(vectors), name="validation labels")

            def quality(penalty: float) -> tuple[float, float]:
                found = left_out(penalty) if rows is None else RidgeHead()._solved(*solve(penalty)).embed(rows)
                cosines = unit_rows(found) @ vectors.T
                hits = seen[cosines[:, seen].argmax(axis=1)] == expected
                return hits.mean(), cosines[np.arange(len(expected)), expected].mean()

            self._options = {"penalty": max(self._penalties, key=quality)}
        return solve(self._options["penalty"])


class ESZSL(LinearHead):
    """A bilinear score xᵀWs whose squared error and norms on both sides have one exact minimum.

    W = (XᵀX + γI)⁻¹ Xᵀ Y S (SᵀS + λI)⁻¹, with images X (n, d), label vectors S (classes, a) and Y
    (n, classes), 1 at the image's class and 0 elsewhere (Romera-Paredes and Torr 2015, An
    Embarrassingly Simple Approach to Zero-Shot Learning, section 3; 0 as in their code, where the
    paper has -1). γ = gamma · |X|² / d, λ = lam · |S|² / a.

    Args:
        gamma: penalty on the side of the features, above 0.
        lam: penalty on the side of the label vectors, above 0.

    >>> ESZSL(0.1, 0.1).fit(np.eye(4), [0, 1, 0, 1], np.eye(2)).embed(np.eye(4)).argmax(axis=1)
    array([0, 1, 0, 1])
    """

    kind = "eszsl"
    comparison = "inner product"

    def __init__(self, gamma: float = 1.0, lam: float = 1.0):
        super().__init__(gamma=gamma, lam=lam)

    def _solve(self, features, labels, vectors, validation, random):
        solve, _ = ridge(features, vectors[labels], centred=False)
        left, _ = solve(self._options["gamma"])
        seen = vectors[np.unique(labels)].astype(np.float64)
        gram = seen.T @ seen
        gram[np.diag_indices_from(gram)] += self._options["lam"] * np.trace(gram) / len(gram)
        return np.linalg.solve(gram, left.T).T, np.zeros(len(gram))


class SAE(LinearHead):
    """An encoder into the space of the label vectors whose transpose must decode.

    W = argmin |X - S Wᵀ|² + λ |X W - S|², which solves W SᵀS + λ XᵀX W = (1 + λ) XᵀS, with images
    X (n, d) and their label vectors S (n, a) (Kodirov, Xiang and Gong 2017, Semantic Autoencoder for
    Zero-Shot Learning, section 3). W and its transpose serve both ways, so the scale of X against S
    matters: features are standardised to |X|² = |S|².

    Args:
        lam: λ, the weight of the encoder against the decoder, above 0.

    >>> SAE().fit(np.eye(4), [0, 1, 0, 1], np.eye(2)).embed(np.eye(4)).argmax(axis=1)
    array([0, 1, 0, 1])
    """

    kind = "sae"

    def __init__(self, lam: float = 1.0):
        super().__init__(lam=lam)

    def _solve(self, features, labels, vectors, validation, random):
        lam, targets = self._options["lam"], vectors[labels].astype(np.float64)
        x, middle, scale = standardised(as_rows(features, "features").astype(np.float64))
        # both sides are symmetric: in their eigenvectors the Sylvester equation is a division
        values, basis = eigenvectors(lam * x.T @ x)
        target_values, target_basis = eigenvectors(targets.T @ targets)
        right = (1 + lam) * (basis.T @ (x.T @ targets)) @ target_basis
        sums = values[:, None] + target_values
        # directions that neither side has: nothing is known there, and nothing is put there
        known = sums > sums.max() * len(values) * np.finfo(np.float64).eps
        solved = np.divide(right, sums, out=np.zeros_like(right), where=known)
        kernel = basis @ solved @ target_basis.T / scale
        return kernel, -middle @ kernel


def ridge(features: Rows, targets: NDArray, *, centred: bool = True
          ) -> tuple[Callable[[float], Map], Callable[[float], NDArray[np.float64]]]:
    """Ridge regression for any penalty: a function from it to kernel and bias, and one to what they predict of others.

    The Gram matrix is made once, in float64: (d, d) where there are at least as many rows as
    columns, else (n, n), by (XᵀX + λI)⁻¹ Xᵀ = Xᵀ (XXᵀ + λI)⁻¹. λ = penalty · |X|² / d. Each row is predicted
    from all others by (ŷ - h y) / (1 - h) with the leverages h (Allen 1974, PRESS). Centred, means are taken
    off both sides; else the bias is 0.
    """
    n, d = np.shape(features)
    mean, middle = np.zeros(d), np.zeros(targets.shape[1])
    if centred:
        mean = sum(rows.sum(axis=0, dtype=np.float64) for _, rows in blocks(features)) / n
        middle = targets.mean(axis=0, dtype=np.float64)
    rows_of = ((start, rows - mean) for start, rows in blocks(features))
    if d <= n:
        gram, right, back = np.zeros((d, d)), np.zeros((d, targets.shape[1])), None
        for start, rows in rows_of:
            gram += rows.T @ rows
            right += rows.T @ (targets[start:start + len(rows)] - middle)
    else:
        rows = np.concatenate([rows for _, rows in rows_of])
        gram, right, back = rows @ rows.T, targets - middle, rows.T
    unit = np.trace(gram) / d
    if unit <= 1e-14 * d * np.square(mean).mean():  # centred, rounding leaves a little of rows that are the same
        raise ValueError(f"features are {'the same' if centred else 'zero'} in every row: there is nothing to learn "
                         "from them")

    def solve(penalty: float) -> Map:
        kernel = np.linalg.solve(gram + penalty * unit * np.eye(len(gram)), right)
        kernel = kernel if back is None else back @ kernel
        return kernel, middle - mean @ kernel

    def left_out(penalty: float) -> NDArray[np.float64]:
        kernel, bias = solve(penalty)
        inverse, found = np.linalg.inv(gram + penalty * unit * np.eye(len(gram))), np.empty((n, len(bias)))
        for start, rows in blocks(features):
            ids = slice(start, start + len(rows))
            one, other = ((rows - mean) @ inverse, rows - mean) if back is None else (gram[ids], inverse[ids])
            leverages = np.einsum("ij,ij->i", one, other)[:, None] + centred / n
            found[ids] = (rows @ kernel + bias - leverages * targets[ids]) / (1 - leverages)
        return found

    return solve, left_out


def standardised(x: NDArray) -> tuple[NDArray, NDArray, float]:
    """(x - middle) / scale, of mean 0 and mean square length 1, with middle (d,) and scale."""
    if not np.ptp(x, axis=0).any():  # asked of x itself: centred, rounding would make it differ
        raise ValueError("features are the same in every row: there is nothing to learn from them")
    middle = x.mean(axis=0)
    rows = x - middle
    scale = np.sqrt(np.square(rows).sum(axis=1).mean())
    return rows / scale, middle, scale
