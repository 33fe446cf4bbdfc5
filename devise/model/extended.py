"""Classes of one's own beside the model that comes with devise: what it knew it still knows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from devise.heads import ExtendedHead, JointHead
from devise.heads.joint import directions
from devise.model import text
from devise.model.concepts import Concepts, ConceptText, surest
from devise.model.objective import float_rows
from devise.model.space import Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.datasets import Split
    from devise.model.tags import TaggedImages
    from devise.words import LabelTable

OWN = 4.0  # weight of a label's own column beside what the model says by its name


class ExtendedConcepts:
    """The names that a model gives images, and labels that were learnt on top of it.

    Args:
        base: Concepts of the model.
        labels: a label each with the names that it goes by, the first for show; one that is a concept's speaks for it.

    Attributes:
        names: those of the model, then the labels that are no concept.
    """

    def __init__(self, base: Concepts, labels: Sequence[Sequence[str]]):
        self._base = base
        known = [next((base.row[name] for name in names if name in base.row), None) for names in labels]
        new = [names[0] for names, row in zip(labels, known, strict=True) if row is None]
        places = iter(range(len(base), len(base) + len(new)))
        self._rows = np.array([next(places) if row is None else row for row in known], np.int64)
        self.names = (*base.names, *new)
        self._rare = np.append(base.rare, np.zeros(len(new), bool))

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """How sure each name is for each image, 0 to 1: a noisy or of what the model says and of the label's column.

        Args:
            rows: (n, dim), images as an ExtendedHead embeds them.
        Returns:
            float32 (n, names).
        """
        rows, n = np.asarray(rows, np.float32) * np.float32(np.sqrt(2)), len(self._rows)
        found = np.zeros((len(rows), len(self.names)), np.float32)
        found[:, :len(self._base)] = self._base.scores(rows[:, :-n - 1])
        for column, row in enumerate(self._rows):
            found[:, row] = 1 - (1 - found[:, row]) * (1 - rows[:, column - n - 1] ** 2)
        return found

    def tag(self, rows: NDArray[np.float32], k: int = 10) -> TaggedImages:
        """The k surest names of each image, as `Concepts.tag` chooses them."""
        return surest(self, rows, k, self._rare, self._base.limit)


class ExtendedText(text.Text):
    """The text side of a model, and labels that were learnt on top of it: each speaks in its own column too.

    A text that asks for what a label is called by is [t, 4 u, 0] / √17, u being the column of the label; any other
    is [t, 0, 0], t being the model's unit row.

    Args:
        base: ConceptText of the model.
        labels: a label each with the names that it goes by, the last its own in the data.
    """

    kind = "extended"

    def __init__(self, base: ConceptText, labels: Sequence[Sequence[str]]):
        super().__init__(base.words)
        self.base, self.labels = base, tuple(tuple(names) for names in labels)

    @cached_property
    def concepts(self) -> ExtendedConcepts:
        """The names that it gives images."""
        return ExtendedConcepts(self.base.concepts, self.labels)

    @cached_property
    def _columns(self):
        """{what a text asks for: the labels that are called so}."""
        found: dict[str, list[int]] = {}
        for column, names in enumerate(self.labels):
            for asked in {self.base.asked(name) for name in names}:
                found.setdefault(asked, []).append(column)
        return found

    dim = property(lambda self: self.base.dim + len(self.labels) + 1)

    def of_labels(self, labels: LabelTable) -> NDArray[np.float32]:
        own = np.zeros((len(labels.names), len(self.labels)), np.float32)
        place = {names[-1]: column for column, names in enumerate(self.labels)}
        for row, name in enumerate(labels.names):
            if name in place:
                own[row, place[name]] = 1
        return self._beside(self.base.of_labels(labels), own)

    def embed_known(self, texts: Sequence[str]) -> NDArray[np.float32]:
        own = np.zeros((len(texts), len(self.labels)), np.float32)
        for row, asked in enumerate(texts):
            own[row, self._columns.get(self.base.asked(asked), [])] = 1
        return self._beside(self.base.embed_known(texts), directions(own))

    def _embed(self, texts):
        rows = self.embed_known(texts)
        for asked, row in zip(texts, rows, strict=True):
            if not row.any():
                self.base.embed(asked)  # raises, with near spellings
        return rows

    def _beside(self, rows, own):
        """Rows of the model and label columns as unit rows; zero where both are."""
        return directions(np.hstack([rows, OWN * own, np.zeros((len(rows), 1), np.float32)]))

    def thresholds(self, rows: NDArray[np.float32], false_accept_rate: float | None = None) -> NDArray[np.float32]:
        """The cosine from which on an image is taken to show what a text says, as the model has it: float32 (n,)."""
        told = rows[:, :self.base.dim]
        lengths = np.linalg.norm(told, axis=1)
        return self.base.thresholds(directions(told), false_accept_rate) * lengths / np.float32(np.sqrt(2))

    @property
    def config(self) -> dict:
        return super().config | {"base": self.base.config, "labels": [list(names) for names in self.labels]}

    def weights(self) -> dict[str, NDArray]:
        return self.base.weights()

    @classmethod
    def restore(cls, config: dict, weights: dict, words) -> ExtendedText:
        return cls(ConceptText.restore(config["base"], weights, words), config["labels"])


def extended(space: Space, matrix: NDArray, y: NDArray[np.int64], labels: LabelTable, split: Split) -> Space:
    """A space of the model that comes with devise, extended by the seen classes of a split.

    Args:
        space: with a JointHead and a ConceptText.
        matrix, y: (n, d) and int (n,), features and labels of all images.
        labels: of all classes.
    """
    assert isinstance(space.head, JointHead) and isinstance(space.text, ConceptText)
    seen = np.unique(y[np.concatenate([split.train, split.validation])])
    mine, held = (np.searchsorted(seen, y[rows]) for rows in (split.train, split.validation))
    validation = (float_rows(matrix, split.validation), held) if len(held) else None
    head = ExtendedHead.learnt(space.head, float_rows(matrix, split.train), mine, space.text.background,
                               validation=validation)
    names = [(labels.names[row].replace("_", " "), " ".join(labels.parts[row]), labels.names[row]) for row in seen]
    return Space(head, ExtendedText(space.text, names))
