"""What the zero-shot recipes run on: features of labelled pictures, the words, and WordNet."""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from devise import features
from devise.arrays import unit_rows
from devise.backbones import imagenet, load
from devise.datasets import split
from devise.evaluation import Candidates
from devise.features import FeatureTable
from devise.recipes import bundled_table
from devise.words import (
    Taxonomy,
    WordVectors,
    label_synsets,
    label_vectors,
    shipped_taxonomy,
    strict_mask,
    synset_vectors,
    taxonomy_for,
)

READINGS = ("open", "strict", "wide")
DRAWN = 5  # unseen classes of the bundled set in each draw, as many as it has of its own
MOST_DISTANCES = 10_000  # candidates: a table of distances for more would not fit into memory
WNID = re.compile(r"n\d{8}")


@dataclass(frozen=True, eq=False)
class World:
    """Labelled pictures as features, each label with its synset and its vector, among words.

    Attributes:
        table: FeatureTable.
        labels: int64 (n,), the label of each of its rows; -1 for none, or one without a vector.
        names: (C,) what a reader calls the labels.
        synsets: (C,) WordNet identities, all different; splits name the classes by them.
        vectors: float32 (C, d), unit rows.
        words: WordVectors.
        taxonomy: Taxonomy with the synsets and everything above them.
        unseen: how many labels a seed draws, or the identities of those that are never trained on.
        wordless: labels that were left out, since no word of theirs has a vector.
        backbone: the network of the features; None loads it where it is asked.
        first: how many words are candidates beside the labels.
        around: how many of the labels, the last ones, have no pictures: neighbours of the others in WordNet.
    """

    table: FeatureTable
    labels: np.ndarray
    names: tuple[str, ...]
    synsets: tuple[str, ...]
    vectors: np.ndarray
    words: WordVectors
    taxonomy: Taxonomy
    unseen: int | tuple[str, ...]
    wordless: tuple[str, ...] = ()
    backbone: object = None
    first: int = 0
    around: int = 0

    @property
    def classes_with_pictures(self):
        """How many of the labels are no neighbours alone."""
        return len(self.names) - self.around

    @cached_property
    def features(self):
        """float32 (n, dim)."""
        return np.asarray(self.table.matrix, np.float32)

    @cached_property
    def logits(self):
        """The network's own class scores, float32 (n, 1000), or None where its classes are not ImageNet's."""
        mine = self.table.backbone
        network = self.backbone or load(mine["name"], layer=mine["layer"])
        return network.classify(self.features) if len(network.class_names) == len(imagenet.classes()) else None

    @cached_property
    def classes(self):
        """float32 (1000, d), ImageNet's classes among the words; zero rows where no word of theirs has a vector."""
        return synset_vectors(imagenet.identities(), self.words)

    @cached_property
    def vocabulary(self):
        """Candidates: the first words and every label that is none of them."""
        labels, words, first = label_vectors(self.names, self.words), self.words, slice(self.first)
        return Candidates.from_words(f"words{self.first}", words.words[first], words.matrix[first], self.names,
                                     labels.vectors, [labels.word(row) for row in range(len(self.names))])

    @property
    def points(self):
        """float32 (c, d), the vectors that pictures are compared with: the vocabulary's, or the labels' alone."""
        return self.vocabulary.vectors if self.first else self.vectors

    @property
    def answers(self):
        """int64 (C,), the row of `points` that each label is."""
        return self.vocabulary.answers if self.first else np.arange(len(self.names))

    @cached_property
    def steps(self):
        """uint8 (1000, c), hypernym edges between ImageNet's classes and the vocabulary."""
        names = self.vocabulary.names
        return taxonomy_for(names).steps(imagenet.identities(), names)

    @cached_property
    def masks(self):
        """{reading: bool (C, 1000)}, the classes of the network that a reading hides for a label."""
        pairs, classes = list(zip(self.names, self.synsets, strict=True)), imagenet.identities()
        hidden = {reading: np.stack([strict_mask(name, classes, synsets=(own,), wide=wide) for name, own in pairs])
                  for reading, wide in (("strict", False), ("wide", True))}
        return {"open": np.zeros_like(hidden["strict"])} | hidden

    @property
    def inside(self):
        """bool (C,), the labels that ImageNet has a class for, in the wide reading."""
        return self.masks["wide"].any(axis=1)

    @cached_property
    def tree(self):
        """The labels in the graph that the papers count hops and near labels in."""
        return self.taxonomy.imagenet_tree(self.synsets)

    @cached_property
    def is_imagenet(self):
        """Whether the seen classes are ImageNet's 1,000, all of them, so that a paper's rows may stand beside."""
        return not self.draws and set(self.synsets) - set(self.unseen) == set(imagenet.identities())

    @property
    def draws(self):
        """Whether each seed draws its own unseen classes."""
        return isinstance(self.unseen, int)

    def split(self, seed):
        """The Split of a seed."""
        return split(self.labels, self.synsets[:self.classes_with_pictures], unseen=self.unseen, seed=seed)

    def ids(self, synsets):
        """The labels of some synsets, ascending, int64."""
        return np.flatnonzero(np.isin(self.synsets, list(synsets)))

    def seen(self, columns, parts):
        """bool, which of some rows of `points` are labels that a split trains on."""
        return np.isin(columns, np.delete(self.answers, self.ids(parts.unseen)))

    def hidden(self, reading, labels):
        """bool (1000,), the classes hidden for any of some labels."""
        return self.masks[reading][labels].any(axis=0)

    def candidates(self, parts):
        """The sets that unseen pictures are ranked over, {short name: labels}; "+1K" is with the seen ones.

        Of WordNet folders the sets of the papers: within 2 hops, within 3 hops, and all that are not
        seen, whatever folders there are of each. Where each seed draws its own, neighbours without
        pictures join both sets.
        """
        if not parts.unseen:
            return {}
        if self.draws:
            sets, both = {"unseen": parts.unseen}, "{} and seen"
            if self.around:
                sets["unseen and neighbours"] = (*parts.unseen, *self.synsets[self.classes_with_pictures:])
        else:
            near = {f"{hops}-hop": self.tree.hops(parts.seen, hops) & set(parts.unseen) for hops in (2, 3)}
            sets, both = {name: found for name, found in near.items() if found} | {"21K": parts.unseen}, "{} +1K"
        return {key: self.ids(chosen) for name, found in sets.items()
                for key, chosen in ((name, found), (both.format(name), (*found, *parts.seen)))}

    def distances(self, labels):
        """Edges between each two of some labels, float32 (c, c), or None where they are too many."""
        return self.tree.distances([self.synsets[row] for row in labels]) if len(labels) <= MOST_DISTANCES else None

    def few(self, rows, n):
        """Some of the rows, at most n of each class."""
        mixed = np.random.default_rng(0).permutation(rows)
        return np.sort(np.concatenate([mixed[self.labels[mixed] == label][:n]
                                       for label in np.unique(self.labels[rows])]))


