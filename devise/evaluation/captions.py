"""Retrieval by captions: graded relevance between pictures, sentences and pictures, what people said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.arrays import BLOCK_BYTES, NEAR
from devise.figures import as_json
from devise.metrics import Agreement, mean_over_queries, ndcg_curve, triplet_agreement

FIGURES = ("agreement", "ndcg", "area", "pearson")
DEPTH = 32  # R of NDCG@R
AREA = 128  # its curve goes so far, as in Gordo and Larlus 2017 (as recalled)
TRIPLETS = 20_000  # of one query; 201 pictures have 19,900
RESAMPLES = 1000
DRAWN = 50  # of them at a time


@dataclass(frozen=True, eq=False)
class GradedRetrieval:
    """How each query's ranking of the others fits a relevance in degrees.

    Attributes:
        agreement: float64 (n,), the share of triplets (query, a, b) ordered as the truth has them.
        ndcg, area, pearson: float64 (n,): NDCG@R, its mean over R from 1 to `AREA`, Pearson's correlation.
        ties: the share of decided triplets for which the scores are equal.
        undecided: the share of triplets for which the truth is equal; they are left out.
        triplets: how many the truth decides.
    """

    agreement: NDArray[np.float64]
    ndcg: NDArray[np.float64]
    area: NDArray[np.float64]
    pearson: NDArray[np.float64]
    ties: float
    undecided: float
    triplets: int

    def __len__(self) -> int:
        return len(self.agreement)

    def means(self) -> dict[str, float]:
        """{figure: mean over the queries that it is defined for}: fractions, Pearson's in [-1, 1]."""
        return {name: mean_over_queries(getattr(self, name)).value for name in FIGURES}

    def to_json(self) -> dict:
        """The means and what they rest on, for JSON; what is undefined is null."""
        return as_json(self.means()) | {"n": len(self), "ties": self.ties, "undecided": self.undecided,
                                        "triplets": self.triplets}


class TextRetrieval(NamedTuple):
    """Where pictures find one of their sentences, and sentences their picture.

    Attributes:
        image_to_text, text_to_image: {k: float64 (n,)}, 1 where a right one is among the first k.
        image_ranks, text_ranks: float64 (n,), the rank from 1 of the first right one.
    """

    image_to_text: dict[int, NDArray[np.float64]]
    text_to_image: dict[int, NDArray[np.float64]]
    image_ranks: NDArray[np.float64]
    text_ranks: NDArray[np.float64]

    def means(self) -> dict[str, float]:
        """{"image → text @1": share, …}; a picture without a sentence is left out."""
        return {f"{way} @{k}": mean_over_queries(hits).value for way, found in
                (("image → text", self.image_to_text), ("text → image", self.text_to_image))
                for k, hits in found.items()}

    def mean_recall(self) -> float:
        """The mean of all recalls, both ways: one number to choose a model by."""
        return float(np.mean(list(self.means().values())))

    def median_ranks(self) -> dict[str, float]:
        """{"image → text": median rank of the first right sentence, "text → image": of the right picture}."""
        return {"image → text": float(np.nanmedian(self.image_ranks)),
                "text → image": float(np.nanmedian(self.text_ranks))}


class Correlation(NamedTuple):
    """Rank correlations with what people said, and their 95 % interval by drawing pictures again.

    Attributes:
        spearman, kendall: ρ, and τ-b, which takes ties into account.
        low, high: the interval of ρ.
        n: judgements.
    """

    spearman: float
    kendall: float
    low: float
    high: float
    n: int


