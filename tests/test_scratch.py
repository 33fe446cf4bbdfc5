"""Large arrays in files without a name."""

import mmap

import numpy as np
import pytest

from devise.arrays import let_go, scratch, write_npy


def is_mapped(array):
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr("devise.arrays.SCRATCH_BYTES", 1000)


def test_a_large_array_lies_in_a_file_that_nobody_sees(small_limit, tmp_path):
    rows = scratch(tmp_path / "made", (50, 7))
    assert is_mapped(rows) and rows.shape == (50, 7) and not list((tmp_path / "made").iterdir())
    rows[:] = np.arange(350).reshape(50, 7)
    let_go(rows)
    assert rows.sum() == 350 * 349 / 2, "what was written is there when its pages are gone"
    write_npy(tmp_path / "rows.npy", rows)
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), rows)


@pytest.mark.parametrize(("size", "place"), [((2, 3), "."), ((50, 7), "file/below"), ((2**44,), ".")])
def test_a_small_array_or_one_without_room_is_in_memory(small_limit, tmp_path, monkeypatch, size, place):
    (tmp_path / "file").touch()
    monkeypatch.setattr(np, "empty", lambda shape, dtype: ("in memory", shape, dtype))
    assert scratch(tmp_path / place, size) == ("in memory", size, np.float32)
