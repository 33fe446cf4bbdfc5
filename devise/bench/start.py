"""How long the first answer takes from a cold start, as whole processes, against importing TensorFlow."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from devise.bench.extract import _drawn
from devise.bench.serve import _fetched, _started
from devise.bench.worker import Steps

TEXT = "ocean"
BASE = "import tensorflow"
PICTURES = 16  # of the index that is searched


def run(*, n=5, progress=None):
    """Time `devise tag`, `search` and the first answer of `serve` in n rounds, in each beside `import tensorflow`.

    A round before them is not counted: it writes what is kept, the network's file and the words'. The pictures are
    drawn, the model is the one that needs no training.

    Args:
        n: rounds.
        progress: called with the steps done and their number.
    Returns:
        {"bench": "start", "rows": [{"what", "seconds", "cpu_seconds", "peak_mib"}], medians over the rounds,
        "ratios": {"seconds" and "cpu_seconds", each {what: the median of ours / theirs of the same round}}, "rounds"}.
    Raises:
        RuntimeError: if a command fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        pictures, other, index = (Path(folder) / name for name in ("pictures", "other", "index"))
        for place, count in ((pictures, PICTURES), (other, 1)):
            place.mkdir()
            picture = str(_drawn(place, count).file(0))  # at last one that is not in the index
        _ran("-m", "devise", "index", str(pictures), "-o", str(index))
        ways = {BASE: partial(_ran, "-c", BASE), "devise tag": partial(_ran, "-m", "devise", "tag", picture),
                "devise search --text": partial(_ran, "-m", "devise", "search", str(index), "--text", TEXT),
                "devise search --picture": partial(_ran, "-m", "devise", "search", str(index), "--picture", picture),
                "devise serve, first answer": partial(_served, index)}
        measured, step = {what: [] for what in ways}, Steps(progress, (n + 1) * len(ways))
        for what, way in (n + 1) * list(ways.items()):
            measured[what].append(way())
            step()
    counted = {what: results[1:] for what, results in measured.items()}
    rows = [{"what": what} | {name: float(np.median([result[name] for result in results])) for name in results[0]}
            for what, results in counted.items()]
    return {"bench": "start", "rows": rows, "ratios": ratios(counted), "rounds": n}


def ratios(measured):
    """The medians over the rounds of ours / that of importing TensorFlow in the same round.

    >>> ratios({BASE: [{"seconds": 4.0}], "devise tag": [{"seconds": 1.0}]})
    {'seconds': {'devise tag': 0.25}}
    """
    return {name: {what: float(np.median([ours[name] / theirs[name] for ours, theirs in
                                          zip(results, measured[BASE], strict=True)]))
                   for what, results in measured.items() if what != BASE}
            for name in ("seconds", "cpu_seconds") if name in measured[BASE][0]}


def _ran(*argv):
    """What a Python process took that ended by itself."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = _ended(process)
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed with {process.returncode}: run it alone to see why")
    return {"seconds": time.perf_counter() - started, **found}


def _served(index):
    """What a server took from its start to its first answer; of the processors' time and memory until its end."""
    started = time.perf_counter()
    server, port = _started(index)
    try:
        asyncio.run(_fetched(port, f"/api/by-text?text={TEXT}"))
        seconds = time.perf_counter() - started
    finally:
        server.terminate()
        found = _ended(server)
    return {"seconds": seconds, **found}


def _ended(process):
    """Seconds of the processors and the most memory of a process, once it has ended."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    kilo = 1 if sys.platform == "darwin" else 1024
    return {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss * kilo / 2**20}
