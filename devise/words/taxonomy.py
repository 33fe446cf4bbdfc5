"""WordNet's nouns as one graph: the synsets, the words for them, and what each is a kind of.

`wordnet.npz` holds the noun senses of the first 20,000 words of GloVe 6B, of the nouns of one word
that name things of different kinds, of ImageNet's names and of the bundled labels, with every
hypernym above them. The facts are from WordNet 3.0, Copyright 2006 by Princeton University;
`wordnet_licence.txt` is its licence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from devise.spelling import plain
from devise.storage import atomic_path
from devise.words.wordnet import read_nouns

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAR = 25  # steps to a word that is no noun; no path of WordNet's is taken for longer
NOWHERE = 10_000  # edges between synsets with no hypernym in common
IMAGENET_BRANCHES = {"n00017222": "plant", "n09287968": "geological formation", "n00019128": "natural object",
                     "n00523513": "sport", "n00021939": "artifact", "n12992868": "fungus", "n00007846": "person",
                     "n00015388": "animal"}
QUOTES = "\"“”„«»¿¡…"  # what may be written around a word and is no part of it
ROOT, MISC = "imagenet", "misc"
# food, persons and acts are left out: a lobster is eaten, a toaster proposes toasts, scissors are a hold
KINDS = {"n00015388": "animal", "n00017222": "plant", "n00021939": "artifact", "n05220461": "body part",
         "n09287968": "nature", "n09239740": "nature", "n09225146": "nature", "n00031264": "group",
         "n00024720": "state", "n00034213": "phenomenon", "n00029378": "event", "n00027807": "shape",
         "n00032613": "possession"}
ACT = "n00030358"  # a kind of event: nearly every tool is one in its second sense


class Synset(NamedTuple):
    """One sense: the words for it, and what it is a kind of.

    Attributes:
        lemmas: its words, the usual one first, with spaces.
        hypernyms: identities of what it is a kind or an instance of; none for a root.

    >>> Synset(("crane", "wading bird"), ("n02000954",)).name
    'crane'
    """

    lemmas: tuple[str, ...]
    hypernyms: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The usual word for it."""
        return self.lemmas[0]


