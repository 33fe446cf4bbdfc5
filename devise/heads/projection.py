"""The head for retrieval: one linear map that begins as the features' own geometry, found in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from devise.arrays import eigenvectors
from devise.heads.base import Head, blocks, check_labels, check_weights

if TYPE_CHECKING:
    import keras
    from numpy.typing import ArrayLike, NDArray

    from devise.arrays import Rows

    Map = tuple[NDArray[np.float64], NDArray[np.float64]]

STARTS = ("identity", "pca", "whitening", "within-class")
SHORTEST = 1e-6  # rows shorter than this are divided by it, as Keras' UnitNormalization does
LEAST = 1e-6  # magnitudes below this count as this: at 0 a root has no slope, and a network that trains needs one


class ProjectionHead(Head):
    """A linear map, found in closed form, that a loss may train further.

    A head trained from random weights on a few classes forgets what the features know of all
    others. This one starts from that knowledge: from the features as they are, from their principal
    components, whitened or not, or from a map that damps what differs within a class. `fit` gives
    it that start and `train` goes on from there; `train` alone does both. Whatever the start, the
    embeddings of its rows have a root mean square length of 1, so that a learning rate means the
    same.

    Args:
        dim: columns of the embeddings; None for as many as the features have.
        start: "identity", `pca`, `whitening` or "within-class", see `within_class_whitening`, which needs labels.
        shrinkage: of the variances that a whitening divides by, 0 to 1.
        unit: whether features become unit rows first, so that their length means nothing.
        power: each value x becomes sign(x) |x|^power before all else; 1 leaves it. Square roots keep a
            few large values from ruling the cosine (power normalisation, Perronnin et al. 2010,
            section 3.2).
    Raises:
        ValueError: if one of them is out of range.

    >>> features = np.random.default_rng(0).standard_normal((50, 8))
    >>> ProjectionHead(3, start="pca").fit(features).embed(features).shape
    (50, 3)
    """

    kind = "projection"
    trains = True
    start_counts = True

    def __init__(self, dim: int | None = None, *, start: str = "whitening", shrinkage: float = 0.5,
                 unit: bool = True, power: float = 1.0):
        if start not in STARTS:
            raise ValueError(f"start is {start!r}: expected one of {', '.join(STARTS)}")
        if dim is not None and dim < 1:
            raise ValueError(f"dim is {dim}: expected 1 or more, or None for the features' own")
        if not 0 <= shrinkage <= 1:
            raise ValueError(f"shrinkage is {shrinkage}: expected 0 to 1")
        if not 0 < power <= 1:
            raise ValueError(f"power is {power}: expected a number above 0 and up to 1, such as 0.5 for square roots")
        self._options: dict[str, Any] = {"start": start, "shrinkage": shrinkage, "unit": unit, "power": power}
        self._asked = self.dim = dim
        self._map: dict[str, NDArray[np.float32]] = {}
        self._model: keras.Sequential | None = None

    def fit(self, features: Rows, labels: ArrayLike | None = None) -> Self:
        """Find the start in closed form.

        Args:
            features: (n, d), may be memory-mapped.
            labels: int (n,), for "within-class".
        Returns:
            the head itself.
        Raises:
            ValueError: if the arrays don't fit, dim is above d, or a direction has no variance.
        """
        columns, start = np.shape(features)[-1], self._options["start"]
        dim = columns if self._asked is None else self._asked
        if dim > columns or (start == "identity" and dim != columns):
            raise ValueError(f"dim is {dim} and the features have {columns} columns: expected "
                             f"{'as many' if start == 'identity' else 'no more'}")
        if start == "within-class" and labels is None:
            raise ValueError("the start 'within-class' needs labels: give them, or take 'whitening'")
        features = _Prepared(features, self._prepare)
        shrinkage = self._options["shrinkage"]
        if start == "identity":
            mean, kernel = np.zeros(columns), np.eye(columns)
        elif start == "pca":
            mean, kernel = pca(features, dim)
        elif start == "whitening":
            mean, kernel = whitening(features, dim, shrinkage=shrinkage)
        else:
            own = check_labels([] if labels is None else labels, len(features))
            mean, kernel = within_class_whitening(features, own, dim, shrinkage=shrinkage)
        squares = sum(float((((rows - mean) @ kernel) ** 2).sum()) for _, rows in blocks(features))
        if squares == 0:
            raise ValueError("features are the same in every row, or nothing: there is nothing to learn from them")
        kernel = kernel / np.sqrt(squares / len(features))
        self._map = {"kernel": kernel.astype(np.float32), "bias": (-mean @ kernel).astype(np.float32)}
        self.input_dim, self.dim, self._model = columns, dim, None
        return self

    def begin(self, features: Rows, labels: ArrayLike, seed: int) -> Self:
        """Give the head its start for these features, as `fit` does. Nothing is random."""
        return self.fit(features, labels)

    def keras_model(self) -> keras.Sequential:
        import keras

        self._require_weights()
        if self._model is None:
            features = keras.Input((self.input_dim,), name="features")
            dense = keras.layers.Dense(self.dim, name="projection")
            self._model = keras.Sequential([features, *self._first_layers(), dense], name="head")
            dense.set_weights([self._map["kernel"], self._map["bias"]])
        return self._model

    def keras_layers(self) -> list[keras.layers.Layer]:
        """The head's layers in order, to be put behind a backbone; they share its weights."""
        return list(self.keras_model().layers)

    def _first_layers(self):
        """What `_prepare` does, as layers."""
        import keras
        from keras import ops

        layers: list[keras.layers.Layer] = []
        if self._options["power"] != 1:
            rows = keras.Input((self.input_dim,))
            raised = ops.sign(rows) * ops.power(ops.maximum(ops.abs(rows), LEAST), self._options["power"])
            layers.append(keras.Model(rows, raised, name="power"))
        return layers + ([keras.layers.UnitNormalization(name="unit")] if self._options["unit"] else [])

    def _prepare(self, rows):
        """Rows as the linear map takes them."""
        power = self._options["power"]
        rows = rows if power == 1 else np.sign(rows) * np.abs(rows) ** power
        if not self._options["unit"]:
            return rows
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), SHORTEST)

    def _forward(self, rows):
        weights = self._weights()
        return self._prepare(rows) @ weights["kernel"] + weights["bias"]

    def _weights(self):
        if self._model is None:
            return self._map
        kernel, bias = self._model.get_layer("projection").weights
        return {"kernel": np.asarray(kernel), "bias": np.asarray(bias)}

    @classmethod
    def _restore(cls, config, weights):
        options = {name: value for name, value in config.items() if name not in ("kind", "input_dim")}
        head = cls(**options)
        check_weights(weights, {"kernel": (config["input_dim"], config["dim"]), "bias": (config["dim"],)})
        head._map, head.input_dim = dict(weights), config["input_dim"]
        return head


