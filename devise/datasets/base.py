"""A set of images: aligned rows of paths, classes and captions, and the files left out of it."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise import storage
from devise.datasets.images import check_image, check_pixels, read_image
from devise.errors import quoted
from devise.figures import counted

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
        parts = [counted(len(self), "picture"), counted(classes, "class")]
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


def numbered(classes: Sequence[str | None]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The labels of images by the names of their classes, None for no class, and the names, sorted.

    >>> numbered(["dog", None, "cat"])
    (array([ 1, -1,  0]), ('cat', 'dog'))
    """
    names = tuple(sorted({name for name in classes if name is not None}))
    position = {None: -1} | {name: label for label, name in enumerate(names)}
    return np.array([position[name] for name in classes], np.int64), names


def listed(root: Path | None, paths: Iterable[str], classes: Mapping, refused: dict, check: bool,
           progress: Callable[[int, int], object] | None, pixels: Mapping = MappingProxyType({})) -> ImageSet:
    """The image set of some paths, less those that their headers or names show can't be used.

    Of paths have `classes` the class or None, `refused` why a file was left out before, `pixels` an image in memory.
    """
    paths, kept = list(paths), []
    for done, path in enumerate(paths, 1):
        reason = check_image(root / path) if root and check and path not in pixels else None
        if _as_text(path) != path:  # it could be opened, but not named in the JSON of later steps
            reason = "its name is not valid UTF-8: rename it"
        if reason:
            refused[path] = reason
        else:
            kept.append(path)
        if progress:
            progress(done, len(paths))
    skipped = tuple(Skipped(_as_text(path), refused[path]) for path in sorted(refused, key=path_parts))
    return ImageSet(tuple(kept), *numbered([classes[path] for path in kept]), root, skipped,
                    pixels=tuple(pixels.get(path) for path in kept) if pixels else None)


def first_of(skipped: tuple[Skipped, ...]) -> str:
    """Clause for a message: how many files were skipped, and why the first was."""
    if not skipped:
        return ""
    path = skipped[0].path if len(skipped[0].path) < 300 else quoted(skipped[0].path)
    return f"; {len(skipped):,} were skipped, the first {path}: {skipped[0].reason}"


def _printable(text):
    """`text` on one line: file names may hold newlines and terminal codes."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def path_parts(path: str) -> list[str]:
    """The folders of a POSIX path and its name: paths are compared part by part."""
    return path.split("/")


def composed(text: str) -> str:
    """`text` with é as one character: macOS writes file names with two."""
    return unicodedata.normalize("NFC", text)


def _as_text(path):
    """A path without the surrogates that stand for bytes which are not UTF-8."""
    return path.encode("utf-8", "backslashreplace").decode()
