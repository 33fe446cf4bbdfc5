"""How many hypernyms lie between a class and a word, whichever of its noun senses is meant.

`nouns.npz` holds the noun senses of the first 20,000 words of GloVe 6B, of ImageNet's names and of
the bundled labels, with every hypernym above them. The facts are from WordNet 3.0, Copyright 2006
by Princeton University; `wordnet_licence.txt` is its licence.
"""

from functools import cache
from graphlib import TopologicalSorter
from importlib.resources import as_file, files

import numpy as np

from devise.storage import atomic_path
from devise.words.synsets import VERSION
from devise.words.wordnet import WordNet

FAR = 25  # steps to a word that is no noun; no path of WordNet's is taken for longer


class Nouns:
    """The synsets that words may mean, and what these are kinds of.

    Attributes:
        synsets: tuple of identities, hypernyms before their hyponyms.
        hypernyms: for each synset, the rows of its hypernyms, smaller than its own.
        senses: {word: the rows of its synsets}, in lower case with spaces; () for a word that is
            known to be no noun.

    >>> animal = Nouns(["animal", "dog", "cat"], [(), (0,), (0,)], {"hound": (1,), "run": ()})
    >>> animal.steps(["cat", "dog"], ["hound", "run"])
    array([[ 2, 25],
           [ 0, 25]], dtype=uint8)
    """

    def __init__(self, synsets, hypernyms, senses):
        self.synsets, self.hypernyms, self.senses = tuple(synsets), tuple(hypernyms), dict(senses)
        self._rows = dict(zip(self.synsets, range(len(self.synsets)), strict=True))

    @classmethod
    def from_wordnet(cls, wordnet):
        """Every noun of WordNet, in a second or two."""
        found = {identity: wordnet[identity] for identity in wordnet}
        order = list(TopologicalSorter({name: synset.hypernyms for name, synset in found.items()})
                     .static_order())
        rows, senses = {identity: row for row, identity in enumerate(order)}, {}
        for identity, row in rows.items():
            for lemma in dict.fromkeys(map(_key, found[identity].lemmas)):
                senses.setdefault(lemma, []).append(row)
        return cls(order, [tuple(sorted(rows[above] for above in found[identity].hypernyms))
                           for identity in order], {word: tuple(own) for word, own in senses.items()})

    def subset(self, words, synsets=()):
        """What is known of some words and synsets, and everything above them."""
        senses = {_key(word): self.senses.get(_key(word), ()) for word in words}
        wanted = {self._row(synset) for synset in synsets}.union(*senses.values())
        for row in range(len(self.synsets) - 1, -1, -1):  # hypernyms come first: all hyponyms are done
            if row in wanted:
                wanted.update(self.hypernyms[row])
        kept = sorted(wanted)
        new = {row: place for place, row in enumerate(kept)}
        return Nouns([self.synsets[row] for row in kept],
                     [tuple(new[above] for above in self.hypernyms[row]) for row in kept],
                     {word: tuple(new[row] for row in own) for word, own in senses.items()})

    def __contains__(self, word):
        """Whether it is known which noun the word is, or that it is none."""
        return _key(word) in self.senses

    def identities(self, word):
        """The synsets of a word's noun senses; none for a word that is no noun or not known."""
        return tuple(self.synsets[row] for row in self.senses.get(_key(word), ()))

    def steps(self, classes, words):
        """The fewest hypernym edges from a class up to a shared hypernym and down to the word.

        Of a word's senses the nearest counts: nothing says which one a picture shows.

        Args:
            classes: C identities, such as those of ImageNet's classes.
            words: c words or phrases.
        Returns:
            uint8 (C, c), at most FAR: that is a word that is no noun, or not known.
        Raises:
            KeyError: if a class is none of the synsets.
        """
        rows = [self._row(identity) for identity in classes]
        steps = np.full((len(self.synsets) + 1, len(rows)), FAR, np.uint8)  # the last row is no synset
        steps[rows, np.arange(len(rows))] = 0
        # up: a hypernym is one edge further from the classes below it than their own hyponyms are
        for row in range(len(self.synsets) - 1, -1, -1):
            for above in self.hypernyms[row]:
                np.minimum(steps[above], steps[row] + 1, out=steps[above])
        # and down again, from hypernyms that have their least already
        for row, hypernyms in enumerate(self.hypernyms):
            for above in hypernyms:
                np.minimum(steps[row], steps[above] + 1, out=steps[row])
        nearest = np.empty((len(words), len(rows)), np.uint8)
        for place, word in enumerate(words):
            nearest[place] = steps[list(self.senses.get(_key(word), ())) or [-1]].min(axis=0)
        return nearest.T

    def save(self, path):
        """Write the file that `load` reads: numbers and text, compressed."""
        arrays = {"synsets": np.array([int(identity[1:]) for identity in self.synsets], np.int32),
                  "words": np.frombuffer("\n".join(self.senses).encode(), np.uint8)}
        for name, lists in (("hypernyms", self.hypernyms), ("senses", self.senses.values())):
            arrays[f"{name}_counts"] = np.array([len(rows) for rows in lists], np.uint8)
            arrays[name] = np.array([row for rows in lists for row in rows], np.int32)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path):
        """Read a file that `save` has written."""
        with np.load(path, allow_pickle=False) as arrays:
            words = arrays["words"].tobytes().decode().split("\n")
            hypernyms, senses = (_lists(arrays[name], arrays[f"{name}_counts"])
                                 for name in ("hypernyms", "senses"))
            return cls([f"n{number:08d}" for number in arrays["synsets"]], hypernyms,
                       zip(words, senses, strict=True))

    def _row(self, identity):
        if identity not in self._rows:
            raise KeyError(f"{identity!r} is none of these {len(self.synsets):,} synsets: expected n and "
                           "eight digits of WordNet 3.0, ImageNet's or one above a known word")
        return self._rows[identity]


