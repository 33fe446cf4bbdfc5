"""The loop over epochs: who is called when, what steps the weights, which of them stay, and what was measured."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from devise.losses import Loss
    from devise.training.batches import ClassRows, EveryRow
    from devise.training.validation import Validation, Verdict

# TensorFlow's kernel for each, and what it keeps beside a variable, with its value at the start
OPTIMISERS: dict[str, tuple[str, dict[str, float]]] = {
    "adagrad": ("ResourceApplyAdagrad", {"accum": 0.1}), "adam": ("ResourceApplyAdam", {"m": 0.0, "v": 0.0}),
    "sgd": ("ResourceApplyKerasMomentum", {"accum": 0.0})}
UNNAMED = "score"  # of a `validate` that returns a number
LISTED = 10  # labels named in a warning; the history has all


@dataclass(frozen=True)
class History:
    """What one training run measured; entry 0 of each list is epoch 1.

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
    def epochs(self) -> int:
        """How many epochs ran."""
        return len(self.loss)

    def to_json(self) -> dict:
        """A JSON-ready dict."""
        return _each(asdict(self), tuple, list)

    @classmethod
    def from_json(cls, document: dict) -> History:
        """The history that `to_json` wrote."""
        return cls(**_each(document, list, tuple))


def _each(value, old, new):
    """The same with every sequence of one kind made another."""
    if isinstance(value, dict):
        return {name: _each(part, old, new) for name, part in value.items()}
    return new(value) if isinstance(value, old) else value


def values_of(variables: Sequence[Any]) -> list[np.ndarray]:
    """Copies of the values of variables, for `restore`."""
    return [variable.numpy() for variable in variables]


