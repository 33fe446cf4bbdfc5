"""An index in line with its folders: which pictures are new there, have changed, have moved and are gone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise import features, storage
from devise.datasets import ImageSet, Skipped, check_image, from_folder, join
from devise.datasets.folders import folder_class
from devise.report import Table
from devise.search.links import links_of, once, placed

if TYPE_CHECKING:
    from devise.features import FeatureTable
    from devise.search.engine import Search

SHOWN = 3  # names of a kind in a table
GONE, UNREACHED = "gone", "unreached"
ALLOW = ("If the pictures were moved, name the folder that they are in now (devise sync INDEX FOLDER); if they are "
         "gone for good, allow it with --allow-empty (in Python allow_empty=True)")


class Moved(NamedTuple):
    """A picture that lies elsewhere now: its path in the index, its path now, its class now.

    >>> Moved("cat/1.jpg", "dog/1.jpg", "dog").now
    'dog/1.jpg'
    """

    path: str
    now: str
    label: str | None


@dataclass(frozen=True)
class Changes:
    """How the pictures of an index differ from those in its folders, by their paths in the index.

    Attributes:
        new: pictures that the index lacks.
        changed: whose file has another content than when it was indexed.
        moved: that lie under another path, a `Moved` each.
        gone: whose file is not there any more, or holds no picture now.
        unreached: that stay, since it can't be seen whether they are there: behind a link that leads nowhere, in a
            folder that can't be read, beside one that is missing.
        skipped: what else the folders hold, and why it is not read.
        images: the new and the changed, to be looked at; None without any.
        stamps: {path: `devise.storage.stamp`} of pictures that were touched or copied and are the same.
        folders: the real paths of the folders that were read.

    >>> Changes(new=("a.jpg",), gone=("b.jpg", "c.jpg")).gone
    ('b.jpg', 'c.jpg')
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[Moved, ...] = ()
    gone: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    images: ImageSet | None = None
    stamps: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    folders: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(map(len, (self.new, self.changed, self.moved, self.gone)))

    def table(self) -> Table:
        """How many pictures of each kind there are, and the first of them."""
        kinds = {"new": self.new, "changed": self.changed, "moved": [f"{old} → {now}" for old, now, _ in self.moved],
                 "gone": self.gone, "kept, not seen": self.unreached}
        rows = [(kind, len(names), ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else ""))
                for kind, names in kinds.items() if names or kind in ("new", "changed", "moved", "gone")]
        return Table(("", "pictures", "such as"), rows, form="plain")

    def to_json(self) -> dict:
        """All of it by name, for JSON."""
        return {"new": list(self.new), "changed": list(self.changed), "moved": [move._asdict() for move in self.moved],
                "gone": list(self.gone), "unreached": list(self.unreached),
                "skipped": [item._asdict() for item in self.skipped]}


