"""The engine that speaks paths and words: an index of images is built, changed, saved and opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from devise import features, index
from devise.arrays import read_rows
from devise.datasets import ImageSet, Skipped, join, metadata_of, open_images
from devise.errors import unknown
from devise.features import FeatureTable
from devise.index.comparing import held
from devise.index.members import Made
from devise.model import Devise
from devise.search import saving, syncing
from devise.search.asking import Indexed
from devise.search.duplicates import ALIKE, Copy, duplicates
from devise.search.joining import joined, parts_of
from devise.search.links import below, links_of, once, placed
from devise.search.pictures import Thumbnails
from devise.search.syncing import Changes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.model import Space
    from devise.words import WordVectors


class Search(Indexed):
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

    state: tuple[str, str] | None = None  # of the folder that it was opened from or saved to last, as `saving` has it

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
        made_by = model.fingerprint
        indexes = {name: index.make(engine, fingerprint=made_by, **options).build(_embedded(space, matrix))
                   for name, space in chosen.items()}
        metadata = metadata_of(found)
        return cls(model, found, indexes, contents, links_of(found), metadata=lambda: metadata)

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
        ids = np.array([-1 if row is None else row for row in there], np.int64)
        ids[list(moved)] = list(moved.values())
        new, again = ids < 0, np.zeros(len(ids), bool)
        if contents is not None and self.contents is not None:
            again[~new] = (contents["sha256"][~new] != self.contents["sha256"][ids[~new]]).any(axis=1)
            again[list(moved)] = True
        lost = [Skipped(here.paths[place], "it is in the index already") for place in np.flatnonzero(~new & ~again)]
        added = replace(here.subset(new | again), skipped=(*here.skipped, *lost))
        if not len(added):
            return added
        chosen = np.asarray(matrix[new | again], np.float32)
        rows = {name: self.model.spaces[name].embed(chosen) for name in self.indexes}  # what can fail
        metadata, known = [*self.metadata, *[None] * int(new.sum())], metadata_of(added)
        ids = np.where(new, len(self) - 1 + np.cumsum(new), ids)[new | again]
        for name, part in self.indexes.items():
            part.remove(ids[held(ids, part.ids)])  # what others take the place of
            part.add(rows[name], ids)
        mine = self._renamed({row: (here.paths[place], here.label_of(place) or self.images.label_of(row))
                              for place, row in moved.items()})
        rootless = [replace(part, root=None) for part in (mine, here.subset(new))]  # paths as they shall be
        self.images = replace(join(rootless), root=self.images.root, class_level=self.images.class_level)
        if self.contents is None or contents is None:
            self.contents = None
        else:
            self.contents = np.concatenate([self.contents, contents[new]])
            self.contents[ids] = contents[new | again]
            if self.thumbnails is not None:
                self.thumbnails.make(added, contents[new | again])
        for row, one in zip(ids.tolist(), known, strict=True):
            metadata[row] = one
        self.metadata, self.links = metadata, {**self.links, **links_of(added)}
        self._row = self._by_path()
        return added

    def remove(self, images: str | Path | Iterable[str | Path]) -> tuple[str, ...]:
        """Take images out of the index; their files stay. In memory, until `save`.

        Args:
            images: paths as the index has them, files, or folders, which take all that the index has below them; one or
                several.
        Returns:
            the paths that were taken out.
        Raises:
            ValueError: if one is not in the index, or none would be left.
        """
        asked = [images] if isinstance(images, (str, Path)) else list(images)
        rows = {str(image): self._below(image) if (row := self.row(image)) is None else [row] for image in asked}
        for image, found in rows.items():
            if not found and image in self._row:
                raise ValueError(f"{image} is the file {os.path.abspath(image)}, which is not in the index: name the "
                                 f"one of that name by its whole path, {self.images.file(self._row[image])}")
            if not found:
                raise ValueError(unknown("picture in the index", image, self.images.paths))
        leaving = list(dict.fromkeys(row for found in rows.values() for row in found))
        kept = np.setdiff1d(np.arange(len(self)), leaving)
        if not len(kept):
            raise ValueError(f"all {len(self)} pictures would go: remove the folder of the index instead")
        for part in self.indexes.values():
            part.remove(leaving)
            part.renumber()
        gone, self.metadata = tuple(self.images.paths[row] for row in leaving), [self.metadata[row] for row in kept]
        self.images = self.images.subset(kept)
        self.contents = None if self.contents is None else self.contents[kept]
        self._row = self._by_path()
        return gone

    def _below(self, folder: str | Path) -> list[int]:
        """The rows of all images below a folder, on this disk or as the index names it."""
        path, root = Path(folder).expanduser(), self.images.root
        there = {os.path.abspath(path), os.path.realpath(path)} if os.path.lexists(path) else set()
        if root and there & {os.path.abspath(root), os.path.realpath(root)}:
            return list(range(len(self)))
        names = {below(place, root) if root else place for place in there} or {str(folder)}
        start = tuple(f"{name.rstrip('/')}/" for name in names)
        return [row for row, place in enumerate(self.images.paths) if place.startswith(start)]

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
            sources, root: as of an `ImageSet`.
        """
        self.images = placed(replace(self._renamed(places), sources=tuple(sources)), root)
        if self.contents is not None:
            for row, stamp in stamps.items():
                self.contents["size"][row], self.contents["mtime_ns"][row] = stamp
        self.links = links_of(self.images)
        self._row = self._by_path()

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

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the index with its model, whole or not at all; the folder is complete on its own.

        Args:
            overwrite: whether an index that is there may lose its model, a space, or pictures; what was taken out of
                this very index may go without it.
        Raises:
            FileExistsError: if it would, if the folder holds files of somebody else's and no index, or if this index
                was opened from it and another process has changed it since.
        """
        self.state = saving.save(self, Path(folder), overwrite=overwrite)

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
        parts, state = saving.load(Path(folder), words)
        search = cls(*parts)
        search.state = state
        search.parts = parts_of([search], [folder])
        return search


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
