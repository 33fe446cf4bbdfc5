"""Concepts: names of what can be seen, what a classifier and captions know of each, texts and tags by them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from devise.arrays import Packed, unit_rows
from devise.errors import quoted
from devise.heads.joint import directions
from devise.model.tags import Tag, TaggedImages, Tags
from devise.model.text import Text
from devise.spelling import folded
from devise.words import embed_texts
from devise.words.phrases import CAPITAL, EULER, SMOOTHING, frequency_weight, pooled, stem, usable
from devise.words.vocabulary import STOP_WORDS, read_list, singulars

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.model.sources import Words
    from devise.words import WordVectors

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
TAG = re.compile(r"#\w+")
STOP = frozenset(read_list(STOP_WORDS))
LONGEST = 4  # words of a name
SENTENCE = 5  # words from which on a text is a sentence
BLOCK = 256  # images that are tagged at once: each has a score for every name
HALF_KNOWN = 15.0  # training images at which captions count as much as the classifier
SHARPNESS = 24.0  # of the classes near to a word that is no name
USUAL = 0.2  # share of what captions say of any image that is taken off
FLOOR = 0.01  # added to the variance of a text's cosines: a rare thing has hardly any
FAR_FROM_CLASSES = 3  # of ten tags, those kept for what neither the classifier nor captions know
FALSE_ACCEPT_RATE = 0.01


class Scored(Protocol):
    """Names of things, and how sure each is for each image."""

    names: tuple[str, ...]

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of embedded images (n, dim) the scores of all names, float32 (n, names)."""


