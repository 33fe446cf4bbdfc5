import dataclasses
import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import applications
from PIL import Image

from devise.backbones import Backbone, Preprocessing, keras_applications
from devise.backbones.base import randomise, seed_of

SMALL = Preprocessing((8, 6))


def small_network(preprocessing=SMALL):
    """Two convolutions and a classifier; enough to cut, freeze, hash and compile."""
    pictures, x = preprocessing.inputs()
    x = keras.layers.Conv2D(4, 3, activation="relu", name="first")(x)
    x = keras.layers.Conv2D(5, 3, name="second")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    network = keras.Model(pictures, keras.layers.Dense(3, name="classes")(x), name="small")
    randomise(network, 0)
    return network


def small_backbone(**changes):
    options = {"layer": "pooled", "weights": "random:0", "trained": False, "preprocessing": SMALL,
               "class_names": ("a", "b", "c")} | changes
    network = options.pop("network", None) or small_network(options["preprocessing"])
    return Backbone(options.pop("name", "small"), network, **options)


def pictures(n, size=(8, 6)):
    return np.random.default_rng(2).integers(0, 256, (n, *size, 3), np.uint8)


@pytest.mark.parametrize("name", keras_applications.NETWORKS)
def test_the_scaling_is_that_of_keras(name):
    """Of every network, against its module's own preprocess_input (on a copy: it writes into it)."""
    module = inspect.getmodule(getattr(applications, keras_applications.NETWORKS[name].constructor))
    preprocessing = dataclasses.replace(keras_applications.preprocessing_of(name), size=(2, 3))
    batch = pictures(2, (2, 3)).astype(np.float32)
    inputs, scaled = preprocessing.inputs()
    ours = np.asarray(keras.Model(inputs, keras.layers.Identity()(scaled))(batch))
    np.testing.assert_allclose(ours, module.preprocess_input(batch.copy()), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("resampling", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(256, 256), (256, 300), (400, 256)])
def test_at_256_the_crop_is_the_centre_224(shape, resampling):
    image = pictures(1, shape)[0]
    prepared = Preprocessing((224, 224), resampling=resampling).prepare(image)
    top, left = (shape[0] - 224) // 2, (shape[1] - 224) // 2
    np.testing.assert_array_equal(prepared, image[top:top + 224, left:left + 224])


@pytest.mark.parametrize("size", [(224, 224), (240, 240)])
def test_the_crop_is_that_of_resizing_first(size):
    blurred = Image.fromarray(pictures(1, (9, 12))[0]).resize((1100, 700), Image.Resampling.BICUBIC)
    shorter = round(size[0] / 0.875)
    resized = blurred.resize((round(1100 * shorter / 700), shorter), Image.Resampling.BILINEAR)
    whole = np.asarray(resized, float)
    top, left = (whole.shape[0] - size[0]) // 2, (whole.shape[1] - size[1]) // 2
    expected = whole[top:top + size[0], left:left + size[1]]
    prepared = Preprocessing(size).prepare(np.asarray(blurred)).astype(float)
    assert np.abs(prepared - expected).mean() < 1.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (3, 2)])
def test_extreme_pictures_keep_their_colour(shape):
    image = np.broadcast_to(np.array([200, 10, 90], np.uint8), (*shape, 3))
    assert (Preprocessing((224, 224), resampling="bicubic").prepare(image) == [200, 10, 90]).all()


def test_a_picture_that_lies_oddly_in_memory_is_prepared_alike():
    image = pictures(1, (40, 60))[0]
    turned = np.asfortranarray(image)[::-1][::-1]
    np.testing.assert_array_equal(SMALL.prepare(turned), SMALL.prepare(image))


def test_features_are_computed_as_by_hand():
    backbone = small_backbone(layer="first")
    kernel, bias = backbone.keras_model().get_layer("first").get_weights()
    batch = pictures(2).astype(np.float64)
    expected = np.zeros((2, 4))
    for n in range(2):
        for row in range(6):
            for column in range(4):
                patch = batch[n, row:row + 3, column:column + 3]
                expected[n] += np.maximum(0, np.tensordot(patch, kernel.astype(float), 3) + bias) / 24
    np.testing.assert_allclose(backbone.features(pictures(2)), expected, rtol=1e-5)


@pytest.mark.parametrize("runtime", ["function", "xla", "keras"])
@pytest.mark.parametrize("n", [1, 4, 9])
def test_every_runtime_and_any_number_of_pictures_agree(runtime, n):
    network = small_network()
    expected = network.predict_on_batch(pictures(9).astype(np.float32))[:n]
    backbone = small_backbone(network=network, runtime=runtime, batch=4)
    np.testing.assert_allclose(backbone.logits(pictures(9)[:n]), expected, rtol=1e-4, atol=1e-2)


