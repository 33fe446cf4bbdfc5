"""kill -9 at any moment: afterwards the old state, the new one, or one that goes on; never a mixture."""

import random
import shutil
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

FETCHED = 200_004  # bytes of the file that is fetched
OVER_RAY = 0.6  # seconds that an extraction over Ray takes: ten pictures a worker, fifty milliseconds a picture
ENGINES = ("exact", "annoy", "faiss", "hnswlib", "usearch")
ACTS = ("extract", "train", "build", "add", "sync", "convert", *(f"save:{engine}" for engine in ENGINES))


def of(act):
    """The act, or a skip where the package of its engine is not installed."""
    package = {"add": "annoy"}.get(act, act.partition(":")[2])
    absent = package not in ("", "exact") and find_spec(package) is None
    return pytest.param(act, marks=pytest.mark.skipif(absent, reason=f"{package} is not installed"))


def state(told):
    """The generation that a look found; an error of it is the failure of the test."""
    assert told["exit"] == 0, told["answer"]
    return told["answer"]


def killed_at_random(fork, folder, kills, seed=0):
    """Kill the act again and again: {"old" | "new" | "absent": how often}."""
    moments, found = random.Random(seed), {"old": 0, "new": 0, "absent": 0}
    number, whole = 0, fork("act", folder, number=0)["seconds"]
    for _ in range(kills):
        if moments.random() < 0.3:  # the first time of all, where nothing is there yet
            shutil.rmtree(folder)
            number = None
        following = 0 if number is None else number + 1
        told = fork("act", folder, number=following, seconds=moments.uniform(0, 1.1 * whole))
        assert told["exit"] in (-9, 0), told["answer"]
        after = state(fork("look", folder))
        assert after in (number, following)
        found["absent" if after is None else "new" if after == following else "old"] += 1
        if after != following and moments.random() < 0.5:  # the same again ends as if nothing had been
            told = fork("act", folder, number=following)
            assert told["exit"] == 0, told["answer"]
            assert state(fork("look", folder)) == following
        number = state(fork("look", folder))
        if number is None:
            fork("act", folder, number=0)
            number = 0
    return found


@pytest.mark.parametrize("act", [of(act) for act in ACTS])
def test_killed_at_random_moments(act, forks, memory, size, count):
    kills = size(3, 200)
    found = killed_at_random(partial(forks, act), memory / "artefact", kills)
    assert sum(found.values()) == kills
    count(f"kill -9, {act}", kills=kills, **found)


@pytest.mark.parametrize("act", [of(act) for act in ACTS])
def test_killed_before_each_of_its_steps(act, forks, memory, size, count):
    """Every opening for writing, renaming and removal, where the moments between are few."""
    fork, fresh = partial(forks, act), memory / "artefact"
    assert fork("act", fresh, number=0)["exit"] == 0
    steps = fork("act", shutil.copytree(fresh, memory / "copy"), number=1)["steps"]
    assert steps > 3
    states = []
    for step in np.unique(np.linspace(0, steps - 1, size(5, steps), dtype=int)).tolist():
        folder = shutil.copytree(fresh, memory / f"{step}")
        assert fork("act", folder, number=1, step=step)["exit"] == -9
        states.append(state(fork("look", folder)))
        assert fork("act", folder, number=1)["exit"] == 0
        assert state(fork("look", folder)) == 1
        shutil.rmtree(folder)
    assert states == sorted(states) and states[0] == 0
    count(f"kill -9 before a step, {act}", steps=len(states), old=states.count(0), new=states.count(1))


