"""What every rule does: score the candidates block by block, and keep the best k of them."""

from abc import ABC, abstractmethod

import numpy as np

from devise.arrays import BLOCK_BYTES, top_k
from devise.index import Hits


class Rule(ABC):
    """Names pictures by candidates: higher scores first, of equal ones the smaller row.

    A rule says how pictures become rows (`prepare`) and how rows are scored (`compare`); the rest
    follows, in memory that does not grow with pictures × candidates.

    Attributes:
        n_candidates: c, or None where x itself has a column for each candidate.

    >>> from devise.zeroshot import NearestLabel
    >>> NearestLabel(np.eye(3)).tag([[0.1, 0.9, 0.3]], k=2).ids
    array([[1, 2]])
    """

    n_candidates = None

    @abstractmethod
    def prepare(self, x):
        """`x`, checked, as the rows that `compare` takes: float32 (q, columns)."""

    @abstractmethod
    def compare(self, rows):
        """The score of each candidate for each of a few rows, float32 (m, c); -inf is no hit."""

    def tag(self, x, k):
        """The best k candidates of each picture.

        Args:
            x: (q, columns), what the rule is made for: embeddings, features or logits.
            k: 1..c.
        Returns:
            Hits: ids int64 (q, k), rows of the candidates; scores float32 (q, k). Rows are short
            only where a rule leaves candidates out.
        Raises:
            ValueError: if k is out of range, or x has other columns, NaN or infinity.
        """
        best = [top_k(scores, k) for scores in self.blocks(x)]
        ids, scores = (np.concatenate(parts) for parts in zip(*best, strict=True))
        return Hits(np.where(np.isneginf(scores), -1, ids), scores)

    def scores(self, x):
        """The score of every candidate for each picture, held whole.

        Args:
            x: (q, columns).
        Returns:
            float32 (q, c).
        """
        return np.concatenate(list(self.blocks(x)))

    def blocks(self, x):
        """The matrix of `scores`, a few pictures at a time; at least one block, which may be empty."""
        rows = self.prepare(x)
        step = max(1, BLOCK_BYTES // (4 * max(1, rows.shape[1], self.n_candidates or 0)))
        for start in range(0, max(1, len(rows)), step):
            yield self.compare(rows[start:start + step])


class Adjusted(Rule):
    """A rule that changes another rule's scores and takes what that rule takes.

    Args:
        rule: Rule.

    >>> from devise.zeroshot import CSLS, NearestLabel
    >>> isinstance(CSLS(NearestLabel(np.eye(2)), np.eye(2)), Adjusted)
    True
    """

    def __init__(self, rule):
        self.rule = rule

    @property
    def n_candidates(self):
        return self.rule.n_candidates

    def prepare(self, x):
        return self.rule.prepare(x)