def graded(scores: ArrayLike, relevance: ArrayLike, *, r: int = DEPTH, triplets: int = TRIPLETS,
           seed: int = 0) -> GradedRetrieval:
    """Measure a ranking of n pictures by each of them, itself left out.

    Args:
        scores: float (n, n), of a model.
        relevance: float (n, n), of captions; below 0 counts as 0 in NDCG.
        r: of NDCG@R.
        triplets: draw so many a query where there are more.
    """
    scores, relevance = np.asarray(scores, np.float64), np.asarray(relevance, np.float64)
    n = len(scores)
    if scores.shape != (n, n) or relevance.shape != (n, n) or n < 3:
        raise ValueError(f"scores have shape {scores.shape} and relevance {relevance.shape}: expected (n, n) of the "
                         "same pictures, and three or more")
    if not (np.isfinite(scores).all() and np.isfinite(relevance).all()):
        raise ValueError("scores or relevance hold NaN or infinity: leave such pictures out")
    others = ~np.eye(n, dtype=bool)
    scores, relevance = (values[others].reshape(n, n - 1) for values in (scores, relevance))
    gains = np.maximum(relevance, 0)
    first, second = np.triu_indices(n - 1, 1)
    draws = np.random.default_rng(seed)
    found = []
    for query in range(n):
        chosen = slice(None) if len(first) <= triplets else draws.choice(len(first), triplets, replace=False)
        pairs = np.stack([first[chosen], second[chosen]], axis=1)
        found.append(triplet_agreement(scores[query, pairs], relevance[query, pairs]))
    decided = sum(one.n for one in found)
    every = decided + sum(one.undecided for one in found)
    return GradedRetrieval(np.array([one.value for one in found]), ndcg_curve(scores, gains, min(r, n - 1))[:, -1],
                           ndcg_curve(scores, gains, min(AREA, n - 1)).mean(axis=1), _pearson(scores, relevance),
                           sum(one.ties for one in found) / max(1, decided), 1 - decided / every, decided)


def text_retrieval(scores: ArrayLike, owners: ArrayLike, ks: Iterable[int] = (1, 5, 10)) -> TextRetrieval:
    """Whether pictures find one of their sentences, and sentences their picture: Recall@K of the papers.

    Scores closer than `devise.arrays.NEAR` are equal, as float32 can't tell which is larger; of equals the first
    counts.

    Args:
        scores: float (n, m), of n pictures with m sentences.
        owners: int (m,), the picture that each sentence was written for; one without a sentence is NaN.
        ks: depths.
    """
    scores, owners = np.asarray(scores), np.asarray(owners)
    n, m = scores.shape
    if owners.shape != (m,) or (m and not 0 <= owners.min() <= owners.max() < n):
        raise ValueError(f"there are {m} sentences and {n} pictures but owners of shape {owners.shape}: expected one "
                         "picture, 0 and up, for each sentence")
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN: leave such pictures or sentences out")
    right = owners == np.arange(n)[:, None]
    pictures, sentences = _first(scores, right), _first(scores.T, right.T)
    ks = tuple(ks)
    return TextRetrieval({k: np.where(np.isnan(pictures), np.nan, pictures <= k) for k in ks},
                         {k: np.where(np.isnan(sentences), np.nan, sentences <= k) for k in ks}, pictures, sentences)


def correlation(scores: ArrayLike, said: ArrayLike, pictures: ArrayLike, *, seed: int = 0) -> Correlation:
    """How well scores order what people said of pictures and sentences; NaN where all of one are the same.

    Args:
        scores, said: float (m,), a judgement each.
        pictures: int (m,), the picture that was judged; its judgements are drawn together.
    """
    scores, said, pictures = _judgements(scores, said, pictures)
    return _correlation([(scores, said)], pictures, seed)


def ceiling(ratings: ArrayLike, pictures: ArrayLike, *, seed: int = 0) -> Correlation:
    """What one rater says against the mean of the others, the mean over raters: how far people agree.

    A model is measured against the mean of all, which is less noisy than that of all but one: it may
    come a little higher than a person with the same knowledge.

    Args:
        ratings: float (m, r), two or more raters.
        pictures: int (m,), the picture that was judged.
    """
    ratings = np.asarray(ratings, float)
    if ratings.ndim != 2 or ratings.shape[1] < 2:
        raise ValueError(f"ratings have shape {ratings.shape}: expected (judgements, raters), two raters or more")
    pairs = [(ratings[:, rater], np.delete(ratings, rater, axis=1).mean(axis=1)) for rater in range(ratings.shape[1])]
    return _correlation(pairs, _judgements(*pairs[0], pictures)[2], seed)


