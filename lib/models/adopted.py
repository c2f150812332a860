"""Someone else's classifier as a network of ours, so that it can be a victim: attacked, asked for draws, judged.

Its weights stay where they are: the network that `adopt` returns computes with the same tensors, and sees what they learn later.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from lib.errors import BadValue
from lib.layers import Dropout

# Dropout of single units, and of whole channels.
UNITS, CHANNELS = (nn.Dropout,), (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
# Their masks cannot come from a generator that is handed in.
OTHERS = (nn.AlphaDropout, nn.FeatureAlphaDropout, nn.MultiheadAttention, nn.RNNBase)


class Normalise(nn.Module):
    """Images in [0, 1] to what a network was trained on: the mean and standard deviation of each channel, or of all."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        finite = all(math.isfinite(number) for number in (*mean, *std))
        if len(mean) != len(std) or not finite or min(std) <= 0:
            raise BadValue(f"mean, std: expected as many of each, std positive, got {list(mean)} and {list(std)}")
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(x - mean) / std of images (n, c, h, w)."""
        return (x - self.mean) / self.std


def adopted(module: nn.Module, *, mean: Sequence[float], std: Sequence[float]) -> nn.Sequential:
    """The layers of `module`, after a `Normalise` if asked for: weights shared, each dropout replaced by one that can be seeded.

    Raises:
        BadValue: dropout whose masks cannot be seeded; a mean and a standard deviation that do not fit each other.
    """
    shared = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    ours = copy.deepcopy(module, shared)  # the tensors in `shared` are not copied
    for name, layer in list(ours.named_modules(remove_duplicate=False)):
        if isinstance(layer, UNITS + CHANNELS):
            parent, _, child = name.rpartition(".")
            setattr(ours.get_submodule(parent), child, Dropout(layer.p, channels=isinstance(layer, CHANNELS)))
        if isinstance(layer, OTHERS) and getattr(layer, "dropout", getattr(layer, "p", 0.0)) > 0:
            raise BadValue(f"{name or 'network'}: the masks of {type(layer).__name__} cannot come from a generator")
    layers = list(ours) if type(ours) is nn.Sequential else [ours]
    first = [Normalise(mean, std)] if len(mean) or len(std) else []
    return nn.Sequential(*first, *layers)
