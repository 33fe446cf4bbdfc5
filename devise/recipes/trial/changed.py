"""Features of changed copies of pictures, one table a strength: a curriculum without a forward pass an epoch."""

from devise import backbones, features

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


def changed_copies(table, rows, backbone, *, strengths=STRENGTHS, seed=0, progress=None):
    """The features of one changed copy of each picture at each strength, cached as those of any network.

    Args:
        table: FeatureTable whose pictures are on this disk.
        rows: int (m,), the pictures to change.
        backbone: the Backbone of the table.
        strengths: of the augmentation, each in 0..1.
        progress: called with pictures done and their total, all strengths together.
    Returns:
        list of float32 (m, dim), memory-mapped, one a strength.
    Raises:
        ValueError: if a picture can't be read any more; the message says which and why.
    """
    images, levels = table.images.subset(rows), []
    for number, strength in enumerate(strengths):
        found = features.extract(images, features.Augmented(backbone, strength, seed=seed), progress=progress and (
            lambda done, total, number=number: progress(number * total + done, len(strengths) * total)))
        if len(found) < len(images):
            lost = found.images.skipped[-1]
            raise ValueError(f"{len(images) - len(found)} pictures can't be read any more, such as {lost.path}: "
                             f"{lost.reason}")
        levels.append(found.matrix)
    return levels
