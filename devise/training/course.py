"""A training from its first epoch to its last: who is called when, and which weights stay."""

import time

import numpy as np

from devise.training.history import History
from devise.training.judging import UNNAMED
from devise.training.kept import Kept
from devise.training.options import empty_batches, warn_empty, warn_left_out


def run_epochs(one_epoch, *, epochs, draw, loss, state, variables, judge=None, decides=False, start_counts=False,
               patience=None, learning_rate, before_epoch=None, after_epoch=None):
    """Train epoch by epoch, judge each, and keep the best weights.

    Args:
        one_epoch: a function of the epoch, from 1, that trains on its batches and returns the sum
            of their rows' losses, NaN where a weight is no longer finite, and the numbers of rows
            and of batches.
        draw: what makes the batches, see `draws`.
        state: the variables that the loss reads or writes.
        variables: those to keep the best values of.
        judge: a Judge, or None.
        decides: whether its score says which epoch is best.
        start_counts: whether the weights at the start are a candidate.
    Returns:
        History.
    Raises:
        ValueError: if a loss, a weight or a score is no longer finite. Then, as after any other
            exception, the variables are as they were at the start.
    """
    started, empty, batches = time.perf_counter(), empty_batches(loss), 0
    given, kept = Kept([*variables, *state]), Kept(variables)
    losses, verdicts, start = [], [], None
    warn_left_out(draw.left_out)

    def history():
        return _history(losses, verdicts, start, best_epoch=kept.epoch, batch_size=draw.most,
                        empty_batches=empty_batches(loss) - empty, left_out=draw.left_out,
                        seconds=time.perf_counter() - started)

    try:
        if decides and start_counts:
            start = kept.offer(0, judge(0))
        for epoch in range(1, epochs + 1):
            if before_epoch is not None:
                before_epoch(epoch)
            total, rows, count = one_epoch(epoch)
            if not np.isfinite(total):
                raise ValueError(f"the loss is no longer a finite number in epoch {epoch}: lower learning_rate, "
                                 f"now {learning_rate:g}, or raise the rows in a batch, now {draw.most}")
            losses.append(total / rows)
            batches += count
            if judge:
                verdicts.append(judge(epoch))
            if decides:
                kept.offer(epoch, verdicts[-1])
            if after_epoch is not None:
                after_epoch(history())
            if patience is not None and epoch - kept.epoch >= patience:
                break
    except Exception:
        given.restore()
        raise
    if decides:
        kept.restore()
    found = history()
    warn_empty(found.empty_batches, batches)
    return found


def _history(losses, verdicts, start, **known):
    names = [name for name in (verdicts[0].scores if verdicts else ()) if name != UNNAMED]
    first = {name: start.scores[name] for name in names} if start else {}
    deciding = tuple(verdict.score for verdict in verdicts if verdict.score is not None)
    return History(tuple(losses), tuple(verdict.loss for verdict in verdicts), deciding,
                   scores={name: tuple(verdict.scores[name] for verdict in verdicts) for name in names},
                   start_score=start and start.score, start_scores=first, **known)
