"""What attacks that see nothing but decisions have in common: their result, their starts, and the way to the boundary.

Every image has its own settings, random numbers and end, whichever others share its calls of the victim.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import seeds
from ..errors import BadValue, check_count, check_number
from ..seeds import check_generator
from .checks import check_images
from .oracle import DecisionOracle

NORMS = {"l2": 2.0, "linf": math.inf}
RESTARTS = 10  # where a random start does not pass
OUTWARD = 1e-3  # of the distance: far above rounding in float32, far below what tells attacks apart
SURE = 4  # times as many answers before a point is kept, for the luckiest of several is not the surest


@dataclass(frozen=True)
class Decided:
    """What a decision-based attack made of n images, and what it cost.

    The traces have a row after the start, one after each step and, where points are checked, one after the check: the last
    row is what is returned. An image that has ended repeats its last entries.
    """

    adversarial: Tensor  # (n, c, h, w); the image itself where none was found
    found: Tensor  # (n,) whether there was a start and, where points are checked, one that passed
    distance: Tensor  # (n,) from the image in the norm asked for; infinite where none was found
    answers: Tensor  # (n,) that the victim gave on each image's behalf
    calls: int  # of the victim, whatever the number of images
    trace_answers: Tensor  # (steps, n)
    trace_distance: Tensor  # (steps, n) of the closest point so far


def distances(x: Tensor, point: Tensor, order: float = 2.0) -> Tensor:
    """The distance of each `point` from its image in the norm of that order: (m,)."""
    change: Tensor = torch.linalg.vector_norm((point - x).flatten(1), order, dim=1)
    return change


def check_request(
    victim: nn.Module, x: Tensor, y: Tensor, start: Tensor | None, ids: Tensor | None, generator: torch.Generator
) -> tuple[float, float]:
    """The victim's bounds, once images, labels, starts and ids fit each other and lie inside them, beside a generator.

    Raises:
        BadValue: one of them does not.
    """
    low, high = check_images(victim, x, y, gradients=False)
    check_generator(generator)
    fits = start is None or (start.shape == x.shape and start.dtype == x.dtype)
    if start is not None and not (fits and ((start >= low) & (start <= high)).all()):
        raise BadValue(f"start: expected values in [{low:g}, {high:g}], shape and type as of x, {tuple(x.shape)}")
    if ids is not None and (ids.shape != y.shape or ids.is_floating_point()):
        raise BadValue(f"ids: expected {len(y)} whole numbers, got {ids.dtype} of shape {tuple(ids.shape)}")
    return low, high


def for_each(name: str, value: int | Tensor, y: Tensor, *, low: int = 1) -> Tensor:
    """A setting (n,), of which one number is the same for all images."""
    if not isinstance(value, Tensor):
        return torch.full_like(y, check_count(name, value, low=low), dtype=torch.int64)
    if value.shape != y.shape or value.is_floating_point() or (len(value) and value.min() < low):
        raise BadValue(f"{name}: expected {len(y)} whole numbers of at least {low}, got {value}")
    return value.to(y.device, torch.int64)


def share_for_each(name: str, value: float | Tensor, x: Tensor, *, low: float) -> Tensor:
    """A setting (n,) in [low, 1], of which one number is the same for all images."""
    if not isinstance(value, Tensor):
        return x.new_full((len(x),), check_number(name, value, low=low, high=1.0))
    if value.shape != x.shape[:1] or not ((value >= low) & (value <= 1)).all():
        raise BadValue(f"{name}: expected {len(x)} numbers in [{low:g}, 1], got {value}")
    return value.to(x, copy=True)


def streams(generator: torch.Generator, ids: Tensor, device: torch.device) -> list[torch.Generator]:
    """A source of random numbers for each image, by one draw from `generator` and the image's id: its place is no part of it."""
    base = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    return [seeds.generator(base, f"image {i}", device) for i in ids.tolist()]


