"""Unit rows and the best k, against loops in float64."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from threadpoolctl import threadpool_info

from devise import arrays


def by_sorting(scores, k):
    """top_k by Python's sort: best first, ties to the smaller column."""
    return [sorted(range(len(row)), key=lambda column, row=row: (-row[column], column))[:k] for row in scores]


@pytest.mark.parametrize("values", [[[1, 2], [3, 4]], ((1.0, 2.0),), np.arange(6.0).reshape(2, 3)[:, ::2]])
def test_as_rows(values):
    rows = arrays.as_rows(values)
    assert rows.dtype == np.float32 and rows.flags.c_contiguous
    assert rows.tolist() == [[float(entry) for entry in row] for row in values]


@pytest.mark.parametrize("values, match", [
    ([1, 2], r"words have shape \(2,\): expected \(n, dim\)"),
    (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
    ([[1, 2]], "words have 2 columns, expected 3"),
    ([[0, 0, 0], [1, np.nan, 0], [np.inf, 0, 0]], "NaN or infinity in 2 rows, the first is row 1"),
])
def test_as_rows_refuses(values, match):
    with pytest.raises(ValueError, match=match):
        arrays.as_rows(values, name="words", dim=3)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 6)),
                  elements=st.floats(-1e3, 1e3, width=32, allow_subnormal=False)))
def test_unit_rows_are_the_rows_over_their_lengths(values):
    if not values.any(axis=1).all():
        with pytest.raises(ValueError, match="zero rows"):
            arrays.unit_rows(values)
        return
    expected = [[entry / math.sqrt(math.fsum(float(x) ** 2 for x in row)) for entry in map(float, row)]
                for row in values]
    np.testing.assert_allclose(arrays.unit_rows(values), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-38, 1e-25, 1e-10, 1e10, 1e25, 3e38])
def test_unit_rows_at_the_ends_of_float32(scale):
    assert arrays.unit_rows([[scale, 0], [scale, scale]]) == pytest.approx(
        np.array([[1, 0], [math.sqrt(0.5)] * 2]), rel=1e-6)


def test_unit_rows_leave_their_argument_alone():
    values = np.array([[3, 4], [0, 2]], np.float32)
    before = values.copy()
    assert not np.shares_memory(arrays.unit_rows(values), values)
    assert (values == before).all()


def test_unit_rows_need_little_more_than_their_result():
    values = np.ones((4000, 300), np.float32)
    tracemalloc.start()
    arrays.unit_rows(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * values.nbytes


def test_unit_rows_of_nothing():
    assert arrays.unit_rows(np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("values, match", [([[1, 0], [0, 0]], "1 zero rows, the first is row 1"),
                                           ([[np.nan, 0]], "NaN")])
def test_unit_rows_refuse(values, match):
    with pytest.raises(ValueError, match=match):
        arrays.unit_rows(values)


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.float32, st.tuples(st.integers(0, 6), st.integers(1, 9)),
                  elements=st.sampled_from([-np.inf, -1, -0.0, 0.0, 0.25, 1])), st.data())
def test_top_k_sorts_with_ties_to_the_smaller_column(scores, data):
    k = data.draw(st.integers(1, scores.shape[1]))
    columns, kept = arrays.top_k(scores, k)
    assert columns.dtype == np.int64 and columns.shape == kept.shape == (len(scores), k)
    assert columns.tolist() == by_sorting(scores, k)
    assert (kept == np.take_along_axis(scores, columns, axis=1)).all()


@pytest.mark.parametrize("values", [1, 2, 5, 10**6])
@pytest.mark.parametrize("n_columns", [33, 500, 1000])
@pytest.mark.parametrize("k", [1, 2, 30])
def test_top_k_of_many_columns_with_many_and_few_ties(k, n_columns, values):
    scores = np.random.default_rng(values).integers(0, values, (9, n_columns)).astype(np.float32)
    scores[4] = -np.inf
    scores[5, ::3] = -np.inf
    columns, kept = arrays.top_k(scores, k)
    assert columns.dtype == np.int64 and columns.tolist() == by_sorting(scores, k)
    assert (kept == np.take_along_axis(scores, columns, axis=1)).all()


