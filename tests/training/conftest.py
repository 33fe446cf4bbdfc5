import numpy as np
import pytest

from devise.training import HeadConfig


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
    return HeadConfig(dim=5, sizes=(16,))
