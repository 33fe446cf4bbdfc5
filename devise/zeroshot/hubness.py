"""Against hubs: candidates that are near to every image, and so the first tag of far too many.

How near to everything a candidate is, is measured on reference images. They should be like the
queries and not the queries themselves: training or validation images will do, labels aren't used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from devise.zeroshot.nearest import Adjusted, Rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.arrays import Rows


class CSLS(Adjusted):
    """Cross-domain similarity local scaling: a cosine, less how near both sides are to their neighbours.

    score'(x, c) = 2 cos(x, c) - r(x) - r(c), with r(x) the mean cosine of x with its nearest
    candidates, and r(c) that of c with its nearest reference images (Conneau et al. 2018, Word
    Translation Without Parallel Data, section 2.3).

    Args:
        rule: Rule whose scores are cosines.
        reference: (n, columns), what the rule takes.
        neighbours: how many are nearest; all where there are fewer.

    >>> from devise.zeroshot.nearest import NearestLabel
    >>> hub, other = [1, 0.1], [0.1, 1]
    >>> rule = CSLS(NearestLabel([hub, other]), [[1, 0], [1, 0.2], [1, 0.1]], neighbours=2)
    >>> NearestLabel([hub, other]).tag([[1, 0.8]], k=1).ids, rule.tag([[1, 0.8]], k=1).ids
    (array([[0]]), array([[1]]))
    """

    def __init__(self, rule: Rule, reference: Rows, neighbours: int = 10):
        super().__init__(rule)
        if neighbours < 1:
            raise ValueError(f"neighbours is {neighbours}: expected at least 1")
        self.neighbours = neighbours
        nearest = None
        for block in _reference_blocks(rule, reference):
            block = block if nearest is None else np.concatenate([nearest, block])
            nearest = _largest(block, neighbours, axis=0)
        assert nearest is not None  # a rule has at least one block
        self.nearness = nearest.mean(axis=0)

    def compare(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = self.rule.compare(rows)
        own = _largest(scores, self.neighbours, axis=1).mean(axis=1, keepdims=True)
        return 2 * scores - own - self.nearness


def _reference_blocks(rule, reference):
    if not len(reference):
        raise ValueError("there are no reference images: expected some that are like the queries")
    for block in rule.blocks(reference):
        if not np.isfinite(block).all():
            raise ValueError("the rule leaves candidates out for some reference images: "
                             "correct the scores of one that scores all of them")
        yield block


def _largest(scores, k, axis):
    """The k largest along an axis, in no order."""
    if k >= scores.shape[axis]:
        return scores
    return np.take(np.partition(scores, -k, axis=axis), range(-k, 0), axis=axis)
