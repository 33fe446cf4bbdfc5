"""Retrieval by class: every query ranks a gallery, and members of its own class are right.

Exact, without approximation and without a query × gallery matrix. All figures follow from the ranks
of a query's right answers down to the deepest k or R, so of a row of cosines only the part is sorted
in which these can lie. Near ties go by float64 and then to the smaller row id, see
`devise.evaluation.scores`. A query without a right answer in the gallery is NaN in every figure, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise import metrics
from devise.arrays import BLOCK_BYTES, NEAR, Rows, unit_rows
from devise.evaluation.scores import Block, asked_rows, depths, labels_of_rows, pair_cosines, score_blocks
from devise.figures import as_json

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

    >>> retrieve([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]], [0, 0, 1, 1], ks=(1,)).gallery
    4
    """

    queries: NDArray[np.int64]
    labels: NDArray[np.int64]
    hit_at_k: dict[int, NDArray[np.float64]]
    recall_at_k: dict[int, NDArray[np.float64]]
    precision_at_k: dict[int, NDArray[np.float64]]
    ceiling_at_k: dict[int, NDArray[np.float64]]
    r_precision: NDArray[np.float64]
    map_at_r: NDArray[np.float64]
    n_relevant: NDArray[np.int64]
    gallery: int
    ks_left_out: tuple[int, ...] = ()

    @property
    def n(self) -> int:
        """How many queries there are, those without a right answer too."""
        return len(self.queries)

    @property
    def undefined(self) -> int:
        """How many queries have no right answer in the gallery; no mean includes them."""
        return int((self.n_relevant == 0).sum())

    @property
    def ks(self) -> tuple[int, ...]:
        """The depths, in rising order."""
        return tuple(self.hit_at_k)

    def means(self) -> dict:
        """{"hit_at_k": {k: mean}, "recall_at_k", …, "r_precision": mean, "map_at_r": mean} over the queries."""
        def mean(values):
            return metrics.mean_over_queries(values).value

        return ({name: {k: mean(values) for k, values in getattr(self, name).items()} for name in AT_K}
                | {name: mean(getattr(self, name)) for name in WHOLE})

    def to_json(self) -> dict:
        """The means and what they rest on, for JSON: k is text, and what is undefined is null."""
        left = {"ks_left_out": list(self.ks_left_out)} if self.ks_left_out else {}
        return {**as_json(self.means()), "n": self.n, "gallery": self.gallery, "undefined": self.undefined, **left}


def retrieve(embeddings: Rows, labels: ArrayLike, *, queries: ArrayLike | None = None,
             gallery: ArrayLike | None = None, ks: Iterable[int] = KS, block_bytes: int = BLOCK_BYTES,
             progress: Callable[[int, int], None] | None = None) -> Retrieval:
    """Rank a gallery for every query by cosine, and say how well that finds its class.

    Memory beside the embeddings: a copy of the gallery, blocks of `block_bytes`, and a sort of one row.

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
    labels, queries, gallery = asked_rows(labels, len(embeddings), queries, gallery)
    ks, left_out = depths(ks, len(gallery))
    by_class = np.argsort(labels[gallery], kind="stable")  # columns, those of a class in a run, ascending
    members, asked = labels[gallery[by_class]], labels[queries]
    first = np.searchsorted(members, asked)
    end = np.where(asked == metrics.NO_LABEL, first, np.searchsorted(members, asked, side="right"))
    most = int((end - first).max(initial=1))
    runs: list[Retrieval] = []
    for block in score_blocks(embeddings, queries, gallery, block_bytes=block_bytes, progress=progress):
        part = slice(block.start, block.start + len(block.queries))
        classes = [by_class[low:high] for low, high in zip(first[part], end[part], strict=True)]
        rights = [columns[gallery[columns] != query] for query, columns in zip(block.queries, classes, strict=True)]
        runs.append(_figures(block, labels[block.queries], rights, ks, most, left_out))
    return pool(runs)


def pool(runs: Iterable[Retrieval]) -> Retrieval:
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

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(run, name) for run in runs])

    figures: dict[str, Any] = {name: {k: np.concatenate([getattr(run, name)[k] for run in runs]) for k in runs[0].ks}
                               for name in AT_K}
    figures |= {name: joined(name) for name in WHOLE}
    return Retrieval(joined("queries"), joined("labels"), **figures, n_relevant=joined("n_relevant"),
                     gallery=runs[0].gallery, ks_left_out=runs[0].ks_left_out)


def clustering_nmi(embeddings: Rows, labels: ArrayLike, *, restarts: int = 5, seed: int = 0) -> float:
    """How far k-means on unit rows finds the classes, as normalised mutual information.

    k is the number of classes among the labels, as metric-learning papers have it (Song et al. 2016,
    Deep Metric Learning via Lifted Structured Feature Embedding, section 5). The information is
    normalised by the arithmetic mean of the entropies, as scikit-learn has it; the geometric mean of
    other papers gives other figures.

    Args:
        embeddings: (n, d), any length but zero.
        labels: int (n,); rows of -1, no label, are left out.
        restarts: runs of k-means, of which the best counts.
    Returns:
        float in [0, 1].
    Raises:
        ValueError: if no row has a label, or lengths differ.

    >>> clustering_nmi([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], [4, 4, 9, 9])
    1.0
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import normalized_mutual_info_score

    labels = labels_of_rows(labels, len(embeddings))
    known = labels != metrics.NO_LABEL
    if not known.any():
        raise ValueError("no embedding has a label: expected classes to compare clusters with")
    rows, labels = unit_rows(np.asarray(embeddings)[known], "embeddings"), labels[known]
    k_means = KMeans(len(np.unique(labels)), n_init=restarts, random_state=seed)
    return float(normalized_mutual_info_score(labels, k_means.fit_predict(rows)))


