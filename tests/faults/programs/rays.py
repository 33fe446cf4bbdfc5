"""A Ray of this machine, and extractions over it that are killed: `python rays.py HOME`, orders as those of forks.py.

    {"do": "act", "folder": …, "number": n}                      → {"exit": 0, "answer": rows computed, "seconds": …}
    {"do": "act", …, "seconds": s, "victim": "run" or "worker"}  kills that, s seconds after the workers are ready
    {"do": "look" or "kept", "folder": …}                        → {"exit": 0, "answer": …}

`python rays.py HOME extract ADDRESS FOLDER NUMBER` is one such extraction.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from functools import partial
from pathlib import Path

os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])

import acts  # noqa: E402

from devise import distributed  # noqa: E402
from devise.datasets import from_folder  # noqa: E402
from devise.distributed import ray  # noqa: E402

WORKERS, SHARD_ROWS = 2, 2


class Network(acts.SlowBackbone):
    """A network that takes fifty milliseconds a picture."""

    def features(self, pictures):
        time.sleep(0.049 * len(pictures))
        return super().features(pictures)


def load(pids):
    """The network, in a worker that leaves its process id."""
    (Path(pids) / str(os.getpid())).touch()
    return Network()


def extract(home, address, folder, number):
    """One run, which says when its workers are ready, and what it has computed."""
    gather, answers = ray.Crew.gather, sys.stdout
    sys.stdout = sys.stderr  # Ray tells of a worker that died there

    def said(crew):
        greetings = gather(crew)
        print("ready", file=answers, flush=True)
        return greetings

    ray.Crew.gather = said
    images = acts.chosen(from_folder(Path(home) / "pictures"), int(number))
    table = distributed.extract(images, partial(load, str(Path(home) / "pids")), folder, workers=WORKERS,
                                address=address, shard_rows=SHARD_ROWS, overwrite=True)
    print(table.computed, file=answers, flush=True)


def act(home, address, order):
    """An extraction in a process of its own, and its end."""
    pids = Path(home) / "pids"
    for path in pids.iterdir():
        path.unlink()
    run = subprocess.Popen([sys.executable, __file__, home, "extract", address, order["folder"], str(order["number"])],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ready = run.stdout.readline() == "ready\n"
    start = time.perf_counter()
    if ready and "seconds" in order:
        time.sleep(order["seconds"])
        workers = sorted(int(path.name) for path in pids.iterdir())
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid if order["victim"] == "run" else workers[order["number"] % len(workers)], signal.SIGKILL)
    out, seconds = run.stdout.readline(), time.perf_counter() - start
    _, err = run.communicate()
    return {"exit": run.returncode, "answer": int(out) if run.returncode == 0 else err[-3000:], "seconds": seconds}


def look(thing, order):
    try:
        return {"exit": 0, "answer": getattr(thing, order["do"])(Path(order["folder"]))}
    except Exception:
        return {"exit": 1, "answer": traceback.format_exc()}


def main(home):
    thing = acts.Extract(acts.World(Path(home)))
    (Path(home) / "pids").mkdir()
    with ray._connected(None, workers=WORKERS, cpus=1) as package:
        address = package.get_runtime_context().gcs_address
        print("ready", flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            print(json.dumps(act(home, address, order) if order["do"] == "act" else look(thing, order)), flush=True)


if __name__ == "__main__":
    if "extract" in sys.argv:
        extract(sys.argv[1], *sys.argv[3:])
    else:
        main(*sys.argv[1:])
