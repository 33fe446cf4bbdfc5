"""Tags beyond a classifier's classes, without training: its guesses mixed in the space of words."""

import numpy as np

from devise.arrays import top_k, unit_rows
from devise.zeroshot.projection import Projection


class ConSE(Projection):
    """A convex combination of the vectors of the classes that a classifier finds most probable.

    f(x) = (1/Z) Σ_{t ≤ T} p(y_t | x) · s(y_t), where y_t is the t-th most probable class and Z the
    sum of those T probabilities; candidates are then ranked by cosine with f(x), which Z leaves as
    they are (Norouzi et al. 2014, Zero-Shot Learning by Convex Combination of Semantic Embeddings,
    section 3; they report T = 1, 10 and 1000). x is the classifier's logits.

    Args:
        class_vectors: (C, d), s(y) for each class of the classifier; used as unit rows.
        top: T; where fewer classes may be used, all of them.
        temperature: divides the logits; above 1 it evens the probabilities out.
        mask: bool (C,), classes that must not be used: those that name a candidate, for a strict
            reading of "unseen", or that have no vector (their rows are not looked at). They lose
            their probability to the others before the T are chosen.

    >>> conse = ConSE([[1, 0], [0, 1], [0, -1]], top=2)
    >>> conse.onto([[1, 1], [1, 0]]).tag([[2.0, 2.0, -9.0]], k=1).ids
    array([[0]])
    """

    x_name = "logits"

    def __init__(self, class_vectors, *, top=10, temperature=1.0, mask=None):
        n_classes = len(class_vectors)
        mask = np.zeros(n_classes, bool) if mask is None else np.asarray(mask)
        if mask.shape != (n_classes,) or mask.dtype != bool:
            raise ValueError(f"mask is {mask.dtype} {mask.shape}: expected bool ({n_classes},), "
                             "true for the classes that must not be used")
        if mask.all():
            raise ValueError(f"mask leaves out all {n_classes} classes: there is nothing to combine")
        if not (np.isfinite(temperature) and temperature > 0):
            raise ValueError(f"temperature is {temperature}: expected a number above 0")
        if top < 1:
            raise ValueError(f"top is {top}: expected at least 1 class to combine")
        self.used = np.flatnonzero(~mask)
        self.vectors = unit_rows(np.asarray(class_vectors)[self.used], "class vectors not masked")
        self.top, self.temperature = min(top, len(self.used)), temperature
        self.input_dim, self.dim = n_classes, self.vectors.shape[1]

    def _project(self, rows):
        classes, logits = top_k(rows[:, self.used], self.top)
        # softmax over the T alone: the rest would cancel out with Z
        powers = np.exp((logits - logits[:, :1]) / self.temperature)
        weights = np.zeros((len(rows), len(self.used)), np.float32)
        np.put_along_axis(weights, classes, powers / powers.sum(axis=1, keepdims=True), axis=1)
        return weights @ self.vectors
