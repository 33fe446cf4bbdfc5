"""Names of what can be seen, from WordNet, and how near each is to a classifier's classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise.backbones import imagenet
from devise.heads.joint import directions
from devise.words import Taxonomy, synset_vectors
from devise.words.phrases import OFFENSIVE_WORDS, pooled, read_list, usable
from devise.words.wordnet import read_details

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.words import WordVectors

SEEN = {"animal", "artifact", "body", "food", "object", "person", "plant"}  # WordNet's files of what can be seen
PARTLY = {"act", "event", "phenomenon", "substance", "group", "location", "communication", "shape", "possession",
          "time", "process"}  # of these the branches below
BRANCHES = {
    "act": "sport ceremony dance diversion locomotion jump athletic_game exercise",
    "phenomenon": "weather precipitation light cloud rainbow smoke snow",
    "event": "fire contest show social_event wave explosion",
    "substance": "water sand ice wood soil rock metal smoke paper fuel chemical_element",
    "artifact": "fabric picture toy", "object": "beach", "process": "flame",
    "group": "crowd herd flock team band vegetation forest fleet audience family gathering collection",
    "location": "geographical_area region park city field",
    "communication": "signal sign writing symbol", "shape": "shape figure", "possession": "money currency",
    "time": "sunset night season"}
TAXA = ("genus ", "family ", "order ", "class ", "phylum ", "suborder ", "subfamily ", "superfamily ", "subclass ",
        "subphylum ", "tribe ")
LATIN = re.compile(r"[A-Z][a-z]+ [a-z]+$")
NAME = re.compile(r"[a-z][a-z' -]+$")
UNKNOWN = 10 ** 6  # rank of a word without a vector
COMMON = 100_000  # rank up to which a further word for a thing is taken
SENSES = 2  # of a name, those whose kinds are its kinds too


@dataclass(frozen=True, eq=False)
class Nouns:
    """WordNet's nouns with what the making asks of them.

    Attributes:
        taxonomy: Taxonomy of all of WordNet.
        details: {identity: Detail}.
        counts: {(word, sense from 0): how often it was met}.
        above: {identity: itself and everything that it is a kind of}.
        information: {identity: information content}, 1 for a synset without hyponyms, 0 for the root:
            1 - ln(hyponyms) / ln(synsets) (Seco, Veale and Hayes 2004).
        words: WordVectors, most frequent first.
    """

    taxonomy: Taxonomy
    details: dict
    counts: dict
    above: dict[str, frozenset[str]]
    information: dict[str, float]
    words: WordVectors

    @classmethod
    def read(cls, words: WordVectors, folder: str | Path | None = None) -> Nouns:
        """The nouns of WordNet 3.0 where it is installed.

        Raises:
            FileNotFoundError: if it is not there; says how to get it.
        """
        taxonomy = Taxonomy.from_wordnet(folder)
        above: dict[str, frozenset[str]] = {}
        below = dict.fromkeys(taxonomy.synsets, 0)
        for identity, synset in taxonomy.synsets.items():  # hypernyms come first
            above[identity] = frozenset({identity}).union(*(above[other] for other in synset.hypernyms))
            for other in above[identity]:
                below[other] += 1
        information = {identity: 1 - np.log(n) / np.log(len(taxonomy)) for identity, n in below.items()}
        return cls(taxonomy, *read_details(folder), above, information, words)

    @cached_property
    def branches(self) -> frozenset[str]:
        """The synsets of BRANCHES: of each word the first sense of that field."""
        found = [[identity for identity in self.taxonomy.senses_of(word) if self.details[identity].field == field][:1]
                 for field, listed in BRANCHES.items() for word in listed.split()]
        return frozenset().union(*found)

    @cached_property
    def taxa(self) -> frozenset[str]:
        """The synsets that are named as a taxon, and that of all taxonomic groups."""
        return frozenset(self.taxonomy.senses_of("taxonomic group")[:1]).union(
            identity for identity, synset in self.taxonomy.synsets.items()
            if any(lemma.startswith(TAXA) for lemma in synset.lemmas))

    def visible(self, identity: str) -> bool:
        """Whether a synset is a kind of things that can be seen, and no taxon."""
        detail, above = self.details[identity], self.above[identity]
        shown = detail.field in SEEN or detail.field in PARTLY and not self.branches.isdisjoint(above)
        return shown and not detail.instance and self.taxa.isdisjoint(above)

    def rank(self, name: str) -> int:
        """The frequency rank of a name, from 0: its own, or that of its rarest word."""
        rows = [self.words.row(form) for form in (name, name.replace(" ", "-"), name.replace(" ", ""))
                if form in self.words]
        return rows[0] if rows else max((self.words.row(word) if word in self.words else UNKNOWN
                                         for word in re.findall("[a-z]+", name)), default=UNKNOWN)

    def sense(self, word: str, identity: str) -> int:
        """Which sense of a word a synset is, from 0; 9 where it is none."""
        senses = self.taxonomy.senses_of(word)
        return senses.index(identity) if identity in senses else 9


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The names that images may be given.

    Attributes:
        names: all different, sorted.
        synsets: the identity that each stands for.
        aliases: {further name: row of a name}, sorted.
    """

    names: tuple[str, ...]
    synsets: tuple[str, ...]
    aliases: dict[str, int]


