"""Each miner beside a loop that follows its definition."""

import numpy as np
import pytest
import tensorflow as tf

from devise.losses import mining
from devise.losses.pairs import MINED, make

each_miner = pytest.mark.parametrize("name", mining.NAMES)


@pytest.fixture
def batch():
    """Labels, unit rows, cosines and masks of 9 rows of three classes."""
    rng = np.random.default_rng(8)
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2])
    rows = rng.standard_normal((9, 5)) + 2 * rng.standard_normal((3, 5))[labels]
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    same = labels[:, None] == labels
    return labels, rows, rows @ rows.T, same & ~np.eye(9, dtype=bool), ~same


def mined(miner, cosines, positive, negative, dim=5):
    """{anchor: sorted (positive, negative) cosines}."""
    near, far, counted = (np.asarray(part) for part in miner.triplets(
        tf.constant(cosines), tf.constant(positive), tf.constant(negative), dim))
    chosen = [(near[anchor][counted[anchor]], far[anchor][counted[anchor]]) for anchor in range(len(cosines))]
    return {anchor: sorted(zip(own.tolist(), other.tolist(), strict=True))
            for anchor, (own, other) in enumerate(chosen)}


def expected(name, cosines, positive, negative):
    found = {}
    for anchor, row in enumerate(cosines):
        own, other = row[positive[anchor]].tolist(), row[negative[anchor]].tolist()
        if name == "all":
            triplets = [(p, n) for p in own for n in other]
        elif name == "hard-negative":
            triplets = [(p, max(other)) for p in own]
        elif name == "hard-positive":
            triplets = [(min(own), n) for n in other]
        elif name == "hard":
            triplets = [(min(own), max(other))]
        else:
            triplets = [(p, max(n for n in other if n < p)) for p in own if any(n < p for n in other)]
        found[anchor] = sorted(triplets)
    return found


@pytest.mark.parametrize("name", [name for name in mining.NAMES if name != "distance-weighted"])
def test_it_chooses_the_triplets_of_its_definition(name, batch):
    _, _, cosines, positive, negative = batch
    assert mined(mining.make(name), cosines, positive, negative) == expected(name, cosines, positive, negative)


def test_distance_weighted_draws_as_the_density_of_the_sphere_says(batch):
    _, _, cosines, positive, negative = batch
    near = negative & (cosines > 0.1)
    anchor, draws, miner = int(near.sum(axis=1).argmax()), 400, mining.make("distance-weighted", seed=3)
    masks = tf.constant(cosines), tf.constant(positive), tf.constant(negative)
    _, far, counted = (part.numpy()[:, anchor] for part in tf.function(lambda: tf.map_fn(
        lambda _: tuple(miner.triplets(*masks, 5)), tf.range(draws), (tf.float32, tf.float32, tf.bool)))())
    apart = np.abs(np.where(negative[anchor], cosines[anchor], 9) - far[counted][:, None])
    counts = np.bincount(apart.argmin(axis=1), minlength=9)
    apart = np.sqrt(2 - 2 * cosines[anchor].astype(np.float64))
    density = np.clip(apart, 0.5, None) ** 3 * (1 - np.clip(apart, 0.5, 1.999) ** 2 / 4)
    weights = np.where(negative[anchor] & (apart < 1.4), 1 / density, 0)
    assert (weights > 0).sum() > 1
    share = weights / weights.sum()
    n = counts.sum()
    assert n == positive[anchor].sum() * draws
    np.testing.assert_allclose(counts / n, share, atol=4 * np.sqrt(0.25 / n))


