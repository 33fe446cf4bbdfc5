from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from devise.heads import HeadConfig, MlpHead
from devise.losses import Cosine, Loss
from devise.training import History, train

BARE = HeadConfig(dim=5, sizes=(), batch_norm=False)  # becomes a graph in half the time: where any head will do


def weights(head):
    return [weight.numpy() for weight in head.keras_model().weights]


def assert_same(first, second, **tolerance):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def trained(config, data, *, head_seed=0, **options):
    head = MlpHead(config).build(24, seed=head_seed)
    return head, train(head, data.features, data.labels, Cosine(data.vectors), **{"batch_size": 20} | options)


def by_hand(model, features, data, optimiser):
    """Two epochs of a model, step by step with Keras' own optimiser: the mean loss of each."""
    order, loss, losses = np.random.default_rng(7), Cosine(data.vectors), []
    for _ in range(2):
        values = []
        for rows in np.split(order.permutation(96), 3):
            with tf.GradientTape() as tape:
                value = loss(data.labels[rows], model(features[rows], training=True))
            sources = [variable.value for variable in model.trainable_variables]
            optimiser.apply(tape.gradient(value, sources), model.trainable_variables)
            values.append(float(value))
        losses.append(np.mean(values))
    return losses


def by_fit(model, features, data, optimiser):
    """The same by Keras' fit."""
    order, losses = np.random.default_rng(7), []
    model.compile(optimizer=optimiser, loss=Cosine(data.vectors), run_eagerly=True)  # a graph takes longer to make
    for _ in range(2):
        rows = order.permutation(96)
        result = model.fit(features[rows], data.labels[rows].astype(np.int32), batch_size=32, shuffle=False, verbose=0)
        losses += result.history["loss"]
    return losses


REFERENCES = {
    "sgd": (by_fit, lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)),
    "adam": (by_hand, lambda rate: keras.optimizers.Adam(rate)),
    "adagrad": (by_hand, lambda rate: keras.optimizers.Adagrad(rate)),
}


# without batch_norm for adam: a bias before it has no gradient but rounding, which adam makes steps of
@pytest.mark.parametrize(("optimiser", "batch_norm", "dropout"), [("sgd", True, 0.5), ("adam", False, 0.0),
                                                                  ("adagrad", True, 0.0)])
def test_equals_keras_over_the_same_batches(train_set, optimiser, batch_norm, dropout):
    config = HeadConfig(dim=5, sizes=(16,), dropout=dropout, batch_norm=batch_norm)
    head, history = trained(config, train_set, optimiser=optimiser, learning_rate=0.02, epochs=2, batch_size=32, seed=7)
    model, (way, make) = MlpHead(config).build(24, seed=0).keras_model(), REFERENCES[optimiser]
    losses = way(model, train_set.features, train_set, make(0.02))
    assert_same(weights(head), [weight.numpy() for weight in model.weights], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-4)


def wide(data, columns=200):
    """The same rows with more columns than there are rows."""
    return data.features @ np.random.default_rng(3).standard_normal((24, columns), dtype=np.float32) / 5


@pytest.mark.parametrize(("config", "nesterov"), [
    (HeadConfig(dim=5, sizes=(16,)), True), (HeadConfig(dim=5, sizes=(16,), dropout=0.0, batch_norm=False), False),
    (HeadConfig(dim=5, sizes=()), True)])
def test_fewer_rows_than_columns_equal_keras_too(train_set, config, nesterov):
    features, model = wide(train_set), MlpHead(config).build(200, seed=0).keras_model()
    head = MlpHead(config).build(200, seed=0)
    history = train(head, features, train_set.labels, Cosine(train_set.vectors), learning_rate=0.02, nesterov=nesterov,
                    epochs=2, batch_size=32, seed=7)
    losses = by_hand(model, features, train_set, keras.optimizers.SGD(0.02, momentum=0.9, nesterov=nesterov))
    assert_same(weights(head), [weight.numpy() for weight in model.weights], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-4)


@pytest.fixture(scope="module")
def of_few_rows(make_train_set):
    """The weights after two epochs of fewer rows than columns; nobody changes them."""
    data, head = make_train_set(), MlpHead(HeadConfig(dim=5, sizes=(16,))).build(200)
    train(head, wide(data), data.labels, Cosine(data.vectors), epochs=2, batch_size=16)
    return weights(head)


