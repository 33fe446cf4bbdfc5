"""Losses: `loss(labels, embeddings)`, a scalar that training makes small."""

import importlib

from devise.losses.base import Loss, as_loss

_LEAVES = {"Cosine": "alignment", "cosine_loss": "alignment",  # these import keras
           "HingeRank": "ranking", "hinge_costs": "ranking",
           "InfoNCE": "classification", "Softmax": "classification", "cross_entropy": "classification",
           "CrossBatchMemory": "memory", "PairLoss": "pairs"}

__all__ = ["Cosine", "CrossBatchMemory", "HingeRank", "InfoNCE", "Loss", "PairLoss", "Softmax", "as_loss",
           "cosine_loss", "cross_entropy", "hinge_costs"]


def __getattr__(name: str) -> object:
    if name not in _LEAVES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LEAVES[name]}"), name)