def test_an_unknown_runtime_or_layer_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="expected one of auto, function, xla, keras"):
        small_backbone(runtime="jit")
    with pytest.raises(ValueError, match="no layer 'secnd': try second"):
        small_backbone(layer="secnd")


def test_without_a_classifier_logits_are_refused():
    with pytest.raises(ValueError, match="small has no classifier"):
        small_backbone(class_names=()).logits(pictures(1))


def test_a_model_with_blue_first_survives_a_file(tmp_path):
    preprocessing = dataclasses.replace(SMALL, bgr=True, offset=(-1.0, -2.0, -3.0))
    model = small_backbone(preprocessing=preprocessing).keras_model()
    model.save(tmp_path / "model.keras")
    batch = pictures(2).astype(np.float32)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(batch), model.predict_on_batch(batch))


@pytest.mark.parametrize("shape", [(256, 300), (5, 4), (1, 900), (224, 224)])
def test_stretched_is_what_keras_loads(shape, tmp_path):
    image = pictures(1, shape)[0]
    Image.fromarray(image).save(tmp_path / "picture.png")
    expected = keras.utils.load_img(tmp_path / "picture.png", target_size=(224, 224))
    np.testing.assert_array_equal(Preprocessing((224, 224)).stretched.prepare(image), expected)


def test_a_stretched_backbone_is_another_one_on_the_same_network():
    backbone = small_backbone()
    other = backbone.stretched()
    assert other.name == f"{backbone.name}-stretched" and other.fingerprint != backbone.fingerprint
    np.testing.assert_array_equal(other.features(pictures(3)), backbone.features(pictures(3)))
    assert other.with_runtime("keras").fingerprint == other.fingerprint


def test_the_fingerprint_covers_all_that_decides_the_features():
    other_weight = small_network()
    kernel, bias = other_weight.get_layer("second").get_weights()
    bias[0] += 1e-6
    other_weight.get_layer("second").set_weights([kernel, bias])
    variants = [small_backbone(), small_backbone(name="other"), small_backbone(layer="first"),
                small_backbone(network=other_weight),
                small_backbone(preprocessing=dataclasses.replace(SMALL, crop=1.0)),
                small_backbone(preprocessing=dataclasses.replace(SMALL, bgr=True)),
                small_backbone(preprocessing=dataclasses.replace(SMALL, resampling="bicubic")),
                small_backbone(preprocessing=dataclasses.replace(SMALL, offset=(0.0, 0.0, 1.0)))]
    assert len({variant.fingerprint for variant in variants}) == len(variants)


def test_the_fingerprint_leaves_out_what_does_not():
    changed_head = small_network()
    changed_head.get_layer("classes").set_weights([np.zeros((5, 3)), np.ones(3)])
    for same in (small_backbone(), small_backbone(network=changed_head), small_backbone(batch=2),
                 small_backbone(runtime="keras"), small_backbone(weights="/elsewhere/w.h5", trained=True)):
        assert same.fingerprint == small_backbone().fingerprint


def test_random_weights_have_the_spread_of_he():
    inputs = keras.Input((8, 8, 64))
    x = keras.layers.Conv2D(256, 3, name="full")(inputs)
    x = keras.layers.DepthwiseConv2D(5, name="depthwise")(x)
    network = keras.Model(inputs, x)
    randomise(network, 4)
    full, depthwise = network.get_layer("full").get_weights(), network.get_layer("depthwise").get_weights()
    assert full[0].std() == pytest.approx(np.sqrt(2 / (3 * 3 * 64)), rel=0.01)
    assert depthwise[0].std() == pytest.approx(np.sqrt(2 / (5 * 5)), rel=0.05)
    assert not full[1].any() and not depthwise[1].any()


def test_a_seed_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="random:x"):
        seed_of("random:x", 0)


def test_importing_the_room_loads_no_framework():
    code = "import sys, devise.backbones as b; b.names(); print({'keras', 'tensorflow'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


@pytest.mark.parametrize("layer", ["pooled", "mean"])
def test_classes_of_features_are_those_of_the_pictures(layer):
    backbone = small_backbone(layer=layer)
    np.testing.assert_allclose(backbone.classify(backbone.features(pictures(11))), backbone.logits(pictures(11)),
                               atol=1e-4, rtol=1e-5)
    assert backbone.classify(np.zeros((0, 5))).shape == (0, 3)


def test_features_that_the_classifier_does_not_start_from_are_refused():
    with pytest.raises(ValueError, match="small does not classify from the features of first"):
        small_backbone(layer="first").classify(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="small has no classifier"):
        small_backbone(class_names=()).classify(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="features have 4 columns, expected 5"):
        small_backbone().classify(np.zeros((2, 4)))