def test_of_few_rows_whoever_looks_sees_the_weights_as_they_are(train_set, validation_set, small, of_few_rows):
    seen, scores = [], iter([0.1, 0.7, 0.3])
    head = MlpHead(small).build(200)
    train(head, wide(train_set), train_set.labels, Cosine(train_set.vectors), epochs=3, batch_size=16,
          validation=(wide(validation_set), validation_set.labels),
          validate=lambda rows: next(scores), after_epoch=lambda history: seen.append(weights(head)))
    assert_same(seen[1], of_few_rows, rtol=0, atol=0)
    assert_same(weights(head), of_few_rows, rtol=0, atol=0)
    assert not any(np.array_equal(epoch[0], seen[1][0]) for epoch in (seen[0], seen[2]))


def test_few_rows_stopped_by_hand_keep_what_was_learned(train_set, small, of_few_rows):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    head = MlpHead(small).build(200)
    with pytest.raises(KeyboardInterrupt):
        train(head, wide(train_set), train_set.labels, Cosine(train_set.vectors), epochs=5, batch_size=16,
              progress=stop)
    assert_same(weights(head), of_few_rows, rtol=0, atol=0)


def test_learns_to_name_held_out_rows(train_set, validation_set, small):
    head, history = trained(small, train_set, learning_rate=0.05, epochs=30, batch_size=16)
    assert history.loss[-1] < 0.5 * history.loss[0]
    assert validation_set.hit_at_1(head.embed(validation_set.features)) > 0.9


class Plain(NamedTuple):
    """A training of two epochs in batches of at most 20, without validation, from one global seed to another."""

    weights: list
    history: History
    unchanged: bool  # the state of NumPy's global generator
    data: object


@pytest.fixture(scope="module")
def plain(make_train_set):
    """Nobody changes it. The rows are numbers of half precision, for whoever trains on such."""
    data = make_train_set()
    data.features = data.features.astype(np.float16).astype(np.float32)
    keras.utils.set_random_seed(1)
    state = np.random.get_state()[1].copy()
    head, history = trained(HeadConfig(dim=5, sizes=(16,)), data, epochs=2)
    return Plain(weights(head), history, np.array_equal(np.random.get_state()[1], state), data)


def test_a_seed_decides_everything_and_global_ones_are_neither_read_nor_set(small, plain):
    keras.utils.set_random_seed(2)
    again, repeated = trained(small, plain.data, epochs=2, seed=0)
    other, _ = trained(small, plain.data, epochs=2, seed=6)
    assert plain.unchanged
    assert_same(plain.weights, weights(again), rtol=0, atol=0)
    assert plain.history.loss == repeated.loss
    assert not np.array_equal(plain.weights[0], weights(other)[0])


@pytest.mark.parametrize("resident_bytes", [1, 24 * 4 * 40])
def test_streamed_from_a_file_gives_the_same_weights(small, tmp_path, resident_bytes, plain):
    np.save(tmp_path / "features.npy", plain.data.features)
    head = MlpHead(small).build(24)
    streamed = train(head, np.load(tmp_path / "features.npy", mmap_mode="r"), plain.data.labels,
                     Cosine(plain.data.vectors), epochs=2, batch_size=20, resident_bytes=resident_bytes)
    assert_same(weights(head), plain.weights, rtol=0, atol=0)
    np.testing.assert_allclose(streamed.loss, plain.history.loss, rtol=1e-6)


def test_half_precision_features_train_as_their_float32_values_and_a_function_as_its_loss(small, plain):
    half, own, head = plain.data.features.astype(np.float16), Cosine(plain.data.vectors), MlpHead(small).build(24)
    np.testing.assert_array_equal(half, plain.data.features)
    train(head, half, plain.data.labels, lambda labels, rows: own(labels, rows), epochs=2, batch_size=20)
    assert_same(weights(head), plain.weights, rtol=0, atol=0)


def test_a_head_without_weights_is_built_with_the_seed(train_set):
    head, tiny = MlpHead(BARE), 1e-30  # steps that float32 rounds away
    train(head, train_set.features, train_set.labels, Cosine(train_set.vectors), epochs=1, seed=3, learning_rate=tiny)
    ours, expected = (model.keras_model().trainable_weights for model in (head, MlpHead(BARE).build(24, seed=3)))
    np.testing.assert_array_equal(ours[0].numpy(), expected[0].numpy())
    assert len(ours) == len(expected)


