"""What HopSkipJump returns of a random victim's boundary, where the vote is a toss-up: points that stand a check."""

import torch
from torch import Tensor

from .oracle import CLEAR, DecisionOracle

# How far out along its ray a point is checked, in turn; then how far along the way back to the start, which comes last.
FARTHER = (1.02, 1.03, 1.05, 1.08, 1.13, 1.2, 1.3, 1.5, 1.8)
BACK = (0.1, 0.2, 0.4, 0.7)
PLACES = [(1.0, 0.0), *((far, 0.0) for far in FARTHER), *((FARTHER[-1], back) for back in (*BACK, 1.0))]
HALVINGS = 3  # of the way to the last place that did not pass


def checked(
    oracle: DecisionOracle, x: Tensor, point: Tensor, begun: Tensor, owner: Tensor, answers: int, confirming: int
) -> tuple[Tensor, Tensor]:
    """For each of the images `owner` (m,) the nearest of some PLACES that is clearly adversarial by fresh `answers`.

    It is brought back by bisection towards the place before, that is not. The luckiest of several is not the surest: so it is
    returned only if as many as `confirming` more answers, which did not choose it, are clear as well; else the next place half
    a step farther that is. With 0 of them it is the first place that passes, or where it has `begun`. Beside the points
    (m, c, h, w) it says which of them stand (m,).
    """
    place, seeking = torch.full_like(owner, len(PLACES) - 1), torch.arange(len(owner), device=x.device)
    best = begun.clone()
    for at, (far, back) in enumerate(PLACES[1:-1], start=1):
        tried = placed(x[seeking], point[seeking], begun[seeking], far, back, oracle.bounds)
        clear = oracle.clearly(tried, owner[seeking], answers)
        best[seeking[clear]], place[seeking[clear]] = tried[clear], at
        seeking = seeking[~clear]
        if len(seeking) == 0:
            break
    sure = torch.ones_like(owner, dtype=torch.bool)
    if not confirming:
        return best, sure
    places = x.new_tensor(PLACES)

    def between_places(which: Tensor, at: Tensor) -> Tensor:
        before = at.long().clamp(max=len(PLACES) - 2)
        far, back = torch.lerp(places[before], places[before + 1], (at - before)[:, None]).T.reshape(2, -1, 1, 1, 1)
        return placed(x[which], point[which], begun[which], far, back, oracle.bounds)

    everyone = torch.arange(len(owner), device=x.device)
    low, high = place - 1.0, place.to(x.dtype)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        clear = oracle.clearly(between_places(everyone, middle), owner, answers)
        low, high = torch.where(clear, low, middle), torch.where(clear, middle, high)
    sure[:] = False
    seeking = everyone
    while len(seeking):
        tried = between_places(seeking, high[seeking])
        # A standard deviation more than clear: of points that only just pass, some are not what they seem.
        clear = oracle.margin(tried, owner[seeking], confirming) >= CLEAR + confirming**-0.5
        best[seeking[clear]], sure[seeking[clear]] = tried[clear], True
        seeking = seeking[~clear & (high[seeking] < len(PLACES) - 1)]
        high[seeking] = (high[seeking] + 0.5).clamp(max=len(PLACES) - 1)
    return best, sure


def placed(
    x: Tensor, point: Tensor, begun: Tensor, far: float | Tensor, back: float | Tensor, bounds: tuple[float, float]
) -> Tensor:
    """Each `point` times as `far` from `x`, and from there a share of the way `back` to where it has `begun`."""
    return torch.lerp((x + far * (point - x)).clamp(*bounds), begun, back)
