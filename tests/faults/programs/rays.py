"""A Ray of this machine, and extractions over it that are killed: `python rays.py HOME`, orders as those of forks.py.

    {"do": "act", "folder": …, "number": n}                      → {"exit": 0, "answer": rows computed, "seconds": …}
    {"do": "act", …, "seconds": s, "victim": "run" or "worker"}  kills that, s seconds after the workers are ready
    {"do": "look" or "kept", "folder": …}                        → {"exit": 0, "answer": …}

Ray and each extraction run in copies of this process, which has the libraries loaded and is not connected itself.
"""

import contextlib
import json
import multiprocessing
import os
import secrets
import signal
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
copies = multiprocessing.get_context("fork")


class Network(acts.SlowBackbone):
    """A network that takes fifty milliseconds a picture."""

    def features(self, pictures):
        time.sleep(0.049 * len(pictures))
        return super().features(pictures)


def load(pids):
    """The network, in a worker that leaves its process id."""
    (Path(pids) / str(os.getpid())).touch()
    return Network()


def copied(function, *arguments):
    """A copy of this process that does a function, and the pipe through which that answers."""
    here, there = copies.Pipe()
    copy = copies.Process(target=function, args=(there, *arguments))
    copy.start()
    there.close()
    return copy, here


def host(pipe):
    """Ray, until somebody asks for its end."""
    os.dup2(2, 1)  # orders are answered there
    with ray._connected(None, workers=WORKERS, cpus=1) as package:
        pipe.send(package.get_runtime_context().gcs_address)
        with contextlib.suppress(EOFError):
            pipe.recv()


def extract(pipe, home, address, folder, number):
    """One run, which says when its workers are ready, and what it has computed or why it has not."""
    os.dup2(2, 1)  # orders are answered there, and Ray tells of a worker that died
    gather = ray.Crew.gather

    def said(crew):
        greetings = gather(crew)
        pipe.send("ready")
        return greetings

    ray.Crew.gather = said
    try:
        images = acts.chosen(from_folder(Path(home) / "pictures"), number)
        table = distributed.extract(images, partial(load, str(Path(home) / "pids")), folder, workers=WORKERS,
                                    address=address, shard_rows=SHARD_ROWS, overwrite=True)
        pipe.send(table.computed)
    except BaseException:
        pipe.send(traceback.format_exc()[-3000:])
        sys.exit(1)


def act(home, address, order):
    """An extraction in a copy, and its end."""
    pids = Path(home) / "pids"
    for path in pids.iterdir():
        path.unlink()
    run, pipe = copied(extract, home, address, order["folder"], order["number"])
    answer, start = pipe.recv(), time.perf_counter()
    if answer == "ready" and "seconds" in order:
        time.sleep(order["seconds"])
        workers = sorted(int(path.name) for path in pids.iterdir())
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid if order["victim"] == "run" else workers[order["number"] % len(workers)], signal.SIGKILL)
    with contextlib.suppress(EOFError):
        answer = pipe.recv()
    seconds = time.perf_counter() - start
    run.join()
    return {"exit": run.exitcode, "answer": answer, "seconds": seconds}


def look(thing, order):
    try:
        return {"exit": 0, "answer": getattr(thing, order["do"])(Path(order["folder"]))}
    except Exception:
        return {"exit": 1, "answer": traceback.format_exc()}


def main(home):
    # what Ray is told where it starts, for all copies and before the package is loaded
    os.environ |= ray.LOCAL | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    ray.require("ray", "ray")
    cluster, pipe = copied(host)
    thing = acts.Extract(acts.World(Path(home)))
    (Path(home) / "pids").mkdir()
    address = pipe.recv()
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(act(home, address, order) if order["do"] == "act" else look(thing, order)), flush=True)
    pipe.send("end")
    cluster.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
