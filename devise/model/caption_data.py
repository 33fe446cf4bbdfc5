"""What a training from captions is given: images of each part that can be used, and how alike their captions are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise.arrays import as_rows
from devise.datasets import Skipped, Split
from devise.evaluation.captions import DEPTH
from devise.metrics import ndcg_at_r
from devise.model.objective import float_rows
from devise.words.sentences import SentenceVectors, Tfidf, empty, latent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.features import FeatureTable
    from devise.words import WordVectors
    from devise.words.sentences import CaptionVectors

DIM = 256  # columns of compact tf-idf
FEWEST = 3  # images of a part: a triplet
NO_CAPTIONS = "the pictures have no captions: read them with devise.datasets.with_captions"


@dataclass(frozen=True, eq=False)
class CaptionData:
    """Images with captions to learn from, and others to choose the best epoch by.

    Attributes:
        features, held: float32 (n, d) and (m, d).
        captions, held_captions: the sentences about each.
    Raises:
        ValueError: if features and captions differ in number, or features hold NaN.
    """

    features: NDArray[np.float32]
    captions: tuple[tuple[str, ...], ...]
    held: NDArray[np.float32]
    held_captions: tuple[tuple[str, ...], ...]

    def __post_init__(self):
        for name, told in (("features", self.captions), ("held", self.held_captions)):
            rows = as_rows(getattr(self, name), name)
            if len(rows) != len(told):
                raise ValueError(f"{name} have {len(rows)} rows but there are captions of {len(told)} pictures: "
                                 "expected one tuple of sentences a row")
            object.__setattr__(self, name, rows)
        if min(len(self.features), len(self.held)) < FEWEST:
            raise ValueError(f"there are {len(self.features)} pictures to learn from and {len(self.held)} to choose "
                             f"by: expected {FEWEST} or more of each")

    @cached_property
    def terms(self) -> Tfidf:
        """Tfidf of the captions to learn from."""
        return Tfidf().fit(self.captions)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Compact tf-idf of all images, the held ones last: float32 (n + m, dim), unit rows."""
        rows = [self.terms.pictures(captions) for captions in (self.captions, self.held_captions)]
        for name, found in zip(("captions", "held_captions"), rows, strict=True):
            if lost := empty(found).tolist():
                raise ValueError(f"{name} of {len(lost)} pictures hold no term that others have, the first is row "
                                 f"{lost[0]}: leave them out, `caption_data` does")
        return latent(rows[0], rows, DIM)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The number of each image to learn from, as the losses want it."""
        return np.arange(len(self.features))

    @property
    def held_labels(self) -> NDArray[np.int64]:
        """The numbers of the held images, which follow."""
        return len(self.features) + np.arange(len(self.held))

    @cached_property
    def truth(self) -> NDArray[np.float64]:
        """tf-idf cosines between the held images, NaN with themselves."""
        rows = self.terms.pictures(self.held_captions)
        cosines = (rows @ rows.T).toarray()
        np.fill_diagonal(cosines, np.nan)
        return cosines

    def score(self, embeddings: NDArray[np.float32]) -> float:
        """NDCG@R of the held images among themselves, for unit rows (m, dim)."""
        values = ndcg_at_r(embeddings @ embeddings.T, self.truth, min(DEPTH, len(embeddings) - 1))
        return float(np.nanmean(values))

    @property
    def dim(self) -> int:
        """Columns of the spaces that are learnt from it."""
        return min(DIM, *self.features.shape)


class Usable(NamedTuple):
    """The rows of some images that can be used, int64 (n,), and a Skipped for each of the others."""

    rows: NDArray[np.int64]
    skipped: tuple[Skipped, ...]


def usable(table: FeatureTable, rows: NDArray[np.int64], words: WordVectors, terms: Tfidf | None = None) -> Usable:
    """Which images have features, and captions that say something.

    Args:
        table: FeatureTable whose images have captions.
        rows: int (n,), of the table.
        words: of which an image's captions must have one.
        terms: Tfidf of the training, of which they must have one too; None before there is one.
    Raises:
        ValueError: if the images have no captions.
    """
    images = table.images
    if images.captions is None:
        raise ValueError(NO_CAPTIONS)
    rows = np.asarray(rows, np.int64)
    sentences, matrix = SentenceVectors(words, components=0), float_rows(table.matrix, rows)
    reasons = {"its features hold NaN or infinity": ~np.isfinite(matrix).all(axis=1),
               "its features are all zero": ~matrix.any(axis=1),
               f"no word of its captions is among {words.name}":
                   ~np.array([sentences.known(images.captions[row]).any() for row in rows], bool)}
    if terms is not None:
        lost = np.zeros(len(rows), bool)
        lost[empty(terms.pictures([images.captions[row] for row in rows]))] = True
        reasons["its captions hold function words alone, or terms that the training's don't"] = lost
    skipped, left = [], np.ones(len(rows), bool)
    for reason, found in reasons.items():
        skipped += [Skipped(images.paths[row], reason) for row in rows[found & left]]
        left &= ~found
    return Usable(rows[left], tuple(skipped))


def caption_data(table: FeatureTable, split: Split, words: WordVectors) -> tuple[CaptionData, Split, tuple]:
    """The data of a feature table with captions, the split of the images in it, and those left out.

    Args:
        split: its train and validation parts are used, its test part is looked through.
    Returns:
        (CaptionData, Split of the images that can be used, tuple of Skipped), see `usable`.
    Raises:
        ValueError: if the images have no captions, or a part has fewer than three that can be used.
    """
    told = table.images.captions
    if told is None:
        raise ValueError(NO_CAPTIONS)
    parts, terms = {}, None
    skipped: tuple[Skipped, ...] = ()
    for part in ("train", "validation", "test"):
        found = usable(table, split.rows(part), words)
        if part == "train" and len(found.rows):
            terms = Tfidf().fit([told[row] for row in found.rows])
        more = found if terms is None else usable(table, found.rows, words, terms)
        parts[part], skipped = more.rows, (*skipped, *found.skipped, *more.skipped)
    few = [f"{len(parts[part])} of {len(split.rows(part))} for {part}" for part in ("train", "validation")
           if len(parts[part]) < FEWEST]
    if few:
        why = f"; {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise ValueError(f"too few pictures with captions can be used ({', '.join(few)}{why}): expected {FEWEST} or "
                         "more to learn from, and as many to choose by")
    (x, captions), (held, held_captions) = (
        (float_rows(table.matrix, parts[part]), tuple(told[row] for row in parts[part]))
        for part in ("train", "validation"))
    return (CaptionData(x, captions, held, held_captions),
            Split(parts["train"], parts["validation"], parts["test"], seed=split.seed), skipped)


def sentences_of(vectors: CaptionVectors, captions: Sequence[Sequence[str]]
                 ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows of all sentences that CaptionVectors know a word of, and the image of each: int64 (m,)."""
    told = [(text, owner) for owner, sentences in enumerate(captions) for text in sentences]
    rows, known = vectors.embed_known([text for text, _ in told])
    return rows, np.array([owner for _, owner in told], np.int64)[known]
