"""Pictures that are dealt out to workers in parts, wherever they lie: on a disk, behind a URL, in Parquet files.

URLs are s3://, gs://, file:// and what else fsspec opens, http:// as pages of links; Parquet files are as data sets
are published, with a column of bytes and one of labels.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from devise import storage
from devise.datasets import ImageSet, Skipped
from devise.datasets.base import numbered
from devise.datasets.folders import by_folder, levels
from devise.errors import require
from devise.storage.places import Place, stat

AT_ONCE = 16  # fetches in flight: each waits for the network, not for a processor


@dataclass(frozen=True, eq=False)
class Part:
    """Some pictures for one worker; it travels to where the worker is.

    Attributes:
        paths: what the pictures are called.
        images: ImageSet on a disk that the worker sees, or None where they must be fetched.
        fetch: then a function that writes picture i to `folder/i` and returns {i: reason} of those it can't get.
        sizes: in bytes, as the sender sees the pictures, None where it doesn't; () where they must be fetched.
    """

    paths: tuple[str, ...]
    images: ImageSet | None = None
    fetch: Callable | None = None
    sizes: tuple[int | None, ...] = ()

    @contextmanager
    def opened(self):
        """(ImageSet on this disk, {place: reason} of pictures that are not there as the sender sees them).

        Files that were fetched go at the end.
        """
        if self.fetch is None:
            sizes = {place: size for place, size in enumerate(self.sizes) if size is not None}
            reasons = {place: _unlike(self.images.file(place), size) for place, size in sizes.items()}
            yield self.images, {place: reason for place, reason in reasons.items() if reason}
            return
        with tempfile.TemporaryDirectory(prefix="devise-") as folder:
            missing = self.fetch(Path(folder))
            names = tuple(str(place) for place in range(len(self.paths)))
            yield ImageSet(names, np.full(len(names), -1), (), Path(folder)), missing


class OnDisk:
    """The pictures of an ImageSet, on a disk that every worker sees under the same path."""

    def __init__(self, images):
        root = None if images.root is None else images.root.resolve()
        self.images, self._dealt = images, replace(images, root=root, skipped=(), captions=None)

    def stat(self, row):
        """The stamp of a picture: as long as it stays, its content is taken to be the same."""
        return storage.stamp(self.images.file(row))

    def part(self, rows):
        """The Part of some rows."""
        images = self._dealt.subset(rows)
        return Part(images.paths, images, sizes=tuple(_size(images.file(place)) for place in range(len(images))))


@dataclass(frozen=True, eq=False)
class Fetched:
    """Pictures that workers fetch.

    Attributes:
        images: what they are called, and their classes.
        fetch: called as fetch(places, folder) by a worker, as `Part.fetch`.
        places: what `fetch` knows each picture by.
        stats: (size, time in ns) of each picture, or of the file that holds it, as the listing had it.
    """

    images: ImageSet
    fetch: Callable
    places: Sequence[Any] = field(repr=False)
    stats: Sequence[tuple[int, int]] = field(repr=False)

    def stat(self, row):
        """(size, time in ns) of a picture."""
        return self.stats[row]

    def part(self, rows):
        """The Part of some rows."""
        return Part(tuple(self.images.paths[row] for row in rows),
                    fetch=partial(self.fetch, [self.places[row] for row in rows]))


def from_url(url: str, *, class_level: str = "first", options: dict | None = None) -> Fetched:
    """The pictures below a URL and their classes, for `extract`; no picture is read yet.

    Names decide as in `datasets.from_folder`: a folder a class; hidden files, kinds that are not read,
    names without an ending and folders of others' pictures are listed. A picture's path in the table is its
    whole URL.

    Args:
        url: "s3://bucket/photos", "gs://…", "file:///photos", ….
        class_level: "first", the folder just below, or "last", the one that holds the picture.
        options: of fsspec's file system; they travel to the workers.
    Returns:
        Fetched, with `images`.
    Raises:
        FileNotFoundError: if there is nothing.
        ValueError: if no file has the name of a picture.
        MissingDependency: if the package that opens such URLs is not installed.

    >>> pictures = from_url("s3://bucket/photos", options={"anon": True})  # doctest: +SKIP
    """
    place = Place(url, options)
    files = place.files()
    classes, unused = by_folder(list(files), class_level)
    if not classes:
        raise ValueError(f"{url} holds no picture that can be used among {len(files):,} files")
    paths = [path for path in files if path in classes]
    skipped = tuple(Skipped(place.name(path), unused[path]) for path in sorted(unused))
    images = ImageSet(tuple(map(place.name, paths)), *numbered([classes[path] for path in paths]), None, skipped,
                      class_level=class_level, notes=levels(paths, class_level))
    return Fetched(images, partial(_files, place.url, options), paths, [stat(files[path]) for path in paths])


def _files(url, options, paths, folder):
    """Fetch some files below a URL."""
    place = Place(url, options)

    def fetch(number):
        try:
            (folder / str(number)).write_bytes(place.read(paths[number]))
        except FileNotFoundError:
            return "no such file"
        except Exception as error:
            return f"can't be fetched: {str(error) or type(error).__name__}"
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        reasons = dict(enumerate(pool.map(fetch, range(len(paths)))))
    return {number: reason for number, reason in reasons.items() if reason}


def from_parquet(url: str | os.PathLike | Iterable, *, image: str = "image", label: str | None = "label",
                 options: dict | None = None) -> Fetched:
    """The pictures in Parquet files and their classes, for `extract`; no picture is read yet.

    Args:
        url: a file, or a folder with files that end in .parquet, or several of these; a path, or s3://, gs://, ….
        image: the column of encoded pictures: binary, or a struct with a field "bytes", as Hugging Face
            data sets have it.
        label: the column of classes, text or numbers; None where there are none. A missing label is none.
        options: of fsspec's file system; they travel to the workers.
    Returns:
        Fetched, with `images`; the path of a picture is that of its file, "#" and its row there.
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
        with _opened(name, options, image, label) as table:
            found = table.read(columns=[label]).column(0).to_pylist() if label else [None] * table.metadata.num_rows
            groups = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
        classes += [None if value in (None, "") else str(value) for value in found]
        places += [(name, group, row) for group, count in enumerate(groups) for row in range(count)]
        paths += [f"{name}#{row}" for row in range(len(found))]
        stats += [stat(facts)] * len(found)
    if not paths:
        raise ValueError(f"{', '.join(map(str, urls))} holds no row in {len(files)} Parquet files")
    return Fetched(ImageSet(tuple(paths), *numbered(classes), None), partial(_cells, options, image), places, stats)


