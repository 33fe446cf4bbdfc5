"""Gradient training of heads: on cached features, and with the network on images."""

import importlib

from devise.training.augmented import AugmentedFeatures, Schedule
from devise.training.loop import History

_LEAVES = {"train": "trainer", "Finetuned": "finetuning", "finetune": "finetuning"}  # with tensorflow

__all__ = ["AugmentedFeatures", "Finetuned", "History", "Schedule", "finetune", "train"]


def __getattr__(name: str) -> object:
    if name not in _LEAVES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LEAVES[name]}"), name)
