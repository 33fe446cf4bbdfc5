import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from devise.heads import RidgeHead
from devise.heads.linear import PENALTIES, ridge


def problem(n, d, classes=4, dim=3, seed=0):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((classes, dim))
    labels = np.arange(n) % classes
    features = rng.standard_normal((classes, d))[labels] + rng.standard_normal((n, d)) + 5
    return features, labels, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(("n", "d"), [(60, 8), (10, 40), (12, 12)])
@pytest.mark.parametrize("penalty", [0.01, 1.0, 30.0])
def test_equals_scikit_learns_ridge(n, d, penalty):
    features, labels, vectors = problem(n, d)
    strength = penalty * ((features - features.mean(axis=0)) ** 2).sum() / d
    expected = Ridge(alpha=strength, solver="svd").fit(features, vectors[labels]).predict(features)
    head = RidgeHead(penalty).fit(features, labels, vectors)
    np.testing.assert_allclose(head.outputs(features), expected, atol=1e-4)


def test_the_map_is_the_least_of_the_objective():
    features, labels, vectors = problem(30, 6)
    head = RidgeHead(0.5).fit(features, labels, vectors)
    x, y = features - features.mean(axis=0), vectors[labels] - vectors[labels].mean(axis=0)
    strength = 0.5 * (x ** 2).sum() / 6

    def objective(kernel):
        return ((x @ kernel - y) ** 2).sum() + strength * (kernel ** 2).sum()

    rng = np.random.default_rng(1)
    kernel = head.outputs(np.eye(6)) - head.outputs(np.zeros((6, 6)))
    least = objective(kernel)
    assert all(objective(kernel + 0.01 * rng.standard_normal((6, 3))) > least for _ in range(50))


def test_a_penalty_means_the_same_whatever_the_scale_of_the_features():
    features, labels, vectors = problem(40, 8)
    small = RidgeHead(1.0).fit(features, labels, vectors).embed(features)
    large = RidgeHead(1.0).fit(1000 * features, labels, vectors).embed(1000 * features)
    np.testing.assert_allclose(small, large, atol=1e-4)


def test_streamed_in_blocks_it_is_the_same(monkeypatch):
    features, labels, vectors = problem(50, 8)
    expected = RidgeHead(1.0).fit(features, labels, vectors).embed(features)
    monkeypatch.setattr("devise.heads.base.BLOCK_ROWS", 7)
    streamed = RidgeHead(1.0).fit(features, labels, vectors).embed(features)
    np.testing.assert_allclose(streamed, expected, atol=1e-5)


def test_the_penalty_chosen_is_the_best_of_all_on_validation_data():
    features, labels, vectors = problem(20, 40, seed=1)
    rows, expected, _ = problem(200, 40, seed=1)
    rows += np.random.default_rng(2).standard_normal(rows.shape)
    more = np.concatenate([vectors, vectors + 0.1])  # labels that nothing was trained on don't count
    head = RidgeHead().fit(features, labels, more, validation=(rows, expected))
    quality = []
    for penalty in PENALTIES:
        embeddings = RidgeHead(penalty).fit(features, labels, vectors).embed(rows)
        cosines = embeddings @ vectors.T.astype(np.float32)
        hits, own = cosines.argmax(axis=1) == expected, cosines[np.arange(200), expected]
        quality.append((hits.mean(), own.mean()))
    assert quality[PENALTIES.index(head.penalty)] == max(quality)
    assert head.config["penalty"] == head.penalty
    assert max(quality)[0] > quality[0][0] or max(quality)[0] > quality[-1][0]  # a choice was there to make


