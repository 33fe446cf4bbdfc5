"""Heads that nobody trains: the classes of a classifier, mixed among the words (ConSE) or weighed by them (Lift)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from devise.arrays import as_rows, top_k, unit_rows
from devise.errors import above
from devise.heads.base import Head, check_weights, probabilities

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from devise.arrays import Rows
    from devise.backbones.base import Backbone
    from devise.words import WordVectors

TOP = 10  # of Norouzi et al. 2014


class ClassifierHead(Head):
    """What the two have in common: features → logits of the classes that may be used, all behind one linear map.

    Args:
        kernel, bias: (input_dim, C) and (C,), the classifier behind the features; None where the
            features are its logits already.
        used: bool (C,), the classes that may be used.
        temperature: divides the logits; above 1 it evens the probabilities out.
    """

    def __init__(self, kernel: ArrayLike | None, bias: ArrayLike | None, used: NDArray[np.bool_], temperature: float):
        above(temperature=temperature)
        self.used, self.temperature, self._columns = used, float(temperature), np.flatnonzero(used)
        self._classifier = {}
        if kernel is None:
            self.takes, self.input_dim = "logits", len(used)
        else:
            kernel, bias = as_rows(kernel, "the classifier's kernel", len(used)), np.asarray(bias, np.float32)
            if bias.shape != used.shape:
                raise ValueError(f"the classifier's bias has shape {bias.shape}: expected {used.shape}, one a class")
            self._classifier, self.input_dim = {"kernel": kernel, "bias": bias}, len(kernel)
            self._kernel, self._bias = kernel[:, self._columns], bias[self._columns]
        self._options = {"classes": len(used), "classifier": bool(self._classifier), "temperature": self.temperature}

    def _logits(self, rows):
        """The logits of the classes that may be used, float32 (m, used)."""
        return rows @ self._kernel + self._bias if self._classifier else rows[:, self._columns]

    @staticmethod
    def _shapes(config, **further):
        """The shapes of the weights that a config asks for."""
        classes = config["classes"]
        classifier = {"kernel": (config["input_dim"], classes), "bias": (classes,)} if config["classifier"] else {}
        return classifier | further


class ConseHead(ClassifierHead):
    """A convex combination of the vectors of the classes that a classifier finds most probable (ConSE).

    f(x) = (1/Z) Σ_{t ≤ T} p(y_t | x) · s(y_t), where y_t is the t-th most probable class and Z the
    sum of those T probabilities (Norouzi et al. 2014, Zero-Shot Learning by Convex Combination of
    Semantic Embeddings, section 3; they report T = 1, 10 and 1000).

    Args:
        kernel, bias: (input_dim, C) and (C,), the classifier behind the features; None where the
            features are its logits already.
        vectors: (C, dim), s(y) for each class, used as unit rows; a zero row is a class without a
            vector, which is not used.
        top: T; where fewer classes may be used, all of them.
        temperature: divides the logits; above 1 it evens the probabilities out.
        mask: bool (C,), classes that must not be used: those that name a candidate, for a strict
            reading of "unseen". They lose their probability to the others before the T are chosen,
            and their vectors are not looked at.
    Raises:
        ValueError: if the arrays don't fit, an option is out of range, or no class is left.

    >>> ConseHead.of_logits([[1, 0], [0, 1], [0, -1]], top=2).embed([[2.0, 2.0, -9.0]]).round(3)
    array([[0.707, 0.707]], dtype=float32)
    """

    kind = "conse"

    def __init__(self, kernel: ArrayLike | None, bias: ArrayLike | None, vectors: Rows, *, top: int = TOP,
                 temperature: float = 1.0, mask: ArrayLike | None = None):
        if top < 1:
            raise ValueError(f"top is {top}: expected at least 1 class to combine")
        masked = class_mask(mask, len(vectors))
        vectors = np.where(masked[:, None], 0, vectors)
        used = np.any(as_rows(vectors, "class vectors"), axis=1)
        if not used.any():
            raise ValueError("no class that may be used has a vector: there is nothing to combine")
        super().__init__(kernel, bias, used, temperature)
        self.vectors, self.dim, self.top = as_rows(vectors), np.shape(vectors)[1], top
        self._options = {**self._options, "top": top}
        self._directions = unit_rows(self.vectors[used])

    @classmethod
    def of(cls, backbone: Backbone, words: WordVectors, *, top: int = TOP, mask: ArrayLike | None = None) -> Self:
        """The head for a backbone with ImageNet's 1,000 classes and any word vectors.

        Raises:
            ValueError: if the backbone has no classifier behind its features.
        """
        from devise.backbones import imagenet
        from devise.words import synset_vectors

        return cls(*classifier_of(backbone), synset_vectors(imagenet.identities(), words), top=top, mask=mask)

    @classmethod
    def of_logits(cls, vectors: Rows, *, top: int = TOP, temperature: float = 1.0,
                  mask: ArrayLike | None = None) -> Self:
        """The head whose features are the logits (n, C) of a classifier."""
        return cls(None, None, vectors, top=top, temperature=temperature, mask=mask)

    def _forward(self, rows):
        logits = self._logits(rows)
        classes, largest = top_k(logits, min(self.top, logits.shape[1]))
        # softmax over the T alone: the rest would cancel out with Z
        powers = np.exp((largest - largest[:, :1]) / np.float32(self.temperature))
        weights = np.zeros_like(logits)
        np.put_along_axis(weights, classes, powers / powers.sum(axis=1, keepdims=True), axis=1)
        return weights @ self._directions

    def _weights(self):
        return {**self._classifier, "vectors": self.vectors}

    @classmethod
    def _restore(cls, config, weights):
        check_weights(weights, cls._shapes(config, vectors=(config["classes"], config["dim"])))
        return cls(weights.get("kernel"), weights.get("bias"), weights["vectors"], top=config["top"],
                   temperature=config["temperature"])


class LiftHead(ClassifierHead):
    """The probabilities p of a classifier as a unit vector, [p, √(1 - |p|²), 0].

    Its cosine with a row of `lift_vectors` is the lift of a word over the number of classes: how
    many times more an image speaks for the word than any image does, see `devise.zeroshot.Lift`.

    Args:
        kernel, bias: (input_dim, C) and (C,), the classifier behind the features.
        temperature: divides the logits; above 1 it evens the probabilities out.
        mask: bool (C,), classes that must not be used; p is over the others, C' of them.
    Attributes:
        used: bool (C,), the classes that p is over: the rows of the kernel that `lift_vectors` takes.
        dim: C' + 2.

    >>> head = LiftHead(np.eye(2), np.zeros(2))
    >>> words = lift_vectors([[1.0, 0.1], [0.1, 1.0]])
    >>> (2 * head.embed([[0.0, 3.0]]) @ words.T).round(2)
    array([[0.26, 1.74]], dtype=float32)
    """

    kind = "lift"

    def __init__(self, kernel: ArrayLike, bias: ArrayLike, *, temperature: float = 1.0,
                 mask: ArrayLike | None = None):
        super().__init__(kernel, bias, ~class_mask(mask, np.shape(kernel)[1]), temperature)
        self.dim = len(self._columns) + 2

    @classmethod
    def of(cls, backbone: Backbone, *, temperature: float = 1.0, mask: ArrayLike | None = None) -> Self:
        """The head for a backbone with a classifier behind its features.

        Raises:
            ValueError: if it has none.
        """
        return cls(*classifier_of(backbone), temperature=temperature, mask=mask)

    def _forward(self, rows):
        out = np.zeros((len(rows), self.dim))
        out[:, :-2] = probabilities(self._logits(rows), self.temperature)
        out[:, -2] = np.sqrt(np.maximum(0, 1 - np.square(out).sum(axis=1)))
        return out

    def _weights(self):
        return {**self._classifier, "used": self.used}

    @classmethod
    def _restore(cls, config, weights):
        check_weights(weights, cls._shapes(config, used=(config["classes"],)))
        return cls(weights["kernel"], weights["bias"], mask=~weights["used"], temperature=config["temperature"])


def lift_vectors(kernel: ArrayLike, *, gamma: float = 1.0) -> NDArray[np.float32]:
    """Words as unit vectors whose cosine with a `LiftHead`'s embedding is their lift over C.

    With t = k_w / mean(k_w)^γ, a row is [t, 0, √(C² - |t|²)] / C, so that the cosine is p·t / C.

    Args:
        kernel: (C, c), above 0: how near each class that the head uses is to each word, as
            `devise.zeroshot.kernel` computes.
        gamma: how much of what a word gets from any image is taken off; with 1, p·t is the lift.
    Returns:
        float32 (c, C + 2), unit rows.
    Raises:
        ValueError: if an entry is 0 or less, or gamma is so large that |t| is above C.

    >>> lift_vectors([[1.0], [0.5]]).round(3)
    array([[0.667, 0.333, 0.   , 0.667]], dtype=float32)
    """
    kernel = as_rows(kernel, "the kernel").astype(np.float64)
    if not (kernel > 0).all():
        raise ValueError("the kernel holds entries of 0 or less: every class has to be a little near to every word")
    n_classes = len(kernel)
    parts = (kernel / kernel.mean(axis=0) ** gamma).T / n_classes
    rest = 1 - np.square(parts).sum(axis=1, keepdims=True)
    if not (rest > -1e-9).all():
        raise ValueError(f"gamma is {gamma}: expected less, lifts of this kernel are above the number of classes")
    return np.concatenate([parts, np.zeros_like(rest), np.sqrt(np.maximum(0, rest))], axis=1).astype(np.float32)


def class_mask(mask: ArrayLike | None, n_classes: int) -> NDArray[np.bool_]:
    """The classes that must not be used, as bool (n_classes,); None is none, all of them are refused."""
    mask = np.zeros(n_classes, bool) if mask is None else np.asarray(mask)
    if mask.shape != (n_classes,) or mask.dtype != bool:
        raise ValueError(f"mask is {mask.dtype} {mask.shape}: expected bool ({n_classes},), "
                         "true for the classes that must not be used")
    if mask.all():
        raise ValueError(f"mask leaves out all {n_classes} classes: there is none to use")
    return mask


def classifier_of(backbone: Backbone) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel (dim, C) and bias (C,) of the classifier behind a backbone's features, which is linear."""
    bias = backbone.classify(np.zeros((1, backbone.dim), np.float32))[0]
    return backbone.classify(np.eye(backbone.dim, dtype=np.float32)) - bias, bias
