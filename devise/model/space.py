"""Named embedding spaces: a head for images, and beside it a text side and a threshold where there are such."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from devise.arrays import as_rows, unit_rows
from devise.backbones import imagenet
from devise.errors import unknown
from devise.evaluation import ThresholdInterval, choose_threshold, threshold_interval
from devise.heads import lift_vectors
from devise.spelling import folded
from devise.words import embed_texts, synset_vectors, taxonomy_for
from devise.words.phrases import resolve
from devise.words.sentences import CaptionVectors
from devise.zeroshot import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.heads import Head
    from devise.model.sources import Words
    from devise.model.tags import Names
    from devise.words import LabelTable

RAW, LEARNT, SHARED = "raw", "learnt", "shared"
HOW = {SHARED: "train one with devise.train_labels (`devise train`) or devise.train_captions (`devise captions`), or "
               "take devise.pretrained()",
       LEARNT: "devise.train_classes (`devise siamese`) or devise.train_captions (`devise captions`) make a model that "
               "has one",
       "hidden": "a model trained with an MlpHead that has a hidden layer has one"}
KINDS: dict[str, type[Text]] = {}  # every class of text sides by its kind


@dataclass(frozen=True, eq=False)
class Space:
    """One embedding space: a head for images and, where it has them, a text side and a threshold.

    Attributes:
        head: Head, from features to the space.
        text: Text, from words and sentences to the space; None where the space knows no text.
        threshold: the cosine from which on two images are a match; None where none was chosen.
        calibration: what the threshold rests on, {"false_accept_rate", "classes", "low", "high", …}, see `calibrated`;
            None without a threshold.

    >>> from devise.heads import RawHead
    >>> Space(RawHead(3)).embed(np.array([[3.0, 0.0, 4.0]]))
    array([[0.6, 0. , 0.8]], dtype=float32)
    """

    head: Head
    text: Text | None = None
    threshold: float | None = None
    calibration: dict | None = None

    @property
    def dim(self) -> int | None:
        """Columns of the embeddings; None where the head has no weights yet to decide it."""
        return self.head.dim

    def embed(self, features: NDArray) -> NDArray[np.float32]:
        """Features (n, dim of the backbone) as unit rows (n, dim)."""
        return self.head.embed(features)

    def embed_text(self, texts: str | Sequence[str]) -> NDArray[np.float32]:
        """One text or several as unit rows (n, dim).

        Raises:
            ValueError: if the space has no text side.
            KeyError: if no word of a text has a vector; the message lists near spellings.
        """
        if self.text is None:
            raise ValueError("this space has no text side")
        return self.text.embed(texts)

    def calibrated(self, features: NDArray, labels: NDArray[np.int64], false_accept_rate: float, seed: int = 0
                   ) -> Space:
        """The space with the threshold that lets in a wanted share of unknown images.

        Each image asks the others as if its class were not among them; see `devise.evaluation.choose_threshold`.
        In a much larger gallery more unknown images pass. Few classes say little of others: `calibration` has
        the interval of the threshold and that of the false-accept rate on other classes.

        Args:
            features: (n, dim of the backbone), of classes that the head was not trained on.
        Raises:
            ValueError: if it is out of range, or there are fewer than two classes.
        """
        if not 0 <= false_accept_rate <= 1:
            raise ValueError(f"false_accept_rate is {false_accept_rate}: expected a share from 0 to 1")
        rows = self.embed(features)
        threshold = choose_threshold(rows, labels, false_accept_rate=false_accept_rate)
        interval = threshold_interval(rows, labels, false_accept_rate=false_accept_rate, seed=seed)
        return replace(self, threshold=threshold, calibration={"asked": false_accept_rate, **interval._asdict()})

    def threshold_note(self) -> str:
        """What the threshold rests on, for a reader.

        Raises:
            ValueError: if the space has none.
        """
        if self.threshold is None or self.calibration is None:
            raise ValueError("the space has no threshold of its own: choose one by `Devise.calibrate`")
        found = {name: value for name, value in self.calibration.items() if name != "asked"}
        return ThresholdInterval(**found).sentence(self.threshold, self.calibration["asked"])


class Text(ABC):
    """What a space needs to place text: the vectors of words, and what was learnt beside them.

    Attributes:
        kind: the name under which a model's folder keeps it.
        words: Words of the model.

    >>> issubclass(WordText, Text)
    True
    """

    kind: ClassVar[str] = ""

    def __init__(self, words: Words):
        self.words = words

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        KINDS[cls.kind] = cls

    @property
    def concepts(self) -> Names | None:
        """The names of its own that it gives images, see `devise.model.concepts`; None where it ranks any words."""
        return None

    def thresholds(self, rows: NDArray[np.float32], false_accept_rate: float | None = None
                   ) -> NDArray[np.float32] | None:
        """The cosine from which on an image is taken to show what a text says, float32 (n,); None where none is known.

        Args:
            rows: (n, dim), embedded texts.
            false_accept_rate: the share of images without the thing that may pass; None takes the text side's own.
        """
        return None

    @abstractmethod
    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Rows (n, dim) of any length but zero."""

    def embed(self, texts: str | Sequence[str]) -> NDArray[np.float32]:
        """Words, phrases or sentences, one or several, as unit rows, float32 (n, dim).

        Raises:
            KeyError: if no word of a text has a vector; the message lists near spellings.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        if strange := [text for text in texts if not isinstance(text, str)]:
            raise TypeError(f"a text is {type(strange[0]).__name__}: expected a str, or several in a list")
        if not texts:
            return np.empty((0, self.dim), np.float32)
        return unit_rows(self._embed(texts), "embedded text")

    def asked(self, text: str) -> str:
        """What a text asks for: equal for two that ask for the same thing."""
        return folded(text).strip()

    def of_labels(self, labels: LabelTable) -> NDArray[np.float32]:
        """The classes of a training as unit rows, float32 (C, dim)."""
        return self.embed([" ".join(parts) for parts in labels.parts])

    def embed_known(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Many texts as unit rows (n, dim), zero for one that has no place in the space."""
        return self.embed(texts)

    @property
    @abstractmethod
    def dim(self) -> int:
        """Columns of the space."""

    @property
    def config(self) -> dict:
        """What JSON can hold of it."""
        return {"kind": self.kind}

    def weights(self) -> dict[str, NDArray]:
        """{name: array} of what was learnt."""
        return {}

    @classmethod
    def restore(cls, config: dict, weights: dict, words: Words) -> Text:
        """The text side of a config and weights."""
        return cls(words)


