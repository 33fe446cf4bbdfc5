"""Pictures behind a URL: s3://, gs://, file:// and what else fsspec opens, http:// as pages of links."""

import posixpath
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from devise.datasets import ImageSet, Skipped
from devise.datasets.folders import by_folder, levels
from devise.distributed.pictures import Part
from devise.errors import MissingDependency, require

TRIES = 3
AT_ONCE = 16  # fetches in flight: each waits for the network, not for a processor
CHANGED = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")  # as file systems call it


class Place:
    """A folder or bucket behind a URL.

    Args:
        url: "s3://bucket/photos"; a path without a scheme is one on this disk.
        options: of fsspec's file system, such as {"anon": True}.
    Raises:
        MissingDependency: if fsspec, or its file system for such URLs, is not installed.
    """

    def __init__(self, url, options=None):
        try:
            self._system, self.root = require("fsspec", "ray").core.url_to_fs(str(url), **(options or {}))
        except MissingDependency:
            raise
        except ImportError as error:  # its message says which package opens such URLs
            raise MissingDependency(f"{url} can't be opened: {error}") from error
        self.url, self.options = str(url).rstrip("/"), options

    def files(self):
        """{path below the place: what is known of the file}, in the order of the paths."""
        if self._system.isfile(self.root):
            facts = self._system.info(self.root)
            if facts.get("mimetype") != "text/html":  # over http a folder is a page of links
                return {"": facts}
        if not self._system.exists(self.root):
            raise FileNotFoundError(f"{self.url} does not exist: expected a folder of pictures, or Parquet files")
        found = {path: facts for path, facts in self._system.find(self.root, detail=True).items()
                 if path.startswith(self.root.rstrip("/") + "/")}  # a page links to others too
        start = len(self.root.rstrip("/")) + 1
        return {path[start:]: found[path] for path in sorted(found, key=lambda path: path.split("/"))}

    def has(self, *patterns: str) -> bool:
        """Whether a name below the place matches one of these, such as "*.parquet"."""
        return any(self._system.glob(posixpath.join(self.root, pattern)) for pattern in patterns)

    def name(self, path):
        """The URL of a file of the place."""
        return f"{self.url}/{path}" if path else self.url

    def open(self, path):
        """A file of the place, to be read and sought in."""
        return self._system.open(self._full(path), "rb")

    def read(self, path):
        """A file's bytes; what fails for another reason than that there is no such file is tried again."""
        for left in reversed(range(TRIES)):
            try:
                return self._system.cat_file(self._full(path))
            except FileNotFoundError:
                raise
            except Exception:  # every file system has its own errors
                if not left:
                    raise

    def _full(self, path):
        return posixpath.join(self.root, path) if path else self.root


def stat(facts):
    """(size, time in ns, 0 where none is told) of what a file system says of a file.

    >>> stat({"size": 5, "mtime": 1.5})
    (5, 1500000000)
    """
    changed = next((facts[name] for name in CHANGED if facts.get(name)), 0)
    if isinstance(changed, str):
        changed = datetime.fromisoformat(changed)
    seconds = changed.timestamp() if isinstance(changed, datetime) else changed
    return int(facts.get("size") or 0), int(seconds * 10**9)


def from_url(url: str, *, class_level: str = "first", options: dict | None = None) -> "Behind":
    """The pictures below a URL and their classes, for `extract`; no picture is read yet.

    Names decide as in `datasets.from_folder`: a folder a class; hidden files, kinds that are not read,
    names without an ending and folders of others' pictures are listed. A picture's path in the table is its
    whole URL.

    Args:
        url: "s3://bucket/photos", "gs://…", "file:///photos", ….
        class_level: "first", the folder just below, or "last", the one that holds the picture.
        options: of fsspec's file system; they travel to the workers.
    Returns:
        Behind, with `images`.
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
    names = sorted({name for name in classes.values() if name is not None})
    position = {None: -1} | {name: label for label, name in enumerate(names)}
    images = ImageSet(tuple(place.name(path) for path in paths), np.array([position[classes[path]] for path in paths]),
                      tuple(names), None, tuple(Skipped(place.name(path), unused[path]) for path in sorted(unused)),
                      class_level=class_level, notes=levels(paths, class_level))
    return Behind(images, place.url, options, tuple(paths), tuple(stat(files[path]) for path in paths))


@dataclass(frozen=True, eq=False)
class Behind:
    """Pictures behind a URL, to be dealt out."""

    images: ImageSet
    url: str
    options: dict | None
    paths: tuple[str, ...]
    stats: tuple[tuple[int, int], ...] = field(repr=False)

    def stat(self, row):
        """(size, time in ns) of a picture, as the listing had it."""
        return self.stats[row]

    def part(self, rows):
        """The Part of some rows."""
        fetch = _Fetch(self.url, self.options, tuple(self.paths[row] for row in rows))
        return Part(tuple(self.images.paths[row] for row in rows), fetch=fetch)


@dataclass(frozen=True)
class _Fetch:
    url: str
    options: dict | None
    paths: tuple[str, ...]

    def __call__(self, folder):
        place = Place(self.url, self.options)

        def fetch(number):
            try:
                (folder / str(number)).write_bytes(place.read(self.paths[number]))
            except FileNotFoundError:
                return "no such file"
            except Exception as error:
                return f"can't be fetched: {str(error) or type(error).__name__}"
            return None

        with ThreadPoolExecutor(AT_ONCE) as pool:
            reasons = dict(enumerate(pool.map(fetch, range(len(self.paths)))))
        return {number: reason for number, reason in reasons.items() if reason}
