"""An index of pictures as a folder: the model, an index a space, and the pictures, all of one build."""

import contextlib
import shutil
import uuid
from functools import partial
from pathlib import Path

import numpy as np

from devise import index, storage
from devise.datasets import ImageSet, Skipped
from devise.model.spaces import KINDS, open_model

MANIFESTS = ("index", *KINDS)
OLD_SPACES = ("raw", "shared")  # of an index whose folder does not name them


def save(search, folder):
    """Write a Search to a folder, see `Search.save`."""
    build = uuid.uuid4().hex[:12]  # a folder of its own, which becomes the index's when search.json names it
    images = search.images
    document = {"build": build, "n": len(images), "label_names": list(images.label_names),
                "root": str(Path(images.root).resolve()) if images.root else None, "spaces": list(search.indexes)}
    rows = {"paths": list(images.paths), "labels": images.labels.tolist(),
            "skipped": [list(item) for item in images.skipped]}
    with storage.alone(folder / build):  # until it has its name, or another's sweep could take it
        for space, space_index in search.indexes.items():
            space_index.save(folder / build / space, home=folder)
        search.model.save(folder / build / "model")
        document["parts"] = _part_digests(folder / build)
        with storage.Commit(folder, "search", document) as commit:
            storage.write_json(commit.file("rows.json"), rows)
    _sweep(folder)


def load(folder):
    """(model, images, {space: Index}) of a folder that `save` wrote, see `Search.load`."""
    return storage.read_artefact(folder, "search", partial(_read, folder), check=["rows.json"])


def _read(folder, document, paths):
    rows = storage.read_json(paths["rows.json"])
    parts = folder / document["build"]
    names = document.get("spaces", OLD_SPACES)
    if not names:
        raise ValueError(f"{folder} names no space: build the index again")
    if strange := [name for name in (document["build"], *names) if Path(name).name != name]:
        raise ValueError(f"{folder} names {strange[0]!r} as a part of the index: expected a folder in it")
    there = _part_digests(parts)
    for name, known in document.get("parts", {}).items():  # older indexes have no such record, or not of all
        if there.get(name) != known:
            raise ValueError(f"{parts / name} is not the one that the index in {folder} was saved with: "
                             "build the index again")
    model = open_model(parts / "model")
    indexes = {space: index.load(parts / space) for space in names}
    images = ImageSet(paths=tuple(rows["paths"]), labels=np.array(rows["labels"], np.int64),
                      label_names=tuple(document["label_names"]),
                      root=Path(document["root"]) if document["root"] else None,
                      skipped=tuple(Skipped(*item) for item in rows["skipped"]))
    for space, space_index in indexes.items():
        if len(space_index) > len(images) or space_index.ids.max(initial=-1) >= len(images):
            raise ValueError(f"{folder}: the {space} index has {len(space_index)} vectors for {len(images)} "
                             "pictures: build the index again")
    return model, images, indexes


def _part_digests(build):
    """{part: digest of its manifest, which holds those of its files} of a build's model and indexes."""
    manifests = sorted(path for path in build.glob("*/*.json") if path.stem in MANIFESTS)
    return {path.parent.name: storage.digest(path) for path in manifests}


def _sweep(folder):
    """Remove the builds that no process is making and search.json does not name."""
    with storage.alone(folder):  # nobody names another build meanwhile
        named = storage.open_artefact(folder, "search")[0]["build"]
        keep = [manifest["outside"]["collection"] for path in (folder / named).glob("*/index.json")
                if "outside" in (manifest := storage.read_json(path))]
        for other in folder.iterdir():
            if other.is_dir() and other.name != named and _is_build(other.name):
                with storage.alone(other, wait=False) as free:
                    if free:
                        with contextlib.suppress(ConnectionError):  # the next save tries again
                            for path in other.glob("*/index.json"):
                                index.discard(path.parent, keep)
                            shutil.rmtree(other, ignore_errors=True)


def _is_build(name):
    return len(name) == 12 and all(letter in "0123456789abcdef" for letter in name)
