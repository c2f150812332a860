"""What an architecture is made of: its parts, and how its weights begin."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

from ..layers import Dropout

Shape = tuple[int, int, int]
Initialisation = Callable[[nn.Module, torch.Generator], None]
Activation = Callable[[], nn.Module]
RELU = partial(nn.ReLU, inplace=True)


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


def block(layer: nn.Module, activation: Activation, dropout: float, *pooling: nn.Module) -> list[nn.Module]:
    """A layer, its activation, what pools, and dropout."""
    return [layer, activation(), *pooling, Dropout(dropout)]


def dense(sizes: tuple[int, ...], activation: Activation, dropout: float) -> list[nn.Module]:
    """A block of a dense layer from each of `sizes` to the next."""
    return [part for ends in pairwise(sizes) for part in block(nn.Linear(*ends), activation, dropout)]


class Parts(NamedTuple):
    """What an architecture is: its body, a recipe for a head on top of it (called once or twice), and its first weights."""

    body: nn.Module
    head: Callable[[], nn.Module]
    initialise: Initialisation = he_normal
