"""Rejecting inputs by a score: how well it tells adversarial images from clean ones, and what is gained by rejecting.

Scores that are not (n,), none or NaN, and rates and shares outside their range, are a `BadValue`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from lib import membership
from lib.errors import BadValue, check_number
from lib.membership.roc import check_scores

FALSE_POSITIVE_RATES = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
REJECTED = tuple(i / 20 for i in range(20))  # shares of the inputs


def auroc(clean: Tensor, adversarial: Tensor) -> float:
    """The chance, in percent, that an adversarial image scores higher than a clean one; ties count half."""
    from sklearn.metrics import roc_auc_score  # here, for it takes seconds that most commands need not wait

    check_scores(clean=clean, adversarial=adversarial)
    truth = np.concatenate([np.zeros(len(clean)), np.ones(len(adversarial))])
    return 100 * float(roc_auc_score(truth, torch.cat([clean, adversarial]).double().cpu().numpy()))


def roc(clean: Tensor, adversarial: Tensor, rates: Sequence[float] = FALSE_POSITIVE_RATES) -> list[float]:
    """The share of adversarial images detected where at most each of `rates` of the clean ones is rejected, in percent."""
    check_scores(clean=clean, adversarial=adversarial)
    curve = membership.roc(adversarial, clean)
    return [100 * curve.tpr_at(check_number("rates", rate, low=0.0, high=1.0)) for rate in rates]


def accuracy_after_rejection(scores: Tensor, right: Tensor, shares: Sequence[float] = REJECTED) -> list[float]:
    """Accuracy in percent on what is left when each of `shares` of the inputs, those with the highest scores, is rejected.

    Inputs with equal scores are rejected in proportion: the accuracy is its mean over all orders of the tied ones.

    Args:
        scores: (n,) of all inputs.
        right: (n,) whether each would be classified rightly.
        shares: each in [0, 1).
    """
    check_scores(scores=scores)
    if scores.shape != right.shape:
        raise BadValue(f"right: expected {tuple(scores.shape)}, one of each score, got {tuple(right.shape)}")
    values, inverse = np.unique(scores.double().cpu().numpy(), return_inverse=True)
    counts = np.bincount(inverse, minlength=len(values))
    hits = np.bincount(inverse, weights=right.double().cpu().numpy(), minlength=len(values))
    n, kept, good = len(scores), np.cumsum(counts), np.cumsum(hits)
    left = [n * (1 - check_number("shares", share, low=0.0, high=0.999999)) for share in shares]
    # Linear between the ends of a group of ties: the expected number of right ones among those of it that stay.
    return [100 * float(np.interp(count, [0, *kept], [0, *good])) / count for count in left]


def by_scores(
    clean: Mapping[str, Tensor], adversarial: Mapping[str, Tensor]
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """For every score its AUROC and its mean over clean and over adversarial images, and the curve of its ROC."""
    measured: dict[str, float] = {}
    curves = {"false_positive_rate": list(FALSE_POSITIVE_RATES)}
    for name, scores in adversarial.items():
        measured[f"auroc_{name}"] = auroc(clean[name], scores)
        measured[f"clean_{name}"] = clean[name].double().mean().item()
        measured[f"adversarial_{name}"] = scores.double().mean().item()
        curves[f"detected_{name}"] = roc(clean[name], scores)
    return measured, curves
