"""Attacks on the training set: which images was a network trained on? One family a file, in three steps:

    score(answers, labels) -> scores (n,)                  what looks like a member, the larger the more (`scores`)
    membership_scores(net, features) -> scores (n,)        the same, learnt on a shadow network (`shadow`)
    by_threshold(member, nonmember) -> Inference           what scores of members and of non-members tell (`threshold`, `roc`)

Rates, accuracies and areas are fractions of 1. `archive` does all this for the answers of any network saved in an .npz file.
"""

from .adversarial import MLP, learnt_accuracy, targeted_answers
from .archive import infer, read, report
from .roc import (
    Curve,
    advantage,
    auc,
    auc_interval,
    balanced_accuracy,
    best_threshold,
    permuted,
    roc,
    sampled,
    tpr_at_fpr,
    tpr_interval,
)
from .scores import SCORES, confidence, correctness, entropy, log_odds, modified_entropy
from .shadow import (
    CONFIGS,
    FEATURES,
    AttackConfig,
    AttackNet,
    auc_as_coded,
    membership_scores,
    spread,
    top3,
    train_attack,
    unsorted,
)
from .threshold import Inference, above_class, best_by_chance, by_threshold, class_thresholds, gap_attack

__all__ = [
    "CONFIGS", "FEATURES", "MLP", "SCORES", "AttackConfig", "AttackNet", "Curve", "Inference", "above_class",
    "advantage", "auc", "auc_as_coded", "auc_interval", "balanced_accuracy", "best_by_chance", "best_threshold",
    "by_threshold", "class_thresholds", "confidence", "correctness", "entropy", "gap_attack", "infer",
    "learnt_accuracy", "log_odds", "membership_scores", "modified_entropy", "permuted", "read", "report", "roc",
    "sampled", "spread", "targeted_answers", "top3", "tpr_at_fpr", "tpr_interval", "train_attack", "unsorted",
]  # fmt: skip
