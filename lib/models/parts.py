"""What an architecture is made of: its parts, and how its weights begin."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

Shape = tuple[int, int, int]
Initialisation = Callable[[nn.Module, torch.Generator], None]


def he_normal(layer: nn.Module, generator: torch.Generator) -> None:
    """He's normal initialisation (std √(2 / fan in)) and zero biases. The CleverHans tutorials use 1 / √(fan in)."""
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def fan_out(layer: nn.Module, generator: torch.Generator) -> None:
    """Song et al., after Madry et al.: convolutions normal of std √(2 / fan out), dense layers uniform of std 1 / √(fan in)."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
    if isinstance(layer, nn.Linear):
        bound = (3 / layer.in_features) ** 0.5
        nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
        nn.init.zeros_(layer.bias)


class Parts(NamedTuple):
    """What an architecture is: its body, a recipe for a head on top of it (called once or twice), and its first weights."""

    body: nn.Module
    head: Callable[[], nn.Module]
    initialise: Initialisation = he_normal
