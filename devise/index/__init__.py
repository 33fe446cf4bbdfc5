"""Nearest neighbours by cosine, behind one door: `choose`, `make`, `load`, and the engines in this folder."""

from devise.index.base import Hits, Index
from devise.index.registry import choose, engines, load, make

__all__ = ["Hits", "Index", "choose", "engines", "load", "make"]
