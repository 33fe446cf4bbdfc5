"""Losses: `loss(labels, embeddings)`, a scalar that training makes small."""

import importlib
from typing import TYPE_CHECKING, Any

from devise.losses.base import Loss, as_loss

if TYPE_CHECKING:
    from devise.losses.labels import Cosine, HingeRank, InfoNCE, Softmax, cosine_loss, cross_entropy, hinge_costs
    from devise.losses.memory import CrossBatchMemory
    from devise.losses.pairs import PairLoss

_LEAVES = {"CrossBatchMemory": "memory", "PairLoss": "pairs",  # these import keras
           **dict.fromkeys(("Cosine", "HingeRank", "InfoNCE", "Softmax", "cosine_loss", "cross_entropy", "hinge_costs"),
                           "labels")}

__all__ = ["Cosine", "CrossBatchMemory", "HingeRank", "InfoNCE", "Loss", "PairLoss", "Softmax", "as_loss",
           "cosine_loss", "cross_entropy", "hinge_costs"]


def __getattr__(name: str) -> Any:
    if name not in _LEAVES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LEAVES[name]}"), name)