def restore(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    """Give variables the values that `values_of` copied."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def finite(variables: Sequence[keras.Variable]) -> bool:
    """Whether no number of any variable is NaN or infinite."""
    import tensorflow as tf

    return all(bool(tf.reduce_all(tf.math.is_finite(variable.value))) for variable in variables)


def summed(value_of: Callable[[tf.Tensor], tf.Tensor], order: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """The value of each batch times its rows, summed by a loop of a graph.

    Args:
        value_of: a function from the rows of a batch to their mean, float32.
        order: int32, the rows of all batches.
        ends: int32, where each begins in the order, and where the last ends.
    """
    import tensorflow as tf

    def step(batch, total):
        rows = order[ends[batch]:ends[batch + 1]]
        return batch + 1, total + value_of(rows) * tf.cast(tf.size(rows), tf.float32)

    more = tf.size(ends) - 1
    return tf.while_loop(lambda batch, total: batch < more, step, (0, tf.constant(0.0)))[1]


def run_epochs(one_epoch: Callable[[int], tuple[float, int, int]], *, epochs: int, draw: EveryRow | ClassRows,
               loss: Loss, state: Sequence[Any], variables: Sequence[Any], learning_rate: float,
               validation: Validation | None = None, start_counts: bool = False, patience: int | None = None,
               before_epoch: Callable[[int], None] | None = None,
               after_epoch: Callable[[History], None] | None = None) -> History:
    """Train epoch by epoch, validate after each, and keep the best weights.

    Args:
        one_epoch: a function of the epoch, from 1, that trains on its batches and returns the sum
            of their rows' losses, NaN where a weight is no longer finite, and the numbers of rows
            and of batches.
        draw: what makes the batches, see `devise.training.batches`.
        state: the variables that the loss reads or writes.
        variables: those to keep the best values of.
        validation: a Validation, whose score says which epoch is best where it has one, or None.
        start_counts: whether the weights at the start are a candidate.
    Raises:
        ValueError: if a loss, a weight or a score is no longer finite. Then, as after any other
            exception, the variables are as they were at the start.
    """
    started, empty, batches = time.perf_counter(), int(np.asarray(loss.empty_batches)), 0
    decides = validation is not None and validation.decides
    given, kept = values_of([*variables, *state]), values_of(variables)
    losses: list[float] = []
    verdicts: list[Verdict] = []
    start: Verdict | None = None
    best: tuple[tuple, int] | None = None  # (score, -loss) and epoch
    if some := draw.left_out:
        more = f" and {len(some) - LISTED} more" if len(some) > LISTED else ""
        warnings.warn(f"classes of one row have no pair, {len(some)} are left out: "
                      f"{', '.join(map(str, some[:LISTED]))}{more}", stacklevel=2)

    def history():
        names = [name for name in (verdicts[0].scores if verdicts else ()) if name != UNNAMED]
        return History(tuple(losses), tuple(verdict.loss for verdict in verdicts),
                       tuple(verdict.score for verdict in verdicts if verdict.score is not None),
                       scores={name: tuple(verdict.scores[name] for verdict in verdicts) for name in names},
                       start_score=start and start.score,
                       start_scores={name: start.scores[name] for name in names} if start else {},
                       best_epoch=best and best[1], batch_size=draw.most, left_out=draw.left_out,
                       empty_batches=int(np.asarray(loss.empty_batches)) - empty,
                       seconds=time.perf_counter() - started)

    def offer(epoch, verdict):
        nonlocal best, kept
        rank = verdict.score, -verdict.loss
        if best is None or rank > best[0]:
            best, kept = (rank, epoch), values_of(variables)

    try:
        if validation and decides and start_counts:
            start = validation(0)
            offer(0, start)
        for epoch in range(1, epochs + 1):
            if before_epoch is not None:
                before_epoch(epoch)
            total, rows, count = one_epoch(epoch)
            if not np.isfinite(total):
                raise ValueError(f"the loss is no longer a finite number in epoch {epoch}: lower learning_rate, "
                                 f"now {learning_rate:g}, or raise the rows in a batch, now {draw.most}")
            losses.append(total / rows)
            batches += count
            if validation:
                verdicts.append(validation(epoch))
            if decides:
                offer(epoch, verdicts[-1])
            if after_epoch is not None:
                after_epoch(history())
            if patience is not None and epoch - (best[1] if best else 0) >= patience:
                break
    except Exception:
        restore([*variables, *state], given)
        raise
    if decides:
        restore(variables, kept)
    found = history()
    if found.empty_batches:
        warnings.warn(f"{found.empty_batches} of {batches} batches had no pair for the loss and taught nothing: give "
                      "classes and per_class, or more of them, or another miner", stacklevel=2)
    return found


def optimiser(name: str, variables: Sequence[keras.Variable], *, learning_rate: float, momentum: float = 0.9,
              nesterov: bool = True) -> Callable[[Sequence[tf.Tensor]], None]:
    """A function that takes a gradient for each variable and updates the variables, by one fused kernel each.

    The arithmetic is that of keras.optimizers under the same names. Theirs goes through several passes over the
    weights and a temporary array for each, which costs as much as a small batch's matrix products; a fused
    kernel reads and writes the weights once.

    - sgd: v ← momentum·v - lr·g; w ← w + v, or with Nesterov w + momentum·v - lr·g.
    - adam: Kingma and Ba 2015, algorithm 1, with the bias corrections in the step size.
    - adagrad: a ← a + g²; w ← w - lr·g / √a (Duchi et al. 2011). The start of a keeps it off zero.
    """
    import tensorflow as tf

    options: dict[str, Any] = {"lr": learning_rate}
    if name == "sgd":
        options |= {"momentum": momentum, "use_nesterov": nesterov}
    elif name == "adam":
        options |= {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7, "beta1_power": tf.Variable(1.0),
                    "beta2_power": tf.Variable(1.0)}
    kernel, starts = getattr(tf.raw_ops, OPTIMISERS[name][0]), OPTIMISERS[name][1]
    slots = [{slot: tf.Variable(tf.fill(variable.shape, start)) for slot, start in starts.items()}
             for variable in variables]

    def update(gradients):
        for beta in ("beta1", "beta2") if name == "adam" else ():
            options[f"{beta}_power"].assign(options[f"{beta}_power"] * options[beta])
        for variable, own, gradient in zip(variables, slots, gradients, strict=True):
            kernel(var=variable.value.handle, grad=tf.convert_to_tensor(gradient), **options,
                   **{slot: kept.handle for slot, kept in own.items()})

    return update
