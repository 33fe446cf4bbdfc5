"""The binary form of word vectors: a folder with the words, the matrix and a manifest.

The matrix is a `.npy` that opens memory-mapped, so opening costs what reading the words costs.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
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


class Block(NamedTuple):
    """Some words in a row, their vectors (n, dim), and how many of the words were not valid UTF-8."""

    words: Sequence[str]
    rows: NDArray[np.float32]
    undecodable: int = 0


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
        folder: the folder to make; it is there whole or not at all.
        blocks: Block after Block, rows of `dim` columns.
        name: what the vectors are called in reports and errors.
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

    Args:
        make: gets the manifest, the words as a list, the matrix float32 (n, dim), memory-mapped and read-only.
    Raises:
        FileNotFoundError: if the folder holds no word vectors.
        ValueError: if its files are damaged or don't belong together.
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
