"""Against hubs: candidates that are near to every picture, and so the first tag of far too many.

How near to everything a candidate is, is measured on reference pictures. They should be like the
queries and not the queries themselves: training or validation pictures will do, labels aren't used.
"""

import numpy as np

from devise.zeroshot.base import Adjusted


class CSLS(Adjusted):
    """Cross-domain similarity local scaling: a cosine, less how near both sides are to their neighbours.

    score'(x, c) = 2 cos(x, c) - r(x) - r(c), with r(x) the mean cosine of x with its nearest
    candidates, and r(c) that of c with its nearest reference pictures (Conneau et al. 2018, Word
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

    def __init__(self, rule, reference, neighbours=10):
        super().__init__(rule)
        if neighbours < 1:
            raise ValueError(f"neighbours is {neighbours}: expected at least 1")
        self.neighbours = neighbours
        nearest = None
        for block in _reference_blocks(rule, reference):
            block = block if nearest is None else np.concatenate([nearest, block])
            nearest = _largest(block, neighbours, axis=0)
        self.nearness = nearest.mean(axis=0)

    def compare(self, rows):
        scores = self.rule.compare(rows)
        own = _largest(scores, self.neighbours, axis=1).mean(axis=1, keepdims=True)
        return 2 * scores - own - self.nearness


class InvertedSoftmax(Adjusted):
    """How much of a candidate's attention a picture gets, where a softmax asks the reverse.

    p(c | x) = (1/α_x) exp(s(x, c) / T) / Σ_n exp(s(x_n, c) / T), summed over reference pictures, with
    α_x such that a picture's probabilities sum to 1 (Smith et al. 2017, Offline Bilingual Word
    Vectors, Orthogonal Transformations and the Inverted Softmax, section 2; T is their 1/β). Scores
    are log p: probabilities of many candidates would leave float32's range.

    Args:
        rule: Rule.
        reference: (n, columns), what the rule takes.
        temperature: T, in units of the rule's scores, above 0.

    >>> from devise.zeroshot.nearest import NearestLabel
    >>> hub, other = [1, 0.1], [0.1, 1]
    >>> rule = InvertedSoftmax(NearestLabel([hub, other]), [[1, 0], [1, 0.2], [1, 0.1]], temperature=0.1)
    >>> rule.tag([[1, 0.8]], k=1).ids
    array([[1]])
    """

    def __init__(self, rule, reference, temperature=0.1):
        super().__init__(rule)
        if not (np.isfinite(temperature) and temperature > 0):
            raise ValueError(f"temperature is {temperature}: expected a number above 0")
        self.temperature = temperature
        self.log_sums = -np.inf
        for block in _reference_blocks(rule, reference):
            logs = np.logaddexp.reduce(block / np.float64(temperature), axis=0)
            self.log_sums = np.logaddexp(self.log_sums, logs)

    def compare(self, rows):
        logs = self.rule.compare(rows) / np.float64(self.temperature) - self.log_sums
        return (logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)).astype(np.float32)


def _reference_blocks(rule, reference):
    if not len(reference):
        raise ValueError("there are no reference pictures: expected some that are like the queries")
    for block in rule.blocks(reference):
        if not np.isfinite(block).all():
            raise ValueError("the rule leaves candidates out for some reference pictures: "
                             "correct its scores first, and let it abstain then")
        yield block


def _largest(scores, k, axis):
    """The k largest along an axis, in no order."""
    if k >= scores.shape[axis]:
        return scores
    return np.take(np.partition(scores, -k, axis=axis), range(-k, 0), axis=axis)
