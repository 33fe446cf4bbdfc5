"""Retrieval learnt from captions: pictures alike as people describe them, and found by sentences."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from devise import features
from devise.datasets import ImageSet, split_rows
from devise.errors import unknown
from devise.evaluation.captions import TextRetrieval, graded, text_retrieval
from devise.metrics import paired_difference
from devise.model import caption_saving, saving
from devise.model.caption_lessons import FEWEST, lesson_of, usable
from devise.model.caption_training import JOINT, VISUAL, sentences_of, train_joint, train_visual
from devise.model.fitting import rows_of
from devise.model.frozen import AUTO, OnBackbone, raw_rows, readable_features
from devise.words import open_words
from devise.words.sentences import CaptionVectors


class CaptionFigures(NamedTuple):
    """What a model does on pictures that nothing has seen.

    Attributes:
        by_space: {"raw", "learnt", "shared": GradedRetrieval}, against the tf-idf of the captions.
        text: TextRetrieval in the shared space.
        pictures, sentences: how many; each asks all of the others.
        left_out: sentences without a known word.
    """

    by_space: dict
    text: TextRetrieval
    pictures: int
    sentences: int
    left_out: int

    def difference(self, figure="ndcg", space="learnt"):
        """How much better a figure is than the raw features', by drawing query pictures again: a Comparison."""
        return paired_difference(getattr(self.by_space["raw"], figure), getattr(self.by_space[space], figure))

    def to_json(self):
        """All of it for JSON, figures as fractions."""
        return {"by_space": {space: found.to_json() for space, found in self.by_space.items()},
                "text": self.text.means(), "pictures": self.pictures, "sentences": self.sentences,
                "left_out": self.left_out}