def open_world(images, backbone, words, *, first=0, drawn=0, hops=0, progress=None):
    """The bundled set, a table whose labels the package knows, or pictures in folders such as n02084071.

    Args:
        images: None for the bundled set, a FeatureTable, or an ImageSet; where the classes are WordNet ids, those of
            ImageNet's 1,000 are seen, the others unseen.
        backbone: the network of the pictures, or None.
        words: WordVectors.
        first: how many of them are candidates beside the labels.
        drawn: how many folders a seed draws as unseen ones; 0 for those that are not among the 1,000.
        hops: with drawn folders, how far from them in WordNet labels without pictures join the candidates, as
            `Taxonomy.hops` counts; 0 for none.
    Raises:
        ValueError: if a label's synset is not known, a folder is no WordNet id, or fewer than two of the 1,000
            classes have a vector.
        FileNotFoundError: if an id is beyond the package's own taxonomy and WordNet is not there.
    """
    table = bundled_table()[0] if images is None else images if isinstance(images, FeatureTable) else None
    images = images if table is None else table.images
    if table is not None and not all(map(WNID.fullmatch, images.label_names)):
        names, known = images.label_names, label_synsets()
        if unknown := sorted(set(names) - known.keys()):
            raise ValueError(f"no WordNet synset is known for {', '.join(unknown)}: expected labels among the "
                             f"{len(known)} of devise.words.label_synsets")
        return World(table, table.images.labels, names, tuple(known[name].synset for name in names),
                     label_vectors(names, words).vectors, words, shipped_taxonomy(), DRAWN, backbone=backbone,
                     first=first)
    if strange := [name for name in images.label_names if not WNID.fullmatch(name)]:
        raise ValueError(f"{len(strange)} folders are no WordNet ids, the first is {strange[0]!r}: expected n and "
                         "eight digits, such as n02084071, as ImageNet names its folders")
    taxonomy, known = taxonomy_for(synsets=images.label_names), set(imagenet.identities())
    vectors = dict(zip(images.label_names, synset_vectors(images.label_names, words, taxonomy), strict=True))
    vectors = {synset: vector for synset, vector in vectors.items() if vector.any()}
    if len(known & vectors.keys()) < 2:
        raise ValueError(f"{len(known & vectors.keys())} of {len(images.label_names)} folders are among ImageNet's "
                         "1,000 classes and have a word vector: expected two or more, which are trained on")
    table = table or features.extract(images, backbone, progress=progress)
    wordless = tuple(taxonomy[synset].name for synset in images.label_names if synset not in vectors)
    places = {synset: place for place, synset in enumerate(vectors)}
    places = np.array([places.get(synset, -1) for synset in images.label_names] + [-1])
    near = neighbours(taxonomy, tuple(vectors), words, hops) if hops else {}
    kept = (*vectors, *near)
    return World(table, places[table.images.labels],  # a picture without a class, -1, finds the -1 at the end
                 tuple(taxonomy[synset].name for synset in kept), kept,
                 unit_rows([*vectors.values(), *near.values()]), words, taxonomy,
                 drawn or tuple(synset for synset in vectors if synset not in known), wordless, backbone,
                 around=len(near))


def neighbours(taxonomy, synsets, words, hops):
    """{synset: vector} of those within some hops of others, in the graph of ImageNet's labels, that have a word."""
    tree = taxonomy.imagenet_tree(synsets)
    near = sorted(tree.hops(synsets, hops) & taxonomy.synsets.keys())
    return {synset: vector for synset, vector in zip(near, synset_vectors(near, words, taxonomy), strict=True)
            if vector.any()}
