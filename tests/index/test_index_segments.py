"""Segments: what is added, removed and merged, and what a save writes of it."""

import shutil

import numpy as np
import pytest

from devise.errors import MissingDependency
from devise.index import load, make, segments
from devise.index.segments import Segment

LOCAL = ("annoy", "exact", "faiss", "hnswlib", "usearch")


@pytest.fixture(params=LOCAL)
def engine(request):
    try:
        make(request.param)
    except MissingDependency as error:
        pytest.skip(str(error))
    return request.param


def vectors(n, dim=8, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def sizes(index):
    return [len(part) for part in index._segments]


def names(folder):
    return {path.name for path in folder.glob("[!.]*.*")} - {"index.json"}


def test_a_segment_is_never_changed():
    part = Segment(np.eye(3, dtype=np.float32), np.array([2, 5, 9]))
    less = part.without(np.array([5]))
    assert part.ids.tolist() == [2, 5, 9] and less.ids.tolist() == [2, 9] and less.items.tolist() == [2, -1, 9]
    assert less.places(np.array([9, 2])).tolist() == [2, 0] and less.renumbered(less.ids).items.tolist() == [0, -1, 1]
    found, scores = less.compare(np.float32([[0.1, 0.9, 0.2]]), 3)
    assert found.tolist() == [[9, 2]] and scores[0] == pytest.approx([0.2, 0.1])  # without a copy of the rows


def test_removed_rows_are_in_no_tie():
    rows = np.repeat(np.eye(2, dtype=np.float32), [40, 10], axis=0)
    part = Segment(rows, np.arange(50)).without(np.arange(0, 40, 2))
    assert part.compare(rows[:1], 3)[0][0, :3].tolist() == [1, 3, 5]
    assert part.compare(rows[45:46], 12)[0][0, :12].tolist() == [*range(40, 50), 1, 3]


def test_each_segment_is_much_larger_than_the_next():
    rows = vectors(2000)
    index = make("exact").build(rows[:1000])
    for start in range(1000, 2000, 10):
        index.add(rows[start:start + 10], np.arange(start, start + 10))
        assert all(larger >= segments.FACTOR * smaller for larger, smaller in
                   zip(sizes(index)[:-1], sizes(index)[1:], strict=True))
    assert sum(sizes(index)) == 2000 and len(sizes(index)) < 5


def test_ten_more_are_a_segment_of_their_own_and_all_that_is_written(engine, tmp_path):
    rows = vectors(1300)
    make(engine).build(rows[:1200]).save(tmp_path)
    first = {name: (tmp_path / name).stat().st_mtime_ns for name in names(tmp_path)}
    index = load(tmp_path)
    index.add(rows[1200:1210], np.arange(1200, 1210))
    index.save(tmp_path)
    assert sizes(index) == [1200, 10]
    assert first.items() <= {name: (tmp_path / name).stat().st_mtime_ns for name in names(tmp_path)}.items()
    assert sum((tmp_path / name).stat().st_size for name in names(tmp_path) - set(first)) < 2000
    expected = make("exact").build(rows[:1210])
    found = load(tmp_path).search(rows[1190:1300], 7)
    if engine == "exact":
        assert np.array_equal(found.ids, expected.search(rows[1190:1300], 7).ids)
    assert found.ids[10:20, 0].tolist() == list(range(1200, 1210))


def test_a_save_leaves_no_file_that_nobody_names(engine, tmp_path):
    rows = vectors(1500)
    index = make(engine).build(rows[:1100])
    for number in range(8):
        index.add(rows[1100 + 40 * number:1140 + 40 * number], np.arange(1100 + 40 * number, 1140 + 40 * number))
        index.remove([number])
        index.save(tmp_path)
        index = load(tmp_path) if number % 2 else index
        assert len(names(tmp_path)) == sum(2 + (part.finder is not None) for part in index._segments)
    assert load(tmp_path).ids.tolist() == list(range(8, 1420))


def test_what_is_removed_is_marked_until_it_is_much(engine, tmp_path):
    rows = vectors(1200)
    index = make(engine).build(rows)
    whole = index._segments[0].rows
    index.remove(np.arange(0, 1200, 5))
    assert index._segments[0].rows is whole and len(index) == 960
    index.save(tmp_path)
    expected = make("exact").build(np.delete(rows, np.arange(0, 1200, 5), axis=0), index.ids)
    for either in (index, load(tmp_path)):
        assert np.array_equal(either.search(rows[:50], 300).ids, expected.search(rows[:50], 300).ids)
    index.remove(np.arange(1, 1200, 5))
    assert len(index._segments[0].rows) == len(index) == 720


def test_members_are_renumbered(engine, tmp_path):
    rows = vectors(1100)
    index = make(engine).build(rows, np.arange(1100) * 3)
    index.add(vectors(2, seed=1), [1, 4000])
    index.remove([0, 3000])
    index.renumber()
    index.save(tmp_path)
    left = np.vstack([vectors(2, seed=1)[:1], np.delete(rows, [0, 1000], axis=0), vectors(2, seed=1)[1:]])
    for either in (index, load(tmp_path)):
        assert either.ids.tolist() == list(range(1100))
        assert either.search(left[::100], 1).ids.ravel().tolist() == list(range(0, 1100, 100))
        np.testing.assert_allclose(either.vectors([0, 5, 1099]) @ left[[0, 5, 1099]].T,
                                   make("exact").build(left).vectors([0, 5, 1099]) @ left[[0, 5, 1099]].T, atol=1e-5)


def test_two_that_save_at_once_leave_one_whole_state(tmp_path):
    rows = vectors(60)
    make("exact").build(rows[:50]).save(tmp_path)
    one, other = load(tmp_path), load(tmp_path)
    one.build(rows[50:])  # which sweeps the files that the other would keep
    one.save(tmp_path)
    other.add(rows[50:51], [50])
    other.save(tmp_path)
    assert load(tmp_path).ids.tolist() == list(range(51))
    np.testing.assert_array_equal(load(tmp_path).search(rows[:51], 1).ids.ravel(), np.arange(51))


def test_a_file_that_was_damaged_behind_our_back_is_written_again(tmp_path):
    rows = vectors(60)
    index = make("exact").build(rows)
    index.save(tmp_path)
    [path] = tmp_path.glob("0-rows-*.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)
    index.add(rows[:1], [60])
    index.save(tmp_path)
    assert path.read_bytes() == content  # it is not ours, as it is now
    assert load(tmp_path).search(rows[:1], 2).ids.tolist() == [[0, 60]]


def test_an_index_saved_elsewhere_is_whole_there(engine, tmp_path):
    make(engine).build(vectors(1100)).save(tmp_path / "here")
    index = load(tmp_path / "here")
    index.add(vectors(3, seed=1), [2000, 2001, 2002])
    index.save(tmp_path / "there")
    shutil.rmtree(tmp_path / "here")
    found = load(tmp_path / "there").search(vectors(3, seed=1), 1)
    assert found.ids.ravel().tolist() == [2000, 2001, 2002]


@pytest.mark.parametrize("engine", ["exact", "usearch", "faiss"])
def test_rows_that_lie_in_a_file_without_a_name_are_found_saved_and_merged(engine, tmp_path, monkeypatch):
    pytest.importorskip(engine if engine != "exact" else "numpy", reason=f"{engine} is not installed")
    rows = np.random.default_rng(3).standard_normal((1600, 12)).astype(np.float32)
    expected = make(engine).build(rows[:1300])
    monkeypatch.setattr("devise.arrays.SCRATCH_BYTES", 1000)
    index = make(engine).build(rows[:1300])
    assert index._segments[0].rows.base is not None, "the rows are mapped"
    for _ in range(2):
        np.testing.assert_array_equal(index.search(rows[:50], 5).ids, expected.search(rows[:50], 5).ids)
        assert index.recall(sample=50) == expected.recall(sample=50)
        for either in (index, expected):
            either.add(rows[1300:], np.arange(1300, 1600)) if len(either) == 1300 else either.remove([3])
    index.save(tmp_path)
    np.testing.assert_array_equal(load(tmp_path).vectors(index.ids), expected.vectors(expected.ids))