def vocabulary(nouns: Nouns) -> Vocabulary:
    """Every synset that can be seen, under its usual name; of names of several synsets the first sense.

    The usual name is the word that was met most often in this sense, no Latin one and no slur. A class of
    the classifier always has its name.
    """
    classes = set(imagenet.identities())
    slurs = read_list(OFFENSIVE_WORDS)
    found: dict[str, list] = {}
    for identity, synset in nouns.taxonomy.synsets.items():
        known = identity in classes
        if not known and not nouns.visible(identity):
            continue
        name = _usual(nouns, identity, synset.lemmas, slurs, known)
        if name and (known or NAME.match(name) and nouns.rank(name) < UNKNOWN):
            found.setdefault(name, []).append((not known, nouns.sense(name, identity), identity))
    names = {name: min(entries)[2] for name, entries in sorted(found.items())}
    further: dict[str, tuple] = {}
    for row, identity in enumerate(names.values()):
        for lemma in map(str.lower, nouns.taxonomy[identity].lemmas):
            known = identity in classes
            if lemma in names or not NAME.match(lemma) or not (known or nouns.rank(lemma) < COMMON):
                continue
            entry = (not known, nouns.sense(lemma, identity), row)
            further[lemma] = min(entry, further.get(lemma, entry))
    return Vocabulary(tuple(names), tuple(names.values()), {name: further[name][2] for name in sorted(further)})


def kinds(nouns: Nouns, found: Vocabulary) -> NDArray[np.bool_]:
    """Which classes are a name's thing or a kind of it, in each of its usual senses: bool (names, C)."""
    classes = imagenet.identities()
    beneath, known = _beneath(nouns, classes), set(classes)
    rows = np.zeros((len(found.names), len(classes)), bool)
    for row, (name, identity) in enumerate(zip(found.names, found.synsets, strict=True)):
        senses = [other for place, other in enumerate(nouns.taxonomy.senses_of(name))
                  if other in known or place < SENSES and nouns.visible(other)]
        for other in {identity, *senses}:
            rows[row, beneath.get(other, [])] = True
    return rows


def similarities(nouns: Nouns, synsets: Sequence[str]) -> NDArray[np.float32]:
    """How alike synsets and classes are, float32 (n, C), 1 for the same.

    A mean of three: WordNet's by Lin (1998), 2 I(common) / (I(a) + I(b)), the cosine of the names' vectors and
    that of the definitions'; the second counts half.
    """
    classes = imagenet.identities()
    names = [synset_vectors(each, nouns.words, nouns.taxonomy) for each in (synsets, classes)]
    told = [np.array([_defined(nouns, identity) for identity in each]) for each in (synsets, classes)]
    return (2 * _lin(nouns, synsets, classes) + names[0] @ names[1].T + 2 * told[0] @ told[1].T).astype(np.float32) / 5


def _usual(nouns, identity, lemmas, slurs, known):
    """The usual name of a synset in lower case, or None."""
    ranked = []
    for place, lemma in enumerate(lemmas):
        name = lemma.lower()
        if known or slurs.isdisjoint({name, *name.split()}):
            met = nouns.counts.get((name, nouns.sense(name, identity)), 0)
            latin = bool(LATIN.match(lemma)) and len(lemmas) > 1
            ranked.append((latin, -met, nouns.rank(name) >= UNKNOWN, place, name))
    return min(ranked)[-1] if ranked else None


def _lin(nouns, synsets, classes):
    """Lin's similarity, float32 (n, C)."""
    lowest = np.zeros((len(synsets), len(classes)), np.float32)
    rows, columns = _beneath(nouns, synsets), _beneath(nouns, classes)
    for identity in sorted(rows.keys() & columns.keys(), key=nouns.information.__getitem__):
        lowest[np.ix_(rows[identity], columns[identity])] = nouns.information[identity]
    own = [np.array([nouns.information[identity] for identity in each], np.float32) for each in (synsets, classes)]
    return np.minimum(2 * lowest / (own[0][:, None] + own[1] + 1e-9), 1)


def _beneath(nouns, synsets):
    """{identity: rows of the synsets that are kinds of it}."""
    found = {}
    for row, identity in enumerate(synsets):
        for other in nouns.above[identity]:
            found.setdefault(other, []).append(row)
    return found


def _defined(nouns, identity):
    """The unit vector of a synset's definition; zero where it has no known word."""
    words = [word for word in re.findall("[a-z]+", nouns.details[identity].gloss.lower()) if usable(word, nouns.words)]
    vector = pooled(words, nouns.words)
    return np.zeros(nouns.words.dim, np.float32) if vector is None else directions(vector)
