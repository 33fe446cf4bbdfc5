"""An audit of labels: the words of each, how far they can be trusted, and the neighbours of its vector."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise.arrays import BLOCK_BYTES, nearest, unit_rows
from devise.report import Table
from devise.spelling import singulars
from devise.words.labels import NO_WORD, LabelTable, fold, meanings, resolve_labels
from devise.words.phrases import as_texts, resolve
from devise.words.taxonomy import shipped_taxonomy

if TYPE_CHECKING:
    from devise.words.phrases import Phrase
    from devise.words.vectors import WordVectors

RARE = 50_000  # a word behind this rank has seen too little text for its vector to be trusted
SAME = 0.98  # labels whose vectors have a larger cosine can't be told apart
THEMES = 30  # so many neighbours are split in two
MOST = 10  # labels in a sentence
APART = 0.6  # halves whose centres have a smaller cosine are two themes
FEWEST = 3  # neighbours in the smaller half; one or two strays are no theme
HUB_WORDS, HUB_DEPTH, HUB_SCORE = 5_000, 10, 3.0  # of the most frequent words, the first neighbours; z


class Audited(NamedTuple):
    """The record of one label.

    Attributes:
        words, failed: those used, and those without a vector.
        neighbours: (word, cosine) nearest to its vector.
        rank: of its rarest word by frequency (1 is the most frequent); None without a vector.
        warnings: see `audit`.
        extras: words that its vector was moved towards: a plural, a sense.
        occurrences: of how many frequent words it is among the first 10 neighbours; None without
            a vector or with too few words.
    """

    label: str
    words: tuple[str, ...]
    failed: tuple[str, ...]
    neighbours: tuple[tuple[str, float], ...]
    rank: int | None
    warnings: tuple[str, ...]
    extras: tuple[str, ...] = ()
    occurrences: int | None = None


def audit(names: str | Iterable[str], words: WordVectors, *, synonyms: Mapping[str, str] | None = None,
          plurals: bool = False, k: int = 3) -> list[Audited]:
    """The words, neighbours and warnings of each label, without an error for those that have no vector.

    The warnings are

    - "no vector";
    - "rare": a word of it is behind the RARE most frequent;
    - "same vector as LABEL": the cosine of the two is above SAME;
    - "plural of LABEL": two labels are one word in singular and plural;
    - "no word": it is a number or a single letter, and has the vector of one;
    - "polysemous (artifact, animal)": its only word has noun senses of several kinds in WordNet
      (`Taxonomy.kinds`), and no sense is given;
    - "polysemous (salmon, trout | guitar, vocals)": the neighbours of its vector fall into two
      themes (`themes`);
    - "hub (98 of 5,000 words)": its vector is among the first 10 neighbours of many of the most
      frequent words, three standard deviations above their own mean (the k-occurrence N_10 of
      Radovanović, Nanopoulos and Ivanović 2010).

    Args:
        names, words, synonyms, plurals: as `label_vectors` takes them; memory is bounded however many they are.
        k: how many neighbours to list, among the RARE most frequent words.
    Returns:
        list of Audited, in the order of `names`.
    Raises:
        ValueError: if a sense is malformed.

    >>> from devise.words import WordVectors
    >>> words = WordVectors(["cat", "dog", "car"], [[1, 0], [0.8, 0.6], [-1, 0]])
    >>> [record.warnings for record in audit(["cat", "okapi"], words)][1]
    ('no vector',)
    """
    names = as_texts(names)
    meant = meanings(names, synonyms)
    found = resolve_labels(names, words, synonyms=synonyms, plurals=plurals)
    twins = _twins(names, [phrase.vector for phrase in found])
    plurals_of = _plurals(names)
    counts, limit, n_words = occurrences(found, words)
    records = []
    for name, (_, sense), phrase, count, near in zip(names, meant, found, counts, _neighbours(found, words, k),
                                                     strict=True):
        warnings = [f"same vector as {other}" for other in twins[name]]
        warnings += [f"plural of {other}" for other in plurals_of.get(name, ())]
        if sense is None and phrase.words and NO_WORD.fullmatch(" ".join(phrase.words)):
            warnings.append("no word")
        warnings += _vector_warnings(phrase, near, words)
        if sense is None:
            warnings += _branch_warnings(phrase)
        if count is not None and count > limit:
            warnings.append(f"hub ({count:,} of {n_words:,} words)")
        rank = max((words.row(word) + 1 for word in phrase.words), default=None)
        listed = tuple([pair for pair in near[:k + len(phrase.words)] if pair[0] not in phrase.words][:k])
        records.append(Audited(name, phrase.words, phrase.failed, listed, rank, tuple(warnings), phrase.extras, count))
    return records


def strange(text: str, words: WordVectors) -> tuple[str, ...]:
    """The words of a text behind the RARE most frequent that are no noun that is known: their vectors say little."""
    return tuple(word for word in resolve(text, words).words
                 if words.row(word) >= RARE and not shipped_taxonomy().senses_of(word))


def doubts(table: LabelTable, synonyms: Mapping[str, str] | None = None) -> list[str]:
    """What the labels of a training leave in doubt, a sentence a kind; an `audit` says it of each label.

    Labels of one vector, singular and plural of a word, numbers and single letters, and labels that are
    looked up in another form than they are written.

    >>> doubts(LabelTable(("Bass", "bass"), np.ones((2, 1)), (("bass",), ("bass",))))[0]
    'Bass and bass have the same vector, so no picture can be told to be of one: merge them, or give synonyms='
    """
    found, told = [], set()
    given = {fold(label) for label in synonyms or ()}
    twins = _twins(table.names, list(table.vectors))
    for name, others in twins.items():
        if others and name not in told:
            group = sorted({name, *others}, key=table.names.index)
            told |= {*group}
            found.append(f"{_all(group)} have the same vector, so no picture can be told to be of one: merge them, or "
                         "give synonyms=")
    found += [f"{plural} and {single} are one word in plural and singular: merge them, or give synonyms="
              for plural, singles in _plurals(table.names).items() for single in singles if single not in twins[plural]]
    if strange := [name for name, parts in zip(table.names, table.parts, strict=True)
                   if NO_WORD.fullmatch(" ".join(parts)) and fold(name) not in given]:
        found.append(f"{_all(strange)}: numbers and single letters are no words for what pictures show: say what is "
                     "meant with synonyms=")
    other = [f"{name} as {' + '.join(parts)}" for name, (text, _), parts in zip(
        table.names, meanings(table.names, synonyms), table.parts, strict=True) if fold(" ".join(parts)) != fold(text)]
    return [*found, f"looked up in another form: {_all(other)}"] if other else found


def unknown_labels(counts: Mapping[str, int], left_out: Sequence[str]) -> str:
    """A sentence on the labels that were left out since they have no vector.

    >>> unknown_labels({"cat": 3, "zzz": 2}, ["zzz"])
    '2 pictures are left out, of labels without a word vector: zzz'
    """
    return (f"{sum(counts[name] for name in left_out):,} pictures are left out, of labels without a word vector: "
            f"{_all(left_out)}")


def _all(names):
    """Names for a sentence, of many the first."""
    *most, last = map(str, names if len(names) <= MOST else [*names[:MOST], f"{len(names) - MOST:,} more"])
    return f"{', '.join(most)} and {last}" if most else last


def _plurals(names):
    """{label: labels that it is the plural of}."""
    known = {fold(name): name for name in names}
    found = {name: [known[single] for single in singulars(fold(name)) if single in known] for name in names}
    return {name: singles for name, singles in found.items() if singles}


def coverage(records: Collection[Audited]) -> dict[str, int]:
    """How many labels of an audit have a vector, and how many of these a warning.

    >>> car = Audited("car", ("car",), (), (), 570, ())
    >>> coverage([car, car._replace(label="x", warnings=("no vector",))])
    {'labels': 2, 'found': 1, 'warned': 0}
    """
    found = [record for record in records if "no vector" not in record.warnings]
    return {"labels": len(records), "found": len(found), "warned": sum(bool(r.warnings) for r in found)}


def audit_table(records: Sequence[Audited]) -> Table:
    """The records of an audit, the labels with warnings first.

    >>> print(audit_table([Audited("car side", ("car",), (), (("cars", 0.9), ("truck", 0.8)), 570, ())]).text())
    label     words  rank  neighbours   warnings
    car side  car     570  cars, truck         –
    """
    rows = []
    for record in sorted(records, key=lambda record: not record.warnings):
        used = " + ".join([*record.words, *(f"{word}?" for word in record.failed)])
        if record.extras:
            used += f" ({', '.join(record.extras)})"
        rows.append((record.label, used, record.rank, ", ".join(word for word, _ in record.neighbours),
                     "; ".join(record.warnings)))
    return Table(("label", "words", "rank", "neighbours", "warnings"), rows)


def themes(near: Sequence[tuple[str, float]], words: WordVectors, *, own: Sequence[str] = ()
           ) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Two far-apart halves of the neighbours (word, cosine) of a vector, as of a mean of unrelated senses, or None.

    The THEMES nearest, without those spelt like its `own` words, are split by two-means. The cosine of the centres is
    below APART, the smaller half, which comes last, has at least FEWEST words.
    """
    known = [word for word, cosine in near if cosine > 0 and not any(word.startswith(form) for form in own)][:THEMES]
    if len(known) < THEMES:
        return None
    unit = words.unit([words.row(word) for word in known]).astype(np.float64)
    first = _two_means(unit)
    centres = unit[first].mean(axis=0), unit[~first].mean(axis=0)
    cosine = centres[0] @ centres[1] / np.prod([np.linalg.norm(centre) for centre in centres])
    halves = sorted((tuple(np.array(known)[half].tolist()) for half in (first, ~first)), key=len, reverse=True)
    return (halves[0], halves[1]) if cosine < APART and len(halves[1]) >= FEWEST else None


