"""Names for images: what may be named, the nearest names, and lists that a notebook and pandas understand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from devise import notebook
from devise.arrays import as_rows, nearest
from devise.datasets import open_images
from devise.evaluation import Candidates
from devise.features import FeatureTable
from devise.figures import score
from devise.report import frame
from devise.words import tag_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.model.devise import Devise

FIRST_WORDS = 20_000
SHOWN = 5  # tags beneath an image in a notebook
LABELS = ("seen", "unseen", "all")
CONCEPTS = "concepts"


class Tag(NamedTuple):
    """One name for an image, its score, and whether that is too low to be relied on.

    The score is a cosine, and weak below the threshold of the name where the model has thresholds of texts; of concepts
    it is how sure the name is, 0 to 1.

    >>> Tag("crab", 0.83).name
    'crab'
    """

    name: str
    score: float
    weak: bool = False


class Tags(list):
    """The tags of one image, best first.

    Attributes:
        picture: the path of its file, its pixels, or None where neither is known.

    >>> tags = Tags([Tag("crab", 0.83), Tag("scorpion", 0.78)], picture="lobster.jpg")
    >>> tags[0].name, len(tags)
    ('crab', 2)
    """

    def __init__(self, tags: Iterable[Tag] = (), picture: Any = None):
        super().__init__(tags)
        self.picture = picture

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a tag: name, score, weak."""
        return frame({name: [getattr(tag, name) for tag in self] for name in Tag._fields})

    def _repr_html_(self) -> str:
        return notebook.gallery("", [self._card()])

    def _card(self):
        return self.picture, [f"{tag.name} {score(tag.score)}{'?' * tag.weak}" for tag in self[:SHOWN]]


