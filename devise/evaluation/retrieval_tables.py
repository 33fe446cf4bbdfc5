"""Retrieval figures as tables for a report: each beside its ceiling, each gallery with its size."""

from devise.evaluation.tables import Table

NAMES = {"hit_at_k": "hit@{k}", "recall_at_k": "recall@{k}", "precision_at_k": "precision@{k}",
         "ceiling_at_k": "its ceiling, {k}"}
HIT = "hit@k: any right answer among the first k, Recall@K of metric-learning papers; recall@k: the share retrieved"


def retrieval_table(runs, *, ks=(1, 10), what="pictures", caption="", nmi=None):
    """What several embeddings of the same pictures retrieve, a row each.

    Args:
        runs: {name: Retrieval}, over the same queries and gallery.
        ks: the depths to print; those that were not measured are left out.
        what: how the caption calls the queries.
        caption: further sentences of it.
        nmi: {name: value} for one more column.
    Returns:
        Table, of fractions.
    Raises:
        ValueError: if there is none, or two rest on other queries or galleries.

    >>> from devise.evaluation.retrieval import retrieve
    >>> found = retrieve([[1, 0], [0.9, 0.1], [0, 1], [0.6, 0.5]], [0, 0, 1, 1], ks=(1, 2))
    >>> print(retrieval_table({"raw": found}, ks=(2,)).to_markdown().splitlines()[-1])
    | raw | 75.0 | 75.0 | 37.5 | 50.0 | 75.0 | 75.0 |
    """
    first = _same(runs)
    columns = {}
    for k in first.ks:
        if k in ks:
            columns |= {form.format(k=k): (name, k) for name, form in NAMES.items()}
    if 1 in first.ks:  # the first answer alone: precision@1 is hit@1, and its ceiling 1
        for form in ("precision_at_k", "ceiling_at_k"):
            columns.pop(NAMES[form].format(k=1), None)
    rows = {}
    for name, found in runs.items():
        means = found.means()
        rows[name] = {column: means[figure][k] for column, (figure, k) in columns.items()}
        rows[name] |= {"R-precision": means["r_precision"], "MAP@R": means["map_at_r"]}
        rows[name] |= {"NMI": nmi[name]} if nmi else {}
    text = [f"Retrieval in %, mean over {first.n - first.undefined:,} {what}, each ranking a gallery of "
            f"{first.gallery:,}", HIT]
    if first.undefined:
        text.append(f"{first.undefined:,} {what} without a right answer in the gallery are left out")
    text += [caption.rstrip(".")] if caption else []
    return Table(". ".join(text) + ".", (*columns, "R-precision", "MAP@R", *(["NMI"] if nmi else [])), rows,
                 "embedding")


def gallery_table(runs, *, k=1, what="pictures"):
    """hit@k and MAP@R over galleries of several sizes: a small gallery flatters.

    Args:
        runs: {name: {size: Retrieval}}; size "all" or a number.
    Returns:
        Table, of fractions.

    >>> from devise.evaluation.retrieval import retrieve
    >>> found = retrieve([[1, 0], [0.9, 0.1], [0, 1], [0.6, 0.5]], [0, 0, 1, 1], ks=(1,))
    >>> gallery_table({"raw": {4: found}}).rows
    {'raw': {'hit@1, gallery 4': 0.75, 'MAP@R, gallery 4': 0.75}}
    """
    if not runs or not all(runs.values()):
        raise ValueError("there is nothing to print: expected {name: {size: Retrieval}}")
    rows, columns = {}, {}
    for name, by_size in runs.items():
        rows[name] = {}
        for found in by_size.values():
            means, size = found.means(), f"gallery {found.gallery:,}"
            rows[name] |= {f"hit@{k}, {size}": means["hit_at_k"][k], f"MAP@R, {size}": means["map_at_r"]}
        columns |= dict.fromkeys(rows[name])
    queries = sorted({found.n - found.undefined for by_size in runs.values() for found in by_size.values()})
    counts = f"{queries[0]:,}" if len(queries) == 1 else f"{queries[0]:,} to {queries[-1]:,}"
    return Table(f"hit@{k} and MAP@R in % of {counts} {what}, by the size of the gallery that they rank.",
                 tuple(columns), rows, "embedding")


def _same(runs):
    """The first of some Retrievals, all of which rank the same gallery for the same queries."""
    if not runs:
        raise ValueError("there is nothing to print: expected {name: Retrieval}")
    first, *others = runs.values()
    for name, other in zip(list(runs)[1:], others, strict=True):
        if (other.gallery, other.ks) != (first.gallery, first.ks) or (other.queries != first.queries).any():
            raise ValueError(f"{name} was measured on other queries, another gallery or other depths than "
                             f"{next(iter(runs))}: print them apart")
    return first