def occurrences(phrases: Sequence[Phrase], words: WordVectors) -> tuple[list[int | None], float, int]:
    """How many of the frequent words have each vector among their first HUB_DEPTH neighbours, its own words left out.

    Returns:
        counts, None where there is no vector; the count above which it is a hub; the number of words.
    """
    matrix = words.matrix[:HUB_WORDS]
    rows = np.flatnonzero(matrix.any(axis=1))
    if len(rows) <= 10 * HUB_DEPTH or not phrases:
        return [None] * len(phrases), np.inf, len(rows)
    unit = unit_rows(matrix[rows])
    ids, scores = nearest(unit, unit, HUB_DEPTH + 1)  # a word is its own first neighbour
    own_counts = np.bincount(ids[:, 1:].ravel(), minlength=len(unit))
    limit = own_counts.mean() + HUB_SCORE * own_counts.std()
    floor = scores[:, HUB_DEPTH, None] - 1e-6  # a label that is a word ties with itself
    places = {int(row): place for place, row in enumerate(rows)}
    counts: list[int | None] = [None] * len(phrases)
    for ids, vectors in _in_blocks(phrases, len(unit)):
        among = unit @ vectors.T >= floor
        for column, phrase in enumerate(ids):
            own = [places[row] for word in phrases[phrase].words if (row := words.row(word)) in places]
            among[own, column] = False
            counts[phrase] = int(among[:, column].sum())
    return counts, limit, len(rows)


