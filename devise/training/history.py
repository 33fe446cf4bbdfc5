"""What a training run measured, epoch by epoch."""

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class History:
    """The course of one training run; entry 0 of each list is epoch 1.

    Attributes:
        loss: mean training loss of each epoch, taken while it trained (dropout on).
        validation_loss: loss on the validation rows after each epoch; () without them.
        score: what decided on the best epoch, as `validate` returned it after each; () without it.
        scores: {name: one value an epoch}, all that `validate` returned by name; {} where it
            returned a number.
        start_score: the score before the first epoch, where the start was among the candidates.
        start_scores: {name: value} of the start, as `scores` has those of the epochs.
        best_epoch: the epoch whose weights were kept, from 1; 0 where those of the start were, None
            where those of the last were.
        batch_size: most rows in a batch, as used.
        empty_batches: batches in which a loss over pairs found none.
        left_out: labels of the classes that had one row and took no part in batches of classes.
        seconds: wall-clock time of the run, validation included.

    >>> History(loss=(0.9, 0.4, 0.5), score=(0.5, 0.8, 0.7), best_epoch=2).epochs
    3
    """

    loss: tuple[float, ...]
    validation_loss: tuple[float, ...] = ()
    score: tuple[float, ...] = ()
    scores: dict[str, tuple[float, ...]] = field(default_factory=dict)
    start_score: float | None = None
    start_scores: dict[str, float] = field(default_factory=dict)
    best_epoch: int | None = None
    batch_size: int | None = None
    empty_batches: int = 0
    left_out: tuple[int, ...] = ()
    seconds: float = 0.0

    @property
    def epochs(self):
        """How many epochs ran.

        >>> History(loss=(0.5, 0.25)).epochs
        2
        """
        return len(self.loss)

    def to_json(self):
        """A JSON-ready dict.

        >>> History(loss=(0.5,)).to_json()["loss"]
        [0.5]
        """
        return _each(asdict(self), tuple, list)

    @classmethod
    def from_json(cls, document):
        """The history that `to_json` wrote.

        >>> History.from_json({"loss": [0.5]}).loss
        (0.5,)
        """
        return cls(**_each(document, list, tuple))


def _each(value, old, new):
    """The same with every sequence of one kind made another."""
    if isinstance(value, dict):
        return {name: _each(part, old, new) for name, part in value.items()}
    return new(value) if isinstance(value, old) else value
