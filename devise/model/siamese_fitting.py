"""What a training on pairs needs, on features or on pictures: its loss, its batches, its score on other classes."""

import numpy as np

from devise.evaluation import retrieve

CLASSES = 8  # of a batch
KS = (1, 10)
MINERS = {"triplet": "semi-hard", "soft-triplet": "semi-hard", "margin": "distance-weighted"}  # where none is named


def checked(parts):
    """A Split, if its validation has classes to be told apart and none of another part."""
    held = len(parts.names["validation"])
    if held < 2:
        raise ValueError(f"{held} classes are for validation: expected two or more, to choose the best epoch and a "
                         "threshold; ask for more with validation=, or bring more classes")
    if not parts.disjoint:
        shared = sorted(set(parts.seen) & {*parts.names["validation"], *parts.names["test"]})
        raise ValueError(f"class {shared[0]!r} is in two parts of the split: expected one at most, as split_classes "
                         "draws it")
    return parts


def batch_classes(asked, labels):
    """How many classes a batch has, of those that have pairs."""
    there = int((np.unique(labels, return_counts=True)[1] > 1).sum())
    if there < max(2, asked or 0):
        raise ValueError(f"{there} classes with two pictures or more are there to train on: expected {asked or 2} for "
                         "each batch; keep fewer classes apart, or bring more")
    return asked or min(CLASSES, there)


def pair_loss(loss, miner, loss_options, *, n_labels):
    """A function of the embeddings' columns that gives the loss; what can be refused at once is.

    Args:
        loss: a name from `devise.losses.pairs.NAMES`, or a Loss.
        miner: a name, or None for the usual one of the loss.
    """
    from devise.losses import pairs

    if not isinstance(loss, str):
        if miner or loss_options:
            raise ValueError("a Loss has its own miner and options: give them to its constructor")
        return lambda dim: loss
    miner = miner or MINERS.get(loss)
    pairs.make(loss, n_labels=n_labels, dim=1, miner=miner, **(loss_options or {}))
    return lambda dim: pairs.make(loss, n_labels=n_labels, dim=dim, miner=miner, **(loss_options or {}))


def loss_record(loss):
    """A loss for JSON: its name, its miner's and its options."""
    miner = getattr(loss, "miner", None)
    return {"name": getattr(loss, "name", "function"), "miner": miner and miner.name,
            **(loss.get_config() if hasattr(loss, "get_config") else {})}


def scores(rows, labels):
    """What decides on the best epoch, MAP@R, and what else its course shows: {name: fraction}.

    Args:
        rows: (m, d), validation rows.
        labels: int (m,).
    """
    found = retrieve(rows, labels, ks=KS).means()
    return ({"MAP@R": found["map_at_r"]} | {f"hit@{k}": value for k, value in found["hit_at_k"].items()}
            | {f"recall@{k}": value for k, value in found["recall_at_k"].items() if k > 1})


def own_numbers(labels):
    """Labels as 0..C - 1, C the classes that are there."""
    return np.unique(labels, return_inverse=True)[1]


def validation_labels(loss, labels, n_trained):
    """The labels that a loss is given for validation rows: proxies know no validation class, any will do."""
    return labels % n_trained if knows_classes(loss) else labels


def knows_classes(loss):
    """Whether a loss has something for each training class, so that its value on others means nothing."""
    return getattr(loss, "n_labels", None) is not None
