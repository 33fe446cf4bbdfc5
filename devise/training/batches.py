"""The batches of an epoch: which rows make each, and their features, in memory or streamed from the disk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from devise.training.augmented import AugmentedFeatures

Rows = tuple[NDArray[np.int32], NDArray[np.int32]]


def usual_size(n: int) -> int:
    """The batch size for n rows: 32, but at least 20 batches an epoch down to batches of 8."""
    return min(32, max(8, n // 20))


def edges(n: int, batch_size: int) -> NDArray[np.int32]:
    """Where batches begin and end, from 0 to n: as few as hold at most `batch_size` rows, as even as can be.

    Even batches lose no row and leave no short last batch, whose statistics batch normalisation
    would have to trust.

    >>> edges(10, 4)
    array([ 0,  3,  6, 10], dtype=int32)
    """
    count = -(-n // batch_size)
    return (np.arange(count + 1) * n // count).astype(np.int32)


class EveryRow:
    """Batches of at most `batch_size` rows, each of the n rows in one of them.

    Raises:
        ValueError: if a batch would hold one row.
    """

    left_out = ()

    def __init__(self, n: int, batch_size: int):
        if batch_size < 2 or np.diff(edges(n, batch_size)).min() < 2:
            raise ValueError(f"batch_size is {batch_size}, which gives batches of one row out of {n}: "
                             "batch normalisation needs two or more, give a larger one")
        self.most, self._n, self._edges = batch_size, n, edges(n, batch_size)

    def draw(self, rng: np.random.Generator) -> Rows:
        """(order int32 (r,), edges int32 (b + 1,)): batch i is the rows order[edges[i]:edges[i + 1]]."""
        return rng.permutation(self._n).astype(np.int32), self._edges


class ClassRows:
    """Batches of `classes` classes with `per_class` rows of each, as losses over pairs need them.

    A class with fewer rows gives all that it has, none of them twice, which makes its batches
    shorter. A class of one row has no pair to offer and is left out. An epoch has as many batches
    as hold the rows once, each class as often as any other, give or take one, however large it is.

    Args:
        labels: int (n,).
    Attributes:
        left_out: the labels of the classes with one row.
        most: classes × per_class, the rows of a full batch.
    Raises:
        ValueError: if either number is below 2, or there are not so many classes with two rows.
    """

    def __init__(self, labels: ArrayLike, classes: int, per_class: int):
        for name, number in (("classes", classes), ("per_class", per_class)):
            if number < 2:
                raise ValueError(f"{name} is {number}: a batch needs two or more, to have pairs that match "
                                 "and pairs that don't")
        names, own, counts = np.unique(labels, return_inverse=True, return_counts=True)
        groups = np.split(np.argsort(own, kind="stable").astype(np.int32), np.cumsum(counts)[:-1])
        self._groups = [rows for rows in groups if len(rows) > 1]
        self.left_out = tuple(names[counts == 1].tolist())
        if len(self._groups) < classes:
            raise ValueError(f"classes is {classes}, but of {len(names)} classes {len(self._groups)} have two "
                             f"or more rows: lower classes, or give them more rows")
        self._classes, self._per_class, self.most = classes, per_class, classes * per_class
        given = np.minimum(counts[counts > 1], per_class).mean() * classes
        self._count = max(1, round(sum(map(len, self._groups)) / given))

    def draw(self, rng: np.random.Generator) -> Rows:
        """(order int32 (r,), edges int32 (b + 1,)), as `EveryRow.draw`."""
        chosen = _turns(len(self._groups), self._classes, rng)
        within = [_turns(len(rows), min(self._per_class, len(rows)), rng) for rows in self._groups]
        batches = [np.concatenate([self._groups[own][next(within[own])] for own in next(chosen)])
                   for _ in range(self._count)]
        ends = np.cumsum([0, *map(len, batches)]).astype(np.int32)
        return np.concatenate(batches), ends


def _turns(n, k, rng):
    """Endless draws of k different numbers below n, each as often as any other, give or take one."""
    waiting = np.empty(0, np.int64)
    while True:
        if len(waiting) < k:
            fresh = rng.permutation(n)
            again = np.isin(fresh, waiting)  # these come last: no number twice in a draw
            waiting = np.concatenate([waiting, fresh[~again], fresh[again]])
        yield waiting[:k]
        waiting = waiting[k:]


def make(labels: NDArray, *, batch_size: int | None, classes: int | None, per_class: int) -> EveryRow | ClassRows:
    """The draw that the options ask for: by class where `classes` is given, else every row.

    Raises:
        ValueError: if both batch_size and classes are given, or they don't fit the labels.
    """
    if classes is None:
        return EveryRow(len(labels), usual_size(len(labels)) if batch_size is None else batch_size)
    if batch_size is not None:
        raise ValueError(f"batch_size is {batch_size} and classes is {classes}: give one of them, a batch "
                         "of classes has classes × per_class rows")
    return ClassRows(labels, classes, per_class)


class Batches:
    """Features and labels, handed out an epoch at a time.

    Features that take at most `resident_bytes`, all levels of a bank together, become one tensor
    that stays on the device. Of larger ones, runs of whole batches are read from where they lie,
    `resident_bytes` at a time.

    Args:
        features: (n, d), may be memory-mapped, or a AugmentedFeatures of such.
        labels: int (n,).
        draw: an EveryRow or a ClassRows of these rows.
    Attributes:
        resident: the tensor (n, d) of all rows, of all levels one beneath the other, or None.
    """

    def __init__(self, features: NDArray | AugmentedFeatures, labels: NDArray, draw: EveryRow | ClassRows, *,
                 resident_bytes: int):
        self._bank = features if isinstance(features, AugmentedFeatures) else None
        self._levels = self._bank.levels if self._bank else (features,)
        self._labels, self._draw = np.tile(labels.astype(np.int32), len(self._levels)), draw
        row_bytes = 4 * features.shape[1]
        self.resident = None
        if row_bytes * len(self._labels) <= resident_bytes:
            self.resident = tf.concat([np.asarray(level, np.float32) for level in self._levels], axis=0)
            self._resident_labels = tf.constant(self._labels)
        self._run = max(1, resident_bytes // (row_bytes * draw.most))

    def epoch(self, rng: np.random.Generator, number: int = 1) -> Iterator[tuple]:
        """Runs of batches of an epoch, (features (m, d), labels (m,), order (r,), edges (b + 1,)).

        Batch i of a run is the rows order[edges[i]:edges[i + 1]] of its features and labels. A bank
        opens its levels by the number of the epoch, from 1.
        """
        order, ends = self._draw.draw(rng)
        if self._bank:  # a generator of its own: the order is that of plain features
            levels = self._bank.draw(len(order), number, rng.spawn(1)[0])
            order = order + levels.astype(np.int32) * np.int32(len(self._levels[0]))
        if self.resident is not None:
            yield self.resident, self._resident_labels, tf.constant(order), tf.constant(ends)
            return
        for first in range(0, len(ends) - 1, self._run):
            part = ends[first:first + self._run + 1]
            rows = order[part[0]:part[-1]]
            yield (tf.constant(np.asarray(self._read(rows), np.float32)), tf.constant(self._labels[rows]),
                   tf.range(len(rows)), tf.constant(part - part[0]))

    def _read(self, rows):
        """Rows of the levels, as if those lay beneath one another."""
        if not self._bank:
            return self._levels[0][rows]
        level, own = np.divmod(rows, len(self._levels[0]))
        out = np.empty((len(rows), self._levels[0].shape[1]), np.float32)
        for number in np.unique(level):
            out[level == number] = self._levels[number][own[level == number]]
        return out