def changes(search: Search, folder: str | Path | None, *, allow_empty: bool, progress: Callable | None) -> Changes:
    """How an index differs from its folders, see `Search.changes`."""
    images = search.images
    if images.root is None:
        raise ValueError("the pictures of this index are not on this disk: build one of the folder with them")
    asked = None if folder is None else os.path.realpath(os.path.expanduser(folder))
    sources = images.sources if asked is None else (_source(asked, images.sources) or asked,)
    if not sources:
        raise ValueError("this index does not know the folder of its pictures: name it")
    found, missing = _read(sources, images, progress)
    found = placed(found, images.root)
    found = found.subset([row for row in range(len(found)) if _within(found.file(row), asked)])
    root = Path(images.root).resolve()
    files = {row: root / path for row, path in enumerate(images.paths) if _on_disk(search, row)}
    rows = {images.paths[row]: row for row in files}
    listed = {rows[path]: place for place, path in enumerate(found.paths) if path in rows}
    there = [rows[path] if path in rows else search.row(found.file(place)) for place, path in enumerate(found.paths)]
    named = {row: place for place, row in enumerate(there) if row is not None and row not in listed}
    absent = {row: _absence(file, images.sources) for row, file in files.items() if row not in listed}
    fresh, lost = once(found, links_of(found))
    fresh = [place for place in fresh if there[place] is None]
    moves = {row: place for row, place in named.items() if absent.get(row)}
    moves |= _respelled(found, fresh, {row: files[row] for row, reason in absent.items() if not reason})
    moves |= _carried(search, found, sorted({*fresh} - {*moves.values()}),
                      [row for row, reason in absent.items() if reason and row not in moves])
    inside = [row for row, file in files.items() if _within(file, asked) and row not in moves]
    changed, stamps, broken = _contents(search, {row: files[row] for row in inside if not absent.get(row)}, listed)
    for source, why in missing.items() if not allow_empty else ():
        if source == asked or any(_within(files[row], source) for row in inside):
            raise ValueError(f"{source} {why} Nothing was changed. {ALLOW}")
    gone = [row for row in inside if absent.get(row) == GONE or absent.get(row) and allow_empty] + broken
    if 2 * len(gone) > len(inside) + len(moves) and not allow_empty:
        raise ValueError(f"{len(gone):,} of {len(inside) + len(moves):,} pictures would leave the index, such as "
                         f"{images.paths[gone[0]]}: is a drive missing? Nothing was changed. {ALLOW}")
    fresh = sorted({*fresh} - {*moves.values()})
    parts = [images.subset(changed), found.subset(fresh)]
    named_now = {row: _class(images, row, root, found, place) for row, place in moves.items()}
    return Changes(
        new=tuple(found.paths[place] for place in fresh), changed=_paths(images, changed),
        moved=tuple(Moved(images.paths[row], found.paths[place], named_now[row])
                    for row, place in sorted(moves.items())),
        gone=_paths(images, sorted(gone)),
        unreached=_paths(images, [row for row in inside if absent.get(row) and row not in gone]),
        skipped=(*found.skipped, *(item for item in lost if search.row(root / item.path) is None)),
        images=replace(join(parts), skipped=(), sources=()) if changed or fresh else None,
        stamps={images.paths[row]: stamp for row, stamp in stamps.items()}, folders=sources)


def follow(search: Search, changes: Changes, progress: Callable | None) -> Changes:
    """Bring an index in line with its folders, see `Search.sync`."""
    table, unread = _looked_at(search, changes.images, progress)  # what can fail
    images, rows = search.images, {path: row for row, path in enumerate(search.images.paths)}
    root = Path(images.root or "").resolve()
    moved = {rows[move.path]: (move.now, move.label) for move in changes.moved}
    stamps = {rows[path]: stamp for path, stamp in changes.stamps.items()}
    stamps |= {row: storage.stamp(root / path) for row, (path, _) in moved.items()}
    lost = tuple(path for path in changes.changed if path in unread)
    leaving = {*changes.gone, *lost}
    staying = [moved[row][0] if row in moved else path for path, row in rows.items() if path not in leaving]
    sources = [source for source in dict.fromkeys((*images.sources, *changes.folders))
               if os.path.isdir(source) or any((root / path).is_relative_to(source) for path in staying)]
    search.follow(moved, stamps, sources, root if root.is_dir() else Path(os.path.commonpath(changes.folders)))
    if table is not None:
        search.add(table)
    if leaving:
        search.remove([root / path for path in leaving])
    return replace(changes, new=tuple(path for path in changes.new if path not in unread),
                   changed=tuple(path for path in changes.changed if path not in unread),
                   gone=(*changes.gone, *lost), images=None,
                   skipped=(*changes.skipped, *(Skipped(path, reason) for path, reason in unread.items())))


def _read(folders, images, progress):
    """The pictures of some folders with the classes that the index has them by, and {folder: why it has none}."""
    sets, missing = [], {}
    for folder in folders:
        if not os.path.isdir(folder):
            missing[folder] = "is a file." if os.path.lexists(folder) else "is not there: is its drive mounted?"
        elif not any(os.scandir(folder)):
            missing[folder] = "is empty: is its drive mounted?"
        else:
            with contextlib.suppress(ValueError):  # no picture in it: then its own are gone
                sets.append(from_folder(folder, class_level=images.class_level or "first", progress=progress))
    found = join(sets) if sets else replace(images.subset([]), skipped=(), sources=())
    if images.class_level is None and (images.labels >= 0).any():  # no folder named the classes that are there
        found = replace(found, labels=np.full(len(found), -1), label_names=())
    return found, missing


