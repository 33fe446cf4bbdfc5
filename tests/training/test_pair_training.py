"""Training by batches of classes, with losses over pairs and what may be called along the way."""

import warnings

import keras
import numpy as np
import pytest

from devise.heads import HeadConfig, MlpHead, ProjectionHead, RidgeHead
from devise.losses import Cosine, Loss
from devise.training import AugmentedFeatures, Schedule, train
from devise.training.batches import ClassRows
from devise.training.validation import Validation


class Pairs(Loss):
    """The mean squared distance of matching pairs; counts batches without one and keeps rows."""

    name, dim = "pairs", 5

    def __init__(self):
        self.empty_batches = keras.Variable(0, dtype="int32", trainable=False)
        self.memory = keras.Variable(np.zeros((2, 5)), dtype="float32", trainable=False)

    def __call__(self, labels, embeddings):
        rows = keras.ops.normalize(embeddings, axis=-1)
        same = keras.ops.cast(labels[:, None] == labels[None], "float32")
        same = same * (1 - keras.ops.eye(keras.ops.shape(labels)[0]))
        self.memory.assign(rows[:2])
        self.empty_batches.assign_add(keras.ops.cast(keras.ops.sum(same) == 0, "int32"))
        squares = 2 - 2 * keras.ops.matmul(rows, keras.ops.transpose(rows))
        return keras.ops.sum(same * squares) / keras.ops.maximum(keras.ops.sum(same), 1)

    def get_config(self):
        return {}


BARE = HeadConfig(dim=5, sizes=(), batch_norm=False)  # becomes a graph in half the time


def trained(data, *, loss=None, head=None, **options):
    head = head or MlpHead(BARE).build(24, seed=0)
    return head, train(head, data.features, data.labels, loss or Pairs(), **{"epochs": 3, **options})


def weights(head):
    return [weight.numpy() for weight in head.keras_model().weights]


def assert_same(first, second, **tolerance):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def test_batches_of_classes_train_as_the_steps_by_hand_do(train_set):
    import tensorflow as tf

    labels = np.repeat(np.arange(6), [2, 3, 10, 20, 30, 31])
    config = HeadConfig(dim=5, sizes=(16,), dropout=0.0)
    head = MlpHead(config).build(24, seed=0)
    history = train(head, train_set.features, labels, Pairs(), epochs=2, classes=3, per_class=4, seed=7)

    model, loss = MlpHead(config).build(24, seed=0).keras_model(), Pairs()
    optimiser = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
    rng, losses = np.random.default_rng(7), []
    for _ in range(2):
        order, ends = ClassRows(labels, 3, 4).draw(rng)
        values = []
        for start, end in zip(ends[:-1], ends[1:], strict=True):
            rows = order[start:end]
            with tf.GradientTape() as tape:
                value = loss(labels[rows], model(train_set.features[rows], training=True))
            sources = [variable.value for variable in model.trainable_variables]
            optimiser.apply(tape.gradient(value, sources), model.trainable_variables)
            values += [float(value)] * len(rows)
        losses.append(np.mean(values))
    assert_same(weights(head), [weight.numpy() for weight in model.weights], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-4)
    assert history.batch_size == 12


@pytest.fixture(scope="module")
def by_classes(make_train_set):
    """The head and the loss of a training on batches of three classes of four; nobody changes them."""
    loss = Pairs()
    return trained(make_train_set(), loss=loss, classes=3)[0], loss


def test_streamed_batches_of_classes_give_the_same_weights(train_set, by_classes):
    streamed, _ = trained(train_set, resident_bytes=24 * 4 * 40, classes=3, per_class=4)
    assert_same(weights(streamed), weights(by_classes[0]), rtol=0, atol=0)


def test_classes_of_one_row_are_counted_and_listed(train_set):
    train_set.labels[:2] = [40, 30]
    with pytest.warns(UserWarning, match="classes of one row have no pair, 2 are left out: 30, 40$") as seen:
        _, history = trained(train_set, classes=3)
    assert history.left_out == (30, 40) and len(seen) == 1


def test_a_long_list_is_cut_in_the_warning_which_comes_before_the_training(train_set):
    def stop(epoch):
        raise KeyError

    train_set.labels[:15] = np.arange(100, 115)
    with pytest.warns(UserWarning, match="15 are left out: 100, 101, .*109 and 5 more"), pytest.raises(KeyError):
        trained(train_set, classes=3, before_epoch=stop)