class Concepts:
    """Names of things that can be seen: which classes are kinds of each, which are near, what captions say.

    Args:
        weights: of a ConceptText, which lists them.
    Attributes:
        names: the names, all different.
        row: {name or further name: row}.
        exact: bool (n,), whether a class of the classifier is this thing or a kind of it.
        limit: the score below which a tag is weak.

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

    def __len__(self) -> int:
        return len(self.names)

    @property
    def rare(self) -> NDArray[np.bool_]:
        """Whether neither a class nor captions know a name, bool (n,)."""
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

        Args:
            rows: (n, C + d), images as a JointHead embeds them.
        Returns:
            float32 (n, names).
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

    def tag(self, rows: NDArray[np.float32], k: int = 10) -> TaggedImages:
        """The k surest names of each image, see `surest`."""
        return surest(self, rows, k, self.rare, self.limit)


class ConceptText(Text):
    """Words and sentences beside the embeddings of a JointHead: concepts among its classes, and what captions say.

    A text is cut into its longest names and terms. Each speaks in the first half of the space by its classes, in
    the second as captions use it, weighted by how well either knows it; each half is divided by the standard
    deviation of its scores over images of a background. From five words on a text is a sentence, and
    the learnt bag of its words speaks in the second half.

    Args:
        words: Words.
        weights: {name: array}. Of n names: "names", "aliases" (further names, as lines of text) and
            "alias_rows"; "exact" bool; "near" (n, t) and "near_weights" int8, classes and their shares; "kinds" and
            "kinds_starts", the classes that are kinds of each as rows of a sparse matrix; "gate" and "trust", how
            far the classifier and captions are believed; "name_terms", its term or -1. Of m terms: "terms" (lines),
            "probes" int8 (m, d) with "probes_scale", "probe_mean" (d,), "term_shares", "term_images" and
            "term_reliability". "lexicon" (lines), "bag" int8 (v, d) with "bag_scale", "word_map" (dim of the words,
            d); "class_vectors" (C, dim of the words); "background" int8 (b, C + d) with "background_scale";
            "rates" and "limits", false-accept rates, ascending, and their thresholds; "tag_threshold" (1,).
        false_accept_rate: the share of images without the thing that a threshold lets through.

    Attributes:
        background: float32 (b, C + d), unit rows: images that scores are measured against.

    >>> model.embed_text("a brown dog").shape  # doctest: +SKIP
    (1, 1384)
    """

    kind = "concepts"

    def __init__(self, words: Words, weights: Mapping[str, NDArray], *, false_accept_rate: float = FALSE_ACCEPT_RATE):
        super().__init__(words)
        self._held, self.false_accept_rate = dict(weights), false_accept_rate
        self._bag = Packed(weights["bag"], weights["bag_scale"]).unpacked()
        self._map, self._class_vectors = (weights[name].astype(np.float32) for name in ("word_map", "class_vectors"))
        self._column = {word: row for row, word in enumerate(lines(weights["lexicon"]))}
        self._term = {term: row for row, term in enumerate(lines(weights["terms"]))}
        self._probes = directions(weights["probes"].astype(np.float32))
        known = weights["term_images"].astype(np.float32)
        self._share = known / (known + HALF_KNOWN)
        self._known = self._share * weights["term_reliability"].astype(np.float32)
        self.background = unit_rows(Packed(weights["background"], weights["background_scale"]).unpacked())
        self._classes = len(self._class_vectors)

    @cached_property
    def concepts(self) -> Concepts:
        """The names that it gives images."""
        return Concepts(self._held)

    dim = property(lambda self: self.background.shape[1])

    def units(self, text: str) -> list[str]:
        """The longest names and terms of a text, in their order, of up to four words; plurals become singular."""
        tokens, found, place = self._tokens(text), [], 0
        while place < len(tokens):
            for n in range(min(LONGEST, len(tokens) - place), 0, -1):
                part = tokens[place:place + n]
                last = singular(part[-1], self.concepts.row)
                forms = (" ".join(part), " ".join([*part[:-1], last]), "-".join(part))
                unit = next((form for form in forms if form in self.concepts.row or form in self._term), None)
                if unit is None and n == 1 and part[0] not in STOP and usable(part[0], self.words.vectors):
                    unit = last if usable(last, self.words.vectors) else part[0]
                if unit is not None and (n > 1 or unit not in STOP):
                    found.append(unit)
                    break
            place += n
        return found

    def asked(self, text: str) -> str:
        return " ".join(self.units(text)) or super().asked(text)

    def _tokens(self, text):
        """The words of a text in lower case; of #GoldenRetriever two, and without the 's that makes one unknown."""
        words = WORD.findall(folded(TAG.sub(lambda tag: CAPITAL.sub(" ", tag[0]), text)))
        return [word if "'" not in word or word in self._column or word in self._term
                or usable(word, self.words.vectors) else stem(word) for word in words]

    def thresholds(self, rows: NDArray[np.float32], false_accept_rate: float | None = None) -> NDArray[np.float32]:
        """The cosine from which on an image is taken to show what a text says, float32 (n,).

        The mean over the images of a background, and so many standard deviations more; the rate is the
        share of images without the thing that pass.

        Args:
            rows: (n, dim), embedded texts.
            false_accept_rate: None takes the text side's own.
        Raises:
            ValueError: if it is not between 0 and 1.
        """
        rate = self.false_accept_rate if false_accept_rate is None else false_accept_rate
        if not 0 < rate < 1:
            raise ValueError(f"false_accept_rate is {rate}: expected a share between 0 and 1")
        deviations = np.interp(np.log(rate), np.log(self._held["rates"]), self._held["limits"])
        usual = rows @ self.background.T
        return (usual.mean(axis=1) + deviations * np.sqrt(usual.var(axis=1) + FLOOR)).astype(np.float32)

    def embed_known(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows, alone = np.zeros((len(texts), self.dim), np.float32), {}
        for place, text in enumerate(texts):
            units = self.units(text)
            if len(units) == 1 and len(self._tokens(text)) < SENTENCE:
                alone[place] = units[0]
            elif (found := self._row(text)) is not None:
                rows[place] = directions(found)
        for start in range(0, len(alone), BLOCK):  # a vocabulary: what is compared with the background is so at once
            places = list(alone)[start:start + BLOCK]
            rows[places] = directions(self._alone([alone[place] for place in places]))
        return rows

    def _embed(self, texts):
        found = [self._row(text) for text in texts]
        for text, row in zip(texts, found, strict=True):
            if row is None:
                embed_texts([text], self.words.vectors)  # raises, with near spellings
                raise KeyError(f"{quoted(text)} has no word that is known: ask for a thing by its name")
        return np.stack(found)

    def _alone(self, units):
        """Texts of one unit each as rows (n, dim), each as `_row` places it."""
        halves = [np.zeros((len(units), width), np.float32) for width in (self._classes, self._map.shape[1])]
        shares = np.zeros((len(units), 2), np.float32)
        for place, unit in enumerate(units):
            mixture, clear, use, known = self._unit(unit)
            shares[place] = _shares(clear, known)
            for half, part in zip(halves, (mixture, use), strict=True):
                half[place] = 0 if part is None else part
        for half, rows in enumerate(halves):
            rows *= shares[:, half:half + 1] / np.maximum((self._half(half) @ rows.T).std(axis=0), 1e-6)[:, None]
        return np.hstack(halves)

    def _row(self, text):
        """A text in the space, of any length; None where nothing of it is known."""
        units, long = self.units(text), len(self._tokens(text)) >= SENTENCE
        sentence = self._sentence(text) if long or len(units) != 1 else None
        if not units and sentence is None:
            return None
        seen, said = np.zeros(self._classes, np.float32), np.zeros(self._map.shape[1], np.float32)
        for unit in units:
            mixture, clear, use, known = self._unit(unit)
            first, second = _shares(clear, known)
            if mixture is not None and first:
                seen += first * mixture / self._deviation(mixture, 0)
            if use is not None:
                said += second * use / self._deviation(use, 1)
        if sentence is not None:
            own = sentence / self._deviation(sentence, 1)
            if long or not units:
                said, seen = own, seen / (2 * max(1, len(units)))
            else:
                said = (said + self._deviation(said, 1) * own) / 2
        return np.concatenate([seen, said])

    def _unit(self, unit):
        """(mixture of classes or None, how clear it is, what captions mean by it or None, how well they know it)."""
        row, term = self.concepts.row.get(unit), self._term.get(unit)
        known = 0.0 if term is None else float(self._known[term])
        if row is not None:
            mixture, clear = self.concepts.mixture(row), 1.0 if self.concepts.exact[row] else 0.5
        else:
            mixture, clear = self._near_classes(unit), 0.0 if known > 0.5 else 0.25
        sentence = self._sentence(unit)
        if term is None:
            return mixture, clear, sentence, known
        if sentence is None:
            return mixture, clear, self._probes[term], known
        share = self._share[term]
        return mixture, clear, directions(share * self._probes[term] + (1 - share) * sentence), known

    def _near_classes(self, unit):
        """The classes whose names are near to a word that is no name, a unit vector, or None."""
        vectors = self.words.vectors
        vector = pooled([word for word in WORD.findall(unit) if usable(word, vectors)], vectors)
        if vector is None:
            return None
        near = np.exp(SHARPNESS * (self._class_vectors @ vector - 1))
        near[np.argsort(-near, kind="stable")[self._held["near"].shape[1]:]] = 0
        return directions(near)

    def _sentence(self, text):
        """The learnt bag of words and the words' vectors, a unit row of the second half; None where none is known."""
        tokens, vectors = self._tokens(text), self.words.vectors
        counts = Counter(token for token in tokens if token in self._column)
        row = np.zeros(self._map.shape[1], np.float32)
        if counts:
            weights = np.array([word_weight(word, vectors) * n for word, n in counts.items()])
            row += weights / np.linalg.norm(weights) @ self._bag[[self._column[word] for word in counts]]
        vector = pooled([token for token in tokens if usable(token, vectors)], vectors)
        if vector is not None:
            row += vector @ self._map
        return directions(row) if row.any() else None

    def _deviation(self, row, half):
        """The standard deviation of a half row's scores over the background."""
        return max(float((self._half(half) @ row).std()), 1e-6)

    def _half(self, half):
        """The background's columns of classes, 0, or of captions, 1."""
        return self.background[:, self._classes:] if half else self.background[:, :self._classes]

    @property
    def config(self) -> dict:
        return super().config | {"false_accept_rate": self.false_accept_rate}

    def weights(self) -> dict[str, NDArray]:
        return self._held

    @classmethod
    def restore(cls, config: dict, weights: dict, words: Words) -> ConceptText:
        return cls(words, weights, false_accept_rate=config["false_accept_rate"])


def _shares(clear, known):
    """How much the classes and the captions count for a unit, (first, second) of sum 1."""
    first, second = max(clear * (1 - known), 0.1 if clear == 1 else 0), known + 0.15 * (1 - known)
    return first / (first + second), second / (first + second)


def surest(concepts: Scored, rows: NDArray[np.float32], k: int, rare: NDArray[np.bool_], limit: float) -> TaggedImages:
    """The k surest names of each image, best first; of ten or more the last three are kept for rare things.

    These are the likeliest of the things that have no class and that no caption named, which would
    hardly ever be among the surest.

    Args:
        concepts: names, and their scores of images.
        rows: (n, dim), embedded images.
        rare: bool (names,), which are rare.
        limit: the score below which a tag is weak.
    """
    kept = FAR_FROM_CLASSES if k >= 10 else 0
    tagged = TaggedImages()
    for start in range(0, len(rows), BLOCK):
        for scores in concepts.scores(rows[start:start + BLOCK]):
            first = np.argsort(-scores, kind="stable")[:k - kept]
            rest = np.where(rare, scores, -1)
            rest[first] = -1
            found = [*first, *np.argsort(-rest, kind="stable")[:kept]]
            tagged.append(Tags(Tag(concepts.names[row], float(scores[row]), bool(scores[row] < limit))
                               for row in found))
    return tagged


def word_weight(word: str, words: WordVectors) -> float:
    """How much a word counts in a bag of words, `frequency_weight`; an unknown one as the rarest.

    >>> from devise.words import WordVectors
    >>> words = WordVectors(["the", "dog"], np.eye(2))
    >>> word_weight("dog", words) == word_weight("okapi", words)
    True
    """
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


def lines(array: NDArray[np.uint8]) -> list[str]:
    """The lines of a text that is held as an array of its bytes.

    >>> lines(as_lines(["cat", "dog"]))
    ['cat', 'dog']
    """
    return array.tobytes().decode().split("\n")


def as_lines(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Texts without line ends as one array of bytes, as `lines` reads them."""
    return np.frombuffer("\n".join(texts).encode(), np.uint8)
