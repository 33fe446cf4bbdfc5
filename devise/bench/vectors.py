"""Vectors for the index benchmark, written to disk block by block: drawn ones, and words as they come."""

import numpy as np
from numpy.lib.format import open_memmap

from devise.words import open_words

DRAWN = ("unit vectors in clusters of about 100: Gaussian centres, and Gaussian members around them at the centre's "
         "own expected length; in both the variance of the i-th coordinate falls as 1/i, so that they have about as "
         "many effective dimensions as features of pictures; the queries are drawn around the same centres and are "
         "no members")
BLOCK = 50_000  # rows drawn at a time
PER_CLUSTER = 100


def draw(folder, n, n_queries, dim, seed):
    """Write members.npy float32 (n, dim) and queries.npy (n_queries, dim), as `DRAWN` says."""
    random = np.random.default_rng([seed, n, dim])
    spread = 1 / np.sqrt(1 + np.arange(dim))
    spread = (spread / np.sqrt((spread**2).sum())).astype(np.float32)  # an expected squared length of 1
    centres = random.standard_normal((max(1, n // PER_CLUSTER), dim), dtype=np.float32) * spread
    for name, count in [("members.npy", n), ("queries.npy", n_queries)]:
        rows = open_memmap(folder / name, "w+", np.float32, (count, dim))
        for start in range(0, count, BLOCK):
            block = random.standard_normal((min(BLOCK, count - start), dim), dtype=np.float32) * spread
            block += centres[random.integers(0, len(centres), len(block))]
            rows[start:start + len(block)] = block / np.linalg.norm(block, axis=1, keepdims=True)
        rows.flush()


def take_words(folder, words, n_queries, seed):
    """Write the vectors of known words as members.npy, less `n_queries` drawn ones as queries.npy.

    Returns:
        (n, dim) of the members.
    """
    matrix = open_words(words).matrix
    rows = np.flatnonzero(np.any(matrix, axis=1))
    asked = np.random.default_rng(seed).choice(rows, min(n_queries, len(rows) // 2), replace=False)
    kept = np.setdiff1d(rows, asked)
    for name, chosen in [("members.npy", kept), ("queries.npy", asked)]:
        np.save(folder / name, np.asarray(matrix[chosen], np.float32))
    return len(kept), matrix.shape[1]
