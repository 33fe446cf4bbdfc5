import numpy as np
import pytest

from devise.heads import ALE, SJE, HingeRankHead
from devise.zeroshot import onto

RANDOM = np.random.default_rng(11)
VECTORS = RANDOM.normal(size=(8, 4))
UNIT = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
MAP = RANDOM.normal(size=(4, 12))
RULES = [ALE, SJE, HingeRankHead]


def pictures(n, n_classes=8, noise=0.3):
    labels = np.arange(n) % n_classes
    return (UNIT[labels] @ MAP + noise * RANDOM.normal(size=(n, 12)) + 1).astype(np.float32), labels


def loss(rule, kernel, x, labels, vectors):
    """The mean loss, one picture and one class at a time."""
    total = 0.0
    for row, own in zip(x, labels, strict=True):
        scores = [row @ kernel @ vector for vector in vectors]
        violations = [1 + score - scores[own] for c, score in enumerate(scores)
                      if c != own and 1 + score - scores[own] > 0]
        if violations and rule is ALE:
            total += sum(1 / i for i in range(1, len(violations) + 1)) / len(violations) * sum(violations)
        elif violations:
            total += max(violations) if rule is SJE else sum(violations)
    return total / len(x)


@pytest.mark.parametrize("rule", RULES)
def test_each_step_goes_down_the_gradient(rule):
    """Two steps with all pictures, against the numerical gradient of the loss in float64."""
    x, labels = pictures(16)
    x = x.astype(np.float64) - x.mean(axis=0)
    x /= np.sqrt((x ** 2).sum(axis=1).mean())
    kernel = 0.1 * RANDOM.normal(size=(12, 4))
    # from zero both losses have kinks; from here their gradient is defined
    scores = (x @ kernel @ UNIT.T).astype(np.float32)
    step = x.T @ (rule()._pull(scores, labels) @ UNIT) / len(x)
    numeric = np.empty_like(kernel)
    for place in np.ndindex(kernel.shape):
        nudge = np.zeros_like(kernel)
        nudge[place] = 1e-6
        numeric[place] = (loss(rule, kernel + nudge, x, labels, UNIT)
                          - loss(rule, kernel - nudge, x, labels, UNIT)) / 2e-6
    np.testing.assert_allclose(step, -numeric, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_without_violations_there_is_no_step(rule):
    scores = np.array([[3.0, 1.0, 0.0], [0.0, 1.5, 2.75]], np.float32)
    assert not rule()._pull(scores, np.array([0, 2]))[0].any()
    assert not rule()._pull(scores, np.array([0, 2]))[1].any()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("columns", [4, 30])
def test_training_is_gradient_descent_on_centred_and_scaled_features(rule, columns):
    """With fewer columns than classes, and with more, where the head learns in the span of the label vectors."""
    x, labels = pictures(16)
    vectors = np.random.default_rng(columns).normal(size=(8, columns))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    fitted = rule(rate=0.5, epochs=3, batch_size=16).fit(x, labels, vectors)
    middle = x.mean(axis=0)
    scale = np.sqrt(((x - middle) ** 2).sum(axis=1).mean())
    rows, kernel = (x - middle) / scale, np.zeros((12, columns), np.float32)
    for _ in range(3):
        pull = rule()._pull(rows @ kernel @ unit.T.astype(np.float32), labels)
        steps = [np.outer(row, own @ unit) for row, own in zip(rows, pull, strict=True)]
        kernel = kernel + 0.5 * np.mean(steps, axis=0)
    np.testing.assert_allclose(fitted.outputs(x), rows @ kernel, atol=1e-4)


@pytest.mark.parametrize("rule", RULES)
def test_it_lowers_its_loss_and_learns_its_classes(rule):
    labels = np.arange(160) % 4
    x = 2 * np.eye(12)[labels] + 0.3 * RANDOM.normal(size=(160, 12))
    fitted = rule(epochs=20).fit(x, labels, np.eye(4))
    before, after = (loss(rule, kernel, x - x.mean(axis=0), labels, np.eye(4))
                     for kernel in (0 * fitted.kernel, fitted.kernel))
    assert after < 0.2 * before
    assert (onto(fitted, np.eye(4)).tag(x, k=1).ids[:, 0] == labels).mean() > 0.95


@pytest.mark.parametrize("rule", RULES)
def test_it_finds_classes_without_pictures(rule):
    x, labels = pictures(400, noise=0.1)
    seen = labels < 6
    fitted = rule(epochs=20).fit(x[seen], labels[seen], VECTORS)
    unseen = onto(fitted, VECTORS[6:]).tag(x[~seen], k=1).ids[:, 0] + 6
    assert (unseen == labels[~seen]).mean() > 0.95


@pytest.mark.parametrize("rule", RULES)
def test_classes_without_pictures_play_no_part(rule):
    x, labels = pictures(48, n_classes=6)
    np.testing.assert_array_equal(rule().fit(x, labels, VECTORS).kernel,
                                  rule().fit(x, labels, VECTORS[:6]).kernel)


@pytest.mark.parametrize("rule", RULES)
def test_what_no_seen_class_needs_stays_out(rule):
    x, labels = pictures(48, n_classes=3)
    kernel = rule().fit(x, labels, VECTORS).kernel
    outside = np.linalg.svd(UNIT[:3])[2][3:]
    np.testing.assert_allclose(kernel @ outside.T, 0, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_scale_and_origin_of_the_features_mean_nothing(rule):
    x, labels = pictures(48)
    plain = onto(rule().fit(x, labels, VECTORS), VECTORS).scores(x)
    moved = onto(rule().fit(100 * x + 7, labels, VECTORS), VECTORS).scores(100 * x + 7)
    np.testing.assert_allclose(moved, plain, atol=2e-2)


@pytest.mark.parametrize("rule", RULES)
def test_a_seed_decides_the_order_of_the_pictures(rule):
    x, labels = pictures(80)
    first, again, other = (rule().fit(x, labels, VECTORS, seed=seed).kernel for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("option", ["rate", "epochs", "batch_size"])
def test_options_are_above_0(option):
    with pytest.raises(ValueError, match=f"{option} is 0: expected a number above 0"):
        ALE(**{option: 0})


def test_constant_features_are_refused():
    with pytest.raises(ValueError, match="same in every row"):
        SJE().fit(np.ones((4, 3)), [0, 1, 0, 1], VECTORS)
