"""Retrieval over galleries of stated sizes: few distractors flatter, so each figure stands beside its size.

A larger gallery holds more pictures of other classes and, of classes with many pictures, more right
answers: where these outweigh, hit@k can rise with the size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from devise.arrays import Rows
from devise.datasets import galleries, query_gallery
from devise.evaluation.retrieval import KS, Retrieval, pool, retrieve
from devise.report import Table

DRAWS = 10


@dataclass(frozen=True)
class Galleries:
    """What several embeddings of the same pictures retrieve, by the size of the gallery.

    Attributes:
        runs: {name: {size: Retrieval}} of all draws together; the last size is all there is.
        smallest: the least gallery that holds a right answer for each query.
        largest: all pictures but the queries.
        left_out: sizes that were asked for and lie outside these two.
        draws: how often queries and galleries were drawn.

    >>> evaluate_galleries({"raw": np.eye(2)[[0, 0, 1, 1]]}, [0, 0, 1, 1], [3], ks=(1,)).left_out
    (3,)
    """

    runs: dict[str, dict[int, Retrieval]]
    smallest: int
    largest: int
    left_out: tuple[int, ...]
    draws: int

    def to_json(self) -> dict:
        """{"sizes": {size: {name: figures}}, "left_out", "smallest", "largest", "draws"}."""
        sizes = {str(size): {name: runs[size].to_json() for name, runs in self.runs.items()}
                 for size in next(iter(self.runs.values()))}
        return {"sizes": sizes, "left_out": list(self.left_out), "smallest": self.smallest, "largest": self.largest,
                "draws": self.draws}


def evaluate_galleries(embeddings: Mapping[str, Rows], labels: ArrayLike, sizes: Iterable[int], *,
                       rows: ArrayLike | None = None, ks: Iterable[int] = KS, draws: int = DRAWS,
                       seed: int = 0) -> Galleries:
    """One picture of each class asks, galleries of several sizes are drawn from the others; `draws` times by seed.

    Args:
        embeddings: {name: (n, d)}.
        labels: int (n,), -1 for none.
        sizes: of the galleries; those that don't fit are left out and named.
        rows: int (m,), the pictures that take part, those of classes of one picture left out; None is all.
    Raises:
        ValueError: if no class has two pictures.

    >>> found = evaluate_galleries({"raw": np.eye(6)[[0, 0, 1, 1, 2, 2]]}, [0, 0, 1, 1, 2, 2], [3, 100], ks=(1,))
    >>> found.left_out, found.runs["raw"][3].n, found.runs["raw"][3].gallery
    ((100,), 30, 3)
    """
    labels = np.asarray(labels)
    rows = np.flatnonzero(labels >= 0) if rows is None else np.asarray(rows, np.int64)
    names, counts = np.unique(labels[rows], return_counts=True)
    rows = rows[np.isin(labels[rows], names[counts > 1])]
    if not len(rows):
        raise ValueError(f"none of {len(names)} classes has two pictures: expected some with one to ask and one to "
                         "be found")
    smallest, largest = int((counts > 1).sum()), len(rows) - int((counts > 1).sum())
    fitting = sorted({int(size) for size in sizes if smallest <= size <= largest} | {largest})
    parts: dict[str, dict[int, list[Retrieval]]] = {name: {size: [] for size in fitting} for name in embeddings}
    for draw in range(draws):
        asking, others = (rows[part] for part in query_gallery(labels[rows], seed=seed + draw))
        for size, gallery in galleries(labels, asking, others, fitting, seed=seed + draw).items():
            for name, embedded in embeddings.items():
                parts[name][size].append(retrieve(embedded, labels, queries=asking, gallery=gallery, ks=ks))
    runs = {name: {size: pool(found) for size, found in by_size.items()} for name, by_size in parts.items()}
    return Galleries(runs, smallest, largest, tuple(sorted({int(size) for size in sizes} - set(fitting))), draws)


def gallery_table(runs: Mapping[str, Mapping[int, Retrieval]], *, k: int = 1, what: str = "pictures") -> Table:
    """hit@k and MAP@R over galleries of several sizes: a small gallery flatters.

    Args:
        runs: {name: {size: Retrieval}}; size "all" or a number.
    Returns:
        Table, of fractions.

    >>> found = retrieve([[1, 0], [0.9, 0.1], [0, 1], [0.6, 0.5]], [0, 0, 1, 1], ks=(1,))
    >>> gallery_table({"raw": {4: found}}).row("raw")
    {'hit@1, gallery 4': 0.75, 'MAP@R, gallery 4': 0.75}
    """
    if not runs or not all(runs.values()):
        raise ValueError("there is nothing to print: expected {name: {size: Retrieval}}")
    rows: dict[str, dict[str, Any]] = {}
    for name, by_size in runs.items():
        rows[name] = {}
        for found in by_size.values():
            means, size = found.means(), f"gallery {found.gallery:,}"
            rows[name] |= {f"hit@{k}, {size}": means["hit_at_k"][k], f"MAP@R, {size}": means["map_at_r"]}
    queries = sorted({found.n - found.undefined for by_size in runs.values() for found in by_size.values()})
    counts = f"{queries[0]:,}" if len(queries) == 1 else f"{queries[0]:,} to {queries[-1]:,}"
    return Table.by_name("embedding", rows, caption=f"hit@{k} and MAP@R in % of {counts} {what}, by the size of the "
                         "gallery that they rank.")
