"""Images as users have them, on disk or in memory, as one image set; and several sets as one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from devise.datasets.base import ImageSet, first_of, listed
from devise.datasets.folders import from_folder
from devise.datasets.images import check_pixels, read_image
from devise.errors import MissingDependency, pip_line, quoted

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Images: TypeAlias = str | os.PathLike | Image.Image | NDArray[np.uint8] | ImageSet | Iterable

EXPECTED = ("expected the path of a file or a folder, a PIL image, an array uint8 (h, w, 3) or (n, h, w, 3), a list of "
            "these, or an ImageSet")
# of its test images, those that are photographs of things
PHOTOGRAPHS = ("astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png",
               "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "moon.png",
               "motorcycle_left.png", "retina.jpg", "rocket.jpg")


def open_images(images: Images, *, labels: str | os.PathLike | Mapping | Sequence[str | None] | None = None,
                class_level: str = "first", check: bool = True,
                progress: Callable[[int, int], object] | None = None) -> ImageSet:
    """The image set of whatever holds images: files, folders, PIL images, arrays.

    Files have no class, those of a folder are of the class that their folder names. An image in memory
    is named by its place: "image-0".

    Args:
        images: the path of a file or a folder, a PIL image, an array uint8 (h, w, 3) or (n, h, w, 3),
            a list of these in any mixture, or an ImageSet, which is returned as it is.
        labels: of one folder, what `from_folder` takes; of other images, a list with the class name
            or None of each.
        class_level: of folders, "first" or "last", as in `from_folder`.
        check: whether the header of every file is read, and what is no image skipped.
        progress: called with (done, total) while headers are read.
    Returns:
        ImageSet, in the order given; a file that can't be used is in `skipped`.
    Raises:
        TypeError: if it is nothing that holds images.
        ValueError: if no image can be used, an array has another shape or type, or labels don't fit.
        FileNotFoundError: if there is no such file or folder.

    >>> open_images(np.zeros((2, 48, 64, 3), np.uint8), labels=["night", "fog"]).paths
    ('image-0', 'image-1')
    """
    if isinstance(images, ImageSet):
        if labels is not None:
            raise ValueError("labels were given with an ImageSet, which has its own: leave them out")
        return images
    items = _items(images)
    kinds = ["folder" if isinstance(item, Path) and os.path.isdir(item) else "image" for item in items]
    if len(items) == 1 and isinstance(items[0], Path) and not os.path.lexists(items[0]):
        raise FileNotFoundError(f"{quoted(str(items[0]))} does not exist: expected a picture, or a folder of pictures")
    if kinds == ["folder"]:
        return from_folder(items[0], labels=labels, class_level=class_level, check=check, progress=progress)
    if labels is not None:
        if "folder" in kinds:
            raise ValueError("labels were given with a folder in a list: give one folder, or a list of images")
        labels = _names(labels, len(items))
    sets = []
    for kind, places in groupby(range(len(items)), key=kinds.__getitem__):
        if kind == "folder":
            sets += [from_folder(items[place], class_level=class_level, check=check, progress=progress)
                     for place in places]
        else:
            sets.append(_from_items({place: items[place] for place in places}, labels, check, progress))
    return sets[0] if len(sets) == 1 else join(sets)


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


def samples() -> ImageSet:
    """Photographs that scikit-image's wheel carries: an astronaut, a cat (chelsea), a coffee cup …, without labels.

    Raises:
        MissingDependency: if scikit-image is not installed.

    >>> samples().paths[0]  # doctest: +SKIP
    'astronaut.png'
    """
    found = find_spec("skimage")  # located, not imported: only its files are wanted
    if found is None or found.origin is None:
        raise MissingDependency(f"scikit-image carries the sample pictures and is not installed: {pip_line('demo')}")
    root = Path(found.origin).parent / "data"
    paths = tuple(name for name in PHOTOGRAPHS if (root / name).is_file())
    return ImageSet(paths=paths, labels=np.full(len(paths), -1), label_names=(), root=root)


def _items(images):
    """The images one by one, as paths or arrays."""
    if isinstance(images, np.ndarray) and images.ndim == 4:
        images = list(images)
    elif isinstance(images, (str, os.PathLike, Image.Image, np.ndarray)):
        images = [images]
    elif isinstance(images, (bytes, Mapping)) or not isinstance(images, Iterable):
        raise TypeError(f"images is {_told(images)}: {EXPECTED}")
    items = [_item(item, place) for place, item in enumerate(images)]
    if not items:
        raise ValueError(f"no picture was named: {EXPECTED}")
    return items


def _item(item, place):
    """A path, or the pixels of an image in memory."""
    if isinstance(item, (str, os.PathLike)):
        return Path(item).expanduser()
    try:
        if isinstance(item, Image.Image):
            return read_image(item)
        if isinstance(item, np.ndarray):
            return check_pixels(item)
    except ValueError as error:
        raise ValueError(f"image {place}: {error}") from error
    raise TypeError(f"image {place} is {_told(item)}: {EXPECTED}")


def _told(value):
    """What came, in a few words."""
    return "None" if value is None else f"{str(value)[:40]!r} ({type(value).__name__})"


def _names(labels, n):
    """One class name or None an image."""
    if isinstance(labels, (str, os.PathLike, Mapping)):
        raise ValueError("a label file, or classes by path, were given with single pictures: expected a folder with "
                         "it, or a list with a class name for each picture")
    labels = [None if label in (None, "") else str(label) for label in labels]
    if len(labels) != n:
        raise ValueError(f"{len(labels)} labels for {n} pictures: expected one each, None for no class")
    return labels


def _from_items(items, labels, check, progress):
    """The image set of files and images in memory, {place in the list: path or pixels}."""
    files = {place: os.path.abspath(item) for place, item in items.items() if isinstance(item, Path)}
    root = Path(os.path.commonpath([os.path.dirname(file) for file in files.values()])) if files else None
    names = {place: Path(files[place]).relative_to(root).as_posix() if place in files else f"image-{place}"
             for place in items}
    classes = dict.fromkeys(names.values())
    for place, name in names.items() if labels else ():
        if classes[name] not in (None, labels[place]):
            raise ValueError(f"{name} is labelled {classes[name]!r} and {labels[place]!r}: expected one class")
        classes[name] = labels[place]
    pixels = {name: items[place] for place, name in names.items() if place not in files}
    images = listed(root, names.values(), classes, {}, check, progress, pixels)
    if not len(images):
        raise ValueError(f"none of {len(items)} files can be used{first_of(images.skipped)}")
    return images


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
