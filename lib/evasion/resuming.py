"""Attacks that ask for hours can be interrupted: where one stands as plain tensors, and on from there, equal to the bit."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..errors import BadValue
from ..layers import Dropout
from .oracle import DecisionOracle


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


def state_of(
    walk: Walk, oracle: DecisionOracle, sources: Sequence[torch.Generator], request: Tensor
) -> dict[str, Tensor]:
    """All that an attack needs to go on, copied: its walk, what was counted, and the states of all generators."""
    walked = {field.name: getattr(walk, field.name) for field in fields(walk)}
    counted = {"answers": oracle.answers, "calls": torch.tensor(oracle.calls)}
    drawn = {f"generator {i}": source.get_state() for i, source in enumerate(_generators(oracle.victim))}
    own = torch.stack([source.get_state() for source in sources]) if sources else torch.zeros(0, 0)
    found = {"request": request, "sources": own, **walked, **counted, **drawn}
    return {name: value.clone(memory_format=torch.contiguous_format) for name, value in found.items()}


def restored(
    kind: type[Kind],
    state: Mapping[str, Tensor],
    oracle: DecisionOracle,
    sources: Sequence[torch.Generator],
    request: Tensor,
) -> Kind:
    """The walk of a `state`, once counters and generators, also those of the victim, are put back to where it was taken.

    None of this attack, or one of other images, labels, norm or aim, is a `BadValue`.
    """
    names = {field.name for field in fields(kind)}
    generators = {f"generator {i}": source for i, source in enumerate(_generators(oracle.victim))}
    expected = names | {"request", "sources", "answers", "calls", *generators}
    if set(state) != expected:
        wrong = ", ".join(sorted(set(state) ^ expected))
        raise BadValue(f"state: expected one that this attack has handed out, got one with or without {wrong}")
    if int(state["request"]) != int(request):
        raise BadValue("state: expected that of the same attack on the same images and labels, got another's")
    for source, own in [*zip(sources, state["sources"], strict=True), *((generators[k], state[k]) for k in generators)]:
        source.set_state(own.cpu().clone())  # a view of many would crash it
    device = oracle.y.device
    oracle.answers, oracle.calls = state["answers"].to(device, copy=True), int(state["calls"])
    return kind(**{name: state[name].to(device, copy=True) for name in names})


def _generators(victim: nn.Module) -> list[torch.Generator]:
    """Those from which the victim, or a victim inside it, draws its answers; dropout layers only borrow theirs."""
    held = (getattr(module, "generator", None) for module in victim.modules() if not isinstance(module, Dropout))
    return list({id(one): one for one in held if isinstance(one, torch.Generator)}.values())
