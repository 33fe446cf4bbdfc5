"""Several indexes of one model as one, each where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise.datasets import join
from devise.index.sharded import Sharded
from devise.search.links import links_of, place_of
from devise.search.pictures import Thumbnails
from devise.storage import is_url

if TYPE_CHECKING:
    from devise.datasets import ImageSet
    from devise.index import Index
    from devise.search.engine import Search


class Part(NamedTuple):
    """An index that a Search was opened from: its name, its images, its folder."""

    name: str
    images: int
    folder: Path


def joined(searches: Sequence[Search], folders: Sequence[str | Path]) -> dict:
    """The pictures and the indexes of all; the rows of each search follow those of the one before.

    A picture that is in two of them is found in the first; the indexes stay as they are. Where only some know
    the folder of their pictures, those of the others keep their names, and are the same only where their content is.

    Args:
        searches: opened ones.
        folders: how an error calls them.
    Returns:
        what `Search` takes, by name.
    Raises:
        ValueError: if they are of different models, or have not the same spaces.
    """
    first = searches[0]
    for search, folder in zip(searches, folders, strict=True):
        if _made_by(search) != _made_by(first):
            raise ValueError(f"the indexes in {folders[0]} and {folder} are of different models or spaces: index the "
                             "pictures of one with the model of the other")
    sets = [search.images for search in searches]
    if any(images.root is None for images in sets):
        sets = [replace(images, root=None, paths=tuple(place_of(images, row) for row in range(len(images))))
                for images in sets]
    images = join(sets)
    firsts = np.cumsum([0, *map(len, searches[:-1])])
    _, kept = np.unique(_known_by(images, searches), return_index=True)
    again = np.setdiff1d(np.arange(len(images)), kept)
    told = [search.contents for search in searches if search.contents is not None]
    contents = np.concatenate(told) if len(told) == len(searches) else None
    indexes: dict[str, Index] = {
        space: Sharded.join([search.indexes[space] for search in searches], firsts=firsts, hidden=again,
                            fingerprint=part.fingerprint) for space, part in first.indexes.items()}
    small = [search.thumbnails for search in searches if search.thumbnails is not None]
    return {"model": first.model, "images": images, "indexes": indexes, "contents": contents,
            "links": links_of(images), "thumbnails": Thumbnails.join(small) if small else None,
            "parts": parts_of(searches, folders),
            "metadata": lambda: list(chain.from_iterable(search.metadata for search in searches))}


def parts_of(searches: Sequence[Search], folders: Sequence[str | Path]) -> tuple[Part, ...]:
    """What each search was opened from."""
    return tuple(Part(name, len(search), Path(folder).resolve())
                 for name, search, folder in zip(names_of(folders), searches, folders, strict=True))


def names_of(folders: Sequence[str | Path]) -> list[str]:
    """The end of each folder's path by which it differs from the others.

    >>> names_of(["/home/a/index", "/home/b/index"]), names_of(["archive", "trips"])
    (['a/index', 'b/index'], ['archive', 'trips'])
    """
    paths = [Path(folder).resolve().parts for folder in folders]
    depth = next((depth for depth in range(1, max(map(len, paths)))
                  if len({path[-depth:] for path in paths}) == len(set(paths))), 0)
    return ["/".join(path[-depth:]) for path in paths]


def _known_by(images: ImageSet, searches: Sequence[Search]) -> list[str]:
    """What makes each picture the same in two indexes: where it lies, or a name with its content or its index."""
    if images.root is not None:
        return list(images.paths)
    known: list[str] = []
    for number, search in enumerate(searches):
        for row in range(len(search)):
            path = images.paths[len(known)]
            if is_url(path) or Path(path).is_absolute():
                known.append(path)
            else:
                content = search.contents["sha256"][row].tobytes().hex() if search.contents is not None else number
                known.append(f"{path}\0{content}")
    return known


def _made_by(search):
    """The model's words, and of each space the model's fingerprint."""
    words = search.model.words_record or {}
    return words.get("fingerprint"), {space: part.fingerprint for space, part in search.indexes.items()}
