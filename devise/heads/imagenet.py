"""ImageNet's 1,000 classes among the words: their label vectors, and which of them name a label."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from devise import words as room
from devise.backbones import imagenet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.words import WordVectors


def imagenet_vectors(words: WordVectors) -> NDArray[np.float32]:
    """A label vector for each ImageNet class, see `devise.words.synset_vectors`: float32 (1000, dim)."""
    return room.synset_vectors(imagenet.identities(), words)


def strict_mask(label: str, *, synsets: str | Collection[str] | None = None, wide: bool = False) -> NDArray[np.bool_]:
    """Which ImageNet classes name a label, see `devise.words.strict_mask`: bool (1000,).

    >>> [imagenet.class_names()[row] for row in np.flatnonzero(strict_mask("elephant", wide=True))]
    ['tusker', 'Indian elephant', 'African elephant']
    """
    return room.strict_mask(label, imagenet.identities(), synsets=synsets, wide=wide)
