"""Losses that compare the rows of a batch with one another: with thresholds, with other pairs, by classes."""

from __future__ import annotations

import numpy as np
from keras import KerasTensor as Tensor
from keras import Variable, ops
from numpy.typing import ArrayLike

from devise.errors import above
from devise.losses.base import Loss
from devise.losses.mining import All, Miner
from devise.losses.pairs.base import SMALLEST, PairLoss, aligned, distances, mean_cost

ALL = All()


class Contrastive(PairLoss):
    """Positives above one cosine, negatives below another (after Hadsell, Chopra and LeCun 2006, section 2.1).

    loss = mean of max(0, positive_margin - cos) over positives + mean of max(0, cos - negative_margin)
    over negatives; each mean over the pairs that cost something. Hadsell's form squares distances
    and draws positives together without end; this is the form of Musgrave et al. 2020, and the two
    margins are those that they tuned on Stanford Online Products (on Cars196 0.2652 and 0.5409, on
    CUB -0.2 and 0.3841).

    Args:
        positive_margin: in cosine, in -1..1.
        negative_margin: in cosine, in -1..1.
        miner: None takes all pairs, else those of its triplets.

    >>> loss = Contrastive(positive_margin=1.0, negative_margin=0.5)
    >>> round(float(loss([0, 0, 1], [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])), 3)
    1.5
    """

    name = "contrastive"

    def __init__(self, positive_margin: float = 0.2850, negative_margin: float = 0.5130, miner: Miner | None = None):
        super().__init__(miner)
        for name, value in (("positive_margin", positive_margin), ("negative_margin", negative_margin)):
            if not -1 <= value <= 1:
                raise ValueError(f"{name} is {value}: expected a cosine, -1 to 1")
        self.positive_margin, self.negative_margin = positive_margin, negative_margin

    def _value(self, cosines, positive, negative, dim):
        near, far, positive, negative = self._pairs(cosines, positive, negative, dim)
        return (mean_cost(ops.relu(self.positive_margin - near), positive)
                + mean_cost(ops.relu(far - self.negative_margin), negative))


class Margin(PairLoss):
    """A learnt boundary between the distances of positives and of negatives (Wu et al. 2017, section 4.3).

    loss = Σ max(0, margin + D_ap - β) + Σ max(0, margin - D_an + β), over the pairs that cost
    something, divided by their number. D are distances of unit rows; β starts at 1.2 and margin is
    0.2, the values of the paper's experiments, where triplets are drawn by distance.

    Args:
        margin: of the distances, above 0.
        beta: the boundary that the learning starts from.
        miner: None takes all pairs, else those of its triplets, such as "distance-weighted".

    >>> loss = Margin(margin=0.5, beta=1.0)
    >>> round(float(loss([0, 0, 1], [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])), 3)
    0.833
    """

    name = "margin"

    def __init__(self, margin: float = 0.2, beta: float = 1.2, miner: Miner | None = None):
        super().__init__(miner)
        above(margin=margin, beta=beta)
        self.margin, self.start = margin, beta
        self.beta = Variable(np.float32(beta), name="beta")
        self.trainable_variables = (self.beta,)

    def _value(self, cosines, positive, negative, dim):
        near, far, positive, negative = self._pairs(cosines, positive, negative, dim)
        pulls = ops.where(positive, ops.relu(self.margin + distances(near) - self.beta), 0.0)
        pushes = ops.where(negative, ops.relu(self.margin - distances(far) + self.beta), 0.0)
        active = ops.sum(ops.cast(pulls > 0, "float32")) + ops.sum(ops.cast(pushes > 0, "float32"))
        return (ops.sum(pulls) + ops.sum(pushes)) / ops.maximum(active, 1.0)

    def get_config(self) -> dict:
        return super().get_config() | {"beta": self.start}


