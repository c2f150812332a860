"""What every attack asks of its victim, images, labels and settings before it begins."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from lib.errors import BadValue, check_count, check_number
from lib.layers import Dropout

# While training these answer at random from the global generator, or by the other images of the batch.
OTHER_IN_TRAINING = (Dropout, _DropoutNd, _NormBase, nn.MultiheadAttention, nn.RNNBase, nn.RReLU)


def check_images(victim: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """The victim's bounds, once `x` and `y` are known to be images inside them and one label each, and it is not training.

    Raises:
        BadValue: otherwise.
    """
    if not isinstance(victim, nn.Module):
        raise BadValue(f"victim: expected a torch.nn.Module, got {type(victim).__name__}")
    low, high = getattr(victim, "bounds", (0.0, 1.0))
    training = (layer for layer in victim.modules() if layer.training and isinstance(layer, OTHER_IN_TRAINING))
    if any(getattr(layer, "p", 1.0) > 0 for layer in training):
        raise BadValue("victim: expected a network in evaluation mode, got one in training mode: call its eval() first")
    if x.dim() != 4 or y.shape != x.shape[:1]:
        raise BadValue(f"x, y: expected (n, c, h, w) and (n,), got {tuple(x.shape)} and {tuple(y.shape)}")
    if y.dtype != torch.int64:
        raise BadValue(f"y: expected labels in torch.int64, got {y.dtype}")
    if len(y) > 0 and y.min() < 0:
        raise BadValue(f"y: expected labels of at least 0, got {int(y.min())}")
    if len(x) > 0 and (not torch.isfinite(x).all() or x.min() < low or x.max() > high):
        raise BadValue(f"x: expected finite values in [{low:g}, {high:g}], got {x.min():g} to {x.max():g}")
    return low, high


def check_classes(y: Tensor, classes: int) -> None:
    """See that each of the labels `y` (n,) is one of the victim's classes, whose number its first answer shows.

    Raises:
        BadValue: otherwise.
    """
    if len(y) > 0 and int(y.max()) >= classes:
        raise BadValue(f"y: expected labels below {classes}, the number of the victim's classes, got {int(y.max())}")


def check_steps(epsilon: float, step_size: float, steps: int, *, width: float) -> tuple[float, float]:
    """Budget and length of a step as floats, once they are known to be ones that steps of an attack can have.

    Raises:
        BadValue: a budget beyond `width`, that of the bounds; a step longer than the budget, or of no length; no steps.
    """
    epsilon = check_number("epsilon", epsilon, low=0.0, high=width)
    step_size = check_number("step_size", step_size, low=0.0, high=epsilon)
    check_count("steps", steps)
    if step_size == 0 < epsilon:
        raise BadValue(f"step_size: expected a positive number of at most epsilon = {epsilon:g}, got {step_size!r}")
    return epsilon, step_size
