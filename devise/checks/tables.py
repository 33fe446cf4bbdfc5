"""Feature tables and word vectors: what stands in the rows, and whether the pictures are still there."""

from pathlib import Path

import numpy as np

from devise import features
from devise.checks.base import AGAIN, DAMAGE, some, whole
from devise.features.table import has_changed
from devise.words import WordVectors
from devise.words.files import fingerprint_of

ROWS = 4096  # read at a time


def check_features(found, folder, progress):
    """The facts and problems of a feature table."""
    if not whole(found, folder, "features", progress):
        return
    try:
        found.opened = table = features.load(folder)
    except DAMAGE as error:
        found.problem(str(error), AGAIN["features"])
        return
    found.facts = {"pictures": len(table), "dim": table.matrix.shape[1], "dtype": str(table.matrix.dtype),
                   "classes": len(table.images.label_names), "backbone": table.backbone["name"],
                   "skipped": len(table.images.skipped)}
    check_rows(found, table.matrix, table.images.paths, AGAIN["features"])
    if table.backbone["dim"] != table.matrix.shape[1]:
        found.problem(f"its backbone gives {table.backbone['dim']} values, its rows have {table.matrix.shape[1]}",
                      AGAIN["features"])
    check_pictures(found, table.images, lambda row: has_changed(table.images, row, table.contents),
                   "run devise extract again, it computes these anew")
    unfinished = list(Path(folder).glob("partial-*"))
    if unfinished:
        found.notes.append(f"an extraction was interrupted ({unfinished[0].name}): the same command goes on with it")


def check_rows(found, matrix, names, remedy):
    """NaN, infinite and zero rows of a matrix, by the names of the rows."""
    damaged, zero = [], []
    for start in range(0, len(matrix), ROWS):
        block = np.asarray(matrix[start:start + ROWS])
        damaged += (start + np.flatnonzero(~np.isfinite(block).all(axis=1))).tolist()
        zero += (start + np.flatnonzero(~block.any(axis=1))).tolist()
    if damaged:
        found.problem(f"{len(damaged):,} of {len(matrix):,} rows hold NaN or infinity: "
                      f"{some(names[row] for row in damaged)}", remedy)
    if zero:
        found.notes.append(f"{len(zero):,} rows are all zero and are left out of an index: "
                           f"{some(names[row] for row in zero)}")


def check_pictures(found, images, changed, remedy):
    """Pictures that are gone, and those that have changed since: `changed` says it of a row, `remedy` what to do."""
    if images.root is None:
        found.notes.append("the pictures themselves are not on this disk")
        return
    missing = [path for row, path in enumerate(images.paths) if not images.file(row).is_file()]
    found.facts["pictures on this disk"] = len(images) - len(missing)
    if missing:
        found.problem(f"{len(missing):,} of {len(images):,} pictures are not where they were: {some(missing)}",
                      f"bring them back below {images.root}, or run the same command again, which leaves them out",
                      images.root)
    now = [path for row, path in enumerate(images.paths) if changed(row) and images.file(row).is_file()]
    if now:
        found.problem(f"{len(now):,} pictures have another content than the one their row was computed from: "
                      f"{some(now)}", remedy, images.root)


def check_words(found, folder, progress):
    """The facts and problems of a folder of word vectors."""
    if not whole(found, folder, "words", progress):
        return
    try:
        found.opened = words = WordVectors.load(folder)
    except DAMAGE as error:
        found.problem(str(error), AGAIN["words"])
        return
    found.facts = {"words": len(words), "dim": words.dim, "name": words.name}
    check_rows(found, words.matrix, words.words, AGAIN["words"])
    if fingerprint_of(words.words, words.matrix) != words.fingerprint:
        found.problem("its fingerprint is not that of its words and vectors", AGAIN["words"])
