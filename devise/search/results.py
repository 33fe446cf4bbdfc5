"""What a search found, for programs, for notebooks and for pandas."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devise import notebook
from devise.figures import counted, score
from devise.report import frame
from devise.search.filters import Selection


class Match(NamedTuple):
    """A picture that was found: its row in the index, its path, its label if it has one, its cosine.

    >>> Match(row=3, path="beach/4.jpg", label="beach", score=0.61).label
    'beach'
    """

    row: int
    path: str
    label: str | None
    score: float


class Results(NamedTuple):
    """What a query found, best first, and the space in which it was compared.

    Attributes:
        threshold: the cosine from which on a picture counts as found; None where the model has none.
        known: whether the best match reaches it; None without a threshold.
        root: the folder that the paths of the matches start from, or None.
        plus, minus: the words that a picture was changed by, see `Search.by_change`.
        also: the further pictures of the question.
        among: the pictures that the question was put to, where that is not all of them.
        vector: what pictures were compared with, a unit vector float32 (dim,).

    >>> found = Results("ocean", "shared", (Match(3, "beach/4.jpg", "beach", 0.61),))
    >>> found
    Results('ocean', shared space: 1 picture, beach/4.jpg 0.610)
    >>> [match.path for match in found.matches]
    ['beach/4.jpg']
    """

    query: str
    space: str
    matches: tuple[Match, ...]
    threshold: float | None = None
    known: bool | None = None
    root: Path | None = None
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    among: Selection | None = None
    vector: NDArray[np.float32] | None = None

    def __repr__(self) -> str:
        best = "".join(f", {match.path} {score(match.score)}" for match in self.matches[:1])
        return f"Results({self.asked!r}, {self.space} space: {counted(len(self.matches), 'picture')}{best})"

    @property
    def weak(self) -> tuple[bool, ...]:
        """Of each match whether it lies below the threshold; none does where there is no threshold.

        >>> Results("ocean", "shared", (Match(3, "4.jpg", None, 0.3), Match(5, "6.jpg", None, 0.2)), 0.25).weak
        (False, True)
        """
        return tuple(self.threshold is not None and match.score < self.threshold for match in self.matches)

    @property
    def change(self) -> str:
        """What was added to the query and taken from it, for a person: "+ blue hat − dog"; "" for nothing."""
        return " ".join([*(f"+ {text}" for text in (*self.also, *self.plus)), *(f"− {text}" for text in self.minus)])

    @property
    def asked(self) -> str:
        """The query and its change in one line."""
        return f"{self.query} {self.change}".rstrip()

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a match, best first: row, path, label (missing for none), score, weak."""
        columns = {name: [getattr(match, name) for match in self.matches] for name in Match._fields}
        return frame(columns | {"weak": list(self.weak)})

    def _repr_html_(self):
        title = f"{self.asked} (cosine, {self.space} space)"
        title += f": no match, the best is below {score(self.threshold)}" if self.known is False else ""
        return notebook.gallery(title, [(self.root and self.root / match.path,
                                         [f"{score(match.score)}{' weak' * weak}", match.label or
                                          Path(match.path).name])
                                        for match, weak in zip(self.matches, self.weak, strict=True)])
