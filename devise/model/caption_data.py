"""What a training from captions is given: images of each part that can be used, and how alike their captions are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from devise.datasets import Skipped, Split
from devise.evaluation.captions import DEPTH
from devise.metrics import ndcg_at_r
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
    """

    features: NDArray[np.float32]
    captions: tuple[tuple[str, ...], ...]
    held: NDArray[np.float32]
    held_captions: tuple[tuple[str, ...], ...]

    @cached_property
    def terms(self) -> Tfidf:
        """Tfidf of the captions to learn from."""
        return Tfidf().fit(self.captions)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Compact tf-idf of all images, the held ones last: float32 (n + m, dim), unit rows."""
        rows = [self.terms.pictures(captions) for captions in (self.captions, self.held_captions)]
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


def usable(table: FeatureTable, rows: NDArray[np.int64], words: WordVectors, terms: Tfidf | None = None
           ) -> tuple[NDArray[np.int64], tuple[Skipped, ...]]:
    """Of some rows those with features, and captions with a word and, where given, a term; a Skipped for each other."""
    images, rows = table.images, np.asarray(rows, np.int64)
    assert images.captions is not None  # as `caption_data` makes sure
    told = [images.captions[row] for row in rows]
    sentences, matrix = SentenceVectors(words, components=0), table.matrix[rows]
    reasons = {"its features hold NaN or infinity": ~np.isfinite(matrix).all(axis=1),
               "its features are all zero": ~matrix.any(axis=1),
               f"no word of its captions is among {words.name}":
                   ~np.array([sentences.known(captions).any() for captions in told], bool)}
    if terms is not None:
        lost = np.zeros(len(rows), bool)
        lost[empty(terms.pictures(told))] = True
        reasons["its captions hold function words alone, or terms that the training's don't"] = lost
    skipped, left = [], np.ones(len(rows), bool)
    for reason, found in reasons.items():
        skipped += [Skipped(images.paths[row], reason) for row in rows[found & left]]
        left &= ~found
    return rows[left], tuple(skipped)


def caption_data(table: FeatureTable, split: Split, words: WordVectors) -> tuple[CaptionData, Split, tuple]:
    """(CaptionData of a split's train and validation part, the Split of the `usable` images, a Skipped for each other).

    Raises:
        ValueError: if the images have no captions, or a part has fewer than three that can be used.
    """
    told = table.images.captions
    if told is None:
        raise ValueError(NO_CAPTIONS)
    parts, terms = {}, None
    skipped: tuple[Skipped, ...] = ()
    for part in ("train", "validation", "test"):
        rows, lost = usable(table, split.rows(part), words)
        if part == "train" and len(rows):
            terms = Tfidf().fit([told[row] for row in rows])
        parts[part], more = usable(table, rows, words, terms)
        skipped += lost + more
    few = [f"{len(parts[part])} of {len(split.rows(part))} for {part}" for part in ("train", "validation")
           if len(parts[part]) < FEWEST]
    if few:
        why = f"; {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise ValueError(f"too few pictures with captions can be used ({', '.join(few)}{why}): expected {FEWEST} or "
                         "more to learn from, and as many to choose by")
    train, held = ((np.asarray(table.matrix[parts[part]], np.float32), tuple(told[row] for row in parts[part]))
                   for part in ("train", "validation"))
    return (CaptionData(*train, *held), Split(parts["train"], parts["validation"], parts["test"], seed=split.seed),
            skipped)


def sentences_of(vectors: CaptionVectors, captions: Sequence[Sequence[str]]
                 ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows of all sentences that CaptionVectors know a word of, and the image of each: int64 (m,)."""
    told = [(text, owner) for owner, sentences in enumerate(captions) for text in sentences]
    rows, known = vectors.embed_known([text for text, _ in told])
    return rows, np.array([owner for _, owner in told], np.int64)[known]
