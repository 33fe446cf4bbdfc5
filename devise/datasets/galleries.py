"""Queries and galleries for retrieval: some images of each class ask, galleries have stated sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.datasets.base import whole_numbers
from devise.datasets.splits import generator


def query_gallery(labels: ArrayLike, *, seed: int = 0, queries: int = 1) -> tuple[NDArray, NDArray]:
    """Query rows and gallery rows for retrieval: some images of each class, and the others.

    A class keeps one image at least in the gallery, so that every query has a right answer there.

    Args:
        labels: int (n,); rows with -1 are in neither part.
        queries: how many of each class.
    Returns:
        query rows and gallery rows, int64, ascending.
    Raises:
        ValueError: if `queries` is below 1.

    >>> query, gallery = query_gallery([0, 0, 0, 1])
    >>> len(query), len(gallery)
    (1, 3)
    """
    if queries < 1:
        raise ValueError(f"queries is {queries}: expected 1 or more of each class")
    labels = np.asarray(labels)
    asks = np.zeros(labels.shape, dtype=bool)
    for label in np.unique(labels[labels >= 0]):
        drawn = generator(seed, "queries", str(label)).permutation(np.flatnonzero(labels == label))
        asks[drawn[:min(queries, drawn.size - 1)]] = True
    return np.flatnonzero(asks), np.flatnonzero((labels >= 0) & ~asks)


def galleries(labels: ArrayLike, queries: ArrayLike, gallery: ArrayLike, sizes: Sequence[int], *,
              seed: int = 0) -> dict[int, NDArray[np.int64]]:
    """Galleries of stated sizes, drawn from one.

    A small gallery flatters, so that a figure names its size. A smaller one lies within a larger one,
    and each holds a right answer for every query that has one in the whole. A row is no answer to
    itself: where all of a class ask, two of it are held.

    Args:
        labels: int (n,), below 0 for rows without a class, which have no right answer.
        queries: int64 row ids of the queries.
        gallery: int64 row ids to draw from.
        sizes: how many rows.
        seed: an integer, 0 or more.
    Returns:
        {size: int64 row ids, ascending}.
    Raises:
        ValueError: if a size is larger than the gallery, or too small to hold the answers; if a row is
            not there, or in the gallery twice.

    >>> {size: len(rows) for size, rows in galleries([0, 0, 1, 1, 1], [0, 2], [1, 3, 4], [2, 3]).items()}
    {2: 2, 3: 3}
    """
    labels, queries, gallery = (whole_numbers(values, name) for values, name in (
        (labels, "labels"), (queries, "queries"), (gallery, "gallery")))
    for rows, name in ((queries, "queries"), (gallery, "gallery")):
        if rows.size and not 0 <= rows.min() <= rows.max() < len(labels):
            raise ValueError(f"{name} run from {rows.min()} to {rows.max()}: expected rows 0 to {len(labels) - 1}")
    if twice := len(gallery) - len(np.unique(gallery)):
        raise ValueError(f"the gallery has {twice} rows twice: expected each once")
    order = np.random.default_rng(seed).permutation(gallery)
    classes, asks = labels[order], np.isin(order, queries)
    places = np.lexsort((asks, classes))  # in each class first those that do not ask
    places = places[np.isin(classes[places], labels[queries]) & (classes[places] >= 0)]
    start = np.flatnonzero(np.diff(classes[places], prepend=-1))
    rank = np.arange(len(places)) - np.repeat(start, np.diff(start, append=len(places)))
    second = (rank == 1) & np.roll(asks[places], 1)
    answers = np.sort(places[(rank == 0) | second])
    order = np.concatenate([order[answers], np.delete(order, answers)])
    for size in sizes:
        if not max(1, len(answers)) <= size <= len(gallery):
            raise ValueError(f"a gallery of {size} was asked for: expected {len(answers)}, so that each query finds a "
                             f"right answer, to {len(gallery)}, all there are")
    return {int(size): np.sort(order[:size]) for size in sizes}
