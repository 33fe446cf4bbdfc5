"""The engine that speaks paths and words: images indexed in each space of a model, asked by image or text."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from devise import features, index, storage
from devise.arrays import read_rows, unit_rows
from devise.datasets import ImageSet, Metadata, Skipped, join, metadata_of, open_images
from devise.errors import unknown
from devise.evaluation import Candidates
from devise.features import FeatureTable
from devise.features.table import has_changed
from devise.index.members import Made, held
from devise.model import Concepts, Devise, changed, mixed, weights_of
from devise.model.tags import FIRST_WORDS, Names, NearestNames, naming
from devise.search import saving, syncing
from devise.search.duplicates import ALIKE, Copy, duplicates
from devise.search.filters import Selection, select
from devise.search.joining import Part, joined, parts_of
from devise.search.links import below, links_of, once, placed
from devise.search.pictures import Thumbnails
from devise.search.results import Match, Results
from devise.search.syncing import Changes
from devise.words import phrase_vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.index import Index
    from devise.model import Space, Tags
    from devise.words import WordVectors


class Search:
    """Images indexed in the spaces of their model; any number of threads may ask while none adds or removes.

    Args:
        model: Devise.
        images: ImageSet, row i of it being id i of the indexes.
        indexes: {space: Index}.
        contents: `devise.features.table.CONTENT` (n,) of the images' files when they were indexed, None where that
            is not known.
        links: {path: the file's real place} of the images that lie behind a link.
        thumbnails: small copies of the images, where the index keeps them.
        parts: `devise.search.joining.Part` of each index that it was opened from, in the order of their rows.
        metadata: a function that gives Metadata or None of each image, asked when they are first needed.

    >>> search = Search.load("index")  # doctest: +SKIP
    >>> [match.label for match in search.by_text("ocean", k=3).matches]  # doctest: +SKIP
    ['beach', 'beach', 'lighthouse']
    """

    def __init__(self, model: Devise, images: ImageSet, indexes: dict[str, Index],
                 contents: NDArray | None = None, links: Mapping[str, str] = MappingProxyType({}),
                 thumbnails: Thumbnails | None = None, parts: Sequence[Part] = (),
                 metadata: Callable[[], list[Metadata | None]] | None = None):
        self.model, self.images, self.indexes, self.contents, self.links = model, images, indexes, contents, links
        self.thumbnails, self.parts = thumbnails, tuple(parts)
        self._metadata = metadata or (lambda: [None] * len(images))
        self._row = self._rows()

    @classmethod
    def build(cls, model: Devise, images: Any, *, engine: str = "auto", spaces: str | Iterable[str] | None = None,
              folder: str | Path | None = None, progress: Callable | None = None, **options: Any) -> Search:
        """Index images.

        Args:
            images: a folder, a list of paths, an ImageSet, or a FeatureTable of the model's backbone …
            engine: a name from `devise.index.engines()`, or "auto" for what `devise.index.choose` says of the
                widest space; options go to the engine.
            spaces: names of the spaces to index; None takes all that the model has.
            folder: where features are cached.
        Raises:
            ValueError: if the features are of another backbone, the model lacks a space, or no
                image can be indexed.
        """
        spaces = [spaces] if isinstance(spaces, str) else spaces
        chosen = {name: model.space(name) for name in (model.spaces if spaces is None else spaces)}
        found, matrix, contents = _indexable(model, images, folder, progress)
        if not len(found):
            raise ValueError("there is no picture to index: every feature vector is zero")
        if engine == "auto":
            widest = max(_embedded(space, matrix).shape[1] for space in chosen.values())
            engine, _ = index.choose(len(found), widest, options=tuple(set(options) - {"recall"}))
            if engine == "exact":  # which finds all
                options.pop("recall", None)
        indexes, made_by = {}, model.fingerprint
        for name, space in chosen.items():
            indexes[name] = index.make(engine, fingerprint=made_by, **options)
            indexes[name].build(_embedded(space, matrix))
        metadata = metadata_of(found)
        return cls(model, found, indexes, contents, links_of(found), metadata=lambda: metadata)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def default_space(self) -> str:
        """The space in which images are compared unless another is asked for."""
        return next(iter(self.indexes))  # in the order of the model, which need not be opened for it

    def make_thumbnails(self, progress: Callable | None = None) -> tuple[Skipped, ...]:
        """Keep a small copy of each image, for when the image itself can't be reached; of those added later too.

        Returns:
            the images that have none, and why.
        Raises:
            ValueError: if the index does not know what its images' files held.
        """
        if self.contents is None:
            raise ValueError("thumbnails go by the content of files, which these features don't tell: extract "
                             "them again")
        self.thumbnails = self.thumbnails or Thumbnails()
        return self.thumbnails.make(self.images, self.contents, progress)

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

    def add(self, images: Any, *, folder: str | Path | None = None, progress: Callable | None = None) -> ImageSet:
        """Index more images, of new classes too; nothing is trained. In memory, until `save`.

        An image that is in the index already is left out and listed, unless its file has another content now: then
        the new one takes its place. One that was moved keeps its row, under its new path and class. Images from
        elsewhere than the index's are kept by their whole path.

        Args:
            images, folder: as of `build`.
        Returns:
            ImageSet of the images that were added, have changed or were moved, and those that were skipped.
        Raises:
            ValueError: if the features are of another backbone.
        """
        found, matrix, contents = _indexable(self.model, images, folder, progress, self.images.class_level, joins=True)
        there = [self.row(found.file(row)) if found.held(row) is None and found.root else self._row.get(path)
                 for row, path in enumerate(found.paths)]
        here, moved = placed(found, self.images.root), self._moved(there, contents)
        there = [moved.get(place, row) for place, row in enumerate(there)]
        new = np.array([row is None for row in there], bool)
        again = np.array([row is not None and contents is not None and self.contents is not None
                          and (place in moved
                               or not np.array_equal(contents[place]["sha256"], self.contents[row]["sha256"]))
                          for place, row in enumerate(there)], bool)
        lost = [Skipped(here.paths[place], "it is in the index already") for place in np.flatnonzero(~new & ~again)]
        added = replace(here.subset(new | again), skipped=(*here.skipped, *lost))
        if not len(added):
            return added
        chosen = np.asarray(matrix[new | again], np.float32)
        rows = {name: self.model.spaces[name].embed(chosen) for name in self.indexes}  # what can fail
        metadata, known = [*self.metadata, *[None] * int(new.sum())], metadata_of(added)
        ids = np.where(new, len(self) - 1 + np.cumsum(new), [-1 if row is None else row for row in there])[new | again]
        for name, part in self.indexes.items():
            _put(part, ids, rows[name])
        mine = self._renamed({row: (here.paths[place], here.label_of(place) or self.images.label_of(row))
                              for place, row in moved.items()})
        rootless = [replace(part, root=None) for part in (mine, here.subset(new))]  # paths as they shall be
        self.images = replace(join(rootless), root=self.images.root, class_level=self.images.class_level)
        if self.contents is not None:
            self.contents = None if contents is None else np.concatenate([self.contents, contents[new]])
        if self.contents is not None and contents is not None:
            self.contents[ids] = contents[new | again]
            if self.thumbnails is not None:
                self.thumbnails.make(added, contents[new | again])
        for row, one in zip(ids.tolist(), known, strict=True):
            metadata[row] = one
        self.metadata, self.links = metadata, {**self.links, **links_of(added)}
        self._row = self._rows()
        return added

    def remove(self, images: str | Path | Iterable[str | Path]) -> tuple[str, ...]:
        """Take images out of the index; their files stay. In memory, until `save`.

        Args:
            images: paths as the index has them, or files; one or several.
        Returns:
            the paths that were taken out.
        Raises:
            ValueError: if one is not in the index, or none would be left.
        """
        asked = [images] if isinstance(images, (str, Path)) else list(images)
        rows = {str(image): self.row(image) for image in asked}
        for image, row in rows.items():
            if row is None and image in self._row:
                raise ValueError(f"{image} is the file {os.path.abspath(image)}, which is not in the index: name the "
                                 f"one of that name by its whole path, {self.images.file(self._row[image])}")
            if row is None:
                raise ValueError(unknown("picture in the index", image, self.images.paths))
        leaving = list(dict.fromkeys(row for row in rows.values() if row is not None))
        kept = np.setdiff1d(np.arange(len(self)), leaving)
        if not len(kept):
            raise ValueError(f"all {len(self)} pictures would go: remove the folder of the index instead")
        for part in self.indexes.values():
            part.remove(leaving)
            part.renumber()
        gone, self.metadata = tuple(self.images.paths[row] for row in leaving), [self.metadata[row] for row in kept]
        self.images = self.images.subset(kept)
        self.contents = None if self.contents is None else self.contents[kept]
        self._row = self._rows()
        return gone

    def duplicates(self, *, alike: float = ALIKE, progress: Callable | None = None) -> list[tuple[Copy, ...]]:
        """Groups of images that are copies of one another or nearly so; none is changed.

        Two are, where the cosine of their features is at least `alike`, where it is lower and their perceptual hashes
        agree, or where their files have the same bytes; a group holds all that such pairs connect.

        Args:
            alike: chosen for EfficientNet-Lite0; another backbone may ask for another.
            progress: called with (done, total) while images are hashed.
        Returns:
            list of groups of two or more, in the order of their rows; what can't be read is compared by features.
        Raises:
            ValueError: if the raw features are not indexed.
        """
        self._space("raw")
        return duplicates(self, alike, progress)

    def changes(self, folder: str | Path | None = None, *, allow_empty: bool = False,
                progress: Callable | None = None) -> Changes:
        """What is new, changed, moved and gone in the folders of the index; nothing is changed by asking.

        Args:
            folder: look at its pictures alone, of a new folder too; None for all folders that the index has read.
            allow_empty: take out pictures even where a folder is missing or holds none, or more than half would go.
            progress: called with (done, total) while headers are read.
        Raises:
            ValueError: if that is the case and not allowed, or the index knows no folder.
        """
        return syncing.changes(self, folder, allow_empty=allow_empty, progress=progress)

    def sync(self, folder: str | Path | None = None, *, changes: Changes | None = None, allow_empty: bool = False,
             progress: Callable | None = None) -> Changes:
        """Bring the index in line with its folders, as if it were built anew, and return what was done.

        New and changed pictures are looked at; a moved one keeps its vectors, and the class follows where its folder
        named it; what is gone leaves. In memory, until `save`.

        Args:
            folder, allow_empty: as of `changes`.
            changes: what `changes` gave, where that was asked before.
        Raises:
            ValueError: as `changes`, or if no picture would be left.
        """
        found = self.changes(folder, allow_empty=allow_empty) if changes is None else changes
        return syncing.follow(self, found, progress)

    def follow(self, places: Mapping[int, tuple[str, str | None]], stamps: Mapping[int, tuple[int, int]],
               sources: Iterable[str], root: Path) -> None:
        """Note where pictures lie now: their vectors stay. In memory, until `save`.

        Args:
            places: {row: (path as the index shall have it, class or None)} of those that moved.
            stamps: {row: `devise.storage.stamp` of its file} of those whose content is known to be the same.
            sources: the folders that the index is of, real paths.
            root: the folder that the paths of the index shall start from.
        """
        self.images = placed(replace(self._renamed(places), sources=tuple(sources)), root)
        if self.contents is not None:
            for row, stamp in stamps.items():
                self.contents["size"][row], self.contents["mtime_ns"][row] = stamp
        self.links = links_of(self.images)
        self._row = self._rows()

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
        """
        space, among = self.text_space(space), self._selection(where)
        rows, joined, names = self._question(text, also, space)
        side = self.model.spaces[space].text
        assert side is not None
        thresholds = side.thresholds(rows, false_accept_rate)
        return self._answer(text if isinstance(text, str) else _written(text), space, rows, k, joined, among,
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
        space, among = self._space(space), self._selection(where)
        threshold = self.model.spaces[space].threshold
        if reject and threshold is None:
            raise ValueError(f"the space {space!r} has no threshold to reject by: train a model with `devise siamese`, "
                             "choose one with Devise.calibrate, or ask without reject")
        row, vector = self.vector(image, space)
        return self._answer(self._named(image), space, vector[None], k, [row], among, threshold=threshold,
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
        space, among = self.text_space(space), self._selection(where)
        plus, minus = ((texts,) if isinstance(texts, str) else tuple(texts) for texts in (plus, minus))
        row, vector = self.vector(image, space)
        joined, names, vectors = self._also(also, space)
        asked = unit_rows((vector + sum(vectors))[None], "the sum of the pictures")
        if plus or minus or not joined:
            asked = changed(self.model, asked, plus=plus, minus=minus, space=space, **weights)
        return self._answer(self._named(image), space, asked, k, [row, *joined], among, also=names, plus=plus,
                            minus=minus)

    def _question(self, text, also, space):
        """A question as a unit row, the rows of the images in it, None for one that is not indexed, and their names."""
        joined, names, vectors = self._also(also, space)
        weights = weights_of(text) if isinstance(text, str) else text
        return mixed(self.model, weights, np.sum(vectors, axis=0) if vectors else None, space=space), joined, names

    def _also(self, images, space):
        """The row or None, the name and the vector of each image that joins a question, one or several."""
        images = list(images) if isinstance(images, (list, tuple)) else [images]
        found = [self.vector(image, space) for image in images]
        return [row for row, _ in found], tuple(map(self._named, images)), [vector for _, vector in found]

    def _selection(self, where):
        """The images for which a condition holds; None without one."""
        return where if where is None or isinstance(where, Selection) else self.select(where)

    def select(self, where: str) -> Selection:
        """The images for which a condition holds, see `devise.search.select`; a question takes it as `where`."""
        return select(where, self.images, self.metadata)

    def _answer(self, query, space, vectors, k, rows=(), among=None, *, threshold=None, reject=False, **told):
        """The k best matches of a question but for some rows, and without those below the threshold if so asked."""
        rows = {row for row in rows if row is not None}
        part = self.indexes[space]
        ids = None if among is None else among.rows[np.isin(among.rows, part.ids)]  # of twins the index has one
        hits = part.search(vectors, min(self._depth(k) + len(rows), len(self)), among=ids)
        matches = tuple(match for match in self._matches(hits) if match.row not in rows)[:k]
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
            candidates: str | Sequence[str] | Candidates | Concepts | NearestNames | None = None,
            space: str | None = None, first: int = FIRST_WORDS) -> Tags:
        """Names for an image, as `by_image` takes it; the options are those of `Devise.tag`.

        Names that `devise.model.tags.naming` has made need not be made again for each image.
        """
        space = self.text_space(space)
        names: Names = (candidates if isinstance(candidates, Concepts | NearestNames) else
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

    def _moved(self, there: Sequence[int | None], contents: NDArray | None) -> dict[int, int]:
        """{place: row} of images that are not there and have the content of a row whose own file is gone."""
        if contents is None or self.contents is None or self.images.root is None or None not in there:
            return {}
        gone = {self.contents[row]["sha256"].tobytes(): row for row in reversed(range(len(self)))
                if self.images.held(row) is None and not os.path.lexists(self.images.file(row))}
        return {place: gone.pop(content) for place, row in enumerate(there)
                if row is None and (content := contents[place]["sha256"].tobytes()) in gone}

    def _renamed(self, changes: Mapping[int, tuple[str, str | None]]) -> ImageSet:
        """The images of the index, some rows under another path and class, {row: (path, class or None)}."""
        paths, labels = list(self.images.paths), self.images.labels.copy()
        names = tuple(dict.fromkeys((*self.images.label_names, *(name for _, name in changes.values() if name))))
        for row, (path, name) in changes.items():
            paths[row], labels[row] = path, -1 if name is None else names.index(name)
        return replace(self.images, paths=tuple(paths), labels=labels, label_names=names)

    def text_space(self, name: str | None = None) -> str:
        """The name of an indexed space with a text side; None is the first that has one.

        Raises:
            ValueError: if the index has none; the message says how to get one.
        """
        found = self.model.text_space(name)
        return self._space(found)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the index with its model, whole or not at all; the folder is complete on its own.

        Args:
            overwrite: whether an index that is there may lose its model, a space, or pictures.
        Raises:
            FileExistsError: if it would, or if the folder holds files of somebody else's and no index.
        """
        saving.save(self, Path(folder), overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path, *more: str | Path, words: WordVectors | str | Path | None = None) -> Search:
        """Open an index that `save` wrote; vectors stay on disk where the engine can map them.

        Args:
            folder, more: several are searched as one, if one model made them. An image that is in two of them
                is found once.
            words: the word vectors of the model, in place of opening them from where they lay.
        Raises:
            FileNotFoundError: if a folder holds none.
            ValueError: if its parts don't fit one another, or the folders don't.
        """
        if more:
            searches = [cls.load(each, words=words) for each in (folder, *more)]
            return cls(**joined(searches, (folder, *more)))
        search = cls(*saving.load(Path(folder), words))
        search.parts = parts_of([search], [folder])
        return search

    def _rows(self) -> dict[str, int]:
        """{path: row}, the first row of a path that comes twice."""
        rows = {self.images.paths[row]: row for row in reversed(range(len(self.images)))}
        self.links = {path: place for path, place in self.links.items() if path in rows}
        self._behind = {place: rows[path] for path, place in self.links.items()}
        return rows

    def _matches(self, hits):
        pairs = zip(hits.ids[0].tolist(), hits.scores[0].tolist(), strict=True)
        return tuple(Match(row, self.images.paths[row], self.images.label_of(row), score) for row, score in pairs
                     if row >= 0)

    def _named(self, image: Any) -> str:
        if isinstance(image, int):
            return self.images.paths[image]
        return str(image) if isinstance(image, (str, Path)) else "a picture"

    def _depth(self, k: int) -> int:
        if k < 1:
            raise ValueError(f"k is {k}: ask for at least 1 picture")
        return min(k, len(self))

    def _space(self, space: str | None) -> str:
        space = self.default_space if space is None else space
        if space not in self.indexes:
            self.model.space(space)  # refuses one that the model lacks too, and says how to get it
            raise ValueError(f"this index has the spaces {', '.join(self.indexes)} and not {space!r}, which its model "
                             "has: index the pictures again with it")
        return space


def _indexable(model: Devise, images: Any, folder: str | Path | None, progress: Callable | None,
               class_level: str | None = None, joins: bool = False) -> tuple[ImageSet, NDArray, NDArray | None]:
    """Images, their features and contents for an index, each file once; all-zero features are left out and listed."""
    table = images
    if not isinstance(images, FeatureTable):
        opened = open_images(images, class_level=class_level or model.class_level)
        table = (features.extract_some(opened, model.backbone, progress=progress) if joins and not folder else
                 features.extract(opened, model.backbone, folder, progress=progress))
    model.network.check(table)
    table = features.usable(table)
    rows, lost = once(table.images, links_of(table.images))
    if len(rows) < len(table):
        table = table.subset(rows)
    return replace(table.images, skipped=(*table.images.skipped, *lost)), table.matrix, table.contents


def _embedded(space: Space, matrix: NDArray) -> Made:
    """Features, which may be memory-mapped, as rows of a space that are made a block at a time."""
    return Made((len(matrix), space.embed(read_rows(matrix, 0, 1)).shape[1]),
                lambda start, stop: space.embed(read_rows(matrix, start, stop)))


def _written(weights: Mapping[str, float]) -> str:
    """Weighted texts as a person would type them."""
    named = {text: f'"{text}"' if " " in text else text for text in weights}
    return " ".join(f"{'-' if weight < 0 else ''}{named[text]}{'' if abs(weight) == 1 else f'^{abs(weight):g}'}"
                    for text, weight in weights.items())


def _put(part: Index, ids: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
    """Give an index these rows, in place of those that it has under the same ids."""
    part.remove(ids[held(ids, part.ids)])
    part.add(rows, ids)
