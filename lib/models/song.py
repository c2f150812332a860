"""Song, Shokri and Mittal (2019), and the code of Madry et al. (2018) that theirs is built on. No dropout, no pooling but one.

yale_cnn            ten layers:   3x3 convolutions 8-8/2-16-16/2-32-32/2-64-64/2, dense 200, dense    1,770,662 parameters
fashion_cnn         eight layers: 3x3 convolutions 256-256-256/2-512-512-512/2, dense 200, dense     12,100,002 parameters
wide_resnet         depth 32, width 10: three stages 160-320-640 of five units each                  45,901,914 parameters
wide_resnet_short   the same with one unit a stage, for `reduced`
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import BadValue
from ..layers import Flatten
from .parts import RELU, Parts, Shape, fan_out

UNITS = 5  # a stage


def yale_cnn(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Pairs of convolutions, the second of stride 2, of `width` channels and then twice as many in each of four stages."""
    channels = [width << stage for stage in range(4) for _ in range(2)]
    return _plain(shape, classes, channels, [1, 2] * 4, dropout)


def fashion_cnn(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Threes of convolutions, the last of stride 2, of `width` channels and then twice as many."""
    return _plain(shape, classes, [width] * 3 + [2 * width] * 3, [1, 1, 2] * 2, dropout)


def _plain(shape: Shape, classes: int, channels: list[int], strides: list[int], dropout: float) -> Parts:
    _refuse(dropout)
    c, h, w = shape
    layers: list[nn.Module] = []
    for wide, stride in zip(channels, strides, strict=True):
        layers += [nn.Conv2d(c, wide, 3, stride=stride, padding=1, bias=False), RELU()]
        c, h, w = wide, -(-h // stride), -(-w // stride)
    layers += [Flatten(), nn.Linear(c * h * w, 200), RELU()]
    return Parts(nn.Sequential(*layers), lambda: nn.Linear(200, classes), fan_out)


def wide_resnet(shape: Shape, classes: int, width: int, dropout: float, *, units: int = UNITS) -> Parts:
    """Three stages of residual units, of `width` channels and twice as many in each stage after."""
    _refuse(dropout)
    if width % 2:
        raise BadValue(f"width: expected an even number, got {width}")
    layers: list[nn.Module] = [Standardise(), nn.Conv2d(shape[0], 16, 3, padding=1, bias=False)]
    c = 16
    for stage in range(3):
        for unit in range(units):
            stride = 2 if stage > 0 and unit == 0 else 1
            layers.append(Residual(c, width << stage, stride=stride, shared=stage == unit == 0))
            c = width << stage
    layers += [*_activation(c), nn.AdaptiveAvgPool2d(1), Flatten()]
    return Parts(nn.Sequential(*layers), lambda: nn.Linear(c, classes), fan_out)


class Standardise(nn.Module):
    """Images (n, c, h, w) with mean 0 and standard deviation 1 each; TensorFlow keeps nearly constant ones from blowing up."""

    def forward(self, x: Tensor) -> Tensor:
        """(x - mean) / max(std, 1 / (255 sqrt(number of pixels)))."""
        if len(x) == 0:  # of whose spread PyTorch warns
            return x
        least = 1 / (255 * x.shape[1:].numel() ** 0.5)
        std, mean = torch.std_mean(x, dim=(1, 2, 3), keepdim=True, correction=0)
        return (x - mean) / std.clamp_min(least)


class Residual(nn.Module):
    """A unit of two 3x3 convolutions, each after batch norm and a leaky ReLU; the first unit activates its shortcut as well.

    Where the channels grow, the shortcut is averaged over the stride and padded with zeros on both sides.
    """

    def __init__(self, c: int, wide: int, *, stride: int, shared: bool) -> None:
        super().__init__()
        self.shared, self.stride, self.pad = shared, stride, (wide - c) // 2
        self.before = nn.Sequential(*_activation(c))
        self.convolutions = nn.Sequential(
            nn.Conv2d(c, wide, 3, stride=stride, padding=1, bias=False),
            *_activation(wide),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, wide, h / stride, w / stride)."""
        active = self.before(x)
        shortcut = active if self.shared else x
        if self.stride > 1:
            shortcut = F.avg_pool2d(shortcut, self.stride)
        if self.pad:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, self.pad, self.pad))
        out: Tensor = self.convolutions(active) + shortcut
        return out


def _activation(channels: int) -> list[nn.Module]:
    """Batch norm with TensorFlow's epsilon and Madry's decay of 0.9, then a leaky ReLU of slope 0.1."""
    return [nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1), nn.LeakyReLU(0.1, inplace=True)]


def _refuse(dropout: float) -> None:
    if dropout:
        raise BadValue(f"dropout: expected 0, for this network has none, got {dropout!r}")
