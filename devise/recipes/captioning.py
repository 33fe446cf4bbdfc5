"""What the caption recipes run on: pictures with sentences, and who orders them: features, heads and oracles."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from devise import backbones, features
from devise.arrays import unit_rows
from devise.datasets.captions import LISTS, caption_set
from devise.model.caption_data import caption_data
from devise.model.captions import GAPS, VISUAL, captioned, solve_ridge, start_joint, train_joint, train_visual
from devise.words.sentences import CaptionVectors, SentenceVectors

RAW, RIDGE, TRIPLETS, RANKING, JOINT = ("raw features", "closed form onto tf-idf", "learnt by triplets",
                                        "learnt by listwise ranking", "learnt jointly with sentences")
TFIDF, SIF = "tf-idf of captions (oracle)", "mean word vectors of captions (oracle)"
ALL, HARDER = "all triplets", "ever harder triplets"
FIRST = 3  # captions that an oracle reads; the others are the truth


def open_captions(root, backbone=None, *, folder=None, progress=None):
    """Pictures with captions and their features, from a folder in Flickr8k's layout with lists of its parts.

    Args:
        backbone: a Backbone; None loads the best at hand.
        folder: of the pictures' features, as `devise extract` writes it; None looks at the pictures.
        progress: called as progress(done, total), in pictures.
    Returns:
        (CaptionSet, FeatureTable with captions, Split of its rows)
    Raises:
        ValueError: if a part has no list of pictures that are here.
    """
    table = None if folder is None else features.load(folder)
    data = caption_set(root, images=None if table is None else table.images)
    if missing := [part for part in LISTS if data.split is None or not len(data.split.rows(part))]:
        raise ValueError(f"{root} has no list of {', '.join(missing)} pictures that are here: expected "
                         f"{' or '.join(LISTS[missing[0]])} with a file name a line")
    if table is None:
        table = features.extract(data.images, backbone or backbones.load(backbones.choose()[0]), progress=progress)
    else:
        table = captioned(table, data.images)
    return data, table, data.split.among(data.images.paths, table.images.paths)


class Joint(NamedTuple):
    """A space of pictures and sentences.

    Attributes:
        texts: CaptionVectors.
        head: of pictures.
        kernel: (t, dim) of sentences.
    """

    texts: CaptionVectors
    head: object
    kernel: np.ndarray

    def embed(self, features):
        """Pictures as unit rows (n, dim) of the space."""
        return self.head.embed(features)

    def embed_text(self, texts, space=None):
        """Sentences as unit rows (n, dim) of the space."""
        return self.embed_vectors(self.texts.embed(texts))

    def embed_vectors(self, vectors):
        """Rows of CaptionVectors as unit rows (n, dim) of the space."""
        return unit_rows(vectors @ self.kernel, "embedded text")


@dataclass(frozen=True, eq=False)
class CaptionWorld:
    """The pictures of all parts, and what the training pictures' captions taught.

    Attributes:
        table: FeatureTable with captions.
        words: WordVectors.
        data: CaptionData of the training and validation pictures.
        rows: {"train", "validation", "test": rows of the table that could be used}.
        skipped: the others, and why.
    """

    table: object
    words: object
    data: object
    rows: dict
    skipped: tuple

    @classmethod
    def of(cls, table, split, words):
        """The world of a table with captions, and its Split."""
        data, used, skipped = caption_data(table, split, words)
        rows = {part: used.rows(part) for part in ("train", "validation", "test")}
        if len(rows["test"]) < 3:
            raise ValueError(f"{len(rows['test'])} pictures with captions are for the test: expected 3 or more, in "
                             "test.txt or Flickr_8k.testImages.txt beside the pictures")
        return cls(table, words, data, rows, skipped)

    @cached_property
    def features(self):
        """float32 (n, d) of the test pictures."""
        return np.asarray(self.table.matrix[self.rows["test"]], np.float32)

    @cached_property
    def captions(self):
        """The sentences about each test picture."""
        return tuple(self.table.images.captions[row] for row in self.rows["test"])

    @cached_property
    def texts(self):
        """CaptionVectors of the training's sentences."""
        return CaptionVectors(self.words).fit(self.data.captions)

    @cached_property
    def sentences(self):
        """SentenceVectors (SIF) of the training's sentences."""
        return SentenceVectors(self.words).fit([text for told in self.data.captions for text in told])

    @cached_property
    def start(self):
        """JointStart of the training's sentences."""
        return start_joint(self.data, self.texts)

    @property
    def started(self):
        """The joint space before any training."""
        return Joint(self.texts, self.start.head, self.start.kernel)

    def tfidf(self, captions):
        """tf-idf cosines between pictures, from some of their captions."""
        rows = self.data.terms.pictures(captions)
        return (rows @ rows.T).toarray()

    def truths(self):
        """(tf-idf of all captions, tf-idf of those that an oracle does not read, {oracle: cosines} or None).

        The last two are None where a picture has too few captions for both.
        """
        whole = self.tfidf(self.captions)
        first, last = ([told[part] for told in self.captions] for part in (slice(0, FIRST), slice(FIRST, None)))
        if not all(first) or not all(last):
            return whole, None, None
        known = all(self.sentences.known(told).any() for told in first)
        return whole, self.tfidf(last), {TFIDF: [self.tfidf(first)]} | (
            {SIF: [_among(self.sentences.embed_pictures(first))]} if known else {})

    def cosines(self, heads):
        """{row: [cosines (n, n) between the test pictures, one matrix a seed]}, the raw features first."""
        found = {RAW: [_among(unit_rows(self.features, "features"))]}
        return found | {name: [_among(head.embed(self.features)) for head in mine] for name, mine in heads.items()}


def learnt(world, seeds, step):
    """{row: one head a seed} for picture → picture, the joint's as `Joint`; `step()` is called after each training."""
    heads = {RIDGE: [solve_ridge(world.data)], TRIPLETS: [], RANKING: [], JOINT: []}
    for seed in range(seeds):
        for name, loss in ((TRIPLETS, "triplet"), (RANKING, "ranking")):
            heads[name].append(train_visual(world.data, loss=loss, seed=seed)[0])
            step()
        heads[JOINT].append(Joint(world.texts, *train_joint(world.data, world.start, seed=seed)[:2]))
        step()
    return heads


def curriculum(world, levels, eased, step):
    """Triplets with each half of the curriculum on and off.

    Args:
        levels: features of the training pictures, plain and ever more changed.
        eased: heads of ever harder triplets and plain pictures, one a seed.
    Returns:
        ({how: [cosines between the test pictures, one matrix a seed]}, the gap's Schedule, the augmentation's)
    """
    from devise.training import AugmentedFeatures, Schedule

    epochs = VISUAL["epochs"]
    gap, share = Schedule(*GAPS, epochs=epochs), Schedule(0.0, 1.0, epochs=epochs)
    changed = {"": None} | ({", changed pictures from the start": AugmentedFeatures(levels),
                             ", ever more changed pictures": AugmentedFeatures(levels, share)} if levels[1:] else {})
    found = {}
    for also, augmented in changed.items():
        for how, mine in ((ALL, GAPS[1]), (HARDER, gap)):
            heads = eased if how == HARDER and augmented is None else []
            for seed in range(len(eased) - len(heads)):
                heads = [*heads, train_visual(world.data, gap=mine, augmented=augmented, seed=seed)[0]]
                step()
            found[f"{how}{also}"] = [_among(head.embed(world.features)) for head in heads]
    return found, gap, share


def _among(rows):
    return rows @ rows.T
