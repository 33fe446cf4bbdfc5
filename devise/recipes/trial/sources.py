"""What the recipes of the zero-shot papers run on: the bundled set, or folders named by WordNet's ids."""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from devise import features
from devise.arrays import unit_rows
from devise.backbones import imagenet
from devise.datasets import split
from devise.recipes.hybrid import bundled_table
from devise.words import (
    Taxonomy,
    label_synsets,
    label_vectors,
    open_words,
    shipped_taxonomy,
    synset_vectors,
    taxonomy_for,
)

DRAWN = 5  # unseen classes of the bundled set in each draw, as many as it has of its own
MOST_DISTANCES = 10_000  # candidates: a table of distances for more would not fit into memory
WNID = re.compile(r"n\d{8}")


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled pictures as features, each label with its synset and its vector.

    Attributes:
        table: FeatureTable.
        labels: int64 (n,), the label of each of its rows; -1 for none, or one without a vector.
        names: (C,) what a reader calls the labels.
        synsets: (C,) WordNet identities, all different.
        vectors: float32 (C, d), unit rows.
        taxonomy: Taxonomy with the synsets and everything above them.
        unseen: how many labels a seed draws, or the identities of those that are never trained on.
        wordless: labels that were left out, since no word of theirs has a vector.
    """

    table: features.FeatureTable
    labels: np.ndarray
    names: tuple[str, ...]
    synsets: tuple[str, ...]
    vectors: np.ndarray
    taxonomy: Taxonomy
    unseen: int | tuple[str, ...]
    wordless: tuple[str, ...] = ()

    @cached_property
    def tree(self):
        """The labels in the graph that the paper counts hops and near labels in."""
        return self.taxonomy.imagenet_tree(self.synsets)

    @cached_property
    def is_imagenet(self):
        """Whether the seen classes are ImageNet's 1,000, all of them, so that a paper's rows may stand beside."""
        if isinstance(self.unseen, int):
            return False
        return set(self.synsets) - set(self.unseen) == {identity for identity, _name in imagenet.classes()}

    def split(self, seed):
        """The Split of a seed; its classes are synsets."""
        return split(self.labels, self.synsets, unseen=self.unseen, seed=seed)

    def ids(self, synsets):
        """Rows of `names`, ascending, int64."""
        wanted = set(synsets)
        return np.array([row for row, synset in enumerate(self.synsets) if synset in wanted], np.int64)

    def features(self, rows):
        """float32 (m, dim)."""
        return np.asarray(self.table.matrix[rows], np.float32)

    def candidates(self, parts):
        """The sets that unseen pictures are ranked over, {short name: ids}; "+1K" is with the seen labels.

        Of WordNet folders the sets of the papers: within 2 hops, within 3 hops, and all that are not
        seen, whatever folders there are of each.
        """
        if not parts.unseen:
            return {}
        if isinstance(self.unseen, int):
            sets, both = {"unseen": parts.unseen}, "unseen and seen"
        else:
            near = {f"{hops}-hop": self.tree.hops(parts.seen, hops) & set(parts.unseen) for hops in (2, 3)}
            sets, both = {name: found for name, found in near.items() if found} | {"21K": parts.unseen}, "{} +1K"
        return {key: self.ids(chosen) for name, found in sets.items()
                for key, chosen in ((name, found), (both.format(name), (*found, *parts.seen)))}

    def distances(self, ids):
        """Edges between each two of some labels, float32 (c, c), or None where they are too many."""
        return self.tree.distances([self.synsets[row] for row in ids]) if len(ids) <= MOST_DISTANCES else None


def open_source(images=None, backbone=None, words="glove-6b-50d", *, progress=None):
    """The bundled set, or pictures in folders such as n02084071.

    Args:
        images: ImageSet whose classes are WordNet ids; None takes the bundled set. Those of
            ImageNet's 1,000 classes are seen, the others unseen.
        backbone: the Backbone of an ImageSet.
        words: WordVectors, or what `open_words` opens.
    Returns:
        Source.
    Raises:
        ValueError: if a folder is no WordNet id, none is one of the 1,000 classes, or fewer than
            two labels have a vector.
        FileNotFoundError: if an id is beyond the package's own taxonomy and WordNet is not there.
    """
    words = open_words(words)
    if images is None:
        table, _split = bundled_table()
        names = table.images.label_names
        synsets = tuple(label_synsets()[name].synset for name in names)
        vectors = label_vectors(names, words).vectors
        return Source(table, table.images.labels, names, synsets, vectors, shipped_taxonomy(), DRAWN)
    if strange := [name for name in images.label_names if not WNID.fullmatch(name)]:
        raise ValueError(f"{len(strange)} folders are no WordNet ids, the first is {strange[0]!r}: expected n and "
                         "eight digits, such as n02084071, as ImageNet names its folders")
    taxonomy, known = taxonomy_for(synsets=images.label_names), set(imagenet.identities())
    vectors = dict(zip(images.label_names, synset_vectors(images.label_names, words, taxonomy), strict=True))
    vectors = {synset: vector for synset, vector in vectors.items() if vector.any()}
    if len(known & vectors.keys()) < 2:
        raise ValueError(f"{len(known & vectors.keys())} of {len(images.label_names)} folders are among ImageNet's "
                         "1,000 classes and have a word vector: expected two or more, which are trained on")
    table = features.extract(images, backbone, progress=progress)
    kept = tuple(vectors)
    wordless = tuple(taxonomy[synset].name for synset in images.label_names if synset not in vectors)
    places = np.array([kept.index(synset) if synset in vectors else -1 for synset in images.label_names] + [-1])
    labels = places[table.images.labels]  # a picture without a class, -1, finds the -1 at the end
    names = tuple(taxonomy[synset].name for synset in kept)
    return Source(table, labels, names, kept, unit_rows(list(vectors.values())), taxonomy,
                  tuple(synset for synset in kept if synset not in known), wordless)
