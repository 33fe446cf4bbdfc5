"""Losses with two thresholds: positives nearer than one, negatives farther than another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from keras import Variable, ops

from devise.losses.pairs.base import PairLoss, above, distances, mean_cost

if TYPE_CHECKING:
    from devise.losses.mining import Miner


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
        near, far = cosines, cosines
        if self.miner:
            near, far, positive = self.miner.triplets(cosines, positive, negative, dim)
            negative = positive
        return (mean_cost(ops.relu(self.positive_margin - near), positive)
                + mean_cost(ops.relu(far - self.negative_margin), negative))

    def get_config(self) -> dict:
        return {"positive_margin": self.positive_margin, "negative_margin": self.negative_margin}


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
        near, far = cosines, cosines
        if self.miner:
            near, far, positive = self.miner.triplets(cosines, positive, negative, dim)
            negative = positive
        pulls = ops.where(positive, ops.relu(self.margin + distances(near) - self.beta), 0.0)
        pushes = ops.where(negative, ops.relu(self.margin - distances(far) + self.beta), 0.0)
        active = ops.sum(ops.cast(pulls > 0, "float32")) + ops.sum(ops.cast(pushes > 0, "float32"))
        return (ops.sum(pulls) + ops.sum(pushes)) / ops.maximum(active, 1.0)

    def get_config(self) -> dict:
        return {"margin": self.margin, "beta": self.start}
