"""What a training run measured, epoch by epoch."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class History:
    """The course of one training run; entry 0 of each list is epoch 1.

    Attributes:
        loss: mean training loss of each epoch, taken while it trained (dropout on).
        validation_loss: loss on the validation rows after each epoch; () without them.
        score: what `validate` returned after each epoch; () without it.
        best_epoch: the epoch whose weights were kept, from 1; None where those of the last were.
        batch_size: most rows in a batch, as used.
        seconds: wall-clock time of the run, validation included.
    """

    loss: tuple[float, ...]
    validation_loss: tuple[float, ...] = ()
    score: tuple[float, ...] = ()
    best_epoch: int | None = None
    batch_size: int | None = None
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
        fields = asdict(self).items()
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields}

    @classmethod
    def from_json(cls, document):
        """The history that `to_json` wrote.

        >>> History.from_json({"loss": [0.5]}).loss
        (0.5,)
        """
        fields = document.items()
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields})
