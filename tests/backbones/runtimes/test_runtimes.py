"""Engines against Keras on a small network: the same features, one file, and no engine that disagrees."""

import json
import sys

import keras
import numpy as np
import pytest

from devise.backbones import Backbone, Preprocessing, runtimes
from devise.backbones.base import randomise
from devise.errors import MissingDependency

SIZE = (8, 6)


def installed(name):
    return pytest.param(name, marks=pytest.mark.skipif(
        not all(map(runtimes.find_spec, (name, "onnx", "tf2onnx"))), reason=f"no {name}"))


ENGINES = [installed(name) for name in runtimes.ENGINES]


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path))
    return tmp_path / "pretrained" / "onnx"


def backbone(runtime, *, seed=0, **options):
    keras.utils.set_random_seed(seed)
    preprocessing = Preprocessing(SIZE, bgr=True, scale=(0.1,) * 3, offset=(-1.0, -2.0, -3.0))
    pictures, x = preprocessing.inputs()
    x = keras.layers.Conv2D(4, 3, activation="relu", name="first")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(keras.layers.Conv2D(5, 3, name="second")(x))
    network = keras.Model(pictures, keras.layers.Dense(3, name="classes")(x), name="small")
    randomise(network, seed)
    options = {"layer": "pooled", "weights": "imagenet", "trained": True, "class_names": ("a", "b", "c"),
               "batch": 4} | options
    return Backbone("small", network, preprocessing=preprocessing, runtime=runtime, **options)


def pictures(n):
    return np.random.default_rng(2).integers(0, 256, (n, *SIZE, 3), np.uint8)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_gives_the_features_of_keras_under_the_same_fingerprint(engine):
    ours, theirs = backbone(engine), backbone("keras")
    assert ours.fingerprint == theirs.fingerprint
    for n in (1, 4, 9):
        found, expected = ours.features(pictures(9)[:n]), theirs.features(pictures(9)[:n])
        assert found.dtype == np.float32 and found.shape == (n, 5)
        assert np.abs(found - expected).max() <= runtimes.TOLERANCE / 10 * np.abs(expected).max()
        np.testing.assert_allclose(ours.logits(pictures(9)[:n]), theirs.logits(pictures(9)[:n]), rtol=1e-4, atol=1e-4)
    first = ours.features(pictures(4))
    kept = first.copy()
    ours.features(255 - pictures(4))
    np.testing.assert_array_equal(first, kept)  # the next call does not write over what was returned


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_takes_as_many_threads_as_the_environment_allows(engine, monkeypatch):
    asked = []
    if engine == "openvino":
        package = pytest.importorskip("openvino")
        right = package.Core.compile_model
        monkeypatch.setattr(package.Core, "compile_model", lambda core, network, device, options: (
            asked.append(options.get("INFERENCE_NUM_THREADS")), right(core, network, device, options))[1])
    else:
        package = pytest.importorskip("onnxruntime")
        right = package.InferenceSession
        monkeypatch.setattr(package, "InferenceSession", lambda path, options, **others: (
            asked.append(options.intra_op_num_threads or None), right(path, options, **others))[1])
    for said in ("3", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        backbone(engine).features(pictures(2))
    assert asked == [3, None]


@pytest.mark.parametrize(("said", "expected"), [("1", 1), ("", None), ("0", None), ("many", None)])
def test_a_number_of_threads_is_one_above_zero(said, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert runtimes._threads() == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_the_file_is_written_once_a_network(engine, root, monkeypatch):
    ours = backbone(engine)
    path = ours.pending_export
    assert path.parent == root and ours.fingerprint[:16] in path.name and not root.exists()
    ours.features(pictures(1))
    assert ours.pending_export is None and path.is_file()
    record = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert [key.split()[0] for key in record] == [engine] and max(record.values()) < 1e-5

    def refuse(*_args, **_options):
        raise AssertionError("a file that is there is not written again")

    monkeypatch.setattr(runtimes.onnx, "export", refuse)
    np.testing.assert_array_equal(backbone(engine).features(pictures(3)), ours.features(pictures(3)))
    with pytest.raises(AssertionError):  # another network
        backbone(engine, seed=1).features(pictures(1))


@pytest.mark.parametrize("engine", ENGINES)
def test_another_cut_of_the_same_network_has_a_file_of_its_own(engine, root):
    first = backbone(engine, layer="first")
    assert first.features(pictures(2)).shape == (2, 4)
    np.testing.assert_allclose(first.logits(pictures(2)), backbone("keras").logits(pictures(2)), rtol=1e-4, atol=1e-4)
    assert backbone(engine).pending_export is not None


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_disagrees_is_refused_by_name_and_left_aside_by_auto(engine, monkeypatch):
    right = runtimes.ENGINES[engine]

    def wrong(path, shape):
        forward = right(path, shape)
        return lambda pictures: forward(pictures) * 1.001

    monkeypatch.setitem(runtimes.ENGINES, engine, wrong)
    monkeypatch.setattr(runtimes, "ENGINES", {engine: runtimes.ENGINES[engine]})
    for _ in range(2):  # measured once, refused always
        with pytest.raises(ValueError, match=f"{engine} gives other features for small.* than Keras: .*1.0e-03"):
            backbone(engine).features(pictures(1))
    chosen = backbone("auto")
    assert chosen.runtime == engine
    with pytest.warns(UserWarning, match=f"small is run by TensorFlow, not by {engine}: .*other features"):
        found = chosen.features(pictures(3))
    np.testing.assert_array_equal(found, backbone("function").features(pictures(3)))
    assert chosen.runtime == "function"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_damaged_file_is_named(engine):
    ours = backbone(engine)
    path = ours.pending_export
    ours.features(pictures(1))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=f"{path.name} can't be run by {engine}.*remove it"):
        backbone(engine).features(pictures(1))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_engine_is_asked_for_and_auto_does_without(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, engine, None)
    extra = {"onnxruntime": "onnx"}.get(engine, engine)
    with pytest.raises(MissingDependency, match=rf"pip install 'devise-vse\[{extra}\]'"):
        backbone(engine).features(pictures(1))
    monkeypatch.setattr(runtimes, "ENGINES", {engine: runtimes.ENGINES[engine]})
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None if name == engine else name)
    assert backbone("auto").runtime == "function"


