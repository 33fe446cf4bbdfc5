"""The two models that every zero-shot paper compares itself with, learned from features alone."""

import numpy as np

from devise.heads import HingeRankHead
from devise.zeroshot import onto

EPOCHS = (3, 10)


def hinge_rank(x, labels, vectors, validation, *, seed=0):
    """The HingeRankHead whose number of epochs names most validation pictures right, among the labels trained on.

    Args:
        x: float32 (n, d) features.
        labels: int (n,), rows of `vectors`.
        vectors: (C, dim).
        validation: (features, labels).
    """
    seen = np.unique(labels)

    def hit_at_1(head):
        return (seen[onto(head, vectors[seen]).tag(validation[0], 1).ids[:, 0]] == validation[1]).mean()

    return max((HingeRankHead(epochs=epochs).fit(x, labels, vectors, seed=seed) for epochs in EPOCHS), key=hit_at_1)


def softmax(x, labels, n_classes, validation, *, seed=0, epochs=30):
    """A linear classifier trained by cross-entropy; its `outputs` are logits (m, n_classes).

    Args:
        x: float32 (n, d) features.
        labels: int (n,), each in 0..n_classes - 1.
        validation: (features, labels) that choose the epoch, by hit@1.
    Returns:
        MlpHead.
    """
    from devise.heads import HeadConfig, MlpHead
    from devise.losses.classification import cross_entropy
    from devise.training import train

    head = MlpHead(HeadConfig(dim=n_classes, sizes=(), batch_norm=False))
    train(head, x, labels, cross_entropy, epochs=epochs, validation=validation, seed=seed,
          validate=lambda logits: (logits.argmax(axis=1) == validation[1]).mean())
    return head
