"""The names that a model gives to pictures, as lists that a notebook and pandas understand."""

from typing import NamedTuple

from devise import notebook
from devise.figures import score
from devise.report import frame

SHOWN = 5  # tags beneath a picture in a notebook


class Tag(NamedTuple):
    """One name for a picture and its cosine with it.

    >>> Tag("crab", 0.83).name
    'crab'
    """

    name: str
    score: float


class Tags(list):
    """The tags of one picture, best first.

    Attributes:
        picture: the path of its file, or None where it is not known.

    >>> tags = Tags([Tag("crab", 0.83), Tag("scorpion", 0.78)], picture="lobster.jpg")
    >>> tags[0].name, len(tags)
    ('crab', 2)
    """

    def __init__(self, tags=(), picture=None):
        super().__init__(tags)
        self.picture = picture

    def to_frame(self):
        """A pandas DataFrame with a row a tag: name, score."""
        return frame({"name": [tag.name for tag in self], "score": [tag.score for tag in self]})

    def _repr_html_(self):
        return notebook.gallery("", [self._card()])

    def _card(self):
        return self.picture, [f"{tag.name} {score(tag.score)}" for tag in self[:SHOWN]]


class TaggedPictures(list):
    """The Tags of several pictures, in their order.

    >>> TaggedPictures([Tags([Tag("crab", 0.83)], picture="lobster.jpg")])[0][0].score
    0.83
    """

    @classmethod
    def of(cls, names, hits):
        """The tags that a rule's Hits, ids (n, k) in `names` and scores, stand for."""
        return cls(Tags(Tag(names[row], float(score)) for row, score in zip(ids, scores, strict=True))
                   for ids, scores in zip(*hits, strict=True))

    def to_frame(self):
        """A pandas DataFrame with a row a tag: picture (its path, or its number), rank (from 1), name, score."""
        rows = [(number if tags.picture is None else str(tags.picture), rank, tag.name, tag.score)
                for number, tags in enumerate(self) for rank, tag in enumerate(tags, start=1)]
        names = ("picture", "rank", "name", "score")
        return frame(dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {name: [] for name in names})

    def _repr_html_(self):
        return notebook.gallery("tags, with their cosine", [tags._card() for tags in self])
