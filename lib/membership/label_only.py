"""Membership by labels alone (Choquette-Choo et al. 2021; Li and Zhang 2021): members lie farther from the boundary."""

import math
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import BadValue
from ..evasion.hop_skip_jump import hop_skip_jump

PROBES = {"l2": 1.0, "linf": 10.0}  # nearer points tell nothing of a victim that contradicts itself


def label_only(distances: Tensor | NDArray[Any]) -> Tensor:
    """The scores (n,) of images at these distances (n,) from the boundary or, of several attacks, (r, n): then the least counts.

    A distance is 0 where the label is not the victim's answer, and infinite where no attack found any change that makes it
    another. A threshold is learnt where members are known, on a shadow: see `by_threshold`.

    Raises:
        BadValue: another shape, no attack, a NaN or a negative distance.
    """
    found = torch.as_tensor(distances).double()
    if found.dim() not in (1, 2) or len(found) == 0 or not (found >= 0).all():
        least = f" with a least of {found.min().item():g}" if found.numel() else ""
        raise BadValue(f"distances: expected (n,) or (r, n), none negative, got {tuple(found.shape)}{least}")
    return found if found.dim() == 1 else found.amin(0)


def boundary_distances(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    generator: torch.Generator,
    norm: str = "l2",
    **settings: Any,
) -> Tensor:
    """How far the victim's answer is from leaving the label, by HopSkipJump: (n,), an upper bound.

    Of a victim that answers at random, as its `random` says, the label counts as left where votes clearly say so.

    Args:
        victim, x, generator, norm: as of `hop_skip_jump`.
        y: the true labels (n,).
        settings: more of `hop_skip_jump`'s, such as `iterations`, `budget`, `lead` and `check_answers`.

    Raises:
        BadValue: as of `hop_skip_jump`.
    """
    if getattr(victim, "random", False) and norm in PROBES and x.numel():
        settings = {"probe": min(PROBES[norm], math.sqrt(x[0].numel()))} | settings
    return hop_skip_jump(victim, x, y, generator=generator, norm=norm, **settings).distance