def test_what_was_computed_before_a_kill_is_not_computed_again(forks, memory, size):
    fork, folder = partial(forks, "extract"), memory / "artefact"
    kept = []
    steps = fork("act", memory / "whole", number=0)["steps"]
    for step in range(0, steps, max(1, steps // size(8, steps))):
        shutil.rmtree(folder, ignore_errors=True)
        fork("act", folder, number=0, step=step)
        if state(fork("look", folder)) is None:
            kept.append(state(fork("kept", folder)))
            assert state(fork("act", folder, number=0)) == 20 - kept[-1]
            assert state(fork("look", folder)) == 0
    assert kept == sorted(kept) and kept[0] == 0 and kept[-1] == 20


def test_an_archive_is_unpacked_whole_or_not_at_all(forks, memory, size, count):
    moments, absent, kills = random.Random(0), 0, size(6, 200)
    whole = forks("unpack", "act", memory / "first", number=0)["seconds"]
    for _ in range(kills):
        folder = memory / "artefact"
        forks("unpack", "act", folder, number=0, seconds=moments.uniform(0, 1.1 * whole))
        if state(forks("unpack", "look", folder)) is None:
            absent += 1
            assert forks("unpack", "act", folder, number=0)["exit"] == 0
        assert state(forks("unpack", "look", folder)) == 0
        shutil.rmtree(folder)
    count("kill -9, unpack", kills=kills, absent=absent, new=kills - absent)


def test_a_fetch_killed_at_random_moments_asks_for_the_rest_only(forks, memory, slow_server, size, count):
    moments, kills, found, saved = random.Random(0), size(6, 200), {"old": 0, "new": 0, "absent": 0}, 0
    act, folder, number = f"fetch:{slow_server.url}", memory / "artefact", None
    whole = forks(act, "act", memory / "first", number=0)["seconds"]
    for _ in range(kills):
        following = 0 if number is None else number + 1
        seconds = moments.uniform(0, 1.1 * whole)
        if moments.random() < 0.5:  # or while the server holds its breath
            slow_server.stall, seconds = moments.randrange(200_000), 2 * whole
        forks(act, "act", folder, number=following, seconds=seconds)
        slow_server.stall = None
        after = state(forks(act, "look", folder))
        assert after in (number, following)
        found["absent" if after is None else "new" if after == following else "old"] += 1
        part, asked = state(forks(act, "kept", folder)), len(slow_server.asked)
        assert forks(act, "act", folder, number=following)["exit"] == 0
        assert state(forks(act, "look", folder)) == following
        # all may have come before the kill, and on a busy machine the server may hear late of who was killed
        assert after == following or part == FETCHED or part in slow_server.asked[asked:]
        saved += part
        number = following
        if moments.random() < 0.3:
            shutil.rmtree(folder)
            number = None
    assert saved, "no kill fell into a download: the test proves nothing"
    count("kill -9, fetch", kills=kills, **found, bytes_not_fetched_twice=saved)


@pytest.mark.parametrize("victim", ["run", "worker"])
def test_an_extraction_over_ray_that_is_killed_goes_on_behind_its_shards(victim, rays, memory, size, count):
    """The moment is drawn from when the workers are ready; a worker's death must not be seen at all."""
    moments, kills, found = random.Random(1), size(1, 100), {"old": 0, "new": 0, "absent": 0}
    fork, folder, number, kept = partial(rays, "extract"), memory / "artefact", None, 0
    for _ in range(kills):
        following = 0 if number is None else number + 1
        told = fork("act", folder, number=following, seconds=moments.uniform(0, OVER_RAY), victim=victim)
        assert told["exit"] in ((-9, 0) if victim == "run" else (0,)), told["answer"]
        after = state(fork("look", folder))
        assert after == following or (victim == "run" and after == number)
        found["absent" if after is None else "new" if after == following else "old"] += 1
        if after != following:
            waiting = state(fork("kept", folder))
            told = fork("act", folder, number=following)
            assert told["exit"] == 0, told["answer"]
            if after is None:  # a part may be written and not yet be said to be
                assert 20 - waiting <= told["answer"] <= 22 - waiting
            assert state(fork("look", folder)) == following
            kept += waiting
        number = following
        if moments.random() < 0.6:
            shutil.rmtree(folder)
            number = None
    count(f"kill -9, extract over Ray: the {victim}", kills=kills, **found, rows_kept=kept)


def test_the_suite_sees_a_write_that_is_not_atomic(forks, memory):
    fork, folder = partial(forks, "plain"), memory / "artefact"
    assert fork("act", folder, number=0)["exit"] == 0
    assert fork("act", folder, number=1, step=2)["exit"] == -9
    told = fork("look", folder)
    assert told["exit"] == 1 and "is not valid JSON" in told["answer"]
