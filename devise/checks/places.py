"""Any places, whatever they hold, each alone and then against one another."""

from collections.abc import Callable
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import numpy as np

from devise import features, storage
from devise.arrays import unit_rows
from devise.checks import contents, models
from devise.checks.base import DAMAGE, Checked, size
from devise.figures import some

KINDS = {"search": contents.check_search, "model": models.check_model, "features": contents.check_features,
         "index": contents.check_index, "words": contents.check_words}
SAME = 0.999  # the least cosine of a picture's features with those computed again


def check(*places: str | Path, recompute: int = 0, repair: bool = False,
          progress: Callable[[int, int], object] | None = None) -> list[Checked]:
    """Whether artefacts are whole and fit one another.

    Of each: the digests of all files, shapes, NaN, labels, pictures that are gone. Of a model: its
    words, its backbone, its features. Of an index: the model that it was built with. Of several
    places: whether features and indexes are those of the models among them.

    Args:
        places: folders that devise wrote, or names of sets that come with the package.
        repair: first remove what indexes have left over in a database, which the notes then say; nobody else may
            write to them meanwhile.
        recompute: put so many pictures of each place through the network again and compare.
        progress: called as progress(done, total) with the bytes read.
    Returns:
        A Checked for each place.
    Raises:
        FileNotFoundError: if the only place holds nothing that devise wrote; one of several then has a problem.

    >>> [found] = check("caltech37")
    >>> found.kind, found.facts["pictures"], found.ok
    ('features', 1609, True)
    """
    results, there = [Checked(str(place), "nothing") for place in places], []
    for found in results:
        try:
            folder = _folder(found.place)
            found.kind = _kind(folder)
            there.append((found, folder))
        except FileNotFoundError as error:
            if len(places) == 1:
                raise
            found.problem(str(error), "name another place, or leave it out")
    total, done = sum(size(folder) for _, folder in there), 0

    def read(amount):
        nonlocal done
        done += amount
        if progress:
            progress(min(done, total), total)

    for found, folder in there:
        if repair and found.kind in ("search", "index"):
            with suppress(*DAMAGE):  # what can't be opened is told of below
                found.notes += contents.repair(folder)
        KINDS[found.kind](found, folder, read)
        if recompute and found.opened is not None:
            _recompute(found, recompute)
    for one, other in combinations([found for found in results if found.opened is not None], 2):
        _fit(one, other)
        _fit(other, one)
    if progress:
        progress(total, total)
    return results


def _folder(place):
    folder = Path(place).expanduser()
    if not folder.exists():
        try:
            return storage.bundled(str(place))
        except FileNotFoundError:
            expected = "expected a folder that devise wrote, or caltech37"
            raise FileNotFoundError(f"{place} does not exist: {expected}") from None
    return folder


def _kind(folder):
    """What a folder holds; of a search, whose parts lie in folders below, the whole."""
    for kind in KINDS:
        if (folder / f"{kind}.json").is_file():
            return kind
    expected = ", ".join(f"{kind}.json" for kind in KINDS)
    raise FileNotFoundError(f"{folder} holds nothing that devise wrote: expected a folder with one of {expected}")


def _fit(found, other):
    """Whether one place fits another; asked for both orders."""
    if found.kind == "model":
        if other.kind == "features":
            models.fit_features(found, found.opened, other.opened)
        elif other.kind == "words" and (record := found.opened.words_record):
            if record["fingerprint"] != other.opened.fingerprint:
                found.problem(f"it was trained on {record['name']} ({record['fingerprint'][:12]}), the words in "
                              f"{other.place} are {other.opened.fingerprint[:12]}",
                              "bring the words of the training, or train again", other.place)
    elif found.kind == "search" and other.kind == "model":
        contents.fit_model(found, found.opened, other.opened, other.place)


def _recompute(found, n):
    """Compare some rows with what the network makes of their pictures now."""
    if found.kind not in ("features", "search"):
        return
    images = found.opened.images
    there = [row for row in range(len(images)) if images.root and images.file(row).is_file()]
    rows = [there[place] for place in np.unique(np.linspace(0, len(there) - 1, min(n, len(there))).astype(int))]
    if not rows:
        found.notes.append("no picture is on this disk to put through the network again")
        return
    try:
        backbone = found.opened.model.backbone if found.kind == "search" else _backbone(found.opened.backbone)
    except (OSError, ValueError, ImportError) as error:
        found.problem(f"its backbone can't be loaded: {error}", "see devise info")
        return
    fresh = features.compute(images.subset(rows), backbone)
    if len(fresh) < len(rows):
        lost = some(item.path for item in fresh.images.skipped)
        found.problem(f"{len(rows) - len(fresh)} pictures can't be read: {lost}",
                      "bring them back, or run the same command again, which leaves them out")
        return
    for name, kept, new in _pairs(found, rows, fresh.matrix):
        cosines = (kept * new).sum(axis=1)
        wrong = [images.paths[row] for row, cosine in zip(rows, cosines, strict=True) if not cosine > SAME]
        found.facts[f"{name} computed again"] = f"{len(rows)} pictures, least cosine {cosines.min():.5f}"
        if wrong:
            found.problem(f"{len(wrong)} of {len(rows)} pictures have other {name} vectors when they are computed "
                          f"again: {some(wrong)}", "extract or index the pictures again")


def _backbone(record):
    from devise import backbones

    loaded = backbones.load(record["name"], layer=record["layer"], weights=record["weights"])
    if loaded.fingerprint != record["fingerprint"]:
        raise ValueError(f"the weights at hand have fingerprint {loaded.fingerprint[:12]}, the features were computed "
                         f"with {record['fingerprint'][:12]}")
    return loaded


def _pairs(found, rows, matrix):
    """(name, unit rows that were kept, unit rows of now) of a table, or of each space of an index."""
    if found.kind == "features":
        yield "features", unit_rows(np.asarray(found.opened.matrix[rows], np.float32)), unit_rows(matrix)
        return
    known = found.opened.model.spaces
    for space, part in found.opened.indexes.items():
        yield space, part.vectors(rows), known[space].embed(matrix)