def right_ranks(scores: NDArray[np.float32], right: NDArray[np.int64], depth: int,
                exact: Callable[[NDArray[np.int64]], NDArray[np.float32]]) -> NDArray[np.int64]:
    """The ranks from 1 of some columns in a row of scores, ascending; ties go to the smaller column.

    Args:
        scores: float32 (g,), higher is better, wrong by less than NEAR / 2.
        right: int64 (r,), one or more columns, ascending.
        depth: ranks beyond it need not be there.
        exact: from columns to their scores to the last bit, asked where others come near to the right ones.
    """
    low = max(scores[right].min(), _floor(scores, depth)) - 2 * NEAR
    columns, right = np.flatnonzero(scores >= low), right[scores[right] >= low]
    is_right = np.zeros(len(columns), bool)
    is_right[np.searchsorted(columns, right)] = True
    ahead = scores[columns]
    own, others = np.sort(ahead[is_right]), np.sort(ahead[~is_right])
    near = np.zeros(len(columns), bool)
    near[is_right] = _comes_near(ahead[is_right], others)
    if not near.any():
        return len(others) - np.searchsorted(others, own[::-1]) + np.arange(1, len(own) + 1)
    near[~is_right] = _comes_near(ahead[~is_right], own)
    ahead[near] = exact(columns[near])
    return np.flatnonzero(is_right[np.lexsort((columns, -ahead))]) + 1


def _comes_near(scores: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether one of the others, which are sorted, is nearer than NEAR to each score."""
    others = np.concatenate([[-np.inf], others, [np.inf]])
    place = np.searchsorted(others, scores)
    return (others[place] - scores < NEAR) | (scores - others[place - 1] < NEAR)


def _floor(scores: NDArray[np.float32], depth: int) -> float:
    """A score that `depth` columns or more reach, the higher the better; found in a sample, then counted."""
    if len(scores) < SPARSE * max(depth, STRIDE):
        return -np.inf
    place = 2 * depth // STRIDE + 8  # about twice as many columns as needed, so that the count seldom fails
    sample = scores[::STRIDE]
    low = -np.partition(-sample, place)[place]
    return low if np.count_nonzero(scores >= low) >= depth else -np.inf


def _figures(block: Block, labels: NDArray[np.int64], rights: list[NDArray[np.int64]], ks: Sequence[int], most: int,
             left_out: tuple[int, ...]) -> Retrieval:
    """The Retrieval of a block of queries with these labels and right columns."""
    n_relevant = np.array([len(right) for right in rights], np.int64)
    relevant = np.zeros((len(rights), max(most, *ks)), bool)
    for place, right in enumerate(rights):
        if right.size:
            def exact(columns: NDArray[np.int64], place: int = place) -> NDArray[np.float32]:
                return pair_cosines(block.rows, block.members, np.full(len(columns), place), columns)

            ranks = right_ranks(block.scores[place], right, max(len(right), *ks, 1), exact)
            relevant[place, ranks[ranks <= relevant.shape[1]] - 1] = True
    undefined, first = np.where(n_relevant, 0.0, np.nan), relevant[:, :most]
    return Retrieval(
        block.queries, labels,
        hit_at_k={k: metrics.hit_at_k(relevant, k) + undefined for k in ks},
        recall_at_k={k: metrics.recall_at_k(relevant, k, n_relevant=n_relevant) for k in ks},
        precision_at_k={k: metrics.precision_at_k(relevant, k) + undefined for k in ks},
        ceiling_at_k={k: metrics.precision_ceiling(n_relevant, k) + undefined for k in ks},
        r_precision=metrics.r_precision(first, n_relevant=n_relevant),
        map_at_r=metrics.map_at_r(first, n_relevant=n_relevant), n_relevant=n_relevant,
        gallery=len(block.members), ks_left_out=left_out)
