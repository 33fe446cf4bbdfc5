"""What grows with the epochs: a schedule, and copies of features at rising strengths of augmentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHAPES = ("linear", "cosine", "steps")


@dataclass(frozen=True)
class Schedule:
    """A number that goes from `start` to `end` over the epochs, and stays there.

    Beginning with easy examples and adding harder ones is Bengio et al.'s curriculum (2009).

    Args:
        start: the value in the first epoch, and through `warm_up` epochs.
        end: the value in epoch `epochs` and in every later one.
        shape: "linear"; "cosine", slow at both ends; or "steps", `steps` values of as many epochs
            each, the first at `start` and the last at `end`.
        warm_up: epochs before it moves.
    Raises:
        ValueError: if one of them is out of range.

    >>> [Schedule(0.0, 1.0, epochs=5)(epoch) for epoch in (1, 2, 5, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """

    start: float
    end: float
    _: KW_ONLY
    epochs: int
    shape: str = "linear"
    warm_up: int = 0
    steps: int = 4

    def __post_init__(self):
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(f"start is {self.start} and end is {self.end}: expected two numbers")
        if self.shape not in SHAPES:
            raise ValueError(f"shape is {self.shape!r}: expected one of {', '.join(SHAPES)}")
        if not 0 <= self.warm_up < self.epochs:
            raise ValueError(f"epochs is {self.epochs} and warm_up is {self.warm_up}: expected 1 epoch or more, "
                             "and fewer of them to warm up")
        if self.steps < 2:
            raise ValueError(f"steps is {self.steps}: expected two or more, the first at start and the last at end")

    def __call__(self, epoch: int) -> float:
        """The value in an epoch, counted from 1."""
        if epoch < 1:
            raise ValueError(f"epoch is {epoch}: they are counted from 1")
        if epoch <= self.warm_up:
            return float(self.start)
        if epoch >= self.epochs:
            return float(self.end)
        done, last = epoch - 1 - self.warm_up, self.epochs - 1 - self.warm_up
        share = {"linear": lambda: done / last,
                 "cosine": lambda: (1 - math.cos(math.pi * done / last)) / 2,
                 "steps": lambda: done * self.steps // (last + 1) / (self.steps - 1)}[self.shape]()
        return self.start + (self.end - self.start) * share

    def values(self) -> tuple[float, ...]:
        """The values of epochs 1 to `epochs`, to be plotted."""
        return tuple(self(epoch) for epoch in range(1, self.epochs + 1))


class AugmentedFeatures:
    """Copies of features at rising strengths of augmentation, and when each comes into play.

    Augmenting images would put every one through the network in every epoch. Here each goes
    through it once a level, and an epoch draws, for every row that it trains on, one of the levels
    that the schedule has opened. At a share s of L levels the draw is even over 0 to s · (L - 1),
    and the next level comes in with the fraction that is left.

    Args:
        levels: (n, d) matrices of the same rows, level 0 plain and each stronger than the one
            before; may be memory-mapped.
        schedule: a function of the epoch, counted from 1, to the share of levels that is open:
            0 is level 0 alone, 1 is all. A `Schedule`, or None for all from the start.
    Attributes:
        levels: as given, a tuple.
        shape: (n, d).
    Raises:
        ValueError: if there is no level, their shapes differ, or the schedule leaves 0..1.

    >>> bank = AugmentedFeatures([np.zeros((4, 2)), np.ones((4, 2))], Schedule(0.0, 1.0, epochs=9))
    >>> bank.draw(4, epoch=1, rng=np.random.default_rng(0))
    array([0, 0, 0, 0])
    """

    def __init__(self, levels: Sequence[ArrayLike], schedule: Callable[[int], float] | None = None):
        self.levels = tuple(np.asanyarray(level) for level in levels)
        shapes = {level.shape for level in self.levels}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise ValueError(f"levels have shapes {sorted(shapes)}: expected one or more matrices of one shape, "
                             "(n, dim), one row an image")
        self.shape = self.levels[0].shape
        self._schedule = schedule or (lambda epoch: 1.0)
        if isinstance(schedule, Schedule):
            _check_share(schedule.start), _check_share(schedule.end)

    def __len__(self) -> int:
        return self.shape[0]

    def draw(self, n: int, epoch: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """The levels of n rows in an epoch, int64 (n,) in 0..L - 1."""
        share = _check_share(self._schedule(epoch))
        top = share * (len(self.levels) - 1)
        return np.minimum(rng.random(n) * (top + 1), len(self.levels) - 1).astype(np.int64)


def _check_share(share):
    if not 0 <= share <= 1:
        raise ValueError(f"the schedule gives {share}: expected the share of levels that is open, in 0..1")
    return share
