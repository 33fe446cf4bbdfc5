"""The engine that speaks paths and words: one index, asked by picture, by text, or for tags."""

import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from devise import features, index, storage
from devise.arrays import unit_rows
from devise.datasets import ImageSet, Skipped
from devise.model import Devise

SPACES = ("raw", "shared")


class Match(NamedTuple):
    """A picture that was found: its row in the index, its path, its label if it has one, its cosine."""

    row: int
    path: str
    label: str | None
    score: float


class Results(NamedTuple):
    """What a query found, best first, and the space in which it was compared."""

    query: str
    space: str
    matches: tuple[Match, ...]


class Search:
    """Pictures indexed twice: by raw features for image→image, in the shared space for words.

    Args:
        model: a fitted Devise.
        images: ImageSet, row i of it being id i of the indexes.
        indexes: {"raw": Index, "shared": Index}.
    """

    def __init__(self, model, images, indexes):
        self.model, self.images, self.indexes = model, images, indexes
        self._row = {path: row for row, path in enumerate(images.paths)}

    @classmethod
    def build(cls, model, data, *, engine="annoy", folder=None, progress=None, **options):
        """Index pictures.

        Args:
            model: a fitted Devise.
            data: ImageSet, or a FeatureTable of the model's backbone.
            engine: a name from `devise.index.engines()`; options go to it.
            folder: where features of an ImageSet are cached.
        Raises:
            ValueError: if the features are of another backbone, or no picture can be indexed.
        """
        table = data
        if isinstance(data, ImageSet):
            table = features.extract(data, model.backbone, folder, progress=progress)
        model.check_features(table)
        matrix = np.asarray(table.matrix, np.float32)
        flat = ~matrix.any(axis=1)
        lost = [Skipped(table.images.paths[row], "its features are all zero") for row in np.flatnonzero(flat)]
        images = replace(table.images.subset(~flat), skipped=(*table.images.skipped, *lost))
        if not len(images):
            raise ValueError("there is no picture to index: every feature vector is zero")
        matrix = matrix[~flat]
        indexes = {}
        for space, rows in (("raw", unit_rows(matrix, "features")), ("shared", model.embed_features(matrix))):
            indexes[space] = index.make(engine, **options)
            indexes[space].build(rows)
        return cls(model, images, indexes)

    def __len__(self):
        return len(self.images)

    def by_text(self, text, k=10):
        """Pictures for a word or a phrase, by cosine in the shared space.

        Args:
            text: a word, or words whose vectors are averaged.
        Returns:
            Results with at most k matches.
        Raises:
            KeyError: if no word of it has a vector; the message lists near spellings.
        """
        hits = self.indexes["shared"].search(self.model.embed_words([text]), self._depth(k))
        return Results(text, "shared", self._matches(hits, 0))

    def by_picture(self, picture, k=10, *, space="raw"):
        """Pictures like a picture, which itself is left out when it is in the index.

        Args:
            picture: the path of an indexed picture, or of any other file.
            space: 'raw', the backbone's features, or 'shared', the space of the words.
        Raises:
            ValueError: if the file can't be read, or there is no such space.
        """
        self._check_space(space)
        row, vector = self.vector(picture, space)
        exclude = np.array([-1 if row is None else row], np.int64)
        hits = self.indexes[space].search(vector[None], self._depth(k), exclude=exclude)
        return Results(str(picture), space, self._matches(hits, 0))

    def similarity(self, first, second, *, space="raw"):
        """The cosine of two pictures, indexed or not.

        Returns:
            float in [-1, 1].
        """
        self._check_space(space)
        return float(np.clip(self.vector(first, space)[1] @ self.vector(second, space)[1], -1, 1))

    def by_word(self, word, k=10):
        """The words nearest to a word or phrase: a list of (word, cosine)."""
        return self.model.words.neighbours(word if word in self.model.words else self.model.embed_words([word])[0], k)

    def tags(self, picture, k=10, **options):
        """Names for an indexed picture or a file; options as in `Devise.tag`."""
        return self.model.tag_embeddings(self.vector(picture, "shared")[1][None], k, **options)[0]

    def vector(self, picture, space):
        """(row or None, unit vector) of a picture in one of the two spaces."""
        row = self.row(picture)
        if row is not None:
            return row, self.indexes[space].vectors([row])[0]
        matrix = self.model.features_of([picture]).matrix
        return None, (unit_rows(matrix, "features") if space == "raw" else self.model.embed_features(matrix))[0]

    def row(self, picture):
        """The row of an indexed picture, by the path it was indexed under or the file's place; else None."""
        name = str(picture)
        if name in self._row:
            return self._row[name]
        if self.images.root:
            path = Path(name).expanduser().resolve()
            root = Path(self.images.root).resolve()
            if path.is_relative_to(root):
                return self._row.get(path.relative_to(root).as_posix())
        return None

    def save(self, folder):
        """Write the index with its model; a folder that is complete on its own.

        The parts go into a folder of their own, which becomes the index's when `search.json` names it.
        """
        folder = Path(folder)
        build = uuid.uuid4().hex[:12]
        for space, space_index in self.indexes.items():
            space_index.save(folder / build / space)
        self.model.save(folder / build / "model")
        images = self.images
        document = {"build": build, "n": len(images), "label_names": list(images.label_names),
                    "root": str(Path(images.root).resolve()) if images.root else None}
        rows = {"paths": list(images.paths), "labels": images.labels.tolist(),
                "skipped": [list(item) for item in images.skipped]}
        with storage.Commit(folder, "search", document) as commit:
            storage.write_json(commit.file("rows.json"), rows)
        for other in folder.iterdir():
            if other.is_dir() and other.name != build and _is_build(other.name):
                shutil.rmtree(other, ignore_errors=True)

    @classmethod
    def load(cls, folder):
        """Open an index that `save` wrote; vectors stay on disk where the engine can map them.

        Raises:
            FileNotFoundError: if the folder holds none.
            ValueError: if its parts don't fit one another.
        """
        folder = Path(folder)
        document, paths = storage.open_artefact(folder, "search")
        rows = storage.read_json(paths["rows.json"])
        parts = folder / document["build"]
        model = Devise.load(parts / "model")
        indexes = {space: index.load(parts / space) for space in SPACES}
        images = ImageSet(paths=tuple(rows["paths"]), labels=np.array(rows["labels"], np.int64),
                          label_names=tuple(document["label_names"]),
                          root=Path(document["root"]) if document["root"] else None,
                          skipped=tuple(Skipped(*item) for item in rows["skipped"]))
        for space, space_index in indexes.items():
            if len(space_index) != len(images):
                raise ValueError(f"{folder}: the {space} index has {len(space_index)} vectors for {len(images)} "
                                 "pictures: build the index again")
        return cls(model, images, indexes)

    def _matches(self, hits, query):
        return tuple(Match(int(row), self.images.paths[row], self.images.label_of(row), float(score))
                     for row, score in zip(hits.ids[query], hits.scores[query], strict=True) if row >= 0)

    def _depth(self, k):
        if k < 1:
            raise ValueError(f"k is {k}: ask for at least 1 picture")
        return min(k, len(self))

    @staticmethod
    def _check_space(space):
        if space not in SPACES:
            raise ValueError(f"space is {space!r}: expected 'raw' or 'shared'")


def _is_build(name):
    return len(name) == 12 and all(letter in "0123456789abcdef" for letter in name)
