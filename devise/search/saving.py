"""An index of pictures as a folder: the model, an index a space, and the pictures, all of one build."""

import contextlib
import sqlite3
from functools import partial
from pathlib import Path

import numpy as np

from devise import index, storage
from devise.arrays import read_npy, write_npy
from devise.datasets import ImageSet, Metadata, Skipped
from devise.features.table import CONTENT
from devise.model import Devise
from devise.search.pictures import FILE, Thumbnails

METADATA = {"taken": "text", "camera": "text", "latitude": "real", "longitude": "real", "width": "integer",
            "height": "integer"}  # the columns of the table, whose types SQLite holds values to


def save(search, folder, *, overwrite=False):
    """Write a Search to a folder, see `Search.save`: what the folder holds of its vectors already stays as it is.

    Returns:
        the state of the folder that was written, as of `load`.
    """
    images = search.images
    document = {"n": len(images), "label_names": list(images.label_names), "root": _root(images),
                "class_level": images.class_level, "sources": list(images.sources),
                "fingerprint": _fingerprint(search), "spaces": list(search.indexes)}
    rows = {"paths": list(images.paths), "labels": images.labels.tolist(),
            "skipped": [list(item) for item in images.skipped], "links": dict(search.links)}
    before = _outside(folder)

    def fill(commit):
        build = commit.subfolder()  # becomes the index's when search.json names it
        indexes = {space: part.stored(commit.part(space), folder) for space, part in search.indexes.items()}
        commit.document = {**document, "build": build.name, "indexes": indexes}
        search.model.save(build / "model")
        storage.write_json(commit.file("rows.json"), rows, indent=None)
        commit.file("metadata.sqlite").write_bytes(packed(search.metadata))
        if search.contents is not None:
            write_npy(commit.file("contents.npy"), search.contents)
        if search.thumbnails is not None:
            search.thumbnails.save(commit, search.contents)

    commit = storage.publish(folder, "search", fill, lost=partial(_lost, search, folder), overwrite=overwrite,
                             stamps=True)
    for space, part in search.indexes.items():
        part.settled(commit.part(space))
    _drop(folder, before, [part.outside["collection"] for part in search.indexes.values() if part.outside])
    return _state(folder, commit.document)


def _outside(folder):
    """{space: what an index that is there keeps in a database}, before another takes its place."""
    try:
        document = storage.open_artefact(folder, "search")[0]
        return {space: index.outside(part) for space, part in document["indexes"].items()}
    except (OSError, ValueError, LookupError, AttributeError):
        return {}


def _drop(folder, before, kept):
    """Drop what the index that was there had in a database as its own, but for the collections that are kept."""
    for record in before.values():
        if record and record["collection"] not in kept:
            with contextlib.suppress(ConnectionError):  # then `devise check --repair` finds it
                index.discard(record, folder)


def _lost(search, folder, document, paths):
    """What of the index that is there a new one lacks, or None: another model, a space, or pictures.

    Nothing is lost of the state that the new one was made from: what it lacks of that was taken out of it.

    Raises:
        FileExistsError: if the new one was made from an earlier state of the index.
    """
    there = _state(folder, document)
    if search.state == there:
        return None
    if search.state and search.state[0] == there[0]:
        raise FileExistsError(f"{folder} was changed by somebody else since it was opened, {document['n']:,} pictures "
                              "are in it now; it stays as it is: run the same command again (in Python on a Search "
                              "that is loaded anew)")
    if document.get("fingerprint") != _fingerprint(search):
        return f"{document['n']:,} pictures by another model"
    if spaces := set(document["spaces"]) - set(search.indexes):
        return f"the space {sorted(spaces)[0]} of {document['n']:,} pictures"
    root, theirs = _root(search.images), storage.read_json(paths["rows.json"])["paths"]
    if root == document["root"] and not set(theirs) - set(search.images.paths):
        return None
    mine = set(_places(root, search.images.paths))
    lost = [place for place in _places(document["root"], theirs) if place not in mine]
    return f"{len(lost):,} of {document['n']:,} pictures, such as {lost[0]}, are not in the new one" if lost else None


