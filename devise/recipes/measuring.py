"""What a contender does: flat hit@k and hierarchical precision, labels seen and unseen, exact tags; and chance."""

from typing import NamedTuple

import numpy as np

from devise import metrics
from devise.recipes.rules import K
from devise.recipes.world import READINGS

HITS, PRECISIONS = (1, 2, 5, 10, 20), (2, 5, 10, 20)
RANKED = (*(f"hit@{k}" for k in HITS), *(f"hp@{k}" for k in PRECISIONS))
LABEL_COLUMNS = ("test, seen", "per class", "unseen", "unseen, strict", "u", "s", "H", "AUSUC")
EXACT_COLUMNS = tuple(f"{reading}{part}" for reading in READINGS for part in ("", ", inside", ", outside"))
METRICS = "hit@k is flat hit@k, hp@k hierarchical precision@k in the graph of ImageNet's labels"


class Measured(NamedTuple):
    """What one rule did on one draw.

    Attributes:
        figures: {column: fraction}; NaN where the rule, or the draw, has none.
        hits: {reading, and "unseen": bool or 0 and 1, one for each unseen picture}.
    """

    figures: dict
    hits: dict


def means(figures):
    """{column: mean over the pictures} of {column: float64 (n,)}."""
    return {column: float(values.mean()) for column, values in figures.items()}


def each_ranked(ids, answers, distances, n_candidates):
    """Flat hit@k and hierarchical precision@k of each picture, {"hit@1": float64 (n,), …, "hp@20": float64 (n,)}.

    Args:
        ids: int (n, depth), the best candidates of each picture.
        answers: int (n,), the right ones.
        distances: float (c, c), edges between candidates; None gives no hp@k.
    """
    right = ids == answers[:, None]
    figures = {f"hit@{k}": metrics.hit_at_k(right, k) for k in HITS if k <= n_candidates}
    if distances is not None:
        figures |= {f"hp@{k}": metrics.hierarchical_precision(answers, ids, distances, k)
                    for k in PRECISIONS if k <= n_candidates}
    return figures


def ranked_by_chance(answers, distances, n_candidates):
    """The means of `each_ranked` that are to be expected of candidates in a random order."""
    figures = {f"hit@{k}": k / n_candidates for k in HITS if k <= n_candidates}
    if distances is not None:
        ks = [k for k in PRECISIONS if k <= n_candidates]
        figures |= {f"hp@{k}": float(near[answers].mean()) for k, near in metrics.correct_sets(distances, ks).items()}
    return figures


def each_rank(world, found, rows, labels, distances):
    """{row: `each_ranked`} of {row: Contender} for some pictures over some labels, chance last."""
    answers, columns, n = np.searchsorted(labels, world.labels[rows]), world.answers[labels], len(labels)
    figures = {name: each_ranked(contender.ranking(rows, columns, min(HITS[-1], n)), answers, distances, n)
               for name, contender in found.items()}
    return figures | {"chance": {column: np.full(len(rows), value) for column, value in
                                 ranked_by_chance(answers, distances, n).items()}}


def measure(world, draw, contender):
    """Every figure of one rule on one draw: Measured."""
    columns, answers = world.answers, world.labels[draw.unseen_rows]
    n_test, rows, seen = len(draw.test), np.concatenate([draw.test, draw.unseen_rows]), world.seen(columns, draw)
    scores, truth = contender.scores(rows, columns), world.labels[rows]
    right = _first(scores[:n_test], seen) == truth[:n_test]
    figures = {"test, seen": right.mean(), "per class": metrics.mean_over_classes(right, truth[:n_test]).value}
    among = strict = _unseen(scores[n_test:], ~seen, answers)
    if contender.reads:
        strict = _unseen(contender.scores(draw.unseen_rows, columns, "strict"), ~seen, answers)
    figures |= {"unseen": among.mean(), "unseen, strict": strict.mean()}
    figures |= dict(zip(("u", "s", "H"), metrics.generalised(scores, truth, seen), strict=True))
    figures["AUSUC"] = metrics.seen_unseen_curve(scores, truth, seen).area if np.isfinite(among).all() else np.nan
    hits = {"unseen": among}
    if contender.names_words:
        for reading in READINGS:
            if reading == "open" or contender.reads:
                found = contender.finds(draw.unseen_rows, np.arange(len(world.points)), columns[answers], reading)
            hits[reading] = found  # a rule that names by no ImageNet class has nothing to hide
            figures |= _exact(found, world.inside[answers], reading)
    return Measured({name: float(value) for name, value in figures.items()}, hits)


def chance(world, draw):
    """The figures of a rule that gives every candidate the same chance."""
    one, unseen = 1 / len(world.vectors), 1 / len(draw.unseen)
    seen = 1 / (len(world.vectors) - len(draw.unseen))
    exact = min(1.0, K / len(world.points))
    return Measured(dict(zip(LABEL_COLUMNS, (seen, seen, unseen, unseen, one, one, one, np.nan), strict=True))
                    | dict.fromkeys(EXACT_COLUMNS, exact), {})


def hierarchical(world, draw, found):
    """{"rule, part": {k: mean hierarchical precision}} over all labels, in WordNet's whole graph."""
    labels, figures = np.arange(len(world.names)), {}
    distances = world.taxonomy.distances(world.synsets)
    for part, rows in (("test", draw.test), ("unseen", draw.unseen_rows)):
        for name, values in each_rank(world, found, rows, labels, distances).items():
            figures[f"{name}, {part}"] = {column.removeprefix("hp@"): value for column, value in means(values).items()
                                          if column.startswith("hp@")}
    return figures


def _first(scores, among):
    """The best label of each picture among some, int64 (n,)."""
    return np.flatnonzero(among)[scores[:, among].argmax(axis=1)]


def _unseen(scores, unseen, answers):
    """Whether the best unseen label is right, float64 (n,); NaN for a rule that does not tell them apart."""
    if not np.ptp(scores[:, unseen], axis=1).any():
        return np.full(len(answers), np.nan)
    return (_first(scores, unseen) == answers).astype(float)


def _exact(found, inside, reading):
    """The share of exact tags in all, and for labels inside and outside ImageNet."""
    parts = {"": np.ones(len(found), bool), ", inside": inside, ", outside": ~inside}
    return {reading + part: found[rows].mean() if rows.any() else np.nan for part, rows in parts.items()}
