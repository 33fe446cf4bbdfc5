"""Indexes: vectors and pictures row by row, and whether they are those of the model beside them."""

from pathlib import Path

import numpy as np

from devise import index
from devise.checks.base import AGAIN, DAMAGE, Checked, whole
from devise.checks.models import check_model
from devise.checks.tables import check_pictures
from devise.search import Search

ROWS = 4096
LENGTH = 1e-3  # how far a row's length may be from 1


def check_index(found, folder, progress):
    """The facts and problems of one index of vectors."""
    if not whole(found, folder, "index", progress):
        return
    try:
        found.opened = part = index.load(folder, check=False)
    except DAMAGE as error:
        found.problem(str(error), AGAIN["index"])
        return
    found.facts = {"vectors": len(part), "dim": part.dim, "engine": part.engine}
    _check_lengths(found, part)


def check_search(found, folder, progress):
    """The facts and problems of an index with its pictures and model."""
    opened = whole(found, folder, "search", progress)
    if not opened:
        return
    document, place = opened[0], Path(folder) / str(opened[0].get("build")) / "model"
    model = Checked(str(place), "model")
    check_model(model, place, progress, within=True)
    found.problems += model.problems
    found.notes += model.notes
    if model.opened is None:
        return
    try:
        found.opened = search = Search.load(folder)
    except DAMAGE as error:
        found.problem(str(error), AGAIN["search"])
        return
    engines = sorted({part.engine for part in search.indexes.values()})
    found.facts = {"pictures": len(search), "spaces": list(document["spaces"]), "engine": ", ".join(engines),
                   **model.facts}
    for part in search.indexes.values():
        _check_lengths(found, part)
    check_pictures(found, search.images, search.changed, f"devise add {folder} with them takes them as they are now")
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
