"""The ONNX file of small models, read again by ONNX's own slow reference."""

import sys

import keras
import numpy as np
import pytest

from devise.backbones import onnx as room
from devise.errors import MissingDependency

onnx = pytest.importorskip("onnx", reason="no onnx")
pytest.importorskip("tf2onnx", reason="no tf2onnx")


def network(activation="gelu"):
    """Convolution, normalisation with random statistics, GELU, and a Dense layer whose kernel is large."""
    keras.utils.set_random_seed(3)
    pictures = keras.Input((8, 6, 3), name="pictures")
    x = keras.layers.Conv2D(64, 3, strides=2, padding="same")(pictures)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Flatten()(keras.layers.Activation(activation)(x))
    model = keras.Model(pictures, keras.layers.Dense(24, name="features")(x), name="small")
    random = np.random.default_rng(1)
    for weight in model.get_layer("norm").weights:
        weight.assign(random.uniform(0.5, 2, weight.shape))
    return model


def pictures(n):
    return np.random.default_rng(n).uniform(-1, 1, (n, 8, 6, 3)).astype(np.float32)


def features(path, batch):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(str(path)).run(["features"], {"pictures": batch})[0]


def test_a_file_gives_what_the_model_gives_for_any_number_of_pictures(tmp_path):
    model, path = network(), tmp_path / "deep" / "model.onnx"
    assert model.get_layer("features").kernel.shape[0] * 24 >= room.LARGE
    assert room.export(model, path) == path
    graph = onnx.load(str(path)).graph
    assert [entry.name for entry in graph.input] == ["pictures"]
    assert [entry.type.tensor_type.shape.dim[0].dim_param for entry in (*graph.input, *graph.output)] == ["n", "n"]
    for n in (1, 5):
        np.testing.assert_allclose(features(path, pictures(n)), model(pictures(n)), rtol=1e-4, atol=1e-5)
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]


class Shifted(keras.layers.Layer):
    """A layer with a constant that is no weight, as the positions of keras-hub's ViT are."""

    def build(self, shape):
        self.shift = keras.ops.arange(shape[-1], dtype="float32")

    def call(self, x):
        return x + self.shift


def test_a_constant_that_a_layer_made_is_in_the_file(tmp_path):
    model = network()
    model = keras.Sequential([*model.layers, Shifted()], name="small")
    room.export(model, tmp_path / "model.onnx")
    assert [entry.name for entry in onnx.load(str(tmp_path / "model.onnx")).graph.input] == [model.inputs[0].name]
    np.testing.assert_allclose(features(tmp_path / "model.onnx", pictures(2)), model(pictures(2)), rtol=1e-4, atol=1e-5)


def test_the_weights_are_those_at_the_time_of_the_export(tmp_path):
    model, path = network(), tmp_path / "model.onnx"
    before = np.asarray(model(pictures(2)))
    room.export(model, path)
    for weight in model.weights:
        weight.assign(weight * 2)
    np.testing.assert_allclose(features(path, pictures(2)), before, rtol=1e-4, atol=1e-5)
    room.export(model, path)
    np.testing.assert_allclose(features(path, pictures(2)), model(pictures(2)), rtol=1e-4, atol=1e-5)


def test_what_onnx_does_not_know_is_refused_and_nothing_is_written(tmp_path):
    model = network(activation=lambda x: keras.ops.erfinv(keras.ops.tanh(x)))
    with pytest.raises(ValueError, match="small can't be written as ONNX .*take runtime='function'"):
        room.export(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_model_over_the_limit_of_a_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "LIMIT", 50_000)
    with pytest.raises(ValueError, match="small holds 0.0 GB of weights: an ONNX file takes less"):
        room.export(network(), tmp_path / "model.onnx")


def test_without_the_converter_the_pip_line_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(MissingDependency, match=r"pip install 'devise-vse\[onnx\]'"):
        room.export(network(), tmp_path / "model.onnx")
