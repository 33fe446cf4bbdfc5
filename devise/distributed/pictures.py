"""Pictures that are dealt out to workers in parts, wherever they lie."""

import os
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from devise import storage
from devise.datasets import ImageSet


@dataclass(frozen=True, eq=False)
class Part:
    """Some pictures for one worker; it travels to where the worker is.

    Attributes:
        paths: what the pictures are called.
        images: ImageSet on a disk that the worker sees, or None where they must be fetched.
        fetch: then a function that writes picture i to `folder/i` and returns {i: reason} of those it can't get.
        sizes: in bytes, as the sender sees the pictures, None where it doesn't; () where they must be fetched.
    """

    paths: tuple[str, ...]
    images: ImageSet | None = None
    fetch: Callable | None = None
    sizes: tuple[int | None, ...] = ()

    @contextmanager
    def opened(self):
        """(ImageSet on this disk, {place: reason} of pictures that can't be had); fetched files go at the end."""
        if self.fetch is None:
            yield self.images, {}
            return
        with tempfile.TemporaryDirectory(prefix="devise-") as folder:
            missing = self.fetch(Path(folder))
            names = tuple(str(place) for place in range(len(self.paths)))
            yield ImageSet(names, np.full(len(names), -1), (), Path(folder)), missing


class OnDisk:
    """The pictures of an ImageSet, on a disk that every worker sees under the same path."""

    def __init__(self, images):
        root = None if images.root is None else images.root.resolve()
        self.images, self._dealt = images, replace(images, root=root, skipped=(), captions=None)

    def stat(self, row):
        """The stamp of a picture: as long as it stays, its content is taken to be the same.

        Raises:
            OSError: if there is no such file.
        """
        return storage.stamp(self.images.file(row))

    def part(self, rows):
        """The Part of some rows."""
        images = self._dealt.subset(rows)
        return Part(images.paths, images, sizes=tuple(_size(images.file(place)) for place in range(len(images))))


def _size(file):
    try:
        return os.stat(file).st_size
    except OSError:
        return None