def test_batches_without_a_pair_are_counted_and_warned_of_once(train_set):
    train_set.labels[:] = np.arange(96) // 2  # of 48 pairs few meet in batches of 4
    loss = Pairs()
    with pytest.warns(UserWarning, match=r"of 72 batches had no pair") as seen:
        _, history = trained(train_set, loss=loss, batch_size=4)
    assert len(seen) == 1 and 50 < history.empty_batches == int(loss.empty_batches.numpy()) < 72
    assert f"{history.empty_batches} of 72" in str(seen[0].message)
    with pytest.warns(UserWarning):
        _, again = trained(train_set, loss=loss, batch_size=4)
    assert again.empty_batches == history.empty_batches  # of this training, not of the loss's life


def test_without_an_empty_batch_nothing_is_said(train_set, validation_set):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, history = trained(train_set, classes=3, validation=(validation_set.features, validation_set.labels))
    assert history.empty_batches == 0


def test_the_validation_is_neither_counted_nor_remembered(train_set, validation_set, by_classes):
    alone, judged = by_classes[1], Pairs()
    validation_set.labels[:] = np.arange(48)  # not one pair
    _, history = trained(train_set, loss=judged, batch_size=96, epochs=1,
                         validation=(validation_set.features, validation_set.labels))
    assert history.validation_loss == (0.0,) and history.empty_batches == 0
    held = Pairs()
    trained(train_set, loss=held, classes=3, validation=(train_set.features, train_set.labels))
    np.testing.assert_array_equal(held.memory.numpy(), alone.memory.numpy())


def test_the_validation_loss_is_of_batches_of_classes_the_same_in_every_epoch(train_set, validation_set):
    head, history = trained(train_set, epochs=2, classes=6, per_class=4, learning_rate=1e-12, seed=4,
                            validation=(validation_set.features, validation_set.labels))
    order, ends = ClassRows(validation_set.labels, 6, 4).draw(np.random.default_rng(4))
    outputs, loss = head.outputs(validation_set.features), Pairs()
    parts = [order[start:end] for start, end in zip(ends[:-1], ends[1:], strict=True)]
    assert len(parts) == 2
    expected = np.mean([float(loss(validation_set.labels[rows], outputs[rows])) for rows in parts])
    np.testing.assert_allclose(history.validation_loss, [expected] * 2, rtol=1e-5)


def test_fewer_validation_classes_than_asked_for_are_all_taken(train_set, validation_set):
    few = validation_set.labels < 3
    _, history = trained(train_set, classes=5, validation=(validation_set.features[few], validation_set.labels[few]))
    assert len(history.validation_loss) == 3


def test_validation_classes_without_pairs_are_refused_before_anything_starts(train_set, validation_set):
    head = MlpHead(HeadConfig(dim=5))
    with pytest.raises(ValueError, match="of the validation classes 0 have two or more rows"):
        trained(train_set, head=head, classes=3, validation=(validation_set.features, np.arange(48)))
    assert head.input_dim is None


def test_who_is_called_when(train_set, validation_set):
    calls = []
    bank = AugmentedFeatures([train_set.features] * 2, lambda epoch: calls.append(("levels", epoch)) or 1.0)
    train_set.features = bank
    trained(train_set, epochs=2, before_epoch=lambda epoch: calls.append(("before", epoch)),
            validation=(validation_set.features, validation_set.labels),
            validate=lambda rows: calls.append("validate") or 1.0,
            after_epoch=lambda history: calls.append(("after", history.epochs)))
    assert calls == [("before", 1), ("levels", 1), "validate", ("after", 1),
                     ("before", 2), ("levels", 2), "validate", ("after", 2)]


def test_after_each_epoch_the_history_so_far_is_told(train_set, validation_set):
    seen, scores = [], iter([0.3, 0.9, 0.5])
    _, history = trained(train_set, validation=(validation_set.features, validation_set.labels), seed=1,
                         validate=lambda rows: next(scores), after_epoch=seen.append)
    assert [part.score for part in seen] == [(0.3,), (0.3, 0.9), (0.3, 0.9, 0.5)]
    assert [part.best_epoch for part in seen] == [1, 2, 2]
    assert seen[-1].loss == history.loss and seen[0].loss == history.loss[:1]


