"""What attacks that see nothing but decisions have in common: their requests, their result, and where one stands half-way.

Every image has its own settings, random numbers and end, whichever others share its calls of the victim. Where an attack stands
are plain tensors, from which it goes on equal to the bit.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .. import seeds
from ..errors import BadValue, check_count
from ..layers import Dropout
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
) -> list[torch.Generator]:
    """A source of random numbers for each image, once they, labels, starts and ids fit each other and the victim's bounds.

    It is made by one draw from the generator and the image's id, so that its place is no part of it.
    """
    low, high = check_images(victim, x, y, gradients=False)
    check_generator(generator)
    check_count("start_tries", start_tries)
    fits = start is None or (start.shape == x.shape and start.dtype == x.dtype)
    if start is not None and not (fits and ((start >= low) & (start <= high)).all()):
        raise BadValue(f"start: expected values in [{low:g}, {high:g}], shape and type as of x, {tuple(x.shape)}")
    if ids is not None and (ids.shape != y.shape or ids.is_floating_point()):
        raise BadValue(f"ids: expected {len(y)} whole numbers, got {ids.dtype} of shape {tuple(ids.shape)}")
    base = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    named = range(len(x)) if ids is None else ids.tolist()
    return [seeds.generator(base, f"image {i}", x.device) for i in named]


def for_each(name: str, value: int | Tensor, y: Tensor, *, low: int = 1) -> Tensor:
    """A setting (n,), of which one number is the same for all images."""
    if not isinstance(value, Tensor):
        return torch.full_like(y, check_count(name, value, low=low), dtype=torch.int64)
    if value.shape != y.shape or value.is_floating_point() or (len(value) and value.min() < low):
        raise BadValue(f"{name}: expected {len(y)} whole numbers of at least {low}, got {value}")
    return value.to(y.device, torch.int64)


def begin(
    victim: nn.Module, y: Tensor, budget: int | Tensor | None, check_answers: int, **asking: Any
) -> tuple[DecisionOracle, Tensor, int]:
    """Whom an attack asks (by `asking`), after how many answers each image ends (n,), and how many a check takes.

    The victim may be asked whether it contradicts itself, so that all else is checked before.
    """
    check_count("check_answers", check_answers, low=0)
    limit = torch.full_like(y, UNLIMITED) if budget is None else for_each("budget", budget, y)
    oracle = DecisionOracle(victim, y, **asking)
    return oracle, limit, check_answers if oracle.random else 0


@dataclass
class Walk:
    """Where the attack on n images stands between two steps; each attack adds what it needs besides."""

    steps: Tensor  # () how many it has made
    found: Tensor  # (n,) whether there was a start
    point: Tensor  # (n, c, h, w) where each is
    kept: Tensor  # (n, c, h, w) the closest so far; where points are checked on the way, of those that passed
    least: Tensor  # (n,) its distance; infinite where none was found
    trace_answers: Tensor  # (steps, n)
    trace_distance: Tensor  # (steps, n)


Kind = TypeVar("Kind", bound=Walk)


def request_of(x: Tensor, y: Tensor, *settings: object) -> Tensor:
    """What tells one request from another: a number () made of the images, the labels and some settings."""
    digest = hashlib.sha256(repr(settings).encode())
    for part in (x, y):
        digest.update(part.detach().cpu().contiguous().numpy().data)
    return torch.tensor(int.from_bytes(digest.digest()[:7], "big"))


def state_of(walk: Walk, oracle: DecisionOracle, request: Tensor) -> dict[str, Tensor]:
    """All that an attack needs to go on, copied: its walk, what was counted, and the states of all generators."""
    walked = {field.name: getattr(walk, field.name) for field in fields(walk)}
    counted = {"answers": oracle.answers, "calls": torch.tensor(oracle.calls)}
    drawn = {name: source.get_state() for name, source in _drawn_from(oracle).items()}
    own = torch.stack([source.get_state() for source in oracle.sources]) if oracle.sources else torch.zeros(0, 0)
    found = {"request": request, "sources": own, **walked, **counted, **drawn}
    return {name: value.clone(memory_format=torch.contiguous_format) for name, value in found.items()}


def restored(kind: type[Kind], state: Mapping[str, Tensor], oracle: DecisionOracle, request: Tensor) -> Kind:
    """The walk of a `state`, once counters and generators, also those of the victim, are put back to where it was taken.

    None of this attack, or one of other images, labels, norm or aim, is a `BadValue`.
    """
    names = {field.name for field in fields(kind)}
    generators = _drawn_from(oracle)
    expected = names | {"request", "sources", "answers", "calls", *generators}
    if set(state) != expected:
        wrong = ", ".join(sorted(set(state) ^ expected))
        raise BadValue(f"state: expected one that this attack has handed out, got one with or without {wrong}")
    if int(state["request"]) != int(request):
        raise BadValue("state: expected that of the same attack on the same images and labels, got another's")
    own = zip(oracle.sources, state["sources"], strict=True)
    for source, taken in [*own, *((generators[name], state[name]) for name in generators)]:
        source.set_state(taken.cpu().clone())  # a view of many would crash it
    device = oracle.y.device
    oracle.answers, oracle.calls = state["answers"].to(device, copy=True), int(state["calls"])
    return kind(**{name: state[name].to(device, copy=True) for name in names})


def _drawn_from(oracle: DecisionOracle) -> dict[str, torch.Generator]:
    """Whence the victim, or a victim inside it, draws its answers; dropout layers only borrow."""
    return {f"generator {i}": one for i, one in enumerate(seeds.generators_of(oracle.victim, but=(Dropout,)))}
