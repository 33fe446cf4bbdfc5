"""Feature tables, word vectors and indexes: what stands in their rows, and whether the pictures are still there."""

from functools import partial
from pathlib import Path

import numpy as np

from devise import features, index
from devise.checks.base import AGAIN, Checked, opens, whole
from devise.checks.models import check_model
from devise.features.table import has_changed
from devise.figures import counted, some
from devise.search import Search
from devise.words import WordVectors
from devise.words.files import fingerprint_of

ROWS = 4096  # read at a time
LENGTH = 1e-3  # how far a row's length may be from 1


def check_features(found, folder, progress):
    """The facts and problems of a feature table."""
    if not (whole(found, folder, progress) and opens(found, folder, features.load)):
        return
    table = found.opened
    found.facts = {"pictures": len(table), "dim": table.matrix.shape[1], "dtype": str(table.matrix.dtype),
                   "classes": len(table.images.label_names), "backbone": table.backbone["name"],
                   "skipped": len(table.images.skipped)}
    check_rows(found, table.matrix, table.images.paths)
    if table.backbone["dim"] != table.matrix.shape[1]:
        found.problem(f"its backbone gives {table.backbone['dim']} values, its rows have {table.matrix.shape[1]}",
                      AGAIN["features"])
    check_pictures(found, table.images, lambda row: has_changed(table.images, row, table.contents),
                   "or run the same command again, which leaves them out",
                   "run devise extract again, it computes these anew")
    unfinished = list(Path(folder).glob("partial-*"))
    if unfinished:
        found.notes.append(f"an extraction was interrupted ({unfinished[0].name}): the same command goes on with it")


def check_rows(found, matrix, names):
    """NaN, infinite and zero rows of a matrix, by the names of the rows."""
    damaged, zero = [], []
    for start in range(0, len(matrix), ROWS):
        block = np.asarray(matrix[start:start + ROWS])
        damaged += (start + np.flatnonzero(~np.isfinite(block).all(axis=1))).tolist()
        zero += (start + np.flatnonzero(~block.any(axis=1))).tolist()
    if damaged:
        found.problem(f"{len(damaged):,} of {len(matrix):,} rows hold NaN or infinity: "
                      f"{some(names[row] for row in damaged)}", AGAIN[found.kind])
    if zero:
        found.notes.append(f"{len(zero):,} rows are all zero and are left out of an index: "
                           f"{some(names[row] for row in zero)}")


def check_pictures(found, images, changed, elsewhere, remedy):
    """Pictures that are gone, and those that have changed since, and what to do about either.

    Args:
        changed: of a row, whether its picture has changed.
        elsewhere, remedy: what to do where pictures are gone for good, and where they have changed.
    """
    if images.root is None:
        found.notes.append("the pictures themselves are not on this disk")
        return
    missing = [path for row, path in enumerate(images.paths) if not images.file(row).is_file()]
    found.facts["pictures on this disk"] = len(images) - len(missing)
    if missing:
        found.problem(f"{len(missing):,} of {len(images):,} pictures are not where they were: {some(missing)}",
                      f"bring them back below {images.root}, {elsewhere}",
                      images.root)
    now = [path for row, path in enumerate(images.paths) if changed(row) and images.file(row).is_file()]
    if now:
        found.problem(f"{counted(len(now), 'picture')} with another content than the row was computed from: "
                      f"{some(now)}", remedy, images.root)


def check_words(found, folder, progress):
    """The facts and problems of a folder of word vectors."""
    if not (whole(found, folder, progress) and opens(found, folder, WordVectors.load)):
        return
    words = found.opened
    found.facts = {"words": len(words), "dim": words.dim, "name": words.name}
    check_rows(found, words.matrix, words.words)
    if fingerprint_of(words.words, words.matrix) != words.fingerprint:
        found.problem("its fingerprint is not that of its words and vectors", AGAIN["words"])


def check_index(found, folder, progress):
    """The facts and problems of one index of vectors."""
    if not (whole(found, folder, progress) and opens(found, folder, partial(index.load, check=False))):
        return
    part = found.opened
    found.facts = {"vectors": len(part), "dim": part.dim, "engine": part.engine}
    _check_lengths(found, part)


def check_search(found, folder, progress):
    """The facts and problems of an index with its pictures and model."""
    document = whole(found, folder, progress)
    if not document:
        return
    place = Path(folder) / str(document.get("build")) / "model"
    model = Checked(str(place), "model")
    check_model(model, place, progress, within=True)
    found.problems += model.problems
    found.notes += model.notes
    if model.opened is None or not opens(found, folder, Search.load):
        return
    search = found.opened
    engines = sorted({part.engine for part in search.indexes.values()})
    found.facts = {"pictures": len(search), "spaces": list(document["spaces"]), "engine": ", ".join(engines),
                   **model.facts}
    for part in search.indexes.values():
        _check_lengths(found, part)
    check_pictures(found, search.images, search.changed,
                   f"or devise sync {folder} with the folder that they are in now follows them, or leaves them out",
                   f"devise add {folder} with them takes them as they are now")
    _check_spaces(found, search)
    fit_model(found, search, search.model, place)


def _check_lengths(found, part):
    """Whether all vectors of an index have a direction and the length 1."""
    wrong, ids = 0, part.ids
    for start in range(0, len(ids), ROWS):
        lengths = np.linalg.norm(part.vectors(ids[start:start + ROWS]), axis=1)
        wrong += int((~(np.abs(lengths - 1) < LENGTH)).sum())  # NaN is not near 1 either
    if wrong:
        found.problem(f"{wrong:,} of {len(ids):,} vectors are not of length 1, or hold NaN", AGAIN["index"])


def repair(folder) -> list[str]:
    """Remove what an index has left over in a database, see `devise.index.Index.repair`; what was done."""
    if (Path(folder) / "index.json").is_file():
        return index.load(folder).repair(folder)
    parts = Search.load(folder).indexes.values()
    keep = [part.outside["collection"] for part in parts if part.outside]
    return [done for part in parts for done in part.repair(folder, keep)]


def _check_spaces(found, search):
    """Whether each space is one of the model's, with its dim."""
    known = search.model.spaces
    for space, part in search.indexes.items():
        if space not in known:
            found.problem(f"its model has no space {space!r}, only {', '.join(known)}", AGAIN["search"])
        elif known[space].dim != part.dim:
            found.problem(f"the {space} index has dim {part.dim}, its model makes {known[space].dim}",
                          AGAIN["search"])


def fit_model(found, search, model, place):
    """Whether an index was built with a model, by the fingerprint that it kept."""
    mine = model.fingerprint
    for space, part in search.indexes.items():
        if part.fingerprint is None:
            found.notes.append(f"the {space} index does not say which model it was built with: build it again to know")
        elif part.fingerprint != mine:
            found.problem(f"the {space} index was built with another model ({part.fingerprint[:12]}) than the one in "
                          f"{place} ({mine[:12]})", "build the index again with this model: devise index", place)
