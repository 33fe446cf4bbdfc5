"""The head for retrieval: one linear map that begins as the features' own geometry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from devise.heads import whitening
from devise.heads.base import Head, check_weights
from devise.heads.rows import blocks, check_labels

if TYPE_CHECKING:
    import keras
    from numpy.typing import ArrayLike, NDArray

    from devise.arrays import Rows

STARTS = ("identity", "pca", "whitening", "within-class")
SHORTEST = 1e-6  # rows shorter than this are divided by it, as Keras' UnitNormalization does


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
        start: "identity", "pca", "whitening" or "within-class", see `whitening`; the last one needs
            labels.
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
        self._dim, self._model = dim, None
        self._map: dict[str, NDArray[np.float32]] | None = None

    @property
    def dim(self) -> int | None:
        return self._dim if self._map is None else self._map["bias"].shape[0]

    @property
    def input_dim(self) -> int | None:
        return None if self._map is None else self._map["kernel"].shape[0]

    @property
    def config(self) -> dict:
        return {"kind": self.kind, "input_dim": self.input_dim, "dim": self.dim, **self._options}

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
        dim = columns if self._dim is None else self._dim
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
            mean, kernel = whitening.pca(features, dim)
        elif start == "whitening":
            mean, kernel = whitening.whitening(features, dim, shrinkage=shrinkage)
        else:
            own = check_labels([] if labels is None else labels, len(features))
            mean, kernel = whitening.within_class_whitening(features, own, dim, shrinkage=shrinkage)
        kernel = kernel / _length(features, mean, kernel)
        self._map = {"kernel": kernel.astype(np.float32), "bias": (-mean @ kernel).astype(np.float32)}
        self._model = None
        return self

    def begin(self, features: Rows, labels: ArrayLike, seed: int) -> Self:
        """Give the head its start for these features, as `fit` does. Nothing is random."""
        return self.fit(features, labels)

    def keras_model(self) -> keras.Sequential:
        import keras

        self._require_weights()
        if self._model is None and self._map is not None:
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

        layers = []
        if self._options["power"] != 1:
            from devise.heads.power import SignedPower

            layers.append(SignedPower(self._options["power"], name="power"))
        return layers + ([keras.layers.UnitNormalization(name="unit")] if self._options["unit"] else [])

    def _prepare(self, rows):
        """Rows as the linear map takes them."""
        power = self._options["power"]
        rows = rows if power == 1 else np.sign(rows) * np.abs(rows) ** power
        return _unit(rows) if self._options["unit"] else rows

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
        head._map = {name: np.array(weight) for name, weight in weights.items()}
        return head


def _length(features, mean, kernel):
    """The root mean square length of the embeddings of all rows."""
    squares = sum(float((((rows - mean) @ kernel) ** 2).sum()) for _, rows in blocks(features))
    if squares == 0:
        raise ValueError("features are the same in every row, or nothing: there is nothing to learn from them")
    return np.sqrt(squares / len(features))


class _Prepared(Sequence):
    """A matrix whose rows are changed as they are read."""

    def __init__(self, features: Rows, prepare: Callable):
        self._features, self.shape, self._prepare = features, np.shape(features), prepare
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows):
        return self._prepare(np.asarray(self._features[rows], np.float32))


def _unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), SHORTEST)
