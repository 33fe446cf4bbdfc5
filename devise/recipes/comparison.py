"""Retrieval figures of several seeds side by side, what each gains on another, and the neighbours that changed."""

from pathlib import Path

import numpy as np

from devise import plots
from devise.arrays import nearest
from devise.datasets.splits import generator
from devise.metrics import paired_difference
from devise.recipes.harness import means_table, p_of, spreads, verdict
from devise.report import Table

FIGURES = {"Recall@1": lambda run: run.hit_at_k[1], "R-precision": lambda run: run.r_precision,
           "MAP@R": lambda run: run.map_at_r}
DEEPER = {"hit@{k}": "hit_at_k", "recall@{k}": "recall_at_k", "precision@{k}": "precision_at_k",
          "its ceiling, {k}": "ceiling_at_k"}
TERMS = ("Recall@1 is hit@1 and precision@1; hit@k, any right answer among the first k, is what metric-learning papers "
         "call Recall@k; recall@k is the share of the right answers among the first k")
QUERIES, DEPTH = 6, 7  # of a sheet


def means_of(run, depth=None):
    """{column: mean over the queries} of a Retrieval; with a depth k four more columns."""
    found = {name: _mean(figure(run)) for name, figure in FIGURES.items()}
    if depth is not None:
        found |= {form.format(k=depth): _mean(getattr(run, figure)[depth]) for form, figure in DEEPER.items()}
    return found


def figures_table(caption, rows, *, head="embedding", depth=None, **options):
    """What each row retrieves: the mean over its seeds, with the 95 % interval over them.

    Args:
        caption: without its last full stop.
        rows: {name: [Retrieval, one a seed]}; of what has no seed one.
        depth: a k for four more columns; left out where the gallery has not so many.
        options: extra and published, as of `means_table`.
    """
    one = next(iter(rows.values()))[0]
    found = {name: [means_of(run, depth if depth in one.ks else None) for run in runs] for name, runs in rows.items()}
    lost = f". {one.undefined:,} without a right answer in the gallery are left out" if one.undefined else ""
    return means_table(head, found, form="interval", **options, caption=(
        f"{caption}. {one.n - one.undefined:,} pictures ask, a gallery of {one.gallery:,}{lost}. {TERMS}."))


def compare(before, after):
    """What one list of runs gains on another: {figure: Comparison}.

    Each query's value is its mean over the seeds; the interval is over classes, each counting once, see
    `devise.metrics.paired_difference`.

    Args:
        before, after: lists of Retrieval over the same queries.
    """
    means = {name: [np.mean([figure(run) for run in runs], axis=0) for runs in (before, after)]
             for name, figure in FIGURES.items()}
    return {name: paired_difference(*pair, after[0].labels) for name, pair in means.items()}


def differences_table(caption, pairs, *, head="embedding"):
    """What each row gains, in percentage points.

    Args:
        pairs: {name: (runs before, runs after)}.
    Returns:
        Table of Comparisons, with the least and the largest difference of MAP@R over the seeds.
    """
    rows = {}
    for name, (before, after) in pairs.items():
        found = compare(before, after)
        rows[name] = {**found, "p": p_of(found["MAP@R"]), "MAP@R by seed": _by_seed(before, after),
                      "verdict": verdict(found["MAP@R"])}
    columns = (*FIGURES, "p", "MAP@R by seed", "verdict")
    text = (f"{caption}, in percentage points, with the 95 % t interval over classes (each class counts once; each "
            "picture has its mean over the seeds). p and the verdict are of MAP@R; better or worse means that the "
            "interval excludes 0.")
    return Table.by_name(head, rows, columns, caption=text, form="interval")


def draw_map_at_r(harness, source, rows, what):
    """MAP@R of each row, with intervals over the seeds."""
    shown = {name: spreads([means_of(run) for run in runs], ("MAP@R",)) for name, runs in rows.items()}
    harness.draw(f"MAP@R of each {what} on the untrained classes", "map_at_r.png", plots.interval_plot, shown,
                 label="MAP@R (%)", origin=None,
                 title=f"Retrieval of {len(source.split.names['test'])} classes that nothing learned from",
                 note=f"mean and 95 % interval over {max(map(len, rows.values()))} seeds; a dot alone has no seed")


def neighbour_rows(source, spaces, baseline, *, queries=QUERIES, depth=DEPTH, seed=0):
    """A picture of each of the hardest untrained classes, drawn by seed, and its nearest others in each space.

    Of easy classes all neighbours are right in any space. A picture that is not on this disk is shown
    by the name of its class.

    Args:
        source: RetrievalSource.
        spaces: {name: function from features to unit rows}.
        baseline: the Retrieval whose MAP@R says which classes are hard.
        queries: how many, each of another class.
    Returns:
        list of plots.Row, the spaces of a query beneath one another.
    """
    rows, labels = source.split.test, source.labels[source.split.test]
    hardest = sorted(np.unique(baseline.labels), key=lambda label: _mean(
        baseline.map_at_r[baseline.labels == label]))[:queries]
    asked = [int(generator(seed, "picture shown", source.names[label]).choice(np.flatnonzero(labels == label)))
             for label in hardest]
    depth = min(depth, len(rows) - 1)
    found = {name: nearest((embedded := embed(source.matrix[rows]))[asked], embedded, depth + 1)
             for name, embed in spaces.items()}
    return [plots.Row(_card(source, rows[query], note=name),
                      tuple(_card(source, rows[other], score=float(score), right=bool(labels[other] == labels[query]))
                            for other, score in zip(ids[place], scores[place], strict=True) if other != query)[:depth])
            for place, query in enumerate(asked) for name, (ids, scores) in found.items()]


def _card(source, row, *, note="", score=None, right=None):
    images = source.table.images
    label = images.label_of(row)
    there = images.root is not None and images.file(row).is_file()
    return plots.Card(images.file(row) if there else None, label=f"{label}: {note}" if note and there else label,
                      score=score, right=right, name=note or Path(images.paths[row]).name)


def _by_seed(before, after):
    """The least and the largest difference of MAP@R, as text; None for one seed. What has no seed is beside each."""
    n = max(len(before), len(after))
    gains = [100 * (_mean(after[seed % len(after)].map_at_r) - _mean(before[seed % len(before)].map_at_r))
             for seed in range(n)]
    return f"{min(gains):+.2f} to {max(gains):+.2f}".replace("-", "−") if n > 1 else None


def _mean(values):
    return float(np.nanmean(values))
