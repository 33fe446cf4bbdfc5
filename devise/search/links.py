"""Where a picture lies: its whole path, its path in an index, and the file that a link leads to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from devise.datasets import ImageSet, Skipped


def links_of(images: ImageSet) -> dict[str, str]:
    """{path: the file's real place} of the images of a set that lie behind a link, or in a folder that does."""
    if images.root is None:
        return {}
    folders: dict[str, str] = {}
    links = {}
    for row, path in enumerate(images.paths):
        if images.held(row) is not None:
            continue
        above, name = os.path.split(place_of(images, row))
        if above not in folders:
            folders[above] = os.path.realpath(above)
        real = os.path.join(folders[above], name)
        if os.path.islink(real):
            real = os.path.realpath(real)
        if below(real, images.root) != path:
            links[path] = real
    return links


def place_of(images: ImageSet, row: int) -> str:
    """The whole path of an image, links as they are; its name where it is no file of this disk."""
    if images.root is None or images.held(row) is not None:
        return images.paths[row]
    return os.path.abspath(images.file(row))


def placed(images: ImageSet, root: Path | None) -> ImageSet:
    """The images under the paths that an index below `root` has for them."""
    if images.root is None or root is None:
        return images
    return replace(images, root=root, paths=tuple(
        path if images.held(row) is not None else below(os.path.abspath(images.file(row)), root)
        for row, path in enumerate(images.paths)))


def once(images: ImageSet, links: Mapping[str, str]) -> tuple[list[int], list[Skipped]]:
    """The rows of a set with each file once, whatever links and further names lead to it, and the names left out.

    Args:
        links: of the images, as `links_of` gives them.
    """
    first: dict[str | tuple, int] = {}
    lost = []
    for row, path in enumerate(images.paths):
        earlier = first.setdefault(inode_of(images, row) or links.get(path, place_of(images, row)), row)
        if earlier != row and path != images.paths[earlier]:
            lost.append(Skipped(path, f"the same file as {images.paths[earlier]}"))
    return list(first.values()), lost


def inode_of(images: ImageSet, row: int) -> tuple[int, int] | None:
    """(device, inode) of the file of an image that has several names (hard links); None of any other."""
    try:
        status = os.stat(images.file(row))
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_nlink > 1 else None


def below(place: str, root: Path) -> str:
    """A whole path as an index below `root` names it: from there, or as it is where it lies elsewhere."""
    for spelled in (os.path.abspath, os.path.realpath):
        above = os.path.join(spelled(root), "")
        if place.startswith(above):
            place = place.removeprefix(above)
            break
    return place.replace(os.sep, "/")
