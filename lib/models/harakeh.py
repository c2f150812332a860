"""Harakeh (2018), Figure 1 and section 3, and the CleverHans tutorials that he names as his source.

basic_cnn                      the text:     three 3x3 convolutions of 64, one dense layer
basic_cnn_tutorial             the tutorial: 64@8x8/2, 128@6x6/2, 128@5x5, dense      710,218 parameters on 1x28x28
fully_convolutional            the text:     conv 64, conv 64, average pool, conv 10, global average
fully_convolutional_tutorial   the tutorial: three stages 64-128, 128-256, 256-512   2,334,730 parameters on 3x32x32
fully_connected                his unachieved goal, in the size of the black-box substitute: two dense layers of 200
"""

from functools import partial

from torch import nn

from ..layers import Flatten
from .parts import RELU, Parts, Shape, block, dense


def basic_cnn(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Harakeh, section 3: "three 3x3 convolution layers each with 64 filters followed by a Fully Connected layer"."""
    c, h, w = shape
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += block(nn.Conv2d(c, width, 3, padding=1), RELU, dropout)
        c = width
    return Parts(nn.Sequential(*layers, Flatten()), lambda: nn.Linear(width * h * w, classes))


def basic_cnn_tutorial(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """`ModelBasicCNN` of the CleverHans 2.1 tutorials: strides instead of pooling, one feature vector left at the end."""
    c, h, w = shape
    wide = 2 * width
    h, w = (((size + 1) // 2 - 6) // 2 + 1 - 4 for size in (h, w))  # after 8x8/2 same, 6x6/2 valid, 5x5 valid
    body = nn.Sequential(
        *block(nn.Conv2d(c, width, 8, stride=2, padding=3), RELU, dropout),
        *block(nn.Conv2d(width, wide, 6, stride=2), RELU, dropout),
        *block(nn.Conv2d(wide, wide, 5), RELU, dropout),
        Flatten(),
    )
    return Parts(body, lambda: nn.Linear(wide * h * w, classes))


def fully_convolutional(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Harakeh, section 3: two 3x3 convolutions of 64, average pooling, a 3x3 convolution of 10, global average pooling."""
    body = nn.Sequential(
        *block(nn.Conv2d(shape[0], width, 3, padding=1), RELU, dropout),
        *block(nn.Conv2d(width, width, 3, padding=1), RELU, dropout),
        nn.AvgPool2d(2),
    )

    def head() -> nn.Module:
        return nn.Sequential(nn.Conv2d(width, classes, 3, padding=1), nn.AdaptiveAvgPool2d(1), Flatten())

    return Parts(body, head)


def fully_convolutional_tutorial(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """`ModelAllConvolutional` of the CleverHans 2.1 tutorials: leaky ReLU of slope 0.2, also after the last convolution."""
    layers: list[nn.Module] = []
    c = shape[0]
    for stage in range(3):
        for filters in (width << stage, width << (stage + 1)):
            layers += block(nn.Conv2d(c, filters, 3, padding=1), partial(nn.LeakyReLU, 0.2, inplace=True), dropout)
            c = filters
        layers.append(nn.AvgPool2d(2))

    def head() -> nn.Module:
        return nn.Sequential(nn.Conv2d(c, classes, 3, padding=1), nn.LeakyReLU(0.2), nn.AdaptiveAvgPool2d(1), Flatten())

    return Parts(nn.Sequential(*layers), head)


def fully_connected(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Two hidden dense layers with ReLU: 200 units each in the substitute of the CleverHans black-box tutorial."""
    c, h, w = shape
    body = nn.Sequential(Flatten(), *dense((c * h * w, width, width), RELU, dropout))
    return Parts(body, lambda: nn.Linear(width, classes))