def _two_means(unit):
    """Which of two halves each unit row (n, dim) is in, bool (n,), both taken."""
    cosines = unit @ unit.T
    one, other = np.unravel_index(cosines.argmin(), cosines.shape)
    first = cosines[one] >= cosines[other]
    for _ in range(20):
        centres = np.stack([unit[first].mean(axis=0), unit[~first].mean(axis=0)])
        nearer = np.subtract(*(unit @ unit_rows(centres).T).T) >= 0
        if nearer.all() or not nearer.any() or (nearer == first).all():
            break
        first = nearer
    return first


def _twins(names, vectors):
    """For each label the others whose vectors are all but equal to its own."""
    known = [row for row, vector in enumerate(vectors) if vector is not None]
    twins = {name: [] for name in names}
    unit = np.stack([vectors[row] for row in known]) if known else np.empty((0, 0), np.float32)
    step = max(1, BLOCK_BYTES // (4 * max(1, len(unit))))
    for start in range(0, len(unit), step):
        scores = unit[start:start + step] @ unit[start:].T
        for one, other in np.argwhere(np.triu(scores > SAME, k=1)):
            first, second = names[known[start + one]], names[known[start + other]]
            twins[first].append(second)
            twins[second].append(first)
    return twins


def _in_blocks(phrases, n_rows):
    """(numbers of phrases, their vectors) of those that have one; a block by `n_rows` scores is held in memory."""
    known = [number for number, phrase in enumerate(phrases) if phrase.vector is not None]
    step = max(1, BLOCK_BYTES // (4 * max(1, n_rows)))
    for start in range(0, len(known), step):
        ids = known[start:start + step]
        yield ids, np.stack([phrases[number].vector for number in ids])


def _neighbours(phrases, words, k):
    """For each phrase, one after the other, (word, cosine) of the frequent words nearest to it; () without a vector."""
    depth = max(k, THEMES + 20) + max((len(phrase.words) for phrase in phrases), default=0)
    reached = 0
    for ids, vectors in _in_blocks(phrases, min(RARE, len(words))):
        for number, near in zip(ids, words.neighbours_of(vectors, depth, first=RARE), strict=True):
            yield from [()] * (number - reached)
            yield near
            reached = number + 1
    yield from [()] * (len(phrases) - reached)


def _vector_warnings(phrase, near, words):
    warnings = ["no vector"] if phrase.vector is None else []
    if any(words.row(word) + 1 > RARE for word in phrase.words):
        return [*warnings, "rare"]  # a rare word's neighbours are too random to hold themes
    own = phrase.words
    if phrase.vector is not None and (halves := themes(near[:THEMES + 20 + len(own)], words, own=own)):
        warnings.append("polysemous ({} | {})".format(*(", ".join(half[:2]) for half in halves)))
    return warnings


def _branch_warnings(phrase):
    if len(phrase.words) != 1 or phrase.vector is None:
        return []
    word = phrase.words[0].lower()
    kinds = [found for form in (word, *singulars(word)) if len(found := shipped_taxonomy().kinds(form)) > 1]
    return [f"polysemous ({', '.join(kinds[0])})"] if kinds else []
