"""What a worker measures of one index engine: each function is asked for by name, see `devise.bench.worker`."""

import time
from pathlib import Path

import numpy as np

from devise import index as indexes
from devise.bench.worker import timed
from devise.machine import memory, proportional

SINGLE_QUERIES, SINGLE_SECONDS = 200, 3.0  # a round of single queries ends with either
CHANGED = 10  # rows
CURVES = {"annoy": ("search_k", (2_000, 8_000, 32_000, 128_000)), "faiss": ("n_probes", (1, 4, 16, 64, 256)),
          "hnswlib": ("search_depth", (10, 30, 100, 300)), "usearch": ("search_depth", (10, 30, 100, 300))}


def build(state, *, engine, folder, jobs):
    """Build an index of the members and save it beside them."""
    members = np.load(Path(folder) / "members.npy", mmap_mode="r")
    new = indexes.make(engine)
    if "n_jobs" in new.parameters:
        new = indexes.make(engine, n_jobs=jobs)
    seconds, _ = timed(lambda: new.build(members))
    new.save(Path(folder) / engine)
    size = sum(path.stat().st_size for path in (Path(folder) / engine).iterdir())
    peak = memory()[1]
    return {"dim": members.shape[1], "looks": new.looks, "build_s": seconds, **_changes(Path(folder) / engine),
            "build_mib": peak / 2**20, "disk_mib": size / 2**20}


def _changes(folder):
    """Seconds in which ten rows are removed from a saved index, and added again, each with opening and saving it."""
    index = indexes.load(folder)
    ids = index.ids[:CHANGED]
    rows, took = index.vectors(ids), {}
    for verb, change in (("remove_s", lambda index: index.remove(ids)), ("add_s", lambda index: index.add(rows, ids))):
        started = time.perf_counter()
        index = indexes.load(folder)
        change(index)
        index.save(folder)
        took[verb] = time.perf_counter() - started
    return took


def open_index(state, *, engine, folder, k):
    """Open a saved index, and answer one query."""
    state["queries"], state["k"] = np.load(Path(folder) / "queries.npy"), k
    seconds, state["index"] = timed(lambda: indexes.load(Path(folder) / engine))
    state["index"].search(state["queries"][:1], k)
    return {"open_s": seconds}


def recall(state, *, least):
    """The share of the true k nearest that is found, and the k-th scores; `least` has exact's, None for its own."""
    scores = state["index"].search(state["queries"], state["k"]).scores
    true = scores[:, -1] if least is None else np.array(least, np.float32)
    return {"recall": float(np.mean(scores >= true[:, None] - 1e-6)), "least": scores[:, -1].tolist()}


def search(state):
    """A round of single queries and one of all as a batch."""
    index, queries, k = state["index"], state["queries"], state["k"]
    single, (seconds, _) = _single(index, queries, k), timed(lambda: index.search(queries, k))
    return {"single_ms": single, "batched_per_s": len(queries) / seconds}


def held(state):
    """The most this process has held, and its share of what it holds now."""
    share = proportional()
    return {"resident_mib": memory()[1] / 2**20, "share_mib": None if share is None else share / 2**20}


def curve(state, *, least):
    """Recall and speed over the values of the engine's knob; of exact the one point there is."""
    index = state["index"]
    knob, values = CURVES.get(index.engine, (None, (None,)))
    points = []
    for value in values:
        if knob:
            setattr(index, knob, value)
        found = recall(state, least=least)["recall"]
        median = np.median(_single(index, state["queries"], state["k"]))
        points.append({"parameter": knob, "value": value, "single_per_s": float(1e3 / median),
                       f"recall_at_{state['k']}": found})
    return points


def _single(index, queries, k):
    """Milliseconds of queries that are asked one by one."""
    spent, began = [], time.perf_counter()
    for row in range(min(len(queries), SINGLE_QUERIES)):
        started = time.perf_counter()
        index.search(queries[row:row + 1], k)
        ended = time.perf_counter()
        spent.append(1e3 * (ended - started))
        if ended - began > SINGLE_SECONDS:
            break
    return spent
