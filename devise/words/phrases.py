"""One vector for a word or a phrase: which words it has, how their vectors are pooled, which words may be tags."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise.errors import quoted
from devise.spelling import plain, plural_spellings, singulars, stem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.words.vectors import WordVectors

STOP_WORDS = Path(__file__).parent / "stop_words.txt"
OFFENSIVE_WORDS = Path(__file__).parent / "offensive_words.txt"
SAME_THING = 0.5  # cosine from which on a word that looks like a plural is taken for one
SEPARATORS = re.compile(r"[\s_/–—-]+")
SPACES = re.compile(r"[\s_/–—]+")
PUNCTUATION = ".,;:!?'\"()[]"
CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
SMOOTHING = 1e-3  # a of Arora et al. 2017: words more frequent than this count less
EULER = 0.5772156649  # the harmonic number of n is nearly ln n + EULER
SELECTION = 10_000  # a smaller vocabulary was chosen by hand: its order says nothing about frequency


class Phrase(NamedTuple):
    """The words of a text, and their pooled vector.

    Attributes:
        words: those used.
        extras: others whose vectors were mixed in, such as a plural.
        failed: those without a vector.
        vector: float32 (dim,) of length 1, or None.
    """

    words: tuple[str, ...]
    extras: tuple[str, ...]
    failed: tuple[str, ...]
    vector: NDArray[np.float32] | None


def phrase_vector(text: str, words: WordVectors) -> NDArray[np.float32]:
    """The unit vector of a word or a phrase such as "ocean waves", float32 (dim,).

    A phrase that is in the vocabulary as a whole, with `_` or `-` between its parts, is that word.
    Else v = Σ a / (a + p(w)) · v_w / |v_w|, divided by its length: rare words count more
    (`frequency_weight`), so that "a cup of coffee" is about the coffee. In a vocabulary of fewer
    than 10,000 words all count alike.

    Raises:
        KeyError: if one of its words has no vector; the message lists near spellings.
        ValueError: if there is no word in it.

    >>> from devise.words import WordVectors
    >>> phrase_vector("dollar bill", WordVectors(["dollar", "bill"], [[1, 0], [0, 1]]))
    array([0.70710677, 0.70710677], dtype=float32)
    """
    found = resolve(text, words)
    if found.failed:
        words.row(found.failed[0])  # raises, with near spellings
    if found.vector is None:
        raise ValueError(f"{quoted(text)} has no direction in {words.name}: expected one word or several")
    return found.vector


def embed_texts(texts: str | Sequence[str], words: WordVectors) -> NDArray[np.float32]:
    """The unit vectors of words or phrases, float32 (n, dim).

    Args:
        texts: one string, which gives one row, or several.
    Raises:
        KeyError, ValueError: as `phrase_vector`.
        TypeError: if a text is no string.

    >>> from devise.words import WordVectors
    >>> embed_texts("red car", WordVectors(["car", "red"], [[3, 4], [0, 1]])).shape
    (1, 2)
    """
    texts = as_texts(texts)
    found = words.rows([text.strip() for text in texts])
    known = np.array([row is not None for row in found], bool)
    vectors = np.zeros((len(texts), words.dim))
    vectors[known] = words.matrix[[row for row in found if row is not None]]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = (vectors / np.where(lengths, lengths, 1)).astype(np.float32)
    for place in np.flatnonzero(lengths == 0):  # several words, or none with a direction
        vectors[place] = phrase_vector(texts[place], words)
    return vectors


def as_texts(texts: str | Iterable[str]) -> list[str]:
    """A list of texts, of one element where one string is given."""
    found = [texts] if isinstance(texts, str) else list(texts)
    if strange := [text for text in found if not isinstance(text, str)]:
        raise TypeError(f"a text is {strange[0]!r}, a {type(strange[0]).__name__}: expected one str, or several")
    return found


def resolve(text: str, words: WordVectors, *, plurals: bool = False) -> Phrase:
    """The words of a text and their pooled vector, without an error for those that have none.

    Looked up is the whole text, also with `_` or `-` between its parts, then what `read` finds in each part.
    Signs that stand alone are left out where there is a word beside them. `plurals` goes halfway between singular
    and plural of the last word.
    """
    text, parts = text.strip(), []
    if usable(text, words):
        found = [(text, True)]
    else:
        parts, pieces = ([part for part in cut.split(plain(text)) if part] for cut in (SEPARATORS, SPACES))
        whole = next((form for form in ("_".join(parts), "-".join(parts)) if usable(form, words)), None)
        found = [(whole, True)] if whole else [word for piece in pieces for word in read(piece, words)]
    used = [words.words[words.row(piece)] for piece, known in found if known]
    failed = [piece for piece, known in found if not known] or ([] if used else parts)
    other = other_number(used[-1], words) if plurals and used else None
    vector = None if failed else pooled(used, words, other)
    return Phrase(tuple(used), (other,) if other is not None else (), tuple(failed), vector)


def read(part: str, words: WordVectors) -> list[tuple[str, bool]]:
    """The words in a piece of a text between SPACES, each with whether it has a vector; as sentences are read, too.

    Taken is the first that has one: the part as it is written, without the signs around it ("dog" of “dog!”), without
    what English hangs on a word (dog's, don't); else what lies between its signs (cat,dog) or begins with a capital
    (#GoldenRetriever). Of signs alone there is no word.

    >>> from devise.words import WordVectors
    >>> read("(dog's", words := WordVectors(["cat", "dog"], np.eye(2))), read("cat,okapi", words)
    ([('dog', True)], [('cat', True), ('okapi', False)])
    """
    bare = _bare(part)
    if not bare:
        return []
    alone = stem(bare)
    forms = [part, part.strip(PUNCTUATION), *([f"{bare}."] if f"{bare}." in part else []), bare, alone]
    if known := next((form for form in forms if usable(form, words)), None):
        return [(known, True)]
    between = "".join(" " if _is_sign(letter) else letter for letter in alone).split()
    if len(between) > 1:
        return [piece for inner in between for piece in read(inner, words)]
    capitals = CAPITAL.split(alone)
    return [(piece, True) for piece in capitals] if all(usable(piece, words) for piece in capitals) else [(bare, False)]


def pooled(used: Sequence[str], words: WordVectors, other: str | None = None) -> NDArray[np.float32] | None:
    """The unit vector of known words, halfway to the last one's `other` number; None where they cancel out."""
    total = np.zeros(words.dim)
    for place, word in enumerate(used, start=1):
        vector = _unit(words.vector(word))
        if other is not None and place == len(used):
            vector = _unit(vector + _unit(words.vector(other)))
        total += vector * (frequency_weight(word, words) if len(words) >= SELECTION else 1)
    return direction(total)


def usable(form: str, words: WordVectors) -> bool:
    """Whether a word has a vector that points anywhere."""
    row, = words.rows([form])
    return row is not None and bool(words.matrix[row].any())


def direction(vector: NDArray[np.floating]) -> NDArray[np.float32] | None:
    """A vector divided by its length, float32, or None for a zero vector."""
    return _unit(vector).astype(np.float32) if np.any(vector) else None


def frequency_weight(word: str, words: WordVectors) -> float:
    """a / (a + p): how much a word counts in a phrase, near 1 for a rare word and 0.01 for "the".

    The weight of Arora, Liang and Ma 2017 ("A simple but tough-to-beat baseline for sentence embeddings"), a = 0.001.
    Files of vectors hold no counts, so p is estimated from the rank by Zipf's law: p = 1 / (rank · H), H being the
    harmonic number of the vocabulary's size.
    """
    share = 1 / ((words.row(word) + 1) * (math.log(len(words)) + EULER))
    return SMOOTHING / (SMOOTHING + share)


def other_number(word: str, words: WordVectors) -> str | None:
    """The plural of a word, or the singular of a plural, with a vector near to it; else None."""
    return next((words.words[words.row(form)] for form in (*plural_spellings(word), *singulars(word))
                 if form in words and _is_alike(word, form, words)), None)


def tag_rows(words: WordVectors, first: int = 20_000, *, merge_plurals: bool = False) -> NDArray[np.int64]:
    """The rows of the words that may be used as tags, among the most frequent ones.

    Left out are function words (the, of, is), slurs and obscenities, and what is not of two or more
    letters only, so numbers, signs and `u.s.`.

    Args:
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
        kept = {words.words[row] for row in rows}
        rows = [row for row in rows if not any(single in kept and _is_alike(words.words[row], single, words)
                                               for single in singulars(words.words[row]))]
    return np.array(rows, dtype=np.int64)


def read_list(path: str | Path) -> set[str]:
    """The words in a text file, one a line, in lower case; `#` starts a comment."""
    lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    return {word for line in lines if (word := line.partition("#")[0].strip().lower())}


def _is_alike(one, other, words):
    """Whether two words of the vocabulary are one thing, as singular and plural are, by the cosine of their vectors."""
    pair = words.matrix[[words.row(one), words.row(other)]].astype(np.float64)
    return pair[0] @ pair[1] > SAME_THING * np.prod(np.linalg.norm(pair, axis=1))


def _bare(part):
    """A part without the signs around it; "" where there is nothing else."""
    inside = [place for place, letter in enumerate(part) if not _is_sign(letter)]
    return part[inside[0]:inside[-1] + 1] if inside else ""


def _is_sign(letter):
    """Whether it is a sign, a space or nothing that is seen: no letter, no accent on one, no digit."""
    return unicodedata.category(letter)[0] in "PSZC"


def _unit(vector):
    vector = np.asarray(vector, np.float64)
    return vector / np.linalg.norm(vector)
