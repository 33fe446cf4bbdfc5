"""How fast word vectors open and answer: gensim's text loading against ours.

Every step runs in a process of its own, so that its peak memory is its own too. Files are read
warm: each step's input has been written or read just before.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from devise.bench.machine import machine, memory
from devise.storage import read_json, write_json
from devise.words import WordVectors, convert
from devise.words.text import VectorText

LOOK_UP = 20  # neighbours of this many words are timed


def run(*, path=None, n=40_000, dim=300, progress=None):
    """Time gensim's text load, our first conversion, our later openings, and exact neighbours.

    Args:
        path: a GloVe or word2vec text; without one, n words of random vectors are written in
            GloVe's form to a temporary folder.
        n, dim: the size of that synthetic text.
        progress: called with the steps done and their number.
    Returns:
        dict {"bench", "input", "rows", "ratios", "machine"}. A row holds a step, its seconds by the
        clock and of processor time, and how many MiB its process's peak memory lies above what it
        held before. Ratios are of seconds by the clock.
    """
    steps = (_gensim, _conversion, _opening, _neighbours)
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            source = f"synthetic: normal random vectors, 5 significant digits, {n} words of dim {dim}"
            path = _synthetic(Path(folder) / "synthetic.txt", n, dim)
        else:
            source = f"the file {Path(path).name}"
        rows = []
        for done, step in enumerate(steps):
            if progress:
                progress(done, len(steps))
            rows.append(_apart(step, Path(path), Path(folder)))
        words = WordVectors.load(Path(folder) / "cache")
        size = {"source": source, "words": len(words), "dim": words.dim, "bytes": Path(path).stat().st_size}
    if progress:
        progress(len(steps), len(steps))
    gensim, conversion, opening, neighbours = (row["seconds"] for row in rows)
    rows[3]["per_second"] = LOOK_UP / neighbours
    ratios = {"conversion_speedup": gensim / conversion, "opening_speedup": gensim / opening}
    return {"bench": "words", "input": size, "rows": rows, "ratios": ratios, "machine": machine()}


def measure(step, path, folder):
    """Run one step in this process and leave its row as JSON in the folder."""
    write_json(Path(folder) / "row.json", globals()[step](Path(path), Path(folder)))


def _apart(step, path, folder):
    """The row of a step that runs in a process of its own."""
    call = f"words.measure({step.__name__!r}, {str(path.resolve())!r}, {str(folder)!r})"
    root = Path(__file__).resolve().parents[2]  # runs from a checkout that is not installed too
    done = subprocess.run([sys.executable, "-c", f"from devise.bench import words; {call}"],
                          cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the step {step.__name__} failed: {done.stderr.strip().splitlines()[-1]}")
    return read_json(folder / "row.json")


def _gensim(path, folder):
    from gensim.models import KeyedVectors

    header = VectorText(path).promised is not None
    return _timed("gensim text load",
                  lambda: KeyedVectors.load_word2vec_format(str(path), no_header=not header))


def _conversion(path, folder):
    return _timed("first opening: conversion", lambda: convert(path, folder / "cache"))


def _opening(path, folder):
    return _timed("later opening, and one vector",
                  lambda: (words := WordVectors.load(folder / "cache")).vector(words.words[-1]))


def _neighbours(path, folder):
    words = WordVectors.load(folder / "cache")
    chosen = words.words[:LOOK_UP]
    words.neighbours(chosen[0])  # lengths are computed once, before the first answer

    def look_up():
        for place in range(LOOK_UP):
            words.neighbours(chosen[place % len(chosen)])

    return _timed(f"exact neighbours of {LOOK_UP} words among all", look_up)


def _timed(step, work):
    before, wall, cpu = memory()[0], time.perf_counter(), time.process_time()
    work()
    return {"step": step, "seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu,
            "mib": (memory()[1] - before) / 2**20}


def _synthetic(path, n, dim):
    """A text in GloVe's form: the words w0, w1, … and normal random vectors."""
    rng, form = np.random.default_rng(0), " ".join(["w%d"] + ["%.5g"] * dim) + "\n"
    with open(path, "w", encoding="utf-8") as file:
        for number in range(n):
            file.write(form % (number, *rng.normal(0, 0.4, dim).tolist()))
    return path