def _fingerprint(search):
    """That of the model, which its indexes hold."""
    return next(iter(search.indexes.values())).fingerprint


def _root(images):
    return str(Path(images.root).resolve()) if images.root else None


def _places(root, paths):
    return [str(Path(root or "", path)) for path in paths]


def load(folder, words=None):
    """What a Search is made of, from a folder that `save` wrote, see `Search.load`, and the state of the folder."""
    return storage.read_artefact(folder, "search", lambda document, paths: (
        _read(folder, words, document, paths), _state(folder, document)), check=None)


def _state(folder, document):
    """Where an index lies and which of those that were ever saved there it is."""
    return str(folder.resolve()), document.get("build")


def packed(metadata):
    """The metadata of images, Metadata or None each, as the content of a SQLite database: a table `pictures`."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        columns = ", ".join(f"{name} {kind}" for name, kind in METADATA.items())
        database.execute(f"create table pictures (row integer primary key, {columns})")
        database.executemany(f"insert into pictures values (?{', ?' * len(METADATA)})",
                             ((row, *known) for row, known in enumerate(metadata) if known is not None))
        database.commit()
        return database.serialize()


def unpacked(content, n):
    """The metadata that `packed` wrote, one entry for each of n images, None for those that were never read."""
    metadata = [None] * n
    if content is None:
        return metadata
    columns = ", ".join(f"cast({name} as {kind})" for name, kind in METADATA.items())
    try:
        with contextlib.closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(content)
            for row, *known in database.execute(f"select row, {columns} from pictures where row between 0 and ?",
                                                (n - 1,)):
                metadata[row] = Metadata(*known)
    except (sqlite3.Error, MemoryError) as error:  # the second of an empty file
        raise ValueError(f"the table of metadata is damaged ({error}): index the pictures again") from error
    return metadata


def _read(folder, words, document, paths):
    rows = storage.read_json(paths["rows.json"])
    parts = folder / document["build"]
    names = document["spaces"]
    if not names:
        raise ValueError(f"{folder} names no space: build the index again")
    if strange := [name for name in (document["build"], *names) if Path(name).name != name]:
        raise ValueError(f"{folder} names {strange[0]!r} as a part of the index: expected a folder in it")
    there, known = storage.part_digests(parts), document["folders"][document["build"]]
    for name in sorted(there.keys() | known.keys()):
        if there.get(name) != known.get(name):
            raise ValueError(f"{(parts / name).parent} is not the one that the index in {folder} was saved with: "
                             "build the index again")
    model = Devise.load(parts / "model", words=words)
    indexes = {space: index.loaded(document, paths, space, folder) for space in names}
    images = ImageSet(paths=tuple(rows["paths"]), labels=np.array(rows["labels"], np.int64),
                      label_names=tuple(document["label_names"]),
                      root=Path(document["root"]) if document["root"] else None,
                      skipped=tuple(Skipped(*item) for item in rows["skipped"]),
                      class_level=document.get("class_level"), sources=tuple(document.get("sources", ())))
    for space, space_index in indexes.items():
        if len(space_index) > len(images) or space_index.ids.max(initial=-1) >= len(images):
            raise ValueError(f"{folder}: the {space} index has {len(space_index)} vectors for {len(images)} "
                             "pictures: build the index again")
    contents = read_npy(paths["contents.npy"], CONTENT, (len(images),)) if "contents.npy" in paths else None
    small = {name: path for name, path in paths.items() if name.startswith(FILE)}
    content = paths["metadata.sqlite"].read_bytes() if "metadata.sqlite" in paths else None  # of an older index: none
    return (model, images, indexes, contents, rows.get("links", {}), Thumbnails(small) if small else None, (),
            partial(unpacked, content, len(images)))