def test_without_validate_the_last_weights_stay(validation_set, small, plain):
    validation = (validation_set.features, validation_set.labels)
    head, history = trained(small, plain.data, epochs=2, validation=validation)
    assert_same(weights(head), plain.weights, rtol=0, atol=0)
    assert history.best_epoch is None and history.score == ()
    loss = Cosine(plain.data.vectors)(validation_set.labels, head.embed(validation_set.features))
    assert history.validation_loss[-1] == pytest.approx(float(loss), abs=1e-5)


@pytest.fixture(scope="module")
def judged(make_train_set, plain):
    """(head, history, progress, rows to judge) of a training whose second epoch is best, stopped three later."""
    held, seen, given, scores = make_train_set(n=48, seed=1), [], [], iter([0.1, 0.7, 0.3, 0.2, 0.1, 0.9])
    head, history = trained(HeadConfig(dim=5, sizes=(16,)), plain.data, epochs=6, patience=3,
                            validation=(held.features, held.labels), progress=lambda *at: seen.append(at),
                            validate=lambda rows: given.append(rows) or next(scores))
    return head, history, seen, given


def test_history_holds_what_each_epoch_gave_and_validate_is_given_unit_rows(judged, validation_set):
    head, history, seen, given = judged
    np.testing.assert_allclose((given[0] ** 2).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(given[1], head.embed(validation_set.features), atol=1e-6)  # the best epoch's
    assert seen == [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6)]
    assert history.epochs == len(history.validation_loss) == 5 and history.score == (0.1, 0.7, 0.3, 0.2, 0.1)
    assert history.batch_size == 20 and history.seconds > 0


def test_patience_stops_after_so_many_epochs_without_a_better_one(judged):
    assert (judged[1].epochs, judged[1].best_epoch) == (5, 2)


def test_the_best_weights_are_restored(judged, plain):
    assert_same(weights(judged[0]), plain.weights, rtol=0, atol=0)


def test_of_equal_scores_the_least_validation_loss_is_best(train_set, validation_set):
    wrong = (validation_set.labels + 3) % 6  # nearer to all it has learned at first, and then farther
    _, history = trained(BARE, train_set, epochs=6, learning_rate=0.05, validation=(validation_set.features, wrong),
                         validate=lambda rows: 1.0)
    assert 1 < history.best_epoch == 1 + int(np.argmin(history.validation_loss)) < 6


class Classifier(Loss):
    """Softmax over weights of its own, looked up by label as well, so that gradients come sparse."""

    name, n_labels, dim = "classifier", 6, 5

    def __init__(self):
        self.weights = keras.Variable(np.random.default_rng(0).standard_normal((6, 5)), dtype="float32")
        self.trainable_variables = (self.weights,)

    def __call__(self, labels, embeddings):
        own = keras.ops.sum(embeddings * keras.ops.take(self.weights, labels, axis=0), axis=-1)
        scores = keras.ops.matmul(embeddings, keras.ops.transpose(self.weights))
        return keras.ops.mean(keras.ops.logsumexp(scores, axis=-1) - own)

    def get_config(self):
        return {}


def test_a_loss_may_learn_too(train_set, small):
    loss = Classifier()
    before = loss.weights.numpy()
    head = MlpHead(small).build(24)
    history = train(head, train_set.features, train_set.labels, loss, epochs=20, learning_rate=0.05)
    assert history.batch_size == 8  # for want of another
    assert history.loss[-1] < 0.5 * history.loss[0]
    assert not np.allclose(loss.weights.numpy(), before)
    scores = head.outputs(train_set.features) @ loss.weights.numpy().T
    assert (scores.argmax(axis=1) == train_set.labels).mean() > 0.9


def test_what_a_loss_learned_is_restored_with_the_best_weights(train_set, validation_set):
    learned, scores = [], iter([0.5, 0.9, 0.1])
    loss = Classifier()

    def validate(rows):
        learned.append(loss.weights.numpy())
        return next(scores)

    train(MlpHead(BARE), train_set.features, train_set.labels, loss, epochs=3, validate=validate,
          validation=(validation_set.features, validation_set.labels))
    np.testing.assert_array_equal(loss.weights.numpy(), learned[1])
    assert not np.array_equal(learned[1], learned[2])


