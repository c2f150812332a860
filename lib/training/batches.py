"""What training asks of a network, and how the images of an epoch come in batches."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from ..errors import BadValue


def check_network(network: nn.Module) -> None:
    """See that what is random while `network` trains can be drawn from a generator.

    Raises:
        BadValue: no module, or dropout of PyTorch's own.
    """
    if not isinstance(network, nn.Module):
        raise BadValue(f"network: expected a torch.nn.Module, got {type(network).__name__}")
    if any(isinstance(layer, _DropoutNd) and layer.p > 0 for layer in network.modules()):
        raise BadValue("network: expected no dropout of PyTorch's own, which nothing seeds; `models.adopt` replaces it")


def needs_company(network: nn.Module, x: Tensor) -> bool:
    """Whether a batch norm would see one value a channel of a single image `x` (1, c, h, w), which has no variance.

    Found out in evaluation mode, in which nothing is drawn and no statistics change; the network ends training.
    """
    values: list[int] = []
    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    hooks = [layer.register_forward_pre_hook(lambda _, args: values.append(args[0][:, 0].numel())) for layer in norms]
    with torch.no_grad():
        network.eval()(x)
    for hook in hooks:
        hook.remove()
    network.train()
    return 1 in values


def in_batches(order: Tensor, size: int, *, company: bool) -> list[Tensor]:
    """An epoch in batches of `size`: what is left is one more, or part of the last if it is one image that needs company."""
    batches = list(torch.split(order, size))
    if company and len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
