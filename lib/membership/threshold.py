"""Membership by thresholds: the inference of Song, Shokri and Mittal (2019), class by class, from a shadow, and the gap attack.

With F(x)_y the probability of the true label, in log-odds so that it does not saturate:

    I_B(x, y) = 1{F(x)_y >= tau_B}          on the image: `by_threshold` of the `log_odds` of the answers to the images
    I_A(x, y) = 1{F(x_adv)_y >= tau_A}      on its adversarial example: of the answers to those

Song et al. report the worst case: tau is the best for the very points on which it is judged. What are no scores (n,), or none, or
hold a NaN, or do not match their labels, is a `BadValue`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import BadValue, check_count, check_number
from .roc import advantage, auc, balanced_accuracy, best_threshold, tpr_at_fpr
from .scores import correctness


@dataclass(frozen=True, kw_only=True)
class Inference:
    """What an attack learns about membership, as fractions of 1; a coin has accuracy and AUC 1/2 and no advantage."""

    accuracy: float  #: (TPR + 1 - FPR) / 2 at the threshold, balanced
    auc: float  #: the chance that a member scores higher than another; a tie counts half
    advantage: float  #: TPR - FPR at the best threshold, whichever was used
    tpr_at_1pct: float  #: TPR where at most 1 % of the non-members are called members
    tpr_at_01pct: float  #: TPR where at most 0.1 % are
    threshold: float  #: a score, so in log-odds for log-odds; may be infinite if scores are

    def percent(self, *names: str) -> dict[str, float]:
        """Those of its numbers that are fractions, in percent."""
        return {name: 100 * float(getattr(self, name)) for name in names}


def by_threshold(member: Tensor, nonmember: Tensor, *, threshold: float | None = None) -> Inference:
    """Call members what scores at least `threshold`, or the best threshold for these very points if none is given.

    An adversary who does not know who is a member learns a threshold where he does, on the scores of a shadow network:
    `by_threshold(member, nonmember, threshold=best_threshold(shadow_member, shadow_nonmember)[0])`.
    """
    if threshold is None:
        threshold, accuracy = best_threshold(member, nonmember)
    else:
        accuracy = balanced_accuracy(member, nonmember, threshold)
    return Inference(
        accuracy=accuracy,
        auc=auc(member, nonmember),
        advantage=advantage(member, nonmember),
        tpr_at_1pct=tpr_at_fpr(member, nonmember, 0.01),
        tpr_at_01pct=tpr_at_fpr(member, nonmember, 0.001),
        threshold=threshold,
    )


def best_by_chance(members: int, others: int, *, quantile: float | None = None) -> float:
    """The accuracy that the best threshold has where scores tell nothing, on average or, with `quantile`, at that quantile.

    The best threshold is chosen on the points that judge it, so it exceeds 1/2 even there: by half of the one-sided
    Kolmogorov-Smirnov statistic D, whose distribution for large numbers is P(D > d) = exp(-2 N d^2) with N = n m / (n + m).
    """
    n = check_count("members", members) * check_count("others", others) / (members + others)
    if quantile is None:
        return 0.5 + math.sqrt(math.pi / (8 * n)) / 2  # E[D] = sqrt(pi / (8 N))
    quantile = check_number("quantile", quantile, low=1e-12, high=1 - 1e-12)
    return 0.5 + math.sqrt(-math.log(1 - quantile) / (2 * n)) / 2


def class_thresholds(
    member: Tensor, member_labels: Tensor, nonmember: Tensor, nonmember_labels: Tensor, *, classes: int
) -> Tensor:
    """The best threshold of every class (classes,), of known members and others; a class without either gets that of all."""
    _check_labels(member, member_labels, classes)
    _check_labels(nonmember, nonmember_labels, classes)
    thresholds = torch.full((classes,), best_threshold(member, nonmember)[0], dtype=torch.float64)
    for c in range(classes):
        inside, outside = member[member_labels == c], nonmember[nonmember_labels == c]
        if len(inside) and len(outside):
            thresholds[c] = best_threshold(inside, outside)[0]
    return thresholds


def above_class(scores: Tensor, labels: Tensor, thresholds: Tensor) -> Tensor:
    """By how much each score exceeds the threshold of its class: `by_threshold` of these at 0 is the class-dependent attack."""
    _check_labels(scores, labels, len(thresholds))
    scores, limits = scores.double(), thresholds.to(scores.device, torch.float64)[labels.long()]
    return torch.where(scores == limits, 0.0, scores - limits)  # inf - inf, too, is at the threshold


def gap_attack(member: Tensor, member_labels: Tensor, nonmember: Tensor, nonmember_labels: Tensor) -> Inference:
    """Call members what is classified rightly, of answers (n, k): half plus half the gap of training to test accuracy."""
    return by_threshold(correctness(member, member_labels), correctness(nonmember, nonmember_labels), threshold=1.0)


def _check_labels(scores: Tensor, labels: Tensor, classes: int) -> None:
    if scores.shape != labels.shape or scores.dim() != 1:
        raise BadValue(f"scores, labels: expected two (n,), got {tuple(scores.shape)} and {tuple(labels.shape)}")
    if len(labels) > 0 and not 0 <= labels.min() <= labels.max() < classes:
        raise BadValue(f"labels: expected 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}")
