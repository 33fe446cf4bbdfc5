"""Concepts: names of what can be seen, and what a classifier and captions say of each for an image."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import Packed
from devise.model.tags import Names, Tag, TaggedImages, Tags
from devise.spelling import singulars
from devise.words.phrases import EULER, SMOOTHING, STOP_WORDS, frequency_weight, read_list

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.words import WordVectors

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
STOP = frozenset(read_list(STOP_WORDS))
BLOCK = 256  # images that are tagged at once: each has a score for every name
USUAL = 0.2  # share of what captions say of any image that is taken off
FAR_FROM_CLASSES = 3  # of ten tags, those kept for what neither the classifier nor captions know


class ScoredNames(Names):
    """Names of things, and how sure each is for each image.

    Attributes:
        limit: the score below which a tag is weak.
    """

    limit: float

    @property
    @abstractmethod
    def rare(self) -> NDArray[np.bool_]:
        """Whether no class and no caption knows a name, bool (n,)."""

    @abstractmethod
    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of embedded images (n, dim) the scores of all names, float32 (n, names)."""

    def __len__(self) -> int:
        return len(self.names)

    def tag(self, rows: NDArray[np.float32], k: int = 10) -> TaggedImages:
        """The k surest names of each embedded image, best first; of ten or more the last three are for rare things.

        These are the likeliest of the things that have no class and that no caption named, which would
        hardly ever be among the surest.
        """
        kept, rare = FAR_FROM_CLASSES if k >= 10 else 0, self.rare
        tagged = TaggedImages()
        for start in range(0, len(rows), BLOCK):
            for scores in self.scores(rows[start:start + BLOCK]):
                first = np.argsort(-scores, kind="stable")[:k - kept]
                rest = np.where(rare, scores, -1)
                rest[first] = -1
                found = [*first, *np.argsort(-rest, kind="stable")[:kept]]
                tagged.append(Tags(Tag(self.names[row], float(scores[row]), bool(scores[row] < self.limit))
                                   for row in found))
        return tagged


class Concepts(ScoredNames):
    """Names of things that can be seen: which classes are kinds of each, which are near, what captions say.

    Args:
        weights: of a ConceptText, which lists them.
    Attributes:
        names: the names, all different.
        row: {name or further name: row}.
        exact: bool (n,), whether a class of the classifier is this thing or a kind of it.

    >>> model.spaces["shared"].text.concepts.names[:2]  # doctest: +SKIP
    ('abacus', 'abandoned ship')
    """

    def __init__(self, weights: Mapping[str, NDArray]):
        self.names = tuple(lines(weights["names"]))
        further = dict(zip(lines(weights["aliases"]), weights["alias_rows"].tolist(), strict=True))
        self.row = further | {name: row for row, name in enumerate(self.names)}
        self.exact = weights["exact"].astype(bool)
        self._classes, self._weights = len(weights["class_vectors"]), weights
        self._gate, self._trust = (weights[name].astype(np.float32) for name in ("gate", "trust"))
        self._term, self._usual = weights["name_terms"].astype(np.int64), weights["term_shares"].astype(np.float32)
        self._mean = weights["probe_mean"].astype(np.float32)
        self.limit = float(weights["tag_threshold"][0])

    @property
    def rare(self) -> NDArray[np.bool_]:
        return ~self.exact & (self._term < 0)

    def mixture(self, row: int) -> NDArray[np.float32]:
        """A name among the classes, a unit vector (C,): its kinds, else the classes that are near."""
        mixture = np.zeros(self._classes, np.float32)
        np.add.at(mixture, self._weights["near"][row], self._weights["near_weights"][row])
        return mixture / max(float(np.linalg.norm(self._weights["near_weights"][row].astype(np.float32))), 1e-9)

    @cached_property
    def _matrices(self):
        """Sparse (names, C): the classes that are near to each name, unit rows, and those that are kinds of it."""
        from scipy import sparse  # a sixth of a cold start, which a question by text does not need

        near, shares = self._weights["near"].astype(np.int32), self._weights["near_weights"].astype(np.float32)
        shares /= np.maximum(np.linalg.norm(shares, axis=1, keepdims=True), 1e-9)
        kinds, shape = self._weights["kinds"].astype(np.int32), (len(self), self._classes)
        return (sparse.csr_matrix((shares.ravel(), near.ravel(), np.arange(0, near.size + 1, near.shape[1])), shape),
                sparse.csr_matrix((np.ones(len(kinds), np.float32), kinds, self._weights["kinds_starts"]), shape))

    @cached_property
    def _probes(self):
        return Packed(self._weights["probes"], self._weights["probes_scale"]).unpacked()

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """How sure each name is for each image, 0 to 1: a noisy or of what the classifier and captions say.

        The classifier says how probable the kinds of a thing are together, or how near a thing without a class is
        to the classes; captions, which share of people would name it, above what they say of any image.
        """
        rows = np.asarray(rows, np.float32) * np.float32(np.sqrt(2))
        roots, told = rows[:, :self._classes], rows[:, self._classes:]
        nearness, kinds = self._matrices
        near = np.maximum((nearness @ roots.T).T, 0) ** 2
        seen = np.minimum(np.where(self.exact, (kinds @ (roots ** 2).T).T, near) * self._gate, 1)
        usual = USUAL * self._usual
        share = np.clip(self._usual + (told - self._mean) @ self._probes.T, 0, 1)
        share = np.maximum(share - usual, 0) / (1 - usual + 1e-6)
        said = np.where(self._term >= 0, share[:, self._term], 0) * self._trust
        return (1 - (1 - seen) * (1 - said)).astype(np.float32)


