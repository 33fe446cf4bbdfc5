"""Frozen networks that turn pictures into feature vectors."""

from devise.backbones.base import Backbone, Preprocessing
from devise.backbones.registry import choose, load, names

__all__ = ["Backbone", "Preprocessing", "choose", "load", "names"]
