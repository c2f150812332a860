"""What attacks that see nothing but decisions have in common: their requests and their result.

Every image has its own settings, random numbers and end, whichever others share its calls of the victim.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .. import seeds
from ..errors import BadValue, check_count, check_number
from ..seeds import check_generator
from .checks import check_images
from .oracle import DecisionOracle

NORMS = {"l2": 2.0, "linf": math.inf}
UNLIMITED = 2**62


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
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    generator: torch.Generator,
    start: Tensor | None,
    start_tries: int,
    ids: Tensor | None,
) -> None:
    """See that images, labels, starts and ids fit each other and lie inside the victim's bounds, beside a generator."""
    low, high = check_images(victim, x, y, gradients=False)
    check_generator(generator)
    check_count("start_tries", start_tries)
    fits = start is None or (start.shape == x.shape and start.dtype == x.dtype)
    if start is not None and not (fits and ((start >= low) & (start <= high)).all()):
        raise BadValue(f"start: expected values in [{low:g}, {high:g}], shape and type as of x, {tuple(x.shape)}")
    if ids is not None and (ids.shape != y.shape or ids.is_floating_point()):
        raise BadValue(f"ids: expected {len(y)} whole numbers, got {ids.dtype} of shape {tuple(ids.shape)}")


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


def begin(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    generator: torch.Generator,
    ids: Tensor | None,
    budget: int | Tensor | None,
    check_answers: int,
    **asking: Any,
) -> tuple[DecisionOracle, list[torch.Generator], Tensor, int]:
    """What every attack begins with, once its request is checked; a victim may be asked whether it contradicts itself.

    That is whom it asks, `asking` being settings of the `DecisionOracle`; a source of random numbers for each image, by one draw
    from `generator` and the image's id, so that its place is no part of it; after how many answers each image ends (n,); and how
    many a check takes.
    """
    check_count("check_answers", check_answers, low=0)
    limit = torch.full_like(y, UNLIMITED) if budget is None else for_each("budget", budget, y)
    oracle = DecisionOracle(victim, y, x=x, **asking)
    base = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    named = range(len(x)) if ids is None else ids.tolist()
    sources = [seeds.generator(base, f"image {i}", x.device) for i in named]
    return oracle, sources, limit, check_answers if oracle.random else 0
