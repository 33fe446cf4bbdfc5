"""What all draws of the zero-shot recipe share, and the embeddings of other systems beside it."""

from dataclasses import dataclass

import numpy as np

from devise.backbones import imagenet
from devise.evaluation import Candidates
from devise.heads.imagenet import imagenet_vectors, strict_mask
from devise.words import label_synsets, label_vectors, taxonomy_for

READINGS = ("open", "strict", "wide")


@dataclass(frozen=True, eq=False)
class World:
    """What all draws share.

    Attributes:
        features: float32 (n, d), and `logits` (n, 1000), of all pictures.
        labels: int64 (n,), rows of `words.label_names`.
        vectors: float32 (C, dim) of the labels.
        words: Candidates, the first words and every label.
        classes: float32 (1000, dim), ImageNet's classes as points among the words; zero rows where
            no word of theirs has a vector.
        steps: uint8 (1000, words), hypernym edges between class and word.
        masks: {reading: bool (C, 1000)}, the classes that the reading hides for a label.
    """

    features: np.ndarray
    logits: np.ndarray
    labels: np.ndarray
    vectors: np.ndarray
    words: Candidates
    classes: np.ndarray
    steps: np.ndarray
    masks: dict

    @classmethod
    def of(cls, table, backbone, words, first):
        """The world of a FeatureTable.

        Args:
            backbone: what turns its features into ImageNet's logits.
            words: WordVectors.
            first: how many of them are candidates; the labels join them.
        Raises:
            ValueError: if a label's synset is not known, or it has no vector.
        """
        names, logits = table.images.label_names, backbone.classify(np.asarray(table.matrix, np.float32))
        unknown = sorted(set(names) - label_synsets().keys())
        if unknown:
            raise ValueError(f"no WordNet synset is known for {', '.join(unknown)}: expected labels among the "
                             f"{len(label_synsets())} of devise.words.label_synsets")
        labels = label_vectors(names, words)
        candidates = Candidates.from_words(f"words{first}", list(words.words[:first]), words.matrix[:first], names,
                                           labels.vectors, [labels.word(row) for row in range(len(names))])
        masks = {"open": np.zeros((len(names), logits.shape[1]), bool),
                 "strict": np.stack([strict_mask(name) for name in names]),
                 "wide": np.stack([strict_mask(name, wide=True) for name in names])}
        steps = taxonomy_for(candidates.names).steps(imagenet.identities(), candidates.names)
        return cls(np.asarray(table.matrix, np.float32), logits, table.images.labels, labels.vectors, candidates,
                   imagenet_vectors(words), steps, masks)

    @property
    def inside(self):
        """bool (C,), the labels that ImageNet has a class for, in the wide reading."""
        return self.masks["wide"].any(axis=1)

    def columns(self, which):
        """The rows of `words` that are the candidates "labels", in their order, or "words", all."""
        return self.words.answers if which == "labels" else np.arange(len(self.words))

    def candidates(self, which):
        """The vectors of "labels" or of "words"."""
        return self.words.vectors[self.columns(which)]

    def seen(self, which, draw):
        """bool, which of the candidates are labels that the draw trains on."""
        unseen = np.isin(np.arange(len(self.vectors)), self.unseen(draw))
        return np.isin(self.columns(which), self.words.answers[~unseen])

    def unseen(self, draw):
        """int64, the labels that the draw does not train on, ascending."""
        return np.flatnonzero(np.isin(self.words.label_names, draw.unseen))

    def hidden(self, reading, labels):
        """bool (1000,), the classes hidden for any of some labels."""
        return self.masks[reading][labels].any(axis=0)

    def few(self, rows, n, seed=0):
        """Some of the rows, at most n of each class."""
        mixed = np.random.default_rng(seed).permutation(rows)
        return np.sort(np.concatenate([mixed[self.labels[mixed] == label][:n]
                                       for label in np.unique(self.labels[rows])]))


def other_system(file, paths, world):
    """Another system's embeddings of the world's pictures and words, from an .npz file.

    Args:
        file: with the arrays pictures (n, d), paths (n,), words (m, d) and names (m,); no pickles.
        paths: of the world's pictures; the file has all of them, in any order, and maybe more.
    Returns:
        pictures (n, d); {"labels": (C, d), "words": (words, d), or None where some have no embedding};
        how many words have none.
    Raises:
        ValueError: if the file lacks an array, a picture or a label.
    """
    with np.load(file, allow_pickle=False) as stored:
        arrays = dict(stored)
    missing = {"pictures", "paths", "words", "names"} - arrays.keys()
    if missing:
        raise ValueError(f"{file} lacks the arrays {', '.join(sorted(missing))}: expected pictures (n, d), "
                         "paths (n,), words (m, d) and names (m,)")
    for rows, keys in (("pictures", "paths"), ("words", "names")):
        if len(arrays[rows]) != len(arrays[keys]):
            raise ValueError(f"{file}: {len(arrays[rows])} {rows} but {len(arrays[keys])} {keys}: expected one each")
    pictures = _aligned(arrays["paths"], arrays["pictures"], paths, f"{file}, pictures")
    words = {"labels": _aligned(arrays["names"], arrays["words"], world.words.label_names, f"{file}, labels")}
    lacking = len(set(world.words.names) - set(arrays["names"].tolist()))
    words["words"] = None if lacking else _aligned(arrays["names"], arrays["words"], world.words.names, "")
    return pictures, words, lacking


def _aligned(keys, rows, wanted, what):
    """The rows of the wanted keys, in their order."""
    places = {key: row for row, key in enumerate(keys.tolist())}
    missing = [key for key in wanted if key not in places]
    if missing:
        raise ValueError(f"{what}: {len(missing)} of {len(wanted)} have no embedding, the first is {missing[0]!r}: "
                         "embed them all")
    return rows[[places[key] for key in wanted]]
