"""Retrieval metrics in three steps: who is right, one value a query, one figure for all of them."""

from devise.metrics.bootstrap import cluster_bootstrap
from devise.metrics.clustering import normalised_mutual_information
from devise.metrics.generalised import Curve, Generalised, generalised, per_class_top1, seen_unseen_curve
from devise.metrics.graded import Agreement, ndcg_at_r, ndcg_curve, pearson, triplet_agreement, triplet_values
from devise.metrics.hierarchical import correct_sets, hierarchical_precision, near_label
from devise.metrics.open_set import Roc, equal_error_rate, roc, threshold_at, true_accept_rate
from devise.metrics.ranking import (
    average_precision,
    first_hit,
    hit_at_k,
    map_at_r,
    ndcg_at_k,
    precision_at_k,
    precision_ceiling,
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

__all__ = [
    "Agreement", "Comparison", "Curve", "Generalised", "Mean", "Roc", "Spread", "any_of", "average_precision",
    "bootstrap_interval", "cluster_bootstrap", "correct_sets", "count_any_of", "count_same_label", "equal_error_rate",
    "first_hit", "generalised", "harmonic_mean", "hierarchical_precision", "hit_at_k", "labels_of", "map_at_r",
    "mean_over_classes", "mean_over_queries", "ndcg_at_k", "ndcg_at_r", "ndcg_curve", "near_label",
    "normalised_mutual_information", "paired_bootstrap", "pearson", "per_class_top1", "precision_at_k",
    "precision_ceiling", "r_precision", "recall_at_k", "reciprocal_rank", "roc", "same_label", "seen_unseen_curve",
    "spread", "threshold_at", "triplet_agreement", "triplet_values", "true_accept_rate",
]
