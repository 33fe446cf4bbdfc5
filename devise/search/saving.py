"""An index of pictures as a folder: the model, an index a space, and the pictures, all of one build."""

import contextlib
from functools import partial
from pathlib import Path

import numpy as np

from devise import index, storage
from devise.arrays import read_npy, write_npy
from devise.datasets import ImageSet, Skipped
from devise.features.table import CONTENT
from devise.model import Devise
from devise.search.pictures import FILE, Thumbnails


def save(search, folder, *, overwrite=False):
    """Write a Search to a folder, see `Search.save`."""
    images = search.images
    document = {"n": len(images), "label_names": list(images.label_names), "root": _root(images),
                "class_level": images.class_level, "fingerprint": _fingerprint(search), "spaces": list(search.indexes)}
    rows = {"paths": list(images.paths), "labels": images.labels.tolist(),
            "skipped": [list(item) for item in images.skipped], "links": dict(search.links)}
    before = _outside(folder)
    with storage.Commit(folder, "search", document, lost=partial(_lost, search), overwrite=overwrite) as commit:
        build = commit.subfolder()  # becomes the index's when search.json names it
        commit.document["build"] = build.name
        for space, space_index in search.indexes.items():
            space_index.save(build / space, home=folder)
        search.model.save(build / "model")
        storage.write_json(commit.file("rows.json"), rows)
        if search.contents is not None:
            write_npy(commit.file("contents.npy"), search.contents)
        if search.thumbnails is not None:
            search.thumbnails.save(commit, search.contents)
    _drop(folder, before, [part.outside["collection"] for part in search.indexes.values() if part.outside])


def _outside(folder):
    """{space: what an index that is there keeps in a database}, before another takes its place."""
    try:
        document = storage.open_artefact(folder, "search")[0]
        return {space: index.outside(folder / document["build"] / space) for space in document["spaces"]}
    except (OSError, ValueError, LookupError):
        return {}


def _drop(folder, before, kept):
    """Drop what the index that was there had in a database as its own, but for the collections that are kept."""
    for record in before.values():
        if record and record["collection"] not in kept:
            with contextlib.suppress(ConnectionError):  # then `devise check --repair` finds it
                index.discard(record, folder)


def _lost(search, document, paths):
    """What of the index that is there a new one lacks, or None: another model, a space, or pictures."""
    if document.get("fingerprint") != _fingerprint(search):
        return f"{document['n']:,} pictures by another model"
    if spaces := set(document["spaces"]) - set(search.indexes):
        return f"the space {sorted(spaces)[0]} of {document['n']:,} pictures"
    mine = set(_places(_root(search.images), search.images.paths))
    lost = [place for place in _places(document["root"], storage.read_json(paths["rows.json"])["paths"])
            if place not in mine]
    return f"{len(lost):,} of {document['n']:,} pictures, such as {lost[0]}, are not in the new one" if lost else None


def _fingerprint(search):
    """That of the model, which its indexes hold."""
    return next(iter(search.indexes.values())).fingerprint


def _root(images):
    return str(Path(images.root).resolve()) if images.root else None


def _places(root, paths):
    return [str(Path(root or "", path)) for path in paths]


def load(folder, words=None):
    """What a Search is made of, from a folder that `save` wrote, see `Search.load`."""
    return storage.read_artefact(folder, "search", partial(_read, folder, words), check=["rows.json"])


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
    indexes = {space: index.load(parts / space) for space in names}
    images = ImageSet(paths=tuple(rows["paths"]), labels=np.array(rows["labels"], np.int64),
                      label_names=tuple(document["label_names"]),
                      root=Path(document["root"]) if document["root"] else None,
                      skipped=tuple(Skipped(*item) for item in rows["skipped"]),
                      class_level=document.get("class_level"))
    for space, space_index in indexes.items():
        if len(space_index) > len(images) or space_index.ids.max(initial=-1) >= len(images):
            raise ValueError(f"{folder}: the {space} index has {len(space_index)} vectors for {len(images)} "
                             "pictures: build the index again")
    contents = read_npy(paths["contents.npy"], CONTENT, (len(images),)) if "contents.npy" in paths else None
    small = {name: path for name, path in paths.items() if name.startswith(FILE)}
    return model, images, indexes, contents, rows.get("links", {}), Thumbnails(small) if small else None
