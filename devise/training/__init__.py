"""Heads, their training on cached features, and along with the network on pictures."""

import importlib

from devise.training.bank import FeatureBank
from devise.training.curriculum import Schedule
from devise.training.heads import Head
from devise.training.history import History
from devise.training.loading import load_head
from devise.training.mlp import HeadConfig, MlpHead
from devise.training.projection import ProjectionHead
from devise.training.ridge import RidgeHead

_LEAVES = {"train": "trainer", "Finetuned": "finetuning", "finetune": "finetuning"}  # with tensorflow

__all__ = ["FeatureBank", "Finetuned", "Head", "HeadConfig", "History", "MlpHead", "ProjectionHead", "RidgeHead",
           "Schedule", "finetune", "load_head", "train"]


def __getattr__(name):
    if name not in _LEAVES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LEAVES[name]}"), name)
