"""Attacks on the training set: which images was a network trained on? One family a file, in three steps:

    score(answers, labels) -> scores (n,)                  what looks like a member, the larger the more (`scores`)
    lira, rmia(shadow_scores, shadow_in, scores) -> (n,)   by how shadows score with and without the point (`likelihood`)
    label_only(distances) -> (n,)                          by how far the decision is from changing (`label_only`)
    by_threshold(member, nonmember) -> Inference           what scores of members and of non-members tell (`threshold`, `roc`)

Rates, accuracies and areas are fractions of 1.
"""

from .label_only import boundary_distances as boundary_distances
from .label_only import label_only as label_only
from .likelihood import lira as lira
from .likelihood import rmia as rmia
from .roc import Curve as Curve
from .roc import advantage as advantage
from .roc import auc as auc
from .roc import auc_interval as auc_interval
from .roc import balanced_accuracy as balanced_accuracy
from .roc import best_threshold as best_threshold
from .roc import roc as roc
from .roc import tpr_at_fpr as tpr_at_fpr
from .roc import tpr_interval as tpr_interval
from .scores import MEMBERSHIP_SCORES as MEMBERSHIP_SCORES
from .scores import confidence as confidence
from .scores import correctness as correctness
from .scores import log_odds as log_odds
from .scores import negative_entropy as negative_entropy
from .scores import negative_modified_entropy as negative_modified_entropy
from .shadows import Shadows as Shadows
from .shadows import logits_of as logits_of
from .shadows import train_shadows as train_shadows
from .threshold import Inference as Inference
from .threshold import above_class as above_class
from .threshold import best_by_chance as best_by_chance
from .threshold import by_threshold as by_threshold
from .threshold import class_thresholds as class_thresholds
from .threshold import gap_attack as gap_attack
