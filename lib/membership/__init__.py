"""Attacks on the training set: which images was a network trained on? One family a file, in three steps:

    score(answers, labels) -> scores (n,)                  what looks like a member, the larger the more (`scores`)
    lira, rmia(shadow_scores, shadow_in, scores) -> (n,)   by how shadows score with and without the point (`likelihood`)
    label_only(distances) -> (n,)                          by how far the decision is from changing (`label_only`)
    by_threshold(member, nonmember) -> Inference           what scores of members and of non-members tell (`threshold`, `roc`)

Rates, accuracies and areas are fractions of 1.
"""

from .label_only import boundary_distances, label_only
from .likelihood import lira, rmia
from .roc import Curve, advantage, auc, auc_interval, balanced_accuracy, best_threshold, roc, tpr_at_fpr, tpr_interval
from .scores import MEMBERSHIP_SCORES, confidence, correctness, log_odds, negative_entropy, negative_modified_entropy
from .shadows import Shadows, logits_of, train_shadows
from .threshold import Inference, above_class, best_by_chance, by_threshold, class_thresholds, gap_attack

__all__ = [
    "MEMBERSHIP_SCORES",
    "Curve",
    "Inference",
    "Shadows",
    "above_class",
    "advantage",
    "auc",
    "auc_interval",
    "balanced_accuracy",
    "best_by_chance",
    "best_threshold",
    "boundary_distances",
    "by_threshold",
    "class_thresholds",
    "confidence",
    "correctness",
    "gap_attack",
    "label_only",
    "lira",
    "log_odds",
    "logits_of",
    "negative_entropy",
    "negative_modified_entropy",
    "rmia",
    "roc",
    "tpr_at_fpr",
    "tpr_interval",
    "train_shadows",
]