@pytest.mark.parametrize("n", [2, 3, 33])
def test_few_rows_train(train_set, n):
    head = MlpHead(BARE)
    history = train(head, train_set.features[:n], train_set.labels[:n], Cosine(train_set.vectors), epochs=2)
    assert np.isfinite(history.loss).all()
    assert np.isfinite(head.embed(train_set.features)).all()


def test_a_loss_that_is_no_longer_finite_stops_and_leaves_the_head_as_it_was(train_set, small):
    head = MlpHead(small).build(24)
    before = weights(head)
    with pytest.raises(ValueError, match="in epoch 1: lower learning_rate, now 1e[+]38"):
        train(head, train_set.features, train_set.labels, Cosine(train_set.vectors), learning_rate=1e38)
    assert_same(weights(head), before, rtol=0, atol=0)


def test_weights_ruined_by_the_last_step_are_noticed(train_set):
    head = MlpHead(BARE).build(24)
    before = weights(head)
    with pytest.raises(ValueError, match="in epoch 1"):  # one step: its loss was finite, its update is not
        train(head, train_set.features, train_set.labels, lambda labels, rows: 1e38 * keras.ops.mean(rows),
              learning_rate=1e38, epochs=1, batch_size=96)
    assert_same(weights(head), before, rtol=0, atol=0)


def nan_at_row_3(features):
    features = features.copy()
    features[3, 0] = np.nan
    return features


@pytest.mark.parametrize(("change", "message"), [
    (lambda data: {"features": nan_at_row_3(data.features)}, "features hold NaN or infinity .* row 3"),
    (lambda data: {"labels": data.labels + 1}, r"labels hold 6 in row 5, expected in 0\.\.5"),
    (lambda data: {"labels": data.labels - 1}, "labels hold -1 in row 0"),
    (lambda data: {"labels": data.labels[:-1]}, r"labels have shape \(95,\) but there are 96 feature rows"),
    (lambda data: {"labels": np.zeros(96, int)}, "two or more"),
    (lambda data: {"features": data.features[:1], "labels": data.labels[:1]}, "two or more"),
    (lambda data: {"features": data.features[:0], "labels": data.labels[:0]}, "two or more"),
    (lambda data: {"loss": Cosine(np.eye(6, 4) + 1)}, "embeddings have 5 columns but the loss expects 4"),
    (lambda data: {"optimiser": "rmsprop"}, "optimiser is 'rmsprop'"),
    (lambda data: {"learning_rate": 0.0}, "learning_rate is 0.0"),
    (lambda data: {"learning_rate": np.nan}, "learning_rate is nan"),
    (lambda data: {"epochs": 0}, "epochs is 0"),
    (lambda data: {"batch_size": 1}, "batch_size is 1, which gives batches of one row out of 96"),
    (lambda data: {"features": data.features[:5], "labels": data.labels[:5], "batch_size": 2},
     "batches of one row"),
    (lambda data: {"validate": lambda rows: 1.0}, "validate has no rows"),
    (lambda data: {"patience": 3}, "patience needs a score"),
    (lambda data: {"validation": (nan_at_row_3(data.features), data.labels)}, "validation features hold NaN"),
    (lambda data: {"validation": (data.features[:, :3], data.labels)},
     "validation features have 3 columns, expected 24"),
    (lambda data: {"validation": (data.features, data.labels + 1)}, "validation labels hold 6"),
    (lambda data: {"validation": (data.features[:0], data.labels[:0])}, "validation has no rows"),
])
def test_what_does_not_fit_is_refused_before_anything_starts(train_set, small, change, message):
    head = MlpHead(small)
    call = {"features": train_set.features, "labels": train_set.labels, "loss": Cosine(train_set.vectors),
            **change(train_set)}
    arguments = [call.pop(name) for name in ("features", "labels", "loss")]
    with pytest.raises(ValueError, match=message):
        train(head, *arguments, **call)
    assert head.input_dim is None


def test_a_score_that_is_no_number_is_refused(train_set, validation_set):
    with pytest.raises(ValueError, match="validate returned nan after epoch 1"):
        trained(BARE, train_set, validation=(validation_set.features, validation_set.labels),
                validate=lambda rows: float("nan"))
