"""Protocols and reports: which candidates a figure ranks over, what it is, how it is written down."""

from devise.evaluation.candidates import Candidates
from devise.evaluation.protocols import (
    KS,
    Combined,
    Evaluation,
    ExactTags,
    answer_ranks,
    combine,
    evaluate,
    exact_tags,
    flat_hit_at_k,
)
from devise.evaluation.report import Example, Published, Report, Table, exact_table, hit_table

__all__ = [
    "KS", "Candidates", "Combined", "Evaluation", "ExactTags", "Example", "Published", "Report", "Table",
    "answer_ranks", "combine", "evaluate", "exact_table", "exact_tags", "flat_hit_at_k", "hit_table",
]
