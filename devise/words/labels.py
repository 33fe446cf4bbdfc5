"""Class names as vectors: labels of several words, synonyms, senses and plurals."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import as_rows
from devise.spelling import folded, plural_spellings, singulars
from devise.words.phrases import CAPITAL, SEPARATORS, Phrase, as_texts, direction, resolve, usable
from devise.words.taxonomy import shipped_taxonomy, taxonomy_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.words.vectors import WordVectors

BRACKETED = re.compile(r"(?P<phrase>.*?)\s*(\((?P<context>[^()]*)\)|\[(?P<synset>[^\[\]]*)\])")
SYNSET = re.compile(r"n\d{8}")
NUMBERING = re.compile(r"(?P<number>\d+)[\W_]+(?=[^\W\d_])")  # 009.bear, 12_cats
NO_WORD = re.compile(r"[\W\d_]*[A-Za-z]?[\W\d_]*")  # a number or a single letter
COMMON, SHORTEST = 50_000, 3  # the parts of a compound are among so many first words, and no shorter


@dataclass(frozen=True, eq=False)
class LabelTable:
    """The vectors that stand for class names, in the order of the class numbers.

    Attributes:
        names: str (C,), as the data set has them.
        vectors: float32 (C, dim), rows of length 1.
        parts: for each label, the words that it is called by.
        extras: for each label, the other words that its vector was moved towards: a plural, a sense.

    >>> table = LabelTable(("car_side", "teddy bear"), np.eye(2), (("car",), ("teddy", "bear")))
    >>> table.word(0), table.word(1)
    ('car', None)
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    parts: tuple[tuple[str, ...], ...]
    extras: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        vectors = as_rows(self.vectors, "label vectors").copy()
        vectors.flags.writeable = False
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "parts", tuple(map(tuple, self.parts)))
        object.__setattr__(self, "extras", tuple(map(tuple, self.extras or [()] * len(self.names))))
        if not len(self.names) == len(vectors) == len(self.parts):
            raise ValueError(f"a label table has {len(self.names)} names, {len(vectors)} vectors and "
                             f"{len(self.parts)} lists of parts: expected as many of each")
        if len(self.extras) != len(self.names):
            raise ValueError(f"a label table has {len(self.names)} names and {len(self.extras)} lists of "
                             "extras: expected as many of each, or none")
        said = (*self.names, *(word for words in (*self.parts, *self.extras) for word in words))
        if strange := [word for word in said if not isinstance(word, str)]:
            raise ValueError(f"a label table holds {strange[0]!r} where a name or a word belongs: expected text")
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise ValueError("label vectors are not of length 1: pass them through arrays.unit_rows")

    def __len__(self) -> int:
        return len(self.names)

    def word(self, i: int) -> str | None:
        """The single word that label i stands for, or None where it has several."""
        return self.parts[i][0] if len(self.parts[i]) == 1 else None

    def to_json(self) -> dict:
        """Names, parts and extras for a JSON document; the vectors are kept beside it as an array."""
        return {"names": list(self.names), "parts": [list(parts) for parts in self.parts],
                "extras": [list(extras) for extras in self.extras]}

    @classmethod
    def from_json(cls, document: Mapping, vectors: NDArray[np.float32]) -> LabelTable:
        """The table that `to_json` and its vectors (C, dim) came from; older ones have no extras."""
        return cls(document["names"], vectors, document["parts"], document.get("extras", ()))


