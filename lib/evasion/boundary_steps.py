"""The steps of the Boundary attack: aside on the sphere, longer or shorter by what came of the last, and back where one fell."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .oracle import DecisionOracle
from .starts import SURE

ORTHOGONAL = 0.28  # on a flat boundary, in many dimensions, the shares at which the walk advances fastest
CLOSER = 0.42
BISECTIONS = 5  # of the line back to the last point that passed


def orthogonal(x: Tensor, point: Tensor, delta: Tensor, noise: Tensor) -> Tensor:
    """Each `point` moved by `delta` (m,) of its distance from `x`, at a right angle to it, and back to that distance.

    The direction is that of `noise` (m, c, h, w), less what of it points to `x`.
    """
    away, noise = (point - x).flatten(1), noise.flatten(1)
    squared = (away * away).sum(1, keepdim=True)
    noise = noise - (noise * away).sum(1, keepdim=True) / squared * away
    noise = F.normalize(noise) * squared.sqrt()
    # x + (a + delta |a| n) / sqrt(1 + delta^2),  n at a right angle to a, |n| = 1
    delta = delta[:, None]
    return x + ((away + delta * noise) / (1 + delta**2).sqrt()).view(x.shape)


def adapted(size: Tensor, step_adapt: Tensor, success: Tensor, rate: float) -> Tensor:
    """Step sizes (m,) after an answer: longer for a success, shorter for a failure, unmoved on average at `rate` successes."""
    # s a^((rate - success) / 2): a whole factor a takes two answers
    return (size * step_adapt ** ((rate - success.to(size.dtype)) / 2)).clamp(max=1.0)


def called_back(oracle: DecisionOracle, point: Tensor, passed: Tensor, owner: Tensor, answers: int) -> Tensor:
    """Each `point` that is clearly adversarial by fresh `answers`; else the first on the line back to `passed` that is.

    What is found must pass once more, by SURE times as many answers, or the way back leads to `passed`.
    """

    def clear(points: Tensor, which: Tensor, times: int = 1) -> Tensor:
        return oracle.clearly(points, owner[which], times * answers)

    best, everyone = passed.clone(), torch.arange(len(point), device=point.device)
    stands = clear(point, everyone)
    best[stands], rest = point[stands], everyone[~stands]
    share, half = point.new_full((len(rest),), 0.5), 0.25  # of the line from `passed`
    for _ in range(BISECTIONS):
        tried = torch.lerp(passed[rest], point[rest], share.view(-1, 1, 1, 1))
        stands = clear(tried, rest)
        best[rest[stands]] = tried[stands]
        share, half = share + torch.where(stands, half, -half), half / 2
    moved = (best != passed).flatten(1).any(1).nonzero()[:, 0]
    fallen = moved[~clear(best[moved], moved, SURE)]
    best[fallen] = passed[fallen]
    return best
