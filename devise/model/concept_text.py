"""Words and sentences beside the model that comes with devise: by its classes, by captions, by classes of one's own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import Packed, unit_rows
from devise.errors import quoted
from devise.heads.joint import directions
from devise.model.concepts import BLOCK, STOP, WORD, Concepts, ExtendedConcepts, lines, singular, word_weight
from devise.model.space import Text
from devise.spelling import folded, stem
from devise.words import embed_texts
from devise.words.phrases import CAPITAL, pooled, usable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.model.sources import Words
    from devise.words import LabelTable

TAG = re.compile(r"#\w+")
LONGEST = 4  # words of a name
SENTENCE = 5  # words from which on a text is a sentence
HALF_KNOWN = 15.0  # training images at which captions count as much as the classifier
SHARPNESS = 24.0  # of the classes near to a word that is no name
FLOOR = 0.01  # added to the variance of a text's cosines: a rare thing has hardly any
FALSE_ACCEPT_RATE = 0.01
OWN = 4.0  # weight of a label's own column beside what the model says by its name


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
        self._halves = np.split(self.background, [len(self._class_vectors)], axis=1)  # of classes, and of captions

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
        halves = [np.zeros((len(units), half.shape[1]), np.float32) for half in self._halves]
        shares = np.zeros((len(units), 2), np.float32)
        for place, unit in enumerate(units):
            *parts, shares[place] = self._unit(unit)
            for half, part in zip(halves, parts, strict=True):
                half[place] = 0 if part is None else part
        for share, rows, usual in zip(shares.T, halves, self._halves, strict=True):
            rows *= (share / np.maximum((usual @ rows.T).std(axis=0), 1e-6))[:, None]
        return np.hstack(halves)

    def _row(self, text):
        """A text in the space, of any length; None where nothing of it is known."""
        units, long = self.units(text), len(self._tokens(text)) >= SENTENCE
        sentence = self._sentence(text) if long or len(units) != 1 else None
        if not units and sentence is None:
            return None
        seen, said = (np.zeros(half.shape[1], np.float32) for half in self._halves)
        for unit in units:
            mixture, use, (first, second) = self._unit(unit)
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
        """(mixture of classes or None, what captions mean by it or None, how much either counts, of sum 1)."""
        row, term = self.concepts.row.get(unit), self._term.get(unit)
        known = 0.0 if term is None else float(self._known[term])
        if row is not None:
            mixture, clear = self.concepts.mixture(row), 1.0 if self.concepts.exact[row] else 0.5
        else:
            mixture, clear = self._near_classes(unit), 0.0 if known > 0.5 else 0.25
        sentence = self._sentence(unit)
        use = sentence if term is None else self._probes[term]
        if term is not None and sentence is not None:
            use = directions(self._share[term] * use + (1 - self._share[term]) * sentence)
        first, second = max(clear * (1 - known), 0.1 if clear == 1 else 0), known + 0.15 * (1 - known)
        return mixture, use, (first / (first + second), second / (first + second))

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
        """The standard deviation of the scores of a row of half the columns over the background."""
        return max(float((self._halves[half] @ row).std()), 1e-6)

    @property
    def config(self) -> dict:
        return super().config | {"false_accept_rate": self.false_accept_rate}

    def weights(self) -> dict[str, NDArray]:
        return self._held

    @classmethod
    def restore(cls, config: dict, weights: dict, words: Words) -> ConceptText:
        return cls(words, weights, false_accept_rate=config["false_accept_rate"])


class ExtendedText(Text):
    """The text side of a model, and labels that were learnt on top of it: each speaks in its own column too.

    A text that asks for what a label is called by is [t, 4 u, 0] / √17, u being the column of the label; any other
    is [t, 0, 0], t being the model's unit row.

    Args:
        base: ConceptText of the model.
        labels: a label each with the names that it goes by, the last its own in the data.
    """

    kind = "extended"

    def __init__(self, base: ConceptText, labels: Sequence[Sequence[str]]):
        super().__init__(base.words)
        self.base, self.labels = base, tuple(tuple(names) for names in labels)

    @cached_property
    def concepts(self) -> ExtendedConcepts:
        """The names that it gives images."""
        return ExtendedConcepts(self.base.concepts, self.labels)

    @cached_property
    def _columns(self):
        """{what a text asks for: the labels that are called so}."""
        found = {}
        for column, names in enumerate(self.labels):
            for asked in {self.base.asked(name) for name in names}:
                found.setdefault(asked, []).append(column)
        return found

    dim = property(lambda self: self.base.dim + len(self.labels) + 1)

    def of_labels(self, labels: LabelTable) -> NDArray[np.float32]:
        own = np.zeros((len(labels.names), len(self.labels)), np.float32)
        place = {names[-1]: column for column, names in enumerate(self.labels)}
        for row, name in enumerate(labels.names):
            if name in place:
                own[row, place[name]] = 1
        return self._beside(self.base.of_labels(labels), own)

    def embed_known(self, texts: Sequence[str]) -> NDArray[np.float32]:
        own = np.zeros((len(texts), len(self.labels)), np.float32)
        for row, asked in enumerate(texts):
            own[row, self._columns.get(self.base.asked(asked), [])] = 1
        return self._beside(self.base.embed_known(texts), directions(own))

    def _embed(self, texts):
        rows = self.embed_known(texts)
        for asked, row in zip(texts, rows, strict=True):
            if not row.any():
                self.base.embed(asked)  # raises, with near spellings
        return rows

    def _beside(self, rows, own):
        """Rows of the model and label columns as unit rows; zero where both are."""
        return directions(np.hstack([rows, OWN * own, np.zeros((len(rows), 1), np.float32)]))

    def thresholds(self, rows: NDArray[np.float32], false_accept_rate: float | None = None) -> NDArray[np.float32]:
        """The cosine from which on an image is taken to show what a text says, as the model has it: float32 (n,)."""
        told = rows[:, :self.base.dim]
        lengths = np.linalg.norm(told, axis=1)
        return self.base.thresholds(directions(told), false_accept_rate) * lengths / np.float32(np.sqrt(2))

    @property
    def config(self) -> dict:
        return super().config | {"base": self.base.config, "labels": [list(names) for names in self.labels]}

    def weights(self) -> dict[str, NDArray]:
        return self.base.weights()

    @classmethod
    def restore(cls, config: dict, weights: dict, words) -> ExtendedText:
        return cls(ConceptText.restore(config["base"], weights, words), config["labels"])
