"""The head of the space that comes with devise: class probabilities and what captions say, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from devise.arrays import Packed
from devise.heads.base import Head, check_weights
from devise.heads.conse import probabilities

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

ROOTS = 3.0  # weight of the features beside the class probabilities


class JointHead(Head):
    """Square roots of class probabilities, and beside them a linear map that was learnt from captions.

    f(x) = [q, b] / √2, where q = √p are the square roots of the classifier's probabilities, a vector of length 1
    whose inner products are Bhattacharyya coefficients, and b is the direction of
    [3 (√x / |√x| - m), q - n] H, m and n being means over the training images.

    Args:
        weights: {name: array}: "kernel" int8 (C, input_dim) with "kernel_scale" (C,) and "bias" (C,), the classifier
            behind the features; "feature_mean" (input_dim,) and "class_mean" (C,), m and n; "map" int8
            (input_dim + C, d) with "map_scale" (input_dim + C,), H.
    Attributes:
        classes: C, the first columns of an embedding.
        dim: C + d.

    >>> from devise.arrays import pack
    >>> kernel, learnt = pack(np.eye(3)[:2]), pack(np.ones((5, 1)))
    >>> head = JointHead({"kernel": kernel.rows, "kernel_scale": kernel.scale, "bias": np.zeros(2),
    ...                   "feature_mean": np.zeros(3), "class_mean": np.zeros(2), "map": learnt.rows,
    ...                   "map_scale": learnt.scale})
    >>> head.embed([[0.0, 0.0, 1.0]]).round(2)
    array([[0.5 , 0.5 , 0.71]], dtype=float32)
    """

    kind = "joint"
    input_dim: int | None = None
    dim: int | None = None

    def __init__(self, weights: Mapping[str, NDArray]):
        self._held = dict(weights)
        self.classes, self.input_dim = self._held["kernel"].shape
        self.dim = self.classes + self._held["map"].shape[1]
        self._kernel = Packed(self._held["kernel"], self._held["kernel_scale"]).unpacked().T
        self._map = Packed(self._held["map"], self._held["map_scale"]).unpacked()
        self._bias, self._feature_mean, self._class_mean = (
            np.asarray(self._held[name], np.float32) for name in ("bias", "feature_mean", "class_mean"))

    @property
    def config(self) -> dict:
        return {"kind": self.kind, "input_dim": self.input_dim, "dim": self.dim, "classes": self.classes}

    def keras_layers(self) -> list[keras.layers.Layer]:
        """The map as one Keras model, to be put behind a backbone; a copy of its weights."""
        import keras
        from keras import ops

        features = keras.Input((self.input_dim,))
        roots = ops.sqrt(dense(self.classes, self._kernel, self._bias, activation="softmax")(features))
        directed = keras.layers.UnitNormalization()(ops.sqrt(ops.relu(features)))
        scale = np.repeat(np.array([ROOTS, 1], np.float32), [self.input_dim, self.classes])
        means = np.concatenate([ROOTS * self._feature_mean, self._class_mean])
        told = dense(self._map.shape[1], scale[:, None] * self._map, -means @ self._map)(
            ops.concatenate([directed, roots], axis=-1))
        halves = ops.concatenate([roots, keras.layers.UnitNormalization()(told)], axis=-1)
        return [keras.Model(features, halves / np.sqrt(2), name=self.kind)]

    def _forward(self, rows):
        roots = np.sqrt(probabilities(rows @ self._kernel + self._bias))
        told = map_inputs(rows, roots, self._feature_mean, self._class_mean) @ self._map
        return np.hstack([roots, directions(told)]) / np.float32(np.sqrt(2))

    def _weights(self):
        return self._held

    @classmethod
    def _restore(cls, config: dict, weights: dict[str, NDArray]) -> Self:
        dim, classes = config["input_dim"], config["classes"]
        check_weights(weights, {"kernel": (classes, dim), "kernel_scale": (classes,), "bias": (classes,),
                                "feature_mean": (dim,), "class_mean": (classes,),
                                "map": (dim + classes, config["dim"] - classes), "map_scale": (dim + classes,)})
        return cls(weights)


def dense(width: int, kernel: NDArray, bias: NDArray, **options: Any) -> keras.layers.Dense:
    """A Dense layer with these weights."""
    import keras

    layer = keras.layers.Dense(width, **options)
    layer.build((None, len(kernel)))
    layer.set_weights([kernel, bias])
    return layer


def map_inputs(features: NDArray[np.float32], roots: NDArray[np.float32], feature_mean: NDArray[np.float32],
               class_mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the learnt map of a JointHead takes: [3 (√x / |√x| - m), q - n], float32 (n, input_dim + C).

    Args:
        features: (n, input_dim), x; what is below 0 counts as 0.
        roots: (n, C), q, square roots of class probabilities.
        feature_mean, class_mean: m and n.

    >>> map_inputs(np.ones((1, 4)), np.ones((1, 1)), np.full(4, 0.5), np.zeros(1))
    array([[0., 0., 0., 0., 1.]])
    """
    return np.hstack([ROOTS * (directions(np.sqrt(np.maximum(features, 0))) - feature_mean), roots - class_mean])


def directions(rows: NDArray) -> NDArray:
    """Each row divided by its length; a zero row stays zero.

    >>> directions(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
