"""Feature tables: a matrix, and the path, label and content digest of each of its rows."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise import storage
from devise.arrays import read_npy, read_rows
from devise.datasets import ImageSet, Skipped
from devise.report import frame

if TYPE_CHECKING:
    import pandas
    from numpy.typing import ArrayLike

COPY_ROWS = 4096
CONTENT = np.dtype([("sha256", np.uint8, 32), ("size", np.int64), ("mtime_ns", np.int64)])  # of a file


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features and the pictures they are of, row by row.

    Attributes:
        matrix: float32 or float16 (n, dim), memory-mapped where it lies on disk.
        images: ImageSet of the n readable pictures; `images.skipped` lists the others.
        backbone: what `devise.backbones.describe` gave: name, layer, dim, weights, trained, fingerprint.
        folder: where it lies, or None for a table in memory.
        computed: how many pictures went through the network in the call that gave this table.
        contents: `CONTENT` (n,) of the pictures' files as they were then; None where nobody noted it.

    >>> images = ImageSet(("cat/1.jpg", "dog/1.jpg"), [0, 1], ("cat", "dog"), root=None)
    >>> len(FeatureTable(np.ones((2, 1280), np.float32), images, {"name": "efficientnet_lite0"}).subset([1]))
    1
    """

    matrix: np.ndarray
    images: ImageSet
    backbone: dict
    folder: Path | None = None
    computed: int = 0
    contents: np.ndarray | None = None

    def __len__(self):
        return len(self.matrix)

    @property
    def source(self) -> str | None:
        """What `load` opens this table by: its folder, or the name of a set that comes with the package."""
        if self.folder and self.folder == _bundled(self.folder.name):
            return self.folder.name
        return str(self.folder.resolve()) if self.folder else None

    def to_frame(self) -> pandas.DataFrame:
        """A pandas DataFrame with a row a picture: path, label (its class by name; missing where it has none)."""
        images = self.images
        return frame({"path": images.paths, "label": [images.label_of(row) for row in range(len(images))]})

    def subset(self, rows: ArrayLike) -> FeatureTable:
        """The table of some rows, in memory, in the order given."""
        rows = np.asarray(rows, np.int64)
        return FeatureTable(np.asarray(self.matrix[rows]), self.images.subset(rows), self.backbone,
                            contents=None if self.contents is None else self.contents[rows])


def usable(table: FeatureTable) -> FeatureTable:
    """A feature table without rows that are all zero, which have no direction; those are listed as skipped.

    Raises:
        ValueError: if there is not one row a picture, or a row holds NaN or infinity.

    >>> images = ImageSet(("cat/1.jpg", "black.jpg"), [0, -1], ("cat",), root=None)
    >>> usable(FeatureTable(np.array([[1.0, 2.0], [0.0, 0.0]], np.float32), images, {})).images.paths
    ('cat/1.jpg',)
    """
    if len(table.matrix) != len(table.images):
        raise ValueError(f"there are {len(table.matrix)} rows of features and {len(table.images)} pictures: expected "
                         "one row a picture")
    zero = np.zeros(len(table), bool)
    for start in range(0, len(table), COPY_ROWS):
        rows = read_rows(table.matrix, start, start + COPY_ROWS)
        bad = ~np.isfinite(rows).all(axis=1)
        if bad.any():
            raise ValueError(f"the features of {bad.sum()} pictures hold NaN or infinity, the first is "
                             f"{table.images.paths[start + int(bad.argmax())]}: extract them again")
        zero[start:start + len(rows)] = ~rows.any(axis=1)
    if not zero.any():
        return table
    lost = [Skipped(table.images.paths[row], "its features are all zero") for row in np.flatnonzero(zero)]
    kept = table.subset(np.flatnonzero(~zero))
    return replace(kept, images=replace(kept.images, skipped=(*kept.images.skipped, *lost)), folder=table.folder)


