import numpy as np
import pytest

from devise.training import AugmentedFeatures, Schedule
from devise.training.batches import Batches, ClassRows, EveryRow


def rows_of(batches, seed, number=1):
    """What each batch of one epoch holds, as (feature, label) lists."""
    out = []
    for features, labels, order, ends in batches.epoch(np.random.default_rng(seed), number):
        features, labels, order, ends = (np.asarray(part) for part in (features, labels, order, ends))
        for start, stop in zip(ends[:-1], ends[1:], strict=True):
            rows = order[start:stop]
            out.append((features[rows].tolist(), labels[rows].tolist()))
    return out


@pytest.fixture
def data():
    features = np.arange(46.0).reshape(23, 2).astype(np.float32)
    return features, np.arange(23)


@pytest.mark.parametrize("resident_bytes", [10 ** 6, 1, 8 * 4 * 2, 8 * 4 * 3])
def test_in_memory_or_streamed_the_batches_are_the_same(data, tmp_path, resident_bytes):
    np.save(tmp_path / "features.npy", data[0])
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    order = np.random.default_rng(3).permutation(23)
    found = rows_of(Batches(mapped, data[1], EveryRow(23, 4), resident_bytes=resident_bytes), seed=3)
    assert sorted(len(labels) for _, labels in found) == [3, 4, 4, 4, 4, 4]
    assert sum((labels for _, labels in found), []) == order.tolist()
    for features, labels in found:
        np.testing.assert_array_equal(features, data[0][labels])


def test_each_part_stays_within_the_limit(data):
    batches = Batches(*data, EveryRow(23, 4), resident_bytes=8 * 8)
    parts = [np.asarray(features).nbytes for features, *_ in batches.epoch(np.random.default_rng(0))]
    assert len(parts) == 3 and max(parts) <= 8 * 8


def test_every_epoch_has_its_own_order(data):
    batches, rng = Batches(*data, EveryRow(23, 4), resident_bytes=10 ** 6), np.random.default_rng(0)
    first, second = (next(batches.epoch(rng))[2].numpy() for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(23))
    assert not np.array_equal(first, second)


def test_batches_of_classes_hold_the_rows_that_were_drawn():
    features, labels = np.arange(46.0).reshape(23, 2).astype(np.float32), np.arange(23) % 3
    draw = ClassRows(labels, 2, 4)
    order, ends = draw.draw(np.random.default_rng(3))
    for resident_bytes in (10 ** 6, 8 * 8, 1):
        found = rows_of(Batches(features, labels, draw, resident_bytes=resident_bytes), seed=3)
        assert [label for _, part in found for label in part] == labels[order].tolist()
        assert [len(part) for _, part in found] == np.diff(ends).tolist()
        assert [row for part, _ in found for row in part] == features[order].tolist()


def copies(features):
    """Three levels; the thousands of a value say which one it is from."""
    return [features + 1000 * level for level in range(3)]


@pytest.mark.parametrize("resident_bytes", [10 ** 6, 8 * 23 * 2, 8 * 8, 1])
def test_of_a_bank_each_row_comes_from_one_of_the_open_levels(data, tmp_path, resident_bytes):
    paths = [tmp_path / f"{level}.npy" for level in range(3)]
    for path, level in zip(paths, copies(data[0]), strict=True):
        np.save(path, level)
    bank = AugmentedFeatures([np.load(path, mmap_mode="r") for path in paths], Schedule(0.0, 1.0, epochs=3))
    batches = Batches(bank, data[1], EveryRow(23, 4), resident_bytes=resident_bytes)
    plain = Batches(*data, EveryRow(23, 4), resident_bytes=10 ** 6)
    for epoch, opened in ((1, {0}), (2, {0, 1}), (3, {0, 1, 2})):
        found, levels = rows_of(batches, seed=epoch, number=epoch), set()
        for (rows, labels), (plain_rows, plain_labels) in zip(found, rows_of(plain, seed=epoch), strict=True):
            assert labels == plain_labels  # the order is that of plain features
            level, own = np.divmod(np.array(rows), 1000)
            np.testing.assert_array_equal(own, plain_rows)
            levels |= set(level.ravel().tolist())
        assert levels == opened


def test_in_memory_or_streamed_a_bank_draws_the_same_levels(data):
    bank = AugmentedFeatures(copies(data[0]))
    first, second = (rows_of(Batches(bank, data[1], EveryRow(23, 4), resident_bytes=size), seed=0)
                     for size in (10 ** 6, 1))
    assert first == second


def test_the_parts_of_a_bank_stay_within_the_limit_too(data):
    batches = Batches(AugmentedFeatures(copies(data[0])), data[1], EveryRow(23, 4), resident_bytes=8 * 23 + 8)
    assert max(np.asarray(part[0]).nbytes for part in batches.epoch(np.random.default_rng(0))) <= 8 * 23 + 8