class WordText(Text):
    """The word vectors as they are: a phrase is the pooled vector of its words.

    >>> from devise.model.sources import Words
    >>> from devise.words import WordVectors
    >>> WordText(Words(WordVectors(["cat", "dog"], [[2, 0], [0, 3]]))).embed("dog")
    array([[0., 1.]], dtype=float32)
    """

    kind = "words"

    dim = property(lambda self: self.words.record["dim"])

    def _embed(self, texts):
        return embed_texts(texts, self.words.vectors)

    def of_labels(self, labels: LabelTable) -> NDArray[np.float32]:
        return labels.vectors

    def embed_known(self, texts: Sequence[str]) -> NDArray[np.float32]:
        words = self.words.vectors
        rows = words.rows(texts)
        if None not in rows:  # a vocabulary, whose rows lie ready
            return words.unit(np.array(rows, np.int64))
        return super().embed_known(texts)


class SentenceText(Text):
    """Sentences by their words and telling terms, carried into the space by a linear map.

    Args:
        sentences: CaptionVectors, fitted on the captions of a training.
        kernel: float32 (t, dim).

    >>> model.spaces["shared"].text.embed("a dog on a beach").shape  # doctest: +SKIP
    (1, 256)
    """

    kind = "sentences"

    def __init__(self, words: Words, sentences: CaptionVectors | dict, kernel: NDArray[np.float32]):
        super().__init__(words)
        self._sentences, self.kernel = sentences, as_rows(kernel, "the text kernel")

    @property
    def sentences(self) -> CaptionVectors:
        """The vectors of sentences; those of a loaded model open its words."""
        known = self._sentences  # one look at it: another thread may open it meanwhile
        if isinstance(known, dict):
            self._sentences = known = CaptionVectors.from_json(known, self.words.vectors)
        return known

    dim = property(lambda self: self.kernel.shape[1])

    def _embed(self, texts):
        for text, known in zip(texts, self.sentences.known(texts), strict=True):
            if not known:
                embed_texts([text], self.words.vectors)  # raises, with near spellings
        return self.sentences.embed(texts) @ self.kernel

    def embed_known(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), self.dim), np.float32)
        known = np.flatnonzero(self.sentences.known(texts))
        if known.size:
            rows[known] = super().embed_known([texts[int(row)] for row in known])
        return rows

    @property
    def config(self) -> dict:
        known = self._sentences
        return super().config | {"sentences": known if isinstance(known, dict) else known.to_json()}

    def weights(self) -> dict[str, NDArray[np.float32]]:
        return {"kernel": self.kernel}

    @classmethod
    def restore(cls, config: dict, weights: dict, words: Words) -> SentenceText:
        return cls(words, config["sentences"], weights["kernel"])


class LiftText(Text):
    """Words by how near each ImageNet class is to them, in word vectors and in WordNet: the text side of a LiftHead."""

    kind = "lift"

    @cached_property
    def _classes(self):
        return synset_vectors(imagenet.identities(), self.words.vectors)

    dim = property(lambda self: len(imagenet.classes()) + 2)

    def _embed(self, texts):
        vectors = embed_texts(texts, self.words.vectors)
        taxonomy = taxonomy_for(texts)
        nouns = [text if taxonomy.knows(text) else " ".join(resolve(text, self.words.vectors).words) for text in texts]
        steps = taxonomy_for(nouns).steps(imagenet.identities(), nouns)
        return lift_vectors(kernel(self._classes, vectors, steps))


def restored_text(config: dict, weights: dict, words: Words) -> Text:
    """The text side that a model's folder holds.

    Raises:
        ValueError: if it is of a kind that this devise does not know.
    """
    if config.get("kind") not in KINDS:
        raise ValueError(unknown("text side", config.get("kind"), KINDS))
    return KINDS[config["kind"]].restore(config, weights, words)
