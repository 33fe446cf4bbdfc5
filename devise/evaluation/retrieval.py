"""Retrieval by class: every query ranks a gallery, and members of its own class are right.

Exact, without approximation and without a query × gallery matrix. All figures follow from the ranks
of a query's right answers down to the deepest k or R, so of a row of cosines only the part is sorted
in which these can lie. Ties go to the smaller row id. A query without a right answer in the gallery
is NaN in every figure, and counted.
"""

import math
from dataclasses import dataclass

import numpy as np

from devise.arrays import BLOCK_BYTES
from devise.evaluation.scores import labels_of_rows, row_ids, score_blocks
from devise.metrics.ranking import precision_ceiling
from devise.metrics.relevance import NO_LABEL
from devise.metrics.summary import mean_over_classes, mean_over_queries

KS = (1, 10, 50, 1000)
AT_K = ("hit_at_k", "recall_at_k", "precision_at_k", "ceiling_at_k")
WHOLE = ("r_precision", "map_at_r")
STRIDE = 32  # one column in so many is looked at for a bound on the scores that matter
SPARSE = 16  # where the gallery is less than so many times as large as the depth, all is sorted


@dataclass(frozen=True, eq=False)
class Retrieval:
    """The figures of each query, fractions in [0, 1]; NaN for a query without a right answer.

    Attributes:
        queries: int64 (q,), row ids.
        labels: int64 (q,), their classes.
        hit_at_k: {k: float64 (q,)}, any right answer among the first k; its mean is the "Recall@K" of
            metric-learning papers.
        recall_at_k: {k: (q,)}, the share of the right answers among the first k.
        precision_at_k: {k: (q,)}, the share of the first k that is right.
        ceiling_at_k: {k: (q,)}, the highest precision@k there can be, min(k, R) / k.
        r_precision, map_at_r: float64 (q,), with R the number of right answers.
        n_relevant: int64 (q,), R.
        gallery: how many members were ranked, the query itself among them where it is one.
        ks_left_out: depths larger than the gallery.

    >>> found = retrieve([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]], [0, 0, 1, 1], ks=(1,))
    >>> found.hit_at_k[1].tolist(), found.gallery
    ([1.0, 1.0, 1.0, 1.0], 4)
    """

    queries: np.ndarray
    labels: np.ndarray
    hit_at_k: dict
    recall_at_k: dict
    precision_at_k: dict
    ceiling_at_k: dict
    r_precision: np.ndarray
    map_at_r: np.ndarray
    n_relevant: np.ndarray
    gallery: int
    ks_left_out: tuple = ()

    @property
    def n(self):
        """How many queries there are, those without a right answer too."""
        return len(self.queries)

    @property
    def undefined(self):
        """How many queries have no right answer in the gallery; no mean includes them."""
        return int((self.n_relevant == 0).sum())

    @property
    def ks(self):
        """The depths, in rising order."""
        return tuple(self.hit_at_k)

    def means(self, *, over="queries"):
        """{"hit_at_k": {k: mean}, "recall_at_k", …, "r_precision": mean, "map_at_r": mean}.

        Args:
            over: "queries", or "classes" for the mean of the classes' means.
        """
        if over not in ("queries", "classes"):
            raise ValueError(f"over is {over!r}: expected 'queries' or 'classes'")

        def mean(values):
            if over == "classes":
                return mean_over_classes(values, self.labels).value
            return mean_over_queries(values).value

        return ({name: {k: mean(values) for k, values in getattr(self, name).items()} for name in AT_K}
                | {name: mean(getattr(self, name)) for name in WHOLE})

    def to_json(self):
        """The means and what they rest on, for JSON: k is text, and what is undefined is null."""
        means = self.means()
        figures = ({name: {str(k): _plain(value) for k, value in means[name].items()} for name in AT_K}
                   | {name: _plain(means[name]) for name in WHOLE})
        left = {"ks_left_out": list(self.ks_left_out)} if self.ks_left_out else {}
        return {**figures, "n": self.n, "gallery": self.gallery, "undefined": self.undefined, **left}


