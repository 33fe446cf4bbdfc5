"""A head and, beside its embedding, how surely an image is of each class that was learnt on top of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from devise.heads.base import Head, check_weights, restored
from devise.heads.joint import JointHead, dense
from devise.heads.linear import RidgeHead

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from devise.arrays import Rows

LEAST, SURE = 0.2, 0.8  # what the ridge puts out where a class is nearly none, and where it is sure
CAPTIONS = 2.0  # weight of what captions say, beside class probabilities, for the ridge
PENALTIES = (0.1, 0.3, 1.0, 3.0)


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
    input_dim: int | None = None
    dim: int | None = None

    def __init__(self, base: Head, kernel: NDArray, bias: NDArray):
        self.base, self.kernel, self.bias = base, np.asarray(kernel, np.float32), np.asarray(bias, np.float32)
        self.classes = len(self.bias)
        self.input_dim, self.dim = base.input_dim, len(self.kernel) + self.classes + 1

    @classmethod
    def learnt(cls, base: JointHead, features: Rows, labels: NDArray[np.int64], others: NDArray[np.float32], *,
               validation: tuple[Rows, NDArray[np.int64]] | None = None) -> Self:
        """The extension by some classes: a ridge from the embedding onto one column a class, others being none of them.

        Args:
            base: the head that is extended.
            features, labels: (n, input_dim) and int (n,), images of the classes 0 … C - 1.
            others: (m, base.dim), embeddings of images that are of no class in particular.
            validation: (features, labels) that choose the ridge's penalty; None takes images that it leaves out.
        """
        weight = np.ones(others.shape[1], np.float32)
        weight[base.classes:] = CAPTIONS
        n = int(labels.max()) + 1
        ridge = RidgeHead(penalties=PENALTIES).fit(
            np.concatenate([base.embed(features), others]) * weight, np.append(labels, np.full(len(others), n)),
            np.eye(n + 1), validation=validation and (base.embed(validation[0]) * weight, validation[1]))
        kernel, bias = ridge.weights()["kernel"], ridge.weights()["bias"]
        return cls(base, weight[:, None] * kernel[:, :n], bias[:n])

    @property
    def config(self) -> dict:
        return {"kind": self.kind, "input_dim": self.input_dim, "dim": self.dim, "classes": self.classes,
                "base": self.base.config}

    def keras_layers(self) -> list[keras.layers.Layer]:
        """The map as one Keras model, to be put behind a backbone; a copy of its weights."""
        import keras
        from keras import ops

        features = embedded = keras.Input((self.input_dim,))
        for layer in self.base.keras_layers():
            embedded = layer(embedded)
        embedded = keras.layers.UnitNormalization()(embedded)
        span = SURE - LEAST
        sure = ops.clip(dense(self.classes, self.kernel / span, (self.bias - LEAST) / span)(embedded), 0, 1)
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
