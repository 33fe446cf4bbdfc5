"""Features of changed copies of pictures, one table a strength: a curriculum without a forward pass an epoch."""

from hashlib import sha256
from pathlib import Path

import numpy as np

from devise import backbones, features, storage
from devise.datasets.augmentation import Augmentation

STRENGTHS = (1 / 3, 2 / 3, 1.0)


def has_pictures(table):
    """Whether the pictures of a table are on this disk, as far as the first tells."""
    return table.images.root is not None and len(table) > 0 and table.images.file(0).is_file()


def network_of(table, backbone=None):
    """The Backbone that a table's features are of: the one given, or the one they name.

    Raises:
        ValueError: if the weights at hand are others.
    """
    if backbone is None or isinstance(backbone, str):
        backbone = backbones.load(table.backbone["name"], layer=table.backbone["layer"])
    if backbone.fingerprint != table.backbone["fingerprint"]:
        raise ValueError(f"the features are of {table.backbone['name']} ({table.backbone['fingerprint'][:12]}), the "
                         f"weights at hand are others ({backbone.fingerprint[:12]}): extract the features again")
    return backbone


def changed_copies(table, rows, backbone, folder, *, strengths=STRENGTHS, augmentation=None, seed=0, progress=None):
    """The features of one changed copy of each picture at each strength.

    A strength that was finished before is read from where it lies, so that an interrupted run goes
    on. Its file is named by all that it depends on.

    Args:
        table: FeatureTable whose pictures are on this disk.
        rows: int (m,), the pictures to change.
        backbone: the Backbone of the table.
        folder: where the copies' features are kept.
        strengths: of the augmentation, each in 0..1.
        progress: called with pictures done and their total, all strengths together.
    Returns:
        list of float32 (m, dim), memory-mapped, one a strength.
    Raises:
        ValueError: if a picture can't be read any more; the message says which and why.
    """
    augmentation, images = augmentation or Augmentation(), table.images.subset(rows)
    content = sha256(np.ascontiguousarray(table.matrix[rows], np.float32)).hexdigest()  # of the pictures, in effect
    levels = []
    for number, strength in enumerate(strengths):
        key = sha256(repr((backbone.fingerprint, content, augmentation, strength, seed)).encode()).hexdigest()[:16]
        path = Path(folder) / f"strength-{strength:.2f}-{key}.npy"
        if not path.is_file():
            def change(picture, row, number=number, strength=strength):
                return augmentation(picture, np.random.default_rng([seed, number, row]), strength)

            found = features.compute(images, backbone, change=change, progress=progress and (
                lambda done, total, number=number: progress(number * total + done, len(strengths) * total)))
            if len(found) < len(images):
                lost = found.images.skipped[-1]
                raise ValueError(f"{len(images) - len(found)} pictures can't be read any more, such as {lost.path}: "
                                 f"{lost.reason}")
            with storage.atomic_path(path) as temporary:
                np.save(temporary, found.matrix, allow_pickle=False)
        levels.append(np.load(path, mmap_mode="r", allow_pickle=False))
    return levels
