"""The cache that is bounded, and the thread that computes together what comes together."""

import threading

import numpy as np
import pytest

from devise.web.batcher import BATCH, Batcher, Full
from devise.web.renditions import Recent


def test_the_cache_holds_what_was_used_last_within_its_bound():
    random, recent, order = np.random.default_rng(0), Recent(100, size=len), []
    for _ in range(2000):
        key = int(random.integers(0, 40))
        value = recent.get(key, lambda key=key: b"x" * (key + 1))
        assert value == b"x" * (key + 1)
        order = [one for one in order if one != key] + [key]
        while sum(one + 1 for one in order) > 100:
            order.pop(0)
        assert {key for key in range(40) if key in recent} == set(order)
        assert recent.held == sum(one + 1 for one in order) <= 100
    assert recent.peek("none") is None and recent.peek(key) == value
    assert recent.get("large", lambda: b"x" * 101) and "large" not in recent
    with pytest.raises(KeyError):
        recent.get("failing", lambda: {}["none"])
    assert "failing" not in recent


class Slow:
    """A network that waits until it may go on; the sizes of the batches it has seen."""

    def __init__(self):
        self.go, self.seen = threading.Event(), []

    def features(self, pictures):
        self.go.wait(10)
        self.seen.append(len(pictures))
        if (pictures == 255).all():
            raise ValueError("white")
        return pictures.reshape(len(pictures), -1).astype(np.float32)


def picture(value):
    return np.full((2, 2, 3), value, np.uint8)


def test_pictures_that_wait_go_together_and_each_gets_its_own():
    network = Slow()
    batcher = Batcher(lambda: network, waiting=20)
    first = batcher.submit(picture(1))
    while batcher._queue.qsize():  # until the thread has taken it
        pass
    futures = [batcher.submit(picture(value)) for value in range(2, 22)]
    with pytest.raises(Full):
        batcher.submit(picture(99))
    network.go.set()
    for value, future in enumerate([first, *futures], 1):
        np.testing.assert_array_equal(future.result(10), np.full(12, value, np.float32))
    assert network.seen == [1, BATCH, BATCH, 4]
    batcher.close()


def test_an_error_reaches_those_who_wait_and_the_next_are_served():
    network = Slow()
    network.go.set()
    batcher = Batcher(lambda: network)
    with pytest.raises(ValueError, match="white"):
        batcher.submit(picture(255)).result(10)
    assert batcher.submit(picture(3)).result(10)[0] == 3
    batcher.close()
    assert batcher.submit(picture(4)).result(10)[0] == 4  # it can be opened again
    batcher.close()
