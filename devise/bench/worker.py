"""What benchmarks share: a process of its own for what is measured, time and memory of it, and a count of steps.

In a process of its own memory is its own too. The measuring process asks a question as a line of JSON, the
worker answers with another. It stays as it is between two questions, so that several can be measured in
turns and be there at the same time.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from devise.machine import memory


class Worker:
    """Calls functions of a module in another process.

    Args:
        module: dotted name; its functions that are asked for take a dict, which lives as long as the worker,
            and named values that JSON can hold, and return another.
    """

    def __init__(self, module):
        call = f"from devise.bench.worker import serve; serve({module!r})"
        root = Path(__file__).resolve().parents[2]  # runs from a checkout that is not installed too
        self._process = subprocess.Popen([sys.executable, "-c", call], cwd=root, text=True, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, function, **values):
        """What the function returned.

        Raises:
            RuntimeError: if the worker ended over it; the message has its last line.
        """
        try:
            self._process.stdin.write(json.dumps([function, values]) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended before, and left a reason
        answer = self._process.stdout.readline()
        if not answer:
            reason = self._process.stderr.read().strip().splitlines() or ["without a word"]
            raise RuntimeError(f"{function} failed: {reason[-1]}")
        return json.loads(answer)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            self._process.kill()
        self._process.__exit__(kind, error, trace)  # its pipes are closed, which ends it


class Steps:
    """Counts what is done: called once a step, it calls progress(done, total)."""

    def __init__(self, progress, total):
        self._progress, self._done, self._total = progress, 0, total

    def __call__(self):
        self._done += 1
        self.tell()

    def tell(self):
        """Say how many are done, without another."""
        if self._progress:
            self._progress(self._done, self._total)


def in_turns(ways, rounds, step):
    """{way: [what it gave in each round]}: the ways take turns, so that a busy minute does not fall on one alone.

    Args:
        ways: {way: what measures it, a function without arguments}.
        step: called after each measurement.
    """
    found = {way: [] for way in ways}
    for _ in range(rounds):
        for way, measure in ways.items():
            found[way].append(measure())
            step()
    return found


def medians(results, *names):
    """{name: median over the rounds} of those names that the results have.

    >>> medians([{"seconds": 1}, {"seconds": 3}], "seconds", "peak_mib")
    {'seconds': 2.0}
    """
    return {name: float(np.median([result[name] for result in results])) for name in names
            if results[0].get(name) is not None}


def ratio(theirs, ours, name="seconds"):
    """The median over the rounds of theirs / ours of the same round.

    >>> ratio([{"seconds": 2}, {"seconds": 6}], [{"seconds": 1}, {"seconds": 2}])
    2.5
    """
    return float(np.median([one[name] / other[name] for one, other in zip(theirs, ours, strict=True)]))


def timed(work):
    """(seconds, what a piece of work gives)."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def measured(work):
    """What a piece of work gives, and what it took.

    Returns:
        (the result, {"seconds", "cpu_seconds", "mib" (peak, all of the process), "mib_above" (what it held before)})
    """
    before, cpu = memory()[0], time.process_time()
    seconds, result = timed(work)
    cpu, peak = time.process_time() - cpu, memory()[1]
    return result, {"seconds": seconds, "cpu_seconds": cpu, "mib": peak / 2**20, "mib_above": (peak - before) / 2**20}


def serve(module):
    """Answer until the questions end; engines that print to stdout don't disturb the answers."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    functions, state = importlib.import_module(module), {}
    for line in sys.stdin:
        name, values = json.loads(line)
        answers.write(json.dumps(getattr(functions, name)(state, **values)) + "\n")
        answers.flush()
