"""How long the first answer takes from a cold start, as whole processes, against importing TensorFlow."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from devise.bench.extract import draw_pictures
from devise.bench.serve import fetched, start_server
from devise.bench.worker import Steps, in_turns, medians, ratio

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
            picture = str(draw_pictures(place, count).file(0))  # at last one that is not in the index
        _ran("-m", "devise", "index", str(pictures), "-o", str(index))
        ways = {BASE: partial(_ran, "-c", BASE), "devise tag": partial(_ran, "-m", "devise", "tag", picture),
                "devise search --text": partial(_ran, "-m", "devise", "search", str(index), "--text", TEXT),
                "devise search --picture": partial(_ran, "-m", "devise", "search", str(index), "--picture", picture),
                "devise serve, first answer": partial(_served, index)}
        measured = in_turns(ways, n + 1, Steps(progress, (n + 1) * len(ways)))
    counted = {what: results[1:] for what, results in measured.items()}
    rows = [{"what": what} | medians(results, *results[0]) for what, results in counted.items()]
    ratios = {name: {what: ratio(results, counted[BASE], name) for what, results in counted.items() if what != BASE}
              for name in ("seconds", "cpu_seconds")}
    return {"bench": "start", "rows": rows, "ratios": ratios, "rounds": n}


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
    server, port = start_server(index)
    try:
        asyncio.run(fetched(port, f"/api/by-text?text={TEXT}"))
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
