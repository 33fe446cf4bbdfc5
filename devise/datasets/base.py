"""A set of pictures: aligned rows of paths, classes and captions, and the files left out of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Skipped(NamedTuple):
    """A file that is not among the rows, and why.

    >>> Skipped("cat/notes.png", "it is no picture").reason
    'it is no picture'
    """

    path: str
    reason: str


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Pictures by row: where each one lies, its class, its captions, and what was left out.

    Attributes:
        paths: POSIX paths relative to `root`, one a row.
        labels: int64 (n,), positions in `label_names`; -1 is a picture without a class.
        label_names: the classes; a subset keeps those it has no picture of.
        root: the folder the paths start from, or None where the pictures are not on this disk.
        skipped: the files that were found and not used.
        captions: the sentences about each picture, or None where there are none.
    Raises:
        ValueError: if the rows are not aligned, or a label names no class.

    >>> images = ImageSet(("cat/1.jpg", "dog/1.jpg"), [0, 1], ("cat", "dog"), root=None)
    >>> images.label_of(1)
    'dog'
    """

    paths: tuple[str, ...]
    labels: np.ndarray
    label_names: tuple[str, ...]
    root: Path | None
    skipped: tuple[Skipped, ...] = ()
    captions: tuple[tuple[str, ...], ...] | None = None

    def __post_init__(self):
        keep = {
            "paths": tuple(map(str, self.paths)),
            "labels": _label_rows(self.labels, len(self.label_names)),
            "label_names": tuple(map(str, self.label_names)),
            "root": None if self.root is None else Path(self.root),
            "skipped": tuple(Skipped(*item) for item in self.skipped),
            "captions": None if self.captions is None else tuple(map(tuple, self.captions)),
        }
        for name in ("labels", "captions"):
            if keep[name] is not None and len(keep[name]) != len(keep["paths"]):
                raise ValueError(f"{len(keep['paths'])} paths but {len(keep[name])} {name}: "
                                 "expected one entry a picture")
        if len(set(keep["label_names"])) < len(keep["label_names"]):
            raise ValueError(f"label_names hold a name twice: {', '.join(keep['label_names'])}")
        for name, value in keep.items():
            object.__setattr__(self, name, value)

    def __len__(self):
        return len(self.paths)

    def file(self, row):
        """The path of a picture on this disk.

        Raises:
            FileNotFoundError: if the set's pictures are not on this disk.
        """
        if self.root is None:
            raise FileNotFoundError(f"{self.paths[row]} is not on this disk: the set has no root folder")
        return self.root / self.paths[row]

    def label_of(self, row):
        """The name of a picture's class, or None where it has none."""
        label = self.labels[row]
        return None if label < 0 else self.label_names[label]

    def counts(self):
        """How many pictures each class has, by name; classes without any are named too."""
        counts = np.bincount(self.labels[self.labels >= 0], minlength=len(self.label_names))
        return dict(zip(self.label_names, counts.tolist(), strict=True))

    @property
    def single(self):
        """The classes with one image, which has no other to find."""
        return tuple(name for name, count in self.counts().items() if count == 1)

    def subset(self, rows):
        """The set of some rows, in the order given, with the same classes and skipped files.

        Args:
            rows: int (m,) row ids, or bool (n,) True where a row is kept.
        Raises:
            ValueError: if a mask has another length, or a row is out of range.
        """
        rows = _row_ids(rows, len(self))
        captions = None if self.captions is None else tuple(self.captions[row] for row in rows)
        return ImageSet(tuple(self.paths[row] for row in rows), self.labels[rows], self.label_names,
                        self.root, self.skipped, captions)

    def report(self):
        """How many pictures and classes there are, and one line for each skipped file."""
        classes = sum(count > 0 for count in self.counts().values())
        unlabelled = int((self.labels < 0).sum())
        parts = [_number(len(self), "picture"), _number(classes, "class", "classes")]
        if unlabelled:
            parts.append(f"{unlabelled:,} without a class")
        summary = ", ".join(parts)
        if not self.skipped:
            return summary
        lines = [f"  {_printable(path)}: {_printable(reason)}" for path, reason in self.skipped]
        return "\n".join([f"{summary}; {len(self.skipped):,} skipped:", *lines])


def _label_rows(labels, n_classes):
    rows = np.array(labels)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise ValueError(f"labels have shape {rows.shape} and type {rows.dtype}: expected integers (n,)")
    rows = rows.astype(np.int64)
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
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise ValueError(f"rows have shape {rows.shape} and type {rows.dtype}: expected row ids or a mask")
    rows = rows.astype(np.int64)
    wrong = rows[(rows < 0) | (rows >= n)]
    if wrong.size:
        raise ValueError(f"row {wrong[0]} is not in 0..{n - 1}")
    return rows


def _number(count, singular, plural=None):
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def _printable(text):
    """`text` on one line: file names may hold newlines and terminal codes."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
