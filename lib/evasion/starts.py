"""Where attacks that see nothing but decisions start, and their way from there to the boundary."""

import math

import torch
from torch import Tensor

from .oracle import DecisionOracle

RESTARTS = 10  # where a random start does not pass
AT_ONCE = 2**25  # random numbers: 128 MiB
OUTWARD = 1e-3  # of the distance: far above rounding in float32, far below what tells attacks apart
SURE = 4  # times as many answers before a point is kept, for the luckiest of several is not the surest


def starting_points(
    oracle: DecisionOracle, start: Tensor | None, tries: int, check_answers: int = 0, confirm_answers: int = 0
) -> tuple[Tensor, Tensor]:
    """An adversarial point for each image, and for which there is one: the image itself, else `start`, else a random one.

    Where points are checked, the image itself and what is tried must be clearly so, and the image by more answers once more.
    """
    everyone, points = torch.arange(len(oracle.x), device=oracle.x.device), oracle.x.clone()
    found = oracle.clearly(points, everyone, check_answers)
    if confirm_answers:
        itself = everyone[found]
        found[itself] = oracle.clearly(points[itself], itself, confirm_answers)
    rest = everyone[~found]
    if start is None:
        points[rest], found[rest] = random_starts(oracle, rest, tries, check_answers)
    else:
        found[rest] = oracle.clearly(start[rest], rest, check_answers)
        started = rest[found[rest]]
        points[started] = start[started]
    return points, found


def random_starts(oracle: DecisionOracle, owner: Tensor, tries: int, check_answers: int = 0) -> tuple[Tensor, Tensor]:
    """For each of the images `owner` (m,) the first of `tries` uniformly random images that is adversarial.

    Tried in rounds of 1, 2, 4, ... an image, for few calls of the victim. Where points are checked, it must be clearly so. Where
    all tries fail, it is the image itself, and (m,) False.
    """
    low, high = oracle.bounds
    points, found = oracle.x[owner], torch.zeros_like(owner, dtype=torch.bool)
    tried = 0
    while tried < tries and not found.all():
        each = min(tried + 1, tries - tried)
        for seeking in torch.split((~found).nonzero()[:, 0], max(1, AT_ONCE // (each * points[0].numel()))):
            drawn = points.new_empty(len(seeking), each, *points.shape[1:])
            for several, i in zip(drawn, owner[seeking].tolist(), strict=True):
                several.uniform_(generator=oracle.sources[i])
            drawn.mul_(high - low).add_(low)
            asker = owner[seeking].repeat_interleave(each)
            adversarial = oracle(drawn.flatten(0, 1), asker)
            if check_answers:
                hits = adversarial.nonzero()[:, 0]
                adversarial[hits] = oracle.clearly(drawn.flatten(0, 1)[hits], asker[hits], check_answers)
            adversarial = adversarial.view(-1, each)
            first, hit = adversarial.int().argmax(1), adversarial.any(1)
            points[seeking[hit]] = drawn[hit, first[hit]]
            found[seeking[hit]] = True
        tried += each
    return points, found


def sure_starts(
    oracle: DecisionOracle, point: Tensor, found: Tensor, answers: int, start: Tensor | None, tries: int
) -> tuple[Tensor, Tensor]:
    """Starts that are clearly adversarial by SURE times `answers`; where those at hand are not, `start` or other random ones."""
    sure = torch.zeros_like(found)
    unsure = found.nonzero()[:, 0]
    for attempt in range(RESTARTS):
        clear = oracle.clearly(point[unsure], unsure, SURE * answers)
        sure[unsure[clear]], unsure = True, unsure[~clear]
        if len(unsure) == 0 or attempt == (RESTARTS - 1 if start is None else 1):
            break
        if start is None:
            point[unsure], again = random_starts(oracle, unsure, tries)
            unsure = unsure[again]
        else:
            point[unsure] = start[unsure]  # the image itself may have passed as adversarial by a fluke
    return torch.where(sure.view(-1, 1, 1, 1), point, oracle.x), sure


def bisections(tolerance: float) -> int:
    """How many questions the way to the boundary takes, to a share `tolerance` of it."""
    return math.ceil(math.log2(1 / tolerance))


def outward(oracle: DecisionOracle, point: Tensor, owner: Tensor) -> Tensor:
    """Each `point` (m, c, h, w), farther from its image by a share OUTWARD of its distance if it is adversarial there too."""
    outside = torch.lerp(oracle.x[owner], point, 1 + OUTWARD).clamp(*oracle.bounds)
    return torch.where(oracle(outside, owner).view(-1, 1, 1, 1), outside, point)


def to_boundary(oracle: DecisionOracle, point: Tensor, owner: Tensor, tolerance: float) -> Tensor:
    """The adversarial point nearest to its image on the way there from each `point`, to a share `tolerance` of that way."""
    x, low, high = oracle.x[owner], torch.zeros_like(point[:, 0, 0, 0]), torch.ones_like(point[:, 0, 0, 0])
    for _ in range(bisections(tolerance) if len(x) else 0):
        middle = (low + high) / 2
        adversarial = oracle(between(x, point, middle, oracle.order), owner)
        low, high = torch.where(adversarial, low, middle), torch.where(adversarial, middle, high)
    return between(x, point, high, oracle.order)


def between(x: Tensor, point: Tensor, share: Tensor, order: float) -> Tensor:
    """The way from `x` to `point` in shares of its length: a straight line in l2, in l_inf `point` clipped ever less."""
    share = share.view(-1, 1, 1, 1)
    if order == 2:
        return torch.lerp(x, point, share)
    reach = share * (point - x).abs().amax((1, 2, 3), keepdim=True)
    return torch.where(share == 1, point, torch.clamp(point, x - reach, x + reach))
