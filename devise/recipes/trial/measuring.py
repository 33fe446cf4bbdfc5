"""What a rule does on one draw: labels, generalised, exact tags, hierarchical precision; and chance."""

from typing import NamedTuple

import numpy as np

from devise.arrays import top_k
from devise.metrics import (
    correct_sets,
    generalised,
    hierarchical_precision,
    mean_over_classes,
    seen_unseen_curve,
)
from devise.recipes.trial.contenders import K
from devise.recipes.trial.world import READINGS
from devise.words import label_synsets, shipped_taxonomy

LABEL_COLUMNS = ("test, seen", "per class", "unseen", "unseen, strict", "u", "s", "H", "AUSUC")
EXACT_COLUMNS = tuple(f"{reading}{part}" for reading in READINGS for part in ("", ", inside", ", outside"))
DEPTHS = (2, 5, 10, 20)


class Measured(NamedTuple):
    """What one rule did on one draw.

    Attributes:
        figures: {column: fraction}; NaN where the rule, or the draw, has none.
        hits: {reading, and "unseen": bool or 0 and 1, one for each unseen picture}.
    """

    figures: dict
    hits: dict


def measure(world, draw, contender):
    """Every figure of one rule on one draw: Measured."""
    seen, answers = world.seen("labels", draw), world.labels[draw.unseen_rows]
    n_test, rows = len(draw.test), np.concatenate([draw.test, draw.unseen_rows])
    scores, truth = contender.scores(rows), world.labels[rows]
    right = _first(scores[:n_test], seen) == truth[:n_test]
    figures = {"test, seen": right.mean(), "per class": mean_over_classes(right, truth[:n_test]).value}
    among = _unseen(scores[n_test:], ~seen, answers)
    strict = _unseen(contender.scores(draw.unseen_rows, "strict"), ~seen, answers) if contender.reads else among
    figures |= {"unseen": among.mean(), "unseen, strict": strict.mean()}
    figures |= dict(zip(("u", "s", "H"), generalised(scores, truth, seen), strict=True))
    figures["AUSUC"] = seen_unseen_curve(scores, truth, seen).area if np.isfinite(among).all() else np.nan
    hits = {"unseen": among}
    if contender.names_words:
        for reading in READINGS:
            if reading == "open" or contender.reads:
                found = contender.finds(draw.unseen_rows, world.words.answers[answers], reading)
            hits[reading] = found  # a rule that names by no ImageNet class has nothing to hide
            figures |= _exact(found, world.inside[answers], reading)
    return Measured({name: float(value) for name, value in figures.items()}, hits)


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


def chance(world, draw):
    """The figures of a rule that gives every candidate the same chance."""
    one, unseen = 1 / len(world.vectors), 1 / len(draw.unseen)
    seen = 1 / (len(world.vectors) - len(draw.unseen))
    exact = min(1.0, K / len(world.words))
    return (dict(zip(LABEL_COLUMNS, (seen, seen, unseen, unseen, one, one, one, np.nan), strict=True))
            | dict.fromkeys(EXACT_COLUMNS, exact))


def hierarchical(world, draw, found):
    """{(part, name): {k: mean hierarchical precision}} over all labels."""
    names = world.words.label_names
    distances = shipped_taxonomy().distances([label_synsets()[name].synset for name in names])
    ks = [k for k in DEPTHS if k <= len(names)]
    figures = {}
    for part, rows in (("test", draw.test), ("unseen", draw.unseen_rows)):
        truth = world.labels[rows]
        for name, contender in found.items():
            hits, _ = top_k(contender.scores(rows), max(ks))
            figures[part, name] = {k: hierarchical_precision(truth, hits, distances, k).mean() for k in ks}
        figures[part, "chance"] = {k: right.mean(axis=1)[truth].mean() for k, right in
                                   correct_sets(distances, ks).items()}
    return figures
