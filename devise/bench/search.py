"""How fast and how right each index engine is, on vectors made for it."""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from devise import index as indexes
from devise.errors import MissingDependency

DATA = ("unit vectors in clusters of about 100: a random unit centre plus Gaussian noise of the same "
        "expected length; the queries are drawn around the same centres and are no members")
SINGLE_QUERIES = 200  # timed one by one, for the percentiles
FIGURES = ("build_s", "bytes", "queries_per_second", "p50_ms", "p99_ms")


def run(*, sizes=(10_000, 100_000), dim=300, k=10, queries=1000, engines=None, seed=0, progress=None):
    """Build time, size on disk, recall and speed of the engines, and their ratios to `exact`.

    Args:
        sizes: numbers of vectors.
        queries: how many are searched as one batch; up to 200 of them are then searched alone.
        engines: names; all that are installed where none are given. `exact` is always measured.
        progress: called with the number of rows done and their total.
    Returns:
        {"bench": "search", "rows": [{"engine", "n", "build_s", "bytes" (of the saved folder),
        "recall_at_10" (named after k), "queries_per_second" (one batch), "p50_ms", "p99_ms" (single
        queries)}], "ratios": {engine: {n: {figure: engine / exact}}}, "skipped": {engine: reason}},
        and what it was measured on: "data", "dim", "k", "queries", "seed", "threads".

    >>> document = run(sizes=[500], dim=8, queries=10, engines=["exact"])
    >>> document["rows"][0]["recall_at_10"]
    1.0
    """
    names, skipped = _installed(indexes.engines() if engines is None else engines)
    rows = []
    for n in sizes:
        members, asked = _clustered(n, queries, dim, np.random.default_rng([seed, n]))
        for name in names:
            row, scores = _measure(name, members, asked, k)
            if name == "exact":  # the first of the names
                least = scores[:, -1:] - 1e-6
            rows.append({**row, f"recall_at_{k}": float(np.mean(scores >= least))})
            if progress:
                progress(len(rows), len(sizes) * len(names))
    return {"bench": "search", "data": DATA, "dim": dim, "k": k, "queries": queries, "seed": seed,
            "threads": {"cores": os.cpu_count(), "exact": "as many as NumPy's BLAS takes", "others": 1},
            "rows": rows, "ratios": _ratios(rows), "skipped": skipped}


def _installed(names):
    """`exact` and those of the names that can be made, and why the others can't."""
    found, skipped = ["exact"], {}
    for name in names:
        try:
            indexes.make(name)
        except MissingDependency as error:
            skipped[name] = str(error)
        else:
            found += [name] if name != "exact" else []
    return found, skipped


def _clustered(n, n_queries, dim, generator):
    """Members (n, dim) and queries (n_queries, dim), as `DATA` says."""
    centres = generator.standard_normal((max(1, n // 100), dim), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    rows = generator.standard_normal((n + n_queries, dim), dtype=np.float32) / np.float32(np.sqrt(dim))
    rows += centres[generator.integers(0, len(centres), len(rows))]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows[:n], rows[n:]


def _measure(name, members, queries, k):
    """The figures of one engine, and the scores (queries, k) that it found."""
    started = time.perf_counter()
    index = indexes.make(name).build(members)
    build_s = time.perf_counter() - started
    index.search(queries[:1], k)
    started = time.perf_counter()
    scores = index.search(queries, k).scores
    batch_s = time.perf_counter() - started
    single_ms = []
    for row in range(min(len(queries), SINGLE_QUERIES)):
        started = time.perf_counter()
        index.search(queries[row:row + 1], k)
        single_ms.append(1e3 * (time.perf_counter() - started))
    p50, p99 = np.percentile(single_ms, [50, 99])
    with tempfile.TemporaryDirectory() as folder:
        index.save(folder)
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    return {"engine": name, "n": len(members), "build_s": build_s, "bytes": size,
            "queries_per_second": len(queries) / batch_s, "p50_ms": float(p50), "p99_ms": float(p99)}, scores


def _ratios(rows):
    exact = {row["n"]: row for row in rows if row["engine"] == "exact"}
    ratios = {}
    for row in rows:
        if row["engine"] != "exact":
            ratios.setdefault(row["engine"], {})[str(row["n"])] = {
                figure: row[figure] / exact[row["n"]][figure] for figure in FIGURES}
    return ratios
