"""Images indexed in each space of a model, asked by words, phrases and images."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from devise import storage
from devise.arrays import unit_rows
from devise.datasets import ImageSet, Metadata, metadata_of
from devise.evaluation import Candidates
from devise.features.table import has_changed
from devise.figures import counted
from devise.model import Devise, changed, mixed, weights_of
from devise.model.tags import FIRST_WORDS, Names, naming
from devise.search.filters import Selection, select
from devise.search.joining import Part
from devise.search.links import below
from devise.search.pictures import Thumbnails
from devise.search.results import Match, Results
from devise.words import phrase_vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.index import Index
    from devise.model import Tags


class Indexed:
    """Images indexed in the spaces of their model, to be asked; `Search` builds, changes and saves them."""

    def __init__(self, model: Devise, images: ImageSet, indexes: dict[str, Index],
                 contents: NDArray | None = None, links: Mapping[str, str] = MappingProxyType({}),
                 thumbnails: Thumbnails | None = None, parts: Sequence[Part] = (),
                 metadata: Callable[[], list[Metadata | None]] | None = None):
        self.model, self.images, self.indexes, self.contents, self.links = model, images, indexes, contents, links
        self.thumbnails, self.parts = thumbnails, tuple(parts)
        self._metadata = metadata or (lambda: [None] * len(images))
        self._row = self._by_path()

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({counted(len(self.rows), 'picture')}: {', '.join(self.indexes)})"

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows that answers may hold, ascending: of a picture that two of several indexes have, one alone."""
        return self.indexes[self.default_space].ids

    @property
    def default_space(self) -> str:
        """The space in which images are compared unless another is asked for."""
        return next(iter(self.indexes))  # in the order of the model, which need not be opened for it

    def thumbnail(self, row: int) -> bytes | None:
        """The small copy of an image that the index keeps, a JPEG; None where it keeps none.

        Raises:
            OSError: if the file that holds it is damaged.
        """
        if self.thumbnails is None or self.contents is None:
            return None
        return self.thumbnails.get(self.contents["sha256"][row].tobytes())

    def part_of(self, row: int) -> str | None:
        """The name of the index that a row is from, where several are joined; else None."""
        if len(self.parts) < 2:
            return None
        ends = np.cumsum([part.images for part in self.parts])
        return self.parts[int(np.searchsorted(ends, row, side="right"))].name

    @cached_property
    def metadata(self) -> list[Metadata | None]:
        """What the camera wrote into each image's file; None where there is none on this disk.

        It was read when the image was indexed; of an index that an older devise saved it is read from the files now,
        and kept by the next `save`.
        """
        found = list(self._metadata())
        missing = [row for row, known in enumerate(found) if known is None]
        for row, known in zip(missing, metadata_of(self.images.subset(missing)), strict=True):
            found[row] = known
        return found

    def by_text(self, text: str | Mapping[str, float], k: int = 10, *, also: Any = (), space: str | None = None,
                reject: bool = False, false_accept_rate: float | None = None,
                where: str | Selection | None = None) -> Results:
        """Images for words, phrases or sentences, by cosine in a space with a text side.

        Args:
            text: one text, in which a minus before a word takes it away and ^2 counts it twice, see
                `devise.model.weights_of`; or {text: weight}, below 0 for what is taken away, see `devise.model.mixed`.
            also: images that the answer shall be like too, one or several, each as of `by_image`.
            reject: leave out weak matches, below the threshold of this text; there may be none left.
            false_accept_rate: the share of images without the thing that may pass; None takes the model's own.
            where: a condition on the images that may be found, see `devise.search.select`, or what it made of one; None
                for all.
        Returns:
            Results with at most k matches, and the threshold of the text where the model has thresholds of texts.
        Raises:
            KeyError: if no word of it has a vector; the message lists near spellings.
            ValueError: if no space has a text side, there is no threshold to reject by, or the condition can't be read.
            TypeError: if the text is a list.
        """
        if not isinstance(text, (str, Mapping)):
            raise TypeError(f"the text is a {type(text).__name__}: expected one str, or {{text: weight}} for a "
                            "question of several parts; ask each of several questions by itself")
        space = self.text_space(space)
        joined, names, vectors = self._also(also, space)
        rows = mixed(self.model, weights_of(text) if isinstance(text, str) else text,
                     np.sum(vectors, axis=0) if vectors else None, space=space)
        side = self.model.spaces[space].text
        assert side is not None
        thresholds = side.thresholds(rows, false_accept_rate)
        return self._answer(text if isinstance(text, str) else _written(text), space, rows, k, joined, where,
                            threshold=None if thresholds is None else float(thresholds[0]), also=names,
                            reject=reject or thresholds is None and false_accept_rate is not None)

    def by_image(self, image: Any, k: int = 10, *, space: str | None = None, reject: bool = False,
                 where: str | Selection | None = None) -> Results:
        """Images like an image, which itself is left out when it is in the index.

        Args:
            image: the path of any file, or that of an indexed image as the index has it, or its row, which is asked
                as it was indexed; a PIL image, pixels uint8 (h, w, 3), or features float (dim of the backbone,).
            space: where to compare; None for the default, the first of the index.
            reject: leave out matches below the space's threshold, so that an image of something that
                is not in the index has none.
            where: as of `by_text`.
        Raises:
            ValueError: if the file can't be read, there is no such space, or no threshold to reject by.
        """
        space = self._space(space)
        threshold = self.model.spaces[space].threshold
        if reject and threshold is None:
            raise ValueError(f"the space {space!r} has no threshold to reject by: train a model with `devise siamese`, "
                             "choose one with Devise.calibrate, or ask without reject")
        row, vector = self.vector(image, space)
        return self._answer(self._named(image), space, vector[None], k, [row], where, threshold=threshold,
                            reject=reject)

    def by_change(self, image: Any, k: int = 10, *, plus: str | Sequence[str] = (), minus: str | Sequence[str] = (),
                  also: Any = (), space: str | None = None, where: str | Selection | None = None,
                  **weights: float) -> Results:
        """Images like an image that is changed by words: "this, but with a blue hat and without the dog".

        Args:
            image: as of `by_image`; itself it is left out.
            plus, minus, weights (force and less): see `devise.model.changed`; without words `also` is needed.
            also, where: as of `by_text`.
        Returns:
            Results in a space with a text side.
        Raises:
            KeyError, ValueError: if a text has no vector, or no space has a text side.
        """
        space = self.text_space(space)
        plus, minus = ((texts,) if isinstance(texts, str) else tuple(texts) for texts in (plus, minus))
        row, vector = self.vector(image, space)
        joined, names, vectors = self._also(also, space)
        asked = unit_rows((vector + sum(vectors))[None], "the sum of the pictures")
        if plus or minus or not joined:
            asked = changed(self.model, asked, plus=plus, minus=minus, space=space, **weights)
        return self._answer(self._named(image), space, asked, k, [row, *joined], where, also=names, plus=plus,
                            minus=minus)

    def _also(self, images, space):
        """The row or None, the name and the vector of each image that joins a question, one or several."""
        images = list(images) if isinstance(images, (list, tuple)) else [images]
        found = [self.vector(image, space) for image in images]
        return [row for row, _ in found], tuple(map(self._named, images)), [vector for _, vector in found]

    def select(self, where: str) -> Selection:
        """The images for which a condition holds, see `devise.search.select`; a question takes it as `where`."""
        return select(where, self.images, self.metadata)

    def _answer(self, query, space, vectors, k, rows, where, *, threshold=None, reject=False, **told):
        """The k best matches of a question but for some rows, and without those below the threshold if so asked."""
        if k < 1:
            raise ValueError(f"k is {k}: ask for at least 1 picture")
        among = where if where is None or isinstance(where, Selection) else self.select(where)
        rows, part = {row for row in rows if row is not None}, self.indexes[space]
        ids = None if among is None else among.rows[np.isin(among.rows, part.ids)]  # of twins the index has one
        hits = part.search(vectors, min(k + len(rows), len(self)), among=ids)
        found = zip(hits.ids[0].tolist(), hits.scores[0].tolist(), strict=True)
        matches = tuple(Match(row, self.images.paths[row], self.images.label_of(row), score) for row, score in found
                        if row >= 0 and row not in rows)[:k]
        known = None if threshold is None else bool(matches) and matches[0].score >= threshold
        if reject:
            if threshold is None:
                raise ValueError(f"the space {space!r} has no threshold of texts to reject by: ask without, or take "
                                 "devise.pretrained(), which has")
            matches = tuple(match for match in matches if match.score >= threshold)
        return Results(query, space, matches, threshold, known, self.images.root, among=among, vector=vectors[0],
                       **told)

    def similarity(self, first: Any, second: Any, *, space: str | None = None) -> float:
        """The cosine of two images, indexed or not, in [-1, 1]."""
        space = self._space(space)
        return float(np.clip(self.vector(first, space)[1] @ self.vector(second, space)[1], -1, 1))

    def by_word(self, word: str, k: int = 10) -> list[tuple[str, float]]:
        """The words nearest to a word or phrase: a list of (word, cosine)."""
        words = self.model.words
        return words.neighbours(word if word in words else phrase_vector(word, words), k)

    def tag(self, image: Any, k: int = 10, *,
            candidates: str | Sequence[str] | Candidates | Names | None = None,
            space: str | None = None, first: int = FIRST_WORDS) -> Tags:
        """Names for an image, as `by_image` takes it; the options are those of `Devise.tag`.

        Names that `devise.model.tags.naming` has made need not be made again for each image.
        """
        space = self.text_space(space)
        names = (candidates if isinstance(candidates, Names) else
                 naming(self.model, candidates, space=space, first=first))
        return names.tag(self.vector(image, space)[1][None], k)[0]

    def vector(self, image: Any, space: str) -> tuple[int | None, NDArray[np.float32]]:
        """(row or None, unit vector) of an image, as `by_image` takes it, in one of the spaces."""
        embed = self.model.spaces[space].embed
        if isinstance(image, np.ndarray) and image.ndim == 1:
            return None, embed(image[None])[0]
        row = self.row(image) if isinstance(image, (str, Path, int)) else None
        if row is not None and not isinstance(image, int) and self.changed(row):
            image = self.images.file(row)
            warnings.warn(f"{image} has changed since it was indexed: it is asked as it is now, add it again",
                          stacklevel=3)
        elif row is not None:
            return row, self.indexes[space].vectors([row])[0]
        table = self.model.features([image] if isinstance(image, (str, Path)) else image)
        if len(table) != 1:
            raise ValueError(f"{len(table)} images were given: expected one")
        return row, embed(table.matrix)[0]

    def changed(self, row: int) -> bool:
        """Whether an image's file has another content than when it was indexed; equal size and time are trusted."""
        return has_changed(self.images, row, self.contents)

    def row(self, image: str | Path | int) -> int | None:
        """The row of an indexed image; else None.

        A path at which there is a file means that file, however it is spelled and through whatever links it is
        reached; any other is a path as the index has it. A number is the row itself.

        Raises:
            IndexError: if there is no such row.
        """
        if isinstance(image, int):
            if not 0 <= image < len(self):
                raise IndexError(f"row {image} is not in 0..{len(self) - 1}")
            return image
        path, root = Path(image).expanduser(), self.images.root
        if not os.path.lexists(path):
            row = self._row.get(str(image))
            return row if row is not None or root is None else self._row.get(below(os.path.abspath(path), root))
        for place in (os.path.abspath(path), os.path.realpath(path)):
            row = self._row.get(below(place, root) if root else place)
            if row is not None:
                return row
        row = self._behind.get(os.path.realpath(path))
        return self._hard_linked(path) if row is None else row

    def _hard_linked(self, path: Path) -> int | None:
        """The row of an image whose file has this further name, None if there is none."""
        if self.contents is None or not path.is_file() or os.stat(path).st_nlink == 1:
            return None
        content = np.frombuffer(bytes.fromhex(storage.digest(path)), np.uint8)
        for row in np.flatnonzero((self.contents["sha256"] == content).all(axis=1)).tolist():
            with contextlib.suppress(OSError):
                if os.path.samefile(self.images.file(row), path):
                    return row
        return None

    def text_space(self, name: str | None = None) -> str:
        """The name of an indexed space with a text side; None is the first that has one.

        Raises:
            ValueError: if the index has none; the message says how to get one.
        """
        found = self.model.text_space(name)
        return self._space(found)

    def _by_path(self) -> dict[str, int]:
        """{path: row}, the first row of a path that comes twice."""
        rows = {self.images.paths[row]: row for row in reversed(range(len(self.images)))}
        self.links = {path: place for path, place in self.links.items() if path in rows}
        self._behind = {place: rows[path] for path, place in self.links.items()}
        return rows

    def _named(self, image: Any) -> str:
        if isinstance(image, int):
            return self.images.paths[image]
        return str(image) if isinstance(image, (str, Path)) else "a picture"

    def _space(self, space: str | None) -> str:
        space = self.default_space if space is None else space
        if space not in self.indexes:
            self.model.space(space)  # refuses one that the model lacks too, and says how to get it
            raise ValueError(f"this index has the spaces {', '.join(self.indexes)} and not {space!r}, which its model "
                             "has: index the pictures again with it")
        return space


def _written(weights: Mapping[str, float]) -> str:
    """Weighted texts as a person would type them."""
    named = {text: f'"{text}"' if " " in text else text for text in weights}
    return " ".join(f"{'-' if weight < 0 else ''}{named[text]}{'' if abs(weight) == 1 else f'^{abs(weight):g}'}"
                    for text, weight in weights.items())