def label_vectors(names: str | Sequence[str], words: WordVectors, *, synonyms: Mapping[str, str] | None = None,
                  plurals: bool = False, skip_unknown: bool = False) -> LabelTable:
    """A unit vector for each class name.

    A label such as `dollar_bill` is looked up as one word, also with `_` and `-` between its parts;
    else its vector is pooled from those of its parts (`phrase_vector`). All parts need one: a label is
    never represented by half of its name, nor by a zero vector. Numbers before every label (009.bear) are
    passed over. A label without a vector is looked up in other forms too: GoldenRetriever by its parts,
    n02099601 by the words of WordNet, "Satsumas" in the singular, "goldenretriever" as two common words;
    `parts` says which were found.

    Args:
        names: str (C,), all different; one string is one label.
        words: WordVectors.
        synonyms: {label: word or phrase to use in its place, a sense in brackets behind it:
            "crane (bird)", "crane [n02012849]"}, towards which the vector is moved (`towards`); case and
            separators of the label don't matter.
        plurals: take the direction halfway between singular and plural where both have vectors.
        skip_unknown: leave out labels without a vector, unless all are.
    Returns:
        LabelTable of C rows, or fewer with `skip_unknown`.
    Raises:
        ValueError: if names repeat, or some have no vector; the message lists them all.
        KeyError: if a sense is a synset that WordNet does not have.

    >>> from devise.words import WordVectors
    >>> words = WordVectors(["dollar", "bill", "car"], [[1, 0], [0, 1], [3, 4]])
    >>> label_vectors(["dollar_bill", "car side"], words, synonyms={"car_side": "car"}).vectors
    array([[0.70710677, 0.70710677],
           [0.6       , 0.8       ]], dtype=float32)
    """
    names = as_texts(names)
    if repeats := sorted(name for name, times in Counter(names).items() if times > 1):
        raise ValueError(f"label names repeat: {', '.join(repeats)}: expected each once")
    found = resolve_labels(names, words, synonyms=synonyms, plurals=plurals)
    lines = [_failure(name, phrase.failed, words) for name, phrase in zip(names, found, strict=True)
             if phrase.vector is None and not skip_unknown]
    kept = [(name, phrase) for name, phrase in zip(names, found, strict=True) if phrase.vector is not None]
    vectors = [phrase.vector for _, phrase in kept if phrase.vector is not None]
    if lines or names and not kept:
        raise ValueError(f"{len(names) - len(kept)} of {len(names)} labels have no vector in {words.name}: name "
                         "another word for each with synonyms= (lines such as 'label = word'), or leave these "
                         "labels out with skip_unknown=True" + "".join(f"\n{line}" for line in lines))
    if not names:
        return LabelTable((), np.empty((0, words.dim), np.float32), ())
    return LabelTable(tuple(name for name, _ in kept), np.stack(vectors),
                      tuple(phrase.words for _, phrase in kept), tuple(phrase.extras for _, phrase in kept))


def resolve_labels(names: Sequence[str], words: WordVectors, *, synonyms: Mapping[str, str] | None = None,
                   plurals: bool = False) -> list[Phrase]:
    """The words and the vector of each label, see `label_vectors`, without an error for those that have no vector."""
    found = []
    for text, sense in meanings(as_texts(names), synonyms):
        phrase = _known(text, words, plurals)
        found.append(phrase if sense is None else towards(phrase, sense, words))
    return found


def _known(text, words, plurals):
    """The Phrase of a label, of the first of its spellings and forms that has a vector."""
    first = None
    for spelling in _spellings(text):
        phrase = resolve(spelling, words, plurals=plurals)
        first = first or phrase
        forms = [_forms(word, words) for word in phrase.failed]
        if forms and all(forms):
            phrase = resolve(" ".join([*phrase.words, *sum(forms, ())]), words, plurals=plurals)
        if phrase.vector is not None:
            return phrase
    return first


def _spellings(text: str) -> Iterator[str]:
    """A label as it is, and in other ways to read it: without its number, its humps apart, by WordNet's words."""
    yield text
    if numbered := NUMBERING.match(text):
        yield text[numbered.end():]
    if CAPITAL.search(text):
        yield CAPITAL.sub(" ", text)
    if synset := SYNSET.match(text):
        yield text[synset.end():]
        if synset[0] in shipped_taxonomy():
            yield from shipped_taxonomy()[synset[0]].lemmas


def _forms(word: str, words: WordVectors) -> tuple[str, ...]:
    """Words of the vocabulary for one that it lacks: without accents, its other number, two that make it up; or ()."""
    word = word.lower()
    bare = "".join(sign for sign in unicodedata.normalize("NFKD", word) if not unicodedata.combining(sign))
    for form in (bare, *singulars(word), *plural_spellings(word)):
        if usable(form, words):
            return (form,)
    cuts = [(word[:place], word[place:]) for place in range(SHORTEST, len(word) - SHORTEST + 1)]
    both = [(max(map(words.row, cut)), cut) for cut in cuts if all(usable(part, words) for part in cut)]
    row, cut = min(both, default=(COMMON, ()))
    return cut if row < COMMON else ()


def meanings(names: Sequence[str], synonyms: Mapping[str, str] | None = None) -> list[tuple[str, str | None]]:
    """For each label the phrase to look up, and its sense or None.

    >>> meanings(["Crane", "car_side"], {"car side": "car", "crane": "crane (bird)"})
    [('crane', 'bird'), ('car', None)]
    >>> meanings(["009.bear", "010.cat"])
    [('bear', None), ('cat', None)]
    """
    known = {fold(label): text for label, text in (synonyms or {}).items()}
    numbers = [match["number"] if (match := NUMBERING.match(name)) else "" for name in names]
    numbered = all(numbers) and len({*map(int, numbers)}) == len(names) > 1
    return [split_sense(known[fold(name)]) if fold(name) in known else
            (NUMBERING.sub("", name, count=1) if numbered or number.startswith("0") else name, None)
            for name, number in zip(names, numbers, strict=True)]


