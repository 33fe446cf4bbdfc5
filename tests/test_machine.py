import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from devise.machine import machine, memory, proportional

GROWS = """
from devise.machine import memory
before = memory()
held = bytearray(b"x") * 2**26
after = memory()
del held
print(*before, *after, *memory())
"""


def told():
    return list(map(int, subprocess.check_output([sys.executable, "-c", GROWS], text=True).split()))


def test_facts_do_not_name_the_machine():
    assert platform.node() not in json.dumps(machine())
    assert machine()["cpus"] >= 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_memory_now_and_at_its_peak_while_64_mib_are_held_and_freed():
    now, _, held, peak, freed, peak_behind = told()
    assert 0.9 * 2**26 < held - now < 1.5 * 2**26 and held - freed > 0.9 * 2**26
    assert held - 2**22 < peak <= peak_behind + 2**22 < now + 1.5 * 2**26  # the system counts in blocks


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_the_peak_is_not_that_of_the_process_that_started_it():
    held = bytearray(b"x") * 2**28
    assert told()[1] < len(held)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_the_share_is_no_more_than_what_is_held():
    assert 0 < proportional() <= 1.1 * memory()[1]
