"""What each worker does: it loads the network once, and turns parts of the pictures into features."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise import features, storage
from devise.datasets import read_image

if TYPE_CHECKING:
    from devise.distributed.pictures import Part

THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


class Shard(NamedTuple):
    """What became of a part.

    Attributes:
        keys: the sha256 of each picture's content, None where it could not be had.
        places: int (m,), which pictures have a vector.
        vectors: float32 (m, dim), theirs.
        reasons: {place: why it has none} of all others.
    """

    keys: list
    places: np.ndarray
    vectors: np.ndarray
    reasons: dict


class Worker:
    """A network, and the loop that pictures pass through; several threads may call it.

    Args:
        load_backbone: a function that loads the network, such as a `functools.partial` of `backbones.load`.
        threads: of the network's arithmetic; set before TensorFlow is imported, else without effect.
    """

    def __init__(self, load_backbone, threads=1):
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
        self._backbone, self._turn = load_backbone(), Lock()

    def describe(self):
        """What the network is, as a feature table records it."""
        return features.describe(self._backbone)

    def extract(self, part):
        """The Shard of a Part. One part is fetched while another one is computed."""
        with part.opened() as (images, reasons):
            keys, reasons = [None] * len(images), reasons | _unseen(part, images, reasons)
            for place in range(len(images)):
                if place not in reasons:
                    try:
                        keys[place] = storage.digest(images.file(place))
                    except OSError as error:
                        reasons[place] = error.strerror or str(error)
            there = np.array([place for place in range(len(images)) if place not in reasons], np.int64)
            with self._turn:
                places, vectors, unread = self._computed(images, there)
        return Shard(keys, places, vectors, reasons | unread)

    def _computed(self, images, places):
        """The places that can be read, their vectors, and why the others can't."""
        nothing = np.empty(0, np.int64), np.empty((0, self._backbone.dim), np.float32)
        if not len(places):
            return *nothing, {}
        try:
            table = features.compute(images.subset(places), self._backbone)
        except ValueError:
            reasons = {place: _reason(images.file(place)) for place in places.tolist()}
            if None in reasons.values():  # not the pictures were wrong
                raise
            return *nothing, reasons
        unread = dict(table.images.skipped[len(images.skipped):])
        reasons = {place: unread[images.paths[place]] for place in places.tolist() if images.paths[place] in unread}
        return np.array([place for place in places.tolist() if place not in reasons], np.int64), table.matrix, reasons


def unread(part: Part) -> dict[int, str]:
    """{place: why} of the pictures of a part that this machine can't read."""
    with part.opened() as (images, reasons):
        found = reasons | _unseen(part, images, reasons)
        return found | {place: reason for place in range(len(images))
                        if place not in found and (reason := _reason(images.file(place)))}


def _unseen(part, images, known):
    """{place: why} of pictures that are not here as the sender sees them, beyond those that are known."""
    unseen = {}
    for place, size in enumerate(part.sizes):
        if place not in known and size is not None:
            try:
                here = os.stat(images.file(place)).st_size
            except OSError as error:
                unseen[place] = error.strerror or str(error)
            else:
                if here != size:
                    unseen[place] = f"it has {here:,} bytes, not {size:,}"
    return unseen


def _reason(file):
    """Why a file can't be read as a picture, or None."""
    try:
        read_image(file)
    except (ValueError, OSError) as error:
        return str(error).removeprefix(f"{file}: ")
    return None
