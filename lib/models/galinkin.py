"""Galinkin (2021), section 3.1, and his code.

lenet5          LeCun et al. (1998), with ReLU and average pooling                     61,706 parameters on 1x28x28
lenet5_coded    what his robustness code calls LeNet: 1-D convolutions over the rows, tanh, for grey images
resnet18        torchvision's, whose first layer takes any number of channels    11,181,642 parameters on 3x32x32
shadow_coded    the shadow of his membership code: two 3x3 convolutions, max pooling, three dense layers
"""

from torch import nn

from ..errors import BadValue
from ..layers import Conv2d, Dropout, Flatten
from .parts import RELU, Parts, Shape, block, dense


def lenet5(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Two 5x5 convolutions of `width` and 8/3 `width` filters, dense layers of 120 and 84; 6 and 16 filters in LeNet-5.

    Dropout stands before every layer with weights but the first, as Gal and Ghahramani (2016) have it.
    """
    c, h, w = shape
    padding = 2 if h < 32 else 0  # LeNet-5 takes 32x32: smaller images get a margin
    second = round(8 * width / 3)
    h, w = (((size + 2 * padding - 4) // 2 - 4) // 2 for size in (h, w))
    body = nn.Sequential(
        *block(nn.Conv2d(c, width, 5, padding=padding), RELU, dropout, nn.AvgPool2d(2)),
        *block(nn.Conv2d(width, second, 5), RELU, dropout, nn.AvgPool2d(2), Flatten()),
        *dense((second * h * w, 120, 84), RELU, dropout),
    )
    return Parts(body, lambda: nn.Linear(84, classes))


def lenet5_coded(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """1-D convolutions along the height, whose channels are the columns of a grey image: `width`, then twice that, twice."""
    c, h, w = shape
    wide = 2 * width
    h = (((h - 4) // 2 - 4) // 2 - 2) // 2
    body = nn.Sequential(
        *block(nn.Conv2d(c, width, (5, w)), nn.Tanh, dropout, nn.AvgPool2d((2, 1))),
        *block(nn.Conv2d(width, wide, (5, 1)), nn.Tanh, dropout, nn.AvgPool2d((2, 1))),
        *block(nn.Conv2d(wide, wide, (3, 1)), nn.Tanh, dropout, nn.AvgPool2d((2, 1)), Flatten()),
        *dense((wide * h, 120, 84), nn.Tanh, dropout),
    )
    return Parts(body, lambda: nn.Linear(84, classes))


def resnet_18(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """torchvision's ResNet-18, with dropout after every ReLU; another width than its 64 is a `BadValue`."""
    if width != 64:
        raise BadValue(f"width: expected 64, which torchvision's ResNet-18 has, got {width!r}")
    from torchvision.models import resnet18  # slow to import, and only needed here

    network = resnet18()
    if shape[0] != 3:
        network.conv1 = nn.Conv2d(shape[0], 64, 7, stride=2, padding=3, bias=False)
    features = network.fc.in_features
    network.fc = nn.Identity()
    for module in list(network.modules()):
        if hasattr(module, "relu"):  # of the stem, and one for both activations of each block
            module.relu = nn.Sequential(nn.ReLU(inplace=True), Dropout(dropout))
        for name, part in module.named_children():
            if isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3):
                setattr(module, name, Conv2d(part.in_channels, part.out_channels, 3, part.stride[0], 1, bias=False))
    return Parts(network, lambda: nn.Linear(features, classes))


def shadow_coded(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Galinkin's shadow, whatever the target: 3x3 convolutions of `width` and twice that, dense layers of 120 and 84."""
    c, h, w = shape
    h, w = (((size - 2) // 2 - 2) // 2 for size in (h, w))
    body = nn.Sequential(
        *block(nn.Conv2d(c, width, 3), RELU, dropout, nn.MaxPool2d(2)),
        *block(nn.Conv2d(width, 2 * width, 3), RELU, dropout, nn.MaxPool2d(2), Flatten()),
        *dense((2 * width * h * w, 120, 84), RELU, dropout),
    )
    return Parts(body, lambda: nn.Linear(84, classes))
