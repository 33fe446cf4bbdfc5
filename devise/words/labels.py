"""Class names as vectors: labels of several words, synonyms, and an audit of who got what."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from devise.arrays import as_rows

RARE = 50_000  # a word behind this rank has seen too little text for its vector to be trusted
SAME = 0.98  # labels whose vectors have a larger cosine can't be told apart
SEPARATORS = re.compile(r"[\s_/–—-]+")
PUNCTUATION = ".,;:!?'\"()[]"


@dataclass(frozen=True, eq=False)
class LabelTable:
    """The vectors that stand for class names, in the order of the class numbers.

    Attributes:
        names: str (C,), as the data set has them.
        vectors: float32 (C, dim), rows of length 1.
        parts: for each label, the words whose mean its vector is.

    >>> table = LabelTable(("car_side", "teddy bear"), np.eye(2), (("car",), ("teddy", "bear")))
    >>> table.word(0), table.word(1)
    ('car', None)
    """

    names: tuple
    vectors: np.ndarray
    parts: tuple

    def __post_init__(self):
        vectors = as_rows(self.vectors, "label vectors").copy()
        vectors.flags.writeable = False
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "parts", tuple(map(tuple, self.parts)))
        if not len(self.names) == len(vectors) == len(self.parts):
            raise ValueError(f"a label table has {len(self.names)} names, {len(vectors)} vectors and "
                             f"{len(self.parts)} lists of parts: expected as many of each")
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise ValueError("label vectors are not of length 1: pass them through arrays.unit_rows")

    def __len__(self):
        return len(self.names)

    def word(self, i):
        """The single word that label i stands for, or None where it is a mean of several."""
        return self.parts[i][0] if len(self.parts[i]) == 1 else None

    def to_json(self):
        """Names and parts for a JSON document; the vectors are kept beside it as an array."""
        return {"names": list(self.names), "parts": [list(parts) for parts in self.parts]}

    @classmethod
    def from_json(cls, document, vectors):
        """The table that `to_json` and its vectors (C, dim) came from."""
        return cls(document["names"], vectors, document["parts"])


class Audited(NamedTuple):
    """What one label got: the words used, those without a vector, the words nearest to its vector,
    the frequency rank of its rarest word (1 is the most frequent; None without vector), warnings."""

    label: str
    words: tuple
    failed: tuple
    neighbours: tuple
    rank: int | None
    warnings: tuple


def label_vectors(names, words, *, synonyms=None):
    """A unit vector for each class name.

    A label such as `dollar_bill` is looked up as one word, also with `_` and `-` between its parts;
    else its vector is the mean of its parts' vectors. All parts need one: a label is never
    represented by half of its name, nor by a zero vector.

    Args:
        names: str (C,), all different.
        words: WordVectors.
        synonyms: {label: word or phrase to use in its place}; case and separators don't matter.
    Returns:
        LabelTable of C rows.
    Raises:
        ValueError: if names repeat, or some have no vector; the message lists them all.

    >>> from devise.words import WordVectors
    >>> words = WordVectors(["dollar", "bill", "car"], [[1, 0], [0, 1], [3, 4]])
    >>> label_vectors(["dollar_bill", "car side"], words, synonyms={"car_side": "car"}).vectors
    array([[0.70710677, 0.70710677],
           [0.6       , 0.8       ]], dtype=float32)
    """
    names = list(names)
    _refuse_repeats(names)
    synonyms = _folded(synonyms)
    found = [_resolve(synonyms.get(_fold(name), name), words) for name in names]
    lines = [_failure(name, failed, words) for name, (_, failed, vector) in zip(names, found, strict=True)
             if vector is None]
    if lines:
        raise ValueError(f"{len(lines)} of {len(names)} labels have no vector in {words.name}: name another "
                         "word for each in a file of synonyms (label = word)\n" + "\n".join(lines))
    if not names:
        return LabelTable((), np.empty((0, words.dim), np.float32), ())
    return LabelTable(names, np.stack([vector for *_, vector in found]), [parts for parts, *_ in found])


def phrase_vector(text, words):
    """The unit vector of a word or a phrase such as "ocean waves", float32 (dim,).

    Raises:
        KeyError: if one of its words has no vector.
        ValueError: if there is no word in it.
    """
    _, failed, vector = _resolve(text, words)
    if failed:
        words.row(failed[0])  # raises, with near spellings
    if vector is None:
        raise ValueError(f"{text!r} has no direction in {words.name}: expected one word or several")
    return vector


def read_synonyms(path):
    """The synonyms in a text file of lines `car_side = car`; `#` starts a comment.

    Returns:
        {label: word or phrase}.
    Raises:
        ValueError: with the line number, if a line is of another form or a label comes twice.
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
        synonyms[label] = phrase
    return synonyms


