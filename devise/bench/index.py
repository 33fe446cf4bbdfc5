"""What each index engine costs and finds: time, memory, disk and recall, on drawn vectors and on words.

Every engine has processes of its own: one builds the index, another opens what was saved and searches it,
more open it at the same time. The engines take turns, so that a busy minute does not fall on one alone.
"""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from devise import index as indexes
from devise.bench.worker import Steps, Worker, in_turns
from devise.errors import MissingDependency
from devise.machine import cpus
from devise.words import open_words

DRAWN = ("unit vectors in clusters of about 100: Gaussian centres, and Gaussian members around them at the centre's "
         "own expected length; in both the variance of the i-th coordinate falls as 1/i, so that they have about as "
         "many effective dimensions as features of pictures; the queries are drawn around the same centres and are "
         "no members")
BLOCK = 50_000  # rows drawn at a time
PER_CLUSTER = 100
SIZES = (10_000, 100_000)
ENGINES = "devise.bench.engines"  # what a worker is asked for
ROUNDS = 3
SHARING = 3  # processes that have one index open
MEMORY = ("resident_mib: the most that the searching process held, its mapped pages and 30 to 60 MiB of Python "
          f"included; each_of_{SHARING}_mib: its share where {SHARING} processes have the index open and have searched "
          "it (Pss: a page that three hold counts a third)")


def run(*, n=None, dim=300, engines=None, words="glove-6b-50d", k=10, queries=1000, jobs=None, seed=0,
        progress=None):
    """Build, save, open and search with each engine.

    Args:
        n: how many vectors are drawn; None for 10,000, 100,000 and the words.
        engines: names; exact and the others that `devise.index.choose` knows where none are given. `exact`
            is always measured.
        words: vectors that are taken as they come, where n is None.
        jobs: threads; None for all processors.
        progress: called with the steps done and their number.
    Returns:
        {"bench": "index", "rows": [{"vectors", "engine", "n", "dim", "looks" (how deep), "build_s", "add_s",
        "remove_s" (ten rows, opening and saving included), "build_mib" (peak), "disk_mib", "open_s", "resident_mib",
        "each_of_3_mib", "recall_at_10", "p50_ms", "p99_ms" (single queries), "batched_per_s"}], "curve":
        [{"vectors", "engine", "n", "parameter", "value", "recall_at_10", "single_per_s" (by the median)}],
        "ratios": {vectors: {engine: {"single", "batched"}}}
        (exact's time / the engine's), "skipped": {name: reason}}, and what it was measured on.
    """
    names, skipped = _installed(("exact", *indexes.PREFERRED) if engines is None else engines)
    sets = {f"{size:,} drawn": size for size in ((n,) if n else SIZES)} | ({} if n else {words: None})
    step = Steps(progress, len(sets) * len(names) * (1 + ROUNDS))
    step.tell()
    jobs, rows, curve = jobs or cpus(), [], []
    for name, size in sets.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                if size:
                    draw(Path(folder), size, queries, dim, seed)
                else:
                    size, _ = take_words(Path(folder), words, queries, seed)
            except (MissingDependency, FileNotFoundError) as error:
                skipped[name] = str(error)
                continue
            measured, points = _measure(Path(folder), names, k, jobs, step)
        rows += [{"vectors": name, "n": size, **row} for row in measured]
        curve += [{"vectors": name, "n": size, **point} for point in points]
    return {"bench": "index", "rows": rows, "curve": curve, "ratios": _ratios(rows), "skipped": skipped,
            "drawn": DRAWN, "memory": MEMORY, "k": k, "queries": queries, "rounds": ROUNDS, "seed": seed,
            "threads": f"{jobs} to build and to answer a batch; exact takes what NumPy's BLAS takes, annoy 1 to search"}


def plot(document, path):
    """Recall against single queries a second, a line an engine, a panel a set of vectors; returns the path."""
    from devise.plots import recall_curves

    return recall_curves(document["curve"], path, title=f"Index engines: recall@{document['k']} and speed")


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