def _cells(options, column, places, folder):
    """Fetch some cells of Parquet files, by the groups of rows that hold them."""
    wanted, reasons = defaultdict(list), {}
    for number, (name, group, row) in enumerate(places):
        wanted[name, group].append((number, row))
    for (name, group), rows in wanted.items():
        with _opened(name, options, column) as table:
            values = table.read_row_group(group, columns=[column]).column(0)
        for number, row in rows:
            value = values[row].as_py()
            value = value.get("bytes") if isinstance(value, dict) else value
            if value:
                (folder / str(number)).write_bytes(value)
            else:
                reasons[number] = f"no picture in the column {column}"
    return reasons


def is_parquet(url: str | os.PathLike, options: dict | None = None) -> bool:
    """Whether a place is a Parquet file or a folder of such, by the names in it and in its folder `data`.

    >>> from devise.distributed import is_parquet
    >>> is_parquet("pictures.parquet")
    True
    """
    return str(url).endswith(".parquet") or Place(url, options).has("*.parquet", "data/*.parquet")


@contextmanager
def _opened(name: str, options: dict | None, *columns: str | None) -> Iterator[Any]:
    """A Parquet file that has these columns."""
    pyarrow, parquet = require("pyarrow", "ray"), require("pyarrow.parquet", "ray")
    with Place(name, options).open("") as file:
        try:
            table = parquet.ParquetFile(file)
        except pyarrow.ArrowException as error:
            raise ValueError(f"{name} can't be read as Parquet ({error})") from error
        if lacking := [column for column in columns if column and column not in table.schema_arrow.names]:
            raise ValueError(f"{name} has no column {lacking[0]!r}, but {', '.join(table.schema_arrow.names)}: name "
                             "the column of pictures and that of labels")
        yield table


def _size(file):
    try:
        return os.stat(file).st_size
    except OSError:
        return None


def _unlike(file, size):
    """Why a file is not the one of a size that is meant, or None."""
    try:
        here = os.stat(file).st_size
    except OSError as error:
        return error.strerror or str(error)
    return None if here == size else f"it has {here:,} bytes, not {size:,}"
