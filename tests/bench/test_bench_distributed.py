import json
from contextlib import contextmanager

import numpy as np
import pytest

from devise import backbones
from devise.bench import distributed
from devise.distributed.extraction import Worker


class InThisProcess:
    """In the place of a crew or of a process of its own: the same calls, answered here."""

    def __init__(self, members):
        self._members, self._state = members, {}

    def gather(self):
        return [member.describe() for member in self._members]

    def ask(self, function, **values):
        return getattr(distributed, function)(self._state, **values)

    def map(self, method, parts, *, workers=None):
        members = self._members[:workers]
        for number, part in reversed(list(enumerate(parts))):  # as they come, in any order
            yield number, getattr(members[number % len(members)], method)(part), "here"


@pytest.fixture
def asked(monkeypatch, make_backbone):
    """The sizes of the crews that were asked for."""
    sizes = []

    @contextmanager
    def crew(kind, load, threads, *, hello, workers):
        assert kind is Worker and threads == 1 and hello == "describe"
        sizes.append(workers)
        yield InThisProcess([kind(load, threads) for _ in range(workers)])

    @contextmanager
    def process(module):
        assert module == distributed.__name__
        yield InThisProcess([])

    for name in distributed.THREADS:
        monkeypatch.setenv(name, "1")  # restored after the test
    monkeypatch.setattr(distributed.ray, "crew", crew)
    monkeypatch.setattr(distributed, "Process", process)
    monkeypatch.setattr(backbones, "load", lambda name, weights: make_backbone())
    return sizes


def test_all_ways_compute_the_same_and_take_turns(asked, tmp_path):
    seen = []
    document = distributed.run(n=20, workers=3, rounds=1, progress=lambda *at: seen.append(at))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert asked == [3] and document["max_relative_error"] == 0
    assert [(row["what"], row["workers"], row["threads"]) for row in document["rows"]] == [
        ("Ray and the workers start", 3, 1), ("one process", 1, 3), ("devise, one worker", 1, 1),
        ("devise, 3 workers", 3, 1)]
    local, one, both = (row["seconds"] for row in document["rows"][1:])
    assert document["ratios"] == {"workers_over_one": pytest.approx(one / both),
                                  "workers_over_local": pytest.approx(local / both)}
    assert seen == [(done, 7) for done in range(1, 8)]
    assert distributed.plot(document, tmp_path / "bench.png").stat().st_size


def test_the_first_round_compiles_and_a_ratio_is_the_median_of_the_others(asked, monkeypatch):
    took = iter([99, 99, 1, 2, 4, 2, 2, 6, 2, 2, 9, 3])  # in turns by the process, one worker and all
    monkeypatch.setattr(distributed, "_timed", lambda *_, **more: {"seconds": next(took), "features": [1.0]})
    monkeypatch.setattr(distributed, "measure", lambda state: {"seconds": next(took), "features": [1.0]})
    found = distributed.run(n=2, workers=3, rounds=3)
    assert found["ratios"] == {"workers_over_one": 3, "workers_over_local": 1}
    assert [row["seconds"] for row in found["rows"][1:]] == [2, 6, 2]


def test_the_projection_is_plain_arithmetic():
    found = distributed.projection(50.0, 4096, pictures=10**6)
    assert found["worker_days"] == round(10**6 / 50 / 24 / 3600, 1)
    assert found["features_tb"] == np.prod([10**6, 4096, 4]) / 1e12
    assert found["read_tb"] == 0.1
