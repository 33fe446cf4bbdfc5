"""A backbone that sees augmented images: its features are cached as those of any other."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from devise.datasets import Augmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.backbones import Backbone


class Augmented(SimpleNamespace):
    """A backbone that sees every image augmented, the same way each time.

    What changes a picture is drawn by its own pixels and the seed, so that neither order nor threads
    matter and `features.extract` can keep the result. A level of a `devise.training.AugmentedFeatures` is
    the table of one strength.

    Args:
        backbone: a Backbone.
        strength: of the augmentation, 0 to 1.
        augmentation: Augmentation; None takes its defaults.
        seed: another one gives other copies.

    >>> class Network:
    ...     name, layer, dim, weights, trained, fingerprint = "mean", "top", 3, "none", True, "0" * 64
    ...     prepare = staticmethod(lambda image: image)
    ...     features = staticmethod(lambda pictures: pictures.mean(axis=(1, 2)))
    >>> Augmented(Network(), 0.5).fingerprint != Augmented(Network(), 1.0).fingerprint
    True
    """

    def __init__(self, backbone: Backbone, strength: float, *, augmentation: Augmentation | None = None, seed: int = 0):
        augmentation = augmentation or Augmentation()
        said = f"{backbone.fingerprint} {augmentation} {strength} {seed}"
        super().__init__(name=f"{backbone.name}-augmented", layer=backbone.layer, dim=backbone.dim,
                         weights=backbone.weights, trained=backbone.trained,
                         fingerprint=hashlib.sha256(said.encode()).hexdigest())
        self._backbone, self._augmentation, self._strength, self._seed = backbone, augmentation, strength, seed

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image, augmented, at the size that the backbone takes."""
        image = np.ascontiguousarray(image)
        drawn = int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8], "big")
        random = np.random.default_rng([drawn, self._seed])
        return self._backbone.prepare(self._augmentation(image, random, self._strength))

    def features(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of augmented images, as `prepare` gives them."""
        return self._backbone.features(pictures)
