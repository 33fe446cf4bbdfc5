"""A user's own Keras model as a backbone: its features are the model's, its preprocessing is found out."""

import keras
import numpy as np
import pytest

from devise import backbones
from devise.backbones import Preprocessing, from_keras
from devise.backbones.base import randomise

IMAGES = np.random.default_rng(3).integers(0, 256, (3, 12, 10, 3), np.uint8)


def network(*tail, size=(12, 10)):
    model = keras.Sequential([keras.Input((*size, 3)), keras.layers.Conv2D(6, 3, activation="relu", name="first"),
                              *tail], name="mine")
    randomise(model, 0)
    return model


@pytest.mark.parametrize("preprocess", [keras.applications.resnet50.preprocess_input,
                                        keras.applications.mobilenet_v2.preprocess_input,
                                        keras.applications.densenet.preprocess_input, None])
def test_features_are_those_of_the_model_on_what_the_function_makes(preprocess):
    model = network(keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4))
    backbone = from_keras(model, preprocess=preprocess)
    inputs = IMAGES.astype(np.float32)
    expected = model.predict_on_batch(preprocess(inputs.copy()) if preprocess else inputs)
    np.testing.assert_allclose(backbone.features(IMAGES), expected, rtol=1e-4, atol=1e-3)
    assert (backbone.name, backbone.dim, backbone.size, backbone.layer) == ("mine", 4, (12, 10), "output")
    assert model.trainable and not backbone.keras_model().trainable


def test_it_may_be_cut_and_its_positions_are_averaged():
    model = network(keras.layers.Flatten(), keras.layers.Dense(3, name="classes"))
    backbone = from_keras(model, layer="first", name="cut", class_names="abc")
    first = keras.Model(model.inputs, model.get_layer("first").output)
    expected = first.predict_on_batch(IMAGES.astype(np.float32)).mean(axis=(1, 2))
    np.testing.assert_allclose(backbone.features(IMAGES), expected, rtol=1e-4)
    np.testing.assert_allclose(backbone.logits(IMAGES), model.predict_on_batch(IMAGES.astype(np.float32)), rtol=1e-3)
    np.testing.assert_allclose(from_keras(first).features(IMAGES), expected, rtol=1e-4)
    with pytest.raises(ValueError, match="mine has no layer 'second': try"):
        from_keras(model, layer="second")


def test_weights_and_preprocessing_are_in_the_fingerprint_and_later_training_is_not():
    model = network(keras.layers.GlobalAveragePooling2D())
    prints = {from_keras(model, preprocess=function).fingerprint
              for function in (None, lambda pixels: pixels / 255, lambda pixels: pixels[..., ::-1])}
    assert len(prints) == 3
    backbone = from_keras(model)
    assert backbone.fingerprint in prints
    before = backbone.features(IMAGES)
    randomise(model, 1)
    np.testing.assert_array_equal(backbone.features(IMAGES), before)
    assert from_keras(model).fingerprint not in prints


def test_a_model_of_any_size_is_given_one():
    model = network(keras.layers.GlobalAveragePooling2D(), size=(None, None))
    assert from_keras(model).size == (224, 224) and from_keras(model, size=(12, 10)).size == (12, 10)
    backbone = from_keras(model, preprocess=Preprocessing((12, 10), crop=1.0))
    np.testing.assert_array_equal(backbone.prepare(IMAGES[0]), IMAGES[0])


@pytest.mark.parametrize("function, expected", [
    (lambda pixels: pixels[..., ::-1] * np.array([2, 3, 4]) - np.array([1, 0, 5]), ((2, 3, 4), (-1, 0, -5), True)),
    (lambda pixels: (pixels - 128) / 64, ((1 / 64,) * 3, (-2,) * 3, False))])
def test_what_a_function_does_to_pixels_is_found(function, expected):
    backbone = from_keras(network(keras.layers.GlobalAveragePooling2D()), preprocess=function)
    found = backbone._preprocessing
    np.testing.assert_allclose([found.scale, found.offset], expected[:2], atol=1e-4)
    assert found.bgr is expected[2]


@pytest.mark.parametrize("function, message", [
    (np.sqrt, "preprocess does more than scale, shift and swap"), (lambda pixels: pixels / pixels.max(), "does more"),
    (lambda pixels: pixels[:, :4], r"preprocess makes \(2, 4, 8, 3\) of \(2, 8, 8, 3\)")])
def test_what_else_a_function_does_is_refused(function, message):
    with pytest.raises(ValueError, match=message):
        from_keras(network(keras.layers.GlobalAveragePooling2D()), preprocess=function)


def test_models_that_take_no_images_are_refused():
    with pytest.raises(ValueError, match=r"words takes inputs of shape \(None, 5\): expected one, \(n, h, w, 3\)"):
        from_keras(keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)], name="words"))
    with pytest.raises(ValueError, match="mine takes images of 12 × 10 pixels, but preprocess gives 8 × 8"):
        from_keras(network(keras.layers.Flatten()), preprocess=Preprocessing((8, 8)))


def test_whatever_is_given_becomes_a_backbone(monkeypatch, backbone):
    model = network(keras.layers.GlobalAveragePooling2D())
    assert backbones.as_backbone(model).fingerprint == from_keras(model).fingerprint
    assert backbones.as_backbone(backbone) is backbone
    monkeypatch.setattr("devise.backbones.registry.choose", lambda: ("mobilenet", "a reason"))
    monkeypatch.setattr("devise.backbones.registry.load", lambda name: f"loaded {name}")
    assert backbones.as_backbone("auto") == "loaded mobilenet" and backbones.as_backbone("vgg16") == "loaded vgg16"
    for wrong in (None, 3, ["vgg16"], keras.Model):
        with pytest.raises(TypeError, match="expected 'auto', one of vgg16, .* a Backbone, or a Keras model"):
            backbones.as_backbone(wrong)
