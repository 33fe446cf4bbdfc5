"""The batches of an epoch with their features, in memory or streamed from the disk."""

import numpy as np
import tensorflow as tf

from devise.training.bank import FeatureBank


class Batches:
    """Features and labels, handed out an epoch at a time.

    Features that take at most `resident_bytes`, all levels of a bank together, become one tensor
    that stays on the device. Of larger ones, runs of whole batches are read from where they lie,
    `resident_bytes` at a time.

    Args:
        features: (n, d), may be memory-mapped, or a FeatureBank of such.
        labels: int (n,).
        draw: an EveryRow or a ClassRows of these rows.
    Attributes:
        resident: the tensor (n, d) of all rows, of all levels one beneath the other, or None.
    """

    def __init__(self, features, labels, draw, *, resident_bytes):
        self._bank = features if isinstance(features, FeatureBank) else None
        self._levels = self._bank.levels if self._bank else (features,)
        self._labels, self._draw = np.tile(labels.astype(np.int32), len(self._levels)), draw
        row_bytes = 4 * features.shape[1]
        self.resident = None
        if row_bytes * len(self._labels) <= resident_bytes:
            kept = [_rows(level) for level in self._levels]
            self.resident = kept[0] if len(kept) == 1 else tf.concat(kept, axis=0)
            self._resident_labels = tf.constant(self._labels)
        self._run = max(1, resident_bytes // (row_bytes * draw.most))

    def epoch(self, rng, number=1):
        """Runs of batches, in the order that `rng` draws.

        Args:
            number: of the epoch, from 1; a bank opens its levels by it.
        Returns:
            an iterator over (features (m, d), labels (m,), order (r,), edges (b + 1,)): batch i of
            a run is the rows order[edges[i]:edges[i + 1]] of its features and labels.
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
            yield (_rows(self._read(rows)), tf.constant(self._labels[rows]),
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


def _rows(features):
    return tf.constant(np.asarray(features, np.float32))
