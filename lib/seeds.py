"""One seed, and of it one independent stream per purpose."""

import hashlib

import torch

from .errors import BadValue


def derive(seed: int, purpose: str) -> int:
    """A 63-bit seed for `purpose`, so that, say, the weights and the order of the batches never share a stream."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, device: str | torch.device = "cpu") -> torch.Generator:
    """A fresh generator on `device` for one purpose of one seed."""
    return torch.Generator(device).manual_seed(derive(seed, purpose))


def check_generator(generator: object) -> None:
    """See that random numbers come from a generator handed in, and not from PyTorch's global one.

    Raises:
        BadValue: it is none.
    """
    if not isinstance(generator, torch.Generator):
        raise BadValue(f"generator: expected a torch.Generator, such as that of `seeds.generator`, got {generator!r}")
