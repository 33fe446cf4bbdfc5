"""The trained head of DeViSE: dense layers with batch normalisation and dropout."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from devise.heads.base import Head, check_weights

if TYPE_CHECKING:
    import keras
    from numpy.typing import ArrayLike, NDArray

    from devise.arrays import Rows

EPSILON = 1e-3  # of Keras' batch normalisation
NORMALISATION = ("gamma", "beta", "moving_mean", "moving_variance")
ACTIVATIONS = {"relu": lambda rows: np.maximum(rows, 0), "linear": lambda rows: rows, "tanh": np.tanh}


@dataclass(frozen=True)
class HeadConfig:
    """The layers of an `MlpHead`.

    Attributes:
        dim: columns of the embeddings, those of the label vectors.
        sizes: units of each hidden layer; () for a linear head.
        activation: any activation that Keras knows by name.
        dropout: fraction of hidden units dropped in training, 0 <= dropout < 1.
        batch_norm: whether each dense layer is followed by batch normalisation.
    Raises:
        ValueError: if one of them is out of range.

    >>> HeadConfig(dim=300).sizes
    (2000,)
    """

    dim: int
    sizes: tuple[int, ...] = (2000,)
    activation: str = "relu"
    dropout: float = 0.5
    batch_norm: bool = True

    def __post_init__(self):
        object.__setattr__(self, "sizes", tuple(self.sizes))
        for size in (self.dim, *self.sizes):
            if not isinstance(size, (int, np.integer)) or size < 1:
                raise ValueError(f"dim is {self.dim!r} and sizes are {self.sizes}: "
                                 "expected whole numbers from 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}: expected 0 <= dropout < 1")


class MlpHead(Head):
    """[Dense → BatchNorm → activation → Dropout] for each hidden size, then Dense → BatchNorm.

    With 4096 features, one hidden layer of 2000 and 300 dimensions it has 8,798,900 trainable
    parameters and 4,600 that are not (the running means and variances). Keras trains it; NumPy
    computes its embeddings.

    Args:
        config: a HeadConfig.

    >>> MlpHead(HeadConfig(dim=2, sizes=(4,))).build(3).embed(np.ones((5, 3))).shape
    (5, 2)
    """

    kind = "mlp"
    trains = True

    def __init__(self, config: HeadConfig):
        self._layout, self.dim = config, config.dim
        self._options = {**asdict(config), "sizes": list(config.sizes)}
        self._saved: dict[str, NDArray[np.float32]] = {}
        self._model: keras.Sequential | None = None  # made for training, and for what works on layers

    @property
    def inner(self) -> dict[str, Head]:
        """{"hidden": the last hidden layer as a HiddenHead}; {} without one."""
        return {"hidden": HiddenHead(self)} if self._layout.sizes else {}

    def build(self, input_dim: int, seed: int = 0) -> Self:
        """Make the layers with fresh weights: Glorot uniform kernels, zero biases; the seed is also the dropout's."""
        self._model, self._saved = _network(self._layout, int(input_dim), seed), {}
        self.input_dim = int(input_dim)
        return self

    def begin(self, features: Rows, labels: ArrayLike, seed: int) -> Self:
        """Give the head fresh weights for the columns of these features."""
        return self.build(np.shape(features)[1], seed)

    def keras_model(self) -> keras.Sequential:
        self._require_weights()
        if self._model is None:
            model = _network(self._layout, self.input_dim)
            for name, variable in _variables(model).items():
                variable.assign(self._saved[name])
            self._model, self._saved = model, {}
        return self._model

    def keras_layers(self) -> list[keras.layers.Layer]:
        """The head's layers in order, to be put behind a backbone; they share its weights."""
        return list(self.keras_model().layers)

    def _forward(self, rows):
        weights = self._weights()
        return self._dense(weights, "embedding", self._hidden(weights, rows))

    def _hidden(self, weights, rows):
        """The last hidden activation of rows; the rows themselves without a hidden layer."""
        activation = ACTIVATIONS.get(self._layout.activation) or _of_keras(self._layout.activation)
        for number in range(1, len(self._layout.sizes) + 1):
            rows = activation(self._dense(weights, f"hidden_{number}", rows))
        return rows

    def _dense(self, weights, name, rows):
        rows = rows @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]
        if not self._layout.batch_norm:
            return rows
        gamma, beta, mean, variance = (weights[f"{name}_norm/{part}"] for part in NORMALISATION)
        return (rows - mean) * (gamma / np.sqrt(variance + EPSILON)) + beta

    def _weights(self):
        return self._saved or {name: np.asarray(weight) for name, weight in _variables(self._model).items()}

    def _shapes(self, input_dim):
        """{name: shape} of all weights."""
        shapes: dict[str, tuple[int, ...]] = {}
        names = (*(f"hidden_{number}" for number in range(1, len(self._layout.sizes) + 1)), "embedding")
        for name, size in zip(names, (*self._layout.sizes, self.dim), strict=True):
            shapes |= {f"{name}/kernel": (input_dim, size), f"{name}/bias": (size,)}
            if self._layout.batch_norm:
                shapes |= {f"{name}_norm/{part}": (size,) for part in NORMALISATION}
            input_dim = size
        return shapes

    @classmethod
    def _restore(cls, config, weights):
        options = {name: value for name, value in config.items() if name not in ("kind", "input_dim")}
        head = cls(HeadConfig(**options))
        head.input_dim, shapes = config["input_dim"], head._shapes(config["input_dim"])
        check_weights(weights, shapes)
        head._saved = {name: np.asarray(weights[name], np.float32) for name in shapes}
        return head


