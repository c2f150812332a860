"""One seed, and of it one independent stream per purpose."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from .errors import check_count, check_kind


def derive(seed: int, purpose: str) -> int:
    """A 63-bit seed for `purpose` of a `seed` from 0: weights and the order of the batches, say, never share a stream."""
    digest = hashlib.sha256(f"{check_count('seed', seed, low=0)}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, device: str | torch.device = "cpu") -> torch.Generator:
    """A fresh generator on `device` for one purpose of one seed."""
    return torch.Generator(device).manual_seed(derive(seed, purpose))


def check_generator(generator: object) -> torch.Generator:
    """`generator`, if it is one: random numbers come from one handed in, and not from PyTorch's global one."""
    return check_kind("generator", generator, torch.Generator, "a torch.Generator, such as that of `seeds.generator`")


def generators_of(module: nn.Module, *, but: tuple[type[nn.Module], ...] = ()) -> list[torch.Generator]:
    """Those from which the modules inside draw, each once, but for what layers of some kinds only borrow."""
    held = (getattr(layer, "generator", None) for layer in module.modules() if not isinstance(layer, but))
    return list({id(one): one for one in held if isinstance(one, torch.Generator)}.values())


@contextmanager
def seeded(module: nn.Module, seed: int, purpose: str, device: torch.device) -> Iterator[torch.Generator]:
    """Inside, what `module` draws from follows the seed and purpose, PyTorch's global generator too, as does the one given.

    Afterwards each of its generators is as it was.
    """
    own = generators_of(module)
    states = [one.get_state() for one in own]
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda):
        for i, one in enumerate(own):
            one.manual_seed(derive(seed, f"{purpose}, draws {i}"))
        torch.default_generator.manual_seed(derive(seed, f"{purpose}, global"))
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(derive(seed, f"{purpose}, global"))
        try:
            yield generator(seed, purpose, device)
        finally:
            for one, state in zip(own, states, strict=True):
                one.set_state(state)
