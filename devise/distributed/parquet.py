"""Pictures in Parquet files, as data sets are published: a column of bytes, and one of labels."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from devise.datasets import ImageSet
from devise.distributed.pictures import Part
from devise.errors import require
from devise.storage.places import Place, stat


def from_parquet(url: str | os.PathLike | Iterable, *, image: str = "image", label: str | None = "label",
                 options: dict | None = None) -> InParquet:
    """The pictures in Parquet files and their classes, for `extract`; no picture is read yet.

    Args:
        url: a file, or a folder with files that end in .parquet, or several of these; a path, or s3://, gs://, ….
        image: the column of encoded pictures: binary, or a struct with a field "bytes", as Hugging Face
            data sets have it.
        label: the column of classes, text or numbers; None where there are none. A missing label is none.
        options: of fsspec's file system; they travel to the workers.
    Returns:
        InParquet, with `images`; the path of a picture is that of its file, "#" and its row there.
    Raises:
        FileNotFoundError: if there is nothing.
        ValueError: if no file is Parquet, or has no such columns.
        MissingDependency: if pyarrow, or the package that opens such URLs, is not installed.

    >>> pictures = from_parquet("s3://bucket/set", label=None)  # doctest: +SKIP
    """
    urls = [url] if isinstance(url, str | os.PathLike) else list(url)
    files = {place.name(path): facts for each in urls for place in [Place(each, options)]
             for path, facts in place.files().items() if path.endswith(".parquet") or not path}
    if not files:
        raise ValueError(f"{', '.join(map(str, urls))} holds no file that ends in .parquet")
    paths, places, stats = [], [], []
    classes: list[str | None] = []
    for name, facts in files.items():
        with Place(name, options).open("") as file:
            table = _opened(file, name, image, label)
            found = _classes(table, label)
            groups = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
        for group, count in enumerate(groups):
            places += [(name, group, row) for row in range(count)]
        paths += [f"{name}#{row}" for row in range(sum(groups))]
        classes += found or [None] * sum(groups)
        stats += [stat(facts)] * sum(groups)
    if not paths:
        raise ValueError(f"{', '.join(map(str, urls))} holds no row in {len(files)} Parquet files")
    names = sorted({name for name in classes if name is not None})
    position = {None: -1} | {name: number for number, name in enumerate(names)}
    images = ImageSet(tuple(paths), np.array([position[name] for name in classes]), tuple(names), None)
    return InParquet(images, options, image, tuple(places), tuple(stats))


def is_parquet(url: str | os.PathLike, options: dict | None = None) -> bool:
    """Whether a place is a Parquet file or a folder of such, by the names in it and in its folder `data`.

    >>> from devise.distributed import is_parquet
    >>> is_parquet("pictures.parquet")
    True
    """
    return str(url).endswith(".parquet") or Place(url, options).has("*.parquet", "data/*.parquet")


@dataclass(frozen=True, eq=False)
class InParquet:
    """Pictures in Parquet files, to be dealt out."""

    images: ImageSet
    options: dict | None
    column: str
    places: tuple[tuple[str, int, int], ...] = field(repr=False)
    stats: tuple[tuple[int, int], ...] = field(repr=False)

    def stat(self, row):
        """(size, time in ns) of the file that holds a picture."""
        return self.stats[row]

    def part(self, rows):
        """The Part of some rows."""
        fetch = _Fetch(self.options, self.column, tuple(self.places[row] for row in rows))
        return Part(tuple(self.images.paths[row] for row in rows), fetch=fetch)


@dataclass(frozen=True)
class _Fetch:
    options: dict | None
    column: str
    places: tuple[tuple[str, int, int], ...]

    def __call__(self, folder):
        wanted, reasons = defaultdict(list), {}
        for number, (name, group, row) in enumerate(self.places):
            wanted[name, group].append((number, row))
        for (name, group), rows in wanted.items():
            with Place(name, self.options).open("") as file:
                table = _opened(file, name, self.column, None)
                column = table.read_row_group(group, columns=[self.column]).column(0)
            for number, row in rows:
                value = column[row].as_py()
                value = value.get("bytes") if isinstance(value, dict) else value
                if value:
                    (folder / str(number)).write_bytes(value)
                else:
                    reasons[number] = f"no picture in the column {self.column}"
        return reasons


def _opened(file, name, image, label):
    """The Parquet file, its columns checked."""
    pyarrow, parquet = require("pyarrow", "ray"), require("pyarrow.parquet", "ray")
    try:
        table = parquet.ParquetFile(file)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{name} can't be read as Parquet ({error})") from error
    for column in filter(None, (image, label)):
        if column not in table.schema_arrow.names:
            raise ValueError(f"{name} has no column {column!r}, but {', '.join(table.schema_arrow.names)}: name the "
                             "column of pictures and that of labels")
    return table


def _classes(table, label):
    """The names of the classes, row by row, None where there is none; or None without a column of labels."""
    if label is None:
        return None
    values = table.read(columns=[label]).column(0).to_pylist()
    return [None if value is None or value == "" else str(value) for value in values]
