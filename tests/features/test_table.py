"""What a table holds that can be compared, and what it lists instead."""

import numpy as np
import pytest

from devise import features
from devise.datasets import ImageSet, Skipped


def table(matrix, n=None):
    n = len(matrix) if n is None else n
    images = ImageSet([f"a/{row}.png" for row in range(n)], [0] * n, ("a",), None, (Skipped("a/x.png", "zero bytes"),))
    return features.FeatureTable(np.asarray(matrix, np.float32), images, {"name": "drawn"})


@pytest.mark.parametrize("rows_at_a_time", [1, 4096])
def test_rows_without_a_direction_are_left_out_and_listed(monkeypatch, rows_at_a_time):
    monkeypatch.setattr("devise.features.table.COPY_ROWS", rows_at_a_time)
    found = features.usable(table([[1, 0], [0, 0], [0, -2], [0, 0]]))
    assert found.matrix.tolist() == [[1, 0], [0, -2]] and found.images.paths == ("a/0.png", "a/2.png")
    assert [tuple(item) for item in found.images.skipped] == [
        ("a/x.png", "zero bytes"), ("a/1.png", "its features are all zero"), ("a/3.png", "its features are all zero")]


def test_a_table_without_such_rows_is_the_same():
    whole = table([[1, 0], [0, -2]])
    assert features.usable(whole) is whole


def test_rows_that_are_no_numbers_are_refused_by_name():
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="features of 1 pictures hold NaN or infinity, the first is a/1.png"):
            features.usable(table([[1, 0], [bad, 1]]))
    with pytest.raises(ValueError, match="2 rows of features and 3 pictures"):
        features.usable(table([[1, 0], [0, 1]], n=3))
