"""Labels and what they are kinds of: a graph of hypernyms, from WordNet or from a small file."""

from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import NamedTuple

import numpy as np


class Node(NamedTuple):
    """One label, or one thing that labels are kinds of.

    Attributes:
        name: what a reader sees.
        hypernyms: identities of what it is a kind of; none for a root.
        synonyms: other names.

    >>> Node("crane", ("n01503061",), synonyms=("wading bird",)).name
    'crane'
    """

    name: str
    hypernyms: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()


class Hierarchy:
    """A directed acyclic graph of nodes by identity; it never changes.

    Attributes:
        nodes: {identity: Node}, read-only.

    >>> animals = Hierarchy({"a": Node("animal"), "c": Node("cat", ("a",)), "d": Node("dog", ("a",))})
    >>> animals.nodes["c"].hypernyms
    ('a',)
    """

    def __init__(self, nodes):
        """
        Args:
            nodes: {identity: Node}; every hypernym is a node itself.
        Raises:
            ValueError: if a hypernym is missing or the nodes go round in a circle; names them.

        >>> tree = Hierarchy({"animal": Node("animal"), "dog": Node("dog", ("animal",))})
        >>> sorted(tree.descendants("animal"))
        ['dog']
        """
        self.nodes = MappingProxyType(dict(nodes))
        self._hyponyms = _hyponyms(self.nodes)
        _refuse_circles(self.nodes)

    @classmethod
    def from_wordnet(cls, wordnet, synsets=None):
        """The hypernyms of some synsets, up to the root, or all of WordNet's nouns.

        Args:
            wordnet: `WordNet`.
            synsets: identities such as n02084071; None takes all 82,115 of WordNet 3.0.
        Raises:
            KeyError: if WordNet has no such synset.
        """
        chosen = wordnet if synsets is None else sorted(wordnet.closure(synsets))
        found = (wordnet[identity] for identity in chosen)
        return cls({synset.identity: Node(synset.lemmas[0], synset.hypernyms, synset.lemmas[1:])
                    for synset in found})

    @classmethod
    def from_json(cls, document):
        """A hierarchy from {"nodes": {identity: {"name": …, "hypernyms": […], "synonyms": […]}}}.

        A node without a name is called by its identity; other keys of the document are notes.

        Raises:
            ValueError: if the document has another shape.

        >>> tree = Hierarchy.from_json({"nodes": {"animal": {}, "dog": {"hypernyms": ["animal"]}}})
        >>> tree.distance("dog", "animal")
        1
        """
        try:
            return cls({identity: Node(entry.get("name", identity), _names(entry.get("hypernyms", [])),
                                       _names(entry.get("synonyms", [])))
                        for identity, entry in document["nodes"].items()})
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError('the document is no hierarchy: expected {"nodes": {identity: {"name": text, '
                             '"hypernyms": [identity, …]}}}') from error

    def to_json(self):
        """The document that `from_json` reads; what is empty is left out."""
        return {"nodes": {identity: {key: value for key, value in node._asdict().items() if value}
                          for identity, node in self.nodes.items()}}

    def __len__(self):
        return len(self.nodes)

    def __contains__(self, identity):
        return identity in self.nodes

    def __getitem__(self, identity):
        """The node of an identity.

        Raises:
            KeyError: if there is none.
        """
        if identity not in self.nodes:
            raise KeyError(f"{identity!r} is none of the {len(self.nodes):,} nodes of this hierarchy: "
                           "add it, or take one that holds it with Hierarchy.from_wordnet")
        return self.nodes[identity]

    def hyponyms(self, identity):
        """The nodes that name this one as a hypernym, a tuple."""
        self[identity]
        return self._hyponyms[identity]

    def ancestors(self, identity):
        """Everything that a node is a kind of, a frozenset without the node itself."""
        return frozenset(self._climb(identity)) - {identity}

    def descendants(self, identity):
        """Everything that is a kind of this node, a frozenset without the node itself."""
        found, waiting = set(), [identity]
        while waiting:
            new = set(self.hyponyms(waiting.pop())) - found
            found |= new
            waiting += new
        return frozenset(found)

    def lowest_common_hypernym(self, first, second):
        """The node above both with the fewest steps from the two together, or None.

        A node counts as its own hypernym here; of several, the smallest identity.
        """
        up, other = self._climb(first), self._climb(second)
        return min(up.keys() & other.keys(), key=lambda node: (up[node] + other[node], node), default=None)

    def distance(self, first, second):
        """How many edges lie between two nodes: up to a common hypernym and down again.

        In a tree that is the shortest path. WordNet is not quite one: a path may not go down
        and up again, through a node with two hypernyms, so a distance is the same in every
        hierarchy that holds both nodes' hypernyms.

        Returns:
            int; infinity (a float) where they have no hypernym in common.
        """
        up, other = self._climb(first), self._climb(second)
        return min((up[node] + other[node] for node in up.keys() & other.keys()), default=np.inf)

    def distances(self, labels):
        """The distance of each pair of labels, as `distance` counts.

        Args:
            labels: C identities.
        Returns:
            float32 (C, C), infinity where two have no hypernym in common.

        >>> Hierarchy.from_json({"nodes": {"pet": {}, "cat": {"hypernyms": ["pet"]},
        ...                      "dog": {"hypernyms": ["pet"]}}}).distances(["cat", "dog", "pet"])
        array([[0., 2., 1.],
               [2., 0., 1.],
               [1., 1., 0.]], dtype=float32)
        """
        below = defaultdict(list)  # node: (column of a label, its steps up to the node)
        for column, label in enumerate(labels):
            for node, steps in self._climb(label).items():
                below[node].append((column, steps))
        distances = np.full((len(labels), len(labels)), np.inf, np.float32)
        for reached in below.values():
            columns, steps = np.array(reached).T
            pairs = np.ix_(columns, columns)
            distances[pairs] = np.minimum(distances[pairs], steps[:, None] + steps)
        return distances

    def hops(self, labels, n):
        """The nodes within n hops of a set of labels, without the set.

        The n-hop sets of Frome et al. 2013 and Norouzi et al. 2014 count a label itself as the
        first hop: their 2-hop set is what is one edge away, hypernyms and hyponyms, their 3-hop
        set what is two edges away. That is read off their label lists: of ImageNet's 2011 labels,
        1,548 are one edge of WordNet 3.0 from the 1,000 classes, and their 2-hop set has 1,549;
        5,982 are two edges away, 7,813 in the tree that `imagenet_tree` makes, and their 3-hop set
        has 7,860.

        Args:
            labels: identities.
            n: 1 or more.
        Returns:
            frozenset of identities.
        Raises:
            ValueError: if n is below 1.

        >>> chain = Hierarchy({"a": Node("a"), "b": Node("b", ("a",)), "c": Node("c", ("b",))})
        >>> sorted(chain.hops(["a"], 2))
        ['b']
        """
        if n < 1:
            raise ValueError(f"n is {n}: expected 1 or more hops, a label itself being the first")
        climbing = set(labels)
        reached = set(climbing)
        for _edge in range(n - 1):
            climbing = {hypernym for node in climbing for hypernym in self[node].hypernyms}
            reached |= {hyponym for node in reached for hyponym in self.hyponyms(node)} | climbing
        return frozenset(reached) - set(labels)

    def masked(self, synsets, classes):
        """Which classes are the label's synset or a kind of it: what a strict zero-shot figure hides.

        The other way round nothing is hidden: where the label is a kind of a class (a poodle,
        and the network knows "dog"), the class stays, because it names something wider.

        Args:
            synsets: the identity that a label stands for, or several.
            classes: C identities, such as those of ImageNet's 1,000 classes.
        Returns:
            bool (C,).
        Raises:
            KeyError: if a synset or a class is no node.

        >>> tree = Hierarchy.from_json({"nodes": {"dog": {}, "poodle": {"hypernyms": ["dog"]}, "cat": {}}})
        >>> tree.masked("dog", ["poodle", "dog", "cat"])
        array([ True,  True, False])
        >>> tree.masked("poodle", ["poodle", "dog", "cat"])
        array([ True, False, False])
        """
        wanted = {synsets} if isinstance(synsets, str) else set(synsets)
        hidden = wanted.union(*(self.descendants(synset) for synset in wanted))
        for name in classes:
            self[name]
        return np.array([name in hidden for name in classes], bool)

    def _climb(self, identity):
        """{node: fewest steps} for a node and everything above it."""
        self[identity]
        steps, level = {identity: 0}, [identity]
        while level:
            above = {hypernym for node in level for hypernym in self.nodes[node].hypernyms}
            step = steps[level[0]] + 1
            level = sorted(above - steps.keys())
            steps |= dict.fromkeys(level, step)
        return steps


def _names(values):
    if isinstance(values, str):
        raise TypeError(values)
    return tuple(values)


def _hyponyms(nodes):
    """{identity: the nodes right below it}, or an error that names what is missing."""
    below = {identity: [] for identity in nodes}
    for identity, node in nodes.items():
        for hypernym in node.hypernyms:
            if hypernym not in nodes:
                raise ValueError(f"the node {identity!r} has the hypernym {hypernym!r}, which is no node: "
                                 "add it")
            below[hypernym].append(identity)
    return {identity: tuple(found) for identity, found in below.items()}


def _refuse_circles(nodes):
    try:
        TopologicalSorter({identity: node.hypernyms for identity, node in nodes.items()}).prepare()
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))  # from a node to its hypernym
        raise ValueError(f"the hypernyms go round in a circle: {circle}; take one link out") from None
