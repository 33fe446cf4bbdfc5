"""The benchmark on a network of three layers: what is compared with what, and what is left behind."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from devise import backbones
from devise.backbones import Backbone, Preprocessing, runtimes
from devise.backbones.base import randomise
from devise.bench import extract


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Every backbone is a small one; trained only where its name says so. Returns the pretrained root."""
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))

    def load(name, *, weights="imagenet", runtime="auto"):
        if weights == "imagenet" and name != "trained":
            raise FileNotFoundError("no weights here")
        preprocessing = Preprocessing((8, 6))
        pictures, x = preprocessing.inputs()
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(x))
        network = keras.Model(pictures, keras.layers.Dense(3)(x), name="small")
        randomise(network, 0)
        return Backbone(name, network, layer="pooled", weights=weights or "random:0", trained=weights is not None,
                        preprocessing=preprocessing, class_names=("a", "b", "c"), runtime=runtime, batch=4)

    monkeypatch.setattr(backbones, "load", load)
    monkeypatch.setattr(extract, "SIDE", 16)
    return tmp_path / "home" / "pretrained"


def test_each_way_is_compared_with_predict_in_the_same_rounds(monkeypatch):
    clock = iter(np.cumsum(np.tile([0.0, 1.0, 0.0, 0.5, 0.0, 2.0, 0.0, 4.0, 0.0, 1.0], 4)).tolist())
    monkeypatch.setattr(extract, "matrix_rate", lambda matrices: 1000.0)
    monkeypatch.setattr(extract, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    document = extract.run(backbone="first", n=6, rounds=2, runtimes=("function",))
    found = {(row["what"], row["runtime"]): row for row in document["rows"]}
    assert list(found) == [("forward", "predict"), ("forward", "function"), ("decode, then forward", "predict"),
                           ("decode, then forward", "function"), ("decode and forward", "function")]
    assert [row["over_predict"] for row in found.values()] == pytest.approx([1, 2, 0.5, 0.25, 1])
    assert [row["per_second"] for row in found.values()] == pytest.approx([6, 12, 3, 1.5, 6])
    flop = 2 * (6 * 4 * 9 * 3 * 4)  # of the convolution before the cut
    assert found["forward", "function"]["of_matrix_rate"] == pytest.approx(flop * 12 / 1000)
    assert document["ratios"]["first"] == {
        "forward, function": 2, "decode, then forward, predict": 0.5, "decode, then forward, function": 0.25,
        "decode and forward, function": 1}
    assert json.loads(json.dumps(document)) == document


def test_every_runtime_gives_the_features_of_predict(small):
    steps = []
    document = extract.run(backbone="first,trained", n=5, rounds=1, runtimes=("function", "keras", *runtimes.ENGINES),
                           progress=lambda done, total: steps.append((done, total)))
    missing = [name for name in runtimes.ENGINES if name in document["skipped"]]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(document["rows"]) == 2 * (1 + 4 + 1 + 2 * 4 - 3 * len(missing))
    assert all(0 <= row["max_relative_error"] < 1e-5 and row["per_second"] > 0 for row in document["rows"])
    assert document["networks"]["first"]["weights"] == "random:0"
    assert document["networks"]["trained"]["weights"] == "imagenet"
    # files of random weights are gone, those of trained ones stay
    left = {path.name.rpartition("-")[0] for path in small.rglob("*") if path.is_file()}
    assert left == (set() if len(missing) == 2 else {"trained"})


def test_a_runtime_that_is_not_there_is_said(monkeypatch):
    def lacking(path, shape):
        raise ImportError("openvino is not installed: pip install it")

    monkeypatch.setitem(runtimes.ENGINES, "openvino", lacking)
    monkeypatch.setattr(runtimes.onnx, "export", lambda model, path: path.parent.mkdir(parents=True, exist_ok=True))
    document = extract.run(backbone="first", n=2, rounds=1, runtimes=("openvino",))
    assert document["skipped"] == {"openvino": "openvino is not installed: pip install it"}
    assert {row["runtime"] for row in document["rows"]} == {"predict"}


def test_the_picture_has_a_bar_for_each_way(tmp_path):
    document = extract.run(backbone="first", n=2, rounds=1, runtimes=("function",))
    path = extract.plot(document, tmp_path / "extract.png")
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_nothing_is_downloaded_for_a_benchmark(monkeypatch):
    asked = []
    monkeypatch.setattr(backbones, "load", lambda name, *, weights="imagenet", runtime: asked.append((name, weights)))
    monkeypatch.setattr(extract.keras_applications, "local_weights", lambda: None)
    for name in ("vgg16", "resnet50", "dinov2_small", "efficientnet_lite0"):
        extract._load(name)
    monkeypatch.setattr(extract.keras_applications, "local_weights", lambda: "vgg16.h5")
    extract._load("vgg16")
    assert asked == [("vgg16", None), ("resnet50", None), ("dinov2_small", None), ("efficientnet_lite0", "imagenet"),
                     ("vgg16", "imagenet")]
