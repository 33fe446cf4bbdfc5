"""The spaces in which a model can compare pictures, the pictures that have a place there, and any model in a folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from devise import features
from devise.datasets import ImageSet, Skipped
from devise.model.frozen import raw_rows

KINDS = ("siamese", "captions", "model")  # of manifests, as `open_model` looks for them


def spaces(model):
    """What a model can make of features: {space: function of (n, dim) that gives unit rows}.

    The first is the one in which pictures are compared unless another is asked for. A head that
    was trained towards the words of a few classes forgets what tells others apart, so of a Devise
    these are the raw features. "hidden" is the last hidden layer of its head, where it has one.

    Args:
        model: a Devise, a Siamese or a CaptionModel.
    """
    if hasattr(model, "spaces"):
        return model.spaces()
    inner = {name: head.embed for name, head in model.head.inner.items()}
    return {"raw": raw_rows, **inner, "shared": model.embed_features}


def indexable(model, data, folder=None, progress=None):
    """Pictures and their features for an index; those whose features are all zero are left out and listed.

    Args:
        data: ImageSet, or a FeatureTable of the model's backbone.
        folder: where features of an ImageSet are cached.
    Returns:
        ImageSet, float32 (n, dim).
    Raises:
        ValueError: if the features are of another backbone.
    """
    table = data
    if isinstance(data, ImageSet):
        table = features.extract(data, model.backbone, folder, progress=progress)
    model.check_features(table)
    matrix = np.asarray(table.matrix, np.float32)
    flat = ~matrix.any(axis=1)
    lost = [Skipped(table.images.paths[row], "its features are all zero") for row in np.flatnonzero(flat)]
    return replace(table.images.subset(~flat), skipped=(*table.images.skipped, *lost)), matrix[~flat]


def open_model(folder):
    """The model in a folder: a Devise, a Siamese or a CaptionModel.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged.
    """
    if (Path(folder) / "siamese.json").is_file():
        from devise.model.siamese import Siamese

        return Siamese.load(folder)
    if (Path(folder) / "captions.json").is_file():
        from devise.model.captions import CaptionModel

        return CaptionModel.load(folder)
    from devise.model.facade import Devise

    return Devise.load(folder)
