"""What holds for every loss over pairs, and each beside a slow loop in float64."""

import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from devise.heads import HeadConfig, MlpHead
from devise.losses import CrossBatchMemory, Loss
from devise.losses.pairs import NAMES, Contrastive, NPair, make
from devise.training import train

each_loss = pytest.mark.parametrize("name", NAMES)


def build(name, **options):
    return make(name, n_labels=4, dim=6, **options)


@pytest.fixture
def batch():
    """Labels (10,) of four classes, one of them with a single row, and embeddings (10, 6) of any length."""
    rng = np.random.default_rng(4)
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 1])
    centres = rng.standard_normal((4, 6))
    return labels, (centres[labels] + rng.standard_normal((10, 6))) * rng.uniform(0.5, 2, (10, 1))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def pairs_of(labels):
    n = range(len(labels))
    return ([(i, j) for i in n for j in n if i != j and labels[i] == labels[j]],
            [(i, j) for i in n for j in n if labels[i] != labels[j]])


def active_mean(costs):
    above = [cost for cost in costs if cost > 0]
    return sum(above) / max(len(above), 1)


def contrastive(labels, x, loss):
    near, far = pairs_of(labels)
    return (active_mean([max(0, loss.positive_margin - x[i] @ x[j]) for i, j in near])
            + active_mean([max(0, x[i] @ x[j] - loss.negative_margin) for i, j in far]))


def triplet(labels, x, loss):
    near, far = pairs_of(labels)
    costs = []
    for (i, p), (j, n) in itertools.product(near, far):
        if i == j:
            gap = ((x[i] - x[p]) ** 2).sum() - ((x[i] - x[n]) ** 2).sum()
            costs.append(np.log1p(np.exp(gap)) if loss.soft else max(0, gap + loss.margin))
    return active_mean(costs)


def margin(labels, x, loss):
    near, far = pairs_of(labels)
    beta = float(loss.beta)
    return active_mean([max(0, loss.margin + np.linalg.norm(x[i] - x[j]) - beta) for i, j in near]
                       + [max(0, loss.margin - np.linalg.norm(x[i] - x[j]) + beta) for i, j in far])


def n_pair(labels, x, loss):
    near, far = pairs_of(labels)
    costs = []
    for i, p in near:
        own = np.exp(x[i] @ x[p] / loss.temperature)
        others = sum(np.exp(x[i] @ x[n] / loss.temperature) for j, n in far if j == i)
        costs.append(-np.log(own / (own + others)))
    return np.mean(costs)


def multi_similarity(labels, x, loss):
    near, far = pairs_of(labels)
    total = 0
    for i in range(len(labels)):
        own, other = [x[i] @ x[p] for j, p in near if j == i], [x[i] @ x[n] for j, n in far if j == i]
        kept = [s for s in own if other and s < max(other) + loss.epsilon]
        pushed = [s for s in other if own and s > min(own) - loss.epsilon] if own else other
        total += np.log1p(sum(np.exp(-loss.alpha * (s - loss.base)) for s in kept)) / loss.alpha
        if own:
            total += np.log1p(sum(np.exp(loss.beta * (s - loss.base)) for s in pushed)) / loss.beta
    return total / len(labels)


def range_loss(labels, x, loss):
    wide, centres = [], {}
    for label in np.unique(labels):
        mine = x[labels == label]
        centres[label] = mine.mean(axis=0)
        apart = sorted((((a - b) ** 2).sum() for a, b in itertools.combinations(mine, 2)), reverse=True)[:2]
        if apart:
            wide.append(len(apart) / sum(1 / d for d in apart))
    nearest = min(((a - b) ** 2).sum() for a, b in itertools.combinations(centres.values(), 2))
    return loss.within * np.mean(wide) + loss.between * max(0, loss.margin - nearest)


def proxy_anchor(labels, x, loss):
    proxies = unit(np.asarray(loss.proxies, np.float64))
    pulls, pushes = [], []
    for label, proxy in enumerate(proxies):
        own, others = x[labels == label] @ proxy, x[labels != label] @ proxy
        if len(own):
            pulls.append(np.log1p(np.exp(-loss.scale * (own - loss.margin)).sum()))
        pushes.append(np.log1p(np.exp(loss.scale * (others + loss.margin)).sum()))
    return np.mean(pulls) + np.sum(pushes) / len(proxies)


def normalised_softmax(labels, x, loss):
    chances = np.exp(x @ unit(np.asarray(loss.proxies, np.float64)).T / loss.temperature)
    return -np.log(chances[np.arange(len(x)), labels] / chances.sum(axis=1)).mean()


