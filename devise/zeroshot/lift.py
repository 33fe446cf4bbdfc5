"""Tags beyond a classifier's classes, without training: how much an image speaks for each word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import as_rows, unit_rows
from devise.heads.conse import class_mask, probabilities
from devise.zeroshot.nearest import Rule

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

COLUMNS = 4096  # candidates of a kernel computed at a time; bounds what is held beside it


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

    n_candidates: int | None = None

    def __init__(self, kernel: ArrayLike, *, temperature: float = 1.0, gamma: float = 1.0,
                 mask: ArrayLike | None = None):
        kernel = as_rows(kernel, "the kernel")
        if not (kernel > 0).all():
            raise ValueError("the kernel holds entries of 0 or less: its logarithm is taken, and every "
                             "class has to be a little near to every candidate")
        mask = class_mask(mask, len(kernel))
        if not (np.isfinite(temperature) and temperature > 0):
            raise ValueError(f"temperature is {temperature}: expected a number above 0")
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
