"""Nearest neighbours by cosine, behind one door: `make`, `load`, and the engines in this folder."""

from devise.index.base import Hits, Index
from devise.index.registry import engines, load, make

__all__ = ["Hits", "Index", "engines", "load", "make"]
