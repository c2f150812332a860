"""Membership by likelihood ratios over shadow models: LiRA (Carlini et al. 2022) and RMIA (Zarifzadeh et al. 2024).

Both judge plain numbers, of anybody's models, as tensors or arrays. *Online* a point needs shadows that were trained on it and
shadows that were not, *offline* the latter alone. Infinite log-odds count as the largest or the least finite ones there are.
"""

import math
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..errors import BadValue, check_choice, check_flag, check_number

Array = Tensor | NDArray[Any]

VARIANCES = ("per_example", "global")
FARTHEST = 1e100  # log-odds beyond which no square of a difference is a number


def lira(
    shadow_scores: Array, shadow_in: Array, target_scores: Array, *, online: bool = True, variance: str = "per_example"
) -> Tensor:
    """How much likelier each point's log-odds are of a member than of another: (n,), float64 (Carlini et al. 2022, algorithm 1).

    A point's log-odds are taken for normal, with the mean of its shadows on each side. Online, the logarithm of the ratio of both
    densities. Offline, by how many standard deviations the log-odds exceed the mean without the point: it orders points as the
    paper's one-sided test 1 - P(Z > log-odds) does, and does not saturate.

    Args:
        shadow_scores: (s, n) log-odds of the true label, see `log_odds`, that each of s shadow models gives.
        shadow_in: (s, n) whether the shadow was trained on the point.
        target_scores: (n,) log-odds of the judged model.
        online: whether both sides count, or only shadows without the point.
        variance: "per_example", of the point's own shadows on that side, or "global", around each point's own mean but pooled
            over all points, which the paper advises for few shadows, below some 64. Where a point's is 0, as that of a single
            shadow, it is the global one; where no point has two shadows on a side, that is the variance of all scores.

    Raises:
        BadValue: shapes that do not match, a NaN, no finite number; a point without shadows on a side that counts; no variance.
    """
    check_choice("variance", variance, VARIANCES)
    shadow, inside, target = _checked(shadow_scores, shadow_in, target_scores, online=online)
    mean, deviation = _normal(shadow, ~inside, variance)
    without = (target - mean) / deviation
    if not online:
        return without
    mean, deviation_in = _normal(shadow, inside, variance)
    within = (target - mean) / deviation_in
    # log N(s; mu_in, sigma_in) - log N(s; mu_out, sigma_out)
    return (without.square() - within.square()) / 2 + deviation.log() - deviation_in.log()


def rmia(
    shadow_scores: Array,
    shadow_in: Array,
    target_scores: Array,
    *,
    population: Array | None = None,
    online: bool = True,
    gamma: float = 2.0,
    offline_a: float = 0.3,
) -> Tensor:
    """The share of the population that each point's likelihood ratio exceeds: (n,) (Zarifzadeh et al. 2024).

    With Pr(x | theta) the probability of the label of x, and Pr(x) its mean over models with and without x, the score of x is
    P_z[Pr(x | theta) / Pr(x) >= gamma Pr(z | theta) / Pr(z)]. For all z that is a rank, in O(n log n).

    Args:
        shadow_scores, shadow_in, target_scores: as of `lira`.
        population: (n,) which of the points are the z; all if None.
        online: whether models with x are among the shadows, or Pr(x) is guessed from those without.
        gamma: by how much a ratio must exceed another, at least 1.
        offline_a: offline the probability with x is taken for a p + 1 - a, where p is that without. The paper tunes it.

    Raises:
        BadValue: as of `lira`; no population; a setting outside its range.
    """
    gamma, a = check_number("gamma", gamma, low=1.0), check_number("offline_a", offline_a, low=0.0, high=1.0)
    shadow, inside, target = _checked(shadow_scores, shadow_in, target_scores, online=online)
    chosen = torch.ones_like(inside[0]) if population is None else _mask("population", population)
    if chosen.shape != target.shape or not chosen.any():
        expected = f"({len(target)},) with at least one point"
        raise BadValue(f"population: expected {expected}, got {tuple(chosen.shape)} with {int(chosen.sum())}")
    logp = logsigmoid(shadow)
    without = _log_mean(logp, ~inside)
    if online:
        # Pr(x) = (Pr_in(x) + Pr_out(x)) / 2
        prior = torch.logaddexp(_log_mean(logp, inside), without) - math.log(2)
    else:
        # Pr(x) = ((1 + a) Pr_out(x) + 1 - a) / 2
        prior = (((1 + a) * without.exp() + 1 - a) / 2).log() if a < 1 else without
    ratio = logsigmoid(target) - prior
    others = ratio[chosen].sort().values
    return torch.searchsorted(others, ratio - math.log(gamma), right=True).double() / len(others)


def _normal(scores: Tensor, which: Tensor, variance: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (n,) of `scores` (s, n) over the shadows of a side."""
    count = which.sum(0)
    mean = torch.where(which, scores, 0.0).sum(0) / count
    squares = torch.where(which, scores - mean, 0.0).square().sum(0)
    freedom, own = int((count - 1).clamp_min(0).sum()), squares / count
    pooled = squares.sum() / freedom if freedom > 0 else scores[which].var(correction=0)
    if not pooled > 0:
        raise BadValue("shadow_scores: expected scores that differ, got no variance on one side")
    return mean, torch.where((own > 0) & (variance == "per_example"), own, pooled).sqrt()


def _log_mean(logp: Tensor, which: Tensor) -> Tensor:
    """log of the mean probability (n,) over the shadows of a side."""
    return torch.where(which, logp, -torch.inf).logsumexp(0) - which.sum(0).log()


def _checked(shadow_scores: Array, shadow_in: Array, target_scores: Array, *, online: bool) -> tuple[Tensor, ...]:
    """The log-odds of shadows (s, n), who was trained on what (s, n), and the target's (n,), once they are some, in float64."""
    check_flag("online", online)
    target = torch.as_tensor(target_scores).double()
    shadow, inside = torch.as_tensor(shadow_scores).to(target), _mask("shadow_in", shadow_in).to(target.device)
    if shadow.dim() != 2 or 0 in shadow.shape or inside.shape != shadow.shape or target.shape != shadow.shape[1:]:
        shapes = f"{tuple(shadow.shape)}, {tuple(inside.shape)} and {tuple(target.shape)}"
        raise BadValue(f"shadow_scores, shadow_in, target_scores: expected (s, n), (s, n) and (n,), got {shapes}")
    for side, which in {"with": inside, "without": ~inside}.items():
        if (online or side == "without") and len(alone := (~which.any(0)).nonzero()) > 0:
            told = "; give online=False" if side == "with" else ""
            raise BadValue(f"shadow_in: expected a shadow {side} each point, got none of point {int(alone[0])}{told}")
    both = torch.cat([shadow.flatten(), target])
    finite = both[both.isfinite()]
    if both.isnan().any() or len(finite) == 0 or finite.abs().max() > FARTHEST:
        told = f"{int(both.isnan().sum())} NaN and {int(both.isinf().sum())} infinite ones of {len(both)}"
        raise BadValue(f"shadow_scores, target_scores: expected log-odds of at most {FARTHEST:g}, got {told}")
    low, high = finite.min(), finite.max()
    return shadow.clamp(low, high), inside, target.clamp(low, high)


def _mask(name: str, which: Array) -> Tensor:
    found = torch.as_tensor(which)
    if found.dtype != torch.bool:
        raise BadValue(f"{name}: expected True and False, got {found.dtype}")
    return found
