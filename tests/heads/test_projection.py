import json
import math
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from devise.heads import ProjectionHead, load_head
from devise.heads import projection as whitening
from devise.heads.projection import STARTS
from devise.losses import Cosine
from devise.training import train


@pytest.fixture
def fitted(train_set):
    def fit(**options):
        dim = 24 if options.get("start") == "identity" else 5
        return ProjectionHead(dim, **options).fit(train_set.features, train_set.labels)

    return fit


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("normalised", [True, False])
def test_identity_has_the_cosines_of_the_raw_features(fitted, validation_set, normalised):
    rows = fitted(start="identity", unit=normalised).embed(validation_set.features)
    raw = unit(validation_set.features)
    np.testing.assert_allclose(rows @ rows.T, raw @ raw.T, atol=1e-5)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("start", ["pca", "whitening", "within-class"])
def test_embeddings_are_the_coordinates_of_the_closed_form(fitted, train_set, validation_set, start, normalised):
    train_rows, rows = train_set.features, validation_set.features
    if normalised:
        train_rows, rows = unit(train_rows), unit(rows)
    mean, kernel = {"pca": lambda: whitening.pca(train_rows, 5),
                    "whitening": lambda: whitening.whitening(train_rows, 5, shrinkage=0.2),
                    "within-class": lambda: whitening.within_class_whitening(
                        train_rows, train_set.labels, 5, shrinkage=0.2)}[start]()
    head = fitted(start=start, unit=normalised, shrinkage=0.2)
    np.testing.assert_allclose(head.embed(validation_set.features), unit((rows - mean) @ kernel), atol=1e-4)


def powers_by_hand(rows, power):
    return np.array([[math.copysign(abs(value) ** power, value) for value in row] for row in rows.tolist()])


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("start", STARTS)
def test_a_power_is_as_good_as_features_raised_before(fitted, train_set, validation_set, start, normalised):
    assert validation_set.features.min() < 0
    dim = 24 if start == "identity" else 5
    before = ProjectionHead(dim, start=start, unit=normalised).fit(powers_by_hand(train_set.features, 0.5),
                                                                   train_set.labels)
    head = fitted(start=start, unit=normalised, power=0.5)
    np.testing.assert_allclose(head.outputs(validation_set.features),
                               before.outputs(powers_by_hand(validation_set.features, 0.5)), atol=1e-4)


def test_a_power_is_kept_with_the_head_and_one_without_it_still_opens(fitted, train_set, tmp_path):
    head = fitted(start="within-class", power=0.3)
    head.save(tmp_path / "head.npz")
    again = load_head(tmp_path / "head.npz")
    assert again.config["power"] == 0.3
    np.testing.assert_array_equal(again.outputs(train_set.features), head.outputs(train_set.features))
    with np.load(tmp_path / "head.npz") as saved:
        weights = {name: saved[name] for name in ("kernel", "bias")}
    old = {name: value for name, value in head.config.items() if name != "power"}
    np.savez(tmp_path / "old.npz", config=np.array(json.dumps(old)), **weights)
    assert load_head(tmp_path / "old.npz").config["power"] == 1.0


def power_of(head):
    return next(layer for layer in head.keras_layers() if layer.name == "power")


def test_the_slope_of_a_root_is_finite_where_features_are_zero():
    rows = keras.ops.convert_to_tensor(np.array([[0.0, 4.0, -1e-9, -4.0]], np.float32))
    with tf.GradientTape() as tape:
        tape.watch(rows)
        total = keras.ops.sum(power_of(ProjectionHead(start="identity", power=0.5).fit(np.eye(4)))(rows))
    np.testing.assert_allclose(tape.gradient(total, rows), [[0, 0.25, 0, 0.25]], atol=1e-6)


def test_the_network_is_written_and_read_as_keras_own_layers(fitted, train_set, tmp_path):
    head = fitted(start="pca", power=0.25)
    head.keras_model().save(tmp_path / "head.keras")
    with zipfile.ZipFile(tmp_path / "head.keras") as archive:
        assert b"devise" not in archive.read("config.json")  # it opens where devise is not installed
    again = keras.saving.load_model(tmp_path / "head.keras")
    np.testing.assert_allclose(np.asarray(again(train_set.features)), head.outputs(train_set.features), atol=1e-5)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("normalised", [True, False])
def test_outputs_have_a_root_mean_square_length_of_one(fitted, train_set, start, normalised):
    outputs = fitted(start=start, unit=normalised).outputs(train_set.features)
    assert np.mean((outputs ** 2).sum(axis=1)) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("power", [1.0, 0.5])
