"""A head fitted on the seen classes, every choice made on a validation part of their pictures."""

from functools import partial

import numpy as np

from devise.errors import unknown


def train_head(head, matrix, labels, vectors, parts, *, seed, progress, loss="cosine", **training):
    """(fitted head, History or None): every choice on the validation part of the seen pictures."""
    from devise.heads import HeadConfig, MlpHead

    head = head or MlpHead(HeadConfig(dim=vectors.shape[1]))
    x, y = rows_of(matrix, parts.train), labels[parts.train]
    held = (rows_of(matrix, parts.validation), labels[parts.validation]) if len(parts.validation) else None
    if head.kind == "ridge":
        if training or loss != "cosine":
            raise TypeError(f"the ridge head has a closed form: {', '.join(training) or 'loss'} mean nothing to it")
        return head.fit(x, y, vectors, validation=held), None
    from devise.training import train

    # only seen labels are there to be pulled to or pushed from: the unseen ones must not be known
    seen = np.unique(np.concatenate([labels[parts.train], labels[parts.validation]]))
    validate = held and partial(hit_at_1, labels=held[1], seen=seen, vectors=vectors)
    held = held and (held[0], np.searchsorted(seen, held[1]))
    return head, train(head, x, np.searchsorted(seen, y), loss_of(loss, vectors[seen]), validation=held,
                       validate=validate, seed=seed, progress=progress, **training)


def loss_of(name, vectors):
    """The loss of a name onto these label vectors; a Loss is taken as it is."""
    from devise import losses

    known = {"cosine": losses.Cosine, "hinge": losses.HingeRank, "infonce": losses.InfoNCE}
    if not isinstance(name, str):
        return name
    if name not in known:
        raise ValueError(f"{unknown('loss', name, known)} Or give a Loss")
    return known[name](vectors)


def hit_at_1(embeddings, *, labels, seen, vectors):
    """The share of pictures whose nearest seen label is their own."""
    return float((seen[(embeddings @ vectors[seen].T).argmax(axis=1)] == labels).mean())


def rows_of(matrix, rows):
    """Some rows of a table as float32 in memory."""
    return np.asarray(matrix[rows], np.float32)
