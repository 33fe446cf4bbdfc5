"""Rows for sentences: what their words mean (SIF), which telling words they have (tf-idf), and both side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import eigenvectors
from devise.spelling import plain
from devise.words.phrases import SPACES, STOP_WORDS, as_texts, frequency_weight, read, read_list

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from devise.words.vectors import WordVectors

TERMS = 1000  # the most frequent ones
SHARE = 0.5  # of a row's squared length that word vectors have


class Texts(ABC):
    """Sentences as unit rows, where something is known of them.

    Attributes:
        words: WordVectors.
    """

    words: WordVectors

    @property
    @abstractmethod
    def dim(self) -> int:
        """Columns of a row."""

    @abstractmethod
    def _rows(self, texts: list[str]) -> NDArray[np.float32]:
        """Unit rows of texts (n, dim), zero where nothing is known."""

    def known(self, texts: str | Sequence[str]) -> NDArray[np.bool_]:
        """Of which texts something is known, bool (n,)."""
        return self.embed_known(texts)[1]

    def embed(self, texts: str | Sequence[str]) -> NDArray[np.float32]:
        """Unit rows of sentences, float32 (n, dim).

        Args:
            texts: one string, which gives one row, or several.
        Raises:
            ValueError: if of a text nothing is known; the message names it and counts the others.
        """
        texts = as_texts(texts)
        rows, known = self.embed_known(texts)
        if (lost := np.flatnonzero(~known)).size:
            raise ValueError(f"{lost.size} texts have {self._lacking}, the first is {texts[lost[0]]!r}: leave them "
                             "out, `known` tells which, or say it in other words")
        return rows

    def embed_known(self, texts: str | Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Unit rows of the texts of which something is known, float32 (m, dim), and which these are, bool (n,).

        >>> from devise.words import WordVectors
        >>> texts = CaptionVectors(WordVectors(["dog", "cat"], np.eye(2), name="toy")).fit([("a dog",), ("a cat",)])
        >>> texts.embed_known(["a cat", "ufo"])[1]
        array([ True, False])
        """
        rows = self._rows(as_texts(texts))
        known = np.asarray(rows.any(axis=1))
        return rows[known], known

    @property
    def _lacking(self):
        return f"no word of {self.words.name}"


