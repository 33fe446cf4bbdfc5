"""How fast word vectors open and answer: gensim's text load and its memory-mapped file against ours.

What is opened is opened by a process of its own, so that its memory is its own too. Files are read warm: each
step's input has been written or read before.
"""

import shutil
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from devise import index as indexes
from devise.bench.worker import Steps, Worker, in_turns, measured, medians, ratio, timed
from devise.errors import MissingDependency
from devise.machine import cpus, machine, proportional
from devise.words import WordVectors, convert
from devise.words.files import VectorText

K, LOOK_UP = 10, 100  # neighbours, and the words whose neighbours are timed: of 20 the waking of BLAS' threads is half
CLUSTER = 100  # words that lie around one centre
CACHE, KV, ANNOY = "cache", "gensim.kv", "annoy"  # in the temporary folder
OPENINGS = {"gensim text load": "gensim_text", "devise, first opening: conversion": "conversion",
            "gensim KeyedVectors.load(mmap='r'), and one vector": "gensim_mapped",
            "devise, later opening, and one vector": "opening"}
ANSWERS = {"gensim most_similar": "gensim_neighbours", "devise exact neighbours": "neighbours",
           "Annoy over the same words": "annoy_neighbours"}


def run(*, path=None, n=40_000, dim=300, rounds=3, progress=None):
    """Time gensim's openings and ours, and the neighbours of words among all, exactly and by Annoy.

    The ways take turns, for `rounds` rounds; a row has the median of its times, a ratio is the
    median of each round's ratio.

    Args:
        path: a GloVe or word2vec text; without one, n words are written in GloVe's form to a
            temporary folder, 2.6 KB each at dim 300.
        n, dim: the size of that synthetic text.
        progress: called with the steps done and their number.
    Returns:
        {"bench": "words", "input", "rounds", "rows": [{"what", "seconds", "cpu_seconds", "peak_mib" (above what
        the process held before), "held_mib" (its share afterwards, Pss), "per_second" (words answered),
        "recall_at_10"}], "ratios" (of seconds by the clock, theirs / ours): {"conversion_over_text_load",
        "opening_over_text_load", "opening_over_gensim_mmap", "exact_over_most_similar", "annoy_over_exact"},
        "skipped", "machine"}.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_ones:
        folder = Path(folder)
        size, path = _input(path, folder, n, dim)
        step = Steps(progress, rounds * (len(OPENINGS) + len(ANSWERS)) + 1)
        found = in_turns({what: partial(_alone, function, path=str(path.resolve()), folder=str(folder))
                          for what, function in OPENINGS.items()}, rounds, step)
        words = WordVectors.load(folder / CACHE)
        size |= {"words": len(words), "dim": words.dim, "matrix_mib": words.matrix.nbytes / 2**20}
        chosen = [words.words[row] for row in np.linspace(0, len(words) - 1, min(LOOK_UP, len(words))).astype(int)]
        forest, skipped = _forest(folder)
        ways = {what: function for what, function in ANSWERS.items() if forest or function != "annoy_neighbours"}
        ways = {what: partial(open_ones.enter_context(Worker(__name__)).ask, function, folder=str(folder),
                              chosen=chosen) for what, function in ways.items()}
        step()
        found |= in_turns(ways, rounds, step)
    exact = found["devise exact neighbours"][0]["found"]
    rows = [_row(what, results, len(chosen)) | _recall(results[0].get("found"), exact)
            for what, results in found.items()]
    if forest:
        rows.insert(-1, {"what": f"Annoy, build of {forest['trees']} trees", "seconds": forest["seconds"]})
    return {"bench": "words", "input": size, "rounds": rounds, "rows": rows, "ratios": _ratios(found),
            "skipped": skipped, "machine": machine()}


def plot(document, path):
    """The seconds of opening, and those of one word's neighbours; returns the path."""
    from devise.plots import bar_plot

    size, groups = document["input"], {"opening": {}, "neighbours of one word": {}}
    for row in document["rows"]:
        if "per_second" in row:
            groups["neighbours of one word"][row["what"]] = 1 / row["per_second"]
        elif "Annoy" not in row["what"]:
            groups["opening"][row["what"].replace("devise, first opening: conversion", "devise, first opening")] = (
                row["seconds"])
    return bar_plot(groups, path, title=f"Word vectors, {size['words']:,} × {size['dim']}",
                    label=f"seconds, median of {document['rounds']} rounds")


def gensim_text(state, *, path, folder):
    """gensim reads the text; what it would open the next time is saved, outside the clock."""
    from gensim.models import KeyedVectors

    header = VectorText(path).promised is not None
    row = _opened(state, lambda: KeyedVectors.load_word2vec_format(path, no_header=not header))
    if not (Path(folder) / KV).exists():
        state["kept"].save(str(Path(folder) / KV))
    return row


def gensim_mapped(state, *, path, folder):
    """gensim maps what it has saved, and gives one vector."""
    from gensim.models import KeyedVectors

    def work():
        vectors = KeyedVectors.load(str(Path(folder) / KV), mmap="r")
        return vectors, vectors[vectors.index_to_key[-1]]

    return _opened(state, work)


