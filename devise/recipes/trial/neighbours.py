"""The nearest pictures of the same queries in several spaces, as rows of a sheet."""

from pathlib import Path

import numpy as np

from devise import plots
from devise.arrays import nearest
from devise.datasets.splits import generator

QUERIES, DEPTH = 6, 7


def neighbour_rows(source, spaces, baseline, *, queries=QUERIES, depth=DEPTH, seed=0):
    """A picture of each of the hardest untrained classes, drawn by seed, and its nearest others in each space.

    Of easy classes all neighbours are right in any space. A picture that is not on this disk is shown
    by the name of its class.

    Args:
        source: RetrievalSource.
        spaces: {name: function from features to unit rows}.
        baseline: the Retrieval whose MAP@R says which classes are hard.
        queries: how many, each of another class.
    Returns:
        list of plots.Row, the spaces of a query beneath one another.
    """
    rows, labels = source.split.test, source.labels[source.split.test]
    hardest = sorted(np.unique(baseline.labels), key=lambda label: np.nanmean(
        baseline.map_at_r[baseline.labels == label]))[:queries]
    asked = [int(generator(seed, "picture shown", source.names[label]).choice(np.flatnonzero(labels == label)))
             for label in hardest]
    depth = min(depth, len(rows) - 1)
    found = {name: nearest((embedded := embed(source.matrix[rows]))[asked], embedded, depth + 1)
             for name, embed in spaces.items()}
    return [plots.Row(_card(source, rows[query], note=name),
                      tuple(_card(source, rows[other], score=float(score), right=bool(labels[other] == labels[query]))
                            for other, score in zip(ids[place], scores[place], strict=True) if other != query)[:depth])
            for place, query in enumerate(asked) for name, (ids, scores) in found.items()]


def _card(source, row, *, note="", score=None, right=None):
    images = source.table.images
    label = images.label_of(row)
    there = images.root is not None and images.file(row).is_file()
    return plots.Card(images.file(row) if there else None, label=f"{label}: {note}" if note and there else label,
                      score=score, right=right, name=note or Path(images.paths[row]).name)
