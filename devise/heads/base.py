"""What every head is: features in, embeddings out, in blocks, and one file on disk; checks of what it is given."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

from devise import arrays
from devise.errors import unknown
from devise.storage import atomic_path

if TYPE_CHECKING:
    import keras
    from numpy.typing import ArrayLike, NDArray

    from devise.arrays import Rows

KINDS: dict[str, type[Head]] = {}  # every class of heads by its kind
BLOCK_ROWS = 2048  # rows that pass through a head at once; bounds memory whatever the number of rows


class Head(ABC):
    """A map from features (n, input_dim) to embeddings (n, dim).

    A head knows its own kind and sizes and nothing of images. `load_head` reads back whatever kind
    `save` wrote.

    Attributes:
        kind: the name of the class in files and reports.
        input_dim: columns of the features; None until the head has weights.
        dim: columns of the embeddings; None where only the weights decide it.
        trains: whether `devise.training.train` can fit it by gradient steps.
        start_counts: whether the weights before training are an answer of their own.
        comparison: "cosine" or "inner product", how candidates are ranked, see `devise.zeroshot.onto`.

    >>> from devise.heads import RidgeHead
    >>> head = RidgeHead(penalty=1.0).fit(np.eye(4), [0, 1, 0, 1], np.eye(2))
    >>> head.kind, head.input_dim, head.dim, sorted(head.weights())
    ('ridge', 4, 2, ['bias', 'kernel'])
    """

    kind: ClassVar[str] = ""
    trains: ClassVar[bool] = False
    start_counts: ClassVar[bool] = False
    comparison: ClassVar[str] = "cosine"
    takes: str = "features"  # what an error calls the rows that it is given
    input_dim: int | None = None
    dim: int | None = None
    _options: Mapping[str, Any] = MappingProxyType({})  # what of the config is not in every head's

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if cls.kind:
            KINDS[cls.kind] = cls

    @property
    def config(self) -> dict:
        """The head without its weights, ready for JSON: kind, input_dim, dim and its options."""
        return {"kind": self.kind, "input_dim": self.input_dim, "dim": self.dim, **self._options}

    @abstractmethod
    def _forward(self, rows: NDArray[np.float32]) -> NDArray:
        """Embeddings (n, dim) of float32 rows, of any length."""

    @abstractmethod
    def _weights(self) -> dict[str, NDArray]:
        """{name: array}, all that `save` must keep."""

    @classmethod
    @abstractmethod
    def _restore(cls, config: dict, weights: dict[str, NDArray]) -> Self:
        """The head of a config and weights that `save` wrote."""

    @property
    def inner(self) -> dict[str, Head]:
        """Further spaces on the way to the embeddings, {name: Head}; they share the weights."""
        return {}

    def outputs(self, features: Rows) -> NDArray[np.float32]:
        """Embeddings as the head puts them out, float32 (n, dim) of any length: what a loss is given.

        Args:
            features: (n, input_dim), may be memory-mapped.
        Raises:
            ValueError: if the head has no weights, or features have other columns, NaN or infinity.
        """
        return self._in_blocks(features, self._forward)

    def embed(self, features: Rows) -> NDArray[np.float32]:
        """Embeddings of length 1, float32 (n, dim), of features as `outputs` takes them.

        Raises:
            ValueError: as `outputs`, and for a zero embedding, which has no direction.
        """
        return self._in_blocks(features, lambda rows: arrays.unit_rows(self._forward(rows), "embeddings"))

    def begin(self, features: Rows, labels: ArrayLike, seed: int) -> Self:
        """Give the head fresh weights for these features, from which gradient training starts.

        Raises:
            ValueError: if the head is not trained by gradient steps.
        """
        raise self.no_gradient()

    def keras_model(self) -> keras.Sequential:
        """The network whose weights gradient training changes: features in, embeddings of any length out.

        Raises:
            ValueError: if the head is not trained by gradient steps, or has no weights yet.
        """
        raise self.no_gradient()

    def keras_layers(self) -> list[keras.layers.Layer]:
        """The head as layers in order, to be put behind a backbone.

        Raises:
            ValueError: if the head is no network, or has no weights yet.
        """
        raise ValueError(f"the {self.kind} head is no network: train a model, its head will be one")

    def weights(self) -> dict[str, NDArray]:
        """{name: array}, all that decides what the head makes of features.

        Raises:
            ValueError: if the head has no weights yet.
        """
        self._require_weights()
        return self._weights()

    def copy(self) -> Self:
        """A head of its own with the same weights; training one leaves the other as it is."""
        return self._restore(self.config, {name: np.array(weight) for name, weight in self.weights().items()})

    def save(self, path: str | Path) -> None:
        """Config and weights to one `.npz`, atomically; no pickle.

        Raises:
            ValueError: if the head has no weights yet.
        """
        weights: dict[str, Any] = self.weights()
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, config=np.array(json.dumps(self.config)), **weights)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The head of this class that `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no head, a head of another kind, or its weights don't fit its config.
        """
        head = load_head(path)
        if head.kind != cls.kind:
            raise ValueError(f"{path} holds a head of kind {head.kind!r}, expected {cls.kind!r}: "
                             "use load_head, which reads every kind")
        return cast(Self, head)

    def no_gradient(self) -> ValueError:
        """The error of a head that is not trained by gradient steps: what to do instead."""
        return ValueError(f"the {self.kind} head is a closed form: train an mlp head, which has a gradient")

    def _require_weights(self) -> int:
        """The columns of the embeddings, which a head with weights knows."""
        if self.input_dim is None or self.dim is None:
            raise ValueError(f"this {self.kind} head has no weights yet: train it or load it first")
        return self.dim

    def _in_blocks(self, features: Rows, function: Callable[[NDArray], NDArray]) -> NDArray[np.float32]:
        out = np.empty((len(features), self._require_weights()), np.float32)
        for start, rows in blocks(features, name=self.takes, dim=self.input_dim):
            out[start:start + len(rows)] = function(rows)
        return out