@cache
def shipped_nouns():
    """The nouns in the package.

    >>> shipped_nouns().identities("tabby cat"), "the" in shipped_nouns()
    ((), True)
    """
    with as_file(files("devise.words").joinpath("nouns.npz")) as path:
        return Nouns.load(path)


def nouns_of(words):
    """The shipped nouns; where they don't know all of these words and WordNet is installed, all nouns.

    Returns:
        Nouns.

    >>> from devise.words import open_words
    >>> nouns_of(open_words("glove-6b-50d"))  # doctest: +SKIP
    """
    if all(word in shipped_nouns() for word in words):
        return shipped_nouns()
    try:
        return _installed_nouns()
    except FileNotFoundError:
        return shipped_nouns()


def write_nouns(wordnet, words, synsets, path):
    """Write what WordNet knows of some words and synsets, with its licence beside it.

    The package's own file is of the first 20,000 words of "glove-6b-50d", the names of ImageNet's
    classes and the labels, and of the synsets of both.

    Raises:
        ValueError: if WordNet is not version 3.0, whose numbers ImageNet uses.
    """
    if wordnet.version != VERSION:
        raise ValueError(f"this is WordNet {wordnet.version}: expected {VERSION}, as ImageNet numbers it")
    Nouns.from_wordnet(wordnet).subset(words, synsets).save(path)
    with atomic_path(path.with_name("wordnet_licence.txt")) as temporary:
        temporary.write_text(wordnet.licence() + "\n", encoding="utf-8")


@cache
def _installed_nouns():
    wordnet = WordNet.open()
    if wordnet.version != VERSION:
        raise FileNotFoundError(f"WordNet {wordnet.version} numbers its synsets in another way")
    return Nouns.from_wordnet(wordnet)


def _key(word):
    return " ".join(word.lower().replace("_", " ").split())


def _lists(values, counts):
    """A flat array as tuples of the given lengths."""
    ends = np.cumsum(counts, dtype=np.int64)
    flat = values.tolist()
    return [tuple(flat[end - n:end]) for end, n in zip(ends.tolist(), counts.tolist(), strict=True)]
