"""From pictures into the space of the label vectors: what all rules with a learned part have in common."""

from abc import ABC, abstractmethod

import numpy as np

from devise.arrays import BLOCK_BYTES, as_rows, unit_rows
from devise.zeroshot.nearest import NearestLabel


class Projection(ABC):
    """x → embeddings; `onto` candidates it becomes a rule.

    `outputs` and `embed` mean what they mean for a trained head, so that one may stand in for the
    other.

    Attributes:
        x_name: what x is, as an error calls it.
        input_dim, dim: columns of x and of the embeddings; None before `fit`.
        rule: how embeddings are compared with candidates, a class made as `NearestLabel` is.

    >>> from devise.zeroshot import Ridge
    >>> ridge = Ridge(penalty=1.0).fit(np.eye(4), [0, 1, 0, 1], np.eye(2))
    >>> ridge.onto(np.eye(2)).tag(np.eye(4)[:2], k=1).ids.ravel()
    array([0, 1])
    """

    x_name = "features"
    input_dim = None
    dim = None
    rule = NearestLabel

    @abstractmethod
    def _project(self, rows):
        """Embeddings (m, dim) of a few float32 rows (m, input_dim)."""

    def outputs(self, x):
        """Embeddings of any length.

        Args:
            x: (n, input_dim).
        Returns:
            float32 (n, dim).
        Raises:
            ValueError: before `fit`, or if x has other columns, NaN or infinity.
        """
        self._require_fit()
        rows = as_rows(x, self.x_name, self.input_dim)
        out = np.empty((len(rows), self.dim), np.float32)
        step = max(1, BLOCK_BYTES // (4 * self.input_dim))
        for start in range(0, len(rows), step):
            out[start:start + step] = self._project(rows[start:start + step])
        return out

    def embed(self, x):
        """Embeddings of length 1, float32 (n, dim); as `outputs`, and a zero embedding is refused."""
        return unit_rows(self.outputs(x), "embeddings")

    def onto(self, candidates):
        """The rule that tags x with these candidates.

        Args:
            candidates: (c, dim), any length but zero; they need not have been there at `fit`.
        """
        self._require_fit()
        return self.rule(unit_rows(candidates, "candidate vectors", self.dim), self.outputs)

    def _require_fit(self):
        if self.dim is None:
            raise ValueError(f"this {type(self).__name__} is not fitted yet: "
                             "call fit(x, labels, class_vectors) first")


class LinearProjection(Projection):
    """f(x) = xᵀW + b, found from labelled pictures; a subclass says how, in `_solve`.

    Attributes:
        kernel: W, float32 (input_dim, dim).
        bias: b, float32 (dim,).

    >>> from devise.zeroshot import Ridge
    >>> isinstance(Ridge(penalty=1.0), LinearProjection)
    True
    """

    kernel = bias = None

    @abstractmethod
    def _solve(self, x, labels, vectors, random):
        """Kernel and bias.

        Args:
            x: float32 (n, input_dim).
            labels: int64 (n,), rows of `vectors`; every row has pictures.
            vectors: float32 (classes, dim), unit rows.
            random: numpy.random.Generator.
        """

    @property
    def input_dim(self):
        return None if self.kernel is None else self.kernel.shape[0]

    @property
    def dim(self):
        return None if self.kernel is None else self.kernel.shape[1]

    def fit(self, x, labels, class_vectors, *, seed=0):
        """Learn from pictures of seen classes.

        Args:
            x: (n, d) features.
            labels: int (n,), rows of `class_vectors`.
            class_vectors: (C, dim), used as unit rows; those of classes without pictures play no
                part.
            seed: for what is drawn at random, if anything.
        Returns:
            the projection itself.
        Raises:
            ValueError: if the arrays don't fit, hold NaN or infinity, or there are fewer than two
                classes.
        """
        x, vectors = as_rows(x, "features"), unit_rows(class_vectors, "class vectors")
        # a class without pictures must not be pushed away: it may be one to find later
        seen, labels = np.unique(_checked(labels, len(x), len(vectors)), return_inverse=True)
        if len(seen) < 2:
            raise ValueError(f"labels hold {len(seen)} class: expected two or more, else there is nothing "
                             "to tell apart")
        kernel, bias = self._solve(x, labels, vectors[seen], np.random.default_rng(seed))
        self.kernel, self.bias = kernel.astype(np.float32), np.asarray(bias, np.float32)
        return self

    def _project(self, rows):
        return rows @ self.kernel + self.bias


def positive(**options):
    """Refuse options that are no number above 0.

    >>> positive(penalty=0.1)
    """
    for name, value in options.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value}: expected a number above 0")


def standardised(x):
    """Features moved to mean 0 and scaled, all by one factor, to a mean square length of 1.

    Args:
        x: (n, d).
    Returns:
        (x - middle) / scale, middle (d,) and scale.
    Raises:
        ValueError: if all rows are the same.

    >>> standardised(np.array([[1.0, 5.0], [5.0, 5.0]]))[0]
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    if not np.ptp(x, axis=0).any():  # asked of x itself: centred, rounding would make it differ
        raise ValueError("features are the same in every row: there is nothing to learn from them")
    middle = x.mean(axis=0)
    rows = x - middle
    scale = np.sqrt(np.square(rows).sum(axis=1).mean())
    return rows / scale, middle, scale


def _checked(labels, n, n_classes):
    labels = np.asarray(labels)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype} {labels.shape}: expected integers ({n},), one a picture")
    if n and not 0 <= labels.min() <= labels.max() < n_classes:
        raise ValueError(f"labels run from {labels.min()} to {labels.max()}: expected 0 to {n_classes - 1}, "
                         "rows of the class vectors; leave out pictures without a label (-1)")
    return labels