def draw(folder, n, n_queries, dim, seed):
    """Write members.npy float32 (n, dim) and queries.npy (n_queries, dim), as `DRAWN` says."""
    random = np.random.default_rng([seed, n, dim])
    spread = 1 / np.sqrt(1 + np.arange(dim))
    spread = (spread / np.sqrt((spread**2).sum())).astype(np.float32)  # an expected squared length of 1
    centres = random.standard_normal((max(1, n // PER_CLUSTER), dim), dtype=np.float32) * spread
    for name, count in [("members.npy", n), ("queries.npy", n_queries)]:
        rows = open_memmap(folder / name, "w+", np.float32, (count, dim))
        for start in range(0, count, BLOCK):
            block = random.standard_normal((min(BLOCK, count - start), dim), dtype=np.float32) * spread
            block += centres[random.integers(0, len(centres), len(block))]
            rows[start:start + len(block)] = block / np.linalg.norm(block, axis=1, keepdims=True)
        rows.flush()


def take_words(folder, words, n_queries, seed):
    """Write the vectors of known words as members.npy, less `n_queries` drawn ones as queries.npy.

    Returns:
        (n, dim) of the members.
    """
    matrix = open_words(words).matrix
    rows = np.flatnonzero(np.any(matrix, axis=1))
    asked = np.random.default_rng(seed).choice(rows, min(n_queries, len(rows) // 2), replace=False)
    kept = np.setdiff1d(rows, asked)
    for name, chosen in [("members.npy", kept), ("queries.npy", asked)]:
        np.save(folder / name, np.asarray(matrix[chosen], np.float32))
    return len(kept), matrix.shape[1]


def _measure(folder, names, k, jobs, step):
    """The rows of all engines over the vectors in the folder, and the points of their curves."""
    rows = {}
    for name in names:
        with Worker(ENGINES) as worker:
            rows[name] = worker.ask("build", engine=name, folder=str(folder), jobs=jobs)
        step()
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(ENGINES)) for name in names}
        least = None
        for name, worker in workers.items():
            rows[name] |= worker.ask("open_index", engine=name, folder=str(folder), k=k)
            answer = worker.ask("recall", least=least)
            least = answer["least"] if name == "exact" else least  # the first of the names
            rows[name][f"recall_at_{k}"] = answer["recall"]
        rounds = in_turns({name: partial(worker.ask, "search") for name, worker in workers.items()}, ROUNDS, step)
        points = []
        for name, worker in workers.items():
            rows[name] |= worker.ask("held")
            points += [{"engine": name, **point} for point in worker.ask("curve", least=least)]
        for name in names:
            rows[name][f"each_of_{SHARING}_mib"] = _shared(folder, name, k)
    return [_row(name, rows[name], rounds[name], k) for name in names], points


def _shared(folder, name, k):
    """The mean share in MiB of processes that have one index open; None where the system does not tell."""
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(ENGINES)) for _ in range(SHARING)]
        for worker in workers:
            worker.ask("open_index", engine=name, folder=str(folder), k=k)
            worker.ask("search")
        shares = [worker.ask("held")["share_mib"] for worker in workers]
    return None if None in shares else float(np.mean(shares))


def _row(name, row, rounds, k):
    single = np.concatenate([part["single_ms"] for part in rounds])
    p50, p99 = np.percentile(single, [50, 99])
    names = ("dim", "looks", "build_s", "add_s", "remove_s", "build_mib", "disk_mib", "open_s", "resident_mib",
             f"each_of_{SHARING}_mib", f"recall_at_{k}")
    return {"engine": name, **{name: row[name] for name in names}, "p50_ms": float(p50), "p99_ms": float(p99),
            "batched_per_s": float(np.median([part["batched_per_s"] for part in rounds]))}


def _ratios(rows):
    exact = {row["vectors"]: row for row in rows if row["engine"] == "exact"}
    ratios = {}
    for row in rows:
        if row["engine"] != "exact":
            other = exact[row["vectors"]]
            ratios.setdefault(row["vectors"], {})[row["engine"]] = {
                "single": other["p50_ms"] / row["p50_ms"], "batched": row["batched_per_s"] / other["batched_per_s"]}
    return ratios