def _source(place, sources):
    """The folder, of some that were read, that a place lies in; None without one."""
    return max((source for source in sources if _within(place, source)), key=len, default=None)


def _within(place, folder):
    return folder is None or str(place) == folder or str(place).startswith(os.path.join(folder, ""))


def _on_disk(search, row):
    """Whether an image was read from a file, was not held in memory and does not lie behind a URL."""
    return search.images.held(row) is None and not storage.is_url(search.images.paths[row]) and (
        search.contents is None or search.contents["mtime_ns"][row] > 0)


def _absence(file, sources):
    """Why a picture can't be indexed under its path: GONE, or UNREACHED where that can't be told; None if it can."""
    try:
        os.stat(file)
        return None
    except (FileNotFoundError, NotADirectoryError):
        there = next(above for above in (file, *file.parents) if os.path.lexists(above))
        known = _source(file, sources) or file.parent
        return GONE if there.is_relative_to(known) and not there.is_symlink() else UNREACHED
    except OSError:
        return UNREACHED


def _respelled(found, fresh, unlisted):
    """{row: place} of files that are listed in other letters than the index has, on disks where both name them."""
    known = {}
    for row, file in unlisted.items() if fresh else ():
        status = os.stat(file)
        known[status.st_dev, status.st_ino] = row
    status = {place: os.stat(found.file(place)) for place in fresh if known}
    return {known[key]: place for place, stat in status.items() if (key := (stat.st_dev, stat.st_ino)) in known}


def _carried(search, found, fresh, absent):
    """{row: place} of rows whose file is away and whose content lies in a new file, one of its name before others."""
    if search.contents is None:
        return {}
    away: dict[str, list[int]] = {}
    for row in absent:
        away.setdefault(search.contents["sha256"][row].tobytes().hex(), []).append(row)
    sizes = {*search.contents["size"][absent].tolist()}
    content = {place: storage.digest(found.file(place)) for place in fresh if
               os.stat(found.file(place)).st_size in sizes}
    moves = {}
    for named in (True, False):
        for place in sorted(content.keys() - {*moves.values()}):
            rows = away.get(content[place], [])
            row = next((row for row in rows if not named or
                        Path(search.images.paths[row]).name == Path(found.paths[place]).name), None)
            if row is not None:
                moves[row] = place
                rows.remove(row)
    return moves


def _contents(search, files, listed):
    """Of files that are there: rows of another content, {row: stamp} of the same one, rows without a picture now."""
    changed, stamps, broken = [], {}, []
    for row, file in files.items() if search.contents is not None else ():
        known = search.contents[row]
        try:
            stamp = storage.stamp(file)
            if stamp == (known["size"], known["mtime_ns"]):
                continue
            if storage.digest(file) == known["sha256"].tobytes().hex():
                stamps[row] = stamp
            else:
                (changed if row in listed or check_image(file) is None else broken).append(row)
        except OSError:  # it can't be read now, and may be another time
            continue
    return changed, stamps, broken


def _class(images, row, root, found, place):
    """The class of an image that moved: that of its folder, where its folder before named the one that it has."""
    level, before = images.class_level, root / images.paths[row]
    source = _source(before, images.sources)
    if level and source and images.label_of(row) == folder_class(before.relative_to(source).as_posix(), level):
        label = found.label_of(place)
        return label if _within(found.file(place), source) else label or images.label_of(row)
    return images.label_of(row)


def _paths(images, rows):
    return tuple(images.paths[row] for row in rows)


def _looked_at(search: Search, images: ImageSet | None, progress: Callable | None
               ) -> tuple[FeatureTable | None, dict[str, str]]:
    """The features of new and changed pictures, None without any, and {path: why it has none} of the others."""
    if images is None:
        return None, {}
    try:
        table = features.extract_some(images, search.model.backbone, progress=progress)
    except ValueError:
        unread = {path: reason for row, path in enumerate(images.paths) if (reason := _unreadable(images, row))}
        if len(unread) < len(images):
            raise
        return None, unread  # there were no others
    return table, {item.path: item.reason for item in table.images.skipped}


def _unreadable(images, row):
    """Why an image can't be decoded, None if it can."""
    try:
        images.read(row)
    except (ValueError, OSError) as error:
        return str(error)
    return None
