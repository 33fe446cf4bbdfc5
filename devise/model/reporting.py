"""The figures of a model as a Report: a table a kind of question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from devise.evaluation import gallery_table, hit_table
from devise.report import Report, Table

if TYPE_CHECKING:
    from devise.figures import Comparison
    from devise.model.evaluating import CaptionFigures, Figures

RETRIEVAL = {"hit@1": ("hit_at_k", 1), "hit@10": ("hit_at_k", 10), "recall@10": ("recall_at_k", 10),
             "precision@10": ("precision_at_k", 10), "its ceiling": ("ceiling_at_k", 10), "R-precision": "r_precision",
             "MAP@R": "map_at_r"}
OPEN = {"unknown accepted": "unknown_accepted", "known rejected": "known_rejected",
        "known found and right": "identified", "EER": "equal_error_rate"}
CAPTIONS = {"triplets": "agreement", "NDCG@32": "ndcg", "NDCG, 1 to 128": "area", "Pearson": "pearson"}
WAYS = ("image → text", "text → image")


def report(figures: Figures, title: str = "Evaluation") -> Report:
    """All that was measured as one Report."""
    tables: list[Table] = []
    if figures.hits:
        tables += [hit_table(figures.hits, part) for part in figures.hits.hit_at_k]
    if figures.retrieval:
        tables.append(_retrieval(figures.retrieval))
        if {"learnt", "raw"} <= set(figures.retrieval):
            tables.append(gain_table({"MAP@R": figures.difference()}, "learnt − raw", "classes"))
    if figures.open_set:
        tables.append(_open_set(figures.open_set))
    if figures.galleries:
        found = figures.galleries
        left = ", ".join(f"{size:,}" for size in found.left_out)
        notes = (f"left out: {left}; {found.smallest:,} to {found.largest:,} can be drawn",) if left else ()
        table = gallery_table(found.runs, what=f"pictures, one of each class, {found.draws} draws")
        tables.append(Table(table.columns, table.rows, table.caption, notes, table.form))
    if figures.captions:
        tables += _captions(figures.captions)
        if {"learnt", "raw"} <= set(figures.captions.by_space):
            gains = {name: figures.captions.difference(CAPTIONS[name]) for name in ("triplets", "NDCG@32")}
            tables.append(gain_table(gains, "learnt − raw", "query pictures"))
    return Report(title, tables=tuple(tables))


def gain_table(gains: dict[str, Comparison], what: str, over: str) -> Table:
    """How much better figures are in one of two places, {figure: Comparison}."""
    return Table.by_name("figure", {name: {what: gain} for name, gain in gains.items()},
                         caption=f"{what}, in points, with the 95 % interval over {over}.")


def _retrieval(runs) -> Table:
    rows = {}
    for space, found in runs.items():
        means = found.means()
        rows[space] = {name: means[figure] if isinstance(figure, str) else means[figure[0]].get(figure[1])
                       for name, figure in RETRIEVAL.items()}
    first = next(iter(runs.values()))
    classes = len(np.unique(first.labels[first.labels >= 0]))
    return Table.by_name("space", rows, RETRIEVAL, caption=f"{first.n:,} pictures of {classes} classes, each asking "
                         "all others, in %.")


def _open_set(found) -> Table:
    rows = {space: {"a match from": one.threshold} | {name: getattr(one, figure) for name, figure in OPEN.items()}
            for space, one in found.items()}
    first = next(iter(found.values()))
    return Table.by_name("space", rows, form=dict.fromkeys(OPEN, "percent") | {"a match from": "score"},
                         caption=f"A match at all? {first.n_known:,} pictures of known and {first.n_unknown:,} of "
                         f"unknown classes ask a gallery of {first.gallery:,}; in %, but for the cosine of a match.")


def _captions(found: CaptionFigures) -> list[Table]:
    rows = {}
    for space, graded in found.by_space.items():
        means = graded.means()
        rows[space] = {name: means[figure] for name, figure in CAPTIONS.items()} | {"ties": graded.ties}
    tables = [Table.by_name("space", rows, form=dict.fromkeys((*CAPTIONS, "ties"), "percent") | {"Pearson": "score"},
                            caption=f"{found.pictures:,} pictures, each asking all others; the truth is the tf-idf of "
                            "their captions; in %.")]
    lost = f", {found.left_out:,} without a known word left out" if found.left_out else ""
    for space, text_found in found.text.items():
        means = text_found.means()
        rows = {way: {f"recall@{k}": means[f"{way} @{k}"] for k in (1, 5, 10)} for way in WAYS}
        tables.append(Table.by_name("way", rows, caption=f"{found.pictures:,} pictures and {found.sentences:,} "
                                    f"sentences in the space {space}{lost}; the more there are, the harder; in %."))
    return tables
