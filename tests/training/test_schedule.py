import math

import numpy as np
import pytest

from devise.training import Schedule


def test_linear_values_lie_on_a_line():
    np.testing.assert_allclose(Schedule(2.0, 10.0, epochs=9).values(), np.linspace(2, 10, 9))


def test_cosine_values_by_hand():
    values = Schedule(1.0, 3.0, epochs=5, shape="cosine").values()
    np.testing.assert_allclose(values, [1, 2 - math.sqrt(0.5), 2, 2 + math.sqrt(0.5), 3])


@pytest.mark.parametrize(("epochs", "warm_up", "steps", "expected"), [
    (8, 0, 4, [0, 0, 1, 1, 2, 2, 3, 3]), (6, 0, 2, [0, 0, 0, 3, 3, 3]), (8, 2, 2, [0, 0, 0, 0, 0, 3, 3, 3]),
    (4, 0, 4, [0, 1, 2, 3])])
def test_steps_are_as_long_as_one_another(epochs, warm_up, steps, expected):
    schedule = Schedule(0.0, 3.0, epochs=epochs, shape="steps", warm_up=warm_up, steps=steps)
    np.testing.assert_allclose(schedule.values(), expected)


@pytest.mark.parametrize("shape", ["linear", "cosine", "steps"])
@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (1.0, 0.25)])
@pytest.mark.parametrize("warm_up", [0, 3])
def test_it_stays_at_the_start_moves_one_way_and_stays_at_the_end(shape, start, end, warm_up):
    schedule = Schedule(start, end, epochs=12, shape=shape, warm_up=warm_up)
    values = schedule.values()
    assert set(values[:warm_up + 1]) == {start}
    assert [values[-1], schedule(13), schedule(1000)] == [end] * 3
    assert all((later - earlier) * (end - start) >= 0 for earlier, later in zip(values, values[1:], strict=False))


@pytest.mark.parametrize("shape", ["linear", "cosine", "steps"])
def test_with_nothing_but_a_last_epoch_it_is_at_the_end(shape):
    assert Schedule(0.0, 1.0, epochs=1, shape=shape).values() == (1.0,)
    assert Schedule(0.0, 1.0, epochs=3, warm_up=2, shape=shape).values() == (0.0, 0.0, 1.0)


def test_more_steps_than_epochs_still_end_at_the_end():
    values = Schedule(0.0, 1.0, epochs=3, shape="steps", steps=10).values()
    assert values[0] == 0 and values[-1] == 1 and max(values) <= 1


@pytest.mark.parametrize(("options", "message"), [
    ({"epochs": 0}, "epochs is 0"), ({"epochs": 3, "warm_up": 3}, "epochs is 3 and warm_up is 3"),
    ({"epochs": 3, "warm_up": -1}, "warm_up is -1"), ({"epochs": 3, "shape": "square"}, "shape is 'square'"),
    ({"epochs": 3, "steps": 1}, "steps is 1"), ({"epochs": 3, "end": math.nan}, "end is nan"),
])
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**{"start": 0.0, "end": 1.0, **options})


def test_epochs_are_counted_from_one():
    with pytest.raises(ValueError, match="epoch is 0"):
        Schedule(0.0, 1.0, epochs=3)(0)
