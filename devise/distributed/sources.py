"""Pictures behind a URL: s3://, gs://, file:// and what else fsspec opens, http:// as pages of links."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from devise.datasets import ImageSet, Skipped
from devise.datasets.folders import by_folder, levels
from devise.distributed.pictures import Part
from devise.storage.places import Place, stat

AT_ONCE = 16  # fetches in flight: each waits for the network, not for a processor


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
