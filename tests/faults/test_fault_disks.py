"""Disks that are full, folders that can't be written and clocks that jump: an error in words, and the old state."""

import contextlib
import os
import shutil
import subprocess
from functools import partial
from importlib.util import find_spec

import pytest

DAY = 24 * 60 * 60
ENGINES = [engine for engine in ("exact", "annoy", "faiss", "hnswlib", "usearch")
           if engine == "exact" or find_spec(engine)]
ACTS = ("extract", "train", "build", "convert", *(f"save:{engine}" for engine in ENGINES))


def state(told):
    assert told["exit"] == 0, told["answer"]
    return told["answer"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of four megabytes of its own; mounting one takes the administrator's rights."""
    place = tmp_path / "disk"
    place.mkdir()
    if not shutil.which("mount") or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place],
                                                   capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@contextlib.contextmanager
def filled(disk, left):
    """The disk with this many bytes left on it."""
    with open(disk / "filler", "wb") as file:
        file.write(bytes(max(0, shutil.disk_usage(disk).free - left)))
    try:
        yield
    finally:
        (disk / "filler").unlink()


def refused(told):
    """Whether an act ended with an error of the disk, not by a signal."""
    assert told["exit"] in (0, 1), f"ended by signal {told['exit']}"
    if told["exit"] == 1:
        last = told["answer"].strip().splitlines()[-1]
        assert last.startswith(("OSError", "PermissionError", "RuntimeError", "FileExistsError")), told["answer"]
    return told["exit"] == 1


@pytest.mark.parametrize("act", ACTS)
def test_a_full_disk_leaves_the_old_state_and_an_error(act, forks, small_disk, size, count):
    fork, folder = partial(forks, act), small_disk / "artefact"
    assert fork("act", folder, number=0)["exit"] == 0
    failures = tried = number = 0
    for left in range(0, size(40_000, 120_000), size(13_000, 2_000)):
        with filled(small_disk, left):
            told = fork("act", folder, number=number + 1)
            failures += refused(told)
            tried += 1
            after = state(fork("look", folder))
            assert after == number + (told["exit"] == 0)
        assert fork("act", folder, number=number + 1)["exit"] == 0
        number = state(fork("look", folder))
        assert number == after + (told["exit"] == 1)
    assert failures
    count(f"full disk, {act}", tried=tried, errors=failures, signals=0, damaged=0)


@pytest.mark.parametrize("act", ACTS)
def test_a_file_that_may_not_grow_leaves_the_old_state(act, forks, memory, size):
    """As a full disk, for everyone: the process may not write more than so many bytes to one file."""
    fork, folder, failures = partial(forks, act), memory / "artefact", 0
    assert fork("act", folder, number=0)["exit"] == 0
    for room in [100, 1000, 3000][:size(2, 3)]:
        told = fork("act", folder, number=1, room=room)
        failures += refused(told)
        assert state(fork("look", folder)) == (told["exit"] == 0)
    assert failures
    assert fork("act", folder, number=1)["exit"] == 0 and state(fork("look", folder)) == 1


@pytest.mark.parametrize("act", ("extract", "train", "build", "save:exact", "convert"))
def test_a_folder_that_can_only_be_read_is_read(act, forks, memory):
    """Reading writes nothing, writing says what it can't do; the administrator gives up the right to all."""
    fork, folder = partial(forks, act), memory / "artefact"
    assert fork("act", folder, number=0)["exit"] == 0
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert state(fork("look", folder, ordinary=True)) == 0
    told = fork("act", folder, number=1, ordinary=True)
    assert told["exit"] == 1 and "PermissionError" in told["answer"]
    assert state(fork("look", folder, ordinary=True)) == 0
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)


def test_nothing_is_written_where_nothing_changed(forks, memory):
    folder = memory / "artefact"
    assert state(forks("extract", "act", folder, number=0)) == 20
    folder.chmod(0o555)
    assert state(forks("extract", "act", folder, number=0, ordinary=True)) == 0
    folder.chmod(0o755)


@pytest.mark.parametrize("act", ("extract", "train", "build", "save:exact", "convert"))
def test_clocks_that_jump(act, forks, memory):
    fork, folder = partial(forks, act), memory / "artefact"
    for number, clock in enumerate((0, 3650 * DAY, -3650 * DAY, 0, 2 * DAY)):
        assert fork("act", folder, number=number, clock=clock)["exit"] == 0
        assert state(fork("look", folder, clock=-clock)) == number
        for path in folder.rglob("*"):
            os.utime(path, (0, 2**32 if number % 2 else 0))
        assert state(fork("look", folder)) == number
        assert fork("act", folder, number=number + 1, clock=clock, seconds=0.001)["exit"] in (-9, 0)
        if state(fork("look", folder)) != number:
            assert fork("act", folder, number=number)["exit"] == 0


def test_pictures_of_another_date_are_not_computed_again(forks, memory, size):
    folder = memory / "artefact"
    assert state(forks("extract", "act", folder, number=0)) == 20
    for clock in (-3650 * DAY, 3650 * DAY):
        assert state(forks("extract", "touch", folder, clock=clock)) == 40
        assert state(forks("extract", "act", folder, number=0)) == 0
        assert state(forks("extract", "look", folder)) == 0