def load(source: str | os.PathLike) -> FeatureTable:
    """The feature table in a folder that `extract` wrote; the matrix is memory-mapped.

    Args:
        source: the folder, or the name of a set that comes with the package: `caltech37`.
    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged.

    >>> load("caltech37").matrix.shape
    (1609, 1280)
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = _bundled(str(source)) or folder
    return storage.read_artefact(folder, "features", partial(_table, folder), check=["rows.json"])


def _table(folder, document, paths):
    document, records, matrix = _read(folder, document, paths)
    records, matrix = records[:document["n"]], matrix[:document["n"]]  # behind them is what is only kept
    root = document["root"] or _downloaded(document.get("catalog"))
    images = ImageSet(paths=tuple(record["path"] for record in records),
                      labels=np.array([record["label"] for record in records], np.int64),
                      label_names=tuple(document["label_names"]),
                      root=Path(root) if root else None,
                      skipped=tuple(Skipped(*item) for item in document["skipped"]),
                      class_level=document.get("class_level"), sources=tuple(document.get("sources", ())))
    return FeatureTable(matrix, images, document["backbone"], folder, contents=contents_of(records))


def contents_of(records: Sequence[dict]) -> np.ndarray | None:
    """The contents that the records of a table tell, `CONTENT` (n,); None where one lacks them."""
    try:
        digests = bytes.fromhex("".join(record["sha256"] for record in records))
        contents = np.zeros(len(records), CONTENT)
        contents["sha256"] = np.frombuffer(digests, np.uint8).reshape(len(records), 32)
        for name in ("size", "mtime_ns"):
            contents[name] = [record[name] for record in records]
    except (KeyError, ValueError, TypeError):
        return None
    return contents


def has_changed(images: ImageSet, row: int, contents: np.ndarray | None) -> bool:
    """Whether an image's file has another content than when its row was computed; equal size and time are trusted."""
    if contents is None or images.root is None or images.held(row) is not None:
        return False
    known, file = contents[row], images.file(row)
    try:
        return (storage.stamp(file) != (known["size"], known["mtime_ns"])
                and storage.digest(file) != known["sha256"].tobytes().hex())
    except OSError:  # it is gone, or can't be read
        return False


def _bundled(name):
    """The folder of a set that comes with the package, or None."""
    try:
        return storage.bundled(name)
    except FileNotFoundError:
        return None


def _downloaded(name):
    """The folder of a catalogued set's pictures where it is on this disk: features may travel without them."""
    return storage.data_root() / name if name and (storage.data_root() / name).is_dir() else None


def open_table(folder: Path) -> tuple[dict, list[dict], np.ndarray]:
    """(document, records, memory-mapped matrix) of a table, checked against one another.

    The first `document["n"]` rows are the table's; those behind them are of pictures that it no longer has, kept
    so that they need not be computed again.
    """
    return storage.read_artefact(folder, "features", partial(_read, folder), check=["rows.json"])


def _read(folder, document, paths):
    records = storage.read_json(paths["rows.json"])
    try:
        matrix = read_npy(paths["features.npy"], np.dtype(document["dtype"]), (len(records), document["dim"]),
                          mapped=True)
        if len(records) < document["n"]:
            raise ValueError(f"{len(records)} rows for {document['n']} features")
    except ValueError as error:
        raise ValueError(f"the features in {folder} are damaged ({error}): remove it and extract again") from error
    return document, records, matrix


def write(folder: Path, document: dict, records: list[dict], sources: Sequence[tuple]) -> None:
    """Assemble the matrix block by block and publish it with its rows."""
    with storage.Commit(folder, "features", document) as commit:
        # not through a memory map: where the disk is full that ends the process, not the call
        with open(commit.file("features.npy"), "wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(np.dtype(document["dtype"])), "fortran_order": False,
                      "shape": (len(records), document["dim"])}
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(sources), COPY_ROWS):
                block = np.stack([source[row] for source, row in sources[start:start + COPY_ROWS]])
                file.write(np.ascontiguousarray(as_type(block, document["dtype"])).data)
        commit.file("rows.json").write_text(json.dumps(records), encoding="utf-8")


def as_type(matrix: np.ndarray, dtype: str) -> np.ndarray:
    """Features as float32 or float16; ValueError where they leave its range."""
    with np.errstate(over="ignore"):
        matrix = matrix.astype(dtype, copy=False)
    if not np.isfinite(matrix).all():
        raise ValueError(f"features leave the range of {dtype}: extract with dtype='float32'")
    return matrix