def starting_points(
    oracle: DecisionOracle,
    x: Tensor,
    start: Tensor | None,
    *,
    tries: int,
    sources: list[torch.Generator],
    check_answers: int = 0,
) -> tuple[Tensor, Tensor]:
    """An adversarial point for each image, and for which there is one: the image itself, else `start`, else a random one.

    Where points are checked, the image itself and what is tried must be clearly so.
    """
    everyone = torch.arange(len(x), device=x.device)
    points = x.clone()
    found = oracle.clearly(x, everyone, check_answers)
    rest = everyone[~found]
    if start is None:
        random, started = random_starts(oracle, x, rest, tries=tries, sources=sources, check_answers=check_answers)
    else:
        random, started = start[rest], oracle.clearly(start[rest], rest, check_answers)
    points[rest[started]] = random[started]
    found[rest] = started
    return points, found


def random_starts(
    oracle: DecisionOracle,
    x: Tensor,
    owner: Tensor,
    *,
    tries: int,
    sources: list[torch.Generator],
    check_answers: int = 0,
) -> tuple[Tensor, Tensor]:
    """For each of the images `owner` (m,) of `x` the first of `tries` uniformly random images that is adversarial.

    Tried in rounds of 1, 2, 4, ... an image, for few calls of the victim. Where points are checked, it must be clearly so.

    Returns:
        The points (m, c, h, w), the images themselves where all tries failed, and where they did not (m,).
    """
    low, high = oracle.bounds
    points, found = x[owner], torch.zeros_like(owner, dtype=torch.bool)
    tried = 0
    while tried < tries and not found.all():
        each = min(tried + 1, tries - tried)
        seeking = (~found).nonzero()[:, 0]
        of_all = [
            torch.rand((each, *x.shape[1:]), generator=sources[i], device=x.device, dtype=x.dtype)
            for i in owner[seeking].tolist()
        ]
        drawn = low + (high - low) * torch.stack(of_all)  # (s, each, c, h, w)
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
    oracle: DecisionOracle,
    x: Tensor,
    point: Tensor,
    found: Tensor,
    answers: int,
    *,
    start: Tensor | None,
    tries: int,
    sources: list[torch.Generator],
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
            point[unsure], again = random_starts(oracle, x, unsure, tries=tries, sources=sources)
            unsure = unsure[again]
        else:
            point[unsure] = start[unsure]  # the image itself may have passed as adversarial by a fluke
    return torch.where(sure.view(-1, 1, 1, 1), point, x), sure


def bisections(tolerance: float) -> int:
    """How many questions the way to the boundary takes, to a share `tolerance` of it."""
    return math.ceil(math.log2(1 / tolerance))


def outward(oracle: DecisionOracle, x: Tensor, point: Tensor, owner: Tensor) -> Tensor:
    """Each `point` (m, c, h, w), farther from `x` by a share OUTWARD of its distance if it is adversarial there too."""
    outside = torch.lerp(x, point, 1 + OUTWARD).clamp(*oracle.bounds)
    return torch.where(oracle(outside, owner).view(-1, 1, 1, 1), outside, point)


def to_boundary(
    oracle: DecisionOracle, x: Tensor, point: Tensor, owner: Tensor, order: float, tolerance: float
) -> Tensor:
    """The adversarial point nearest to `x` on the way there from each adversarial `point`, to a share `tolerance` of that way."""
    low, high = torch.zeros_like(x[:, 0, 0, 0]), torch.ones_like(x[:, 0, 0, 0])
    for _ in range(bisections(tolerance) if len(x) else 0):
        middle = (low + high) / 2
        adversarial = oracle(between(x, point, middle, order), owner)
        low, high = torch.where(adversarial, low, middle), torch.where(adversarial, middle, high)
    return between(x, point, high, order)


def between(x: Tensor, point: Tensor, share: Tensor, order: float) -> Tensor:
    """The way from `x` to `point` in shares of its length: a straight line in l2, in l_inf `point` clipped ever less."""
    share = share.view(-1, 1, 1, 1)
    if order == 2:
        return torch.lerp(x, point, share)
    reach = share * (point - x).abs().amax((1, 2, 3), keepdim=True)
    return torch.where(share == 1, point, torch.clamp(point, x - reach, x + reach))
