"""What HopSkipJump returns of a random victim's boundary: points that stand a check."""

import torch
from torch import Tensor

from .oracle import DecisionOracle

FARTHER = (1.02, 1.03, 1.05, 1.08, 1.13, 1.2, 1.3, 1.5, 1.8)  # how far out along its ray a point is checked, in turn
BACK = (0.1, 0.2, 0.4, 0.7)  # and then how far along the way back to the start


def checked(
    oracle: DecisionOracle,
    x: Tensor,
    point: Tensor,
    begun: Tensor,
    owner: Tensor,
    answers: int,
    bounds: tuple[float, float],
) -> Tensor:
    """For each of the images `owner` (m,) the first point that is clearly adversarial by fresh `answers`: (m, c, h, w).

    On the boundary the vote of a random victim is a toss-up. So points farther out along the ray from the image `x` through its
    `point` are tried, then points on the way back to where it has `begun`, which has passed this check before.
    """
    best, seeking = begun.clone(), torch.arange(len(owner), device=x.device)
    for factor, back in [*((f, 0.0) for f in FARTHER), *((FARTHER[-1], b) for b in BACK)]:
        out = (x[seeking] + factor * (point[seeking] - x[seeking])).clamp(*bounds)
        tried = torch.lerp(out, begun[seeking], back)
        clear = oracle.clearly(tried, owner[seeking], answers)
        best[seeking[clear]] = tried[clear]
        seeking = seeking[~clear]
        if len(seeking) == 0:
            break
    return best
