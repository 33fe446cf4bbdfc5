"""Nearest neighbours by cosine, behind one door: `choose`, `make`, `load`, and the engines in this folder."""

from devise.index.base import Hits, Index
from devise.index.registry import PREFERRED, choose, discard, engines, load, loaded, make, outside

__all__ = ["PREFERRED", "Hits", "Index", "choose", "discard", "engines", "load", "loaded", "make", "outside"]
