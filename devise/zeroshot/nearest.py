"""Rules that rank candidates for images: the nearest label vectors, or the classes of a classifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from devise.arrays import BLOCK_BYTES, as_rows, top_k, unit_rows
from devise.heads.conse import probabilities
from devise.index import Hits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from devise.heads import Head


class Rule(ABC):
    """A ranking of candidates for images: higher scores first, of equal ones the smaller row.

    A rule says how images become rows (`prepare`) and how rows are scored (`compare`); the rest
    follows, in memory that does not grow with images × candidates.

    Attributes:
        n_candidates: c, or None where x itself has a column for each candidate.

    >>> from devise.zeroshot import NearestLabel
    >>> NearestLabel(np.eye(3)).tag([[0.1, 0.9, 0.3]], k=2).ids
    array([[1, 2]])
    """

    @property
    def n_candidates(self) -> int | None:
        """How many candidates there are; None where x itself has a column for each."""
        return None

    @abstractmethod
    def prepare(self, x: ArrayLike) -> NDArray[np.float32]:
        """`x`, checked, as the rows that `compare` takes: float32 (q, columns)."""

    @abstractmethod
    def compare(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The score of each candidate for each of a few rows, float32 (m, c); -inf is no hit."""

    def tag(self, x: ArrayLike, k: int) -> Hits:
        """The best k candidates of each image.

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

    def scores(self, x: ArrayLike) -> NDArray[np.float32]:
        """The score of every candidate for each image, held whole.

        Args:
            x: (q, columns).
        Returns:
            float32 (q, c).
        """
        return np.concatenate(list(self.blocks(x)))

    def blocks(self, x: ArrayLike) -> Iterator[NDArray[np.float32]]:
        """The matrix of `scores`, a few images at a time; at least one block, which may be empty."""
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

    def __init__(self, rule: Rule):
        self.rule = rule

    @property
    def n_candidates(self) -> int | None:
        return self.rule.n_candidates

    def prepare(self, x: ArrayLike) -> NDArray[np.float32]:
        return self.rule.prepare(x)


class NearestLabel(Rule):
    """The candidates whose vectors have the largest cosine with the image's embedding.

    score(x, c) = cos(x, v_c), the rule of DeViSE (Frome et al. 2013, section 3.3).

    Args:
        vectors: (c, d) candidate vectors, of any length but zero.
        embed: callable x → embeddings (q, d), such as a head's `outputs`; None where x is
            embeddings already.

    >>> NearestLabel([[1, 0], [0, 1]]).tag([[0.2, 0.9]], k=1).ids
    array([[1]])
    """

    def __init__(self, vectors: ArrayLike, embed: Callable[[Any], NDArray] | None = None):
        self.vectors, self.embed = unit_rows(vectors, "candidate vectors"), embed

    @property
    def n_candidates(self) -> int:
        return len(self.vectors)

    def prepare(self, x: ArrayLike) -> NDArray[np.float32]:
        x = x if self.embed is None else self.embed(x)
        return unit_rows(x, "embeddings", self.vectors.shape[1])

    def compare(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows @ self.vectors.T


class InnerProduct(NearestLabel):
    """The candidates whose unit vectors have the largest inner product with the image's embedding.

    score(x, c) = f(x)ᵀ v_c / |v_c|. Each image has the order that NearestLabel gives it, but its
    scores keep the embedding's length: those of several images may be compared, as a threshold
    or a calibration does.

    >>> InnerProduct([[1, 0], [0, 2]]).tag([[3, 4]], k=1).scores
    array([[4.]], dtype=float32)
    """

    def prepare(self, x: ArrayLike) -> NDArray[np.float32]:
        x = x if self.embed is None else self.embed(x)
        return as_rows(x, "embeddings", self.vectors.shape[1])


class Softmax(Rule):
    """The classes to which a classifier gives the largest probability; x is its logits.

    p(c | x) = exp(z_c) / Σ exp(z). It knows the classes it was trained on and no other.

    >>> Softmax().tag([[0.0, 2.0]], k=1).ids
    array([[1]])
    """

    def prepare(self, x: ArrayLike) -> NDArray[np.float32]:
        return as_rows(x, "logits")

    def compare(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return probabilities(rows)


def onto(head: Head, candidates: ArrayLike) -> NearestLabel:
    """The rule that ranks candidates for features, by the comparison that the head is made for.

    Args:
        head: a Head with weights.
        candidates: (c, dim), of any length but zero; they need not have been there in training.
    Raises:
        ValueError: if the head has no weights, or candidates have other columns.

    >>> from devise.heads import RidgeHead
    >>> ridge = RidgeHead(penalty=1.0).fit(np.eye(4), [0, 1, 0, 1], np.eye(2))
    >>> onto(ridge, np.eye(2)).tag(np.eye(4)[:2], k=1).ids.ravel()
    array([0, 1])
    """
    head.weights()  # refuses a head that has none
    rules = {"cosine": NearestLabel, "inner product": InnerProduct}
    return rules[head.comparison](unit_rows(candidates, "candidate vectors", head.dim), head.outputs)
