"""What a picture is compared with: a named set of label vectors that a figure states beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.arrays import unit_rows


@dataclass(frozen=True, eq=False)
class Candidates:
    """The vectors a figure ranks over, and which of them is right for each label.

    Attributes:
        name: how a figure calls the set: "seen", "unseen", "all", "words20000".
        names: (c,) the word or label of each row.
        vectors: float32 (c, d), unit rows.
        label_names: (C,) the label table that pictures' labels point into.
        answers: int64 (C,), the row that is right for each label, -1 where the label is no candidate.
        added: labels that joined a vocabulary because none of its words stands for them; None where
            there is no vocabulary.

    >>> seen = Candidates.from_labels("seen", ["cat", "dog", "yak"], np.eye(3), ["yak", "cat"])
    >>> seen.names, seen.answers
    (('cat', 'yak'), array([ 0, -1,  1]))
    """

    name: str
    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    label_names: tuple[str, ...]
    answers: NDArray[np.int64]
    added: tuple[str, ...] | None = None

    @classmethod
    def from_labels(cls, name: str, label_names: Iterable[str], label_vectors: ArrayLike,
                    chosen: Iterable[str] | None = None) -> Candidates:
        """The chosen labels of a label table, in the order of the table.

        Args:
            label_names: (C,) names without repetition.
            label_vectors: (C, d), any length but zero.
            chosen: names of the labels to rank over; None takes all.
        Raises:
            ValueError: if the table is not aligned, or a chosen name is not in it, or none is chosen.
        """
        label_names, vectors = _table(label_names, label_vectors)
        chosen = set(label_names if chosen is None else chosen)
        unknown = sorted(chosen - set(label_names))
        if unknown:
            raise ValueError(f"candidates {name!r}: {', '.join(unknown)} not among the "
                             f"{len(label_names)} labels, choose names of the label table")
        rows = np.array([row for row, label in enumerate(label_names) if label in chosen], np.int64)
        if not rows.size:
            raise ValueError(f"candidates {name!r} are empty: choose at least one label")
        answers = np.full(len(label_names), -1, np.int64)
        answers[rows] = np.arange(len(rows))
        return cls(name, tuple(label_names[row] for row in rows), vectors[rows], label_names, answers)

    @classmethod
    def from_words(cls, name: str, words: Iterable[str], word_vectors: ArrayLike, label_names: Iterable[str],
                   label_vectors: ArrayLike, label_words: Sequence[str | None]) -> Candidates:
        """The first words of a vocabulary, plus every label that none of them stands for.

        Args:
            words: (n,) the first n words, most frequent first.
            word_vectors: (n, d), their vectors.
            label_names, label_vectors: (C,) and (C, d), the label table.
            label_words: (C,) the one word each label stands for, or None (a label of several words).
        Raises:
            ValueError: if lengths or dims differ, or a label's vector is not that of its word.

        >>> words = Candidates.from_words("words2", ["the", "cat"], np.eye(3)[:2],
        ...                               ["cat", "dollar bill"], np.eye(3)[1:], ["cat", None])
        >>> words.names, words.answers, words.added
        (('the', 'cat', 'dollar bill'), array([1, 2]), ('dollar bill',))
        """
        label_names, vectors = _table(label_names, label_vectors)
        words = tuple(words)
        word_vectors = unit_rows(word_vectors, "word vectors", dim=vectors.shape[1])
        if len(words) != len(word_vectors):
            raise ValueError(f"{len(words)} words but {len(word_vectors)} word vectors: expected one each")
        if len(label_words) != len(label_names):
            raise ValueError(f"{len(label_words)} label words but {len(label_names)} labels: "
                             "expected one word or None for each label")
        rows = {word: row for row, word in reversed(list(enumerate(words)))}  # the first spelling wins
        answers = np.array([-1 if word is None else rows.get(word, -1) for word in label_words], np.int64)
        known = np.flatnonzero(answers >= 0)
        cosines = np.einsum("ij,ij->i", vectors[known], word_vectors[answers[known]])
        for row in known[cosines < 0.999].tolist():  # below what float16 storage would cost
            raise ValueError(f"label {label_names[row]!r} is said to stand for the word {label_words[row]!r} "
                             "but has another vector: give None where a label is made of several words, "
                             "and take words and labels from the same word vectors")
        missing = np.flatnonzero(answers < 0)
        answers[missing] = len(words) + np.arange(len(missing))
        added = tuple(label_names[row] for row in missing)
        rows = np.concatenate([word_vectors, vectors[missing]]) if added else word_vectors
        return cls(name, words + added, rows, label_names, answers, added)

    def __len__(self) -> int:
        return len(self.names)

    def to_json(self) -> dict:
        """What a figure over these candidates states: their count, and the labels that were added."""
        return {"count": len(self)} | ({} if self.added is None else {"added": list(self.added)})


def _table(label_names, label_vectors):
    """A label table as a tuple of names and unit rows, checked to be aligned."""
    label_names, vectors = tuple(label_names), unit_rows(label_vectors, "label vectors")
    if len(label_names) != len(vectors):
        raise ValueError(f"{len(label_names)} labels but {len(vectors)} label vectors: expected one each")
    if len(set(label_names)) != len(label_names):
        twice = sorted({label for label in label_names if label_names.count(label) > 1})
        raise ValueError(f"labels named twice: {', '.join(twice)}; give each its own name")
    return label_names, vectors