def audit(names, words, *, synonyms=None, k=3):
    """What each label gets, without an error for those that get nothing.

    Args:
        names, words, synonyms: as `label_vectors` takes them.
        k: how many neighbours to list, among the RARE most frequent words.
    Returns:
        list of Audited, in the order of `names`. The warnings are "no vector", "rare",
        "same vector as LABEL".
    """
    names, synonyms = list(names), _folded(synonyms)
    found = [_resolve(synonyms.get(_fold(name), name), words) for name in names]
    twins = _twins(names, [vector for *_, vector in found])
    return [_audited(name, parts, failed, vector, twins[name], words, k)
            for name, (parts, failed, vector) in zip(names, found, strict=True)]


def audit_table(records):
    """The records of an audit as aligned lines of text, the labels with warnings first.

    >>> print(audit_table([Audited("car side", ("car",), (), (("cars", 0.9), ("truck", 0.8)), 570, ())]))
    label     words  rank  neighbours   warnings
    car side  car     570  cars, truck
    """
    rows = [("label", "words", "rank", "neighbours", "warnings")]
    for record in sorted(records, key=lambda record: not record.warnings):
        used = [*record.words, *(f"{word}?" for word in record.failed)]
        rows.append((record.label, " + ".join(used), f"{record.rank:,}" if record.rank else "-",
                     ", ".join(word for word, _ in record.neighbours), "; ".join(record.warnings)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) if column == 2 else cell.ljust(width)
                 for column, (cell, width) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _resolve(text, words):
    """The words used for a text, those that failed, and the unit vector or None."""
    pieces = [piece for piece in SEPARATORS.split(text.strip()) if piece]
    whole = [form for form in (text.strip(), "_".join(pieces), "-".join(pieces)) if _usable(form, words)]
    if whole:
        pieces = whole[:1]
    used, failed = [], []
    for piece in pieces:
        bare = piece.strip(PUNCTUATION)
        form = next((form for form in (piece, bare) if _usable(form, words)), None)
        if form is None:
            failed.append(bare or piece)
        else:
            used.append(words.words[words.row(form)])
    mean = sum((words.vector(word).astype(np.float64) for word in used), np.zeros(words.dim))
    length = np.linalg.norm(mean)
    vector = None if failed or length == 0 else (mean / length).astype(np.float32)
    return tuple(used), tuple(failed), vector


def _usable(form, words):
    return form in words and words.vector(form).any()


def _failure(name, failed, words):
    if not failed:
        return f"  {name}: it holds no word that points anywhere"
    lines = []
    for word in failed:
        near = words.near_spellings(word)
        lines.append(f"no vector for {word!r}" + (f" (near: {', '.join(near)})" if near else ""))
    return f"  {name}: " + "; ".join(lines)


def _fold(label):
    return " ".join(SEPARATORS.split(label.strip().casefold()))


def _folded(synonyms):
    return {_fold(label): phrase for label, phrase in (synonyms or {}).items()}


def _refuse_repeats(names):
    seen = set()
    repeats = sorted({name for name in names if name in seen or seen.add(name)})
    if repeats:
        raise ValueError(f"label names repeat: {', '.join(repeats)}: expected each once")


def _twins(names, vectors):
    """For each label the others whose vectors are all but equal to its own."""
    known = [row for row, vector in enumerate(vectors) if vector is not None]
    twins = {name: [] for name in names}
    if known:
        unit = np.stack([vectors[row] for row in known])
        for one, other in np.argwhere(np.triu(unit @ unit.T > SAME, k=1)):
            first, second = names[known[one]], names[known[other]]
            twins[first].append(second)
            twins[second].append(first)
    return twins


def _audited(name, parts, failed, vector, twins, words, k):
    rank = max((words.row(word) + 1 for word in parts), default=None)
    warnings = [f"same vector as {other}" for other in twins]
    neighbours = []
    if vector is None:
        warnings.append("no vector")
    else:
        near = words.neighbours(vector, k + len(parts), first=RARE)
        neighbours = [pair for pair in near if pair[0] not in parts][:k]
    if rank is not None and rank > RARE:
        warnings.append("rare")
    return Audited(name, parts, failed, tuple(neighbours), rank, tuple(warnings))