class RawHead(Head):
    """The features themselves, as unit rows; nothing is learned.

    Args:
        dim: columns of the features.

    >>> RawHead(2).embed([[3.0, 4.0]])
    array([[0.6, 0.8]], dtype=float32)
    """

    kind = "raw"

    def __init__(self, dim: int):
        self.input_dim = self.dim = int(dim)

    def keras_layers(self) -> list[keras.layers.Layer]:
        return []

    def _forward(self, rows):
        return rows

    def _weights(self):
        return {}

    @classmethod
    def _restore(cls, config, weights):
        check_weights(weights, {})
        return cls(config["dim"])


def load_head(path: str | Path) -> Head:
    """The head in a file, of whatever kind.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no head, or its weights don't fit its config.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     RawHead(3).save(f"{folder}/head.npz")
    ...     load_head(f"{folder}/head.npz").kind
    'raw'
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: expected a head's weights, as save() writes them")
    try:
        weights = arrays.read_npz(path)
        config = json.loads(str(weights.pop("config")))
        if not isinstance(config, dict):
            raise ValueError("its config is not an object")
    except Exception as error:  # damaged bytes make a zip reader raise nearly anything
        raise ValueError(f"{path} can't be read as a head ({error}): it is damaged or something else, "
                         "train the head again") from error
    return restored(path, config, weights)


def restored(path: str | Path, config: dict, weights: dict[str, NDArray]) -> Head:
    """The head of a config and weights, which must fit; the path is for the errors.

    >>> restored("head.npz", RawHead(3).config, {}).dim
    3
    """
    kind = config.get("kind")
    if kind not in KINDS:
        raise ValueError(f"{path}: {unknown('kind of head', str(kind), KINDS)}")
    try:
        return KINDS[kind]._restore(config, weights)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} holds weights that don't fit its config: {error}") from error


def check_weights(weights: Mapping[str, NDArray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights whose names or shapes are not `shapes`, or that hold NaN or infinity."""
    if set(weights) != set(shapes):
        found, expected = (", ".join(sorted(names)) or "none" for names in (weights, shapes))
        raise ValueError(f"it has {found}; expected {expected}")
    for name, shape in shapes.items():
        if weights[name].shape != tuple(shape):
            raise ValueError(f"{name} has shape {weights[name].shape}, expected {tuple(shape)}")
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{name} holds NaN or infinity")


def blocks(features: Rows, *, name: str = "features",
           dim: int | None = None) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(first row, float32 (m, d)) of a matrix, m <= BLOCK_ROWS, checked: finite, and of `dim` columns if given."""
    if np.ndim(features) != 2:
        raise ValueError(f"{name} have shape {np.shape(features)}: expected (n, dim), one row an image")
    for start in range(0, len(features), BLOCK_ROWS):
        where = name if start == 0 else f"{name} from row {start} on"
        yield start, arrays.as_rows(features[start:start + BLOCK_ROWS], where, dim)


def probabilities(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """The softmax of each row, exp(z/T) / Σ exp(z/T)."""
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / np.float32(temperature))
    return powers / powers.sum(axis=1, keepdims=True)


def dense(kernel: NDArray, bias: NDArray, **options: Any) -> keras.layers.Dense:
    """A Dense layer with these weights."""
    import keras

    layer = keras.layers.Dense(len(bias), **options)
    layer.build((None, len(kernel)))
    layer.set_weights([kernel, bias])
    return layer


def check_labels(labels: ArrayLike, n: int, *, n_labels: int | None = None,
                 name: str = "labels") -> NDArray[np.int64]:
    """Labels as int64 (n,), one a feature row; refuses what is no whole number in 0..n_labels - 1."""
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise ValueError(f"{name} have shape {labels.shape} but there are {n} feature rows: expected ({n},)")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name} are {labels.dtype}: expected whole numbers, rows of the label vectors")
    bad = np.flatnonzero((labels < 0) | (labels >= (np.inf if n_labels is None else n_labels)))
    if bad.size:
        above = "from 0" if n_labels is None else f"in 0..{n_labels - 1}"
        raise ValueError(f"{name} hold {labels[bad[0]]} in row {bad[0]}, expected {above}: "
                         "leave out rows without a label (-1)")
    return labels.astype(np.int64)


def check_classes(labels: NDArray) -> None:
    """Refuse labels of fewer than two classes: there is nothing to tell apart."""
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"labels hold {len(classes)} class: expected two or more, else there is "
                         "nothing to tell apart")