class CaptionModel(OnBackbone):
    """Two heads on a frozen backbone, learnt from captions; at search time pictures alone are given.

    One orders pictures as their captions do (Gordo and Larlus 2017): the space "learnt", for picture →
    picture. The other carries pictures and sentences into one space, "shared", for text → picture.

    Args:
        words: WordVectors, or what `devise.words.open_words` opens: a name or a path.
        backbone: a Backbone, a name from `devise.backbones.names()`, or "auto": that of the features
            given to `fit`, else the best at hand.
        weights, layer: of the backbone, where it is a name.
        seed: of the parts where they are drawn, and of the training.

    Attributes:
        visual, joint (Joint): the two heads, after `fit`.
        terms (Tfidf), texts (CaptionVectors): what captions are compared by, and embedded with.
        parts: {"train", "validation", "test": paths}, of the pictures that were used.
        loss: of the visual head.
        history: {"visual", "joint": History}.
        skipped: pictures with captions that could not be used, and why.
    """

    def __init__(self, words, backbone=AUTO, *, weights="imagenet", layer=None, seed=0):
        super().__init__(backbone, weights=weights, layer=layer)
        self._words = open_words(words)
        self.words_record = {"source": saving.source_of(words), "name": self._words.name, "n": len(self._words),
                             "dim": self._words.dim, "fingerprint": self._words.fingerprint}
        self.seed, self.skipped, self.history, self.parts = seed, (), {}, {}
        self.visual = self.joint = self.terms = self.texts = self.loss = None

    @property
    def words(self):
        """The word vectors of the training."""
        return self._words

    def fit(self, data, *, split=None, validation=0.1, test=0.1, loss="triplet", folder=None, progress=None,
            visual=None, joint=None):
        """Learn both spaces, and keep the weights that serve the validation pictures best.

        Args:
            data: ImageSet with captions, or a FeatureTable of such.
            split: Split, such as that of `caption_set`; None draws one.
            validation, test: shares of the pictures, where it is drawn.
            loss: of the visual head, "triplet" (hinge on the difference) or "ranking" (listwise).
            folder: where the features of an ImageSet are cached.
            progress: called as progress(done, total), in pictures and then in epochs of both trainings.
            visual, joint: further options of the two, as of `train_visual` and `devise.training.train`.
        Returns:
            self.
        Raises:
            ValueError: if there are no captions, too few pictures with usable ones, or an option doesn't fit.
        """
        images = data if isinstance(data, ImageSet) else data.images
        visual, joint = VISUAL | (visual or {}), JOINT | (joint or {})
        if images.captions is None:
            raise ValueError("the pictures have no captions: read them with devise.datasets.captions.with_captions")
        split = split or split_rows(len(images), validation=validation, test=test, seed=self.seed)
        table = features.extract(data, self.backbone, folder, progress=progress) if data is images else data
        self.adopt(table)
        split = split.among(images.paths, table.images.paths)
        lesson, kept, skipped = lesson_of(table, split, self.words)
        kept["test"], lost = usable(table, split.test, self.words, lesson.terms)
        total = visual["epochs"] + joint["epochs"]
        texts = CaptionVectors(self.words).fit(lesson.captions)
        head, history = train_visual(lesson, loss=loss, seed=self.seed, progress=_from(progress, 0, total), **visual)
        shared = train_joint(lesson, texts, seed=self.seed, progress=_from(progress, visual["epochs"], total), **joint)
        self.visual, self.joint, self.texts, self.terms = head, shared, texts, lesson.terms
        self.loss, self.skipped = loss, (*skipped, *lost)
        self.history = {"visual": history, "joint": shared.history}
        self.parts = {part: tuple(table.images.paths[row] for row in rows) for part, rows in kept.items()}
        return self

    @property
    def heads(self):
        """The heads that decide what a picture becomes."""
        return self._fitted().visual, self.joint.head

    def spaces(self):
        """{"learnt", "raw", "shared"}, functions from features to unit rows; the first is the default."""
        return {"learnt": self._fitted().visual.embed, "raw": raw_rows, "shared": self.joint.head.embed}

    def embed_features(self, matrix, *, space="shared"):
        """Features (n, dim of the backbone) as unit rows of a space, float32."""
        known = self.spaces()
        if space not in known:
            raise ValueError(unknown("space", space, known))
        return known[space](matrix)

    def embed_pictures(self, pictures, *, space="shared", progress=None):
        """Pictures in a space.

        Args:
            pictures: ImageSet, paths, or one path.
        Returns:
            float32 (n, dim), unit rows.
        Raises:
            ValueError: if a picture can't be read; the message says which and why.
        """
        return self.embed_features(readable_features(self.features_of(pictures, progress=progress)), space=space)

    def embed_words(self, texts):
        """Sentences, or words, as unit rows of the shared space, float32 (n, dim).

        Raises:
            ValueError: if a text has no known word; the message names it.
        """
        return self._fitted().joint.embed_text(self.texts.embed(texts))

    def evaluate(self, table=None, *, part="test"):
        """Retrieval among the pictures of a part, each asking all others.

        Args:
            table: the training's features, their pictures with captions; None for those that `fit` was given.
            part: "test", which nothing has seen, or "validation".
        Returns:
            CaptionFigures.
        Raises:
            ValueError: if the part has fewer than three pictures, or the table lacks captions.
        """
        table = self._fitted().table if table is None else table
        self.check_features(table)
        rows = usable(table, rows_there(self.parts[part], table.images), self.words, self.terms).rows
        if len(rows) < FEWEST:
            raise ValueError(f"{len(rows)} pictures with captions are for {part}: expected {FEWEST} or more")
        matrix, captions = rows_of(table.matrix, rows), [table.images.captions[row] for row in rows]
        told = self.terms.pictures(captions)
        truth = (told @ told.T).toarray()
        embedded = {space: embed(matrix) for space, embed in self.spaces().items()}
        vectors, owners = sentences_of(self.texts, captions)
        return CaptionFigures({space: graded(found @ found.T, truth) for space, found in embedded.items()},
                              text_retrieval(embedded["shared"] @ self.joint.embed_text(vectors).T, owners),
                              len(rows), len(owners), sum(map(len, captions)) - len(owners))

    def save(self, folder, *, overwrite=False):
        """Write the model to a folder, whole or not at all.

        Args:
            overwrite: whether a model of another network, or of other words, labels or pictures, may be lost.
        Raises:
            FileExistsError: if one would, or if the folder holds files of somebody else's and no model.
        """
        caption_saving.save(self._fitted(), folder, overwrite=overwrite)

    @classmethod
    def load(cls, folder, *, words=None):
        """Open a model that `save` wrote; the backbone is loaded when it is needed.

        Args:
            words: the word vectors of the training, where they were in memory then.
        Raises:
            FileNotFoundError: if there is no such model in the folder.
            ValueError: if it is damaged, or the words are not those of the training.
        """
        return caption_saving.load(cls, folder, words=words)

    def _fitted(self):
        if self.visual is None:
            raise ValueError("the model is not trained yet: call fit first")
        return self


def rows_there(paths, images):
    """The rows of the pictures that are left of some."""
    place = {path: row for row, path in enumerate(images.paths)}
    return np.array([place[path] for path in paths if path in place], np.int64)


def _from(progress, first, total):
    """A progress of one training as part of both."""
    return progress and (lambda done, _: progress(first + done, total))


def captioned(table, images):
    """A feature table of those of its pictures that have captions.

    Args:
        table: FeatureTable.
        images: what `devise.datasets.captions.with_captions` made of `table.images`.
    """
    place = {path: row for row, path in enumerate(table.images.paths)}
    rows = [place[path] for path in images.paths]
    return replace(table, matrix=np.asarray(table.matrix[rows]), images=images)