class SentenceVectors(Texts):
    """Sentences by smooth inverse frequency (Arora, Liang and Ma 2017, algorithm 1).

    v = (1 / |s|) Σ a / (a + p(w)) v_w, see `frequency_weight`, without its part along the first singular vectors of
    the sentences that `fit` has seen, `components` of them; 0 needs no `fit`.

    >>> from devise.words import WordVectors
    >>> words = WordVectors(["the", "dog", "runs", "car"], np.eye(4), name="toy")
    >>> vectors = SentenceVectors(words, components=0)
    >>> vectors.embed(["a dog", "The dog!"]).round(2)
    array([[0.  , 1.  , 0.  , 0.  ],
           [0.45, 0.89, 0.  , 0.  ]], dtype=float32)
    """

    def __init__(self, words: WordVectors, *, components: int = 1) -> None:
        if components < 0:
            raise ValueError(f"components is {components}: expected 0 or more")
        self.words, self.components = words, components
        self.common = np.empty((0, words.dim), np.float32) if components == 0 else None
        self._vectors: dict[str, list[NDArray[np.float64]]] = {}

    @property
    def dim(self) -> int:
        """Columns of a row."""
        return self.words.dim

    def fit(self, texts: Sequence[str]) -> SentenceVectors:
        """Find what all sentences share: the first singular vectors of theirs, uncentred.

        Raises:
            ValueError: if fewer of them have a known word than components are asked for.
        """
        sums = self._means(as_texts(texts))
        if (sums.any(axis=1)).sum() < max(1, self.components):
            raise ValueError(f"of {len(texts)} texts too few have a word of {self.words.name} to find "
                             f"{self.components} common components")
        _, directions = eigenvectors(sums.T @ sums)  # ascending
        self.common = directions.T[::-1][:self.components].astype(np.float32)
        return self

    def embed_pictures(self, captions: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """The unit mean of the vectors of each image's captions, float32 (n, dim); unknown captions are passed over.

        Raises:
            ValueError: if no caption of an image has a word with a vector; leave it out.
        """
        kept = [[text for text in sentences if self.known(text)[0]] for sentences in _checked(captions)]
        lost = [row for row, sentences in enumerate(kept) if not sentences]
        if lost:
            raise ValueError(f"{len(lost)} images have no caption with a word of {self.words.name}, the first is "
                             f"row {lost[0]}: leave them out")
        vectors = self.embed([text for sentences in kept for text in sentences])
        starts = np.cumsum([0, *map(len, kept)])[:-1]
        means = np.add.reduceat(vectors, starts, axis=0) if len(vectors) else vectors
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def _rows(self, texts):
        """Unit rows, float32 (n, dim); zeros where nothing but what all sentences share is said."""
        if self.common is None:
            raise ValueError("the common component is not known yet: call fit with the captions of the training "
                             "images, or make these vectors with components=0")
        means = self._means(texts)
        rows = means - (means @ self.common.T) @ self.common
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.where(lengths < 1e-9, 0, rows / np.maximum(lengths, 1e-9)).astype(np.float32)

    def _means(self, texts):
        """The weighted means of the texts' vectors, float64 (n, dim); zeros where no word has one."""
        means = np.zeros((len(texts), self.dim))
        for row, text in enumerate(texts):
            if found := [vector for part in SPACES.split(plain(text)) for vector in self._of(part)]:
                means[row] = np.mean(found, axis=0)
        return means

    def _of(self, part):
        """The weighted vectors of the words in a part of a text, as `devise.words.phrase_vector` reads it."""
        if part not in self._vectors:
            self._vectors[part] = [frequency_weight(word, self.words) * self.words.vector(word).astype(np.float64)
                                   for word, known in read(part, self.words) if known]
        return self._vectors[part]


class Tfidf:
    """Terms and how telling each is: tf · (1 + ln((1 + n) / (1 + df))), rows of length 1.

    Function words are left out. df is the number of the n images that have the term in any of their
    captions, which are joined into one text (Salton and Buckley 1988, with scikit-learn's smoothing).

    Attributes:
        terms: str, one a column, the most frequent `max_terms`; () before `fit`.

    >>> captions = [("a dog runs", "a brown dog"), ("a cat sleeps",), ("the dog and the cat",)]
    >>> terms = Tfidf().fit(captions)
    >>> terms.terms
    ('brown', 'cat', 'dog', 'runs', 'sleeps')
    >>> rows = terms.pictures(captions)
    >>> bool(rows[0].multiply(rows[2]).sum() > rows[0].multiply(rows[1]).sum())
    True
    """

    def __init__(self, *, max_terms: int | None = None) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectoriser = TfidfVectorizer(stop_words=_as_tokens(read_list(STOP_WORDS)), max_features=max_terms,
                                           preprocessor=lambda text: plain(text).lower(), dtype=np.float32)
        self.terms: tuple[str, ...] = ()

    def fit(self, captions: Sequence[Sequence[str]]) -> Tfidf:
        """Find the terms and their weights in the sentences about each image.

        Raises:
            ValueError: if no term is left.
        """
        try:
            self._vectoriser.fit(_joined(captions))
        except ValueError as error:
            raise ValueError(f"no term is left of the captions of {len(captions)} images ({error}): "
                             "give sentences with other than function words") from error
        self.terms = tuple(self._vectoriser.get_feature_names_out())
        return self

    def pictures(self, captions: Sequence[Sequence[str]]) -> csr_matrix:
        """Rows of images, from all their captions: float32 (n, terms), of length 1.

        An image without a known term has an empty row, and `empty` finds it.
        """
        return self.texts(_joined(captions))

    def texts(self, texts: str | Sequence[str]) -> csr_matrix:
        """Rows of single sentences: float32 (n, terms), as `pictures`."""
        if not self.terms:
            raise ValueError("the terms are not known yet: call fit with the captions of the training images")
        texts = as_texts(texts)
        return self._vectoriser.transform(texts) if texts else self._vectoriser.transform([""])[:0]

    def cut(self, text: str) -> list[str]:
        """The terms of a text in their order, known or not, without stop words."""
        return self._vectoriser.build_analyzer()(text)

    def to_json(self) -> dict:
        """Terms and weights, ready for JSON."""
        return {"terms": list(self.terms), "idf": [float(weight) for weight in self._vectoriser.idf_]}

    @classmethod
    def from_json(cls, document: Mapping) -> Tfidf:
        """The terms that `to_json` wrote."""
        found = cls()
        found._vectoriser.vocabulary = {term: column for column, term in enumerate(document["terms"])}
        found._vectoriser.idf_ = np.array(document["idf"], np.float32)
        found.terms = tuple(document["terms"])
        return found


class CaptionVectors(Texts):
    """Weighted word vectors (SIF) and tf-idf side by side, as unit rows.

    v = (√share · SIF(s), √(1 - share) · tf-idf(s)), divided by its length: see `SentenceVectors` and
    `Tfidf`. Of a text that one of the two knows nothing of, that part is zero. Word vectors know that
    a puppy is a dog; the terms know that a dog is no cat, where 50 columns put the two close together.

    Args:
        terms: how many of the most frequent terms have a column.
        share: of the squared length that word vectors have, 0 to 1.

    >>> from devise.words import WordVectors
    >>> words = WordVectors(["a", "dog", "puppy", "cat"], np.eye(4), name="toy")
    >>> texts = CaptionVectors(words).fit([("a dog",), ("a cat", "one cat")])
    >>> texts.embed(["a dog", "puppy"]).shape, texts.known(["cat", "ufo"])
    ((2, 6), array([ True, False]))
    """

    def __init__(self, words: WordVectors, *, terms: int = TERMS, share: float = SHARE) -> None:
        if terms < 1 or not 0 <= share <= 1:
            raise ValueError(f"terms is {terms} and share is {share}: expected 1 or more, and 0 to 1")
        self.words, self.share = words, share
        self.sentences, self.terms = SentenceVectors(words), Tfidf(max_terms=terms)

    def fit(self, captions: Sequence[Sequence[str]]) -> CaptionVectors:
        """Find the terms, and what all sentences share, in the captions of each training image.

        Raises:
            ValueError: if no term is left, or no sentence has a word with a vector.
        """
        self.terms.fit(captions)
        self.sentences.fit([text for sentences in captions for text in sentences])
        return self

    @property
    def dim(self) -> int:
        """Columns of a row, after `fit`."""
        return self.words.dim + len(self.terms.terms)

    def to_json(self) -> dict:
        """What `fit` has found, ready for JSON; the words are not in it."""
        common = self.sentences.common
        return {"terms": self.terms.to_json(), "common": None if common is None else common.tolist(),
                "share": self.share}

    @classmethod
    def from_json(cls, document: Mapping, words: WordVectors) -> CaptionVectors:
        """The vectors that `to_json` wrote, over the same words."""
        found = cls(words, share=document["share"])
        found.terms = Tfidf.from_json(document["terms"])
        found.sentences.common = np.array(document["common"], np.float32).reshape(-1, words.dim)
        return found

    def _rows(self, texts):
        meaning, told = self.sentences._rows(texts), self.terms.texts(texts).toarray()
        rows = np.hstack([np.sqrt(self.share) * meaning, np.sqrt(1 - self.share) * told]).astype(np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, lengths, out=rows, where=lengths > 0)

    @property
    def _lacking(self):
        return f"{self.sentences._lacking} and no term of the captions"


def empty(rows: csr_matrix) -> NDArray[np.int64]:
    """The rows that hold no term: int64 (m,)."""
    return np.flatnonzero(np.diff(rows.indptr) == 0)


def latent(rows: csr_matrix, others: Sequence[csr_matrix], dim: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Rows in few dense columns, whose inner products are nearly those of tf-idf (latent semantic analysis).

    The columns are found on `rows`, sparse (n, terms) (Deerwester et al. 1990); given back are the others,
    one below the other, as unit rows (Σ m, dim); a zero row stays zero.
    """
    from sklearn.decomposition import TruncatedSVD

    dim = min(dim, *rows.shape)
    found = TruncatedSVD(dim, random_state=seed).fit(rows)
    columns = np.concatenate([found.transform(other) for other in others]).astype(np.float32)
    return columns / np.maximum(np.linalg.norm(columns, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _joined(captions):
    return [" ".join(sentences) for sentences in _checked(captions)]


def _checked(captions):
    if isinstance(captions, str) or any(isinstance(sentences, str) for sentences in captions):
        raise ValueError("captions hold a str where an image's sentences are expected: give one tuple of "
                         "sentences for each image")
    return captions


def _as_tokens(words):
    """Stop words as the vectoriser cuts them: "don't" is "don", and its "t" is dropped as too short."""
    return sorted({token for word in words for token in word.replace("’", "'").split("'") if len(token) > 1})
