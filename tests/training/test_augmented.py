import numpy as np
import pytest

from devise.training import AugmentedFeatures, Schedule


def bank_of(levels, schedule=None):
    return AugmentedFeatures([np.zeros((4, 2))] * levels, schedule)


def shares(bank, epoch, n=60_000):
    return np.bincount(bank.draw(n, epoch, np.random.default_rng(0)), minlength=len(bank.levels)) / n


@pytest.mark.parametrize(("share", "expected"), [
    (0.0, [1, 0, 0, 0]), (1 / 3, [1 / 2, 1 / 2, 0, 0]), (0.5, [0.4, 0.4, 0.2, 0]), (1.0, [1 / 4] * 4)])
def test_the_open_levels_come_equally_often_and_the_next_by_the_fraction(share, expected):
    np.testing.assert_allclose(shares(bank_of(4, lambda epoch: share), 1), expected, atol=0.01)


def test_the_schedule_opens_them_with_the_epochs():
    bank = bank_of(3, Schedule(0.0, 1.0, epochs=11, warm_up=2))
    assert [int((shares(bank, epoch) > 0).sum()) for epoch in (1, 3, 4, 8, 11)] == [1, 1, 2, 3, 3]


def test_without_a_schedule_all_are_open():
    np.testing.assert_allclose(shares(bank_of(2), 1), [0.5, 0.5], atol=0.01)


def test_one_level_is_the_plain_features():
    assert set(bank_of(1).draw(100, 1, np.random.default_rng(0)).tolist()) == {0}


def test_its_size_is_that_of_one_level():
    bank = bank_of(3)
    assert (len(bank), bank.shape) == (4, (4, 2))


def test_levels_stay_on_the_disk(tmp_path):
    np.save(tmp_path / "level.npy", np.zeros((4, 2)))
    assert isinstance(AugmentedFeatures([np.load(tmp_path / "level.npy", mmap_mode="r")]).levels[0], np.memmap)


@pytest.mark.parametrize(("levels", "message"), [
    ([], "levels have shapes"), ([np.zeros((4, 2)), np.zeros((4, 3))], r"\(4, 2\), \(4, 3\)"),
    ([np.zeros(4)], r"shapes \[\(4,\)\]")])
def test_levels_of_other_shapes_are_refused(levels, message):
    with pytest.raises(ValueError, match=message):
        AugmentedFeatures(levels)


def test_a_schedule_that_opens_more_than_all_is_refused_at_once():
    with pytest.raises(ValueError, match="the schedule gives 3.0: .* in 0..1"):
        bank_of(4, Schedule(0.0, 3.0, epochs=5))


def test_a_function_that_does_is_refused_when_it_does():
    bank = bank_of(4, lambda epoch: epoch - 1.0)
    bank.draw(1, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="the schedule gives 2.0"):
        bank.draw(1, 3, np.random.default_rng(0))
