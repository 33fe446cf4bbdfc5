"""Pictures a second through workers of one thread each, against one process with as many threads."""

import os
import tempfile
import time
from functools import partial
from operator import itemgetter
from pathlib import Path

import numpy as np

from devise import backbones, features
from devise.bench.extract import draw_pictures
from devise.bench.worker import Steps, in_turns, medians, ratio, timed
from devise.bench.worker import Worker as Process
from devise.datasets import from_folder
from devise.distributed import ray
from devise.distributed.extraction import THREADS, Worker
from devise.distributed.sources import OnDisk
from devise.machine import cpus

SHARD_ROWS = 16
MANY = 100_000_000  # pictures, for the projection
PICTURE_BYTES = 100_000  # of one of those, as photographs of 500 × 400 take


def run(*, backbone="efficientnet_lite0", n=192, workers=None, rounds=3, progress=None):
    """Time extraction, decoding included, in one process, by one worker and by several.

    They take turns, for `rounds` rounds, after one that compiles; the medians count. Workers are
    started before: starting them has a row of its own.

    Args:
        backbone: its name; with random weights.
        n: pictures, which are drawn.
        workers: how many; None for one a processor, two at least.
        progress: called as progress(done, total) after each measurement.
    Returns:
        {"bench": "distributed", sizes, "rows": [{"what", "workers", "threads" (of each), "pictures",
        "seconds", "pictures_per_second"}], "ratios": {"workers_over_one" (at best the number of
        workers), "workers_over_local"}, "max_relative_error" (of the workers' features to those of one
        process), "projection": of 100 million pictures, see `projection`}.
    """
    workers = workers or max(2, cpus())
    load, step = partial(backbones.load, backbone, weights="random:0"), Steps(progress, 1 + 3 * (rounds + 1))
    with tempfile.TemporaryDirectory() as folder, Process("devise.bench.distributed") as local:
        images = draw_pictures(Path(folder), n)
        parts = [OnDisk(images).part(np.arange(start, min(start + SHARD_ROWS, n))) for start in range(0, n, SHARD_ROWS)]
        local.ask("begin", backbone=backbone, folder=folder, threads=workers)
        started = time.perf_counter()
        with ray.crew(Worker, load, 1, hello="describe", workers=workers) as crew:
            description = crew.gather()[0]
            rows = [_row("Ray and the workers start", workers, 1, n, time.perf_counter() - started) |
                    {"pictures_per_second": None}]
            ways = {"local": lambda: local.ask("measure"), "one": lambda: _timed(crew, parts, workers=1),
                    "all": lambda: _timed(crew, parts)}
            step()
            found = in_turns(ways, rounds + 1, step)
    timed = {name: results[1:] for name, results in found.items()}  # the first one compiled
    took = {name: medians(results, "seconds")["seconds"] for name, results in timed.items()}
    rows += [_row("one process", 1, workers, n, took["local"]), _row("devise, one worker", 1, 1, n, took["one"]),
             _row(f"devise, {workers} workers", workers, 1, n, took["all"])]
    mine, theirs = (np.array(found[name][-1]["features"]) for name in ("all", "local"))
    return {"bench": "distributed", "backbone": backbone, "n": n, "workers": workers, "rounds": rounds, "rows": rows,
            "ratios": {f"workers_over_{name}": ratio(timed[name], timed["all"]) for name in ("one", "local")},
            "max_relative_error": float(np.abs(mine - theirs).max() / np.abs(theirs).max()),
            "projection": projection(rows[-1]["pictures_per_second"] / workers, description["dim"])}


def plot(document, path):
    """Pictures a second of each way; returns the path."""
    from devise.plots import bar_plot

    rows = {row["what"]: row["pictures_per_second"] for row in document["rows"]}
    return bar_plot({"": rows}, path, title=f"Extraction with {document['backbone']}, decoding included",
                    label="pictures a second")


def projection(per_second, dim, pictures=MANY):
    """What so many pictures take: days of one worker at its rate, TB to read and TB of float32 features.

    >>> projection(100.0, 1280)
    {'pictures': 100000000, 'per_second_and_worker': 100.0, 'worker_days': 11.6, 'read_tb': 10.0, 'features_tb': 0.512}
    """
    return {"pictures": pictures, "per_second_and_worker": round(per_second, 2),
            "worker_days": round(pictures / per_second / 86_400, 1), "read_tb": PICTURE_BYTES * pictures / 1e12,
            "features_tb": 4 * dim * pictures / 1e12}


def begin(state, *, backbone, folder, threads):
    """In a process of its own: load the network, with so many threads."""
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    state |= {"backbone": backbones.load(backbone, weights="random:0"), "images": from_folder(folder, check=False)}


def measure(state):
    """The seconds that all pictures took, and their features."""
    seconds, table = timed(lambda: features.compute(state["images"], state["backbone"]))
    return {"seconds": seconds, "features": table.matrix.tolist()}


def _timed(crew, parts, workers=None):
    seconds, shards = timed(lambda: sorted(crew.map("extract", parts, workers=workers), key=itemgetter(0)))
    return {"seconds": seconds, "features": np.concatenate([shard.vectors for _, shard, _ in shards]).tolist()}


def _row(what, workers, threads, pictures, seconds):
    return {"what": what, "workers": workers, "threads": threads, "pictures": pictures, "seconds": seconds,
            "pictures_per_second": pictures / seconds}