class Triplet(PairLoss):
    """A positive nearer to its anchor than a negative, by a margin (Schroff, Kalenichenko and Philbin 2015).

    cost = max(0, D²_ap - D²_an + margin), D² squared distances of unit rows, 2 - 2 cosine (section
    3.1, equation 3; margin 0.2 as there). The soft form is log(1 + exp(D²_ap - D²_an)), which
    never stops pulling (Hermans et al. 2017, section 2). The loss is the mean of the costs above 0.

    Args:
        margin: of the squared distances, above 0; the soft form has none.
        soft: take the soft form.
        miner: which triplets; None takes all of them.

    >>> round(float(Triplet()([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])), 3)
    0.2
    """

    name = "triplet"

    def __init__(self, margin: float = 0.2, soft: bool = False, miner: Miner | None = None):
        super().__init__(miner)
        above(margin=margin)
        self.margin, self.soft = margin, bool(soft)
        if soft:
            self.name = "soft-triplet"

    def _value(self, cosines, positive, negative, dim):
        near, far, counted = (self.miner or ALL).triplets(cosines, positive, negative, dim)
        gap = 2 * (far - near)
        return mean_cost(ops.softplus(gap) if self.soft else ops.relu(gap + self.margin), counted)


class NPair(PairLoss):
    """Each positive against all negatives of its anchor (Sohn 2016, N-pair; with a temperature, InfoNCE).

    loss = mean over positives (i, p) of -log exp(cos_ip / τ) / (exp(cos_ip / τ) + Σ_n exp(cos_in / τ)).
    Sohn's inner products have no τ and a penalty on their length; cosines over τ are the NT-Xent
    of Chen et al. 2020, and τ = 0.1 is theirs.

    Args:
        temperature: τ, above 0.

    >>> round(float(NPair(temperature=1.0)([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])), 4)
    0.6931
    """

    name = "n-pair"

    def __init__(self, temperature: float = 0.1):
        super().__init__()
        above(temperature=temperature)
        self.temperature = temperature

    def _value(self, cosines, positive, negative, dim):
        scores = cosines / self.temperature
        pushing = ops.logsumexp(ops.where(negative, scores, -1e9), axis=1, keepdims=True)
        costs = ops.where(positive, ops.softplus(pushing - scores), 0.0)
        return ops.sum(costs) / ops.maximum(ops.sum(ops.cast(positive, costs.dtype)), 1.0)


class MultiSimilarity(PairLoss):
    """Pairs weighed by how they stand among the anchor's others (Wang et al. 2019, sections 3 and 4).

    loss = 1/n Σ_i [1/α log(1 + Σ_p exp(-α (cos_ip - λ))) + 1/β log(1 + Σ_n exp(β (cos_in - λ)))] over
    the pairs that its own mining leaves: negatives above the least positive - ε, positives below
    the largest negative + ε. α = 2, β = 50 and ε = 0.1 as in the paper (as recalled); λ = 0.5, which
    public implementations take.

    Args:
        alpha, beta: above 0.
        base: λ, a cosine.
        epsilon: ε; None leaves the mining out.

    >>> loss = MultiSimilarity(epsilon=None)
    >>> round(float(loss([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])), 4)
    0.1044
    """

    name = "multi-similarity"

    def __init__(self, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5, epsilon: float = 0.1):
        super().__init__()
        above(alpha=alpha, beta=beta)
        self.alpha, self.beta, self.base, self.epsilon = alpha, beta, base, epsilon

    def _value(self, cosines, positive, negative, dim):
        if self.epsilon is not None:
            least = ops.min(ops.where(positive, cosines, 2.0), axis=1, keepdims=True)
            most = ops.max(ops.where(negative, cosines, -2.0), axis=1, keepdims=True)
            positive, negative = (ops.logical_and(positive, cosines < most + self.epsilon),
                                  ops.logical_and(negative, cosines > least - self.epsilon))
        pulls = _log_one_plus(-self.alpha * (cosines - self.base), positive) / self.alpha
        pushes = _log_one_plus(self.beta * (cosines - self.base), negative) / self.beta
        return ops.mean(pulls + pushes)


