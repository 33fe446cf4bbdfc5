"""What every backbone promises, on random weights: no download, no package."""

import keras
import numpy as np
import pytest

from devise import backbones
from devise.backbones import efficientnet_lite, keras_applications, keras_hub, registry

# one of each builder, small where it has sizes, and VGG16, the default, at the least size that it takes: at 224 pixels
# it takes seconds and half a gigabyte. What needs a second copy or a file runs on the light ones
LITE, HUB, VGG = "efficientnet_lite_of_8_blocks", "dinov2_of_one_block", "vgg16_of_32_pixels"
LIGHT = (LITE, "mobilenet_v3_small")
NAMES = (VGG, *LIGHT, HUB)
BATCH = 2


class Built:
    """A backbone, three pictures in a read-only array, and their features (two passes, one padded)."""

    def __init__(self, name):
        self.backbone = backbones.load(name, weights=None, batch=BATCH)
        random = np.random.default_rng(11)
        self.pictures = random.integers(0, 256, (3, *self.backbone.size, 3), np.uint8)
        self.pictures.setflags(write=False)
        self.copy = self.pictures.copy()
        self.features = self.backbone.features(self.pictures)


@pytest.fixture(scope="module")
def small_ones():
    """Architectures at a size that takes no time."""
    small_vgg = keras_applications.NETWORKS["vgg16"]._replace(side=32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(keras_hub.NETWORKS, HUB, keras_hub.Network("dinov2", 14, 32, 1, 2, side=28, registers=2))
        patch.setitem(keras_applications.NETWORKS, VGG, small_vgg)
        patch.setitem(efficientnet_lite.VARIANTS, LITE, efficientnet_lite.Variant(width=1.0, depth=0.3, side=64))
        for name, room in ((HUB, keras_hub), (VGG, keras_applications), (LITE, efficientnet_lite)):
            patch.setitem(registry.BUILDERS, name, room.build)
        yield


@pytest.fixture(scope="module", params=NAMES)
def built(request, small_ones):
    if request.param in keras_hub.NETWORKS:
        pytest.importorskip("keras_hub", reason="no keras-hub")
    return Built(request.param)


def close(left, right, tolerance=2e-4):
    """Equal but for the order of float32 sums, on the scale of the largest feature."""
    np.testing.assert_allclose(left, right, rtol=0, atol=tolerance * np.abs(right).max())


def test_a_row_of_finite_numbers_for_each_picture(built):
    backbone, features = built.backbone, built.features
    assert features.dtype == np.float32 and features.shape == (3, backbone.dim)
    assert np.isfinite(features).all()
    assert len(np.unique(features, axis=0)) == 3 and (features.std(axis=1) > 0).all()


def test_the_pictures_are_not_written_to(built):
    np.testing.assert_array_equal(built.pictures, built.copy)


def test_a_row_depends_neither_on_its_neighbours_nor_on_their_number(built):
    backbone, pictures, features = built.backbone, built.pictures, built.features
    np.testing.assert_array_equal(backbone.features(pictures[[0, 2]])[0], features[0])
    close(backbone.features(pictures[1:2])[0], features[1])


def test_the_keras_model_gives_the_features(built):
    model = built.backbone.keras_model()
    close(np.asarray(model(built.pictures[:2].astype(np.float32), training=False)), built.features[:2])


def test_the_keras_model_is_frozen_and_has_no_weights_but_the_networks(built):
    backbone, model = built.backbone, built.backbone.keras_model()
    assert model.trainable_weights == []
    assert model.input_shape == (None, *backbone.size, 3) and model.output_shape == (None, backbone.dim)
    types = {type(layer).__name__ for layer in model.layers}
    assert not types & {"Lambda", "TFSMLayer"}


def test_the_logits_are_of_the_named_classes(built):
    if not built.backbone.class_names:
        with pytest.raises(ValueError, match="has no classifier"):
            built.backbone.logits(built.pictures[:1])
        return
    logits = built.backbone.logits(built.pictures[:1])
    assert logits.shape == (1, 1000) and logits.dtype == np.float32 and np.isfinite(logits).all()
    assert built.backbone.class_names[7] == "cock"


def test_no_pictures_give_no_rows(built):
    assert built.backbone.features(built.pictures[:0]).shape == (0, built.backbone.dim)


@pytest.mark.parametrize("wrong", [
    lambda pictures: pictures.astype(np.float32), lambda pictures: np.full(pictures.shape, np.nan),
    lambda pictures: pictures[:, 1:], lambda pictures: pictures[..., :2], lambda pictures: pictures[0],
    lambda pictures: pictures.astype(np.int64), lambda pictures: pictures.transpose(0, 3, 1, 2)])
def test_other_types_and_sizes_are_refused(built, wrong):
    height, width = built.backbone.size
    with pytest.raises(ValueError, match=rf"uint8 \(n, {height}, {width}, 3\); use prepare"):
        built.backbone.features(wrong(built.pictures[:1]))


def test_prepare_gives_what_features_takes(built):
    backbone = built.backbone
    prepared = backbone.prepare(np.zeros((90, 311, 3), np.uint8))
    assert prepared.shape == (*backbone.size, 3) and prepared.dtype == np.uint8
    for shape in ((9, 9), (9, 9, 4), (0, 9, 3), (1, 9, 9, 3)):
        with pytest.raises(ValueError, match="expected uint8"):
            backbone.prepare(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="expected uint8"):
        backbone.prepare(np.zeros((9, 9, 3)))


def test_it_says_that_its_weights_are_random(built):
    assert built.backbone.trained is False and built.backbone.weights == "random:0"


@pytest.mark.parametrize("built", LIGHT, indirect=True)
def test_the_seed_decides_and_the_record_gives_the_same_backbone(built):
    backbone = built.backbone
    # Keras numbers unnamed layers through the process: this second one has other names inside
    again = backbones.load(backbone.name, weights=backbone.weights, layer=backbone.layer, seed=5, batch=BATCH)
    assert again.fingerprint == backbone.fingerprint
    assert backbones.load(backbone.name, weights=None, seed=1).fingerprint != backbone.fingerprint


@pytest.mark.parametrize("built", [LITE], indirect=True)
def test_the_keras_model_survives_a_file(built, tmp_path):
    built.backbone.keras_model().save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    close(np.asarray(loaded(built.pictures[:2].astype(np.float32), training=False)), built.features[:2])


def test_vgg16_has_its_parameters_up_to_fc2_and_no_others(monkeypatch):
    # to draw them twice, as Keras does and then as we do, takes seconds, and here they are counted
    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__",
                        lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype))
    monkeypatch.setattr(keras_applications, "randomise", lambda network, seed: None)
    backbone = backbones.load("vgg16", weights=None)
    model = backbone.keras_model()
    assert model.count_params() == 134_260_544 and model.input_shape == (None, 224, 224, 3)
    assert backbone.dim == 4096 and model.layers[-1].name == backbone.layer == "fc2"
