import keras
import numpy as np
import pytest
from keras import applications

from devise import backbones
from devise.backbones import keras_applications, registry


@pytest.fixture(scope="module")
def small():
    return backbones.load("mobilenet", weights="random", batch=2)


def pictures(n, backbone):
    return np.random.default_rng(6).integers(0, 256, (n, *backbone.size, 3), np.uint8)


def test_the_table_holds_every_network_of_keras_once():
    constructors = [network.constructor for network in keras_applications.NETWORKS.values()]
    offered = {name for name in dir(applications) if callable(getattr(applications, name))}
    assert sorted(constructors) == sorted(offered)


@pytest.mark.parametrize("name", ["mobilenet", "mobilenet_v2"])
def test_size_and_layer_of_the_table_are_those_of_keras_and_preprocessing_has_no_weights(name, small):
    network = keras_applications.NETWORKS[name]
    theirs = getattr(applications, network.constructor)(weights=None)
    backbone = small if name == small.name else backbones.load(name, weights=None)
    assert theirs.input_shape == (None, *backbone.size, 3)
    # the classifier is one matrix, or a 1x1 convolution, on the features
    shapes = [weight.shape for weight in theirs.weights]
    classifier, = (shape for shape in shapes if len(shape) > 1 and shape[-1] == 1000)
    assert classifier[-2] == backbone.dim
    assert backbone._network.count_params() == theirs.count_params()


def test_another_layer_is_averaged_over_its_positions(small):
    early = backbones.load("mobilenet", weights="random", layer="conv_pw_1", batch=2)
    whole = keras.Model(small._network.input, small._network.get_layer("conv_pw_1").output)
    positions = np.asarray(whole(pictures(2, small).astype(np.float32), training=False))
    assert positions.ndim == 4
    averages = positions.mean(axis=(1, 2))
    np.testing.assert_allclose(early.features(pictures(2, small)), averages, rtol=1e-4, atol=1e-4)


@pytest.fixture
def dense(monkeypatch):
    """The name of a network of three layers, for what comes after it was built."""
    def three_layers(weights, input_tensor, classifier_activation=None):
        pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(keras.layers.Conv2D(3, 1)(input_tensor))
        classes = keras.layers.Dense(1000)(keras.layers.BatchNormalization()(pooled))
        return keras.Model(keras.utils.get_source_inputs(input_tensor), classes)

    monkeypatch.setattr(applications, "ThreeLayers", three_layers, raising=False)
    row = keras_applications.Network("ThreeLayers", "tf", 32, "pooled")
    monkeypatch.setitem(keras_applications.NETWORKS, "dense", row)
    monkeypatch.setitem(registry.BUILDERS, "dense", keras_applications.build)
    return "dense"


def test_weights_come_from_a_file(dense, tmp_path):
    plain = applications.ThreeLayers(None, keras.Input((32, 32, 3)))  # without our preprocessing in front
    random = backbones.load(dense, weights="random")
    plain.set_weights(random._network.get_weights())
    plain.save_weights(tmp_path / "model.weights.h5")
    plain.save(tmp_path / "model.h5")
    for path in (tmp_path / "model.weights.h5", tmp_path / "model.h5"):
        loaded = backbones.load(dense, weights=path, seed=9)
        assert loaded.trained and loaded.weights == str(path)
        assert loaded.fingerprint == random.fingerprint


def test_a_file_that_is_missing_damaged_or_of_another_network_is_refused(dense, small, tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights file .*nowhere.h5"):
        backbones.load(dense, weights=tmp_path / "nowhere.h5")
    (tmp_path / "damaged.h5").write_bytes(b"not HDF5")
    other = tmp_path / "other.weights.h5"
    small._network.save_weights(other)
    for path in (tmp_path / "damaged.h5", other):
        with pytest.raises(ValueError, match="doesn't hold weights of dense"):
            backbones.load(dense, weights=path)
    own = tmp_path / "own.weights.h5"
    backbones.load(dense, weights="random")._network.save_weights(own)
    assert backbones.load(dense, weights=own).trained  # it is not refused for what it is
    with pytest.raises(ValueError, match="efficientnet_b0 takes no weights file"):
        backbones.load("efficientnet_b0", weights=other)


def test_imagenet_weights_of_vgg16_are_read_from_pretrained(tmp_path, monkeypatch):
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    assert keras_applications.local_weights() is None
    path = tmp_path / "pretrained" / keras_applications.VGG16_FILE
    path.parent.mkdir()
    path.touch()
    asked = []
    monkeypatch.setattr(keras_applications, "_loaded", lambda name, path: asked.append((name, path)))
    monkeypatch.setattr(keras_applications, "Backbone", lambda *arguments, **options: None)
    keras_applications.build("vgg16")
    assert asked == [("vgg16", path)]


@pytest.mark.parametrize(("name", "words"), [
    ("vgg16", ["devise fetch vgg16", keras_applications.VGG16_URL, "64373286793e3c8b2b4e3219cbf3544b",
               "--from FILE", "pretrained/", "efficientnet_lite0"]),
    ("resnet50", ["no route to host", "weights='random'", ".keras/models", "efficientnet_lite0"])])
def test_weights_that_can_not_be_had_are_explained(tmp_path, monkeypatch, name, words):
    def offline(name, weights):
        raise Exception("no route to host")  # what Keras raises has no type of its own

    monkeypatch.setenv("DEVISE_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(keras_applications, "_construct", offline)
    with pytest.raises(FileNotFoundError) as refusal:
        backbones.load(name)
    assert [word for word in words if word not in str(refusal.value)] == []