class HiddenHead(Head):
    """The activations of an MlpHead's last hidden layer; it shares the weights of that head.

    Args:
        head: an MlpHead with a hidden layer.
    Raises:
        ValueError: if it has none.

    >>> HiddenHead(MlpHead(HeadConfig(dim=2, sizes=(4,))).build(3)).dim
    4
    """

    kind = "hidden"

    def __init__(self, head: MlpHead):
        sizes = head.config["sizes"]
        if not sizes:
            raise ValueError("this head has no hidden layer: its sizes are ()")
        self._head, self.input_dim, self.dim = head, head.input_dim, sizes[-1]
        self._options = {"of": head.config}

    def keras_layers(self) -> list[keras.layers.Layer]:
        """The layers up to the last hidden activation; they share the weights."""
        layers = self._head.keras_layers()
        last = [layer.name for layer in layers].index(f"hidden_{len(self._head.config['sizes'])}_activation")
        return layers[:last + 1]

    def _forward(self, rows):
        return self._head._hidden(self._head._weights(), rows)

    def _weights(self):
        return self._head.weights()

    @classmethod
    def _restore(cls, config, weights):
        return cls(MlpHead._restore(config["of"], weights))


def _of_keras(activation):
    """An activation that only Keras knows, as a function of arrays."""
    import keras

    function = keras.activations.get(activation)
    return lambda rows: np.asarray(function(rows))


def _network(layout, input_dim, seed=0):
    import keras

    return keras.Sequential([keras.Input((input_dim,), name="features"), *_layers(layout, seed)], name="head")


def _variables(model):
    """{name: variable} of a head's network; {} without one."""
    return {f"{layer.name}/{weight.name}": weight for layer in (model.layers if model else ())
            for weight in layer.weights}


def _layers(layout, seed):
    """The layers of a layout, each random one with a seed of its own."""
    from keras import initializers, layers

    seeds = iter(np.random.default_rng(seed).integers(2**31, size=2 * len(layout.sizes) + 1).tolist())

    def dense(units, name):
        kernel = initializers.GlorotUniform(seed=next(seeds))
        norm = [layers.BatchNormalization(name=f"{name}_norm")] if layout.batch_norm else []
        return [layers.Dense(units, kernel_initializer=kernel, name=name), *norm]

    stack = []
    for number, size in enumerate(layout.sizes, start=1):
        stack += [*dense(size, f"hidden_{number}"),
                  layers.Activation(layout.activation, name=f"hidden_{number}_activation"),
                  layers.Dropout(layout.dropout, seed=next(seeds), name=f"hidden_{number}_dropout")]
    return stack + dense(layout.dim, "embedding")