def test_auto_takes_the_first_engine_for_trained_weights_as_they_come(monkeypatch, root):
    monkeypatch.setattr(runtimes, "find_spec", lambda name: name)
    assert backbone("auto").runtime == next(iter(runtimes.ENGINES))
    assert backbone("auto", trained=False).runtime == "function"
    tuned = backbone("auto").with_weights({"first/bias": np.ones(4, np.float32)})
    assert tuned.runtime == "function" and tuned.pending_export is None
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None if name == "tf2onnx" else name)
    assert backbone("auto").runtime == "function"
    assert not root.exists()


def test_a_backbone_can_be_handed_to_another_runtime():
    ours = backbone("keras")
    other = ours.with_runtime("function")
    assert (ours.runtime, other.runtime) == ("keras", "function")
    assert other.fingerprint == ours.fingerprint and other.keras_model().weights[0] is ours.keras_model().weights[0]
    np.testing.assert_allclose(other.logits(pictures(5)), ours.logits(pictures(5)), rtol=1e-5)


def test_half_precision_rounds_as_its_bits_say_and_keeps_the_fingerprint():
    ours, theirs = backbone("mixed_float16"), backbone("keras")
    found, expected = ours.features(pictures(9)), theirs.features(pictures(9))
    assert found.dtype == np.float32 and ours.fingerprint == theirs.fingerprint
    assert 1e-5 < np.abs(found - expected).max() / np.abs(expected).max() < 1e-2  # of two layers, 2**-11 a product
    np.testing.assert_array_equal(theirs.features(pictures(9)), expected)  # the network itself stays in float32


def test_half_precision_that_overflows_is_refused_by_name():
    large = backbone("mixed_float16")
    kernel = next(weight for weight in large.keras_model().weights if weight.path == "first/kernel")
    with pytest.raises(ValueError, match="mixed_float16 gives other features for small.* than Keras"):
        large.with_weights({"first/kernel": 1e6 * kernel.numpy()}).features(pictures(1))


def test_auto_leaves_the_engines_of_processors_aside_where_there_is_a_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(runtimes, "find_spec", lambda name: True)
    assert runtimes.choose("auto", lasting=True) == next(iter(runtimes.ENGINES))
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [f"a {kind}"])
    assert runtimes.choose("auto", lasting=True) in runtimes.ENGINES  # no driver is there: TensorFlow is not asked
    monkeypatch.setattr(runtimes, "DRIVERS", (str(tmp_path),))
    assert runtimes.choose("auto", lasting=True) == "function"
    assert runtimes.choose("onnxruntime", lasting=True) == "onnxruntime"
