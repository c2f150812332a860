"""Someone else's classifier as a network of ours, so that it can be a victim: attacked, asked for draws, judged.

Its weights stay where they are: the network that `adopt` returns computes with the same tensors, and sees what they learn later.
To move or cast it, move or cast the module and adopt it then.
"""

import copy
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from ..errors import BadValue, check_kind, shown
from ..layers import Dropout

# Dropout of single units, and of whole channels. Any other draws its masks where no generator can be handed in.
UNITS, CHANNELS = (nn.Dropout,), (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
OTHERS = (_DropoutNd, nn.MultiheadAttention, nn.RNNBase, nn.TransformerEncoderLayer)


class Adopted(nn.Module):
    """Someone else's module, given images as it was trained on them: less `mean`, divided by `std`, in everyone's memory layout.

    Both hold a number for each channel, or one for all; without any, images stay as they are.
    """

    def __init__(self, module: nn.Module, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        super().__init__()
        try:
            one, other = (torch.as_tensor(numbers, dtype=torch.float32).clone().flatten() for numbers in (mean, std))
        except (TypeError, ValueError, RuntimeError) as error:
            raise BadValue(f"mean, std: expected a number for each channel, got {shown(mean)}, {shown(std)}") from error
        if len(one) != len(other) or not torch.cat([one, other]).isfinite().all() or not (other > 0).all():
            raise BadValue(f"mean, std: expected as many of each, std positive, got {shown(mean)} and {shown(std)}")
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", one.view(1, -1, 1, 1))
        self.register_buffer("std", other.view(1, -1, 1, 1))
        self.to(next((weight.device for weight in module.parameters()), None))
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """The logits (n, k) of images (n, c, h, w): what the module answers, or its `logits`; all else is a `BadValue`."""
        numbers = self.mean.shape[1]
        if numbers not in (0, 1, x.shape[1]):
            raise BadValue(f"mean, std: expected 1 or {x.shape[1]} numbers for as many channels, got {numbers}")
        # PyTorch's `contiguous` leaves images of one channel in the strides of channels last, and convolutions go by these.
        seen = ((x - self.mean) / self.std if numbers else x).contiguous().flatten().view(x.shape)
        answer = self.module(seen)
        logits = getattr(answer, "logits", answer)
        if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(x):
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise BadValue(f"network: expected logits ({len(x)}, k) of {len(x)} images, one row each, got {got}")
        return logits


def adopted(module: nn.Module, *, mean: float | Sequence[float], std: float | Sequence[float]) -> Adopted:
    """`module` and what it expects of images: its weights shared, its dropout replaced by ours; see `adopt`."""
    if isinstance(check_kind("network", module, nn.Module, "a torch.nn.Module"), torch.jit.ScriptModule):
        raise BadValue("network: expected no scripted module, whose weights cannot be shared; adopt its source")
    # What is in `instead` is not copied: weights and buffers stay the same, dropout becomes ours under whatever name it stands.
    instead: dict[int, object] = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    for name, layer in module.named_modules():
        if type(layer) in UNITS + CHANNELS:
            try:
                instead[id(layer)] = Dropout(_rate(layer), channels=type(layer) in CHANNELS).train(layer.training)
            except BadValue as error:
                raise BadValue(f"{name or 'network'}: {error}") from error
        elif isinstance(layer, OTHERS) and _rate(layer) > 0:
            raise BadValue(f"{name or 'network'}: the masks of {type(layer).__name__} cannot come from a generator")
    try:
        return Adopted(copy.deepcopy(module, instead), mean, std)
    except (RuntimeError, TypeError) as error:
        # An old weight_norm, for example, for which torch has parametrizations now, or a lock.
        raise BadValue(f"network: {type(module).__name__} cannot be copied ({error})") from error


def check_place(network: nn.Module, device: str | torch.device) -> None:
    """See that training need not move a network that was adopted: its weights would take the module's along, its buffers not."""
    adopted, wanted = any(isinstance(one, Adopted) for one in network.modules()), torch.empty(0, device=device).device
    for tensor in chain(network.parameters(), network.buffers()):
        if adopted and tensor.device != wanted:
            told = f"to train on {wanted}, move your module and adopt it then"
            raise BadValue(f"network: was adopted on {tensor.device}; {told}")


def _rate(layer: nn.Module) -> float:
    """How often a layer drops: its own rate, or that of the dropout inside."""
    rate = layer.p if isinstance(layer, _DropoutNd) else layer.dropout
    return float(rate.p if isinstance(rate, nn.Module) else rate)  # type: ignore[arg-type]
