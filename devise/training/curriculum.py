"""What changes with the epochs: how strong the augmentation is, how hard the triplets."""

import math
from dataclasses import KW_ONLY, asdict, dataclass

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

    def __call__(self, epoch):
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

    def values(self):
        """The values of epochs 1 to `epochs`, to be plotted.

        >>> Schedule(0, 3, epochs=4, shape="steps", steps=2).values()
        (0.0, 0.0, 3.0, 3.0)
        """
        return tuple(self(epoch) for epoch in range(1, self.epochs + 1))

    def to_json(self):
        """A JSON-ready dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, document):
        """The schedule that `to_json` wrote.

        >>> Schedule.from_json(Schedule(0, 1, epochs=3).to_json()) == Schedule(0, 1, epochs=3)
        True
        """
        return cls(**document)