class TaggedImages(list):
    """The Tags of several images, in their order.

    >>> TaggedImages([Tags([Tag("crab", 0.83)], picture="lobster.jpg")])[0][0].score
    0.83
    """

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a tag: picture (its path, or its number), rank (from 1), name, score, weak."""
        rows = [(number if tags.picture is None else str(tags.picture), rank, *tag)
                for number, tags in enumerate(self) for rank, tag in enumerate(tags, start=1)]
        names = ("picture", "rank", *Tag._fields)
        return frame(dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {name: [] for name in names})

    def _repr_html_(self) -> str:
        return notebook.gallery("tags, with their score", [tags._card() for tags in self])

    def sure(self) -> TaggedImages:
        """The same without weak tags; an image may have none left."""
        return TaggedImages(Tags((tag for tag in tags if not tag.weak), tags.picture) for tags in self)


def tag(model: Devise, images: Any, k: int = 10, *, candidates: str | Sequence[str] | Candidates | None = None,
        space: str | None = None, first: int = FIRST_WORDS, progress: Callable | None = None) -> TaggedImages:
    """The best k names of each image, in a space with a text side; see `Devise.tag`."""
    if k < 1:
        raise ValueError(f"k is {k}: ask for at least 1 name")
    space = model.text_space(space)
    names = naming(model, candidates, space=space, first=first)
    if not isinstance(images, FeatureTable):
        images = open_images(images, class_level=model.class_level)
    tagged = names.tag(model.embed_images(images, space, progress=progress), k)
    shown = images.images if isinstance(images, FeatureTable) else images
    if shown is images or shown.root is not None or shown.pixels is not None:
        for row, tags in enumerate(tagged):
            held = shown.held(row)
            tags.picture = shown.file(row) if held is None else held
    return tagged


class Names(ABC):
    """What images may be called: `devise.model.Concepts`, or `NearestNames` over candidates.

    Attributes:
        names: all of them.
    """

    names: tuple[str, ...]

    @abstractmethod
    def tag(self, rows: NDArray[np.float32], k: int = 10) -> TaggedImages:
        """The best k names of each embedded image, (n, dim)."""


class NearestNames(Names):
    """Candidates as names of images: those with the largest cosine.

    Args:
        candidates: Candidates.
        thresholds: of some vectors of the candidates the cosines below which they are weak, or None; see
            `devise.model.space.Text.thresholds`.

    >>> both = Candidates.from_labels("all", ["cat", "dog"], np.eye(2))
    >>> NearestNames(both).tag(np.array([[0.6, 0.8]], np.float32), k=1)[0][0].name
    'dog'
    """

    def __init__(self, candidates: Candidates,
                 thresholds: Callable[[NDArray[np.float32]], NDArray[np.float32] | None] | None = None):
        self.names, self._vectors, self._thresholds = candidates.names, candidates.vectors, thresholds

    def tag(self, rows: NDArray[np.float32], k: int = 10) -> TaggedImages:
        rows = as_rows(rows, "embeddings", self._vectors.shape[1])
        ids, scores = nearest(rows, self._vectors, min(k, len(self.names)))
        named, place = np.unique(ids, return_inverse=True)
        limits = None if self._thresholds is None else self._thresholds(self._vectors[named])
        weak = np.zeros(ids.shape, bool) if limits is None else scores < limits[place.reshape(ids.shape)]
        return TaggedImages(Tags(Tag(self.names[row], float(score), bool(unsure))
                                 for row, score, unsure in zip(*image, strict=True))
                            for image in zip(ids, scores, weak, strict=True))


def naming(model: Devise, which: str | Sequence[str] | Candidates | None = None, *, space: str | None = None,
           first: int = FIRST_WORDS) -> Names:
    """What images may be called in a space with a text side.

    Args:
        which: as `Devise.tag` takes candidates.
    Raises:
        ValueError: as `candidates`, and for "concepts" where the space has none.

    >>> len(naming(devise.pretrained()))  # doctest: +SKIP
    29169
    """
    space = model.text_space(space)
    text = model.spaces[space].text
    assert text is not None
    if which is None:
        which = CONCEPTS if text.concepts is not None else "words"
    if which == "words":
        if (space, first) not in model.named:
            model.named[space, first] = NearestNames(candidates(model, which, space=space, first=first, filtered=True),
                                                     text.thresholds)
        return model.named[space, first]
    if which != CONCEPTS:
        return NearestNames(which if isinstance(which, Candidates) else
                            candidates(model, which, space=space, first=first, filtered=True), text.thresholds)
    if text.concepts is None:
        raise ValueError(f"the space {space!r} has no concepts of its own: take the candidates 'words', or "
                         "devise.pretrained(), which has")
    return text.concepts


def candidates(model: Devise, which: str | Sequence[str] = "words", *, space: str | None = None,
               first: int = FIRST_WORDS, filtered: bool = False) -> Candidates:
    """A stated set of names to rank over.

    Args:
        which: "seen", "unseen", "all" (labels), "words" (the first words of the vocabulary and every
            label), or words and phrases of your own.
        space: the space whose text side embeds them; None is the first that has one.
        first: how many words "words" takes, by frequency rank.
        filtered: leave out stop words, offensive words, tokens that are no words, and plurals whose
            singular is there.
    Raises:
        ValueError: if the model has no such labels, or no space has a text side.
    """
    space = model.text_space(space)
    if not isinstance(which, str):
        names = tuple(dict.fromkeys(which))
        if not names:
            raise ValueError("the list of candidates is empty: give at least one name")
        return Candidates.from_labels("given", names, model.embed_text(names, space))
    if which == "words":
        return _words(model, space, min(first, len(model.words)), filtered)
    if which not in LABELS:
        raise ValueError(f"candidates are {which!r}: expected {', '.join(map(repr, LABELS))}, 'words', or a list of "
                         "words")
    parts = {"seen": model.split.seen if model.split else (), "unseen": model.split.unseen if model.split else (),
             "all": model.label_names}
    if not parts[which]:
        raise ValueError(f"this model has no {which if which != 'all' else ''} classes: choose other candidates"
                         .replace("  ", " "))
    return Candidates.from_labels(which, model.label_names, label_rows(model, space), parts[which])


def label_rows(model: Devise, space: str) -> NDArray[np.float32]:
    """The labels of a model as unit rows of a space with a text side, (C, dim)."""
    if model.labels is None:
        return model.embed_text([name.replace("_", " ") for name in model.label_names], space)
    text = model.spaces[space].text
    assert text is not None  # a space of tags has a text side
    return text.of_labels(model.labels)


def _words(model: Devise, space: str, first: int, filtered: bool) -> Candidates:
    """The first words of the vocabulary, and the labels that none of them stands for."""
    words, name = model.words, f"words{first}"
    rows = tag_rows(words, first, merge_plurals=True) if filtered else np.arange(first)
    texts = [words.words[row] for row in rows]
    text = model.spaces[space].text
    assert text is not None  # a space of tags has a text side
    vectors = text.embed_known(texts)
    known = np.any(vectors, axis=1)
    texts, vectors = [text for text, kept in zip(texts, known, strict=True) if kept], vectors[known]
    if not model.label_names:
        return Candidates.from_labels(name, texts, vectors)
    labels = label_rows(model, space)
    alone = [model.labels.word(label) if model.labels else None for label in range(len(labels))]
    return Candidates.from_words(name, texts, vectors, model.label_names, labels, alone)