class Range(Loss):
    """Classes drawn together where they are widest, and the nearest two apart (Zhang et al. 2017, section 3.2).

    loss = within · Σ_classes k / Σ_{j ≤ k} (1 / D_j) + between · max(0, margin - D_min). D_j are the k
    largest squared distances within a class, taken by their harmonic mean, so that a single outlier
    does not rule; D_min is the least squared distance of two class centres. The sum over classes is
    taken as a mean, over those with two rows or more; k is 2, as in the paper, or 1 where a class has
    a single pair. The paper adds the loss to a softmax with weights of 1e-5 on features of any
    length; on unit rows and alone both weigh 1, with a margin of 1: choices of this package. It looks at the
    centres of one batch, and so has no form against a memory.

    Args:
        margin: of the centres' squared distance, above 0.
        within, between: weights of the two parts.

    >>> round(float(Range()([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])), 3)
    1.0
    """

    name = "range"

    def __init__(self, margin: float = 1.0, within: float = 1.0, between: float = 1.0):
        above(margin=margin, within=within, between=between)
        self.margin, self.within, self.between = margin, within, between
        self.empty_batches = Variable(0, trainable=False, dtype="int32", name="empty_batches")

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        labels, rows = aligned(labels, embeddings)
        same = ops.equal(ops.expand_dims(labels, 1), ops.expand_dims(labels, 0))
        itself = ops.cast(ops.eye(ops.shape(rows)[0]), "bool")
        something = ops.logical_and(ops.any(ops.logical_and(same, ops.logical_not(itself))),
                                    ops.any(ops.logical_not(same)))
        self.empty_batches.assign_add(ops.cast(ops.logical_not(something), "int32"))
        squared = ops.maximum(2 - 2 * ops.matmul(rows, ops.transpose(rows)), SMALLEST)
        first = ops.equal(ops.argmax(ops.cast(same, "int32"), axis=1), ops.arange(ops.shape(rows)[0]))
        value = self.within * self._inside(squared, same, first) + self.between * self._apart(rows, same, first)
        return ops.where(something, value, 0.0)

    def _inside(self, squared, same, first):
        """The mean over classes of the harmonic mean of their two largest squared distances."""
        n = ops.shape(squared)[0]
        earlier = ops.expand_dims(ops.arange(n), 1) < ops.expand_dims(ops.arange(n), 0)
        pairs = ops.logical_and(ops.expand_dims(same, 2), ops.expand_dims(same, 1))  # (class of row, a, b)
        pairs = ops.reshape(ops.logical_and(pairs, ops.expand_dims(earlier, 0)), (n, n * n))
        largest = ops.max(ops.where(pairs, ops.reshape(squared, (1, n * n)), 0.0), axis=1)
        place = ops.argmax(ops.where(pairs, ops.reshape(squared, (1, n * n)), -1.0), axis=1)
        others = ops.logical_and(pairs, ops.not_equal(ops.expand_dims(place, 1), ops.expand_dims(ops.arange(n * n), 0)))
        second = ops.max(ops.where(others, ops.reshape(squared, (1, n * n)), 0.0), axis=1)
        both = ops.logical_and(first, ops.any(others, axis=1))
        one = ops.logical_and(first, ops.logical_and(ops.any(pairs, axis=1), ops.logical_not(ops.any(others, axis=1))))
        largest, second = ops.maximum(largest, SMALLEST), ops.maximum(second, SMALLEST)
        wide = ops.where(both, 2 / (1 / largest + 1 / second), ops.where(one, largest, 0.0))
        counted = ops.sum(ops.cast(ops.logical_or(both, one), wide.dtype))
        return ops.sum(wide) / ops.maximum(counted, 1.0)

    def _apart(self, rows, same, first):
        """How much nearer than the margin the nearest two class centres are."""
        weights = ops.cast(same, rows.dtype)
        centres = ops.matmul(weights, rows) / ops.sum(weights, axis=1, keepdims=True)
        lengths = ops.sum(ops.square(centres), axis=1)
        products = ops.matmul(centres, ops.transpose(centres))
        squared = ops.expand_dims(lengths, 1) + ops.expand_dims(lengths, 0) - 2 * products
        both = ops.logical_and(ops.expand_dims(first, 1), ops.expand_dims(first, 0))
        two = ops.logical_and(both, ops.logical_not(same))
        nearest = ops.min(ops.where(two, ops.maximum(squared, 0.0), 1e9))
        return ops.relu(self.margin - nearest)


def _log_one_plus(exponents, mask):
    """log(1 + Σ exp(exponents)) over the masked entries of each row, (n,)."""
    masked = ops.where(mask, exponents, -1e9)
    return ops.softplus(ops.logsumexp(masked, axis=1))