class ExtendedConcepts(ScoredNames):
    """The names that a model gives images, and labels that were learnt on top of it.

    Args:
        base: Concepts of the model.
        labels: a label each with the names that it goes by, the first for show; one that is a concept's speaks for it.

    Attributes:
        names: those of the model, then the labels that are no concept.
    """

    def __init__(self, base: Concepts, labels: Sequence[Sequence[str]]):
        found, rows = list(base.names), []
        for names in labels:
            rows.append(next((base.row[name] for name in names if name in base.row), len(found)))
            if rows[-1] == len(found):
                found.append(names[0])
        self._base, self._rows, self.names, self.limit = base, rows, tuple(found), base.limit

    @property
    def rare(self) -> NDArray[np.bool_]:
        return np.append(self._base.rare, np.zeros(len(self) - len(self._base), bool))

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """How sure each name is for each image, 0 to 1: a noisy or of what the model says and of the label's column."""
        rows, n = np.asarray(rows, np.float32) * np.float32(np.sqrt(2)), len(self._rows)
        found = np.zeros((len(rows), len(self)), np.float32)
        found[:, :len(self._base)] = self._base.scores(rows[:, :-n - 1])
        for column, row in enumerate(self._rows):
            found[:, row] = 1 - (1 - found[:, row]) * (1 - rows[:, column - n - 1] ** 2)
        return found


def lines(array: NDArray[np.uint8]) -> list[str]:
    """The lines of a text that is held as an array of its bytes."""
    return array.tobytes().decode().split("\n")


def as_lines(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Texts without line ends as one array of bytes, as `lines` reads them."""
    return np.frombuffer("\n".join(texts).encode(), np.uint8)


def word_weight(word: str, words: WordVectors) -> float:
    """How much a word counts in a bag of words, `frequency_weight`; an unknown one as the rarest."""
    if word in words:
        return frequency_weight(word, words)
    share = 1 / (len(words) * (np.log(len(words)) + EULER))
    return float(SMOOTHING / (SMOOTHING + share))


def singular(word: str, nouns: Mapping[str, object]) -> str:
    """A word without its plural ending, where that is one of the nouns; else as it is.

    >>> singular("wolves", {"wolf": 0}), singular("grass", {"gras": 0})
    ('wolf', 'grass')
    """
    return next((form for form in singulars(word) if form in nouns), word)
