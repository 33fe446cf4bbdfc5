"""What every model has that stands on a frozen backbone: the network, and the features it was made with."""

import numpy as np

from devise import features
from devise.arrays import unit_rows
from devise.datasets import open_images
from devise.model.finetuning import with_saved_changes

AUTO = "auto"


class OnBackbone:
    """A model on the features of a frozen network, which is loaded on first use.

    Args:
        backbone: a Backbone, a name from `devise.backbones.names()`, or "auto": that of the features
            that the model is given, else the best at hand.
        weights, layer: of the backbone, where it is a name.
    """

    def __init__(self, backbone=AUTO, *, weights="imagenet", layer=None):
        self._backbone = None if isinstance(backbone, str) else backbone
        self.backbone_record = (features.describe(self._backbone) if self._backbone else
                                {"name": backbone, "layer": layer, "weights": weights, "fingerprint": None})
        self.data_record = self._table = self._changes = None

    @property
    def backbone(self):
        """The frozen network, loaded on first use; refused when it is not that of the training."""
        if self._backbone is None:
            self._backbone = opened(self.backbone_record, self._changes)
            self.backbone_record = self.backbone_record | features.describe(self._backbone)
        return self._backbone

    @property
    def table(self):
        """The features that the model was trained and is evaluated on, opened on first use."""
        if self._table is None:
            if self.data_record is None:
                raise ValueError("the features of the training are not on disk: give a feature table")
            self._table = features.load(self.data_record)
        return self._table

    def features_of(self, pictures, *, progress=None):
        """The feature table, in memory, of an ImageSet, of paths, or of one path."""
        return features.compute(as_images(pictures), self.backbone, progress=progress)

    def check_features(self, table):
        """Refuse features of another backbone than the one of the training, by name."""
        mine, theirs = self.backbone_record, table.backbone
        if mine["fingerprint"] not in (None, theirs["fingerprint"]):
            raise ValueError(f"the model was trained on {mine['name']} ({mine['fingerprint'][:12]}), these features "
                             f"are of {theirs['name']} ({theirs['fingerprint'][:12]}): extract them with its backbone")

    def adopt(self, table):
        """Take a table's backbone and pictures for one's own, or refuse it."""
        self.check_features(table)
        name = self.backbone_record["name"]
        if name not in (AUTO, table.backbone["name"]):
            raise ValueError(f"the features are of {table.backbone['name']}, the model was asked for {name}: "
                             f"say backbone={table.backbone['name']!r}")
        self.backbone_record = {**self.backbone_record, **table.backbone}
        self.data_record, self._table = table.source, table


def as_images(pictures):
    """Pictures, as `open_images` takes them, as an ImageSet."""
    return open_images(pictures)


def opened(record, changes=None):
    """The network that a model records, with the weights that fine-tuning gave it.

    Args:
        record: name, layer, weights, fingerprint; of a fine-tuned one "base", what it was before.
        changes: of a fine-tuned one its SavedChanges.
    Raises:
        ValueError: if it is not the network of the training.
    """
    from devise import backbones

    base = record.get("base", record)
    name = backbones.choose()[0] if base["name"] == AUTO else base["name"]
    loaded = backbones.load(name, layer=base["layer"], weights=base["weights"])
    if "base" in record:
        loaded = with_saved_changes(loaded, changes, record["fingerprint"])
    if record["fingerprint"] not in (None, loaded.fingerprint):
        raise ValueError(f"this model was trained on {name} {record['layer']} with fingerprint "
                         f"{record['fingerprint'][:12]}, the weights at hand have {loaded.fingerprint[:12]}: "
                         "bring the weights of the training, or train again")
    return loaded


def readable_features(table):
    """A table's matrix, where no picture of it was skipped.

    Raises:
        ValueError: if one can't be read; the message says which and why.
    """
    if table.images.skipped:
        lost = "; ".join(f"{item.path}: {item.reason}" for item in table.images.skipped[:3])
        raise ValueError(f"{len(table.images.skipped)} pictures can't be read ({lost}): leave them out")
    return table.matrix


def raw_rows(matrix):
    """Features as unit rows, float32 (n, dim)."""
    return unit_rows(np.asarray(matrix, np.float32), "features")