def read_synonyms(path: str | Path) -> dict[str, str]:
    """The synonyms in a text file of lines `car_side = car`; `#` starts a comment.

    A sense may follow in brackets: `crane = crane (bird)`, `crane = crane [n02012849]`.

    Returns:
        {label: word or phrase, with its sense}.
    Raises:
        ValueError: with the line number, if a line is of another form or a label comes twice.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "synonyms.txt").write_text("car_side = car\\ncrane = crane (bird)\\n")
    ...     read_synonyms(f"{folder}/synonyms.txt")
    {'car_side': 'car', 'crane': 'crane (bird)'}
    """
    synonyms = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8-sig").splitlines(), start=1):
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line:
            continue
        label, _, phrase = (side.strip() for side in line.partition("="))
        if not label or not phrase:
            raise ValueError(f"{path}, line {number}: {line!r} is not of the form 'label = word or phrase'")
        if label in synonyms:
            raise ValueError(f"{path}, line {number}: the label {label!r} has a synonym already")
        try:
            split_sense(phrase)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        synonyms[label] = phrase
    return synonyms


def split_sense(text: str) -> tuple[str, str | None]:
    """A phrase and the sense in brackets behind it, None without: ("crane", "bird") of "crane (bird)".

    Raises:
        ValueError: if there is nothing before or in the brackets, or square ones hold no synset.
    """
    parts = BRACKETED.fullmatch(text.strip())
    if parts is None:
        return text.strip(), None
    sense = (parts["context"] if parts["synset"] is None else parts["synset"]).strip()
    if not sense or not parts["phrase"]:
        raise ValueError(f"{text!r} names no sense: expected 'crane (bird)' or 'crane [n02012849]'")
    if parts["synset"] is not None and not SYNSET.fullmatch(sense):
        raise ValueError(f"{text!r} has {sense!r} in square brackets: expected a synset of WordNet 3.0, n "
                         "and eight digits; a context word belongs in round ones")
    return parts["phrase"], sense


def towards(phrase: Phrase, sense: str, words: WordVectors) -> Phrase:
    """A phrase whose vector is moved towards one of its senses, unit(v + s); without a vector where the sense has none.

    s is the unit vector of the context words; of a synset (n02012849) the unit mean of those of its other words and of
    the words for what it is a kind of.

    Raises:
        KeyError, FileNotFoundError: see `taxonomy_for`.
    """
    if SYNSET.fullmatch(sense):
        used, failed, pull = _synset(sense, phrase.words, words)
    else:
        used, _, failed, pull = resolve(sense, words)
        failed = failed or (() if pull is not None else (sense,))
    moved = None
    if phrase.vector is not None and pull is not None:
        moved = direction(phrase.vector.astype(np.float64) + pull)
    return Phrase(phrase.words, (*phrase.extras, *used), (*phrase.failed, *failed), moved)


def fold(label: str) -> str:
    """A label in lower case with one space between its parts, so that spellings of it are equal."""
    return " ".join(SEPARATORS.split(folded(label).strip()))


def _synset(identity, own, words):
    """The words used, those that failed, and the vector of a synset without the label's own words."""
    taxonomy = taxonomy_for(synsets=[identity])
    synsets = [taxonomy[identity], *map(taxonomy.__getitem__, taxonomy[identity].hypernyms)]
    lemmas = dict.fromkeys(lemma for synset in synsets for lemma in synset.lemmas)
    found = [resolve(lemma, words) for lemma in lemmas]
    found = [phrase for phrase in found if phrase.vector is not None and phrase.words != own]
    mean = direction(sum((phrase.vector.astype(np.float64) for phrase in found), np.zeros(words.dim)))
    used = tuple(dict.fromkeys(word for phrase in found for word in phrase.words))
    return (used, (), mean) if mean is not None else ((), (identity,), None)


def _failure(name, failed, words):
    if not failed:
        return f"  {name}: it holds no word that points anywhere"
    lines = []
    for word in failed:
        near = words.near_spellings(word)
        lines.append(f"no vector for {word!r}" + (f" (near: {', '.join(near)})" if near else ""))
    return f"  {name}: " + "; ".join(lines)
