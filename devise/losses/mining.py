"""Miners: which triplets (anchor, positive, negative) of a batch a loss looks at.

Shapes depend on the batch's alone, so that every miner can be compiled. A triplet is given as two
cosines, and whether it counts.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import keras
from keras import KerasTensor as Tensor
from keras import ops, random

from devise.errors import unknown

NEAREST = 0.5  # Wu et al. 2017, section 4.2: nearer negatives are drawn as if they lay here
FARTHEST = 1.4  # beyond it, near the √2 of most pairs, a negative costs nothing under usual margins
LOWEST = -1e9


class Triplets(NamedTuple):
    """Triplets by anchor: cosines with positive and negative, float (n, t), and which places hold a triplet, bool."""

    positive: Any
    negative: Any
    counted: Any


class Miner(ABC):
    """Chooses triplets of a batch.

    `difficulty` is for a curriculum: each negative is the mined one with this chance, else any
    negative of the anchor. At 1, the start value, every one is mined.

    Args:
        seed: of what it draws.

    Attributes:
        difficulty: keras.Variable in 0..1.
        quadratic: whether its triplets are as many as pairs, so that a large memory can be mined.
    """

    name: str = ""
    quadratic: bool = False

    def __init__(self, *, seed: int = 0):
        self.seed = seed
        self.difficulty = keras.Variable(1.0, trainable=False, name="difficulty")
        self._draws = random.SeedGenerator(seed)

    @abstractmethod
    def triplets(self, cosines: Tensor, positive: Tensor, negative: Tensor, dim: int) -> Triplets:
        """The Triplets of a batch.

        Args:
            cosines: float (n, m).
            positive: bool (n, m), who has the anchor's label and is not itself.
            negative: bool (n, m), who has another.
            dim: of the space, for miners that know how distances spread in it.
        """

    def _eased(self, mined, cosines, negative):
        """Mined negatives (n, t), each replaced by any negative with a chance of 1 - difficulty."""
        noise = random.uniform(ops.shape(cosines), seed=self._draws)
        any_one = ops.argmax(ops.where(negative, noise, -1.0), axis=1)
        easy = ops.take_along_axis(cosines, ops.expand_dims(any_one, 1), axis=1)
        kept = random.uniform(ops.shape(mined), seed=self._draws) < self.difficulty
        return ops.where(kept, mined, easy)


class All(Miner):
    """Every triplet; n · m² of them. A difficulty does not apply."""

    name = "all"

    def triplets(self, cosines: Tensor, positive: Tensor, negative: Tensor, dim: int) -> Triplets:
        n, m = ops.shape(cosines)
        shape = (n, m, m)
        near, far = (ops.broadcast_to(ops.expand_dims(cosines, axis), shape) for axis in (2, 1))
        counted = ops.logical_and(ops.expand_dims(positive, 2), ops.expand_dims(negative, 1))
        return Triplets(*(ops.reshape(part, (n, m * m)) for part in (near, far, counted)))


class HardNegative(Miner):
    """Every positive of an anchor with its nearest negative."""

    name = "hard-negative"
    quadratic = True

    def triplets(self, cosines: Tensor, positive: Tensor, negative: Tensor, dim: int) -> Triplets:
        nearest = ops.broadcast_to(_largest(cosines, negative), ops.shape(cosines))
        return Triplets(cosines, self._eased(nearest, cosines, negative), _both(positive, negative))


class HardPositive(Miner):
    """The farthest positive of an anchor with every negative. A difficulty does not apply."""

    name = "hard-positive"
    quadratic = True

    def triplets(self, cosines: Tensor, positive: Tensor, negative: Tensor, dim: int) -> Triplets:
        farthest = ops.broadcast_to(-_largest(-cosines, positive), ops.shape(cosines))
        return Triplets(farthest, cosines, _both(negative, positive))


class Hard(Miner):
    """The farthest positive with the nearest negative (batch hard, Hermans et al. 2017, section 2)."""

    name = "hard"
    quadratic = True

    def triplets(self, cosines: Tensor, positive: Tensor, negative: Tensor, dim: int) -> Triplets:
        counted = _both(ops.any(positive, axis=1, keepdims=True), negative)  # one triplet an anchor
        nearest = self._eased(_largest(cosines, negative), cosines, negative)
        return Triplets(-_largest(-cosines, positive), nearest, counted)


class SemiHard(Miner):
    """Every positive with the nearest negative that is farther than it (Schroff et al. 2015, section 3.2).

    A positive beyond which no negative lies has no triplet.
    """

    name = "semi-hard"

    def triplets(self, cosines: Tensor, positive: Tensor, negative: Tensor, dim: int) -> Triplets:
        far, near = ops.expand_dims(cosines, 1), ops.expand_dims(cosines, 2)
        beyond = ops.logical_and(ops.expand_dims(negative, 1), far < near)
        mined = ops.max(ops.where(beyond, far, LOWEST), axis=2)
        counted = ops.logical_and(positive, mined > LOWEST)
        return Triplets(cosines, self._eased(ops.where(counted, mined, 0.0), cosines, negative), counted)


class DistanceWeighted(Miner):
    """Every positive with a negative drawn so that all distances are as likely (Wu et al. 2017, section 4.2).

    Distances of unit rows in d dimensions have the density q(D) ∝ D^(d-2) (1 - D²/4)^((d-3)/2). A
    negative is drawn with a weight of 1/q, taken at a distance of at least 0.5, so that the weights
    stay bounded, and 0 beyond 1.4. Where an anchor has none within, any negative is drawn. In many
    dimensions 1/q spans more than float32 does: weights are compared as logarithms.
    """

    name = "distance-weighted"

    def triplets(self, cosines: Tensor, positive: Tensor, negative: Tensor, dim: int) -> Triplets:
        chances = self.chances(cosines, negative, dim)
        ends = ops.expand_dims(ops.cumsum(chances, axis=1), 1)
        # up to the sum as float32 has it, so that the last place of all is never run over
        marks = random.uniform(ops.shape(cosines), seed=self._draws) * ends[:, 0, -1:]
        place = ops.sum(ops.cast(ends <= ops.expand_dims(marks, 2), "int32"), axis=2)
        place = ops.minimum(place, ops.shape(cosines)[1] - 1)
        drawn = ops.take_along_axis(cosines, place, axis=1)
        return Triplets(cosines, self._eased(drawn, cosines, negative), _both(positive, negative))

    def chances(self, cosines: Tensor, negative: Tensor, dim: int) -> Tensor:
        """How likely each negative is drawn, float (n, m); rows sum to 1, or to 0 without a negative."""
        apart = ops.sqrt(ops.maximum(2 - 2 * ops.stop_gradient(cosines), 0.0))
        near = ops.clip(apart, NEAREST, FARTHEST)
        logs = -(dim - 2) * ops.log(near) - (dim - 3) / 2 * ops.log(1 - ops.square(near) / 4)
        within = ops.logical_and(negative, apart < FARTHEST)
        usable = ops.where(ops.any(within, axis=1, keepdims=True), within, negative)
        logs = ops.where(ops.logical_and(usable, apart < FARTHEST), logs, 0.0)
        logs = ops.where(usable, logs, -math.inf)
        top = ops.max(logs, axis=1, keepdims=True)
        weights = ops.where(usable, ops.exp(logs - ops.where(ops.isfinite(top), top, 0.0)), 0.0)
        return weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1e-30)


_MINERS = {miner.name: miner for miner in (All, HardPositive, HardNegative, Hard, SemiHard, DistanceWeighted)}
NAMES = tuple(_MINERS)


def make(name: str, **options: Any) -> Miner:
    """The miner of one of NAMES, with its options, such as a seed."""
    if name not in _MINERS:
        raise ValueError(unknown("miner", name, NAMES))
    return _MINERS[name](**options)


def _both(wanted, needed):
    """The places wanted, in rows that have any of those needed."""
    return ops.logical_and(wanted, ops.any(needed, axis=1, keepdims=True))


def _largest(values, mask):
    """The largest masked value of each row, (n, 1); 0 where there is none."""
    largest = ops.max(ops.where(mask, values, LOWEST), axis=1, keepdims=True)
    return ops.where(largest > LOWEST, largest, 0.0)
