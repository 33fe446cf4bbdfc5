"""A set of images: aligned rows of paths, classes and captions, and the files left out of it."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise import storage
from devise.datasets.images import check_pixels, read_image

SHOWN = 5  # skipped files of one reason in a report


class Skipped(NamedTuple):
    """A file that is not among the rows, and why.

    >>> Skipped("cat/notes.png", "it is no picture").reason
    'it is no picture'
    """

    path: str
    reason: str


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images by row: where each one lies, its class, its captions, and what was left out.

    Attributes:
        paths: POSIX paths relative to `root`, one a row; a stable name for an image in memory.
        labels: int64 (n,), positions in `label_names`; -1 is an image without a class.
        label_names: the classes; a subset keeps those it has no image of.
        root: the folder the paths start from; None where only whole paths are on this disk, if any.
        skipped: the files that were found and not used.
        captions: the sentences about each image, or None where there are none.
        pixels: uint8 (h, w, 3) of each image that is held in memory, None for one in a file; None
            where all are in files. Not copied.
        class_level: "first" or "last", where a folder of that level names the class; else None.
        notes: what a person should know of how the set was read.
        sources: the real paths of the folders that were read for it, whole.
    Raises:
        ValueError: if the rows are not aligned, a label names no class, or pixels are no image.

    >>> images = ImageSet(("cat/1.jpg", "dog/1.jpg"), [0, 1], ("cat", "dog"), root=None)
    >>> images.label_of(1)
    'dog'
    """

    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    root: Path | None
    skipped: tuple[Skipped, ...] = ()
    captions: tuple[tuple[str, ...], ...] | None = None
    pixels: tuple[NDArray[np.uint8] | None, ...] | None = None
    class_level: str | None = None
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def __post_init__(self):
        keep = {
            "paths": tuple(map(str, self.paths)),
            "labels": _label_rows(self.labels, len(self.label_names)),
            "label_names": tuple(map(str, self.label_names)),
            "root": None if self.root is None else Path(self.root),
            "skipped": tuple(Skipped(*item) for item in self.skipped),
            "captions": None if self.captions is None else tuple(map(tuple, self.captions)),
            "pixels": None if self.pixels is None else tuple(
                None if held is None else _frozen(held) for held in self.pixels),
        }
        for name in ("labels", "captions", "pixels"):
            if keep[name] is not None and len(keep[name]) != len(keep["paths"]):
                raise ValueError(f"{len(keep['paths'])} paths but {len(keep[name])} {name}: "
                                 "expected one entry a picture")
        if len(set(keep["label_names"])) < len(keep["label_names"]):
            raise ValueError(f"label_names hold a name twice: {', '.join(keep['label_names'])}")
        for name, value in keep.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.paths)

    def held(self, row: int) -> NDArray[np.uint8] | None:
        """The pixels of an image that is held in memory, None of one in a file."""
        return None if self.pixels is None else self.pixels[row]

    def file(self, row: int) -> Path:
        """The path of an image on this disk.

        Raises:
            FileNotFoundError: if the image is not on this disk.
        """
        if self.held(row) is not None:
            raise FileNotFoundError(f"{self.paths[row]} is held in memory and has no file: use read(row)")
        path = self.paths[row]
        if self.root is None and not os.path.isabs(path):
            told = "is behind a URL" if storage.is_url(path) else "is not on this disk: the set has no root folder"
            raise FileNotFoundError(f"{path} {told}")
        return Path(path) if self.root is None else self.root / path

    def read(self, row: int) -> NDArray[np.uint8]:
        """The pixels of an image, upright, uint8 (h, w, 3), from memory or from its file.

        Raises:
            ValueError: if the file can't be read as an image, see `read_image`.
            FileNotFoundError: if it is not on this disk.
        """
        held = self.held(row)
        return read_image(self.file(row)) if held is None else held

    def digest(self, row: int) -> str:
        """SHA-256 of an image's file, or of its shape and pixels where it is held in memory.

        Raises:
            OSError: if the file can't be read.
        """
        pixels = self.held(row)
        if pixels is None:
            return storage.digest(self.file(row))
        return hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()

    @property
    def all_held(self) -> bool:
        """Whether every image is held in memory, and none in a file."""
        return self.pixels is not None and all(pixels is not None for pixels in self.pixels)

    def label_of(self, row: int) -> str | None:
        """The name of an image's class, or None where it has none."""
        label = self.labels[row]
        return None if label < 0 else self.label_names[label]

    def counts(self) -> dict[str, int]:
        """How many images each class has, by name; classes without any are named too."""
        counts = np.bincount(self.labels[self.labels >= 0], minlength=len(self.label_names))
        return dict(zip(self.label_names, counts.tolist(), strict=True))

    @property
    def single(self) -> tuple[str, ...]:
        """The classes with one image, which has no other to find."""
        return tuple(name for name, count in self.counts().items() if count == 1)

    def subset(self, rows: ArrayLike) -> ImageSet:
        """The set of some rows, in the order given, with the same classes and skipped files.

        Args:
            rows: int (m,) row ids, or bool (n,) True where a row is kept.
        Raises:
            ValueError: if a mask has another length, or a row is out of range.
        """
        ids = _row_ids(rows, len(self))
        return replace(self, paths=tuple(self.paths[row] for row in ids), labels=self.labels[ids],
                       captions=self.captions and tuple(self.captions[row] for row in ids),
                       pixels=self.pixels and tuple(self.pixels[row] for row in ids))

    def with_classes(self, names: Sequence[str]) -> ImageSet:
        """The same images with these classes alone, in this order; those of another class have none.

        >>> images = ImageSet(("cat/1.jpg", "dog/1.jpg"), [0, 1], ("cat", "dog"), root=None)
        >>> images.with_classes(["dog"]).labels
        array([-1,  0])
        """
        places = {name: place for place, name in enumerate(names)}
        table = np.array([*(places.get(name, -1) for name in self.label_names), -1], np.int64)
        return replace(self, labels=table[self.labels], label_names=tuple(names))

    def report(self) -> str:
        """How many images and classes there are, and the skipped files, of many for one reason the first ones."""
        classes = sum(count > 0 for count in self.counts().values())
        unlabelled = int((self.labels < 0).sum())
        parts = [_number(len(self), "picture"), _number(classes, "class", "classes")]
        if unlabelled:
            parts.append(f"{unlabelled:,} without a class")
        summary = ", ".join(parts)
        if not self.skipped:
            return summary
        by_reason: dict[str, list[str]] = {}
        for path, reason in self.skipped:
            by_reason.setdefault(reason, []).append(path)
        lines = []
        for reason, paths in by_reason.items():
            shown = len(paths) if len(paths) <= SHOWN + 1 else SHOWN
            lines += [f"  {_printable(path)}: {_printable(reason)}" for path in paths[:shown]]
            lines += [f"  … and {len(paths) - shown:,} more: {_printable(reason)}"] if shown < len(paths) else []
        return "\n".join([f"{summary}; {len(self.skipped):,} skipped:", *lines])


