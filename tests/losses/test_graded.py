import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from devise.heads import HeadConfig, MlpHead
from devise.losses.graded import JointCaptions, RelevanceRanking, RelevanceTriplet
from devise.training import train

LOSSES = {
    "triplet": RelevanceTriplet,
    "ranking": RelevanceRanking,
    "joint": lambda vectors: JointCaptions(vectors, np.arange(len(vectors)), dim=6),
}
each_loss = pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def batch():
    """Rows (9,) of a table (20, 4), each once, embeddings (9, 6), and the table."""
    rng = np.random.default_rng(1)
    return rng.permutation(20)[:9], rng.standard_normal((9, 6)), np.abs(rng.standard_normal((20, 4)))


def slow_triplet(labels, x, table, loss):
    costs, told, gap, margin = [], (unit(table) @ unit(table).T)[np.ix_(labels, labels)], float(loss.gap), loss.margin
    for q, a, b in itertools.permutations(range(len(labels)), 3):
        if told[q, a] - told[q, b] >= gap:
            costs.append(max(0, margin - x[q] @ x[a] + x[q] @ x[b]))
    costs = [cost for cost in costs if cost > 0]
    return np.mean(costs)


def slow_ranking(labels, x, table, loss):
    total = 0
    for q in range(len(labels)):
        others = [row for row in range(len(labels)) if row != q]
        wanted = np.exp([unit(table)[labels[q]] @ unit(table)[labels[row]] / loss.target_temperature for row in others])
        found = np.exp([x[q] @ x[row] / loss.temperature for row in others])
        wanted, found = wanted / wanted.sum(), found / found.sum()
        total += (wanted * np.log(wanted / found)).sum()
    return total / len(labels)


def slow_joint(labels, x, table, loss):
    told = unit(unit(table)[labels] @ np.asarray(loss.kernel, np.float64))
    total = 0
    for row in range(len(labels)):
        own = np.exp(x[row] @ told[row] / loss.temperature)
        total -= np.log(own / np.exp(x[row] @ told.T / loss.temperature).sum()) / 2
        total -= np.log(own / np.exp(x @ told[row] / loss.temperature).sum()) / 2
    return total / len(labels)


SLOW = {"triplet": slow_triplet, "ranking": slow_ranking, "joint": slow_joint}


@pytest.mark.parametrize("name", LOSSES)
def test_is_what_a_loop_gives_and_so_is_its_gradient(name, batch, gradient, differences):
    labels, embeddings, table = batch
    loss = LOSSES[name](table)
    assert float(loss(labels, embeddings)) == pytest.approx(SLOW[name](labels, unit(embeddings), table, loss), rel=1e-4)
    labels, embeddings = labels[:6], embeddings[:6]
    expected = differences(lambda rows: SLOW[name](labels, unit(rows), table, loss), embeddings)
    np.testing.assert_allclose(gradient(loss, labels, embeddings), expected, atol=3e-3 * np.abs(expected).max())


@each_loss
def test_a_graph_gives_the_same_and_order_does_not_matter(make, batch):
    labels, embeddings, table = batch[0].astype(np.int32), batch[1].astype(np.float32), batch[2]
    loss, order = make(table), np.random.default_rng(0).permutation(9)
    expected, graph = float(loss(labels, embeddings)), tf.function(loss, jit_compile=True)
    assert float(graph(labels[order], 3 * embeddings[order])) == pytest.approx(expected, rel=1e-4)


@each_loss
@pytest.mark.parametrize("strange", [-1, 20])
def test_a_label_without_captions_gives_nan(make, batch, strange):
    labels, embeddings, table = batch
    labels = np.concatenate([labels[:-1], [strange]])
    assert np.isnan(float(make(table)(labels, embeddings)))


@each_loss
def test_gradients_are_finite_for_any_length(make, batch, gradient):
    labels, embeddings, table = batch
    lengths = np.resize([0.0, 1e-30, 1.0, 1e6], (9, 1))
    assert np.isfinite(gradient(make(table), labels, lengths * embeddings)).all()


@each_loss
def test_config_makes_the_same_loss_again(make, batch):
    labels, embeddings, table = batch
    loss = make(table)
    again = type(loss)(**json.loads(json.dumps(loss.get_config())))
    assert float(again(labels, embeddings)) == pytest.approx(float(loss(labels, embeddings)), rel=1e-5)


@pytest.mark.parametrize("make", [LOSSES["triplet"], LOSSES["joint"]], ids=["triplet", "joint"])
def test_trains_a_head(make):
    """One that learns nothing of its own, and one that does."""
    rng = np.random.default_rng(2)
    table = np.abs(rng.standard_normal((60, 4)))
    features = (unit(table) @ rng.standard_normal((4, 16)) + 0.2 * rng.standard_normal((60, 16))).astype(np.float32)
    loss, head = make(table), MlpHead(HeadConfig(dim=6, sizes=(), batch_norm=False)).build(16)
    before = float(loss(np.arange(60), head.outputs(features)))
    train(head, features, np.arange(60), loss, epochs=30, learning_rate=0.02, batch_size=20)
    assert float(loss(np.arange(60), head.outputs(features))) < 0.8 * before


def test_a_smaller_gap_takes_more_triplets(batch):
    labels, embeddings, table = batch
    loss = RelevanceTriplet(table, gap=0.5)
    wide = float(loss(labels, embeddings))
    loss.gap.assign(0.01)
    close = float(loss(labels, embeddings))
    assert close == pytest.approx(slow_triplet(labels, unit(embeddings), table, loss), rel=1e-4) != pytest.approx(wide)


def test_the_same_picture_twice_is_neither_nearer_nor_wrong(batch):
    labels, embeddings, table = batch
    twice, copies = np.append(labels, labels[0]), np.append(embeddings, embeddings[:1], axis=0)
    told = unit(unit(table)[twice] @ np.asarray(LOSSES["joint"](table).kernel, np.float64))
    scores = unit(copies) @ told.T / 0.07
    scores[0, 9] = scores[9, 0] = -np.inf
    lost = [2 * np.diag(scores)[row] - np.log(np.exp(scores[row]).sum()) - np.log(np.exp(scores[:, row]).sum())
            for row in range(10)]
    assert float(LOSSES["joint"](table)(twice, copies)) == pytest.approx(-np.mean(lost) / 2, rel=1e-4)


def test_each_caption_of_a_picture_is_drawn():
    texts = np.eye(4)
    loss = JointCaptions(texts, [1, 0, 1, 1], dim=2, seed=5)
    told = loss.embed_text(texts)
    expected = set()
    for caption in (0, 2, 3):
        scores = np.eye(2) @ told[[1, caption]].T / 0.07
        lost = [2 * scores[row, row] - np.log(np.exp(scores[row]).sum()) - np.log(np.exp(scores[:, row]).sum())
                for row in range(2)]
        expected.add(round(float(-np.mean(lost) / 2), 2))
    assert {round(float(loss([0, 1], np.eye(2))), 2) for _ in range(40)} == expected


def test_what_does_not_fit_is_refused(batch):
    with pytest.raises(ValueError, match="zero rows"):
        RelevanceTriplet(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="gap is 0"):
        RelevanceTriplet(batch[2], gap=0)
    with pytest.raises(ValueError, match="expected an integer for each of 3"):
        JointCaptions(np.eye(3), [0, 1], dim=2)
    with pytest.raises(ValueError, match="1 images have no caption, the first is 1"):
        JointCaptions(np.eye(3), [0, 2, 2], dim=2)
