"""Retrieval metrics in three steps: who is right, one value a query, one figure for all of them."""

from devise.metrics.generalised import Curve, Generalised, generalised, per_class_top1, seen_unseen_curve
from devise.metrics.hierarchical import correct_sets, hierarchical_precision, near_label
from devise.metrics.ranking import (
    average_precision,
    first_hit,
    hit_at_k,
    map_at_r,
    ndcg_at_k,
    precision_at_k,
    r_precision,
    recall_at_k,
    reciprocal_rank,
)
from devise.metrics.relevance import any_of, count_any_of, count_same_label, labels_of, same_label
from devise.metrics.summary import (
    Comparison,
    Mean,
    Spread,
    bootstrap_interval,
    harmonic_mean,
    mean_over_classes,
    mean_over_queries,
    paired_bootstrap,
    spread,
)

__all__ = ["Comparison", "Curve", "Generalised", "Mean", "Spread", "any_of", "average_precision",
           "bootstrap_interval", "correct_sets", "count_any_of", "count_same_label", "first_hit", "generalised",
           "harmonic_mean", "hierarchical_precision", "hit_at_k", "labels_of", "map_at_r", "mean_over_classes",
           "mean_over_queries", "ndcg_at_k", "near_label", "paired_bootstrap", "per_class_top1", "precision_at_k",
           "r_precision", "recall_at_k", "reciprocal_rank", "same_label", "seen_unseen_curve", "spread"]