def join(sets: Iterable[ImageSet]) -> ImageSet:
    """The images of several sets in this order, classes by name, paths from the deepest folder that they share.

    Where a set of files has no root the paths stay as they are, and the whole has none. Captions are
    kept where all sets have them.

    Args:
        sets: one or more.

    >>> cats = ImageSet(("a.jpg",), np.array([0]), ("cat",), Path("/pictures/cats"))
    >>> dogs = ImageSet(("b.jpg",), np.array([0]), ("dog",), Path("/pictures/dogs"))
    >>> join([cats, dogs]).paths
    ('cats/a.jpg', 'dogs/b.jpg')
    """
    parts = _from_one_root(list(sets))
    names = tuple(dict.fromkeys(name for part in parts for name in part.label_names))
    labels = [np.array([*map(names.index, part.label_names), -1])[part.labels] for part in parts]  # -1, no class, stays
    told = [part.captions for part in parts if part.captions is not None]
    levels = {part.class_level for part in parts if part.label_names}
    pixels = [part.pixels or (None,) * len(part) for part in parts] if any(part.pixels for part in parts) else []
    return ImageSet(_chained(part.paths for part in parts), np.concatenate(labels), names, parts[0].root,
                    _chained(part.skipped for part in parts), _chained(told) if len(told) == len(parts) else None,
                    _chained(pixels) if pixels else None, levels.pop() if len(levels) == 1 else None,
                    tuple(dict.fromkeys(_chained(part.notes for part in parts))),
                    tuple(dict.fromkeys(_chained(part.sources for part in parts))))


