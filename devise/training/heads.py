"""What every head is: features in, embeddings out, in blocks, and one file on disk."""

import json
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from devise import arrays
from devise.storage import atomic_path
from devise.training.rows import blocks


class Head(ABC):
    """The trained part: features of `input_dim` columns in, embeddings of `dim` columns out.

    A head knows its own kind and sizes and nothing of pictures or words. `load_head` reads back
    whatever kind `save` wrote.

    >>> from devise.training import RidgeHead
    >>> head = RidgeHead(penalty=1.0).fit(np.eye(4), [0, 1, 0, 1], np.eye(2))
    >>> head.kind, head.input_dim, head.dim, sorted(head.weights())
    ('ridge', 4, 2, ['bias', 'kernel'])
    """

    kind = None
    input_dim = None  # None until the head has weights
    dim = None
    start_counts = False  # whether the weights before training are an answer of their own

    @property
    @abstractmethod
    def config(self):
        """The head without its weights, ready for JSON: kind, input_dim, dim and its options."""

    @abstractmethod
    def _forward(self, rows):
        """Embeddings float32 (n, dim) of float32 rows, of any length."""

    @abstractmethod
    def _weights(self):
        """{name: array}, all that `save` must keep."""

    @classmethod
    @abstractmethod
    def _restore(cls, config, weights):
        """The head of a config and weights that `save` wrote."""

    def outputs(self, features):
        """Embeddings as the head puts them out, of any length: what a loss is given.

        Args:
            features: (n, input_dim), may be memory-mapped.
        Returns:
            float32 (n, dim).
        """
        return self._in_blocks(features, self._forward, self.dim)

    def embed(self, features):
        """Embeddings of length 1, block by block.

        Args:
            features: (n, input_dim), may be memory-mapped.
        Returns:
            float32 (n, dim), unit rows.
        Raises:
            ValueError: if features have other columns, hold NaN or infinity, or get a zero
                embedding, which has no direction and so no cosine with anything.
        """
        return self._in_blocks(features, lambda rows: _unit(self._forward(rows)), self.dim)

    def weights(self):
        """{name: array}, all that decides what the head makes of features.

        Raises:
            ValueError: if the head has no weights yet.
        """
        self._require_weights()
        return self._weights()

    def copy(self):
        """A head of its own with the same weights; training one leaves the other as it is."""
        return self._restore(self.config, {name: np.array(weight) for name, weight in self.weights().items()})

    def save(self, path):
        """Config and weights to one `.npz`, atomically; no pickle.

        Raises:
            ValueError: if the head has no weights yet.
        """
        weights = self.weights()
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, config=np.array(json.dumps(self.config)), **weights)

    @classmethod
    def load(cls, path):
        """The head that `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no head, a head of another kind, or its weights don't fit its config.
        """
        return cls.restored(path, *read(path))

    @classmethod
    def restored(cls, path, config, weights):
        """The head of what `read` gave of a file; the path is for the errors."""
        if config.get("kind") != cls.kind:
            raise ValueError(f"{path} holds a head of kind {config.get('kind')!r}, expected {cls.kind!r}: "
                             "use load_head, which reads every kind")
        try:
            return cls._restore(config, weights)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} holds weights that don't fit its config: {error}") from error

    def _require_weights(self):
        if self.input_dim is None:
            raise ValueError(f"this {self.kind} head has no weights yet: train it or load it first")

    def _in_blocks(self, features, function, columns):
        self._require_weights()
        out = np.empty((len(features), columns), np.float32)
        for start, rows in blocks(features, dim=self.input_dim):
            out[start:start + len(rows)] = function(rows)
        return out


def check_weights(weights, shapes):
    """Refuse weights whose names or shapes are not `shapes`, or that hold NaN or infinity.

    >>> check_weights({"kernel": np.ones((2, 3))}, {"kernel": (2, 3)})
    """
    if set(weights) != set(shapes):
        raise ValueError(f"it has {', '.join(sorted(weights))}; expected {', '.join(sorted(shapes))}")
    for name, shape in shapes.items():
        if weights[name].shape != tuple(shape):
            raise ValueError(f"{name} has shape {weights[name].shape}, expected {tuple(shape)}")
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{name} holds NaN or infinity")


def _unit(rows):
    return arrays.unit_rows(rows, "embeddings")


def read(path):
    """Config and weights of a file that `save` wrote."""
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
    return config, weights
