"""The metrics of the zero-shot papers for one rule, and tables of them over several runs."""


import numpy as np

from devise.metrics import correct_sets, hierarchical_precision, hit_at_k, spread
from devise.report import Table

HITS, PRECISIONS = (1, 2, 5, 10, 20), (2, 5, 10, 20)
COLUMNS = (*(f"hit@{k}" for k in HITS), *(f"hp@{k}" for k in PRECISIONS))
METRICS = "hit@k is flat hit@k, hp@k hierarchical precision@k in the graph of ImageNet's labels"


def measure(rule, x, answers, distances, n_candidates):
    """Flat hit@k and hierarchical precision@k of a rule, {"hit@1": fraction, …, "hp@20": fraction}.

    Args:
        rule: Rule over c candidates.
        x: what the rule takes, one row a picture.
        answers: int (n,), the right candidate of each picture.
        distances: float (c, c), edges between candidates, or None: then there is no hp@k.
        n_candidates: c.
    Returns:
        dict; a k beyond c is left out.
    """
    depth = min(HITS[-1], n_candidates)
    ids = rule.tag(x, depth).ids
    right = ids == answers[:, None]
    figures = {f"hit@{k}": hit_at_k(right, k).mean() for k in HITS if k <= depth}
    if distances is not None:
        figures |= {f"hp@{k}": hierarchical_precision(answers, ids, distances, k).mean()
                    for k in PRECISIONS if k <= depth}
    return {name: float(value) for name, value in figures.items()}


def chance(answers, distances, n_candidates):
    """What `measure` gives on average for candidates in a random order.

    >>> chance(np.array([0]), np.array([[0, 1, 4], [1, 0, 4], [4, 4, 0]]), 3)["hp@2"].__round__(3)
    0.667
    """
    figures = {f"hit@{k}": k / n_candidates for k in HITS if k <= n_candidates}
    if distances is not None:
        ks = [k for k in PRECISIONS if k <= n_candidates]
        figures |= {f"hp@{k}": float(near[answers].mean()) for k, near in correct_sets(distances, ks).items()}
    return figures


def table(caption, runs, *, head="model", published=(), columns=COLUMNS):
    """A Table of several runs' figures, [{row: {column: fraction}}], as spreads over the runs.

    A column that no row has is left out.
    """
    rows = {}
    for name in runs[0]:
        shared = [column for column in columns if all(column in run[name] for run in runs)]
        rows[name] = {column: spread([run[name][column] for run in runs]) for column in shared}
    figures = [*rows.values(), *(row.values for row in published)]
    shown = tuple(column for column in columns if any(column in values for values in figures))
    return Table.by_name(head, rows, shown, caption=caption, published=published)


def papers_own(what, published):
    """A table of a paper's figures alone, where nothing of ours may stand beside them."""
    found = {column for row in published for column in row.values}
    columns = tuple(column for column in COLUMNS if column in found)
    return Table(("model", *columns), (), f"{what}: its own figures, in %, on other pictures, with another network and "
                 "other words. They are not comparable with any table above.", published=tuple(published))


def seeds_text(n):
    """How a caption states the runs.

    >>> seeds_text(1)
    'one seed'
    """
    return f"{n} seeds, mean ± standard deviation" if n > 1 else "one seed"


def curve(runs):
    """{row: {k: mean over the runs}} of flat hit@k, as `plots.hit_curve` draws it: a dozen bands hide each other."""
    return {name: {k: float(np.mean([run[name][f"hit@{k}"] for run in runs]))
                   for k in HITS if all(f"hit@{k}" in run[name] for run in runs)} for name in runs[0]}
