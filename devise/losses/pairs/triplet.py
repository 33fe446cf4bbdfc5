"""Losses of an anchor, a positive and its negatives: nearer than, whatever the distances are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import ops

from devise.losses.mining import All
from devise.losses.pairs.base import PairLoss, above, mean_cost, no_miner

if TYPE_CHECKING:
    from devise.losses.mining import Miner


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

    def get_config(self) -> dict:
        return {"margin": self.margin, "soft": self.soft}


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

    def __init__(self, temperature: float = 0.1, miner: Miner | None = None):
        super().__init__()
        no_miner(self, miner)
        above(temperature=temperature)
        self.temperature = temperature

    def _value(self, cosines, positive, negative, dim):
        scores = cosines / self.temperature
        pushing = ops.logsumexp(ops.where(negative, scores, -1e9), axis=1, keepdims=True)
        costs = ops.where(positive, ops.softplus(pushing - scores), 0.0)
        return ops.sum(costs) / ops.maximum(ops.sum(ops.cast(positive, costs.dtype)), 1.0)

    def get_config(self) -> dict:
        return {"temperature": self.temperature}


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

    def __init__(self, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5, epsilon: float = 0.1,
                 miner: Miner | None = None):
        super().__init__()
        no_miner(self, miner)
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

    def get_config(self) -> dict:
        return {"alpha": self.alpha, "beta": self.beta, "base": self.base, "epsilon": self.epsilon}


ALL = All()


def _log_one_plus(exponents, mask):
    """log(1 + Σ exp(exponents)) over the masked entries of each row, (n,)."""
    masked = ops.where(mask, exponents, -1e9)
    return ops.softplus(ops.logsumexp(masked, axis=1))
