"""One vector for a word or a phrase: which words it has, and how they are pooled."""

import math
import re
from typing import NamedTuple

import numpy as np

from devise.errors import quoted
from devise.words.vocabulary import IRREGULAR, SAME_THING, singulars

SEPARATORS = re.compile(r"[\s_/–—-]+")
PUNCTUATION = ".,;:!?'\"()[]"
POOLINGS = ("mean", "frequency")
SMOOTHING = 1e-3  # a of Arora et al. 2017: words more frequent than this count less
EULER = 0.5772156649  # the harmonic number of n is nearly ln n + EULER


class Phrase(NamedTuple):
    """What was found of a text.

    Attributes:
        words: those used.
        extras: others whose vectors were mixed in, such as a plural.
        failed: those without a vector.
        vector: float32 (dim,) of length 1, or None.
    """

    words: tuple
    extras: tuple
    failed: tuple
    vector: np.ndarray | None


def phrase_vector(text, words, *, pooling="mean"):
    """The unit vector of a word or a phrase such as "ocean waves", float32 (dim,).

    Args:
        pooling: "mean", all words count alike, or "frequency", rare words count more: "a cup of coffee"
            is about the coffee.
    Raises:
        KeyError: if one of its words has no vector.
        ValueError: if there is no word in it.

    >>> from devise.words import WordVectors
    >>> phrase_vector("dollar bill", WordVectors(["dollar", "bill"], [[1, 0], [0, 1]]))
    array([0.70710677, 0.70710677], dtype=float32)
    """
    found = resolve(text, words, pooling=pooling)
    if found.failed:
        words.row(found.failed[0])  # raises, with near spellings
    if found.vector is None:
        raise ValueError(f"{quoted(text)} has no direction in {words.name}: expected one word or several")
    return found.vector


def resolve(text, words, *, pooling="mean", plurals=False):
    """The words of a text and their pooled vector, without an error for those that have none.

    Args:
        pooling, plurals: as `label_vectors` takes them.
    Returns:
        Phrase.
    """
    pieces = [piece for piece in SEPARATORS.split(text.strip()) if piece]
    whole = [form for form in (text.strip(), "_".join(pieces), "-".join(pieces)) if usable(form, words)]
    if whole:
        pieces = whole[:1]
    used, failed = [], []
    for piece in pieces:
        bare = piece.strip(PUNCTUATION)
        form = next((form for form in (piece, bare) if usable(form, words)), None)
        if form is None:
            failed.append(bare or piece)
        else:
            used.append(words.words[words.row(form)])
    # English marks the number of a phrase at its last word
    other = other_number(used[-1], words) if plurals and used else None
    mean = np.zeros(words.dim)
    for place, word in enumerate(used, start=1):
        vector = words.vector(word).astype(np.float64)
        if other is not None and place == len(used):
            vector = _between(vector, words.vector(other).astype(np.float64))
        mean += vector * (frequency_weight(word, words) if pooling == "frequency" else 1)
    vector = None if failed else direction(mean)
    return Phrase(tuple(used), (other,) if other is not None else (), tuple(failed), vector)


def usable(form, words):
    """Whether a word has a vector that points anywhere."""
    return form in words and bool(words.vector(form).any())


def direction(vector):
    """A vector divided by its length, float32, or None for a zero vector."""
    length = np.linalg.norm(vector)
    return None if length == 0 else (vector / length).astype(np.float32)


def frequency_weight(word, words):
    """a / (a + p): how much a word counts in a phrase, near 1 for a rare word and 0.01 for "the".

    The weight is that of Arora, Liang and Ma 2017 ("A simple but tough-to-beat baseline for
    sentence embeddings"), with their a = 0.001 and without their removal of a common component.
    Files of vectors hold no counts, so that p is estimated from the rank by Zipf's law:
    p = 1 / (rank · H), H being the harmonic number of the vocabulary's size.

    >>> from devise.words import WordVectors
    >>> words = WordVectors(["the", "dog"], np.eye(2))
    >>> round(frequency_weight("the", words), 4), round(frequency_weight("dog", words), 4)
    (0.0013, 0.0025)
    """
    share = 1 / ((words.row(word) + 1) * (math.log(len(words)) + EULER))
    return SMOOTHING / (SMOOTHING + share)


def other_number(word, words):
    """The plural of a word, or the singular of a plural, with a vector near to it; else None."""
    own = direction(words.vector(word))
    for form in (*plural_spellings(word), *singulars(word)):
        if usable(form, words) and own @ direction(words.vector(form)) > SAME_THING:
            return words.words[words.row(form)]
    return None


def plural_spellings(word):
    """The spellings that the plural of an English word may have.

    >>> plural_spellings("butterfly"), plural_spellings("mouse"), plural_spellings("wolf")
    (['butterflies'], ['mice'], ['wolves', 'wolfs'])
    """
    irregular = [plural for plural, singular in IRREGULAR.items() if singular == word]
    if irregular:
        return irregular
    if re.search(r"[^aeiou]y$", word):
        return [word[:-1] + "ies"]
    if re.search(r"(s|x|z|ch|sh)$", word):
        return [word + "es"]
    found = [re.sub("fe?$", "ves", word)] if re.search(r"[^f]fe?$", word) else []
    if word.endswith("o"):
        found.append(word + "es")
    return [*found, word + "s"]


def _between(vector, other):
    """The direction halfway between two vectors, in the length of the first."""
    unit = vector / np.linalg.norm(vector) + other / np.linalg.norm(other)
    return unit * np.linalg.norm(vector) / np.linalg.norm(unit)