SLOW = {"contrastive": contrastive, "triplet": triplet, "soft-triplet": triplet, "margin": margin, "range": range_loss,
        "n-pair": n_pair, "multi-similarity": multi_similarity, "proxy-anchor": proxy_anchor,
        "normalised-softmax": normalised_softmax}


@each_loss
def test_is_what_a_loop_gives(name, batch):
    labels, embeddings = batch
    loss = build(name)
    assert isinstance(loss, Loss) and loss.name == name
    assert float(loss(labels, embeddings)) == pytest.approx(SLOW[name](labels, unit(embeddings), loss), rel=1e-4)


@each_loss
def test_its_gradient_is_that_of_the_loop(name, batch, gradient, differences):
    labels, embeddings = batch
    loss = build(name)
    expected = differences(lambda rows: SLOW[name](labels, unit(rows), loss), embeddings)
    np.testing.assert_allclose(gradient(loss, labels, embeddings), expected, atol=2e-3 * np.abs(expected).max())


@each_loss
def test_the_order_and_the_lengths_of_rows_do_not_matter(name, batch):
    labels, embeddings = batch
    loss, order = build(name), np.random.default_rng(1).permutation(10)
    moved = embeddings[order] * np.random.default_rng(2).uniform(0.1, 9, (10, 1))
    assert float(loss(labels[order], moved)) == pytest.approx(float(loss(labels, embeddings)), rel=1e-4)


@pytest.fixture(scope="module")
def compiled():
    """A function of labels and embeddings to {name: value of its loss}: one graph, which takes half as long as nine."""
    losses = {name: build(name) for name in NAMES}
    return tf.function(lambda labels, embeddings: {name: loss(labels, embeddings) for name, loss in losses.items()},
                       jit_compile=True)


@each_loss
def test_a_compiled_graph_gives_the_same(name, batch, compiled):
    labels, embeddings = batch[0].astype(np.int32), batch[1].astype(np.float32)
    expected = float(build(name)(labels, embeddings))
    assert float(compiled(labels, embeddings)[name]) == pytest.approx(expected, rel=1e-4)


@each_loss
def test_gradients_are_finite_for_any_length_and_for_equal_rows(name, batch, gradient):
    labels, embeddings = batch
    lengths = np.resize([0.0, 1e-30, 1e-6, 1.0, 1e6], (10, 1))
    assert np.isfinite(gradient(build(name), labels, lengths * embeddings)).all()
    assert np.isfinite(gradient(build(name), labels, np.ones((10, 6)))).all()


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [2, 2, 2, 2], [1]], ids=["no positive", "no negative", "one row"])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("proxy-anchor", "normalised-softmax")])
def test_a_batch_with_nothing_to_compare_costs_nothing_and_is_counted(name, labels, batch, gradient):
    embeddings = batch[1][:len(labels)]
    for miner in [None, "semi-hard", "distance-weighted"] if name in ("margin", "triplet") else [None]:  # each way once
        loss = build(name, miner=miner)
        assert float(loss(np.array(labels), embeddings)) == 0
        assert not gradient(loss, np.array(labels), embeddings).any()
        assert int(loss.empty_batches) == 2
        loss(batch[0], batch[1])
        assert int(loss.empty_batches) == 2


@pytest.mark.parametrize("name", ["proxy-anchor", "normalised-softmax"])
def test_proxies_need_no_pairs_and_know_their_classes(name, batch):
    assert np.isfinite(float(build(name)([1], batch[1][:1])))
    for strange in (-1, 4):
        assert np.isnan(float(build(name)([0, strange], batch[1][:2])))


@each_loss
def test_labels_of_another_length_are_refused(name, batch):
    with pytest.raises(ValueError, match="9 labels and 10 embeddings"):
        build(name)(batch[0][:9], batch[1])


@each_loss
def test_labels_may_come_as_a_column_of_floats(name, batch):
    labels, embeddings = batch
    expected = float(build(name)(labels, embeddings))
    assert float(build(name)(labels[:, None].astype(np.float32), embeddings)) == pytest.approx(expected, rel=1e-6)


@each_loss
def test_config_makes_the_same_loss_again(name, batch):
    loss = build(name)
    again = type(loss)(**json.loads(json.dumps(loss.get_config())))
    assert float(again(*batch)) == pytest.approx(float(loss(*batch)), rel=1e-6)


