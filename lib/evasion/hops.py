"""What HopSkipJump does in an iteration, learning from decisions alone which way a point gets more adversarial, and at its end.

What it returns of a random victim's boundary, where the vote is a toss-up, are points that stand a check.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .decision import Walk, distances
from .oracle import CLEAR, DecisionOracle
from .starts import outward, to_boundary

SHORTEST = 30  # halvings of a step's length, after which the image stays where it is
# How far out along its ray a point is checked, in turn; then how far along the way back to the start, which comes last.
FARTHER = (1.02, 1.03, 1.05, 1.08, 1.13, 1.2, 1.3, 1.5, 1.8, 2.2, 2.7, 3.4, 4.3, 5.5)
BACK = (0.1, 0.2, 0.4, 0.7)
HALVINGS = 3  # of the way to the last place that did not pass


@dataclass
class Hops(Walk):
    """Where HopSkipJump stands between two iterations."""

    begun: Tensor  # (n, c, h, w) where each image has started
    distance: Tensor  # (n,) of where it is

    def tell(self, oracle: DecisionOracle) -> None:
        """One step more, with its row of the traces."""
        self.steps += 1
        self.trace_answers = torch.cat([self.trace_answers, oracle.answers[None]])
        self.trace_distance = torch.cat([self.trace_distance, self.least[None]])


def first_point(oracle: DecisionOracle, request: Tensor, begun: Tensor, found: Tensor, tolerance: float) -> Hops:
    """The walk before its first iteration: each image that has not `begun` as itself is on the boundary."""
    started = (found & (begun != oracle.x).flatten(1).any(1)).nonzero()[:, 0]
    point = begun.clone()
    point[started] = to_boundary(oracle, begun[started], started, tolerance)
    distance = distances(oracle.x, point, oracle.order)
    least = torch.where(found, distance, torch.inf)
    steps, answers = torch.zeros((), dtype=torch.int64), oracle.answers[None].clone()
    return Hops(request, steps, found, point, point.clone(), least, answers, least[None].clone(), begun, distance)


def hop(oracle: DecisionOracle, walk: Hops, owner: Tensor, evaluations: Tensor, probe: float, tolerance: float) -> None:
    """An iteration of the images `owner` (m,): a direction of as many `evaluations` (m,), a step along it, and the way back."""
    low, high = oracle.bounds
    at, away = walk.point[owner], walk.distance[owner]
    radius = probe * away if walk.steps else (probe * away).clamp_min(0.1 * (high - low))
    direction = directions(oracle, at, owner, radius, evaluations)
    moved = step(oracle, at, direction, owner, away / math.sqrt(int(walk.steps) + 1))
    at = to_boundary(oracle, moved, owner, tolerance)
    walk.point[owner], walk.distance[owner] = at, distances(oracle.x[owner], at, oracle.order)
    nearer = owner[walk.distance[owner] < walk.least[owner]]
    walk.kept[nearer], walk.least[nearer] = walk.point[nearer], walk.distance[nearer]
    walk.tell(oracle)


def settle(oracle: DecisionOracle, walk: Hops, checking: int, confirming: int, farthest: float, leaving: bool) -> None:
    """Make of the closest points what is returned: points that stand the check, or that have left the very boundary."""
    started = (walk.found & (walk.begun != oracle.x).flatten(1).any(1)).nonzero()[:, 0]
    x = oracle.x[started]
    if checking:
        points = walk.kept[started], walk.begun[started]
        made, sure = checked(oracle, *points, started, checking, confirming, farthest)
        walk.kept[started], walk.found[started] = torch.where(sure.view(-1, 1, 1, 1), made, x), sure
        walk.least[started] = distances(x, made, oracle.order).masked_fill(~sure, torch.inf)
        walk.tell(oracle)
    if leaving:
        walk.kept[started] = outward(oracle, walk.kept[started], started)
        walk.least[started] = distances(x, walk.kept[started], oracle.order)
        walk.trace_answers[-1], walk.trace_distance[-1] = oracle.answers, walk.least


def directions(oracle: DecisionOracle, point: Tensor, owner: Tensor, radius: Tensor, evaluations: Tensor) -> Tensor:
    """Estimates of which way each `point` (m, c, h, w) gets more adversarial, of l2 norm 1 or, in l_inf, signs.

    One answer is asked for each of `evaluations` points (m,) at `radius` (m,) around it, in a random direction: the estimate
    leads from the mean of those that are not adversarial to the mean of those that are.
    """
    low, high = oracle.bounds
    # Images share calls of the victim, in groups that make few of them and yet fit into memory.
    group = (evaluations.cumsum(0) - evaluations) // (4 * oracle.max_batch)
    found = torch.empty_like(point)
    for number in sorted(set(group.tolist())):
        members = (group == number).nonzero()[:, 0]
        sizes = evaluations[members].tolist()
        pool = point.new_empty(sum(sizes), *point.shape[1:])
        around = torch.split(pool, sizes)
        for i, points in zip(members.tolist(), around, strict=True):
            _fill(points, oracle.sources[int(owner[i])], oracle.order)
            scale = radius[i] / torch.linalg.vector_norm(points.flatten(1), dim=1)
            points.mul_(scale.view(-1, 1, 1, 1)).add_(point[i]).clamp_(low, high)
        adversarial = oracle.once(pool, owner[members].repeat_interleave(evaluations[members]))
        for i, points, answers in zip(members.tolist(), around, torch.split(adversarial, sizes), strict=True):
            # sum_b (phi_b - mean phi) (x_b - x),  phi_b = 1 where adversarial, -1 elsewhere; phi_b if all are the same
            phi = 2 * answers.to(point.dtype) - 1
            mean = phi.mean()
            weight = torch.where(mean.abs() < 1, phi - mean, phi)
            found[i] = (weight @ points.sub_(point[i]).flatten(1)).view(point.shape[1:])
    return found.sign() if oracle.order > 2 else F.normalize(found.flatten(1)).view(point.shape)


def _fill(points: Tensor, source: torch.Generator, order: float) -> None:
    """Random numbers of either sign, up to a factor: normal ones for l2, uniform ones for l_inf."""
    if order == 2:
        points.normal_(generator=source)
    else:
        # A 64-bit word serves four features, in a quarter of the time of `uniform_`.
        words = torch.empty(-(-points.numel() // 4), dtype=torch.int64, device=points.device)
        words.random_(-(2**63), None, generator=source)
        points.copy_(words.view(torch.int16)[: points.numel()].view(points.shape))


def step(oracle: DecisionOracle, point: Tensor, direction: Tensor, owner: Tensor, length: Tensor) -> Tensor:
    """Each `point` moved along its direction by `length` (m,), halved until it is adversarial."""
    moved, seeking = point.clone(), torch.arange(len(point), device=point.device)
    for halvings in range(SHORTEST):
        lengths = (length[seeking] / 2**halvings).view(-1, 1, 1, 1)
        tried = (point[seeking] + lengths * direction[seeking]).clamp(*oracle.bounds)
        adversarial = oracle(tried, owner[seeking])
        moved[seeking[adversarial]] = tried[adversarial]
        seeking = seeking[~adversarial]
        if len(seeking) == 0:
            break
    return moved


def checked(
    oracle: DecisionOracle, point: Tensor, begun: Tensor, owner: Tensor, answers: int, confirming: int, farthest: float
) -> tuple[Tensor, Tensor]:
    """For each of the images `owner` (m,) the nearest place that is clearly adversarial by fresh `answers`.

    It is brought back by bisection towards the place before, that is not. The luckiest of several is not the surest: so it is
    returned only if as many as `confirming` more answers, which did not choose it, are clear as well; else the next place half
    a step farther that is. With 0 of them it is the first place that passes, or where it has `begun`. Beside the points
    (m, c, h, w) it says which of them stand (m,).
    """
    x, everyone = oracle.x[owner], torch.arange(len(owner), device=owner.device)
    ray = [1.0, *(far for far in FARTHER if far <= farthest)]
    where = [*((far, 0.0) for far in ray), *((ray[-1], back) for back in (*BACK, 1.0))]

    def placed(which: Tensor, far: float | Tensor, back: float | Tensor) -> Tensor:
        """Points as `far` from their images, and from there a share of the way `back` to where they have `begun`."""
        out = (x[which] + far * (point[which] - x[which])).clamp(*oracle.bounds)
        return torch.lerp(out, begun[which], back)

    best, place, seeking = begun.clone(), torch.full_like(owner, len(where) - 1), everyone
    for at, (far, back) in enumerate(where[1:-1], start=1):
        tried = placed(seeking, far, back)
        clear = oracle.clearly(tried, owner[seeking], answers)
        best[seeking[clear]], place[seeking[clear]] = tried[clear], at
        seeking = seeking[~clear]
        if len(seeking) == 0:
            break
    sure = torch.ones_like(owner, dtype=torch.bool)
    if not confirming:
        return best, sure
    places = x.new_tensor(where)

    def between_places(which: Tensor, at: Tensor) -> Tensor:
        before = at.long().clamp(max=len(where) - 2)
        far, back = torch.lerp(places[before], places[before + 1], (at - before)[:, None]).T.reshape(2, -1, 1, 1, 1)
        return placed(which, far, back)

    low, high = place - 1.0, place.to(x.dtype)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        clear = oracle.clearly(between_places(everyone, middle), owner, answers)
        low, high = torch.where(clear, low, middle), torch.where(clear, middle, high)
    sure[:], seeking = False, everyone
    while len(seeking):
        tried = between_places(seeking, high[seeking])
        # A standard deviation more than clear: of points that only just pass, some are not what they seem.
        clear = oracle.margin(tried, owner[seeking], confirming) >= CLEAR + confirming**-0.5
        best[seeking[clear]], sure[seeking[clear]] = tried[clear], True
        seeking = seeking[~clear & (high[seeking] < len(where) - 1)]
        high[seeking] = (high[seeking] + 0.5).clamp(max=len(where) - 1)
    return best, sure
