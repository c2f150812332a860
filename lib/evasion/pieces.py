"""Attacks on many images piece by piece, so that the memory of their graphs does not grow with the number of images.

A piece is as large by a fixed rule, not by what is free: what a random victim draws depends on it.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..layers import only_input_gradients
from ..uncertainty import MonteCarloDropout
from .forms import Look

# Images times draws that go through the network at once. On a CPU a larger batch is slower: it outgrows what the allocator keeps.
ATTACK_BATCH = {"cpu": 250, "cuda": 5000}
FEATURES = 3 * 32 * 32  # of the largest images that are so many; of larger ones there are as many fewer


def images_at_once(device: str | torch.device, draws: int, features: int = FEATURES) -> int:
    """How many images go through the network together when each takes `draws` passes; any accelerator counts as CUDA."""
    passes = ATTACK_BATCH["cpu" if torch.device(device).type == "cpu" else "cuda"]
    return max(1, passes * FEATURES // (draws * max(features, FEATURES)))


def passes(victim: nn.Module, draws: int | None = None) -> int:
    """How many times an image goes through the network for one look at `victim`, or for one of so many draws."""
    whose = victim.victim if isinstance(victim, Look) else victim
    if not isinstance(whose, MonteCarloDropout):
        return 1
    return draws or (victim.passes if isinstance(victim, Look) else whose.draws)


def in_pieces(
    attack: Callable[..., Tensor], victim: nn.Module, x: Tensor, *others: Tensor, draws: int | None = None
) -> Tensor:
    """What `attack` makes of images `x` (n, c, h, w) and what belongs to each, (n, ...), piece by piece."""
    at_once = images_at_once(x.device, passes(victim, draws), x[:1].numel())
    parts = zip(*(torch.split(part, at_once) for part in (x, *others)), strict=True)
    with only_input_gradients(victim):
        return torch.cat([attack(*part) for part in parts]) if len(x) else x.clone()


def unsettled(victim: nn.Module, margins: Tensor) -> Tensor:
    """The places of images to go on with: those that have a margin left, or of a random victim, whom luck may fool once, all."""
    return ((margins >= 0) | bool(getattr(victim, "random", False))).nonzero().flatten()


def persist(
    victim: nn.Module, x: Tensor, margins: Tensor, runs: int, attempt: Callable[[Tensor, int], tuple[Tensor, Tensor]]
) -> Tensor:
    """For each of images `x` (n, c, h, w) the point of the smallest margin: itself, or of runs while it is unsettled.

    `margins` (n,) are the images', negative where they are adversarial. An attempt is given the places (m,) of images and the
    number of the run, and makes points (m, c, h, w) and their margins (m,).
    """
    best, margins = x.clone(), margins.clone()
    for run in range(runs):
        if len(left := unsettled(victim, margins)) == 0:
            break
        points, reached = attempt(left, run)
        closer = reached < margins[left]
        best[left[closer]], margins[left[closer]] = points[closer], reached[closer]
    return best