def test_the_keras_model_gives_the_same_and_shares_the_weights(fitted, train_set, start, normalised, power):
    head = fitted(start=start, unit=normalised, power=power)
    before, model = head.outputs(train_set.features), head.keras_model()
    np.testing.assert_allclose(np.asarray(model(train_set.features)), before, atol=1e-5)
    assert model is head.keras_model() and head.keras_layers() == model.layers
    bias = model.layers[-1].weights[1]
    bias.assign(bias + 1)
    np.testing.assert_allclose(head.outputs(train_set.features), before + 1, atol=1e-5)


def test_what_was_trained_is_saved(fitted, train_set, tmp_path):
    head = fitted(start="pca")
    start = head.outputs(train_set.features)
    train(head, train_set.features, train_set.labels, Cosine(train_set.vectors), epochs=5, learning_rate=0.5)
    outputs = head.outputs(train_set.features)
    assert not np.allclose(outputs, start, atol=0.01)
    head.save(tmp_path / "head.npz")
    again = ProjectionHead.load(tmp_path / "head.npz")
    np.testing.assert_array_equal(again.outputs(train_set.features), outputs)
    np.testing.assert_allclose(np.asarray(again.keras_model()(train_set.features)), outputs, atol=1e-5)


def test_training_begins_with_the_closed_form(train_set):
    head, fitted = (ProjectionHead(5, start="within-class") for _ in range(2))
    fitted.fit(train_set.features, train_set.labels)
    train(head, train_set.features, train_set.labels, Cosine(train_set.vectors), epochs=1, learning_rate=1e-12)
    np.testing.assert_allclose(head.outputs(train_set.features), fitted.outputs(train_set.features), atol=1e-6)


def test_a_head_that_is_fitted_trains_on_from_there(train_set):
    head = ProjectionHead(5, start="pca").fit(train_set.features[:50])
    before = head.outputs(train_set.features)
    train(head, train_set.features, train_set.labels, Cosine(train_set.vectors), epochs=1, learning_rate=1e-12)
    np.testing.assert_allclose(head.outputs(train_set.features), before, atol=1e-6)


def test_within_class_whitening_brings_classes_together(train_set, validation_set):
    """Nuisance of great variance in directions that the classes share: damped, it no longer rules."""
    rng = np.random.default_rng(5)
    nuisance = 4 * rng.standard_normal((3, 24))

    def seen(data):
        return data.features + rng.standard_normal((len(data.features), 3)) @ nuisance

    train_rows, rows = seen(train_set), seen(validation_set)
    labels = validation_set.labels

    def nearest(embeddings):
        scores = embeddings @ embeddings.T - 9 * np.eye(len(embeddings))
        return (labels[scores.argmax(axis=1)] == labels).mean()

    head = ProjectionHead(5, start="within-class", shrinkage=0.1).fit(train_rows, train_set.labels)
    assert nearest(head.embed(rows)) > nearest(unit(rows)) + 0.2


def test_without_dim_the_columns_are_the_features_own(train_set):
    head = ProjectionHead(start="whitening")
    assert head.dim is None
    assert head.fit(train_set.features).dim == 24


@pytest.mark.parametrize(("options", "message"), [
    ({"start": "random"}, "start is 'random': expected one of identity, pca"), ({"dim": 0}, "dim is 0"),
    ({"shrinkage": 1.5}, "shrinkage is 1.5"), ({"shrinkage": float("nan")}, "shrinkage is nan"),
    ({"power": 0}, "power is 0"), ({"power": 2}, "power is 2: expected a number above 0 and up to 1"),
    ({"power": float("nan")}, "power is nan")])
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ProjectionHead(**options)


@pytest.mark.parametrize(("head", "features", "labels", "message"), [
    (ProjectionHead(9), np.eye(8), None, "dim is 9 and the features have 8 columns: expected no more"),
    (ProjectionHead(5, start="identity"), np.eye(8), None, "expected as many"),
    (ProjectionHead(5, start="within-class"), np.eye(8), None, "'within-class' needs labels"),
    (ProjectionHead(5, start="within-class"), np.eye(8), [0, 1], r"labels have shape \(2,\)"),
    (ProjectionHead(5, start="within-class"), np.eye(8), np.arange(8), "no class has two rows"),
    (ProjectionHead(5, start="pca"), np.ones((8, 8)), None, "features are the same in every row"),
    (ProjectionHead(5, start="pca"), np.full((8, 8), np.nan), None, "features hold NaN"),
    (ProjectionHead(5, start="pca"), np.ones(8), None, r"features have shape \(8,\)"),
])
def test_what_does_not_fit_is_refused_and_the_head_stays_without_weights(head, features, labels, message):
    with pytest.raises(ValueError, match=message):
        head.fit(features, labels)
    assert head.input_dim is None
