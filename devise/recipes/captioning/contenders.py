"""Who orders the test pictures: raw features, what learnt from captions, and oracles that read them."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from devise.arrays import unit_rows
from devise.model.caption_data import caption_data
from devise.model.captions import GAPS, VISUAL, solve_ridge, start_joint, train_joint, train_visual
from devise.model.objective import float_rows
from devise.words.sentences import CaptionVectors, SentenceVectors

RAW, RIDGE, TRIPLETS, RANKING, JOINT = ("raw features", "closed form onto tf-idf", "learnt by triplets",
                                        "learnt by listwise ranking", "learnt jointly with sentences")
TFIDF, SIF = "tf-idf of captions (oracle)", "mean word vectors of captions (oracle)"
ALL, HARDER = "all triplets", "ever harder triplets"
FIRST = 3  # captions that an oracle reads; the others are the truth


class Joint(NamedTuple):
    """A space of pictures and sentences: its head, and the kernel (t, dim) of its text side.

    Attributes:
        history: History of the training, or None.
    """

    head: object
    kernel: np.ndarray
    history: object = None

    def embed_text(self, vectors):
        """Rows of CaptionVectors as unit rows (n, dim) of the space."""
        return unit_rows(vectors @ self.kernel, "embedded text")


@dataclass(frozen=True, eq=False)
class World:
    """The pictures of all parts, and what the training pictures' captions taught.

    Attributes:
        table: FeatureTable with captions.
        words: WordVectors.
        lesson: CaptionData of the training and validation pictures.
        rows: {"train", "validation", "test": rows of the table that could be used}.
        skipped: the others, and why.
    """

    table: object
    words: object
    lesson: object
    rows: dict
    skipped: tuple

    @classmethod
    def of(cls, table, split, words):
        """The world of a table with captions, and its Split."""
        lesson, used, skipped = caption_data(table, split, words)
        rows = {part: used.rows(part) for part in ("train", "validation", "test")}
        if len(rows["test"]) < 3:
            raise ValueError(f"{len(rows['test'])} pictures with captions are for the test: expected 3 or more, in "
                             "test.txt or Flickr_8k.testImages.txt beside the pictures")
        return cls(table, words, lesson, rows, skipped)

    @cached_property
    def features(self):
        """float32 (n, d) of the test pictures."""
        return float_rows(self.table.matrix, self.rows["test"])

    @cached_property
    def captions(self):
        """The sentences about each test picture."""
        return tuple(self.table.images.captions[row] for row in self.rows["test"])

    @cached_property
    def texts(self):
        """CaptionVectors of the training's sentences."""
        return CaptionVectors(self.words).fit(self.lesson.captions)

    @cached_property
    def sentences(self):
        """SentenceVectors (SIF) of the training's sentences."""
        return SentenceVectors(self.words).fit([text for told in self.lesson.captions for text in told])

    def tfidf(self, captions):
        """tf-idf cosines between pictures, from some of their captions."""
        rows = self.lesson.terms.pictures(captions)
        return (rows @ rows.T).toarray()

    def sif(self, captions):
        """Cosines between pictures, by the mean word vectors of some of their captions."""
        rows = self.sentences.embed_pictures(captions)
        return rows @ rows.T


def learnt(world, seeds, step):
    """{row: one head a seed} for picture → picture, the joint's as `Joint`; `step()` is called after each training."""
    heads = {RIDGE: [solve_ridge(world.lesson)], TRIPLETS: [], RANKING: [], JOINT: []}
    for seed in range(seeds):
        for name, loss in ((TRIPLETS, "triplet"), (RANKING, "ranking")):
            heads[name].append(train_visual(world.lesson, loss=loss, seed=seed)[0])
            step()
        heads[JOINT].append(Joint(*train_joint(world.lesson, world.texts, seed=seed)))
        step()
    return heads


def started(world):
    """The joint space before any training."""
    return Joint(*start_joint(world.lesson, world.texts))


def cosines(world, heads):
    """{row: [cosines (n, n) between the test pictures, one matrix a seed]}, the raw features first."""
    found = {RAW: [_between(unit_rows(world.features, "features"))]}
    for name, mine in heads.items():
        found[name] = [_between((head.head if isinstance(head, Joint) else head).embed(world.features))
                       for head in mine]
    return found


def curriculum(world, levels, eased, step):
    """Triplets with each half of the curriculum on and off.

    Args:
        levels: features of the training pictures, plain and ever more changed.
        eased: heads that learnt from ever harder triplets and plain pictures, one a seed.
    Returns:
        ({how: [cosines between the test pictures, one matrix a seed]}, the gap's Schedule, the augmentation's)
    """
    from devise.training import AugmentedFeatures, Schedule

    epochs = VISUAL["epochs"]
    gap, share = Schedule(*GAPS, epochs=epochs), Schedule(0.0, 1.0, epochs=epochs)
    banks = {"": None} | ({", changed pictures from the start": AugmentedFeatures(levels),
                           ", ever more changed pictures": AugmentedFeatures(levels, share)} if levels[1:] else {})
    found = {}
    for also, bank in banks.items():
        for how, mine in ((ALL, GAPS[1]), (HARDER, gap)):
            heads = eased if how == HARDER and bank is None else []
            for seed in range(len(eased) - len(heads)):
                heads = [*heads, train_visual(world.lesson, gap=mine, augmented=bank, seed=seed)[0]]
                step()
            found[f"{how}{also}"] = [_between(head.embed(world.features)) for head in heads]
    return found, gap, share


def _between(rows):
    return rows @ rows.T