def retrieve(embeddings, labels, *, queries=None, gallery=None, ks=KS, block_bytes=BLOCK_BYTES, progress=None):
    """Rank a gallery for every query by cosine, and say how well that finds its class.

    Memory beside the embeddings: a copy of the gallery, blocks of `block_bytes`, and a sort of one
    row. Exact figures at any size of the classes.

    Args:
        embeddings: (n, d), any length but zero; float32 is not copied.
        labels: int (n,), -1 for no label: as a query it is undefined, as a member never right.
        queries, gallery: row ids; None is every row. A query that is in the gallery is left out of
            its own ranking, by its id.
        ks: depths; those larger than the gallery are left out, and named.
        progress: called with the number of queries done and their total.
    Returns:
        Retrieval, its queries in the given order.
    Raises:
        ValueError: if lengths differ, a row is zero or NaN, or ids are no rows.

    >>> found = retrieve([[1, 0], [0.9, 0.1], [0, 1], [0.6, 0.5]], [0, 0, 1, 1], ks=(1, 2))
    >>> found.hit_at_k[1], found.map_at_r
    (array([1., 1., 1., 0.]), array([1., 1., 1., 0.]))
    """
    n = len(embeddings)
    labels = labels_of_rows(labels, n)
    queries, gallery = row_ids(queries, n, "queries"), np.sort(row_ids(gallery, n, "gallery"))
    if not len(gallery):
        raise ValueError("the gallery is empty: expected rows to find")
    ks, left_out = _depths(ks, len(gallery))
    members = _Members(labels[gallery], gallery)
    found = np.zeros((len(ks), len(queries)), np.int64)
    r_precision, map_at_r = np.full((2, len(queries)), np.nan)
    n_relevant = np.zeros(len(queries), np.int64)
    for block in score_blocks(embeddings, queries, gallery, block_bytes=block_bytes, progress=progress):
        for place, (query, scores) in enumerate(zip(block.queries, block.scores, strict=True), start=block.start):
            right = members.of(labels[query], query)
            if not right.size:
                continue
            n_relevant[place] = len(right)
            ranks = right_ranks(scores, right, max(len(right), *ks, 1))
            found[:, place] = np.searchsorted(ranks, ks, side="right")
            inside = ranks[:np.searchsorted(ranks, len(right), side="right")]
            r_precision[place] = len(inside) / len(right)
            map_at_r[place] = (np.arange(1, len(inside) + 1) / inside).sum() / len(right)
    whole = np.where(n_relevant, n_relevant, np.nan)
    undefined = np.where(n_relevant, 0.0, np.nan)
    return Retrieval(
        queries, labels[queries],
        hit_at_k={k: (found[row] > 0) + undefined for row, k in enumerate(ks)},
        recall_at_k={k: found[row] / whole for row, k in enumerate(ks)},
        precision_at_k={k: found[row] / k + undefined for row, k in enumerate(ks)},
        ceiling_at_k={k: precision_ceiling(n_relevant, k) + undefined for k in ks},
        r_precision=r_precision, map_at_r=map_at_r, n_relevant=n_relevant, gallery=len(gallery),
        ks_left_out=left_out)


def pool(runs):
    """Several Retrievals as one, of all their queries; a picture that asked twice counts twice.

    Args:
        runs: Retrievals with the same depths and galleries of the same size.
    Raises:
        ValueError: if there is none, or two differ in depths or in the size of the gallery.

    >>> run = retrieve([[1, 0], [0.9, 0.1], [0, 1]], [0, 0, 1], ks=(1,))
    >>> pool([run, run]).n
    6
    """
    runs = list(runs)
    if len({(run.gallery, run.ks, run.ks_left_out) for run in runs}) != 1:
        raise ValueError(f"{len(runs)} runs have galleries of {sorted({run.gallery for run in runs})} and depths "
                         f"{sorted({run.ks for run in runs})}: expected one or more, all of one kind")

    def joined(name):
        return np.concatenate([getattr(run, name) for run in runs])

    by_depth = {name: {k: np.concatenate([getattr(run, name)[k] for run in runs]) for k in runs[0].ks}
                for name in AT_K}
    return Retrieval(joined("queries"), joined("labels"), **by_depth, **{name: joined(name) for name in WHOLE},
                     n_relevant=joined("n_relevant"), gallery=runs[0].gallery, ks_left_out=runs[0].ks_left_out)


def right_ranks(scores, right, depth):
    """The ranks from 1 of some columns in a row of scores, ascending; ties go to the smaller column.

    Args:
        scores: float (g,), higher is better.
        right: int64 (r,), one or more.
        depth: ranks beyond it need not be there.
    Returns:
        int64, at most (r,), all ranks up to `depth` among them.

    >>> right_ranks(np.array([0.2, 0.9, 0.2, 0.5]), np.array([2, 3]), depth=4)
    array([2, 4])
    """
    own = np.sort(scores[right])[::-1]
    low = max(own[-1], _floor(scores, depth))
    own, ahead = own[own >= low], np.sort(scores[scores >= low])
    upto = np.searchsorted(ahead, own, side="right")
    if (upto - np.searchsorted(ahead, own, side="left") == 1).all():
        return len(ahead) - upto + 1
    is_right = np.zeros(len(scores), bool)  # a tie: the columns themselves are needed
    is_right[right] = True
    return np.flatnonzero(is_right[np.argsort(-scores, kind="stable")]) + 1


def _floor(scores, depth):
    """A score that `depth` columns or more reach, the higher the better; found in a sample, then counted."""
    if len(scores) < SPARSE * max(depth, STRIDE):
        return -np.inf
    place = 2 * depth // STRIDE + 8  # about twice as many columns as needed, so that the count seldom fails
    sample = scores[::STRIDE]
    low = -np.partition(-sample, place)[place]
    return low if np.count_nonzero(scores >= low) >= depth else -np.inf


class _Members:
    """The columns of the gallery that are of a class."""

    def __init__(self, labels, ids):
        self._order = np.argsort(labels, kind="stable")
        self._labels, self._ids = labels[self._order], ids

    def of(self, label, query):
        """Columns of a label, ascending, without the query's own; none for no label."""
        if label == NO_LABEL:
            return self._order[:0]
        low, high = np.searchsorted(self._labels, [label, label + 1])
        columns = self._order[low:high]
        return columns[self._ids[columns] != query]


def _depths(ks, n):
    """The depths that a gallery has, rising, and those that it has not."""
    ks = sorted(set(ks))
    if not ks or ks[0] < 1:
        raise ValueError(f"ks are {ks}: expected depths of 1 and more")
    return tuple(k for k in ks if k <= n), tuple(k for k in ks if k > n)


def _plain(value):
    return float(value) if math.isfinite(value) else None
