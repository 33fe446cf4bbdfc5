"""Near-duplicates in an index: copies, resized, recompressed and slightly cropped pictures, and bursts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from devise.datasets import read_image
from devise.search.pictures import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.search.engine import Search

# chosen on made-up copies of Flickr8k's dev pictures and scikit-image's, see docs/how-it-works.md
ALIKE = 0.85  # cosine of features from which pictures are near-duplicates
LEAST, BITS = 0.45, 8  # or from which they are where their hashes differ in so few bits
NEAREST = 16  # neighbours of each picture that are looked at
SIDE, LOW = 32, 8  # pixels of the copy that is hashed, frequencies of each side that are kept
FLAT = 1.0  # a frequency that noise of a 64th of a grey level would have
BLOCK, THREADS = 1024, 4


class Copy(NamedTuple):
    """A picture of a group of near-duplicates.

    Attributes:
        row, path: its place in the index.
        score: its cosine with the nearest other of the group, 1 for the same content.
        same_as: the path of the group's first picture whose file has the same bytes; None of that one itself.

    >>> Copy(3, "beach/4 copy.jpg", 1.0, "beach/4.jpg").same_as
    'beach/4.jpg'
    """

    row: int
    path: str
    score: float
    same_as: str | None


def duplicates(search: Search, alike: float, progress: Callable | None) -> list[tuple[Copy, ...]]:
    """The groups of near-duplicates of an index, see `Search.duplicates`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, paths = len(search), search.images.paths
    left, right, scores = _neighbours(search)
    doubtful = scores < alike
    bits = _hashes(search, np.unique([left[doubtful], right[doubtful]]), progress)
    kept = ~doubtful
    kept[doubtful] = [a in bits and b in bits and (bits[a] != bits[b]).sum() <= BITS
                      for a, b in zip(left[doubtful].tolist(), right[doubtful].tolist(), strict=True)]
    first = _first_of_content(search)
    same = np.flatnonzero(first != np.arange(n))
    best = np.zeros(n)
    for rows in (left, right):
        np.maximum.at(best, rows[kept], scores[kept])
    best[same] = best[first[same]] = 1
    pairs = np.concatenate([left[kept], same]), np.concatenate([right[kept], first[same]])
    groups = connected_components(coo_array((np.ones(len(pairs[0])), pairs), shape=(n, n)), directed=False)[1]
    order = np.argsort(groups, kind="stable")
    found = [rows.tolist() for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(rows) > 1]
    return [tuple(Copy(row, paths[row], float(min(best[row], 1)), None if first[row] == row else paths[first[row]])
                  for row in rows) for rows in sorted(found)]


def _neighbours(search):
    """(rows, larger rows, cosines) of pairs of near neighbours in the raw space, each pair once."""
    part = search.indexes["raw"]
    found, ids = [np.empty((0, 3))], part.ids
    for start in range(0, len(ids), BLOCK):
        rows = ids[start:start + BLOCK]
        hits = part.search(part.vectors(rows), min(NEAREST, len(ids)), exclude=rows)
        near = hits.scores >= LEAST
        pairs = np.stack([np.broadcast_to(rows[:, None], near.shape)[near], hits.ids[near]], axis=1)
        found.append(np.column_stack([np.sort(pairs, axis=1), hits.scores[near]]))
    pairs = np.concatenate(found)
    _, once = np.unique(pairs[:, :2], axis=0, return_index=True)
    return pairs[once, 0].astype(int), pairs[once, 1].astype(int), pairs[once, 2]


def _first_of_content(search):
    """int (n,), of each row the first one of the index whose file has the same bytes."""
    first = np.arange(len(search))
    if search.contents is not None:
        rows = search.rows
        _, earliest, place = np.unique(search.contents["sha256"][rows], axis=0, return_index=True, return_inverse=True)
        first[rows] = rows[earliest[place.reshape(-1)]]
    return first


def _hashes(search, rows, progress):
    """{row: perceptual hash} of the pictures that can be read."""
    found = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for done, (row, bits) in enumerate(zip(rows.tolist(), pool.map(lambda row: _hash(search, row), rows.tolist()),
                                               strict=True), 1):
            if bits is not None:
                found[row] = bits
            if progress:
                progress(done, len(rows))
    return found


def _hash(search, row):
    try:
        picture = shown(search, row)
        return None if picture is None else perceptual_hash(
            picture if isinstance(picture, np.ndarray) else read_image(picture, least_side=2 * SIDE))
    except (OSError, ValueError):
        return None


def perceptual_hash(pixels: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Which of the 64 lowest frequencies of pixels (h, w, 3) lie above their median, as pHash has it (Zauner 2010).

    Of bool (64,) few differ between a picture and its copy. None where most frequencies are empty, as of a blank page
    with a line: then any two such pictures would agree.
    """
    from scipy.fft import dctn

    grey = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(grey, float))[:LOW, :LOW].ravel()
    return None if np.median(np.abs(low[1:])) < FLAT else low > np.median(low[1:])
