"""The engine that speaks paths and words: pictures indexed in each space of a model, asked by picture or text."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from devise import index
from devise.datasets import Skipped, join
from devise.errors import unknown
from devise.model.arithmetic import changed
from devise.model.identity import fingerprint
from devise.model.spaces import indexable, spaces
from devise.search import saving
from devise.search.joining import joined
from devise.search.results import Match, Results
from devise.words import phrase_vector


class Search:
    """Pictures indexed in every space that their model declares, see `devise.model.spaces.spaces`.

    Args:
        model: a fitted Devise, Siamese or CaptionModel.
        images: ImageSet, row i of it being id i of the indexes.
        indexes: {space: Index}.

    >>> search = Search.load("index")  # doctest: +SKIP
    >>> [match.label for match in search.by_text("ocean", k=3).matches]  # doctest: +SKIP
    ['beach', 'beach', 'lighthouse']
    """

    def __init__(self, model, images, indexes):
        self.model, self.images, self.indexes = model, images, indexes
        self._row = _rows(images)

    @classmethod
    def build(cls, model, data, *, engine="auto", only=None, folder=None, progress=None, **options):
        """Index pictures.

        Args:
            model: a fitted Devise, Siamese or CaptionModel.
            data: ImageSet, or a FeatureTable of the model's backbone.
            engine: a name from `devise.index.engines()`, or "auto" for what `devise.index.choose` says of the
                widest space; options go to the engine.
            only: names of the spaces to index; None takes all that the model has.
            folder: where features of an ImageSet are cached.
        Raises:
            ValueError: if the features are of another backbone, the model lacks a space, or no
                picture can be indexed.
        """
        known = spaces(model)
        if strange := [space for space in only or () if space not in known]:
            raise ValueError(unknown("space", strange[0], known))
        images, matrix = indexable(model, data, folder, progress)
        if not len(images):
            raise ValueError("there is no picture to index: every feature vector is zero")
        known = {space: embed for space, embed in known.items() if only is None or space in only}
        if engine == "auto":
            widest = max(embed(matrix[:1]).shape[1] for embed in known.values())
            engine, _ = index.choose(len(images), widest, options=tuple(options))
        indexes, made_by = {}, fingerprint(model)
        for space, embed in known.items():
            indexes[space] = index.make(engine, fingerprint=made_by, **options)
            indexes[space].build(embed(matrix))
        return cls(model, images, indexes)

    def __len__(self):
        return len(self.images)

    @property
    def default_space(self):
        """The space in which pictures are compared unless another is asked for."""
        return next(iter(self.indexes))  # in the order of the model, which need not be opened for it

    def add(self, data, *, folder=None, progress=None):
        """Index more pictures, of new classes too; nothing is trained. In memory, until `save`.

        A picture whose path is in the index already is left out and listed. Pictures from elsewhere
        than the index's are kept by their whole path.

        Args:
            data, folder: as of `build`.
        Returns:
            ImageSet of the pictures that were added, and those that were skipped.
        Raises:
            ValueError: if the features are of another backbone.
        """
        images, matrix = indexable(self.model, data, folder, progress)
        images = self._placed(images)
        there = np.array([path in self._row for path in images.paths], bool)
        lost = [Skipped(images.paths[row], "it is in the index already") for row in np.flatnonzero(there)]
        images, matrix = replace(images.subset(~there), skipped=(*images.skipped, *lost)), matrix[~there]
        if not len(images):
            return images
        known = spaces(self.model)
        rows = {space: known[space](matrix) for space in self.indexes}  # all that can fail, before anything changes
        ids = np.arange(len(self), len(self) + len(images))
        for space, part in self.indexes.items():
            if part.can_add:
                part.add(rows[space], ids)
            else:
                part.build(np.concatenate([part.vectors(part.ids), rows[space]]))
        rootless = [replace(part, root=None) for part in (self.images, images)]  # their paths are as they shall be
        self.images = replace(join(rootless), root=self.images.root)
        self._row = _rows(self.images)
        return images

    def by_text(self, text, k=10):
        """Pictures for a word or a phrase, by cosine in the shared space.

        Returns:
            Results with at most k matches.
        Raises:
            KeyError: if no word of it has a vector; the message lists near spellings.
            ValueError: if the model knows no words.
        """
        self._check_words()
        hits = self.indexes["shared"].search(self.model.embed_words([text]), self._depth(k))
        return Results(text, "shared", self._matches(hits), root=self.images.root)

    def by_picture(self, picture, k=10, *, space=None, reject=False):
        """Pictures like a picture, which itself is left out when it is in the index.

        Args:
            picture: the path of an indexed picture or of any other file, its pixels, uint8 (h, w, 3), or
                its features, float (dim of the backbone,).
            space: where to compare; None for the default, which for a Devise is 'raw', for the others
                'learnt'.
            reject: leave out matches below the model's threshold, so that a picture of something that
                is not in the index has none.
        Raises:
            ValueError: if the file can't be read, there is no such space, or no threshold to reject by.
        """
        space = self._check_space(space)
        threshold = getattr(self.model, "thresholds", {}).get(space)
        if reject and threshold is None:
            raise ValueError(f"the model has no threshold for the space {space!r}: train one with `devise siamese`, "
                             "or ask without reject")
        row, vector = self.vector(picture, space)
        hits = self.indexes[space].search(vector[None], self._depth(k), exclude=self._itself(row))
        matches = self._matches(hits)
        known = None if threshold is None else bool(matches) and matches[0].score >= threshold
        if reject:
            matches = tuple(match for match in matches if match.score >= threshold)
        return Results(_named(picture), space, matches, threshold, known, self.images.root)

    def by_change(self, picture, k=10, *, plus=(), minus=(), **weights):
        """Pictures like a picture that is changed by words: "this, but with a blue hat and without the dog".

        Args:
            picture: as of `by_picture`; itself it is left out.
            plus, minus, weights (force and less): see `devise.model.arithmetic.changed`.
        Returns:
            Results in the shared space.
        Raises:
            KeyError, ValueError: if a text has no vector, or the model knows no words.
        """
        self._check_words()
        row, vector = self.vector(picture, "shared")
        asked = changed(self.model, vector[None], plus=plus, minus=minus, **weights)
        hits = self.indexes["shared"].search(asked, self._depth(k), exclude=self._itself(row))
        return Results(_named(picture), "shared", self._matches(hits), root=self.images.root, plus=tuple(plus),
                       minus=tuple(minus))

    def similarity(self, first, second, *, space=None):
        """The cosine of two pictures, indexed or not.

        Returns:
            float in [-1, 1].
        """
        space = self._check_space(space)
        return float(np.clip(self.vector(first, space)[1] @ self.vector(second, space)[1], -1, 1))

    def by_word(self, word, k=10):
        """The words nearest to a word or phrase: a list of (word, cosine)."""
        self._check_words()
        words = self.model.words
        return words.neighbours(word if word in words else phrase_vector(word, words), k)

    def tags(self, picture, k=10, **options):
        """Names for a picture, as `by_picture` takes it; options as in `Devise.tag`."""
        self._check_words()
        if not hasattr(self.model, "tag_embeddings"):
            raise ValueError("a model learnt from captions gives no tags: ask with by_text whether a sentence fits")
        return self.model.tag_embeddings(self.vector(picture, "shared")[1][None], k, **options)[0]

    def vector(self, picture, space):
        """(row or None, unit vector) of a picture, as `by_picture` takes it, in one of the spaces."""
        if isinstance(picture, np.ndarray):
            return None, spaces(self.model)[space](self._features(picture))[0]
        row = self.row(picture)
        if row is not None:
            return row, self.indexes[space].vectors([row])[0]
        return None, spaces(self.model)[space](self.model.features_of([picture]).matrix)[0]

    def row(self, picture):
        """The row of an indexed picture, by the path it was indexed under or the file's place; else None."""
        row = self._row.get(str(picture))
        if row is None and self.images.root:
            row = self._row.get(_place(Path(picture).expanduser(), self.images.root))
        return row

    def save(self, folder, *, overwrite=False):
        """Write the index with its model, whole or not at all; the folder is complete on its own.

        Args:
            overwrite: whether an index that is there may lose its model, a space, or pictures.
        Raises:
            FileExistsError: if it would, or if the folder holds files of somebody else's and no index.
        """
        saving.save(self, Path(folder), overwrite=overwrite)

    @classmethod
    def load(cls, folder, *more):
        """Open an index that `save` wrote; vectors stay on disk where the engine can map them.

        Args:
            folder, more: several are searched as one, if one model made them. A picture that is in two of them
                is found once.
        Raises:
            FileNotFoundError: if a folder holds none.
            ValueError: if its parts don't fit one another, or the folders don't.
        """
        if more:
            searches = [cls.load(each) for each in (folder, *more)]
            return cls(searches[0].model, *joined(searches, (folder, *more)))
        return cls(*saving.load(Path(folder)))

    def _features(self, picture):
        """(1, dim) of a picture's pixels, or of its features, which are taken as they are."""
        if picture.ndim == 1:
            return picture[None]
        network = self.model.backbone
        return network.features(network.prepare(picture)[None])

    def _placed(self, images):
        """The pictures under the paths that they have in this index."""
        if images.root is None or self.images.root is None:
            return images
        return replace(images, paths=tuple(_place(images.file(row), self.images.root) for row in range(len(images))),
                       root=self.images.root)

    def _matches(self, hits):
        pairs = zip(hits.ids[0].tolist(), hits.scores[0].tolist(), strict=True)
        return tuple(Match(row, self.images.paths[row], self.images.label_of(row), score) for row, score in pairs
                     if row >= 0)

    @staticmethod
    def _itself(row):
        """What an index leaves out of an answer to this row; -1 for a picture that is not in it."""
        return np.array([-1 if row is None else row], np.int64)

    def _depth(self, k):
        if k < 1:
            raise ValueError(f"k is {k}: ask for at least 1 picture")
        return min(k, len(self))

    def _check_words(self):
        if "shared" not in self.indexes:
            raise ValueError(f"this index has the spaces {', '.join(self.indexes)} and none that it shares with words: "
                             "ask by picture, or index with a model that `devise train` or `devise captions` made, "
                             "or with conse")

    def _check_space(self, space):
        space = self.default_space if space is None else space
        if space not in self.indexes:
            raise ValueError(unknown("space", space, self.indexes))
        return space


def _named(picture):
    return "a picture" if isinstance(picture, np.ndarray) else str(picture)


def _rows(images):
    """{path: row}, the first row of a path that comes twice."""
    return {images.paths[row]: row for row in reversed(range(len(images)))}


def _place(path, root):
    """The path of a file as an index below `root` names it: from there, or whole where it lies elsewhere."""
    path, root = Path(path).resolve(), Path(root).resolve()
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
