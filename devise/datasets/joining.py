"""Several sets of pictures as one."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from devise.datasets.base import ImageSet


def join(sets):
    """The pictures of several sets in this order, classes by name, paths from the deepest folder that they share.

    Where a set has no root the paths stay as they are, and the whole has none.

    Args:
        sets: ImageSets, at least one.

    >>> cats = ImageSet(("a.jpg",), np.array([0]), ("cat",), Path("/pictures/cats"))
    >>> dogs = ImageSet(("b.jpg",), np.array([0]), ("dog",), Path("/pictures/dogs"))
    >>> join([cats, dogs]).paths
    ('cats/a.jpg', 'dogs/b.jpg')
    """
    sets = _from_one_root(list(sets))
    names = tuple(dict.fromkeys(name for part in sets for name in part.label_names))
    labels = [np.array([*map(names.index, part.label_names), -1])[part.labels] for part in sets]  # -1, no class, stays
    return ImageSet(tuple(path for part in sets for path in part.paths), np.concatenate(labels), names, sets[0].root,
                    tuple(item for part in sets for item in part.skipped))


def _from_one_root(sets):
    """The sets, their paths told from one root, or all without one."""
    if any(part.root is None for part in sets):
        return [replace(part, root=None) for part in sets]
    root = Path(os.path.commonpath([Path(part.root).resolve() for part in sets]))
    return [replace(part, root=root, paths=tuple(
        (Path(part.root).resolve() / path).relative_to(root).as_posix() for path in part.paths)) for part in sets]
