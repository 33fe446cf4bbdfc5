"""Rules that rank candidates for images: the nearest label vectors, a classifier's classes, or words near these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from devise.arrays import BLOCK_BYTES, as_rows, top_k, unit_rows
from devise.errors import above
from devise.heads.base import probabilities
from devise.heads.conse import class_mask
from devise.index import Hits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from devise.heads import Head

COLUMNS = 4096  # candidates of a kernel computed at a time; bounds what is held beside it


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

    n_candidates: int | None = None

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
        """The score of every candidate for each image, float32 (q, c), held whole."""
        return np.concatenate(list(self.blocks(x)))

    def blocks(self, x: ArrayLike) -> Iterator[NDArray[np.float32]]:
        """The matrix of `scores`, a few images at a time; at least one block, which may be empty."""
        rows = self.prepare(x)
        step = max(1, BLOCK_BYTES // (4 * max(1, rows.shape[1], self.n_candidates or 0)))
        for start in range(0, max(1, len(rows)), step):
            yield self.compare(rows[start:start + step])


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
        self.n_candidates = len(self.vectors)

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


class Lift(Rule):
    """The candidates that a classifier's guesses make more probable than no guess at all would.

    score(x, w) = log Σ_c p(c | x) k(c, w) - γ log mean_c k(c, w), both sums over the classes not
    masked. The first term spreads each class's probability over the words that are near to it. The
    second is the score under a uniform p: what a word gets from any image, because it is near to
    many classes. With γ = 1 the difference is the log of a lift, how many times more probable than
    on average. x is the classifier's logits.

    Args:
        kernel: (C, c), above 0: how near each class is to each candidate, as `kernel` computes.
        temperature: divides the logits; above 1 it evens the probabilities out.
        gamma: how much of the second term to take.
        mask: bool (C,), classes that must not be used: those that name a candidate, for a strict
            reading of "unseen". They lose their probability to the others.

    >>> near = kernel([[1, 0], [0, 1]], [[1, 0.1], [0, 1]])
    >>> Lift(near).tag([[0.0, 3.0]], k=1).ids
    array([[1]])
    """

    def __init__(self, kernel: ArrayLike, *, temperature: float = 1.0, gamma: float = 1.0,
                 mask: ArrayLike | None = None):
        kernel = as_rows(kernel, "the kernel")
        if not (kernel > 0).all():
            raise ValueError("the kernel holds entries of 0 or less: its logarithm is taken, and every "
                             "class has to be a little near to every candidate")
        mask = class_mask(mask, len(kernel))
        above(temperature=temperature)
        if not np.isfinite(gamma):
            raise ValueError(f"gamma is {gamma}: expected a number")
        self.n_classes, self.n_candidates = kernel.shape
        self.used = np.flatnonzero(~mask)
        self.kernel = kernel[self.used] if mask.any() else kernel
        self.temperature = temperature
        self.hubness = (gamma * np.log(self.kernel.mean(axis=0, dtype=np.float64))).astype(np.float32)

    def prepare(self, x: ArrayLike) -> NDArray[np.float32]:
        logits = as_rows(x, "logits", self.n_classes)[:, self.used]
        return probabilities(logits, self.temperature)

    def compare(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.log(rows @ self.kernel) - self.hubness


def kernel(class_vectors: ArrayLike, candidate_vectors: ArrayLike, steps: ArrayLike | None = None, *,
           a: float = 2.5, b: float = 0.5) -> NDArray[np.float32]:
    """How near classes are to candidates: k(c, w) = exp(a (cos(v_c, v_w) - 1) - b · steps(c, w)).

    Args:
        class_vectors: (C, d); a zero row, a class without a word, is as far from every candidate
            as a right angle.
        candidate_vectors: (c, d).
        steps: (C, c), edges of a hierarchy between class and candidate, as
            `devise.words.Taxonomy.steps` counts; None for vectors alone.
        a, b: how fast the kernel falls with either distance, at least 0.
    Returns:
        float32 (C, c), in (0, 1].
    Raises:
        ValueError: if shapes differ, or a candidate's vector is zero.

    >>> kernel([[1, 0]], [[1, 0], [0, 1]], [[0, 2]], a=1, b=1).round(3)
    array([[1.  , 0.05]], dtype=float32)
    """
    if not (a >= 0 and b >= 0):
        raise ValueError(f"a is {a} and b is {b}: expected numbers from 0")
    classes = as_rows(class_vectors, "class vectors")
    named = classes.any(axis=1)
    directions = np.zeros_like(classes)
    directions[named] = unit_rows(classes[named])
    candidates = unit_rows(candidate_vectors, "candidate vectors", classes.shape[1])
    shape = len(classes), len(candidates)
    if steps is not None and np.shape(steps) != shape:
        raise ValueError(f"steps have shape {np.shape(steps)}: expected {shape}, classes and candidates")
    near = np.empty(shape, np.float32)
    for start in range(0, shape[1], COLUMNS):
        part = slice(start, start + COLUMNS)
        powers = np.float32(a) * (directions @ candidates[part].T - 1)
        if steps is not None:
            powers -= np.float32(b) * np.asarray(steps)[:, part]
        np.exp(powers, out=near[:, part])
    return near


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
