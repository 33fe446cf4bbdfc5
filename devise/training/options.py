"""What `train` and `finetune` refuse before they start, and warn of."""

import warnings

import numpy as np

from devise.training import optimisers

LISTED = 10  # labels named in a warning; the history has all


def check_options(*, optimiser, learning_rate, epochs, validation, validate, patience=None):
    """Refuse options that mean nothing, or nothing together.

    Raises:
        ValueError: that says which, and what was expected.
    """
    if optimiser not in optimisers.NAMES:
        raise ValueError(f"optimiser is {optimiser!r}: expected one of {', '.join(optimisers.NAMES)}")
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise ValueError(f"learning_rate is {learning_rate}: expected a number above 0")
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}: expected 1 or more")
    if validate is not None and validation is None:
        raise ValueError("validate has no rows to judge: give validation=(features, labels) too")
    if patience is not None and validate is None:
        raise ValueError("patience needs a score to wait for: give validate too")
    if patience is not None and patience < 1:
        raise ValueError(f"patience is {patience}: expected 1 epoch or more")


def check_gradient(head):
    """Refuse a head that has no gradient to train by."""
    if not head.trains:
        raise ValueError(f"the {head.kind} head is a closed form: train an mlp head, which has a gradient")


def warn_left_out(labels):
    """Say which classes of one row take no part."""
    if labels:
        more = f" and {len(labels) - LISTED} more" if len(labels) > LISTED else ""
        warnings.warn(f"classes of one row have no pair, {len(labels)} are left out: "
                      f"{', '.join(map(str, labels[:LISTED]))}{more}", stacklevel=3)


def empty_batches(loss):
    """How many batches a loss has found nothing to learn from; 0 for one that doesn't count them."""
    return int(np.asarray(getattr(loss, "empty_batches", 0)))


def warn_empty(count, batches):
    """Say how many batches of a training had no pairs."""
    if count:
        warnings.warn(f"{count} of {batches} batches had no pair for the loss and taught nothing: give "
                      "classes and per_class, or more of them, or another miner", stacklevel=3)
