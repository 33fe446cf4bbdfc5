"""Names for images: what may be named, the nearest names, and lists that a notebook and pandas understand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from devise import notebook
from devise.evaluation import Candidates
from devise.features import FeatureTable
from devise.figures import score
from devise.report import frame
from devise.words import tag_rows
from devise.zeroshot import NearestLabel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.model.devise import Devise

FIRST_WORDS = 20_000
SHOWN = 5  # tags beneath an image in a notebook
LABELS = ("seen", "unseen", "all")


class Tag(NamedTuple):
    """One name for an image and its cosine with it.

    >>> Tag("crab", 0.83).name
    'crab'
    """

    name: str
    score: float


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
        """A pandas DataFrame with a row a tag: name, score."""
        return frame({"name": [tag.name for tag in self], "score": [tag.score for tag in self]})

    def _repr_html_(self) -> str:
        return notebook.gallery("", [self._card()])

    def _card(self):
        return self.picture, [f"{tag.name} {score(tag.score)}" for tag in self[:SHOWN]]


class TaggedImages(list):
    """The Tags of several images, in their order.

    >>> TaggedImages([Tags([Tag("crab", 0.83)], picture="lobster.jpg")])[0][0].score
    0.83
    """

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a tag: picture (its path, or its number), rank (from 1), name, score."""
        rows = [(number if tags.picture is None else str(tags.picture), rank, tag.name, tag.score)
                for number, tags in enumerate(self) for rank, tag in enumerate(tags, start=1)]
        names = ("picture", "rank", "name", "score")
        return frame(dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {name: [] for name in names})

    def _repr_html_(self) -> str:
        return notebook.gallery("tags, with their cosine", [tags._card() for tags in self])


def tag(model: Devise, images: Any, k: int = 10, *, candidates: str | Sequence[str] | Candidates = "words",
        space: str | None = None, first: int = FIRST_WORDS, progress: Callable | None = None) -> TaggedImages:
    """The best k names of each image, in a space with a text side; see `Devise.tag`."""
    space = model.text_space(space)
    chosen = _chosen(model, candidates, space, first)
    rows = model.embed_images(images, space, progress=progress)
    tagged = nearest_names(rows, chosen, k)
    shown = images.images if isinstance(images, FeatureTable) else images
    return tagged if isinstance(images, FeatureTable) and not _at_hand(shown) else with_pictures(tagged, shown)


def nearest_names(rows: NDArray[np.float32], candidates: Candidates, k: int = 10) -> TaggedImages:
    """The k names with the largest cosine with each row, (n, dim): the one way in which images are tagged.

    >>> both = Candidates.from_labels("all", ["cat", "dog"], np.eye(2))
    >>> nearest_names(np.array([[0.6, 0.8]], np.float32), both, k=1)[0][0].name
    'dog'
    """
    hits = NearestLabel(candidates.vectors).tag(rows, min(k, len(candidates)))
    return TaggedImages(Tags(Tag(candidates.names[row], float(score)) for row, score in zip(ids, scores, strict=True))
                        for ids, scores in zip(*hits, strict=True))


def with_pictures(tagged: TaggedImages, images: Any) -> TaggedImages:
    """The same tags, each list knowing its image."""
    from devise.datasets import open_images

    images = open_images(images)
    for row, tags in enumerate(tagged):
        held = images.held(row)
        tags.picture = images.file(row) if held is None else held
    return tagged


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
    Returns:
        Candidates.
    Raises:
        ValueError: if the model has no such labels, or no space has a text side.
    """
    space = model.text_space(space)
    if not isinstance(which, str):
        names = tuple(dict.fromkeys(which))
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
    from devise.model.text import WordText

    if model.labels is None:
        return model.embed_text([name.replace("_", " ") for name in model.label_names], space)
    if isinstance(model.spaces[space].text, WordText):
        return model.labels.vectors
    return model.embed_text([" ".join(parts) for parts in model.labels.parts], space)


def _at_hand(images) -> bool:
    return images.root is not None or images.pixels is not None


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


def _chosen(model: Devise, asked: str | Sequence[str] | Candidates, space: str, first: int) -> Candidates:
    return asked if isinstance(asked, Candidates) else candidates(model, asked, space=space, first=first, filtered=True)