def test_scores_may_have_names_and_the_first_decides(train_set, validation_set):
    given = iter([(0.1, 0.9), (0.8, 0.1), (0.3, 0.5)])
    _, history = trained(train_set, validation=(validation_set.features, validation_set.labels),
                         validate=lambda rows: dict(zip(("map_at_r", "recall_at_1"), next(given), strict=True)))
    assert history.scores == {"map_at_r": (0.1, 0.8, 0.3), "recall_at_1": (0.9, 0.1, 0.5)}
    assert history.score == (0.1, 0.8, 0.3) and history.best_epoch == 2


@pytest.mark.parametrize("found", [{}, {"a": 1.0, "b": float("inf")}])
def test_scores_that_are_none_or_not_finite_are_refused(validation_set, found):
    verdict = Validation(lambda: validation_set.features[:, :5], validation_set.labels, Pairs(), [], lambda rows: found,
                         classes=None, per_class=4, seed=0)
    with pytest.raises(ValueError, match="validate returned .* after epoch 1: expected a finite score"):
        verdict(1)


def test_what_before_epoch_writes_into_a_variable_reaches_the_loss(train_set):
    weight, own = keras.Variable(0.0), Cosine(train_set.vectors)
    head = MlpHead(BARE).build(24)
    before = weights(head)
    _, history = trained(train_set, loss=lambda labels, rows: weight * own(labels, rows), head=head,
                         before_epoch=lambda epoch: weight.assign(float(epoch == 2)))
    assert history.loss[0] == history.loss[2] == 0 < history.loss[1]
    assert not np.allclose(weights(head)[0], before[0])


@pytest.mark.parametrize("when", ["after_epoch", "progress"])
def test_an_error_on_the_way_leaves_head_and_loss_as_they_were(train_set, when):
    def fail(epoch, *_):
        if (epoch if isinstance(epoch, int) else epoch.epochs) == 2:
            raise KeyError("stop")

    head, loss = MlpHead(HeadConfig(dim=5, sizes=())).build(24), Pairs()  # with the statistics of a normalisation
    before = weights(head)
    with pytest.raises(KeyError):
        trained(train_set, head=head, loss=loss, batch_size=8, **{when: fail})
    assert_same(weights(head), before, rtol=0, atol=0)
    assert not loss.memory.numpy().any() and loss.empty_batches.numpy() == 0


def test_a_bank_at_strength_zero_trains_as_its_plain_level(train_set, by_classes):
    noise = np.random.default_rng(0).standard_normal(train_set.features.shape)
    train_set.features = AugmentedFeatures([train_set.features, train_set.features + noise], lambda epoch: 0.0)
    assert_same(weights(trained(train_set, classes=3)[0]), weights(by_classes[0]), rtol=0, atol=0)


def test_a_bank_trains_on_its_levels_and_the_seed_decides(train_set):
    noise = np.random.default_rng(0).standard_normal(train_set.features.shape)
    changed = train_set.features + noise
    train_set.features = AugmentedFeatures([train_set.features, changed], Schedule(0.0, 1.0, epochs=3))
    (first, told), (again, _), (_, other) = (trained(train_set, seed=seed, batch_size=96) for seed in (0, 0, 1))
    assert_same(weights(first), weights(again), rtol=0, atol=0)
    assert told.loss[0] == pytest.approx(other.loss[0], rel=1e-5)  # all rows at once, and none of them changed yet
    assert told.loss[2] != pytest.approx(other.loss[2], rel=1e-3)  # by the other seed others are


def test_every_level_of_a_bank_is_looked_at(train_set):
    broken = train_set.features.copy()
    broken[3, 0] = np.nan
    train_set.features = AugmentedFeatures([train_set.features, broken], lambda epoch: 0.0)
    with pytest.raises(ValueError, match="hold NaN or infinity .* row 3"):
        trained(train_set)


def test_the_start_of_a_projection_is_kept_where_no_epoch_is_better(train_set, validation_set):
    scores = iter([0.9, 0.5, 0.4, 0.6])
    head, history = trained(train_set, head=ProjectionHead(5, start="pca"), classes=3,
                            validation=(validation_set.features, validation_set.labels),
                            validate=lambda rows: next(scores))
    assert (history.start_score, history.best_epoch, history.score) == (0.9, 0, (0.5, 0.4, 0.6))
    expected = ProjectionHead(5, start="pca").fit(train_set.features)
    np.testing.assert_array_equal(head.outputs(train_set.features), expected.outputs(train_set.features))


def test_a_head_in_closed_form_is_refused(train_set):
    with pytest.raises(ValueError, match="the ridge head is a closed form"):
        trained(train_set, head=RidgeHead(1.0))
