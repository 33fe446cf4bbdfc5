"""What a training from captions is given: pictures of each part that can be used, and how alike their captions are."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from devise.arrays import as_rows
from devise.datasets import Skipped
from devise.evaluation.captions import DEPTH
from devise.metrics import ndcg_at_r
from devise.model.fitting import rows_of
from devise.words.sentences import SentenceVectors, Tfidf, empty, latent

DIM = 256  # columns of compact tf-idf
FEWEST = 3  # pictures of a part: a triplet


@dataclass(frozen=True, eq=False)
class Lesson:
    """Pictures with captions to learn from, and others to choose by.

    Attributes:
        features, held: float32 (n, d) and (m, d).
        captions, held_captions: the sentences about each.
    Raises:
        ValueError: if features and captions differ in number, or features hold NaN.
    """

    features: np.ndarray
    captions: tuple
    held: np.ndarray
    held_captions: tuple

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
    def terms(self):
        """Tfidf of the captions to learn from."""
        return Tfidf().fit(self.captions)

    @cached_property
    def vectors(self):
        """Compact tf-idf of all pictures, the held ones last: float32 (n + m, dim), unit rows."""
        rows = [self.terms.pictures(captions) for captions in (self.captions, self.held_captions)]
        for name, found in zip(("captions", "held_captions"), rows, strict=True):
            if lost := empty(found).tolist():
                raise ValueError(f"{name} of {len(lost)} pictures hold no term that others have, the first is row "
                                 f"{lost[0]}: leave them out, `lesson_of` does")
        return latent(rows[0], rows, DIM)

    @property
    def labels(self):
        return np.arange(len(self.features))

    @property
    def held_labels(self):
        return len(self.features) + np.arange(len(self.held))

    @cached_property
    def truth(self):
        """tf-idf cosines between the held pictures, NaN with themselves."""
        rows = self.terms.pictures(self.held_captions)
        cosines = (rows @ rows.T).toarray()
        np.fill_diagonal(cosines, np.nan)
        return cosines

    def score(self, embeddings):
        """NDCG@R of the held pictures among themselves, for unit rows (m, dim)."""
        values = ndcg_at_r(embeddings @ embeddings.T, self.truth, min(DEPTH, len(embeddings) - 1))
        return float(np.nanmean(values))


class Usable(NamedTuple):
    """The rows of some pictures that can be used, int64 (n,), and a Skipped for each of the others."""

    rows: np.ndarray
    skipped: tuple


def usable(table, rows, words, terms=None):
    """Which pictures have features, and captions that say something.

    Args:
        table: FeatureTable whose pictures have captions.
        rows: int (n,), of the table.
        words: WordVectors, of which a picture's captions must have one.
        terms: Tfidf of the training, of which they must have one too; None before there is one.
    Returns:
        Usable.
    Raises:
        ValueError: if the pictures have no captions.
    """
    images = table.images
    if images.captions is None:
        raise ValueError("the pictures have no captions: read them with devise.datasets.captions.with_captions")
    rows = np.asarray(rows, np.int64)
    sentences, matrix = SentenceVectors(words, components=0), rows_of(table.matrix, rows)
    finite = np.isfinite(matrix).all(axis=1)
    reasons = {"its features hold NaN or infinity": ~finite, "its features are all zero": ~matrix.any(axis=1),
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


def lesson_of(table, split, words):
    """The lesson of a feature table with captions, and what it leaves out.

    Args:
        table: FeatureTable.
        split: Split, of which train and validation are looked at.
        words: WordVectors.
    Returns:
        (Lesson, {"train", "validation": rows that are in it}, tuple of Skipped), see `usable`.
    Raises:
        ValueError: if the pictures have no captions, or a part has fewer than three that can be used.
    """
    kept, skipped, captions = {}, (), {}
    terms = None
    for part in ("train", "validation"):
        kept[part], lost = usable(table, split.rows(part), words)
        if part == "train" and len(kept[part]):
            terms = Tfidf().fit([table.images.captions[row] for row in kept[part]])
        more = Usable(kept[part], ()) if terms is None else usable(table, kept[part], words, terms)
        kept[part], skipped = more.rows, (*skipped, *lost, *more.skipped)
        captions[part] = tuple(table.images.captions[row] for row in kept[part])
    few = [f"{len(kept[part])} of {len(split.rows(part))} for {part}" for part in kept if len(kept[part]) < FEWEST]
    if few:
        why = f"; {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise ValueError(f"too few pictures with captions can be used ({', '.join(few)}{why}): expected {FEWEST} or "
                         "more to learn from, and as many to choose by")
    return (Lesson(rows_of(table.matrix, kept["train"]), captions["train"],
                   rows_of(table.matrix, kept["validation"]), captions["validation"]), kept, skipped)
