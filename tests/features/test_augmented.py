"""Features of changed pictures: the same each time, kept apart from the plain ones."""

import hashlib

import numpy as np
import pytest

from devise import features
from devise.datasets import Augmentation, from_folder
from devise.features import Augmented


def test_features_are_those_of_the_changed_picture(backbone):
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    changed = Augmented(backbone, 0.7, seed=3)
    own = int(hashlib.sha256(picture.tobytes()).hexdigest()[:16], 16)
    expected = backbone.prepare(Augmentation()(picture, np.random.default_rng([own, 3]), 0.7))
    seen = changed.prepare(picture.copy())
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(changed.features(seen[None]), backbone.features(expected[None]))
    assert not np.array_equal(seen, Augmented(backbone, 0.7, seed=4).prepare(picture))
    assert not np.array_equal(seen, backbone.prepare(picture))


def test_no_strength_is_the_picture_itself(backbone, picture_folder, tmp_path):
    images = from_folder(picture_folder)
    plain, none, full = (features.extract(images, network, tmp_path / str(number)) for number, network in
                         enumerate((backbone, Augmented(backbone, 0.0), Augmented(backbone, 1.0))))
    np.testing.assert_array_equal(plain.matrix, none.matrix)
    assert np.abs(plain.matrix - full.matrix).mean() > 0.01
    again = features.extract(images, Augmented(backbone, 1.0), tmp_path / "2")
    assert again.computed == 0
    with pytest.raises(ValueError, match="holds features of thumbnail-augmented"):
        features.extract(images, Augmented(backbone, 0.5), tmp_path / "2")