class _Prepared(Sequence):
    """A matrix whose rows are changed as they are read."""

    def __init__(self, features: Rows, prepare: Callable):
        self._features, self.shape, self._prepare = features, np.shape(features), prepare
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows):
        return self._prepare(np.asarray(self._features[rows], np.float32))


def pca(features: Rows, dim: int) -> Map:
    """The directions of greatest variance: (x - mean) @ kernel are the new coordinates, the most telling first.

    Columns are turned so that their largest entry is positive, here and in the others.
    """
    mean, covariance = _moments(features)
    return mean, _turned(_descending(covariance)[1][:, :dim])


def whitening(features: Rows, dim: int, *, shrinkage: float) -> Map:
    """Principal components, each divided by its deviation.

    The variances are drawn towards their mean: (1 - shrinkage) · λ_i + shrinkage · mean(λ). With 0
    every direction gets variance 1, noise included, with 1 the map is the PCA's but for its scale.
    """
    mean, covariance = _moments(features)
    variances, axes = _descending(covariance)
    deviations = _deviations(variances, shrinkage)
    return mean, _turned(axes[:, :dim]) / deviations[:dim]


def within_class_whitening(features: Rows, labels: ArrayLike, dim: int, *, shrinkage: float) -> Map:
    """Whitened by how rows of one class differ, then the principal components of what is left.

    With covariances S_w within classes and S of all rows, the columns solve S u = γ S_w u, largest
    γ first, uᵀ S_w u = 1: Fisher's discriminants. As a descriptor's last layer: Mikolajczyk and Matas
    2007, and the "learned whitening" of Radenović et al. 2018 (section 3.5), who sum over matching
    pairs, which gives large classes more weight than rows do here. S_w is shrunk towards its mean
    variance as in `whitening`, since few classes leave most directions without evidence.
    """
    _, own, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.max() < 2:
        raise ValueError("no class has two rows: how rows of one class differ can't be told")
    mean, covariance = _moments(features)
    centres = np.zeros((len(counts), len(mean)))
    for start, rows in blocks(features):
        np.add.at(centres, own[start:start + len(rows)], rows)
    centres /= counts[:, None]
    variances, axes = _descending(_covariance(features, lambda start, n: centres[own[start:start + n]]))
    white = axes / _deviations(variances, shrinkage)
    kernel = white @ _descending(white.T @ covariance @ white)[1][:, :dim]
    return mean, _turned(kernel)


def _moments(features):
    """Mean and covariance over all rows, summed in float64."""
    mean = sum(rows.sum(axis=0, dtype=np.float64) for _, rows in blocks(features)) / len(features)
    return mean, _covariance(features, lambda start, n: mean)


def _covariance(features, centre):
    """The mean of (x - c)(x - c)ᵀ, c = centre(first row, rows) of each block."""
    total = 0.0
    for start, rows in blocks(features):
        rows = rows - centre(start, len(rows))
        total = total + rows.T @ rows
    return total / len(features)


def _descending(matrix):
    """Eigenvalues, largest first and none below zero, and their vectors as columns."""
    values, vectors = eigenvectors(matrix)
    return np.maximum(values[::-1], 0), vectors[:, ::-1]


def _deviations(variances, shrinkage):
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.mean()
    if shrunk.min() <= 1e-12 * shrunk.max():
        flat = int((shrunk <= 1e-12 * shrunk.max()).sum())
        raise ValueError(f"{flat} of {len(shrunk)} directions have no variance to divide by, with so few rows or "
                         f"columns that repeat others: raise shrinkage, now {shrinkage:g}")
    return np.sqrt(shrunk)


def _turned(kernel):
    largest = np.abs(kernel).argmax(axis=0)
    return kernel * np.where(kernel[largest, np.arange(kernel.shape[1])] < 0, -1.0, 1.0)
