"""The head of the space that comes with devise: class probabilities, what captions say, and classes learnt beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np

from devise.arrays import Packed
from devise.heads.base import Head, check_weights, dense, probabilities, restored
from devise.heads.linear import RidgeHead

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from devise.arrays import Rows

ROOTS = 3.0  # weight of the features beside the class probabilities
LEAST, SURE = 0.2, 0.8  # what the ridge puts out where a class is nearly none, and where it is sure
CAPTIONS = 2.0  # weight of what captions say, beside class probabilities, for the ridge
PENALTIES = (0.1, 0.3, 1.0, 3.0)


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

    def __init__(self, weights: Mapping[str, NDArray]):
        self._held = dict(weights)
        self.classes, self.input_dim = self._held["kernel"].shape
        self.dim = self.classes + self._held["map"].shape[1]
        self._kernel = Packed(self._held["kernel"], self._held["kernel_scale"]).unpacked().T
        self._map = Packed(self._held["map"], self._held["map_scale"]).unpacked()
        self._bias, self._feature_mean, self._class_mean = (
            np.asarray(self._held[name], np.float32) for name in ("bias", "feature_mean", "class_mean"))
        self._options = {"classes": self.classes}

    def keras_layers(self) -> list[keras.layers.Layer]:
        """The map as one Keras model, to be put behind a backbone; a copy of its weights."""
        import keras
        from keras import ops

        features = keras.Input((self.input_dim,))
        roots = ops.sqrt(dense(self._kernel, self._bias, activation="softmax")(features))
        directed = keras.layers.UnitNormalization()(ops.sqrt(ops.relu(features)))
        scale = np.repeat(np.array([ROOTS, 1], np.float32), [self.input_dim, self.classes])
        means = np.concatenate([ROOTS * self._feature_mean, self._class_mean])
        told = dense(scale[:, None] * self._map, -means @ self._map)(ops.concatenate([directed, roots], axis=-1))
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


class ExtendedHead(Head):
    """The embedding of another head, and beside it a column for each class that was learnt on top.

    f(x) = [e, a, √(1 - |a|²)] / √2, where e is the other head's unit row, a = clip((e W + b - 0.2) / 0.6, 0, 1),
    divided by its length where that is above 1, and the last column fills up what it lacks of 1. So every row has
    the same length, and a text without a class of its own ranks images as it did by e alone.

    Args:
        base: the other head.
        kernel, bias: float32 (base.dim, C) and (C,), W and b.
    Attributes:
        classes: C, the columns behind the first base.dim ones.

    >>> from devise.heads import RawHead
    >>> head = ExtendedHead(RawHead(2), np.array([[1.0], [0.0]]), np.zeros(1))
    >>> head.embed([[5.0, 0.0], [0.0, 3.0]]).round(2)
    array([[0.71, 0.  , 0.71, 0.  ],
           [0.  , 0.71, 0.  , 0.71]], dtype=float32)
    """

    kind = "extended"

    def __init__(self, base: Head, kernel: NDArray, bias: NDArray):
        self.base, self.kernel, self.bias = base, np.asarray(kernel, np.float32), np.asarray(bias, np.float32)
        self.classes = len(self.bias)
        self.input_dim, self.dim = base.input_dim, len(self.kernel) + self.classes + 1
        self._options = {"classes": self.classes, "base": base.config}

    @classmethod
    def learnt(cls, base: JointHead, features: Rows, labels: NDArray[np.int64], others: NDArray[np.float32], *,
               validation: tuple[Rows, NDArray[np.int64]] | None = None) -> Self:
        """The extension by classes 0 … C - 1: a ridge from the embedding onto one column a class.

        `others` (m, base.dim) are embeddings of images of no class in particular; `validation` chooses the
        ridge's penalty, without it the images that it leaves out do.
        """
        weight = np.ones(others.shape[1], np.float32)
        weight[base.classes:] = CAPTIONS
        n = int(labels.max()) + 1
        ridge = RidgeHead(penalties=PENALTIES).fit(
            np.concatenate([base.embed(features), others]) * weight, np.append(labels, np.full(len(others), n)),
            np.eye(n + 1), validation=validation and (base.embed(validation[0]) * weight, validation[1]))
        kernel, bias = ridge.weights()["kernel"], ridge.weights()["bias"]
        return cls(base, weight[:, None] * kernel[:, :n], bias[:n])

    def keras_layers(self) -> list[keras.layers.Layer]:
        """The map as one Keras model, to be put behind a backbone; a copy of its weights."""
        import keras
        from keras import ops

        features = embedded = keras.Input((self.input_dim,))
        for layer in self.base.keras_layers():
            embedded = layer(embedded)
        embedded = keras.layers.UnitNormalization()(embedded)
        span = SURE - LEAST
        sure = ops.clip(dense(self.kernel / span, (self.bias - LEAST) / span)(embedded), 0, 1)
        lengths = ops.norm(sure, axis=-1, keepdims=True)
        rest = ops.sqrt(1 - ops.minimum(lengths, 1) ** 2)
        outputs = ops.concatenate([embedded, sure / ops.maximum(lengths, 1), rest], axis=-1)
        return [keras.Model(features, outputs / np.sqrt(2), name=self.kind)]

    def no_gradient(self) -> ValueError:
        return ValueError("the extended head, learnt beside the model that comes with devise, is a closed form: train "
                          "from nothing (`devise train --from none`, in Python None for start)")

    def _forward(self, rows):
        embedded = self.base.embed(rows)
        sure = np.clip((embedded @ self.kernel + self.bias - LEAST) / (SURE - LEAST), 0, 1)
        lengths = np.linalg.norm(sure, axis=1, keepdims=True)
        rest = np.sqrt(1 - np.minimum(lengths, 1) ** 2)
        return np.hstack([embedded, sure / np.maximum(lengths, 1), rest]) / np.float32(np.sqrt(2))

    def _weights(self):
        return {"kernel": self.kernel, "bias": self.bias,
                **{f"base.{name}": weight for name, weight in self.base.weights().items()}}

    @classmethod
    def _restore(cls, config: dict, weights: dict[str, NDArray]) -> Self:
        inner = {name.removeprefix("base."): weight for name, weight in weights.items() if name.startswith("base.")}
        own = {name: weight for name, weight in weights.items() if not name.startswith("base.")}
        n = config["classes"]
        check_weights(own, {"kernel": (config["dim"] - n - 1, n), "bias": (n,)})
        return cls(restored("its base", config["base"], inner), own["kernel"], own["bias"])


def map_inputs(features: NDArray[np.float32], roots: NDArray[np.float32], feature_mean: NDArray[np.float32],
               class_mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the learnt map of a JointHead takes of features x and roots q: [3 (√x / |√x| - m), q - n]."""
    return np.hstack([ROOTS * (directions(np.sqrt(np.maximum(features, 0))) - feature_mean), roots - class_mean])


def directions(rows: NDArray) -> NDArray:
    """Each row divided by its length; a zero row stays zero."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
