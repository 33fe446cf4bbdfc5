import numpy as np
import pytest

from devise.heads import base
from devise.heads.base import blocks, check_classes, check_labels


def test_blocks_join_to_the_whole(monkeypatch):
    monkeypatch.setattr(base, "BLOCK_ROWS", 4)
    features = np.random.default_rng(0).standard_normal((10, 3))
    parts = list(blocks(features))
    assert [start for start, _ in parts] == [0, 4, 8]
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), features.astype(np.float32))


def test_half_precision_features_become_float32():
    assert next(blocks(np.ones((2, 2), np.float16)))[1].dtype == np.float32


@pytest.mark.parametrize(("features", "dim", "message"), [
    (np.ones(4), None, r"features have shape \(4,\)"),
    (np.ones((4, 3)), 5, "features have 3 columns, expected 5"),
    (np.array([[1.0], [np.nan]]), None, "features hold NaN or infinity in 1 rows, the first is row 1"),
])
def test_features_that_are_no_finite_matrix_are_refused(features, dim, message):
    with pytest.raises(ValueError, match=message):
        list(blocks(features, dim=dim))


def test_a_bad_row_of_a_later_block_is_named(monkeypatch):
    monkeypatch.setattr(base, "BLOCK_ROWS", 4)
    features = np.ones((10, 2))
    features[9, 0] = np.inf
    with pytest.raises(ValueError, match="features from row 8 on hold NaN or infinity in 1 rows, .* row 1"):
        list(blocks(features))


@pytest.mark.parametrize(("labels", "message"), [
    ([0, 1], r"labels have shape \(2,\) but there are 3 feature rows"),
    ([[0], [1], [2]], r"labels have shape \(3, 1\)"),
    ([0, 1, 3], r"labels hold 3 in row 2, expected in 0\.\.2"),
    ([0, -1, 1], "labels hold -1 in row 1"),
    ([0.0, 1.0, 2.0], "labels are float64: expected whole numbers"),
])
def test_labels_that_fit_no_row_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        check_labels(labels, 3, n_labels=3)


def test_any_label_will_do_where_their_number_is_open():
    assert check_labels(np.array([7, 1000], np.int32), 2).dtype == np.int64


@pytest.mark.parametrize("labels", [[], [4], [4, 4, 4]])
def test_fewer_than_two_classes_are_refused(labels):
    with pytest.raises(ValueError, match="expected two or more"):
        check_classes(np.array(labels, np.int64))
