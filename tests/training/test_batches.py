import numpy as np
import pytest

from devise.training.batches import Batches, edges, usual_size


@pytest.mark.parametrize("n", [2, 7, 31, 32, 33, 100, 1233])
@pytest.mark.parametrize("batch_size", [2, 5, 32, 5000])
def test_batches_cover_every_row_once_and_evenly(n, batch_size):
    ends = edges(n, batch_size)
    sizes = np.diff(ends)
    assert (ends[0], ends[-1]) == (0, n)
    assert sizes.max() <= batch_size and sizes.max() - sizes.min() <= 1
    assert len(sizes) == int(np.ceil(n / batch_size))


def test_a_small_set_gets_small_batches():
    assert [usual_size(n) for n in (2, 160, 200, 640, 10 ** 6)] == [8, 8, 10, 32, 32]


def rows_of(batches, seed):
    """What each batch of one epoch holds, as (feature, label) lists."""
    out = []
    for features, labels, order, ends in batches.epoch(np.random.default_rng(seed)):
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
    found = rows_of(Batches(mapped, data[1], batch_size=4, resident_bytes=resident_bytes), seed=3)
    assert sorted(len(labels) for _, labels in found) == [3, 4, 4, 4, 4, 4]
    assert sum((labels for _, labels in found), []) == order.tolist()
    for features, labels in found:
        np.testing.assert_array_equal(features, data[0][labels])


def test_each_part_stays_within_the_limit(data):
    batches = Batches(*data, batch_size=4, resident_bytes=8 * 8)
    parts = [np.asarray(features).nbytes for features, *_ in batches.epoch(np.random.default_rng(0))]
    assert len(parts) == 3 and max(parts) <= 8 * 8


def test_every_epoch_has_its_own_order(data):
    batches, rng = Batches(*data, batch_size=4, resident_bytes=10 ** 6), np.random.default_rng(0)
    first, second = (next(batches.epoch(rng))[2].numpy() for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(23))
    assert not np.array_equal(first, second)
