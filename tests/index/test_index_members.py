import numpy as np
import pytest

from devise.index.members import as_ids, exclusions, listed, member_rows


def test_rows_come_in_the_order_of_their_ids():
    random = np.random.default_rng(0)
    vectors, ids = random.standard_normal((20, 5)), random.permutation(20) * 3
    got_ids, rows = member_rows(vectors, ids)
    assert got_ids.tolist() == sorted(ids.tolist())
    for member, row in zip(got_ids, rows, strict=True):
        vector = vectors[ids.tolist().index(member)].astype(np.float32)
        np.testing.assert_allclose(row, vector / np.linalg.norm(vector), atol=1e-6)


def test_the_bad_row_is_named_by_its_own_id():
    vectors = np.ones((4, 2))
    vectors[1], vectors[3] = 0, np.nan
    with pytest.raises(ValueError, match="ids 5, 2 are zero, NaN or infinite"):
        member_rows(vectors, [9, 5, 7, 2])


def test_no_ids():
    assert as_ids([]).dtype == np.int64 and as_ids([]).shape == (0,)
    assert exclusions([], 0).dtype == np.int64


def test_long_lists_are_cut():
    assert listed(np.arange(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … (12 in all)"
    assert listed([1, 2]) == "1, 2"
