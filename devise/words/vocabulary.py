"""The words that may be tags of an image: without function words, slurs and plurals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.words.vectors import WordVectors

STOP_WORDS = Path(__file__).parent / "stop_words.txt"
OFFENSIVE_WORDS = Path(__file__).parent / "offensive_words.txt"
IRREGULAR = {"men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot",
             "teeth": "tooth", "geese": "goose", "mice": "mouse", "oxen": "ox"}
NO_PLURAL = {"arms", "glasses", "means", "news", "series", "species"}  # another thing than their singular
SAME_THING = 0.5  # cosine from which on a word that looks like a plural is taken for one


def tag_rows(words: WordVectors, first: int = 20_000, *, merge_plurals: bool = False) -> NDArray[np.int64]:
    """The rows of the words that may be used as tags, among the most frequent ones.

    Left out are function words (the, of, is), slurs and obscenities, and what is not of two or more
    letters only, so numbers, signs and `u.s.`.

    Args:
        words: WordVectors.
        first: look at this many most frequent words.
        merge_plurals: leave out a plural whose singular is kept and has a vector near to it.
    Returns:
        int64 (m,), ascending.
    Raises:
        ValueError: if first is below 1.

    >>> from devise.words import WordVectors
    >>> words = WordVectors(["the", "dog", "dogs", "2"], [[1, 0], [0, 1], [0.1, 1], [1, 1]])
    >>> [words.words[row] for row in tag_rows(words, merge_plurals=True)]
    ['dog']
    """
    if first < 1:
        raise ValueError(f"first is {first}: expected at least 1 word")
    unwanted = read_list(STOP_WORDS) | read_list(OFFENSIVE_WORDS)
    rows = [row for row, word in enumerate(words.words[:first])
            if word.lower() not in unwanted and word.isalpha() and len(word) > 1]
    if merge_plurals:
        kept = {words.words[row]: row for row in rows}
        rows = [row for row in rows if not _is_plural(words, row, kept)]
    return np.array(rows, dtype=np.int64)


def read_list(path: str | Path) -> set[str]:
    """The words in a text file, one a line, in lower case; `#` starts a comment."""
    lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    return {word for line in lines if (word := line.partition("#")[0].strip().lower())}


def singulars(word: str) -> list[str]:
    """The spellings that the singular of an English word may have, if it is a plural.

    >>> singulars("wolves")
    ['wolve', 'wolf', 'wolfe', 'wolv']
    """
    if word in IRREGULAR:
        return [IRREGULAR[word]]
    if not word.endswith("s") or word.endswith("ss") or len(word) < 4 or word in NO_PLURAL:
        return []
    found = [word[:-1]]
    if word.endswith("ies"):
        found.append(word[:-3] + "y")
    if word.endswith("ves"):
        found += [word[:-3] + "f", word[:-3] + "fe"]
    if word.endswith("es"):
        found.append(word[:-2])
    return found


def _is_plural(words, row, kept):
    """Whether a singular of the word in `row` is among those kept, a dict of word to row, and alike."""
    for singular in singulars(words.words[row]):
        if singular in kept:
            pair = words.matrix[[row, kept[singular]]].astype(np.float64)
            if pair[0] @ pair[1] > SAME_THING * np.prod(np.linalg.norm(pair, axis=1)):
                return True
    return False
