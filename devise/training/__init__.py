"""Gradient training of heads: on cached features, and with the network on images."""

import importlib
from typing import TYPE_CHECKING, Any

from devise.training.augmented import AugmentedFeatures, Schedule
from devise.training.loop import History

if TYPE_CHECKING:
    from devise.training.finetuning import Finetuned, finetune
    from devise.training.trainer import train

_LEAVES = {"train": "trainer", "Finetuned": "finetuning", "finetune": "finetuning"}  # with tensorflow

__all__ = ["AugmentedFeatures", "Finetuned", "History", "Schedule", "finetune", "train"]


def __getattr__(name: str) -> Any:
    if name not in _LEAVES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LEAVES[name]}"), name)