def conversion(state, *, path, folder):
    """Our first opening: the text becomes a folder."""
    shutil.rmtree(Path(folder) / CACHE, ignore_errors=True)
    return _opened(state, lambda: convert(path, Path(folder) / CACHE))


def opening(state, *, path, folder):
    """Our later openings, and one vector."""
    def work():
        words = WordVectors.load(Path(folder) / CACHE)
        return words, words.vector(words.words[-1])

    return _opened(state, work)


def gensim_neighbours(state, *, folder, chosen):
    """Neighbours by gensim, from its mapped file."""
    from gensim.models import KeyedVectors

    if "words" not in state:
        state["words"] = KeyedVectors.load(str(Path(folder) / KV), mmap="r")
    return _answered(chosen, lambda word: [name for name, _ in state["words"].most_similar(word, topn=K)])


def neighbours(state, *, folder, chosen):
    """Our exact neighbours."""
    if "words" not in state:
        state["words"] = WordVectors.load(Path(folder) / CACHE)
    return _answered(chosen, lambda word: [name for name, _ in state["words"].neighbours(word, k=K)])


def annoy_neighbours(state, *, folder, chosen):
    """Neighbours by the saved forest; the word itself is among its answers and left out."""
    if "words" not in state:
        state["words"], state["index"] = WordVectors.load(Path(folder) / CACHE), indexes.load(Path(folder) / ANNOY)
    words, index = state["words"], state["index"]

    def near(word):
        ids = index.search(words.vector(word)[None], K + 1).ids[0]
        return [words.words[row] for row in ids if row >= 0 and words.words[row] != word][:K]

    return _answered(chosen, near)


def build_annoy(state, *, folder):
    """A forest of all words, with the index's usual number of trees."""
    words = WordVectors.load(Path(folder) / CACHE)
    seconds, index = timed(lambda: indexes.make("annoy", n_jobs=cpus()).build(words.matrix))
    index.save(Path(folder) / ANNOY)
    return {"seconds": seconds, "trees": index.n_trees}


def _forest(folder):
    """What building it took, or None and why it can't be built."""
    try:
        indexes.make("annoy")
    except MissingDependency as error:
        return None, {"annoy": str(error)}
    return _alone("build_annoy", folder=str(folder)), {}


def _alone(function, **values):
    """What a function gives in a process of its own."""
    with Worker(__name__) as process:
        return process.ask(function, **values)


def _opened(state, work):
    """Time and memory of a piece of work whose result is kept."""
    share = proportional()
    state["kept"], row = measured(work)
    return {"seconds": row["seconds"], "cpu_seconds": row["cpu_seconds"], "peak_mib": row["mib_above"],
            "held_mib": None if share is None else (proportional() - share) / 2**20}


def _answered(chosen, near):
    """The time of all words' neighbours, and who they are; the first is asked once more, before the clock."""
    near(chosen[0])
    found, row = measured(lambda: [near(word) for word in chosen])
    return {"seconds": row["seconds"], "cpu_seconds": row["cpu_seconds"], "found": found}


def _row(what, results, asked):
    """One row for the rounds: the medians of what was measured."""
    row = {"what": what} | medians(results, "seconds", "cpu_seconds", "peak_mib", "held_mib")
    return row | ({"per_second": asked / row["seconds"]} if "found" in results[0] else {})


def _recall(found, exact):
    """The share of the exact neighbours that is found."""
    if found is None:
        return {}
    return {"recall_at_10": float(np.mean([len(set(mine) & set(true)) / len(true)
                                           for mine, true in zip(found, exact, strict=True) if true]))}


def _ratios(found):
    """The medians of the rounds' ratios, of what was measured."""
    results = {function: found.get(what) for what, function in (OPENINGS | ANSWERS).items()}
    pairs = {"conversion_over_text_load": ("gensim_text", "conversion"),
             "opening_over_text_load": ("gensim_text", "opening"),
             "opening_over_gensim_mmap": ("gensim_mapped", "opening"),
             "exact_over_most_similar": ("gensim_neighbours", "neighbours"),
             "annoy_over_exact": ("neighbours", "annoy_neighbours")}
    return {name: ratio(results[theirs], results[ours]) for name, (theirs, ours) in pairs.items() if results[ours]}


def _input(path, folder, n, dim):
    """What is measured, in words, and its path."""
    if path is None:
        source = (f"synthetic: {CLUSTER} words around each of {-(-n // CLUSTER)} random centres, 5 significant digits, "
                  f"{n} words of dim {dim}")
        path = _synthetic(folder / "synthetic.txt", n, dim)
    else:
        source = f"the file {Path(path).name}"
    return {"source": source, "bytes": Path(path).stat().st_size}, Path(path)


def _synthetic(path, n, dim):
    """A text in GloVe's form: the words w0, w1, … in clusters, the nearest of a word in the same one."""
    rng, form = np.random.default_rng(0), " ".join(["w%d"] + ["%.5g"] * dim) + "\n"
    centres = rng.normal(0, 0.3, (-(-n // CLUSTER), dim))
    with open(path, "w", encoding="utf-8") as file:
        for number in range(n):
            vector = centres[number % len(centres)] + rng.normal(0, 0.3, dim)
            file.write(form % (number, *vector.tolist()))
    return path
