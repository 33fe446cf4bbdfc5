"""Losses onto labels: towards each one's vector, nearer to it than to any other (DeViSE), or by a classifier."""

from __future__ import annotations

import math

import numpy as np
from keras import KerasTensor as Tensor
from keras import Variable, ops, random
from numpy.typing import ArrayLike

from devise import arrays
from devise.arrays import Rows
from devise.errors import above
from devise.losses.base import Loss
from devise.losses.scores import label_scores, own_scores, unit

MARGIN = 0.1
NEGATIVES = ("all", "first violation")
TEMPERATURE = 0.07
LOWEST_TEMPERATURE = 0.01  # of a learned one


def cosine_loss(labels: ArrayLike, embeddings: ArrayLike | Tensor, label_vectors: Rows) -> Tensor:
    """The mean of 1 - cosine between each embedding and the vector of its label, in 0..2.

    loss = 1/n Σ_i (1 - e_i · v_{y_i} / (|e_i| |v_{y_i}|)). The lengths of both don't matter.

    Args:
        labels: int (n,), rows of `label_vectors`.
        embeddings: float (n, d).
        label_vectors: float (C, d).
    Returns:
        a scalar tensor, NaN where a label is no row.

    >>> float(cosine_loss([0, 1], [[2.0, 0.0], [3.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]))
    0.5
    """
    embeddings = ops.convert_to_tensor(embeddings)
    rows = ops.cast(labels, "int32")  # Keras' compile hands labels over as floats
    known = ops.logical_and(rows >= 0, rows < len(label_vectors))  # take would count -1 from the end
    targets = ops.cast(ops.take(label_vectors, ops.where(known, rows, 0), axis=0), embeddings.dtype)
    cosines = ops.sum(unit(embeddings) * unit(targets), axis=-1)
    return ops.mean(ops.where(known, 1 - cosines, float("nan")))


class Cosine(Loss):
    """`cosine_loss` onto fixed label vectors.

    It asks for the direction of the label's vector and says nothing about the other labels;
    the hinge rank loss of DeViSE (Frome et al. 2013, section 3.2) compares them: `HingeRank`.

    Args:
        label_vectors: (C, d), one row a label; kept as unit rows.
    Raises:
        ValueError: if a row is zero, NaN or infinite.

    >>> float(Cosine([[1.0, 0.0], [0.0, 2.0]])([1], [[0.0, 5.0]]))
    0.0
    """

    name = "cosine"

    def __init__(self, label_vectors: ArrayLike):
        self.label_vectors = arrays.unit_rows(label_vectors, "label vectors")
        self.n_labels, self.dim = self.label_vectors.shape

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        return cosine_loss(labels, embeddings, self.label_vectors)


def hinge_costs(labels: ArrayLike, embeddings: ArrayLike | Tensor, label_vectors: ArrayLike, *,
                margin: float = MARGIN, normalise: bool = False) -> Tensor:
    """How far each other label comes within the margin of the right one, or ahead of it.

    cost(i, j) = max(0, margin - t_{y_i} · e_i + t_j · e_i) for j ≠ y_i, and 0 for j = y_i.

    Args:
        labels: int (n,), rows of `label_vectors`.
        embeddings: float (n, d).
        label_vectors: float (C, d), unit rows.
        normalise: take the embeddings at length 1.
    Returns:
        a tensor (n, C), NaN in the rows whose label is none of the C.

    >>> hinge_costs([0], [[0.5, 1.0]], [[1.0, 0.0], [0.0, 1.0]], margin=0.25).numpy().tolist()
    [[0.0, 0.75]]
    """
    scores = label_scores(embeddings, label_vectors, normalise=normalise)
    own, right = own_scores(labels, scores)
    return ops.where(own, 0, ops.relu(margin - right + scores))


class HingeRank(Loss):
    """The hinge rank loss of DeViSE (Frome et al. 2013, section 3.3, equation 1).

    loss = 1/n Σ_i Σ_{j ≠ y_i} max(0, margin - t_{y_i} · e_i + t_j · e_i), where t are the label
    vectors at length 1 and e the embeddings as the head puts them out: the paper gives them no
    length, so the margin weighs less the longer they are. With `normalise` the scores are cosines.

    The paper looks at the false labels in a random order and stops at the first that violates the
    margin. That one is any of the violating labels with the same chance, and is drawn here as such,
    all rows at once; its gradient is on average that of "all", divided by their number. Every call
    draws anew, a loss on validation rows too.

    Args:
        label_vectors: (C, d), one row a label; kept as unit rows.
        margin: of the scores; above 0, or equal scores would cost nothing.
        negatives: "all" other labels, or the "first violation".
        normalise: take the embeddings at length 1.
        seed: of the random orders.
    Raises:
        ValueError: if a row is zero, NaN or infinite, or an option is none of these.

    >>> loss = HingeRank([[1.0, 0.0], [0.0, 1.0]], margin=0.25)
    >>> float(loss([0], [[1.0, 0.0]])), float(loss([1], [[1.0, 0.0]]))
    (0.0, 1.25)
    """

    name = "hinge rank"

    def __init__(self, label_vectors: ArrayLike, margin: float = MARGIN, negatives: str = "all", *,
                 normalise: bool = False, seed: int = 0):
        if negatives not in NEGATIVES:
            raise ValueError(f"negatives are {negatives!r}: expected 'all' or 'first violation'")
        above(margin=margin)
        self.label_vectors = arrays.unit_rows(label_vectors, "label vectors")
        self.n_labels, self.dim = self.label_vectors.shape
        self.margin, self.negatives, self.normalise, self.seed = margin, negatives, normalise, seed
        self._draws = random.SeedGenerator(seed) if negatives == "first violation" else None

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        costs = hinge_costs(labels, embeddings, self.label_vectors, margin=self.margin,
                            normalise=self.normalise)
        return ops.mean(ops.sum(costs, axis=1) if self._draws is None else self._first(costs))

    def _first(self, costs):
        """The cost (n,) of one violating label of each row, 0 where there is none."""
        ranks = random.uniform(ops.shape(costs), seed=self._draws)
        first = ops.argmax(ops.where(costs > 0, ranks, -1), axis=1)
        return ops.squeeze(ops.take_along_axis(costs, first[:, None], axis=1), axis=1)


