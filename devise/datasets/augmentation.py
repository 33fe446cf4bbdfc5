"""Random changes of an image (crop, mirror, colour, erasing), all scaled by one strength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from devise.datasets.images import check_pixels


@dataclass(frozen=True)
class Augmentation:
    """Random changes of an image; the limits of each at strength 1, in proportion below.

    Attributes:
        crop: the share of the picture's area that a crop may leave out, before the aspect is changed.
        aspect: a crop's aspect ratio lies within a factor of 1 + aspect of the picture's.
        flip: the chance of a mirror image.
        brightness, contrast, saturation: each factor is drawn from 1 ± this.
        cut_out: the largest share of the area that one rectangle of noise covers (random erasing,
            Zhong et al. 2020, section 3); it is there with a chance of the strength.

    Raises:
        ValueError: if a limit is not in 0..1.

    >>> Augmentation()(np.zeros((4, 6, 3), np.uint8), np.random.default_rng(0), strength=0.5).shape
    (4, 6, 3)
    """

    crop: float = 0.7
    aspect: float = 0.33
    flip: float = 0.5
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    cut_out: float = 0.33

    def __post_init__(self):
        for name, value in vars(self).items():
            if not 0 <= value < 1:
                raise ValueError(f"{name} is {value}: expected a share from 0 to below 1")

    def __call__(self, picture: NDArray[np.uint8], random: np.random.Generator,
                 strength: float = 1.0) -> NDArray[np.uint8]:
        """A changed copy of an image uint8 (h, w, 3); strength 0, the image itself, to 1.

        Raises:
            ValueError: if the picture or the strength is none.
        """
        picture = check_pixels(picture)
        if not 0 <= strength <= 1:
            raise ValueError(f"strength is {strength}: expected 0 to 1")
        if strength == 0:
            return picture.copy()
        changed = self._cropped(picture, random, strength)
        if random.random() < self.flip * strength:
            changed = changed[:, ::-1]
        changed = self._coloured(changed.astype(np.float32), random, strength)
        changed = np.clip(changed + 0.5, 0, 255).astype(np.uint8)
        return self._erased(changed, random, strength)

    def _cropped(self, picture, random, strength):
        part = picture[_box(picture, random, 1 - self.crop * strength, 1, np.log1p(self.aspect * strength))]
        return np.asarray(Image.fromarray(part).resize(picture.shape[1::-1], Image.Resampling.BILINEAR))

    def _coloured(self, picture, random, strength):
        brightness, contrast, saturation = (1 + strength * limit * random.uniform(-1, 1)
                                            for limit in (self.brightness, self.contrast, self.saturation))
        picture = picture * brightness
        picture = picture.mean() + (picture - picture.mean()) * contrast
        grey = picture.mean(axis=2, keepdims=True)
        return grey + (picture - grey) * saturation

    def _erased(self, picture, random, strength):
        if random.random() >= strength or not self.cut_out:
            return picture
        box = _box(picture, random, 0.02, max(0.02, self.cut_out * strength), np.log(3))
        picture = picture.copy()
        picture[box] = random.integers(0, 256, picture[box].shape)
        return picture


def _box(picture, random, least, most, aspect):
    """Slices of a rectangle with a share of the area from least to most and an aspect within exp(aspect)."""
    h, w = picture.shape[:2]
    share = random.uniform(least, most)
    ratio = np.exp(random.uniform(-1, 1) * aspect)
    height, width = (min(side, max(1, round(side * np.sqrt(share * factor))))
                     for side, factor in ((h, 1 / ratio), (w, ratio)))
    top, left = random.integers(h - height + 1), random.integers(w - width + 1)
    return slice(top, top + height), slice(left, left + width)
