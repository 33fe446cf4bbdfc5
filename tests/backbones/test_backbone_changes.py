"""A backbone with some of its weights replaced, as fine-tuning does."""

import keras
import numpy as np
import pytest

from devise.backbones import Backbone, Preprocessing
from devise.backbones.base import randomise

SIZE = (8, 6)


def small_backbone(seed=0, **options):
    """Two convolutions, the first normalised, and a classifier; blue first."""
    preprocessing = Preprocessing(SIZE, bgr=True, scale=(1 / 128,) * 3)
    pictures, x = preprocessing.inputs()
    x = keras.layers.Conv2D(4, 3, name="first")(x)
    x = keras.layers.BatchNormalization(name="first_norm")(x)
    x = keras.layers.Conv2D(5, 3, name="second")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    network = keras.Model(pictures, keras.layers.Dense(3, name="classes")(x), name="small")
    randomise(network, seed)
    return Backbone("small", network, weights=f"random:{seed}", trained=False, preprocessing=preprocessing,
                    class_names=("a", "b", "c"), **{"layer": "pooled", **options})


def pictures(n=3):
    return np.random.default_rng(2).integers(0, 256, (n, *SIZE, 3), np.uint8)


@pytest.fixture
def base():
    return small_backbone()


@pytest.fixture
def changes():
    return {"second/kernel": np.random.default_rng(1).standard_normal((3, 3, 4, 5)).astype(np.float32)}


def test_its_features_are_those_of_the_new_weights(base, changes):
    changed = base.with_weights(changes)
    expected = small_backbone()
    expected.keras_model().get_layer("second").kernel.assign(changes["second/kernel"])
    np.testing.assert_array_equal(changed.features(pictures()), expected.features(pictures()))
    assert changed.fingerprint == expected.fingerprint != base.fingerprint


def test_the_backbone_it_came_from_stays_as_it_was(base, changes):
    features, fingerprint = base.features(pictures()), base.fingerprint
    base.with_weights(changes)
    np.testing.assert_array_equal(base.features(pictures()), features)
    assert small_backbone().fingerprint == fingerprint and not base.changes


@pytest.mark.parametrize("layer", ["pooled", "first", "mean"])
def test_without_changes_it_is_the_same(layer):
    base = small_backbone(layer=layer)
    again = base.with_weights({})
    assert (again.fingerprint, again.layer, again.dim) == (base.fingerprint, base.layer, base.dim)


def test_it_says_what_it_is(base, changes):
    changed = base.with_weights(changes)
    assert (changed.name, changed.size, changed.batch, changed.trained) == ("small", SIZE, base.batch, False)
    assert changed.weights == "random:0, fine-tuned" and list(changed.changes) == ["second/kernel"]
    assert not changed.keras_model().trainable_variables
    with pytest.raises(ValueError, match="no classifier"):
        changed.logits(pictures())


def test_changes_add_up(base, changes):
    bias = {"second/bias": np.arange(5, dtype=np.float32)}
    twice = base.with_weights(changes).with_weights(bias)
    assert twice.fingerprint == base.with_weights({**changes, **bias}).fingerprint
    assert twice.fingerprint == base.with_weights(twice.changes).fingerprint
    assert twice.weights == "random:0, fine-tuned"


@pytest.mark.parametrize(("changes", "message"), [
    ({"third/kernel": np.zeros(3)}, "no weight 'third/kernel'"),
    ({"classes/kernel": np.zeros((5, 3))}, "no weight 'classes/kernel'"),  # behind the cut
    ({"second/bias": np.zeros(4)}, r"the new second/bias has shape \(4,\): expected \(5,\)"),
    ({"second/bias": np.full(5, np.nan)}, "all finite"),
])
def test_what_does_not_fit_is_refused(base, changes, message):
    with pytest.raises(ValueError, match=message):
        base.with_weights(changes)