@pytest.mark.parametrize("name", ["contrastive", "margin", "range", "proxy-anchor", "normalised-softmax"])
def test_trains_a_head(name):
    """Those that learn something of their own, one of mined triplets, and one of a whole batch."""
    rng = np.random.default_rng(3)
    labels = np.arange(60) % 4
    features = (rng.standard_normal((4, 16))[labels] + 0.5 * rng.standard_normal((60, 16))).astype(np.float32)
    loss = build(name)
    head = MlpHead(HeadConfig(dim=6, sizes=(), batch_norm=False)).build(16)
    before = float(loss(labels, head.outputs(features)))
    start = [np.asarray(variable).copy() for variable in loss.trainable_variables]
    train(head, features, labels, loss, epochs=12, learning_rate=0.01, batch_size=20)
    assert float(loss(labels, head.outputs(features))) < 0.9 * before
    for old, variable in zip(start, loss.trainable_variables, strict=True):
        assert not np.array_equal(old, np.asarray(variable))


def test_wrong_names_and_options_are_refused():
    with pytest.raises(ValueError, match="no loss 'tripplet'"):
        make("tripplet")
    with pytest.raises(ValueError, match="leave the miner"):
        build("proxy-anchor", miner="all")
    with pytest.raises(ValueError, match="leave the miner"):
        build("n-pair", miner="all")
    with pytest.raises(ValueError, match="give n_labels and dim"):
        make("proxy-anchor")
    with pytest.raises(ValueError, match="margin is 0"):
        make("triplet", margin=0)
    with pytest.raises(ValueError, match="positive_margin is 2"):
        Contrastive(positive_margin=2)


def test_a_memory_compares_with_the_rows_of_earlier_batches(batch):
    labels, x = batch[0], unit(batch[1])
    loss = CrossBatchMemory(NPair(), size=7, dim=6)
    within = NPair()
    first, second, third = np.arange(4), np.arange(4, 8), np.array([8, 9, 0])
    assert float(loss(labels[first], x[first])) == pytest.approx(float(within(labels[first], x[first])), rel=1e-5)
    for rows, memory in ((second, [0, 1, 2, 3]), (third, [1, 2, 3, 4, 5, 6, 7])):
        costs = []
        for i in rows:
            others = sum(np.exp(x[i] @ x[j] / 0.1) for j in memory if labels[j] != labels[i])
            for own in (np.exp(x[i] @ x[j] / 0.1) for j in memory if labels[j] == labels[i]):
                costs.append(-np.log(own / (own + others)))
        expected = float(within(labels[rows], x[rows])) + (np.mean(costs) if costs else 0)
        assert float(loss(labels[rows], x[rows])) == pytest.approx(expected, rel=1e-4)
    assert int(loss.filled) == 7


def test_a_memory_waits_until_it_is_warm_and_gets_no_gradient(batch, gradient):
    labels, x = batch
    loss, plain = CrossBatchMemory(Contrastive(), size=20, dim=6, warm_up=2), Contrastive()
    for _ in range(2):
        assert float(loss(labels, x)) == pytest.approx(float(plain(labels, x)), rel=1e-5)
    assert float(loss(labels, x)) > 1.2 * float(plain(labels, x))
    half = gradient(CrossBatchMemory(Contrastive(), size=20, dim=6), labels, x)
    np.testing.assert_allclose(half, gradient(plain, labels, x), atol=1e-6)  # an empty memory adds nothing


def test_a_memory_trains_in_a_graph():
    rng = np.random.default_rng(3)
    labels = np.arange(60) % 4
    features = (rng.standard_normal((4, 16))[labels] + 0.5 * rng.standard_normal((60, 16))).astype(np.float32)
    loss = CrossBatchMemory(make("contrastive", miner="hard-negative"), size=40, dim=6, warm_up=2)
    head = MlpHead(HeadConfig(dim=6, sizes=(), batch_norm=False))
    history = train(head, features, labels, loss, epochs=12, learning_rate=0.01, batch_size=20)
    assert history.loss[-1] < history.loss[1] and int(loss.filled) == 40


@pytest.mark.parametrize(("name", "miner"), [("range", None), ("proxy-anchor", None), ("triplet", None),
                                             ("triplet", "semi-hard"), ("contrastive", "distance-weighted")])
def test_a_memory_refuses_losses_that_have_no_form_against_it(name, miner):
    with pytest.raises(ValueError, match="memory"):
        CrossBatchMemory(build(name, miner=miner), size=10, dim=6)
