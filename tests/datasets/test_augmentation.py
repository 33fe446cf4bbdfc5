import numpy as np
import pytest

from devise.datasets.augmentation import Augmentation

NONE = dict.fromkeys(("crop", "aspect", "flip", "brightness", "contrast", "saturation", "cut_out"), 0.0)


@pytest.fixture
def picture():
    """A smooth picture: neighbouring pixels are alike, so that a small change stays small."""
    x, y = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 40))
    return (255 * np.stack([x, y, x * y], axis=2)).astype(np.uint8)


def copies(picture, strength, n=40, **limits):
    random = np.random.default_rng(0)
    return np.stack([Augmentation(**(NONE | limits) if limits else {})(picture, random, strength) for _ in range(n)])


def test_no_strength_no_change_and_never_the_same_array(picture):
    same = Augmentation()(picture, np.random.default_rng(0), 0)
    np.testing.assert_array_equal(same, picture)
    assert same is not picture
    before = picture.copy()
    copies(picture, 1.0)
    np.testing.assert_array_equal(picture, before)


def test_the_seed_draws_the_changes(picture):
    np.testing.assert_array_equal(copies(picture, 0.7), copies(picture, 0.7))
    assert len({copy.tobytes() for copy in copies(picture, 0.7)}) == 40


def test_the_stronger_the_farther_from_the_picture(picture):
    far = [np.abs(copies(picture, strength).astype(float) - picture).mean() for strength in (0.1, 0.3, 0.6, 1.0)]
    assert far == sorted(far) and far[0] < 0.4 * far[-1]


@pytest.mark.parametrize("limit", NONE)
def test_each_limit_alone_changes_something(picture, limit):
    changed = copies(picture, 1.0, **{limit: 0.5}) != picture
    assert changed.any()


def test_a_mirror_image_is_one(picture):
    found = copies(picture, 1.0, n=200, flip=0.5)
    mirrored = [np.array_equal(copy, picture[:, ::-1]) for copy in found]
    assert all(mirror or np.array_equal(copy, picture) for copy, mirror in zip(found, mirrored, strict=True))
    assert 70 < sum(mirrored) < 130
    weak = sum(np.array_equal(copy, picture[:, ::-1]) for copy in copies(picture, 0.2, n=200, flip=0.5))
    assert 5 < weak < 40


def test_a_cut_out_is_a_rectangle_no_larger_than_said(picture):
    shares = []
    for copy in copies(picture, 0.5, n=200, cut_out=0.4):
        rows, columns = np.nonzero((copy != picture).any(axis=2))
        if len(rows):
            area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
            assert len(rows) > 0.95 * area  # noise may hit a pixel's own colour
            shares.append(area / (40 * 60))
    assert 70 < len(shares) < 130 and max(shares) <= 0.22 and max(shares) > 0.15


def test_brightness_scales_every_pixel_alike(picture):
    for copy in copies(picture // 2, 1.0, n=5, brightness=0.4):
        factor = copy[-1, -1, 0] / (picture // 2)[-1, -1, 0]
        np.testing.assert_allclose(copy, (picture // 2) * factor, atol=1.01)
        assert 0.59 < factor < 1.41


def test_what_is_no_picture_or_strength_is_refused(picture):
    augment, random = Augmentation(), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"expected uint8 \(h, w, 3\)"):
        augment(picture.astype(float), random, 0.5)
    with pytest.raises(ValueError, match=r"expected uint8 \(h, w, 3\)"):
        augment(picture[:, :, 0], random, 0.5)
    with pytest.raises(ValueError, match=r"uint8 \(0, 4, 3\): expected"):
        augment(picture[:0, :4], random, 0.5)
    with pytest.raises(ValueError, match="strength is nan"):
        augment(picture, random, float("nan"))
    with pytest.raises(ValueError, match="strength is 1.2"):
        augment(picture, random, 1.2)
    with pytest.raises(ValueError, match="crop is 1"):
        Augmentation(crop=1)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (300, 2, 3)])
def test_pictures_of_any_shape_keep_it(shape):
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    for copy in copies(picture, 1.0, n=20):
        assert copy.shape == shape and copy.dtype == np.uint8


def test_the_erased_area_and_how_often_are_as_said():
    picture = np.full((60, 90, 3), 7, np.uint8)
    for strength in (0.3, 1.0):
        shares = np.array([(copy != 7).any(axis=2).mean() for copy in copies(picture, strength, n=400, cut_out=0.4)])
        erased = shares[shares > 0]
        # uniform from 0.02 to 0.4 of the area at full strength; long rectangles are cut at the picture's border
        assert abs(len(erased) / 400 - strength) < 0.08
        assert erased.min() < 0.03 and abs(erased.mean() - (0.02 + 0.4 * strength) / 2) < 0.02
