"""A model of the drawn pictures, trained once a file."""

import pytest

from devise import features
from devise.datasets import from_folder
from devise.heads import RidgeHead
from devise.model import train_labels


@pytest.fixture(scope="module")
def model(drawn_folder, make_backbone, vocabulary):
    backbone = make_backbone()
    table = features.compute(from_folder(drawn_folder), backbone)
    return train_labels(table, vocabulary, backbone=backbone, head=RidgeHead(), unseen=["horse"])
