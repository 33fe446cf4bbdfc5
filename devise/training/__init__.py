"""Heads, and their training on cached features."""

from devise.training.heads import Head, load_head
from devise.training.history import History
from devise.training.mlp import HeadConfig, MlpHead
from devise.training.ridge import RidgeHead

__all__ = ["Head", "HeadConfig", "History", "MlpHead", "RidgeHead", "load_head", "train"]


def __getattr__(name):
    if name != "train":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from devise.training.trainer import train  # imports tensorflow

    return train
