"""Folders of images as image sets: a folder a class, or any folder with a label file."""

from __future__ import annotations

import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np

from devise.datasets.base import ImageSet, composed, first_of, listed, path_parts
from devise.datasets.images import EXTENSIONS, RAW, RAW_REASON, has_image
from devise.datasets.lists import by_label, read_labels

# Endings of what is listed, since people see a picture in it, and is not read.
UNREAD = {
    "a kind of picture that is not read: save it as jpg or png": (
        ".jxl", ".svg", ".svgz", ".psd", ".psb", ".xcf", ".ico", ".cur", ".icns", ".pcx", ".sgi", ".qoi", ".dds",
        ".exr", ".hdr", ".jxr", ".wdp", ".bpg", ".eps", ".emf", ".wmf", ".dcm", ".fits"),
    RAW_REASON: RAW,
    "a video: pictures alone are read": (
        ".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg", ".3gp", ".mts", ".m2ts")}
COPY = re.compile(r"(~|\.(bak|old|orig|thm|te?mp|part|partial|(cr)?download)|_original)$", re.IGNORECASE)
# What systems and programs keep beside people's pictures: folders, in lower case.
APART = {
    "thumbnails and notes of a NAS": ("@eadir", "@tmp", "@synothumb", "@synoeastream"),
    "a recycle bin": ("#recycle", "@recycle", "$recycle.bin", "recycler", "recycled", "trashbox", "files_trashbin",
                      "network trash folder"),
    "old states that a NAS keeps": ("#snapshot", "@snapshot", "@recently-snapshot", "~snapshot", "files_versions"),
    "what a system or a program keeps for itself": ("lost+found", "found.000", "system volume information", "$extend",
                                                    "temporary items", "captureone", "[originals]")}
LIBRARIES = (".photoslibrary", ".photolibrary", ".aplibrary", ".migratedphotolibrary")  # of Apple's programs
SMALL = ("thumbs", "_thumbs", "thumb", "thumbnails", "_thumbnails")
SILENT = (".git", "__macosx")  # copies of pictures, and notes on them
LOOKED = 1_000  # files of such a folder, for a picture among them
DRAWS = re.compile(r"train(ing)?|val|valid(ation)?|dev|test(ing)?|images|pictures|photos", re.IGNORECASE)
NUMBERED = re.compile(r"[\W\d_]*|\d{3}[A-Z_]{5}")  # 2019-05, or 100APPLE as cameras have it


def from_folder(root: str | os.PathLike, *, labels: str | os.PathLike | Mapping | Sequence | None = None,
                class_level: str = "first", check: bool = True,
                progress: Callable[[int, int], object] | None = None) -> ImageSet:
    """The images below a folder and their classes, in the order of their paths.

    Paths are compared part by part, class names as text, both by code point. Links are followed,
    no folder is entered twice. Every picture, by its name or by its content, is a row or in `skipped`, and
    so are videos. Folders with pictures that are not the user's own are listed and not entered: hidden ones,
    recycle bins, thumbnails, what a NAS or a photo manager keeps. Other files are passed over, and so are
    `.git`, `__MACOSX` and the `._*` files of macOS. Of nested folders `notes` has the classes of each level.

    Args:
        root: the folder.
        labels: None where a picture's class is the folder it lies in; pictures in `root` itself then
            have none. Else {path: class}, or a file: CSV (columns path,label or file,label; the
            header may be left out) or JSON ({path: class}, or a list of {"path": …, "label": …}).
            Paths start from `root`. An empty class is none.
        class_level: "first", the folder just below `root`, or "last", the one that holds the picture.
        check: whether the header of every file is read, and what is no picture skipped; else names decide.
        progress: called with (done, total) while headers are read.
    Raises:
        FileNotFoundError: if there is no such folder or label file.
        ValueError: if it is no folder, holds no picture, or the label file can't be understood.

    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> with TemporaryDirectory() as folder:
    ...     os.mkdir(f"{folder}/cat")
    ...     Image.new("RGB", (3, 2)).save(f"{folder}/cat/1.png")
    ...     from_folder(folder).report()
    '1 picture, 1 class'
    """
    root = Path(root)
    if not root.exists():
        raise FileNotFoundError(f"{root} does not exist: expected a folder of pictures")
    if not root.is_dir():
        raise ValueError(f"{root} is a file: expected the folder that holds the pictures")
    if class_level not in ("first", "last"):
        raise ValueError(f"class_level is {class_level!r}: expected 'first' or 'last'")
    files, closed = _walk(root)
    classes, unused = by_folder(files, class_level, look=(lambda path: has_image(root / path)) if check else None)
    if labels is not None:
        unused |= dict.fromkeys(classes, "not in the label file")
        classes, missing = by_label(read_labels(labels, root), files, root)
        unused = {path: why for path, why in unused.items() if path not in classes} | missing
    images = listed(root, sorted(classes, key=path_parts), classes, closed | unused, check, progress)
    if not len(images):
        raise ValueError(f"{root} holds no picture that can be used: looked for {' '.join(EXTENSIONS)} "
                         f"among {len(files):,} files in it and below{first_of(images.skipped)}")
    images = replace(images, sources=(os.path.realpath(root),))
    if labels is not None:
        return images
    return replace(images, class_level=class_level, notes=levels(images.paths, class_level))


