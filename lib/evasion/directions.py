"""How HopSkipJump learns from decisions alone which way a point gets more adversarial, and goes that way."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .oracle import DecisionOracle

HALVINGS = 30  # of a step's length, after which the image stays where it is


def directions(
    oracle: DecisionOracle,
    point: Tensor,
    owner: Tensor,
    radius: Tensor,
    evaluations: Tensor,
    sources: list[torch.Generator],
    order: float,
) -> Tensor:
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
            _fill(points, sources[i], order)
            scale = radius[i] / torch.linalg.vector_norm(points.flatten(1), dim=1)
            points.mul_(scale.view(-1, 1, 1, 1)).add_(point[i]).clamp_(low, high)
        adversarial = oracle.once(pool, owner[members].repeat_interleave(evaluations[members]))
        for i, points, answers in zip(members.tolist(), around, torch.split(adversarial, sizes), strict=True):
            # sum_b (phi_b - mean phi) (x_b - x),  phi_b = 1 where adversarial, -1 elsewhere; phi_b if all are the same
            phi = 2 * answers.to(point.dtype) - 1
            mean = phi.mean()
            weight = torch.where(mean.abs() < 1, phi - mean, phi)
            found[i] = (weight @ points.sub_(point[i]).flatten(1)).view(point.shape[1:])
    return found.sign() if order > 2 else F.normalize(found.flatten(1)).view(point.shape)


def _fill(points: Tensor, source: torch.Generator, order: float) -> None:
    """Random numbers of either sign, up to a factor: normal ones for l2, uniform ones for l_inf."""
    if order == 2:
        points.normal_(generator=source)
    else:
        # A 64-bit word serves four features, in a quarter of the time of `uniform_`.
        words = torch.empty(-(-points.numel() // 4), dtype=torch.int64, device=points.device)
        words.random_(-(2**63), None, generator=source)
        points.copy_(words.view(torch.int16)[: points.numel()].view(points.shape))


def step(
    oracle: DecisionOracle, point: Tensor, direction: Tensor, owner: Tensor, length: Tensor, bounds: tuple[float, float]
) -> Tensor:
    """Each `point` moved along its direction by `length` (m,), halved until it is adversarial."""
    moved, seeking = point.clone(), torch.arange(len(point), device=point.device)
    for halvings in range(HALVINGS):
        lengths = (length[seeking] / 2**halvings).view(-1, 1, 1, 1)
        tried = (point[seeking] + lengths * direction[seeking]).clamp(*bounds)
        adversarial = oracle(tried, owner[seeking])
        moved[seeking[adversarial]] = tried[adversarial]
        seeking = seeking[~adversarial]
        if len(seeking) == 0:
            break
    return moved
