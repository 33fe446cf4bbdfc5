from functools import partial

import numpy as np
import pytest
from scipy.linalg import solve_sylvester

from devise.heads import ESZSL, SAE, RidgeHead
from devise.zeroshot import onto

RANDOM = np.random.default_rng(7)
VECTORS = RANDOM.normal(size=(5, 3))
UNIT = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
SHAPES = [(40, 6), (9, 14)]  # more rows than columns, and fewer


def pictures(n, d, n_classes=5):
    labels = np.arange(n) % n_classes
    return VECTORS[labels] @ RANDOM.normal(size=(3, d)) + RANDOM.normal(size=(n, d)) + 2, labels


def standardised(x):
    rows = x - x.mean(axis=0)
    scale = np.sqrt((rows ** 2).sum() / len(x))
    return rows / scale, scale


@pytest.mark.parametrize("n, d", SHAPES)
@pytest.mark.parametrize("gamma, lam", [(0.1, 1.0), (2.0, 0.05)])
def test_eszsl_minimises_the_papers_objective(n, d, gamma, lam):
    """|X W Sᵀ - Y|² + γ |W Sᵀ|² + λ |X W|² + γλ |W|², as one least squares problem over all entries of W."""
    x, labels = pictures(n, d)
    g, m = gamma * (x ** 2).sum() / d, lam * (UNIT ** 2).sum() / 3
    y = np.array([[float(label == c) for c in range(5)] for label in labels])
    system = np.concatenate([np.kron(x, UNIT), np.sqrt(g) * np.kron(np.eye(d), UNIT),
                             np.sqrt(m) * np.kron(x, np.eye(3)), np.sqrt(g * m) * np.eye(3 * d)])
    right = np.concatenate([y.ravel(), np.zeros(len(system) - y.size)])
    expected = np.linalg.lstsq(system, right)[0].reshape(d, 3)
    np.testing.assert_allclose(ESZSL(gamma, lam).fit(x, labels, VECTORS).kernel, expected, atol=1e-5)


def test_eszsl_scores_are_bilinear():
    x, labels = pictures(40, 6)
    eszsl = ESZSL().fit(x, labels, VECTORS)
    candidates = RANDOM.normal(size=(4, 3))
    scores = onto(eszsl, candidates).scores(x[:3])
    for row, picture in zip(scores, x[:3], strict=True):
        expected = [sum(picture[i] * eszsl.kernel[i, j] * c[j] / np.sqrt((c ** 2).sum())
                        for i in range(6) for j in range(3)) for c in candidates]
        np.testing.assert_allclose(row, expected, atol=1e-5)


@pytest.mark.parametrize("lam", [0.05, 1.0, 20.0])
def test_sae_solves_the_sylvester_equation(lam):
    x, labels = pictures(40, 6)
    targets, (rows, scale) = UNIT[labels], standardised(x)
    expected = solve_sylvester(targets.T @ targets, lam * rows.T @ rows, (1 + lam) * targets.T @ rows)
    sae = SAE(lam).fit(x, labels, VECTORS)
    np.testing.assert_allclose(sae.kernel * scale, expected.T, atol=1e-5)
    np.testing.assert_allclose(sae.outputs(x), rows @ expected.T, atol=1e-5)


def test_sae_minimises_its_objective_where_pictures_and_classes_are_few():
    """Fewer pictures than columns and fewer classes than dims: the equation alone has many solutions."""
    x, labels = pictures(6, 9, n_classes=2)
    targets, (rows, scale) = UNIT[labels], standardised(x)
    kernel = SAE(2.0).fit(x, labels, VECTORS).kernel.astype(np.float64) * scale

    def objective(w):
        return ((rows - targets @ w.T) ** 2).sum() + 2 * ((rows @ w - targets) ** 2).sum()

    for _ in range(50):
        assert objective(kernel) <= objective(kernel + RANDOM.normal(scale=1e-3, size=kernel.shape))
    # the smallest solution: nothing outside of what pictures and classes span
    outside = np.linalg.svd(rows)[2][5:], np.linalg.svd(UNIT[:2])[2][2:]
    np.testing.assert_allclose(outside[0] @ kernel, 0, atol=1e-5)
    np.testing.assert_allclose(kernel @ outside[1].T, 0, atol=1e-5)


@pytest.mark.parametrize("method", [partial(RidgeHead, 1.0), ESZSL, SAE])
def test_classes_without_pictures_play_no_part(method):
    x, labels = pictures(40, 6)
    more = np.concatenate([VECTORS[:2], RANDOM.normal(size=(3, 3)), VECTORS[2:]])
    np.testing.assert_array_equal(method().fit(x, labels, VECTORS).kernel,
                                  method().fit(x, np.where(labels < 2, labels, labels + 3), more).kernel)


@pytest.mark.parametrize("method", [partial(RidgeHead, 1.0), ESZSL, SAE])
def test_penalties_mean_the_same_at_any_scale(method):
    x, labels = pictures(40, 6)
    plain, large = method().fit(x, labels, VECTORS), method().fit(1000 * x, labels, VECTORS)
    np.testing.assert_allclose(large.outputs(1000 * x), plain.outputs(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method, option",
                         [(RidgeHead, "penalty"), (ESZSL, "gamma"), (ESZSL, "lam"), (SAE, "lam")])
@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_penalties_are_above_0(method, option, value):
    with pytest.raises(ValueError, match=f"{option} is {value}: expected a number above 0"):
        method(**{option: value})


@pytest.mark.parametrize("method", [partial(RidgeHead, 1.0), SAE])
def test_constant_features_are_refused(method):
    with pytest.raises(ValueError, match="same in every row"):
        method().fit(np.full((7, 3), 0.1), [0, 1, 0, 1, 2, 2, 2], VECTORS)


def test_eszsl_refuses_features_of_zero():
    with pytest.raises(ValueError, match="zero in every row"):
        ESZSL().fit(np.zeros((4, 3)), [0, 1, 0, 1], VECTORS)


@pytest.mark.parametrize("labels, message", [
    ([0, 1, 2], r"shape \(3,\) but there are 4 feature rows"),
    ([0.0, 1.0, 2.0, 3.0], "labels are float64: expected whole numbers"),
    ([0, 1, 2, 5], "hold 5 in row 3, expected in 0..4"),
    ([0, 1, 2, -1], "hold -1 in row 3, expected in 0..4"),
    ([3, 3, 3, 3], "1 class"),
])
def test_labels_that_do_not_fit_are_refused_and_the_fit_before_stays(labels, message):
    x, good = pictures(40, 6)
    ridge = RidgeHead(1.0).fit(x, good, VECTORS)
    before = ridge.kernel
    with pytest.raises(ValueError, match=message):
        ridge.fit(x[:4], labels, VECTORS)
    assert ridge.kernel is before
