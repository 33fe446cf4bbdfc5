"""Retrieval figures of several seeds side by side, and what each gains on another, with intervals."""

import numpy as np

from devise.metrics import paired_difference, spread
from devise.report import Table

FIGURES = {"Recall@1": lambda run: run.hit_at_k[1], "R-precision": lambda run: run.r_precision,
           "MAP@R": lambda run: run.map_at_r}
DEEPER = {"hit@{k}": "hit_at_k", "recall@{k}": "recall_at_k", "precision@{k}": "precision_at_k",
          "its ceiling, {k}": "ceiling_at_k"}
PRINTED = 5e-5  # of a fraction: less is printed as 0.00 points
TERMS = ("Recall@1 is hit@1 and precision@1; hit@k, any right answer among the first k, is what metric-learning papers "
         "call Recall@k; recall@k is the share of the right answers among the first k")


def figures_table(caption, rows, *, depth=None, extra=None):
    """What each row retrieves: the mean over its seeds, with the 95 % interval over them.

    Args:
        caption: without its last full stop.
        rows: {name: [Retrieval, one a seed]}; of what has no seed one.
        depth: a k for four more columns; left out where the gallery has not so many.
        extra: {name: {column: value}}, further columns.
    Returns:
        Table.
    """
    deep = depth in next(iter(rows.values()))[0].ks
    found = {}
    for name, runs in rows.items():
        values = {column: spread([_mean(figure(run)) for run in runs]) for column, figure in FIGURES.items()}
        if deep:
            values |= {form.format(k=depth): spread([_mean(getattr(run, figure)[depth]) for run in runs])
                       for form, figure in DEEPER.items()}
        found[name] = values | (extra or {}).get(name, {})
    one = next(iter(rows.values()))[0]
    lost = f". {one.undefined:,} without a right answer in the gallery are left out" if one.undefined else ""
    return Table.by_name("embedding", found, caption=f"{caption}. {one.n - one.undefined:,} pictures ask, a gallery of "
                         f"{one.gallery:,}{lost}. {TERMS}.", form="interval")


def compare(before, after):
    """What one list of runs gains on another: {figure: Comparison}.

    Each query's value is its mean over the seeds; the interval is over classes, each counting once, see
    `devise.metrics.paired_difference`.

    Args:
        before, after: lists of Retrieval over the same queries.
    """
    return {name: paired_difference(_over_seeds(before, figure), _over_seeds(after, figure), after[0].labels)
            for name, figure in FIGURES.items()}


def differences_table(caption, pairs, *, head="embedding"):
    """What each row gains, in percentage points.

    Args:
        pairs: {name: (runs before, runs after)}.
    Returns:
        IntervalTable of Comparisons, with the least and the largest difference of MAP@R over the seeds.
    """
    rows = {}
    for name, (before, after) in pairs.items():
        found = compare(before, after)
        rows[name] = {**found, "p": f"{found['MAP@R'].p:.2g}" if found["MAP@R"].p == found["MAP@R"].p else None,
                      "MAP@R by seed": _by_seed(before, after), "verdict": verdict(found["MAP@R"])}
    columns = (*FIGURES, "p", "MAP@R by seed", "verdict")
    text = (f"{caption}, in percentage points, with the 95 % t interval over classes (each class counts once; each "
            "picture has its mean over the seeds). p and the verdict are of MAP@R; better or worse means that the "
            "interval excludes 0.")
    return Table.by_name(head, rows, columns, caption=text, form="interval")


def verdict(comparison):
    """What an interval says, in a word or two; one that is printed as 0.00 says nothing.

    Heads that kept their start differ from it by rounding alone, in every class the same way.
    """
    if comparison.low > PRINTED:
        return "better"
    return "worse" if comparison.high < -PRINTED else "no difference shown"


def _by_seed(before, after):
    """The least and the largest difference of MAP@R, as text; None for one seed."""
    if max(len(before), len(after)) < 2:
        return None
    gains = [100 * (_mean(b.map_at_r) - _mean(a.map_at_r)) for a, b in _aligned(before, after)]
    return f"{min(gains):+.2f} to {max(gains):+.2f}".replace("-", "−")


def _aligned(before, after):
    """Pairs of runs of one seed; what has no seed stands beside each."""
    n = max(len(before), len(after))
    return [(before[seed % len(before)], after[seed % len(after)]) for seed in range(n)]


def _over_seeds(runs, figure):
    return np.mean([figure(run) for run in runs], axis=0)


def _mean(values):
    return float(np.nanmean(values))
