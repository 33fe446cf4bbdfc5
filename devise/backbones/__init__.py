"""Frozen networks that turn pictures into feature vectors."""

from devise.backbones.base import Backbone, Preprocessing
from devise.backbones.registry import as_backbone, choose, describe, from_keras, load, names

__all__ = ["Backbone", "Preprocessing", "as_backbone", "choose", "describe", "from_keras", "load", "names"]
