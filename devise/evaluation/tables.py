"""Tables of what was measured: flat hit@k, exact tags, retrieval by the size of the gallery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from devise.evaluation.protocols import Combined, Evaluation, ExactTags
from devise.evaluation.retrieval import Retrieval
from devise.report import Published, Table


def hit_table(evaluation: Evaluation | Combined, part: str, *, published: Iterable[Published] = ()) -> Table:
    """Flat hit@k of one part, a row for each set of candidates; the caption says what they are.

    Args:
        evaluation: Evaluation, or Combined for several runs.
        part: "train", "test", "unseen" …
        published: Published rows with k as columns.
    Raises:
        KeyError: if the part was not measured.

    >>> from devise.evaluation.protocols import Evaluation
    >>> run = Evaluation({"test": {"seen": {1: 0.948}}}, {"test": 316}, {"seen": {"count": 32}})
    >>> print(hit_table(run, "test").markdown())
    Flat hit@k, in % of 316 test pictures; one seed. Candidates: seen = 32 labels.
    <BLANKLINE>
    | candidates, k = | 1 |
    | --- | ---: |
    | seen | 94.8 |
    """
    if part not in evaluation.hit_at_k:
        raise KeyError(f"part {part!r} was not measured: expected one of {', '.join(evaluation.hit_at_k)}")
    rows = evaluation.hit_at_k[part]
    published = tuple(published)
    columns = {k for values in [*rows.values(), *(row.values for row in published)] for k in values}
    return Table.by_name("candidates, k =", rows, sorted(columns), caption=_caption(evaluation, part),
                         published=published)


def exact_table(exact: ExactTags) -> Table:
    """How many pictures of each class have their own label among their first tags, from an ExactTags.

    >>> from devise.evaluation.protocols import ExactTags
    >>> exact_table(ExactTags(3, 4, k=10, candidates="words", by_class={"crab": (3, 4)})).row("all")
    {'found': 3, 'of': 4}
    """
    rows = {label: {"found": found, "of": n} for label, (found, n) in exact.by_class.items()}
    rows["all"] = {"found": exact.found, "of": exact.n}
    return Table.by_name("class", rows, caption=f"Pictures that have exactly their label among their first {exact.k} "
                         f"tags. Candidates: {exact.candidates}.")


def gallery_table(runs: Mapping[str, Mapping[int, Retrieval]], *, k: int = 1, what: str = "pictures") -> Table:
    """hit@k and MAP@R over galleries of several sizes: a small gallery flatters.

    Args:
        runs: {name: {size: Retrieval}}; size "all" or a number.
    Returns:
        Table, of fractions.

    >>> from devise.evaluation.retrieval import retrieve
    >>> found = retrieve([[1, 0], [0.9, 0.1], [0, 1], [0.6, 0.5]], [0, 0, 1, 1], ks=(1,))
    >>> gallery_table({"raw": {4: found}}).row("raw")
    {'hit@1, gallery 4': 0.75, 'MAP@R, gallery 4': 0.75}
    """
    if not runs or not all(runs.values()):
        raise ValueError("there is nothing to print: expected {name: {size: Retrieval}}")
    rows: dict[str, dict[str, Any]] = {}
    for name, by_size in runs.items():
        rows[name] = {}
        for found in by_size.values():
            means, size = found.means(), f"gallery {found.gallery:,}"
            rows[name] |= {f"hit@{k}, {size}": means["hit_at_k"][k], f"MAP@R, {size}": means["map_at_r"]}
    queries = sorted({found.n - found.undefined for by_size in runs.values() for found in by_size.values()})
    counts = f"{queries[0]:,}" if len(queries) == 1 else f"{queries[0]:,} to {queries[-1]:,}"
    return Table.by_name("embedding", rows, caption=f"hit@{k} and MAP@R in % of {counts} {what}, by the size of the "
                         "gallery that they rank.")


def _caption(evaluation, part):
    n, runs = evaluation.n[part], 1
    if isinstance(evaluation, Combined):
        runs = evaluation.runs
        n = f"{n[0]:,}" if n[0] == n[1] else f"{n[0]:,} to {n[1]:,}"
    else:
        n = f"{n:,}"
    seeds = f"{runs} seeds, mean ± standard deviation" if runs > 1 else "one seed"
    chosen = [_candidates(name, evaluation.candidates[name]) for name in evaluation.hit_at_k[part]]
    lost = [f"{count} pictures without an answer in {name} are left out"
            for name, count in evaluation.without_answer.get(part, {}).items()]
    return ". ".join([f"Flat hit@k, in % of {n} {part} pictures; {seeds}",
                      f"Candidates: {'; '.join(chosen)}", *lost]) + "."


def _candidates(name, statement):
    """A set of candidates in words: its size, what joined the vocabulary, which k it is too small for."""
    text = f"{name} = {statement['count']:,} labels"
    if "added" in statement:
        added = statement["added"]
        text = f"{name} = {statement['count']:,}: {statement['count'] - len(added):,} words"
        text += f" and the labels that none of them stands for ({', '.join(added)})" if added else ""
    if "ks_left_out" in statement:
        text += f", too few for k = {', '.join(map(str, statement['ks_left_out']))}"
    return text