def judged_triplets(scores: ArrayLike, said: ArrayLike, pictures: ArrayLike) -> Agreement:
    """How often the scores order two sentences about one picture as people do, over all pairs of its judgements."""
    scores, said, pictures = _judgements(scores, said, pictures)
    pairs = [np.empty((0, 2), np.int64)]
    for picture in np.unique(pictures):
        rows = np.flatnonzero(pictures == picture)
        pairs.append(rows[np.stack(np.triu_indices(len(rows), 1), axis=1)])
    pairs = np.concatenate(pairs)
    return triplet_agreement(scores[pairs], said[pairs])


def _first(scores: NDArray, right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The rank from 1 of the first right one of each row, NaN where there is none; of equal scores the first counts."""
    found = np.empty(len(scores))
    step = max(1, BLOCK_BYTES // (8 * max(1, scores.shape[1])))
    for start in range(0, len(scores), step):
        mine, wanted = np.ascontiguousarray(scores[start:start + step]), right[start:start + step]
        best = np.where(wanted, mine, -np.inf).max(axis=1, initial=-np.inf, keepdims=True).astype(mine.dtype)
        ranks = 1.0 + (mine > best + NEAR).sum(axis=1)
        level = np.abs(mine - best) <= NEAR
        tied = np.flatnonzero(level.sum(axis=1) > 1)
        first = (level[tied] & wanted[tied]).argmax(axis=1)
        ranks[tied] += (level[tied] & (np.arange(mine.shape[1]) < first[:, None])).sum(axis=1)
        found[start:start + step] = np.where(wanted.any(axis=1), ranks, np.nan)
    return found


def _judgements(scores, said, pictures):
    scores, said, pictures = np.asarray(scores, float), np.asarray(said, float), np.asarray(pictures)
    if not scores.shape == said.shape == pictures.shape or scores.ndim != 1:
        raise ValueError(f"there are {scores.shape} scores, {said.shape} judgements and {pictures.shape} pictures: "
                         "expected one of each")
    if not len(scores):
        raise ValueError("there are no judgements: leave the comparison with people out")
    return scores, said, pictures


def _correlation(pairs, pictures, seed):
    """The mean Correlation of some (scores, said), their judgements drawn again together."""
    from scipy.stats import kendalltau

    def spearman(times):
        return np.mean([_spearman(scores, said, times) for scores, said in pairs], axis=0)

    names, which = np.unique(pictures, return_inverse=True)
    draws, n = np.random.default_rng(seed), len(names)
    found = np.concatenate([spearman(np.stack([np.bincount(draws.integers(n, size=n), minlength=n)[which]
                                               for _ in range(DRAWN)])) for _ in range(RESAMPLES // DRAWN)])
    found = found[~np.isnan(found)]
    low, high = np.quantile(found, [0.025, 0.975]) if found.size else (np.nan, np.nan)
    kendall = np.mean([kendalltau(*pair).statistic for pair in pairs])
    return Correlation(float(spearman(np.ones((1, len(which)), int))[0]), float(kendall), float(low), float(high),
                       len(which))


def _spearman(left, right, times):
    """Spearman's correlation (draws,) of rows (m,), each taken so many times (draws, m); NaN where one is constant."""
    # SciPy's function ranks one draw at a time
    half = (times.sum(axis=1, keepdims=True) + 1) / 2
    left, right = (_ranks(values, times) - half for values in (left, right))
    lengths = (times * left**2).sum(axis=1) * (times * right**2).sum(axis=1)
    varies = lengths > 0
    return np.where(varies, (times * left * right).sum(axis=1) / np.sqrt(np.where(varies, lengths, 1)), np.nan)


def _ranks(values, times):
    """Ranks from 1 of values that are taken so many times each, the mean rank of equal ones: (draws, m)."""
    _, first, which = np.unique(np.sort(values), return_index=True, return_inverse=True)
    order = np.argsort(values, kind="stable")
    together = np.add.reduceat(times[:, order], first, axis=1)
    ranks = np.empty(times.shape)
    ranks[:, order] = (np.cumsum(together, axis=1) - (together - 1) / 2)[:, which]
    return ranks


def _pearson(left, right):
    """Pearson's correlation row by row, NaN where a row is constant."""
    from scipy.stats import pearsonr

    varies = (np.ptp(left, axis=1) > 0) & (np.ptp(right, axis=1) > 0)
    found = np.full(len(left), np.nan)
    if varies.any():
        found[varies] = pearsonr(left[varies], right[varies], axis=1).statistic
    return found
