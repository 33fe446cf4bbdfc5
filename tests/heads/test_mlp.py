import json

import keras
import numpy as np
import pytest

from devise.heads import HeadConfig, HiddenHead, MlpHead, load_head


def built(config, seed=0):
    """A head whose every weight is random, running statistics too."""
    head = MlpHead(config).build(24, seed=seed)
    rng = np.random.default_rng(seed)
    for weight in head.keras_model().weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) * rng.choice([-1, 1], weight.shape)
                      if "variance" not in weight.name else rng.uniform(0.5, 1.5, weight.shape))
    return head


def by_hand(head, features, *, stop=None):
    """The head's arithmetic in NumPy, up to the layer before the one named `stop`."""
    rows = features.astype(np.float64)
    for layer in head.keras_layers():
        own = {weight.name: np.asarray(weight, np.float64) for weight in layer.weights}
        if layer.name == stop:
            break
        if "kernel" in own:
            rows = rows @ own["kernel"] + own["bias"]
        elif "moving_mean" in own:
            scale = own["gamma"] / np.sqrt(own["moving_variance"] + 1e-3)
            rows = (rows - own["moving_mean"]) * scale + own["beta"]
        elif layer.name.endswith("_activation"):
            rows = np.maximum(rows, 0)
    return rows


def unit(rows):
    return rows / np.sqrt((rows ** 2).sum(axis=1, keepdims=True))


def test_parameter_counts_of_the_reference():
    model = MlpHead(HeadConfig(dim=300)).build(4096).keras_model()
    count = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert count == 4096 * 2000 + 2000 + 2 * 2000 + 2000 * 300 + 300 + 2 * 300 == 8_798_900
    assert sum(int(np.prod(weight.shape)) for weight in model.non_trainable_weights) == 4_600


def test_layers_come_in_the_order_of_the_reference():
    kinds = [type(layer).__name__ for layer in MlpHead(HeadConfig(dim=3)).build(4).keras_layers()]
    assert kinds == ["Dense", "BatchNormalization", "Activation", "Dropout", "Dense", "BatchNormalization"]


@pytest.mark.parametrize("config", [
    HeadConfig(dim=5, sizes=(16,)), HeadConfig(dim=5, sizes=(16, 8)), HeadConfig(dim=5, sizes=()),
    HeadConfig(dim=5, sizes=(16,), batch_norm=False),
])
def test_embed_equals_the_arithmetic_by_hand(config, train_set):
    head = built(config)
    expected = by_hand(head, train_set.features)
    np.testing.assert_allclose(head.outputs(train_set.features), expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(head.embed(train_set.features), unit(expected), atol=1e-5)


def test_the_hidden_head_is_the_last_hidden_activation(train_set):
    head = built(HeadConfig(dim=5, sizes=(16, 8)))
    hidden = head.inner["hidden"]
    assert hidden.dim == 8
    expected = by_hand(head, train_set.features, stop="hidden_2_dropout")
    np.testing.assert_allclose(hidden.outputs(train_set.features), expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(hidden.embed(train_set.features), unit(expected), atol=1e-5)


def test_the_hidden_head_follows_the_training_of_its_head_and_a_copy_does_not(train_set):
    head = built(HeadConfig(dim=5, sizes=(16,)))
    hidden, copy = head.inner["hidden"], head.inner["hidden"].copy()
    before = hidden.outputs(train_set.features)
    kernel = head.keras_layers()[0].kernel
    kernel.assign(2 * kernel)
    assert np.abs(hidden.outputs(train_set.features) - before).max() > 0.1
    np.testing.assert_array_equal(copy.outputs(train_set.features), before)


def test_a_head_without_a_hidden_layer_has_no_space_on_the_way():
    head = built(HeadConfig(dim=5, sizes=()))
    assert head.inner == {}
    with pytest.raises(ValueError, match="no hidden layer"):
        HiddenHead(head)


def test_embedding_in_blocks_and_from_a_file_changes_nothing(monkeypatch, tmp_path, small, train_set):
    head = built(small)
    expected = head.embed(train_set.features)
    monkeypatch.setattr("devise.heads.base.BLOCK_ROWS", 7)
    np.save(tmp_path / "features.npy", train_set.features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    np.testing.assert_allclose(head.embed(mapped), expected, atol=1e-6)


def test_no_rows_give_no_embeddings(small):
    assert built(small).embed(np.empty((0, 24), np.float32)).shape == (0, 5)


def test_a_zero_embedding_is_refused(small, train_set):
    head = MlpHead(small).build(24)
    last = head.keras_layers()[-1]
    last.gamma.assign(np.zeros(5))
    with pytest.raises(ValueError, match="embeddings hold 96 zero rows"):
        head.embed(train_set.features)


def test_features_of_other_columns_are_refused(small):
    with pytest.raises(ValueError, match="features have 23 columns, expected 24"):
        built(small).embed(np.ones((2, 23)))


def test_a_seed_decides_the_weights(small):
    def weights(seed):
        model = MlpHead(small).build(24, seed).keras_model()
        return np.concatenate([np.ravel(weight) for weight in model.weights])

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_building_leaves_the_global_seeds_alone(small):
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    MlpHead(small).build(24)
    assert np.random.random() == expected


def test_layers_serve_behind_another_network(small, train_set):
    head = built(small)
    picture = keras.Input((24,))
    output = picture
    for layer in head.keras_layers():
        output = layer(output)
    whole = keras.Model(picture, output)
    np.testing.assert_allclose(whole(train_set.features), head.outputs(train_set.features), atol=1e-5)


@pytest.mark.parametrize("config", [HeadConfig(dim=5, sizes=(16, 8), activation="gelu", dropout=0.1),
                                    HeadConfig(dim=5, sizes=(), batch_norm=False)])
def test_save_and_load_give_the_same_head(config, tmp_path, train_set):
    head = built(config)
    head.save(tmp_path / "head.npz")
    for again in (MlpHead.load(tmp_path / "head.npz"), load_head(tmp_path / "head.npz")):
        assert again.config == head.config == json.loads(json.dumps(head.config))
        np.testing.assert_array_equal(again.embed(train_set.features), head.embed(train_set.features))


def test_a_head_from_a_file_is_trained_on_where_it_was(tmp_path, small, train_set):
    head = built(small)
    head.save(tmp_path / "head.npz")
    again = load_head(tmp_path / "head.npz")
    network = again.keras_model()
    np.testing.assert_allclose(network(train_set.features), by_hand(head, train_set.features), rtol=1e-4, atol=1e-3)
    network.layers[0].kernel.assign(2 * network.layers[0].kernel)
    np.testing.assert_array_equal(again.weights()["hidden_1/kernel"], 2 * head.weights()["hidden_1/kernel"])


def test_a_head_without_weights_says_so(small, tmp_path):
    head, path = MlpHead(small), tmp_path / "head.npz"
    for use in (head.keras_model, lambda: head.embed(np.ones((1, 24))), lambda: head.save(path)):
        with pytest.raises(ValueError, match="no weights yet"):
            use()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("options", "message"), [
    ({"dim": 0}, "dim is 0"), ({"dim": 5, "sizes": (16, -1)}, "sizes are"), ({"dim": 2.5}, "whole numbers"),
    ({"dim": 5, "dropout": 1.0}, "dropout is 1.0: expected 0 <= dropout < 1"),
])
def test_sizes_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HeadConfig(**options)


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="reluu"):
        MlpHead(HeadConfig(dim=5, activation="reluu")).build(24)
