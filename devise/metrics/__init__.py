"""Retrieval metrics in two steps: one value a query, then one figure with its interval for all of them."""

from devise.figures import Comparison, Spread
from devise.metrics.generalised import Curve, Generalised, generalised, per_class_top1, seen_unseen_curve
from devise.metrics.graded import Agreement, ndcg_at_r, ndcg_curve, triplet_agreement
from devise.metrics.open_set import Roc, equal_error_rate, roc, threshold_at, true_accept_rate
from devise.metrics.ranking import (
    correct_sets,
    hierarchical_precision,
    hit_at_k,
    map_at_r,
    precision_at_k,
    precision_ceiling,
    r_precision,
    recall_at_k,
)
from devise.metrics.summary import NO_LABEL, Mean, mean_over_classes, mean_over_queries, paired_difference, spread

__all__ = [
    "NO_LABEL", "Agreement", "Comparison", "Curve", "Generalised", "Mean", "Roc", "Spread", "correct_sets",
    "equal_error_rate", "generalised", "hierarchical_precision", "hit_at_k", "map_at_r", "mean_over_classes",
    "mean_over_queries", "ndcg_at_r", "ndcg_curve", "paired_difference", "per_class_top1", "precision_at_k",
    "precision_ceiling", "r_precision", "recall_at_k", "roc", "seen_unseen_curve", "spread", "threshold_at",
    "triplet_agreement", "true_accept_rate",
]
