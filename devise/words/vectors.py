"""Words and their vectors: look-up and nearest neighbours."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import as_rows, top_k, unit_rows
from devise.errors import quoted
from devise.spelling import plain, spellings
from devise.words import files

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FREQUENT = 100_000  # spellings are proposed from these; rarer words are misspelt themselves
ALIKE = 0.7  # difflib's ratio from which on two spellings are near


class WordVectors:
    """Words, most frequent first, and one vector for each.

    Attributes:
        words: tuple of str (n,), all different.
        matrix: float32 (n, dim), read-only, memory-mapped where it comes from a cache.
        name: what reports and errors call these vectors.
        counts: {"duplicates": words left out since an equal one came before, "undecodable": words that were not
            valid UTF-8, "blank": words left out since they are blank}.

    Args:
        words: str (n,); of equal words the first one is kept.
        matrix: (n, dim), finite.
        fingerprint: where it is known already; it vouches for words and matrix, so that nothing
            is checked again and no page of a memory-mapped matrix is read.
    Raises:
        ValueError: if the shapes don't belong together, or a vector holds NaN or infinity.
        TypeError: if a word is not a str.

    >>> words = WordVectors(["cat", "dog", "car"], [[1, 0], [0.8, 0.6], [-1, 0]], name="toy")
    >>> words.neighbours("Cat", k=2)
    [('dog', 0.800000011920929), ('car', -1.0)]
    """

    def __init__(self, words: Iterable[str], matrix: ArrayLike, *, name: str = "words", fingerprint: str | None = None,
                 counts: Mapping[str, int] | None = None) -> None:
        self.name = name
        self.counts = {"duplicates": 0, "undecodable": 0, "blank": 0, **(counts or {})}
        rows = as_rows(matrix, f"vectors of {name}") if fingerprint is None else np.asanyarray(matrix)
        if fingerprint is None:
            words, rows = self._checked(words, rows)
        else:
            self.fingerprint = fingerprint
        self.words, self.matrix = tuple(words), rows.view()
        self.matrix.flags.writeable = False
        self._inverse_lengths = np.empty(0, np.float32)

    def _checked(self, words, matrix):
        if isinstance(words, str):
            raise TypeError(f"the words of {self.name} are one string, {quoted(words)}: expected a list of words")
        words = list(words)
        if len(words) != len(matrix) or not words:
            raise ValueError(f"{self.name} has {len(words)} words and {len(matrix)} vectors: "
                             "expected one vector a word, and at least one")
        if strange := [word for word in words if not isinstance(word, str)]:
            raise TypeError(f"{self.name} holds {strange[0]!r}, a {type(strange[0]).__name__}: words are str")
        kept = files.first_of_each(words, {}, self.counts)
        if not kept:
            raise ValueError(f"{self.name} holds no word that is not blank")
        return (words, matrix) if len(kept) == len(words) else ([words[row] for row in kept], matrix[kept])

    @cached_property
    def fingerprint(self) -> str:
        """A hex digest over words and vectors; equal contents have equal ones, whatever the name."""
        return files.fingerprint_of(self.words, self.matrix)

    @cached_property
    def _rows(self):
        return dict(zip(self.words, range(len(self)), strict=True))

    @property
    def dim(self) -> int:
        """The number of columns of a vector."""
        return self.matrix.shape[1]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self._find(word) is not None

    def __repr__(self) -> str:
        return f"WordVectors({self.name!r}, {len(self):,} words, dim {self.dim})"

    def report(self) -> str:
        """One line: how many words of which dim, and what was left out or replaced."""
        told = {"duplicates": "duplicates left out", "undecodable": "words were not valid UTF-8",
                "blank": "blank words left out"}
        return "; ".join([f"{len(self):,} words of dim {self.dim} from {self.name}",
                          *(f"{self.counts[kind]:,} {what}" for kind, what in told.items() if self.counts[kind])])

    def row(self, word: str) -> int:
        """The row of a word, as it is written, in lower case or in another encoding of its letters.

        Raises:
            KeyError: if there is no such word; the message proposes others.
        """
        if not isinstance(word, str):
            raise TypeError(f"a word is expected as str, received {type(word).__name__}")
        row = self._find(word)
        if row is None:
            near = self.near_spellings(word)
            raise KeyError(f"{quoted(word)} is not among the {len(self):,} words of {self.name}"
                           + (f": near spellings are {', '.join(near)}" if near else ""))
        return row

    def rows(self, words: Sequence[str]) -> list[int | None]:
        """The row of each word, None where there is no such word.

        >>> WordVectors(["cat", "dog"], [[2, 0], [0, 3]]).rows(["dog", "DOG", "bird"])
        [1, 1, None]
        """
        found = map(self._rows.get, words)  # as a rule a word is there as it is written
        return [self._find(word) if row is None else row for word, row in zip(words, found, strict=True)]

    def _find(self, word):
        row = self._rows.get(word)  # as a rule the word is there as it is written
        return next((self._rows[form] for form in spellings(word) if form in self._rows), None) if row is None else row

    def vector(self, word: str) -> NDArray[np.float32]:
        """The vector of a word, float32 (dim,), a copy, of the length it was read with."""
        return self.matrix[self.row(word)].copy()

    def unit(self, rows: slice | Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some rows (a slice or row numbers), each of length 1, float32 (n, dim).

        Raises:
            ValueError: if one of them is a zero vector.
        """
        return unit_rows(self.matrix[rows], f"vectors of {self.name}")

    def neighbours(self, word: str | ArrayLike, k: int = 10, *, first: int | None = None) -> list[tuple[str, float]]:
        """The k words of largest cosine with a word or a vector, best first, exactly.

        Args:
            word: a word, which is not among its own neighbours, or a vector (dim,).
            k: how many; fewer come where there are fewer.
            first: look among this many most frequent words only.
        Returns:
            list of (word, cosine).
        Raises:
            KeyError: if there is no such word.
            ValueError: if k or first is below 1, or the vector is zero or of another dim.
        """
        if k < 1 or (first is not None and first < 1):
            raise ValueError(f"k is {k} and first is {first}: expected at least 1")
        own = self.words[self.row(word)] if isinstance(word, str) else None
        query = np.asarray(word if own is None else self.vector(own)).reshape(1, -1)
        return [pair for pair in self.neighbours_of(query, k + 1, first=first)[0] if pair[0] != own][:k]

    def neighbours_of(self, vectors: ArrayLike, k: int, *, first: int | None = None) -> list[list[tuple[str, float]]]:
        """The k words of largest cosine with each of several vectors (n, dim), as `neighbours` lists them."""
        directions = unit_rows(vectors, "the query", self.dim)
        # lengths divide the scores, not the rows: a unit copy would double a matrix of 480 MB
        rows = self.matrix[:first]
        nearest, cosines = top_k(directions @ rows.T * self._scales(len(rows)), min(k, len(rows)))
        return [[(self.words[row], float(cosine)) for row, cosine in zip(*found, strict=True)]
                for found in zip(nearest, cosines, strict=True)]

    def _scales(self, n):
        """1 / length of the first n rows, 0 for a zero row; rows behind them are not read."""
        known = self._inverse_lengths  # one look at it: another thread may extend it meanwhile
        if len(known) < n:
            rows = self.matrix[len(known):n]
            lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
            fresh = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
            self._inverse_lengths = known = np.append(known, fresh.astype(np.float32))
        return known[:n]

    def near_spellings(self, word: str, n: int = 3) -> list[str]:
        """At most n frequent words that are spelt like `word`, the nearest first, then the more frequent."""
        word = plain(word).lower()
        matcher = difflib.SequenceMatcher(b=word)
        found = []
        for row, other in enumerate(self.words[:FREQUENT]):
            # cheap tests first: the exact ratio takes a tenth of a millisecond a word
            if abs(len(other) - len(word)) > 2 or (other[:2] != word[:2] and other[-3:] != word[-3:]):
                continue
            matcher.set_seq1(other)
            if matcher.quick_ratio() >= ALIKE and (ratio := matcher.ratio()) >= ALIKE and other != word:
                found.append((-ratio, row))
        return [self.words[row] for _, row in sorted(found)[:n]]

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the folder that `load` opens; it is there whole or not at all.

        Args:
            overwrite: whether other word vectors that are in it may be lost.
        Raises:
            FileExistsError: if they would be, or the folder holds files of somebody else's.
        """
        files.write(folder, files.blocks_of(self.words, self.matrix), dim=self.dim, name=self.name,
                    counts=self.counts, known=self.fingerprint, overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path) -> WordVectors:
        """Open a folder that `save` or a conversion has written, without reading the matrix.

        Raises:
            FileNotFoundError: if it holds no word vectors.
            ValueError: if it is damaged.
        """
        return files.read(folder, lambda document, words, matrix: cls(
            words, matrix, name=document["name"], fingerprint=document["fingerprint"], counts=document["counts"]))
