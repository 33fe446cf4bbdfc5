"""Features of drawn classes for the retrieval recipes: a nuisance that all classes share hides them."""

import numpy as np
import pytest

from devise.datasets import ImageSet
from devise.features import FeatureTable

CLASSES, PER_CLASS, DIM = 16, 8, 20
BACKBONE = {"name": "drawn", "layer": "top", "dim": DIM, "weights": "none", "trained": True, "fingerprint": "0" * 64}


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Figures of few pixels: how many they have is tested where they are drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("devise.plots.style.DPI", 50)
        yield


@pytest.fixture(scope="session")
def hidden_classes():
    """A FeatureTable of 16 classes of 8 pictures, one of one picture, and two pictures without a class."""
    random = np.random.default_rng(0)
    labels = np.append(np.repeat(np.arange(CLASSES), PER_CLASS), [CLASSES, -1, -1])
    rows = random.standard_normal((CLASSES + 2, DIM))[labels] + 0.5 * random.standard_normal((len(labels), DIM))
    rows[:, :4] += 3 * random.standard_normal((len(labels), 4))
    names = tuple(f"class{number:02}" for number in range(CLASSES)) + ("lonely",)
    paths = [f"{names[label] if label >= 0 else 'none'}/{row}.jpg" for row, label in enumerate(labels)]
    return FeatureTable(rows.astype(np.float32), ImageSet(paths, labels, names, root=None), BACKBONE)
