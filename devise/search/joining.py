"""Several indexes of one model as one, each where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from devise.datasets import ImageSet, join
from devise.index.sharded import Sharded
from devise.search.links import links_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.index import Index
    from devise.search.engine import Search


def joined(searches: Sequence[Search], folders: Sequence
           ) -> tuple[ImageSet, dict[str, Index], NDArray | None, dict[str, str]]:
    """The pictures and the indexes of all; the rows of each search follow those of the one before.

    A picture that is in two of them is found in the first; the indexes stay as they are.

    Args:
        searches: opened ones.
        folders: how an error calls them.
    Returns:
        ImageSet, {space: Sharded}, and contents and links as a Search has them.
    Raises:
        ValueError: if they are of different models, or have not the same spaces.
    """
    first = searches[0]
    for search, folder in zip(searches, folders, strict=True):
        if _made_by(search) != _made_by(first):
            raise ValueError(f"the indexes in {folders[0]} and {folder} are of different models or spaces: index the "
                             "pictures of one with the model of the other")
    images = join([search.images for search in searches])
    firsts = np.cumsum([0, *map(len, searches[:-1])])
    _, kept = np.unique(images.paths, return_index=True)
    again = np.setdiff1d(np.arange(len(images)), kept)
    told = [search.contents for search in searches if search.contents is not None]
    contents = np.concatenate(told) if len(told) == len(searches) else None
    indexes: dict[str, Index] = {
        space: Sharded.join([search.indexes[space] for search in searches], firsts=firsts, hidden=again,
                            fingerprint=part.fingerprint) for space, part in first.indexes.items()}
    return images, indexes, contents, links_of(images)


def _made_by(search):
    """The model's words, and of each space the model's fingerprint."""
    words = search.model.words_record or {}
    return words.get("fingerprint"), {space: part.fingerprint for space, part in search.indexes.items()}