def _walk(root):
    """Every file below `root` as a relative POSIX path, and the reasons for folders not entered.

    Linked folders wait until all real ones are read, and none is entered twice: a loop ends.
    """
    files, refused, entered = [], {}, set()
    folders = deque([""])
    while folders:
        folder = folders.popleft()
        try:
            status = os.stat(root / folder)
            with os.scandir(root / folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            refused[folder or "."] = f"the folder can't be read: {error.strerror}"
            continue
        if (status.st_dev, status.st_ino) in entered:
            refused[folder] = "a link to a folder that is read under its own name"
            continue
        entered.add((status.st_dev, status.st_ino))
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if not _leads_to_folder(entry):
                files.append(path)
            elif reason := apart(path, root.name):
                if entry.name.casefold() not in SILENT and _pictured(root / path):
                    refused[path] = reason
            elif entry.is_symlink():
                folders.append(path)
            else:
                folders.appendleft(path)
    return files, refused


def _pictured(folder):
    """Whether some of the first files below a folder have the name of a picture."""
    names = (name for _, _, found in os.walk(folder) for name in found)
    return any(name.lower().endswith(EXTENSIONS) for name in islice(names, LOOKED))


def _leads_to_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, and is listed as a file that can't be opened
        return False


def apart(folder: str, root: str = "") -> str | None:
    """Why the pictures in a folder below `root` are not the user's own, by its name and that of the one above, or None.

    >>> apart("2019/@eaDir"), apart("2019/eaDir")
    ('thumbnails and notes of a NAS', None)
    """
    above, name = f"{root}/{folder}".casefold().split("/")[-2:]
    if name.startswith(".") or name in SILENT:
        return "a hidden folder"
    if name.endswith((".lrdata", ".lrcat-data")):
        return "previews of Lightroom"
    if above.endswith(LIBRARIES) and name not in ("originals", "masters"):
        return "what a photo manager keeps beside the originals"
    return next((reason for reason, names in APART.items() if name in names), None)


def by_folder(files: Iterable[str], class_level: str, look: Callable[[str], bool] | None = None) -> tuple[dict, dict]:
    """The classes of the images among some files, and why others of them, or whole folders, are not used.

    `look` tells whether a file whose name tells nothing holds a picture; None where names alone decide.
    """
    files, classes, unused = list(files), {}, {}
    holding = {path.rpartition("/")[0] for path in files if path.lower().endswith(EXTENSIONS)}

    @cache
    def closed(folder):
        """The folder itself or one above it that is apart, and why."""
        above, _, name = folder.rpartition("/")
        if not folder or (found := closed(above)):
            return found if folder else None
        reason = apart(folder)
        if name.casefold() in SMALL and above in holding:
            reason = "thumbnails of the pictures beside it"
        return (folder, reason) if reason else None

    for path in files:
        folder, _, name = path.rpartition("/")
        if found := closed(folder):
            if not set(path_parts(found[0].casefold())) & {*SILENT}:
                unused[found[0]] = found[1]
        elif not name.startswith("._"):  # macOS keeps its notes on `a.jpg` in `._a.jpg`
            reason = _unread(path, name.lower(), look)
            if reason:
                unused[path] = reason
            elif reason is None:
                classes[path] = folder_class(path, class_level)
    return classes, unused


def _unread(path, name, look):
    """Why a file, its name in lower case, is no row: None where it is one, "" where it is no picture at all."""
    for reason, endings in UNREAD.items():
        if name.endswith(endings):
            return reason
    named, meant = name.endswith(EXTENSIONS), any(ending in name for ending in EXTENSIONS)
    if not (named or (meant or "." not in name if look is None else look(path) or meant and COPY.search(name))):
        return ""
    if name.startswith("."):
        return "hidden"
    if COPY.search(name):
        return "a copy, or a part of a picture, that another program left"
    return None if named or look else "its name has no ending of a picture: rename it"


def folder_class(path: str, level: str) -> str | None:
    """The class that an image's folder of a level, "first" or "last", names; None where it lies in none.

    >>> folder_class("2019/beach/1.jpg", "last"), folder_class("1.jpg", "last")
    ('beach', None)
    """
    folders = path_parts(path)[:-1]
    return composed(folders[0 if level == "first" else -1]) if folders else None


def levels(paths: Iterable[str], taken: str) -> tuple[str, ...]:
    """What there is to say of nested folders: the classes of the first and of the last level, and which are likely."""
    folders = [tuple(map(composed, parts)) for path in paths if (parts := path_parts(path)[:-1])]
    counts = {"first": Counter(parts[0] for parts in folders), "last": Counter(parts[-1] for parts in folders)}
    if counts["first"] == counts["last"]:
        return ()
    told = " and ".join(f"{len(names):,} by the {level} level ({', '.join(sorted(names)[:3])}"
                        f"{', …' if len(names) > 3 else ''})" for level, names in counts.items())
    draws = all(map(DRAWS.fullmatch, counts["first"]))
    spread = len({(parts[0], parts[-1]) for parts in folders}) > len(counts["last"])  # session1 of every class
    doubts = {"first": draws or len(counts["first"]) == 1, "last": spread and not draws}
    for level, names in counts.items():
        few = np.median(list(names.values())) < 2
        doubts[level] = doubts[level] or few or sum(map(bool, map(NUMBERED.fullmatch, names))) > len(names) / 2
    other = "last" if taken == "first" else "first"
    likely = not doubts[other] and (doubts[taken] or other == "last")
    asked = f", the {other} are likely the classes: class_level={other!r}" if likely else f"; class_level={other!r}"
    return (f"the folders are nested, with classes {told}: the {taken} are taken{asked}",)
