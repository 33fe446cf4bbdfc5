"""Small networks of each family against keras-hub's own; the table against what it publishes."""

import functools
import sys

import keras
import numpy as np
import pytest

from devise import backbones
from devise.backbones import keras_hub as room
from devise.backbones import registry, runtimes
from devise.errors import MissingDependency

hub = pytest.importorskip("keras_hub", reason="no keras-hub")

TINY = {"tiny_dinov2": room.Network("dinov2", 14, 32, 1, 2, side=28, registers=2),
        "tiny_clip": room.Network("clip", 16, 32, 1, 2, side=32, projection=8),
        "tiny_siglip": room.Network("siglip", 16, 32, 1, 2, side=32),
        "tiny_vit": room.Network("vit", 16, 32, 1, 2, side=32)}
SENTENCES = {"vocabulary_size": 20, "embedding_dim": 16, "hidden_dim": 16, "num_layers": 1, "num_heads": 2,
             "intermediate_dim": 16, "max_sequence_length": 5}


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory):
    files = tmp_path_factory.mktemp("pretrained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtimes, "pretrained_root", lambda: files)  # no file that another devise wrote
        for name, network in TINY.items():
            patch.setitem(room.NETWORKS, name, network)
            patch.setitem(registry.BUILDERS, name, room.build)
        yield


@pytest.fixture(scope="module")
def drawn():
    """Loads a network of random weights by its name, once."""
    return functools.cache(lambda name: backbones.load(name, weights="random:3", batch=2))


def theirs(name, dim=32):
    """A preset of keras-hub as it would be published, with text tower and larger positions where it has them."""
    models, size = hub.models, TINY[name]
    shape = (size.side, size.side, 3)
    common = {"patch_size": size.patch, "num_layers": 1, "num_heads": 2, "hidden_dim": dim, "image_shape": shape}
    if name == "tiny_vit":
        return models.ViTBackbone(mlp_dim=4 * dim, **common)
    if name == "tiny_dinov2":
        common["image_shape"] = (70, 70, 3)
        return models.DINOV2Backbone(intermediate_dim=4 * dim, num_register_tokens=2,
                                     position_embedding_shape=(70, 70), **common)
    if name == "tiny_clip":
        return models.CLIPBackbone(models.CLIPVisionEncoder(intermediate_dim=4 * dim, name="vision", **common),
                                   models.CLIPTextEncoder(**SENTENCES), 8)
    return models.SigLIPBackbone(models.SigLIPVisionEncoder(intermediate_dim=4 * dim, name="vision", **common),
                                 models.SigLIPTextEncoder(**SENTENCES))


def shaken(network, seed=0):
    """Random biases and scales too: at their starting values some mistakes can't be seen."""
    random = np.random.default_rng(seed)
    for weight in network.weights:
        if "int" not in str(weight.dtype):
            weight.assign(np.asarray(weight) + random.normal(0, 0.1, weight.shape))
    return network


def features(name, network, pictures, folder):
    """What keras-hub gives for pictures, scaled by hand as the papers' own code does."""
    mean, spread = {"tiny_dinov2": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
                    "tiny_clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
                    }.get(name, ((0.5,) * 3, (0.5,) * 3))
    scaled = ((pictures / 255 - mean) / spread).astype(np.float32)
    if name in ("tiny_clip", "tiny_siglip"):
        return np.asarray(network.get_vision_embeddings(scaled))
    if name == "tiny_vit":
        return np.asarray(network(scaled))[:, 0]
    resized = hub.models.Backbone.from_preset(str(folder), image_shape=(28, 28, 3))
    return np.asarray(resized({"images": scaled}))[:, 0]


def pictures(backbone, n=3):
    return np.random.default_rng(4).integers(0, 256, (n, *backbone.size, 3), np.uint8)


def outputs(model, images):
    """What a Keras model gives, without a graph, which would take longer to make than to run."""
    return np.asarray(model(images.astype(np.float32), training=False))


@pytest.mark.parametrize("name", TINY)
def test_the_features_of_a_preset_are_those_of_keras_hub(name, drawn, tmp_path):
    network = shaken(theirs(name))
    network.save_to_preset(str(tmp_path))
    backbone = backbones.load(name, weights=str(tmp_path))
    assert backbone.trained and backbone.weights == str(tmp_path)
    engine = backbone.runtime
    found = backbone.features(pictures(backbone))
    assert backbone.runtime == engine  # none is left for TensorFlow in silence
    np.testing.assert_allclose(found, features(name, network, pictures(backbone), tmp_path), rtol=1e-4, atol=1e-4)
    assert drawn(name).fingerprint != backbone.fingerprint


@pytest.mark.parametrize("name", TINY)
def test_random_weights_leave_positions_and_survive_a_file(name, drawn, tmp_path):
    backbone = drawn(name)
    assert backbone.weights == "random:3" and not backbone.trained and backbone.class_names == ()
    weights = {weight.path.rpartition("/")[2]: np.asarray(weight) for weight in backbone.keras_model().weights}
    if "position_ids" in weights:
        assert weights["position_ids"].ravel().tolist() == list(range(weights["position_ids"].size))
    if name == "tiny_dinov2":
        np.testing.assert_array_equal(weights["position_embeddings"], weights["interpolated_position_embeddings"])
    found = outputs(backbone.keras_model(), pictures(backbone))
    assert np.isfinite(found).all() and len(np.unique(found.round(5), axis=0)) == 3
    backbone.keras_model().save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(outputs(loaded, pictures(backbone)), found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_some_weights_can_be_replaced(name, drawn):
    backbone = drawn(name)
    path, kernel = next((weight.path, np.asarray(weight)) for weight in backbone.keras_model().weights
                        if weight.path.endswith("kernel"))
    changed = backbone.with_weights({path: kernel * 1.5})
    assert changed.weights == "random:3, fine-tuned" and changed.fingerprint != backbone.fingerprint
    assert backbone.with_weights({}).fingerprint == backbone.fingerprint
    moved = np.abs(np.subtract(*(outputs(one.keras_model(), pictures(backbone)) for one in (changed, backbone))))
    assert moved.max() > 1e-3


def test_clip_can_be_cut_before_its_projection():
    before, after = (backbones.load("tiny_clip", weights=None, layer=layer) for layer in ("class_token", None))
    assert (before.dim, after.dim) == (32, 8)
    projection = np.asarray(after.keras_model().get_layer("vision_projection").kernel)
    found, expected = (outputs(one.keras_model(), pictures(one)) for one in (before, after))
    np.testing.assert_allclose(found @ projection, expected, rtol=1e-4, atol=1e-4)


def test_the_class_token_is_first_and_dino_has_it_in_its_picture(monkeypatch):
    monkeypatch.setattr(room, "_randomise", lambda network, seed: None)  # 22 million numbers, which nobody looks at
    backbone = backbones.load("dinov2_small", weights=None)
    assert (backbone.size, backbone.dim, backbone.layer) == ((224, 224), 384, "class_token")
    assert backbone.keras_model().get_layer("encoder").output.shape == (None, 1 + 16 * 16, 384)
    # two copies of the positions, published at 518 pixels, here at 224
    published = hub.models.DINOV2Backbone.presets["dinov2_small"]["metadata"]["params"]
    assert backbone.keras_model().count_params() == published - 2 * (37 * 37 - 16 * 16) * 384
    with pytest.raises(ValueError, match="dinov2_small has no classifier"):
        backbone.logits(pictures(backbone, 1))


def transformer(dim, blocks):
    """The weights of a transformer's blocks: attention, two layers four times as wide, two normalisations."""
    return blocks * (4 * dim * dim + 4 * dim + 8 * dim * dim + 5 * dim + 4 * dim)


@pytest.mark.parametrize("name", [name for name, size in room.NETWORKS.items() if size.family != "siglip"])
def test_the_sizes_give_the_published_counts(name):
    size = room.NETWORKS[name]
    dim, side = size.dim, 518 if size.family == "dinov2" else size.side
    positions = (side // size.patch) ** 2 + 1
    expected = size.patch ** 2 * 3 * dim + positions * dim + dim + transformer(dim, size.blocks) + 2 * dim
    if size.family == "clip":  # no bias of the patches, a norm in front, numbers of positions; then the sentences
        text = size.projection
        expected += 2 * dim + positions + dim * text + 49408 * text + 77 * text + transformer(text, 12) + 2 * text
        expected += text * text + 1
    else:
        expected += dim
    if size.family == "dinov2":  # a mask, registers, positions twice, two scales a block
        expected += dim + size.registers * dim + positions * dim + 2 * dim * size.blocks
    assert hub.models.Backbone.presets[name]["metadata"]["params"] == expected


def test_every_network_is_a_preset_of_its_family_and_size():
    for name, size in room.NETWORKS.items():
        if name not in TINY:
            assert name in hub.models.Backbone.presets and name.startswith(size.family)
            assert f"patch{size.patch}" in name or size.family == "dinov2"
            assert str(size.side) in name or size.side == 224


def test_a_folder_of_another_size_damaged_or_missing_is_refused(tmp_path):
    theirs("tiny_vit", dim=48).save_to_preset(str(tmp_path / "wide"))
    with pytest.raises(ValueError, match="holds ViTBackbone of another size than tiny_vit"):
        backbones.load("tiny_vit", weights=tmp_path / "wide")
    with pytest.raises(ValueError, match="of another size than tiny_siglip|can't be read as a preset"):
        backbones.load("tiny_siglip", weights=tmp_path / "wide")
    (tmp_path / "wide" / "model.weights.h5").write_bytes(b"not HDF5")
    (tmp_path / "empty").mkdir()
    for folder in ("wide", "empty"):
        with pytest.raises(ValueError, match=f"{folder} can't be read as a preset"):
            backbones.load("tiny_vit", weights=tmp_path / folder)
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere: expected 'preset'"):
        backbones.load("tiny_vit", weights=tmp_path / "nowhere")


def test_the_hub_is_asked_for_a_preset_or_a_handle(tmp_path, monkeypatch):
    network, asked = theirs("tiny_vit"), []

    def from_preset(place, **options):
        asked.append(place)
        return network

    monkeypatch.setattr(hub.models.Backbone, "from_preset", from_preset)
    found = [backbones.load("tiny_vit", **options)
             for options in ({}, {"weights": "preset"}, {"weights": "hf://a/b"})]
    assert [backbone.weights for backbone in found] == ["preset", "preset", "hf://a/b"] and found[0].trained
    assert asked == ["tiny_vit", "tiny_vit", "hf://a/b"]


def test_weights_that_can_not_be_had_are_explained(monkeypatch):
    def offline(place, **options):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(hub.models.Backbone, "from_preset", offline)
    with pytest.raises(FileNotFoundError) as refusal:
        backbones.load("dinov2_small")
    for words in ("no route to host", "https://www.kaggle.com/models/keras/dinov2/keras/dinov2_small ",
                  "weights='FOLDER'", "weights='random'"):
        assert words in str(refusal.value)


def test_without_keras_hub_the_pip_line_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(MissingDependency, match=r"pip install 'devise-vse\[hub\]'"):
        backbones.load("dinov2_small", weights=None)
    assert "dinov2_small" in backbones.names()
