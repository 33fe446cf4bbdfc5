"""What holds for every ranking metric."""

import inspect

import numpy as np
import pytest

from devise.metrics import ranking

METRICS = {
    "hit_at_k": lambda relevant, there: ranking.hit_at_k(relevant, 3),
    "precision_at_k": lambda relevant, there: ranking.precision_at_k(relevant, 3),
    "recall_at_k": lambda relevant, there: ranking.recall_at_k(relevant, 3, n_relevant=there),
    "r_precision": lambda relevant, there: ranking.r_precision(relevant, n_relevant=there),
    "map_at_r": lambda relevant, there: ranking.map_at_r(relevant, n_relevant=there),
}
NEED_RIGHT_ANSWERS = {"recall_at_k", "r_precision", "map_at_r"}


@pytest.fixture
def relevant():
    random = np.random.default_rng(3)
    return random.random((50, 9)) < np.linspace(0, 0.9, 50)[:, None]


@pytest.fixture
def there(relevant):
    found = relevant.sum(axis=1)
    return np.where(found == 0, 0, np.minimum(found + np.arange(50) % 2, 9))


@pytest.fixture(params=sorted(METRICS))
def name(request):
    return request.param


def test_every_metric_is_here():
    takes = {name for name, value in vars(ranking).items() if inspect.isfunction(value) and
             not name.startswith("_") and "relevant" in inspect.signature(value).parameters}
    assert takes == set(METRICS)


def test_one_float_a_query(name, relevant, there):
    values = METRICS[name](relevant, there)
    assert values.shape == (50,) and values.dtype == np.float64


def test_range(name, relevant, there):
    values = METRICS[name](relevant, there)
    values = values[~np.isnan(values)]
    assert (values >= 0).all() and (values <= 1).all()


def test_queries_do_not_see_each_other(name, relevant, there):
    order = np.random.default_rng(0).permutation(50)
    np.testing.assert_array_equal(METRICS[name](relevant[order], there[order]),
                                  METRICS[name](relevant, there)[order])


def test_wrong_answers_behind_the_last_change_nothing(name, relevant, there):
    longer = np.hstack([relevant, np.zeros((50, 5), bool)])
    np.testing.assert_array_equal(METRICS[name](longer, there), METRICS[name](relevant, there))


def test_perfect_order_is_best(name):
    relevant = np.tile(np.arange(8) < 3, (2, 1))
    assert METRICS[name](relevant, relevant.sum(axis=1)) == pytest.approx([1, 1])


def test_moving_a_right_answer_up_never_hurts(name, relevant, there):
    before = METRICS[name](relevant, there)
    for rank in range(1, 9):
        swapped = relevant.copy()
        moves = relevant[:, rank] & ~relevant[:, rank - 1]
        swapped[moves, rank - 1], swapped[moves, rank] = True, False
        gain = METRICS[name](swapped, there) - before
        gain = gain[~np.isnan(gain)]
        assert (gain >= -1e-12).all()


def test_undefined_where_nothing_is_right(name):
    value = METRICS[name](np.zeros((1, 4), bool), np.array([0]))[0]
    assert np.isnan(value) if name in NEED_RIGHT_ANSWERS else value == 0


def test_zero_where_nothing_is_found(name):
    assert METRICS[name](np.zeros((1, 4), bool), np.array([2]))[0] == 0


def test_no_queries(name):
    assert METRICS[name](np.zeros((0, 4), bool), np.zeros(0, int)).shape == (0,)


def test_the_input_stays_as_it_was(name, relevant, there):
    copies = relevant.copy(), there.copy()
    METRICS[name](relevant, there)
    assert np.array_equal(relevant, copies[0]) and np.array_equal(there, copies[1])


def test_deeper_never_finds_less(relevant, there):
    for metric in (ranking.hit_at_k, lambda rows, k: ranking.recall_at_k(rows, k, n_relevant=there)):
        curve = np.array([metric(relevant, k) for k in range(1, 10)])
        assert (np.diff(curve[:, there > 0], axis=0) >= 0).all()