def _chained(parts):
    return tuple(itertools.chain.from_iterable(parts))


def _from_one_root(sets):
    """The sets, their paths told from one root, or all without one; images in memory need none."""
    held = [part.all_held for part in sets]
    roots = [part.root for part, within in zip(sets, held, strict=True) if not within]
    if None in roots or not roots:
        return [replace(part, root=None) for part in sets]
    root = Path(os.path.commonpath([place.resolve() for place in roots]))
    return [replace(part, root=root, paths=part.paths if within else tuple(
        path if part.held(row) is not None else _told_from(root, part.root.resolve() / path)
        for row, path in enumerate(part.paths))) for part, within in zip(sets, held, strict=True)]


def _told_from(root, file):
    """The path of a file from a folder; the whole one where it lies elsewhere."""
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


def _frozen(pixels):
    """A view of an image's pixels that can't be written to."""
    view = check_pixels(pixels).view()
    view.setflags(write=False)
    return view


def _label_rows(labels, n_classes):
    rows = whole_numbers(labels, "labels")
    wrong = np.flatnonzero((rows < -1) | (rows >= n_classes))
    if wrong.size:
        raise ValueError(f"label {rows[wrong[0]]} of row {wrong[0]} is not in -1..{n_classes - 1}, "
                         f"the positions of {n_classes} label names")
    rows.setflags(write=False)
    return rows


def _row_ids(rows, n):
    rows = np.asarray(rows)
    if rows.dtype == bool:
        if rows.shape != (n,):
            raise ValueError(f"the mask has shape {rows.shape}: expected ({n},), one entry a picture")
        return np.flatnonzero(rows)
    rows = whole_numbers(rows, "rows, as row ids or a mask,")
    wrong = rows[(rows < 0) | (rows >= n)]
    if wrong.size:
        raise ValueError(f"row {wrong[0]} is not in 0..{n - 1}")
    return rows


def whole_numbers(values: ArrayLike, name: str) -> NDArray[np.int64]:
    """Labels, or row ids, as an array of their own (n,); ValueError where they are none."""
    values = np.asarray(values)
    if values.ndim != 1 or values.size and values.dtype.kind not in "iu":
        raise ValueError(f"{name} are {values.dtype} {values.shape}: expected whole numbers (n,)")
    return values.astype(np.int64)


def read_text(path: str | os.PathLike, expected: str) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        FileNotFoundError: if there is none; tells what was expected.
        ValueError: if it is no such text.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: expected {expected}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text ({error})") from error


def filled_lines(text: str) -> list[tuple[int, str]]:
    """(number from 1, line) of the lines that hold something; a sentence may hold Unicode's own line ends."""
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def numbered(classes: Sequence[str | None]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The labels of images by the names of their classes, None for no class, and the names, sorted.

    >>> numbered(["dog", None, "cat"])
    (array([ 1, -1,  0]), ('cat', 'dog'))
    """
    names = tuple(sorted({name for name in classes if name is not None}))
    position = {None: -1} | {name: label for label, name in enumerate(names)}
    return np.array([position[name] for name in classes], np.int64), names


def _number(count, singular, plural=None):
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def _printable(text):
    """`text` on one line: file names may hold newlines and terminal codes."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
