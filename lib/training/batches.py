"""What training asks of a network, and how the images of an epoch come in batches."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from ..data import Points, Split, gather
from ..errors import BadValue, VictimWarning, check_flag, check_kind, shown
from ..evasion.checks import looks_like_probabilities
from ..layers import set_sampling
from ..models.adopted import check_place


def check_run(
    network: nn.Module,
    points: Points,
    *,
    device: str | torch.device,
    snapshot: Path | None,
    progress: bool,
    name: str = "split",
) -> Split:
    """The points of a training, which errors call `name`, once it can begin: `network` has answered one image."""
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    if any(isinstance(layer, _DropoutNd) and layer.p > 0 for layer in network.modules()):
        raise BadValue("network: expected no dropout of PyTorch's own, which nothing seeds; `models.adopt` replaces it")
    check_device(device)
    check_flag("progress", progress)
    check_kind("snapshot", snapshot, (Path, type(None)), "a pathlib.Path or None")
    check_place(network, device)
    split = gather(points)
    if len(split) == 0:
        raise BadValue(f"{name}: expected one image or more, got none")
    if split.images.is_floating_point() and not split.images.isfinite().all():
        raise BadValue(f"{name}: expected finite images, got NaN or infinities")
    set_sampling(network, sampling=False)  # the question must not take draws from anybody's generator
    try:
        with torch.no_grad():
            answer = network.to(device).eval()(split.take(torch.zeros_like(split.labels[:1]))[0].to(device))
    except (RuntimeError, ValueError, TypeError) as error:
        told = shown(str(error).partition("\n")[0])
        raise BadValue(f"{name}: the network takes no images {tuple(split.images.shape[1:])} ({told})") from error
    if not any(weight.requires_grad for weight in network.parameters()):
        raise BadValue("network: expected weights to train, got none that requires a gradient")
    if not isinstance(answer, Tensor) or answer.dim() != 2:
        raise BadValue(f"network: expected it to answer with logits (n, k), got {shown(answer)}")
    if looks_like_probabilities(answer):
        told = "network: expected logits, and it answers with probabilities, of which the loss takes a softmax again"
        warnings.warn(f"{told}; end the network before its own", VictimWarning, stacklevel=3)
    if (largest := int(split.labels.max())) >= answer.shape[1]:
        raise BadValue(f"{name}: expected labels below {answer.shape[1]}, the number of classes, got {largest}")
    return split


def check_device(device: str | torch.device) -> None:
    """See that tensors can be on `device`."""
    expected = "one that is here, such as 'cpu'"
    check_kind("device", device, (str, torch.device), expected)
    try:
        torch.empty(0, device=(wanted := torch.device(device)))
    except (RuntimeError, AssertionError) as error:
        raise BadValue(f"device: expected {expected}, got {shown(device)}") from error
    if wanted.type == "meta" or (wanted.type == "cpu" and wanted.index):
        raise BadValue(f"device: expected {expected}, got {shown(device)}")


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