def cross_entropy(labels: ArrayLike, logits: ArrayLike | Tensor) -> Tensor:
    """The mean of -log softmax(logits) at the right label, in nats.

    loss = 1/n Σ_i (log Σ_j exp(x_ij) - x_{i,y_i}).

    Args:
        labels: int (n,), columns of `logits`.
        logits: float (n, C).
    Returns:
        a scalar tensor, NaN if a label is none of the C.

    >>> round(float(cross_entropy([0], [[2.0, 2.0]])), 4)
    0.6931
    """
    logits = ops.convert_to_tensor(logits)
    _own, right = own_scores(labels, logits)
    return ops.mean(ops.logsumexp(logits, axis=1, keepdims=True) - right)


class Softmax(Loss):
    """The baseline without words: a linear classifier on the embeddings, and its cross-entropy.

    logits = e W + b. It knows the labels it was trained on and no others: DeViSE is compared with
    such a layer (Frome et al. 2013, section 4.1). The classifier is trained along with the head;
    `logits` of the head's outputs, not of unit rows, rank the labels.

    Args:
        n_labels: C.
        dim: d, columns of the embeddings.
        seed: of the initial W, Glorot uniform; b starts at 0.
    Raises:
        ValueError: if either number is below 1.

    >>> loss = Softmax(3, dim=2)
    >>> [tuple(variable.shape) for variable in loss.trainable_variables]
    [(2, 3), (3,)]
    """

    name = "softmax"

    def __init__(self, n_labels: int, dim: int, seed: int = 0):
        if n_labels < 1 or dim < 1:
            raise ValueError(f"n_labels is {n_labels} and dim is {dim}: expected whole numbers from 1")
        self.n_labels, self.dim, self.seed = n_labels, dim, seed
        limit = math.sqrt(6 / (dim + n_labels))
        kernel = np.random.default_rng(seed).uniform(-limit, limit, (dim, n_labels))
        self._kernel = Variable(kernel, dtype="float32", name="kernel")
        self._bias = Variable(np.zeros(n_labels), dtype="float32", name="bias")
        self.trainable_variables = (self._kernel, self._bias)

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        return cross_entropy(labels, self.logits(embeddings))

    def logits(self, embeddings: ArrayLike | Tensor) -> Tensor:
        """The classifier's scores, a tensor (n, n_labels), of embeddings (n, dim) of any length."""
        return ops.matmul(ops.cast(embeddings, "float32"), self._kernel) + self._bias


class InfoNCE(Loss):
    """Cross-entropy over the cosines with every label vector, divided by a temperature.

    loss = 1/n Σ_i -log(exp(cos(e_i, t_{y_i}) / T) / Σ_j exp(cos(e_i, t_j) / T)).

    The contrastive loss of Oord et al. 2018 (section 2.3, equation 4), with the whole label table
    for the samples that the right one is told from, and cosines over a temperature for the scores,
    as in CLIP (Radford et al. 2021, section 2.3). A learned temperature is learned as log(1 / T)
    and kept from falling below 0.01, as there (section 2.5).

    Args:
        label_vectors: (C, d), one row a label; kept as unit rows.
        temperature: T, or where it starts.
        learn_temperature: train it with the head.
    Raises:
        ValueError: if a row is zero, NaN or infinite, or the temperature is not above 0, or is
            below 0.01 and to be learned.

    >>> loss = InfoNCE([[1.0, 0.0], [0.0, 1.0]], temperature=0.5)
    >>> round(float(loss([0], [[9.0, 0.0]])), 4), round(math.log(1 + math.exp(-2)), 4)
    (0.1269, 0.1269)
    """

    name = "infonce"

    def __init__(self, label_vectors: ArrayLike, temperature: float = TEMPERATURE, learn_temperature: bool = False):
        least = LOWEST_TEMPERATURE if learn_temperature else 0
        if not (np.isfinite(temperature) and temperature > 0 and temperature >= least):
            raise ValueError(f"temperature is {temperature}: expected a number above 0, and at least "
                             f"{LOWEST_TEMPERATURE} where it is learned")
        self.label_vectors = arrays.unit_rows(label_vectors, "label vectors")
        self.n_labels, self.dim = self.label_vectors.shape
        self.learn_temperature, self._start = learn_temperature, temperature
        if learn_temperature:
            self._log_scale = Variable(-math.log(temperature), dtype="float32", name="log_scale")
            self.trainable_variables = (self._log_scale,)

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        cosines = label_scores(embeddings, self.label_vectors, normalise=True)
        return cross_entropy(labels, cosines * ops.cast(self._scale(), cosines.dtype))

    @property
    def temperature(self) -> float:
        """T as it is now; `get_config` has the one it started from."""
        return 1 / float(self._scale())

    def _scale(self):
        if not self.learn_temperature:
            return 1 / self._start
        highest = ops.minimum(self._log_scale, -math.log(LOWEST_TEMPERATURE))
        # the gradient passes as if there were no bound: a scale beyond it can come back
        return ops.exp(self._log_scale + ops.stop_gradient(highest - self._log_scale))

    def get_config(self) -> dict:
        return super().get_config() | {"temperature": self._start}