@pytest.mark.parametrize("k", [0, -1, 4])
def test_k_has_bounds(k):
    with pytest.raises(ValueError, match=f"k is {k}: expected 1 to 3"):
        arrays.top_k(np.zeros((2, 3)), k)
    with pytest.raises(ValueError, match=f"k is {k}: expected 1 to 3"):
        arrays.nearest(np.zeros((2, 5), np.float32), np.zeros((3, 5), np.float32), k)


@pytest.mark.parametrize("block_bytes", [1, 400, 2**26])
def test_nearest_is_the_same_in_blocks_of_any_size(block_bytes):
    random = np.random.default_rng(0)
    # small whole numbers: their inner products are exact, so ties are ties in any order of summing
    queries = random.integers(-3, 4, (17, 6)).astype(np.float32)
    rows = random.integers(-3, 4, (40, 6)).astype(np.float32)
    expected = [[sum(a * b for a, b in zip(query, row, strict=True)) for row in rows.tolist()]
                for query in queries.tolist()]
    ids, scores = arrays.nearest(queries, rows, 7, block_bytes=block_bytes)
    assert ids.dtype == np.int64 and scores.dtype == np.float32
    assert ids.tolist() == by_sorting(expected, 7)
    assert scores.tolist() == [[expected[query][row] for row in found] for query, found in enumerate(ids)]


def test_nearest_reads_a_memory_map(tmp_path):
    rows = np.random.default_rng(1).standard_normal((30, 4)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert arrays.nearest(rows, mapped, 3)[0].tolist() == arrays.nearest(rows, rows, 3)[0].tolist()


def test_nearest_without_queries():
    ids, scores = arrays.nearest(np.empty((0, 4), np.float32), np.eye(4, dtype=np.float32), 2)
    assert ids.shape == scores.shape == (0, 2) and ids.dtype == np.int64


def test_read_npy_takes_the_array_that_was_asked_for_only(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.ones((3, 4), np.float32))
    for mapped in (False, True):
        np.testing.assert_array_equal(arrays.read_npy(path, np.float32, (None, 4), mapped=mapped), np.ones((3, 4)))
    for dtype, shape in [(np.float64, (3, 4)), (np.float32, (3, 5)), (np.float32, (12,)), (np.int64, (3, None))]:
        with pytest.raises(ValueError, match=r"a.npy holds float32 \(3, 4\): expected"):
            arrays.read_npy(path, dtype, shape)
    for content in (b"", b"x", path.read_bytes()[:-1]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="a.npy is damaged"):
            arrays.read_npy(path, np.float32, (3, 4))
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="a.npy is damaged"):
        arrays.read_npy(path, object, (1,))
    with open(path, "wb") as file:
        np.savez(file, a=np.ones(3))
    with pytest.raises(ValueError, match="a.npy is an archive"):
        arrays.read_npy(path, np.float64, (3,))


def test_read_npz_takes_no_compressed_archive(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(3), b=np.eye(2))
    found = arrays.read_npz(tmp_path / "a.npz")
    assert sorted(found) == ["a", "b"] and found["a"].tolist() == [0, 1, 2]
    np.savez_compressed(tmp_path / "b.npz", a=np.zeros(1000))
    with pytest.raises(ValueError, match="b.npz can't be read as arrays .it is compressed"):
        arrays.read_npz(tmp_path / "b.npz")
    with pytest.raises(FileNotFoundError):
        arrays.read_npz(tmp_path / "none.npz")


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3)[:, ::2], np.empty((0, 4), np.float32), np.array([True]),
                                   np.arange(10)[::-1]])
def test_write_npy_writes_what_numpy_reads(array, tmp_path):
    arrays.write_npy(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", np.ascontiguousarray(array))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)


def test_eigenvectors_of_one_thread_solve_the_equation_and_leave_the_threads_as_they_were():
    rows = np.random.default_rng(0).normal(size=(50, 30))
    matrix = rows.T @ rows
    before = [pool["num_threads"] for pool in threadpool_info()]
    values, vectors = arrays.eigenvectors(matrix)
    assert [pool["num_threads"] for pool in threadpool_info()] == before
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-10)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(30), atol=1e-12)
    np.testing.assert_allclose(values, np.linalg.svd(rows, compute_uv=False)[::-1] ** 2, rtol=1e-10)


def test_eigenvectors_see_one_thread(monkeypatch):
    seen = []
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: seen.extend(
        pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"))
    arrays.eigenvectors(np.eye(2))
    assert seen and set(seen) == {1}
