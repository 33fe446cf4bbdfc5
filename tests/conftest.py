"""A small world that every room can be tested in: pictures of four classes, a network that needs no
framework, and a vocabulary in which the classes have words."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

WORDS = ("the", "cat", "dog", "horse", "car", "ocean", "animal", "red", "cats", "dollar", "bill")
COLOURS = {"cat": (220, 40, 40), "dog": (40, 200, 60), "horse": (40, 60, 220), "car": (230, 220, 40)}


class ThumbnailBackbone(SimpleNamespace):
    """A stand-in network: the colours of a 4 × 4 thumbnail, through a fixed matrix."""

    def __init__(self, seed=0):
        self.matrix = np.random.default_rng(seed).normal(size=(48, 24)).astype(np.float32)
        super().__init__(name="thumbnail", layer="top", dim=24, size=(8, 8), weights=f"drawn:{seed}", trained=True,
                         fingerprint=hashlib.sha256(bytes([seed])).hexdigest(),
                         class_names=("red", "green", "blue"), calls=0)

    def prepare(self, image):
        return np.asarray(Image.fromarray(image).resize((8, 8), Image.Resampling.BOX))

    def features(self, pictures):
        self.calls += len(pictures)
        small = pictures.reshape(-1, 4, 2, 4, 2, 3).mean(axis=(2, 4)).reshape(len(pictures), -1)
        # float64 sums, so that a row does not depend on how many are computed with it
        return (np.maximum(small / 255 @ self.matrix.astype(np.float64), 0) + 0.01).astype(np.float32)

    def logits(self, pictures):
        return pictures.mean(axis=(1, 2), dtype=np.float32)


@pytest.fixture
def backbone():
    return ThumbnailBackbone()


@pytest.fixture(scope="session")
def make_backbone():
    return ThumbnailBackbone


@pytest.fixture(scope="session")
def vocabulary():
    """Eleven words in 12 dimensions; "cats" lies near "cat"."""
    from devise.words import WordVectors

    matrix = np.random.default_rng(5).normal(size=(len(WORDS), 12)).astype(np.float32)
    matrix[WORDS.index("cats")] = matrix[WORDS.index("cat")] + 0.1
    return WordVectors(WORDS, matrix, name="small")


@pytest.fixture
def picture_folder(tmp_path):
    """`pictures/<class>/*.png`, ten of each of four classes, noise over the colour of the class."""
    return draw_pictures(tmp_path / "pictures")


@pytest.fixture(scope="session")
def drawn_folder(tmp_path_factory):
    """The same pictures, drawn once for all tests; none of them may change a file of it."""
    return draw_pictures(tmp_path_factory.mktemp("drawn") / "pictures")


def draw_pictures(root, n=10, seed=1):
    random = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(n):
            noise = random.normal(scale=25, size=(24, 32, 3))
            Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8)).save(root / name / f"{number}.png")
    return root


class Clusters:
    """Small clustered features: 6 classes, 24 columns, label vectors of dim 5."""

    def __init__(self, n=96, seed=0):
        rng = np.random.default_rng(seed)
        centres = np.random.default_rng(99).standard_normal((6, 24))
        self.labels = np.arange(n) % 6
        noise = 0.4 * rng.standard_normal((n, 24))
        self.features = (centres[self.labels] + noise).astype(np.float32)
        vectors = np.random.default_rng(98).standard_normal((6, 5))
        self.vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def hit_at_1(self, embeddings):
        return float(((embeddings @ self.vectors.T).argmax(axis=1) == self.labels).mean())


@pytest.fixture
def train_set():
    return Clusters()


@pytest.fixture
def validation_set():
    return Clusters(n=48, seed=1)


@pytest.fixture
def small():
    """A head small enough for a test."""
    from devise.heads import HeadConfig

    return HeadConfig(dim=5, sizes=(16,))