class Taxonomy:
    """A directed acyclic graph of synsets, and the synsets that words may mean; it never changes.

    Attributes:
        synsets: {identity: Synset}, read-only, hypernyms before their hyponyms.
        senses: {word: identities of its noun senses, the most frequent first}, read-only, in lower
            case with spaces; () for a word that is known to be no noun.

    Args:
        synsets: {identity: Synset}; every hypernym is one of them.
        senses: {word: identities}; None takes the lemmas' own.
    Raises:
        ValueError: if a hypernym is missing or the synsets go round in a circle; names them.

    >>> kinds = Taxonomy({"a": Synset(("animal",)), "c": Synset(("cat",), ("a",)), "d": Synset(("dog",), ("a",))})
    >>> kinds.distances(["c", "d", "a"])
    array([[0., 2., 1.],
           [2., 0., 1.],
           [1., 1., 0.]], dtype=float32)
    """

    def __init__(self, synsets: Mapping[str, Synset], senses: Mapping[str, Iterable[str]] | None = None) -> None:
        self.synsets = MappingProxyType({identity: synsets[identity] for identity in _ordered(synsets)})
        self.senses = MappingProxyType(_lemma_senses(self.synsets) if senses is None else
                                       {_key(word): tuple(found) for word, found in senses.items()})

    @classmethod
    def from_wordnet(cls, folder: str | Path | None = None) -> Taxonomy:
        """Every noun of WordNet 3.0, in two seconds or so.

        Args:
            folder: holds data.noun and index.noun; a .zip as NLTK keeps it will do. None looks where
                Debian, Princeton's installer and NLTK put it.
        Raises:
            FileNotFoundError: if it is not there; says how to get it.
            ValueError: if the folder holds another version, or damaged files.

        >>> len(Taxonomy.from_wordnet())  # doctest: +SKIP
        82115
        """
        found, senses = read_nouns(folder)
        return cls({identity: Synset(*entry) for identity, entry in found.items()}, senses)

    def __len__(self) -> int:
        return len(self.synsets)

    def __contains__(self, identity: object) -> bool:
        return identity in self.synsets

    def __getitem__(self, identity: str) -> Synset:
        """The synset of an identity such as n02084071.

        Raises:
            KeyError: if there is none.
        """
        if identity not in self.synsets:
            raise KeyError(f"{identity!r} is none of these {len(self):,} synsets: expected n and eight digits of "
                           "WordNet 3.0, ImageNet's or one above a known word; Taxonomy.from_wordnet() has all")
        return self.synsets[identity]

    def knows(self, word: str) -> bool:
        """Whether it is known which noun the word is, or that it is none."""
        return self._known(word) in self.senses

    def senses_of(self, word: str) -> tuple[str, ...]:
        """The identities of a word's noun senses; none for a word that is no noun or not known."""
        return self.senses.get(self._known(word), ())

    def _known(self, word):
        """The key of a word, without the signs around it where it is not known with them."""
        key = _key(word)
        return key if key in self.senses else key.strip(QUOTES)

    def above(self, identities: Iterable[str]) -> frozenset[str]:
        """Some synsets and everything that they are kinds of."""
        found, waiting = set(), list(identities)
        while waiting:
            identity = waiting.pop()
            if identity not in found:
                waiting += self[identity].hypernyms
                found.add(identity)
        return frozenset(found)

    def below(self, identities: Iterable[str]) -> frozenset[str]:
        """Some synsets and everything that is a kind of them."""
        found = set(identities)
        for identity in found:
            self[identity]
        for identity, synset in self.synsets.items():  # hypernyms come first
            if not found.isdisjoint(synset.hypernyms):
                found.add(identity)
        return frozenset(found)

    def kinds(self, word: str) -> tuple[str, ...]:
        """The kinds of things that a noun names, that of its most frequent sense first; no names, no other than KINDS.

        >>> shipped_taxonomy().kinds("crane")
        ('artifact', 'animal')
        """
        found = []
        for identity in self.senses_of(word):
            above = self.above([identity])
            if word in self[identity].lemmas and ACT not in above:
                found += [name for root, name in KINDS.items() if root in above][:1]
        return tuple(dict.fromkeys(found))

    def masked(self, synsets: str | Iterable[str], classes: Sequence[str]) -> NDArray[np.bool_]:
        """Which of C classes are one of the synsets or a kind of it, bool (C,): what a strict zero-shot figure hides.

        A class stays that a synset is a kind of ("dog" for a poodle): it names something wider.

        Raises:
            KeyError: if a synset or a class is not in the taxonomy.
        """
        hidden = self.below([synsets] if isinstance(synsets, str) else synsets)
        for name in classes:
            self[name]
        return np.array([name in hidden for name in classes], bool)

    def distances(self, labels: Sequence[str]) -> NDArray[np.float32]:
        """How many edges lie between each two labels: up to a common hypernym and down again.

        It may not go down and up, through a synset with two hypernyms: so it is the same in every taxonomy with both.

        Returns:
            float32 (C, C), infinity where two have no hypernym in common.
        """
        edges, rows = self._edges(labels, ())
        found = edges[[rows[label] for label in labels]].astype(np.float32)
        return np.where(found < NOWHERE, found, np.float32(np.inf))

    def steps(self, classes: Sequence[str], words: Sequence[str]) -> NDArray[np.uint8]:
        """The fewest hypernym edges from a class up to a shared hypernym and down to the word.

        Of a word's senses the nearest counts: nothing says which one an image shows.

        Args:
            classes: C identities, such as those of ImageNet's classes.
            words: c words or phrases.
        Returns:
            uint8 (C, c), at most FAR: that is a word that is no noun, or not known.
        Raises:
            KeyError: if a class is not in the taxonomy.
        """
        senses = [self.senses_of(word) for word in words]
        edges, rows = self._edges(classes, {sense for found in senses for sense in found})
        edges = np.minimum(edges, FAR).astype(np.uint8)
        nearest = np.full((len(words), len(classes)), FAR, np.uint8)
        for place, found in enumerate(senses):
            if found:
                nearest[place] = edges[[rows[sense] for sense in found]].min(axis=0)
        return nearest.T

    def hops(self, labels: Iterable[str], n: int) -> frozenset[str]:
        """The synsets within n hops of a set of labels, without the set.

        A label itself is the first hop, as Frome et al. 2013 and Norouzi et al. 2014 have it: their 2-hop set is what
        is one edge away, 1,549 labels (here 1,548).

        Raises:
            ValueError: if n is below 1.

        >>> chain = Taxonomy({"a": Synset(("a",)), "b": Synset(("b",), ("a",)), "c": Synset(("c",), ("b",))})
        >>> sorted(chain.hops(["a"], 2))
        ['b']
        """
        if n < 1:
            raise ValueError(f"n is {n}: expected 1 or more hops, a label itself being the first")
        labels = climbing = frozenset(labels)
        reached = set(labels)
        for _edge in range(n - 1):
            climbing = {hypernym for identity in climbing for hypernym in self[identity].hypernyms}
            beneath = {identity for identity, synset in self.synsets.items()
                       if not reached.isdisjoint(synset.hypernyms)}
            reached |= climbing | beneath
        return frozenset(reached - labels)

    def subset(self, words: Iterable[str], synsets: Iterable[str] = ()) -> Taxonomy:
        """What is known of some words and synsets, and everything above them."""
        senses = {_key(word): self.senses_of(word) for word in words}
        kept = self.above({*synsets}.union(*senses.values()))
        return Taxonomy({identity: self.synsets[identity] for identity in kept}, senses)

    def imagenet_tree(self, labels: Collection[str]) -> Taxonomy:
        """The graph that ImageNet's 2011 release hangs its labels in, made from WordNet's.

        Eight branches and "misc" lie right below the root. What is in no branch, food above all, hangs
        below "misc" itself, so that an ice cream is two edges from a street sign. That it was so is inferred from
        figures of Frome et al. 2013: a 3-hop set of 7,860 labels (7,813 here, 5,982 in WordNet), and chance in
        hierarchical precision at 2, 5, 10, 20: .007, .013, .022, .042 (.006, .011, .020, .036; .005, .009, .018, .033).

        Returns:
            Taxonomy of the branches, everything in them, and the labels.
        Raises:
            KeyError: if a label is not in the taxonomy.
        """
        branches = IMAGENET_BRANCHES.keys() & self.synsets.keys()
        inside = self.below(branches)
        outside = set(labels) - inside
        tree = {ROOT: Synset((ROOT,)), MISC: Synset((MISC,), (ROOT,))}
        for identity in sorted(inside | outside):
            synset = self[identity]
            above = [hypernym for hypernym in synset.hypernyms if hypernym in inside or hypernym in outside]
            above += [MISC] if identity in outside else [ROOT] if identity in branches else []
            tree[identity] = synset._replace(hypernyms=tuple(above))
        return Taxonomy(tree, {})

    def save(self, path: str | Path) -> None:
        """Write the file that `load` reads; the package's own is that of a `subset` of `from_wordnet`."""
        rows = {identity: row for row, identity in enumerate(self.synsets)}
        lists = {"hypernyms": [synset.hypernyms for synset in self.synsets.values()],
                 "senses": list(self.senses.values())}
        texts = {"lemmas": ["\t".join(synset.lemmas) for synset in self.synsets.values()], "words": list(self.senses)}
        arrays: dict[str, Any] = {"synsets": np.array([int(identity[1:]) for identity in self.synsets], np.int32)}
        for name, entries in lists.items():
            arrays[f"{name}_counts"] = np.array([len(entry) for entry in entries], np.uint8)
            arrays[name] = np.array([rows[identity] for entry in entries for identity in entry], np.int32)
        for name, lines in texts.items():
            arrays[name] = np.frombuffer("\n".join(lines).encode(), np.uint8)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Taxonomy:
        """Read a file that `save` has written."""
        with np.load(path, allow_pickle=False) as arrays:
            names = [f"n{number:08d}" for number in arrays["synsets"].tolist()]
            flat = {name: map(names.__getitem__, arrays[name].tolist()) for name in ("hypernyms", "senses")}
            lists = {name: [tuple(islice(entries, n)) for n in arrays[f"{name}_counts"].tolist()]
                     for name, entries in flat.items()}
            lemmas, words = (arrays[name].tobytes().decode().split("\n") for name in ("lemmas", "words"))
        synsets = {identity: Synset(tuple(line.split("\t")), hypernyms)
                   for identity, line, hypernyms in zip(names, lemmas, lists["hypernyms"], strict=True)}
        return cls(synsets, dict(zip(words, lists["senses"], strict=True)))

    def _edges(self, sources, others):
        """int16 (kept, sources), the fewest edges up and down again, and {identity: row} of what is kept."""
        wanted = self.above([*sources, *others])
        kept = [identity for identity in self.synsets if identity in wanted]
        rows = {identity: row for row, identity in enumerate(kept)}
        hypernyms = [[rows[above] for above in self.synsets[identity].hypernyms] for identity in kept]
        edges = np.full((len(kept), len(sources)), NOWHERE, np.int16)
        edges[[rows[source] for source in sources], np.arange(len(sources))] = 0
        # up: a hypernym is one edge further from the sources below it than its hyponyms are
        for row in reversed(range(len(kept))):
            for above in hypernyms[row]:
                np.minimum(edges[above], edges[row] + 1, out=edges[above])
        # and down again, from hypernyms that have their least already
        for row in range(len(kept)):
            for above in hypernyms[row]:
                np.minimum(edges[row], edges[above] + 1, out=edges[row])
        return edges, rows


