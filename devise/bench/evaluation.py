"""How long exact figures take and what they hold in memory, against the whole matrix of cosines.

Every step runs in a process of its own, so that its peak memory is its own too.
"""

import numpy as np

from devise.arrays import BLOCK_BYTES
from devise.bench.worker import Steps, Worker, measured
from devise.evaluation.candidates import Candidates
from devise.evaluation.protocols import flat_hit_at_k
from devise.evaluation.retrieval import KS, retrieve
from devise.metrics import map_at_r

DATA = ("classes of {per_class} rows: a random centre plus Gaussian noise of three times its expected length; words "
        "are random vectors, and the pictures asked over them are their words plus such noise")
LABELS = 1000  # the words that pictures are of
WORD_KS = (1, 5, 10, 20)
PRODUCTS = 2000  # queries whose products alone are timed, then scaled
NAIVE_BYTES = 16  # a cell of the whole matrix: cosine, its negative, and int64 places of the order


def run(*, n=12_000, dim=512, words=None, queries=10_000, per_class=10, naive_bytes=2 * 2**30, seed=0, progress=None):
    """Time `retrieve` of n rows against themselves and flat hit@k over a vocabulary, and the naive way.

    The naive way holds the whole matrix and sorts it; it is measured on the first rows, as many as
    `naive_bytes` have room for, and `retrieve` on the same rows beside it.

    Args:
        words: the size of the vocabulary; None is n · 10 / 3, so that 120,000 rows have 400,000 words.
        queries: pictures that are ranked over the vocabulary.
        progress: called with the steps done and their number.
    Returns:
        {"bench": "evaluation", "data", sizes, "rows": [{"what", "queries", "gallery", "seconds",
        "cpu_seconds", "mib" (peak, all of it), "mib_above" (over what it held before), "hit_at_1",
        "recall_at_10", "map_at_r"}], "ratios": {"naive_time", "naive_memory" (naive / ours, the same rows),
        "over_products" (ours / the matrix products alone)}, "naive_would_need_gib" for all n, "ceiling_mib" (what
        `retrieve` may hold above its input: a copy of the gallery and three blocks of scores),
        "largest_difference" of the naive way's MAP@R of a query}.
    """
    if n < per_class or per_class < 2:
        raise ValueError(f"n is {n} in classes of {per_class}: expected a class or more, of 2 rows or more")
    words = words or n * 10 // 3
    part = min(n, int((naive_bytes / NAIVE_BYTES) ** 0.5))
    sizes = {"n": n, "dim": dim, "words": words, "queries": queries, "per_class": per_class, "seed": seed}
    steps = [("retrieval", n), ("products", n), ("retrieval", part), ("naive", part), ("vocabulary", words)]
    rows = []
    step = Steps(progress, len(steps))
    step.tell()
    for name, count in steps:
        with Worker(__name__) as process:
            rows.append(process.ask(name, n=count, sizes=sizes))
        step()
    whole, products, ours, naive, _ = rows
    _, *values = [np.array(row.pop("values")) for row in (whole, ours, naive)]
    ratios = {"naive_time": naive["seconds"] / ours["seconds"],
              "naive_memory": naive["mib_above"] / max(1, ours["mib_above"]),
              "over_products": whole["seconds"] / products["seconds"]}
    return {"bench": "evaluation", "data": DATA.format(per_class=per_class), **sizes, "rows": rows, "ratios": ratios,
            "naive_would_need_gib": NAIVE_BYTES * n**2 / 2**30, "ceiling_mib": (4 * n * dim + 3 * BLOCK_BYTES) / 2**20,
            "largest_difference": float(np.abs(values[0] - values[1]).max())}


def retrieval(state, *, n, sizes):
    """The figures of n rows against themselves."""
    embeddings, labels = _rows(n, sizes)
    found, row = measured(lambda: retrieve(embeddings, labels, ks=KS))
    means = found.means()
    return _row("ranks of the right answers, in blocks", n, n, row, hit_at_1=means["hit_at_k"][1],
                recall_at_10=means["recall_at_k"][10], map_at_r=means["map_at_r"],
                values=np.nan_to_num(found.map_at_r).tolist())


def products(state, *, n, sizes):
    """The matrix products alone, of some queries, scaled to all."""
    embeddings, _ = _rows(n, sizes)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    asked, step = min(n, PRODUCTS), max(1, BLOCK_BYTES // (4 * n))

    def blocks():
        for start in range(0, asked, step):
            embeddings[start:min(start + step, asked)] @ embeddings.T

    blocks()  # memory and threads that are used for the first time take longer
    _, row = measured(blocks)
    row = row | {name: row[name] * n / asked for name in ("seconds", "cpu_seconds")}
    return _row(f"the products alone, of {asked:,} queries, scaled", n, n, row)


def naive(state, *, n, sizes):
    """The same figures from the whole matrix, sorted."""
    embeddings, labels = _rows(n, sizes)

    def work():
        rows = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        scores = rows @ rows.T
        np.fill_diagonal(scores, -np.inf)
        order = np.argsort(-scores, axis=1)
        relevant = labels[:, None] == labels[order[:, :2 * sizes["per_class"]]]
        right = np.bincount(labels)[labels] - 1
        recall = relevant[:, :10].sum(axis=1)[right > 0] / right[right > 0]
        return relevant[:, 0].mean(), recall.mean(), map_at_r(relevant, n_relevant=right)

    (hit, recall, values), row = measured(work)
    return _row("the whole matrix, sorted", n, n, row, hit_at_1=float(hit), recall_at_10=float(recall),
                map_at_r=float(np.nanmean(values)), values=np.nan_to_num(values).tolist())


def vocabulary(state, *, n, sizes):
    """Flat hit@k of pictures over n words."""
    random = np.random.default_rng(sizes["seed"])
    vectors = random.standard_normal((n, 300), dtype=np.float32)
    asked, chosen = sizes["queries"], random.choice(n, min(n, LABELS), replace=False)
    labels = random.integers(0, len(chosen), asked)
    pictures = vectors[chosen[labels]] + 3 * random.standard_normal((asked, 300), dtype=np.float32)
    names = [f"w{place}" for place in range(n)]

    def work():
        of_labels = [names[place] for place in chosen]
        candidates = Candidates.from_words("words", names, vectors, of_labels, vectors[chosen], of_labels)
        return flat_hit_at_k(pictures, labels, candidates, WORD_KS)

    hits, row = measured(work)
    return _row("flat hit@k over a vocabulary, 300-d", asked, n, row, hit_at_1=float(hits[1].mean()))


def _rows(n, sizes):
    """Embeddings (n, dim) and labels (n,), as `DATA` says; the first n of any larger n."""
    random, dim = np.random.default_rng(sizes["seed"]), sizes["dim"]
    labels = np.arange(n) // sizes["per_class"]
    embeddings = random.standard_normal((n, dim), dtype=np.float32) * 3
    embeddings += np.random.default_rng([sizes["seed"], 1]).standard_normal((labels[-1] + 1, dim),
                                                                            dtype=np.float32)[labels]
    return embeddings, labels


def _row(what, queries, gallery, timed, **figures):
    undefined = dict.fromkeys(("hit_at_1", "recall_at_10", "map_at_r"))
    return {"what": what, "queries": queries, "gallery": gallery, **timed, **undefined} | figures
