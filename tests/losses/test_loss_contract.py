"""What holds for every loss. A new one joins `LOSSES`."""

import json

import numpy as np
import pytest
import tensorflow as tf

from devise.heads import HeadConfig, MlpHead
from devise.losses import Cosine, HingeRank, InfoNCE, Loss, Softmax
from devise.training import train

LOSSES = {
    "cosine": Cosine,
    "hinge rank": HingeRank,
    "hinge rank, cosines": lambda vectors: HingeRank(vectors, normalise=True),
    "hinge rank, first violation": lambda vectors: HingeRank(vectors, negatives="first violation"),
    "softmax": lambda vectors: Softmax(*vectors.shape),
    "infonce": InfoNCE,
    "infonce, learned": lambda vectors: InfoNCE(vectors, learn_temperature=True),
}
PLAIN = ("cosine", "hinge rank", "hinge rank, cosines", "infonce")
each_loss = pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)


def valued(loss):
    """A function to the loss; of one that draws, to the mean over enough calls to tell a change from chance."""
    if getattr(loss, "negatives", None) != "first violation":
        return lambda labels, embeddings: float(loss(labels, embeddings))
    signature = [tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None, 7), tf.float32)]
    graph = tf.function(lambda *batch: tf.reduce_mean(tf.map_fn(lambda _: loss(*batch), tf.zeros(400))),
                        input_signature=signature)
    return lambda labels, embeddings: float(graph(labels.astype(np.int32), embeddings.astype(np.float32)))


@each_loss
def test_is_a_finite_scalar_of_at_least_0(make, rows):
    result = make(rows[2])(*rows[:2])
    assert tuple(result.shape) == () and 0 <= float(result) < np.inf


@each_loss
def test_says_what_training_must_know(make, rows):
    loss = make(rows[2])
    assert isinstance(loss, Loss) and isinstance(loss.name, str)
    assert (loss.n_labels, loss.dim) == (5, 7)
    assert all(variable.trainable for variable in loss.trainable_variables)


@each_loss
def test_config_makes_the_same_loss_again(make, rows):
    loss = make(rows[2])
    again = type(loss)(**json.loads(json.dumps(loss.get_config())))
    assert float(again(*rows[:2])) == pytest.approx(float(make(rows[2])(*rows[:2])), rel=1e-6)


@each_loss
def test_the_order_of_a_batch_does_not_matter(make, rows):
    labels, embeddings, vectors = rows
    order = np.random.default_rng(7).permutation(12)
    value = valued(make(vectors))
    assert value(labels[order], embeddings[order]) == pytest.approx(value(labels, embeddings), rel=0.03)


@each_loss
def test_a_batch_costs_the_mean_of_its_rows(make, rows):
    labels, embeddings, vectors = rows
    value = valued(make(vectors))
    single = [value(labels[[row]], embeddings[[row]]) for row in range(12)]
    assert value(labels, embeddings) == pytest.approx(np.mean(single), rel=0.03)


@each_loss
def test_gradients_are_finite_for_any_length(make, rows, gradient):
    labels, embeddings, vectors = rows
    lengths = np.resize([0.0, 1e-30, 1e-6, 1.0, 1e6], (12, 1))
    assert np.isfinite(gradient(make(vectors), labels, lengths * embeddings)).all()


@each_loss
def test_steps_against_the_gradient_make_it_smaller(make, rows, gradient):
    labels, embeddings, vectors = rows
    loss, moved = make(vectors), embeddings.copy()
    for _ in range(10):
        moved -= 0.5 * gradient(loss, labels, moved)
    value = valued(loss)
    assert value(labels, moved) < 0.9 * value(labels, embeddings)


@each_loss
def test_a_graph_gives_the_same(make, rows):
    loss = make(rows[2])
    signature = [tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None, 7), tf.float32)]
    graph = tf.function(make(rows[2]), input_signature=signature)
    for n in (12, 5):
        labels, embeddings = rows[0][:n].astype(np.int32), rows[1][:n].astype(np.float32)
        assert float(graph(labels, embeddings)) == pytest.approx(float(loss(labels, embeddings)), rel=1e-5)


@each_loss
def test_labels_may_come_as_floats_as_keras_hands_them_over(make, rows):
    labels, embeddings, vectors = rows
    expected = float(make(vectors)(labels, embeddings))
    assert float(make(vectors)(labels.astype(np.float32), embeddings)) == pytest.approx(expected, rel=1e-6)


@each_loss
def test_a_label_that_is_none_of_them_never_passes_for_another(make, rows):
    labels, embeddings, vectors = rows
    loss, graph = make(vectors), tf.function(make(vectors))
    for label in (-1, 5, 10**6):
        strange = np.concatenate([labels[:-1], [label]]).astype(np.int32)
        assert np.isnan(float(loss(strange, embeddings)))
        assert np.isnan(float(graph(strange, embeddings.astype(np.float32))))


# the others learn nothing of their own and are trained in tests/training, or differ from one here in their numbers
@pytest.mark.parametrize("make", [make for name, make in LOSSES.items() if name not in PLAIN],
                         ids=[name for name in LOSSES if name not in PLAIN])
def test_trains_a_head(make):
    rng = np.random.default_rng(3)
    labels, vectors = np.arange(60) % 5, rng.standard_normal((5, 7))
    features = (rng.standard_normal((5, 16))[labels] + 0.3 * rng.standard_normal((60, 16))).astype(np.float32)
    loss = make(vectors)
    before = [np.asarray(variable).copy() for variable in loss.trainable_variables]
    head = MlpHead(HeadConfig(dim=7, sizes=(), batch_norm=False))
    history = train(head, features, labels, loss, epochs=15, learning_rate=0.05, batch_size=10)
    assert history.loss[-1] < 0.6 * history.loss[0]
    for old, variable in zip(before, loss.trainable_variables, strict=True):
        assert not np.array_equal(old, np.asarray(variable))