@cache
def shipped_taxonomy() -> Taxonomy:
    """The nouns in the package.

    >>> shipped_taxonomy().senses_of("tabby cat"), shipped_taxonomy().knows("the")
    ((), True)
    """
    with as_file(files("devise.words").joinpath("wordnet.npz")) as path:
        return Taxonomy.load(path)


def taxonomy_for(words: Iterable[str] = (), synsets: Iterable[str] = ()) -> Taxonomy:
    """The nouns in the package; where they lack a word or a synset and WordNet is installed, all nouns.

    Raises:
        FileNotFoundError: if a synset is lacking and WordNet is not installed.

    >>> taxonomy_for(["cat", "dog"]) is shipped_taxonomy()
    True
    """
    shipped = shipped_taxonomy()
    lacking = [synset for synset in synsets if synset not in shipped]
    if not lacking and all(map(shipped.knows, words)):
        return shipped
    try:
        return _installed()
    except FileNotFoundError:
        if lacking:
            raise
        return shipped


_installed = cache(Taxonomy.from_wordnet)


def _key(word):
    return " ".join(plain(word).lower().replace("_", " ").split())


def _lemma_senses(synsets):
    """{word: the synsets that it is a lemma of}."""
    senses = {}
    for identity, synset in synsets.items():
        for word in dict.fromkeys(map(_key, synset.lemmas)):
            senses.setdefault(word, []).append(identity)
    return {word: tuple(found) for word, found in senses.items()}


def _ordered(synsets):
    """The identities, hypernyms before their hyponyms, or an error that names what is missing or goes round."""
    above = set()
    for identity, synset in synsets.items():
        if not above.issuperset(synset.hypernyms):
            break
        above.add(identity)
    else:
        return list(synsets)  # as they come from a file
    for identity, synset in synsets.items():
        for hypernym in synset.hypernyms:
            if hypernym not in synsets:
                raise ValueError(f"the synset {identity!r} has the hypernym {hypernym!r}, which is none: add it")
    try:
        graph = {identity: synset.hypernyms for identity, synset in sorted(synsets.items())}
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))  # from a synset to its hypernym
        raise ValueError(f"the hypernyms go round in a circle: {circle}; take one link out") from None