@pytest.mark.parametrize("dim", [2, 3, 512, 4096])
def test_chances_stay_finite_in_many_dimensions(dim):
    cosines = tf.constant([[0.999, 0.9, 0.3, 0.05, -0.9, 1.0]], tf.float32)
    negative = tf.constant([[True, True, True, True, True, False]])
    chances = mining.make("distance-weighted").chances(cosines, negative, dim).numpy()[0]
    assert np.isfinite(chances).all() and chances.sum() == pytest.approx(1, rel=1e-5)
    assert chances[4] == 0 and chances[5] == 0
    if dim > 3:  # nearer than 0.5 counts as 0.5: the first two are as likely, and likelier than the far ones
        assert chances[0] == pytest.approx(chances[1], rel=1e-3) and chances[1] > chances[2]
    alone = mining.make("distance-weighted").chances(cosines, tf.constant([5 * [False] + [True]]), dim).numpy()[0]
    np.testing.assert_allclose(alone, [0, 0, 0, 0, 0, 1])
    far = mining.make("distance-weighted").chances(cosines, tf.constant([[False] * 4 + [True, False]]), dim).numpy()[0]
    np.testing.assert_allclose(far, [0, 0, 0, 0, 1, 0])


@each_miner
@pytest.mark.parametrize("labels", [[0] * 9, list(range(9))], ids=["one class", "no positives"])
def test_without_pairs_there_are_no_triplets(name, batch, labels):
    labels = np.array(labels)
    same = labels[:, None] == labels
    triplets = mined(mining.make(name), batch[2], same & ~np.eye(9, dtype=bool), ~same)
    assert not any(triplets.values())


@each_miner
def test_its_triplets_have_a_row_an_anchor(name, batch):
    _, _, cosines, positive, negative = batch
    masks = tf.constant(cosines), tf.constant(positive), tf.constant(negative)
    near, far, counted = mining.make(name).triplets(*masks, 5)
    assert near.shape == far.shape == counted.shape and near.shape[0] == 9
    assert np.isfinite(near.numpy()[counted.numpy()]).all()


@pytest.mark.parametrize("name", ["hard-negative", "hard", "semi-hard"])
def test_an_easy_miner_takes_any_negative(name, batch):
    _, _, cosines, positive, negative = batch
    miner = mining.make(name)
    hardest = mined(miner, cosines, positive, negative)
    miner.difficulty.assign(0.0)
    drawn = [mined(miner, cosines, positive, negative) for _ in range(12)]
    for anchor in range(9):
        seen = {round(far, 5) for draw in drawn for _near, far in draw[anchor]}
        assert seen <= {round(float(value), 5) for value in cosines[anchor][negative[anchor]]} and len(seen) > 1
    miner.difficulty.assign(1.0)
    assert mined(miner, cosines, positive, negative) == hardest


@each_miner
@pytest.mark.parametrize("loss", MINED)
def test_every_mined_loss_takes_every_miner(name, loss, batch, gradient):
    labels, rows = batch[:2]
    margins = {"positive_margin": 1.0, "negative_margin": -1.0} if loss == "contrastive" else {}
    slopes = gradient(make(loss, miner=name, **margins), labels, rows)
    assert np.isfinite(slopes).all() and slopes.any()


def test_every_miner_can_be_compiled(batch):
    """All in one graph, which takes half as long as six; each loss compiled is in test_pair_losses.py."""
    masks = tuple(map(tf.constant, batch[2:]))
    miners = {name: mining.make(name) for name in mining.NAMES}
    graph = tf.function(lambda: {name: tuple(miner.triplets(*masks, 5)) for name, miner in miners.items()},
                        jit_compile=True)
    for name, found in graph().items():
        near, far, counted = (part.numpy() for part in found)
        assert near.shape == far.shape == counted.shape and counted.any()
        expected = mining.make(name).triplets(*masks, 5)
        np.testing.assert_array_equal(counted, expected.counted)
        np.testing.assert_allclose(near[counted], expected.positive.numpy()[counted], rtol=1e-5)
        if name != "distance-weighted":  # which draws
            np.testing.assert_allclose(far[counted], expected.negative.numpy()[counted], rtol=1e-5)
        assert np.isfinite(far[counted]).all()


def test_an_unknown_miner_is_refused():
    with pytest.raises(ValueError, match="no miner .hardest.: did you mean hard"):
        mining.make("hardest")
    with pytest.raises(ValueError, match="expected one that"):
        make("triplet", miner=3)