@pytest.mark.parametrize("shape", [(12, 30), (30, 12)])
@pytest.mark.parametrize("centred", [True, False])
def test_what_others_predict_of_a_row_is_that_of_a_ridge_without_it(shape, centred):
    random = np.random.default_rng(3)
    features, targets = random.standard_normal(shape) + 1, random.standard_normal((shape[0], 4))
    middle = features.mean(axis=0) * centred
    penalty = 0.3 * np.square(features - middle).sum() / shape[1]  # λ as the ridge of all rows has it
    expected = []
    for row in range(shape[0]):
        x, y = (np.delete(values, row, axis=0) for values in (features, targets))
        x_mean, y_mean = x.mean(axis=0) * centred, y.mean(axis=0) * centred
        x = x - x_mean
        kernel = np.linalg.solve(x.T @ x + penalty * np.eye(shape[1]), x.T @ (y - y_mean))
        expected.append((features[row] - x_mean) @ kernel + y_mean)
    _, left_out = ridge(features, targets, centred=centred)
    np.testing.assert_allclose(left_out(0.3), expected, atol=1e-6)


def test_without_validation_data_each_row_is_left_out_in_turn():
    features, labels, vectors = problem(20, 40, seed=1)
    head = RidgeHead().fit(features, labels, vectors)
    quality = []
    for penalty in PENALTIES:
        rows = ridge(features, vectors[labels])[1](penalty)
        cosines = rows / np.linalg.norm(rows, axis=1, keepdims=True) @ vectors.T
        quality.append(((cosines.argmax(axis=1) == labels).mean(), cosines[np.arange(20), labels].mean()))
    assert quality[PENALTIES.index(head.penalty)] == pytest.approx(max(quality))
    assert RidgeHead().fit(features[:4], np.arange(4), vectors).penalty in PENALTIES  # a picture a class


def test_every_fit_chooses_anew():
    features, labels, vectors = problem(40, 8)
    noise = np.random.default_rng(0).standard_normal((40, 8))
    head = RidgeHead().fit(noise, labels, vectors, validation=(noise, labels))
    head.fit(features, labels, vectors, validation=(features, labels))
    assert head.penalty == RidgeHead().fit(features, labels, vectors, validation=(features, labels)).penalty


def test_a_penalty_given_is_kept():
    features, labels, vectors = problem(40, 8)
    assert RidgeHead(7.0).fit(features, labels, vectors, validation=(features, labels)).penalty == 7.0


@pytest.mark.parametrize("penalty", [0, -1.0, np.nan, np.inf])
def test_a_penalty_that_is_not_above_zero_is_refused(penalty):
    with pytest.raises(ValueError, match="penalty is"):
        RidgeHead(penalty)


@pytest.mark.parametrize(("change", "message"), [
    ({"labels": np.zeros(40, int)}, "two or more"),
    ({"labels": np.arange(40)}, "labels hold 4 in row 4"),
    ({"labels": np.arange(39) % 4}, "there are 40 feature rows"),
    ({"features": np.ones((40, 8))}, "the same in every row"),
    ({"features": np.full((40, 8), np.nan)}, "features hold NaN"),
    ({"vectors": np.zeros((4, 3))}, "label vectors hold 4 zero rows"),
    ({"validation": (np.ones((2, 8)), [0, 9])}, "validation labels hold 9"),
    ({"validation": (np.ones((2, 7)), [0, 1])}, "features have 7 columns, expected 8"),
])
def test_data_that_does_not_fit_is_refused_and_changes_nothing(change, message):
    features, labels, vectors = problem(40, 8)
    data = {"features": features, "labels": labels, "vectors": vectors, "validation": (features, labels)}
    features, labels, vectors, validation = {**data, **change}.values()
    head = RidgeHead()
    with pytest.raises(ValueError, match=message):
        head.fit(features, labels, vectors, validation=validation)
    assert head.penalty is None and head.input_dim is None


def test_an_unfitted_head_says_so():
    with pytest.raises(ValueError, match="no weights yet"):
        RidgeHead(1.0).embed(np.ones((1, 8)))


def test_it_loads_no_framework():
    code = ("import sys, numpy as np; from devise.heads import RidgeHead;"
            "RidgeHead(1.0).fit(np.eye(4), [0, 1, 0, 1], np.eye(2)).embed(np.eye(4));"
            "sys.exit(bool({'keras', 'tensorflow'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
