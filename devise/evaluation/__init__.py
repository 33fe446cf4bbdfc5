"""Protocols: which candidates a figure ranks over, what it is, in which table it stands."""

from devise.evaluation.candidates import Candidates
from devise.evaluation.galleries import Galleries, evaluate_galleries, gallery_table
from devise.evaluation.open_set import (
    OpenSet,
    ThresholdInterval,
    best_scores,
    choose_threshold,
    evaluate_open_set,
    threshold_interval,
)
from devise.evaluation.protocols import (
    KS,
    Evaluation,
    ExactTags,
    answer_ranks,
    combine,
    evaluate,
    exact_table,
    exact_tags,
    flat_hit_at_k,
    hit_table,
)
from devise.evaluation.retrieval import Retrieval, clustering_nmi, pool, retrieve

__all__ = [
    "KS", "Candidates", "Evaluation", "ExactTags", "Galleries", "OpenSet", "Retrieval",
    "ThresholdInterval", "answer_ranks", "best_scores", "choose_threshold", "clustering_nmi", "combine", "evaluate",
    "evaluate_galleries", "evaluate_open_set", "exact_table", "exact_tags", "flat_hit_at_k", "gallery_table",
    "hit_table", "pool", "retrieve", "threshold_interval",
]
