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
from .checks import check_images, for_each
from .oracle import DecisionOracle

NORMS = {"l2": 2.0, "linf": math.inf}
UNLIMITED = 2**62


@dataclass(frozen=True)
class Decided:
    """What a decision-based attack made of n images, and what it cost.

    The traces have a row after the start, one after each step and, where points are checked, one after the check: the last
    row is what is returned. An image that has ended repeats its last entries.
    """

    adversarial: Tensor  #: (n, c, h, w); the image itself where none was found
    found: Tensor  #: (n,) whether there was a start and, where points are checked, one that passed
    distance: Tensor  #: (n,) from the image in the norm asked for; infinite where none was found
    answers: Tensor  #: (n,) that the victim gave on each image's behalf
    calls: int  #: of the victim, whatever the number of images
    trace_answers: Tensor  #: (steps, n) given so far
    trace_distance: Tensor  #: (steps, n) of the closest point so far


def distances(x: Tensor, point: Tensor, order: float = 2.0) -> Tensor:
    """The distance of each `point` from its image in the norm of that order: (m,)."""
    change: Tensor = torch.linalg.vector_norm((point - x).flatten(1), order, dim=1)
    return change


def begin(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    generator: torch.Generator,
    start: Tensor | None,
    start_tries: int,
    ids: Tensor | None,
    budget: int | Tensor | None,
    check_answers: int,
    **asking: Any,
) -> tuple[DecisionOracle, Tensor]:
    """Whom an attack asks (by `asking`) and after how many answers each image ends (n,), once what both attacks take fits.

    Each image has a source of random numbers, made by one draw from the generator and its id, so that its place is no part of it.
    """
    low, high = check_images(victim, x, y, gradients=False)
    check_generator(generator)
    check_count("start_tries", start_tries)
    check_count("check_answers", check_answers, low=0)
    fits = start is None or (start.shape == x.shape and start.dtype == x.dtype)
    if start is not None and not (fits and ((start >= low) & (start <= high)).all()):
        raise BadValue(f"start: expected values in [{low:g}, {high:g}], shape and type as of x, {tuple(x.shape)}")
    named = for_each("ids", torch.arange(len(x)) if ids is None else ids, y, low=0)
    limit = for_each("budget", UNLIMITED if budget is None else budget, y)
    base = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    sources = [seeds.generator(base, f"image {i}", x.device) for i in named.tolist()]
    return DecisionOracle(victim, x, y, sources=sources, **asking), limit


@dataclass
class Walk:
    """Where the attack on n images stands between two steps; each attack adds what it needs besides."""

    request: Tensor  # () what tells it from others
    steps: Tensor  # () how many it has made
    found: Tensor  # (n,) whether there was a start
    point: Tensor  # (n, c, h, w) where each is
    kept: Tensor  # (n, c, h, w) the closest so far; where points are checked on the way, of those that passed
    least: Tensor  # (n,) its distance; infinite where none was found
    trace_answers: Tensor  # (steps, n)
    trace_distance: Tensor  # (steps, n)


Kind = TypeVar("Kind", bound=Walk)


def request_of(oracle: DecisionOracle) -> Tensor:
    """What tells one request from another: a number () made of images, labels, norm, aim and how many generators."""
    digest = hashlib.sha256(repr((oracle.order, oracle.targeted, len(_generators(oracle)))).encode())
    for part in (oracle.x, oracle.y):
        digest.update(part.detach().cpu().contiguous().numpy().data)
    return torch.tensor(int.from_bytes(digest.digest()[:7], "big"))


def state_of(walk: Walk, oracle: DecisionOracle) -> dict[str, Tensor]:
    """All that an attack needs to go on, copied: its walk, what was counted, and the states of all generators."""
    drawn = [one.get_state() for one in _generators(oracle)]
    found = vars(walk) | {
        "answers": oracle.answers,
        "calls": torch.tensor(oracle.calls),
        "generators": torch.cat(drawn),
    }
    return {name: value.clone(memory_format=torch.contiguous_format) for name, value in found.items()}


def restored(kind: type[Kind], state: Mapping[str, Tensor], oracle: DecisionOracle, request: Tensor) -> Kind:
    """The walk of a `state`, once counters and generators, also those of the victim, are put back to where it was taken.

    None of this attack, or one of other images, labels, norm or aim, is a `BadValue`.
    """
    names = {field.name for field in fields(kind)}
    if wrong := ", ".join(sorted(set(state) ^ names ^ {"answers", "calls", "generators"})):
        raise BadValue(f"state: expected one that this attack has handed out, got one with or without {wrong}")
    if int(state["request"]) != int(request):
        raise BadValue("state: expected that of the same attack on the same images and labels, got another's")
    generators, device = _generators(oracle), oracle.y.device
    taken = torch.split(state["generators"].cpu(), [len(one.get_state()) for one in generators])
    for one, then in zip(generators, taken, strict=True):
        one.set_state(then.clone())  # a view of many would crash it
    oracle.answers, oracle.calls = state["answers"].to(device, copy=True), int(state["calls"])
    return kind(**{name: state[name].to(device, copy=True) for name in names})


def _generators(oracle: DecisionOracle) -> list[torch.Generator]:
    """The images' and those from which the victim, or one inside it, draws its answers; dropout layers only borrow."""
    return [*oracle.sources, *seeds.generators_of(oracle.victim, but=(Dropout,))]
