"""How well scores tell members from non-members: the exact ROC and what is read off it, as fractions of 1.

The rule is the same everywhere: a point is called a member if its score is at least the threshold. So equal scores are never
told apart, and no point of a curve is made up between two thresholds. No scores on one side, another shape than (n,) or a NaN is
a `BadValue` of every function here, as is a rate or a confidence that is no share of 1.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from ..errors import BadValue, check_kind, check_number
from ..metrics import Interval, check_confidence, proportion_interval

Array = NDArray[np.float64]


class Curve(NamedTuple):
    """A ROC curve: one point for each different score, and before them the one where no point is called a member."""

    fpr: Tensor  #: the share of non-members called members, from 0 to 1
    tpr: Tensor  #: the share of members called so, from 0 to 1
    thresholds: Tensor  #: from the largest; the first is inf, above every score

    def tpr_at(self, fpr: float) -> float:
        """The highest TPR of a threshold with at most this FPR."""
        last = int(torch.searchsorted(self.fpr, torch.tensor(fpr, dtype=torch.float64), right=True)) - 1
        return float(self.tpr[last])


def roc(member: Tensor, nonmember: Tensor) -> Curve:
    """The exact ROC curve of the scores of members (n,) and of non-members (m,)."""
    inside, outside = _sorted(member, nonmember)
    thresholds = np.unique(np.concatenate([inside, outside]))[::-1]
    fpr, tpr = (np.concatenate([[0.0], _at_least(group, thresholds)]) for group in (outside, inside))
    return Curve(*map(torch.from_numpy, (fpr, tpr, np.concatenate([[math.inf], thresholds]))))


def auc(member: Tensor, nonmember: Tensor) -> float:
    """The area under the curve: the chance that a member scores higher than a non-member, where a tie counts half."""
    return float(_beaten(*_sorted(member, nonmember)).mean())


def auc_interval(member: Tensor, nonmember: Tensor, *, confidence: float = 0.95) -> Interval:
    """DeLong's interval of the AUC (DeLong et al. 1988), ties included; NaN ends if there is one member or one non-member.

    Where all members score higher than all non-members, the variance is 0 and the interval a point.
    """
    confidence = check_confidence(confidence)
    inside, outside = _sorted(member, nonmember)
    beaten, beating = _beaten(inside, outside), _beaten(outside, inside)
    mean, n = float(beaten.mean()), len(inside) + len(outside)
    if min(len(inside), len(outside)) == 1:
        return Interval(mean, math.nan, math.nan, n)
    # A ± z sqrt(s²_members / n + s²_nonmembers / m), s² the variance of the share of the other side that a score beats
    variance = beaten.var(ddof=1) / len(inside) + beating.var(ddof=1) / len(outside)
    half = float(special.ndtri(0.5 + confidence / 2)) * math.sqrt(variance)
    return Interval(mean, max(0.0, mean - half), min(1.0, mean + half), n)


def tpr_at_fpr(member: Tensor, nonmember: Tensor, fpr: float) -> float:
    """The largest share of members found where at most `fpr` of the non-members are called members."""
    return roc(member, nonmember).tpr_at(check_number("fpr", fpr, low=0.0, high=1.0))


def tpr_interval(member: Tensor, nonmember: Tensor, fpr: float, *, confidence: float = 0.95) -> Interval:
    """An interval of the TPR at a fixed FPR for which the threshold, too, is uncertain.

    Wilson's interval alone takes the threshold as known: of nominal 95 % it covered 48 % to 85 % of normal scores at FPRs of
    0.1 % to 5 %. Here it is joined with what the TPR is at the thresholds that as many non-members exceed as a binomial number
    of them would, by the sum of squares (MOVER: Zou and Donner 2008); that covered 96 % to 98 %.
    """
    from scipy.stats import binom  # here, for it takes a second that most commands need not wait

    curve, fpr = roc(member, nonmember), check_number("fpr", fpr, low=0.0, high=1.0)
    confidence = check_confidence(confidence)
    n, m = len(member), len(nonmember)
    tpr = curve.tpr_at(fpr)
    wilson = proportion_interval(round(tpr * n), n, confidence=confidence)
    fewest, most = (int(binom.ppf(0.5 + side * confidence / 2, m, fpr)) for side in (-1, 1))
    low = curve.tpr_at((fewest - 1) / m) if fewest > 0 else 0.0
    high = curve.tpr_at(most / m)
    # t - sqrt((t - l_1)² + (t - l_2)²), t + sqrt((h_1 - t)² + (h_2 - t)²)
    down, up = math.hypot(tpr - wilson.low, tpr - low), math.hypot(wilson.high - tpr, high - tpr)
    return Interval(tpr, max(0.0, tpr - down), min(1.0, tpr + up), n)


def advantage(member: Tensor, nonmember: Tensor) -> float:
    """The largest TPR - FPR of any threshold (Yeom et al. 2018)."""
    curve = roc(member, nonmember)
    return float((curve.tpr - curve.fpr).max())


def best_threshold(member: Tensor, nonmember: Tensor) -> tuple[float, float]:
    """The score, of several the largest, that is the best threshold on these very scores, and its balanced accuracy."""
    curve = roc(member, nonmember)
    gain = (curve.tpr - curve.fpr)[1:]  # calling all members gains as much as calling none
    best = int(gain.argmax())
    return float(curve.thresholds[1 + best]), 0.5 + float(gain[best]) / 2


def balanced_accuracy(member: Tensor, nonmember: Tensor, threshold: float) -> float:
    """Half the share of members at or above `threshold` plus half that of non-members below it."""
    inside, outside = _sorted(member, nonmember)
    if math.isnan(threshold):
        raise BadValue(f"threshold: expected a number, got {threshold!r}")
    at = np.array([threshold])
    return 0.5 + float(_at_least(inside, at)[0] - _at_least(outside, at)[0]) / 2


def check_scores(**scores: Tensor) -> None:
    """See that each of the named `scores` has one number or more, (n,), and no NaN, which has no place in an order."""
    for name, values in scores.items():
        if check_kind(name, values, Tensor, "a torch.Tensor").dim() != 1 or len(values) == 0:
            raise BadValue(f"{name}: expected scores (n,) with n >= 1, got {tuple(values.shape)}")
        if values.isnan().any():
            raise BadValue(f"{name}: expected numbers, got {int(values.isnan().sum())} NaN among {len(values)} scores")


def _sorted(member: Tensor, nonmember: Tensor) -> tuple[Array, Array]:
    """The scores of both sides as sorted arrays, once they are known to be scores."""
    check_scores(member=member, nonmember=nonmember)
    # NumPy's sort takes a tenth of the time of PyTorch's on a CPU.
    inside, outside = (np.sort(scores.detach().double().cpu().numpy()) for scores in (member, nonmember))
    return inside, outside


def _at_least(scores: Array, thresholds: Array) -> Array:
    """The share of the sorted `scores` that reach each threshold."""
    return (len(scores) - np.searchsorted(scores, thresholds, side="left")) / len(scores)


def _beaten(scores: Array, others: Array) -> Array:
    """The share of the sorted `others` below each score, where equal ones count half."""
    below, not_above = (np.searchsorted(others, scores, side=side) for side in ("left", "right"))
    return (below + not_above) / (2 * len(others))
