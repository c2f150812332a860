"""The papers' networks. `build(name, ...)` makes any of them, with its weights drawn from a seed.

Every network is a body of features, a head that gives logits, and, for a heteroscedastic one, a second head of the same
shape that gives the standard deviation of the logits.

Harakeh (2018), Figure 1 and section 3, and the CleverHans tutorials that he names as his source:
    basic_cnn                      the text:     three 3x3 convolutions of 64, one dense layer
    basic_cnn_tutorial             the tutorial: 64@8x8/2, 128@6x6/2, 128@5x5, dense      710,218 parameters on 1x28x28
    fully_convolutional            the text:     conv 64, conv 64, average pool, conv 10, global average
    fully_convolutional_tutorial   the tutorial: three stages 64-128, 128-256, 256-512   2,334,730 parameters on 3x32x32
    fully_connected                his unachieved goal, in the size of the black-box substitute: two dense layers of 200

Galinkin (2021), section 3.1:
    lenet5                         LeCun et al. (1998), with ReLU and average pooling                     61,706 on 1x28x28
    lenet5_coded                   what his robustness code calls LeNet: 1-D convolutions over the rows, tanh, for grey images
    resnet18                       torchvision's, whose first layer takes any number of channels    11,181,642 on 3x32x32
    shadow_coded                   the shadow of his membership code: two 3x3 convolutions, max pooling, three dense layers
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib import seeds
from lib.errors import BadValue, check_choice, check_count
from lib.layers import Dropout, Flatten

Shape = tuple[int, int, int]


class Parts(NamedTuple):
    """What an architecture is: its body, and a recipe for a head on top of it (called once or twice)."""

    body: nn.Module
    head: Callable[[], nn.Module]


class Network(nn.Module):
    """Images (n, c, h, w) to logits (n, k); a heteroscedastic one also gives sigma (n, k) > 0."""

    def __init__(self, parts: Parts, *, heteroscedastic: bool = False) -> None:
        super().__init__()
        self.body = parts.body
        self.head = parts.head()
        self.noise = parts.head() if heteroscedastic else None

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.head(self.body(x))
        return logits

    def logits_and_sigma(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both heads on one pass through the body; sigma is the softplus of the second (Kendall and Gal 2017, eq. 12)."""
        if self.noise is None:
            raise TypeError("this network has no second head: build it with heteroscedastic=True")
        features = self.body(x)
        return self.head(features), F.softplus(self.noise(features))


def basic_cnn(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Harakeh, section 3: "three 3x3 convolution layers each with 64 filters followed by a Fully Connected layer"."""
    c, h, w = shape
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Conv2d(c, width, 3, padding=1), nn.ReLU(inplace=True), Dropout(dropout)]
        c = width
    return Parts(nn.Sequential(*layers, Flatten()), lambda: nn.Linear(width * h * w, classes))


def basic_cnn_tutorial(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """`ModelBasicCNN` of the CleverHans 2.1 tutorials: strides instead of pooling, one feature vector left at the end."""
    c, h, w = shape
    wide = 2 * width

    def left(size: int) -> int:  # pixels a side after: 8x8/2 same, 6x6/2 valid, 5x5 valid
        return ((size + 1) // 2 - 6) // 2 + 1 - 4

    body = nn.Sequential(
        nn.Conv2d(c, width, 8, stride=2, padding=3), nn.ReLU(inplace=True), Dropout(dropout),
        nn.Conv2d(width, wide, 6, stride=2), nn.ReLU(inplace=True), Dropout(dropout),
        nn.Conv2d(wide, wide, 5), nn.ReLU(inplace=True), Dropout(dropout),
        Flatten(),
    )  # fmt: skip
    return Parts(body, lambda: nn.Linear(wide * left(h) * left(w), classes))


def fully_convolutional(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Harakeh, section 3: two 3x3 convolutions of 64, average pooling, a 3x3 convolution of 10, global average pooling."""
    body = nn.Sequential(
        nn.Conv2d(shape[0], width, 3, padding=1), nn.ReLU(inplace=True), Dropout(dropout),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True), Dropout(dropout),
        nn.AvgPool2d(2),
    )  # fmt: skip

    def head() -> nn.Module:
        return nn.Sequential(nn.Conv2d(width, classes, 3, padding=1), nn.AdaptiveAvgPool2d(1), Flatten())

    return Parts(body, head)


def fully_convolutional_tutorial(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """`ModelAllConvolutional` of the CleverHans 2.1 tutorials: leaky ReLU of slope 0.2, also after the last convolution."""
    layers: list[nn.Module] = []
    c = shape[0]
    for stage in range(3):
        for filters in (width << stage, width << (stage + 1)):
            layers += [nn.Conv2d(c, filters, 3, padding=1), nn.LeakyReLU(0.2, inplace=True), Dropout(dropout)]
            c = filters
        layers.append(nn.AvgPool2d(2))

    def head() -> nn.Module:
        return nn.Sequential(nn.Conv2d(c, classes, 3, padding=1), nn.LeakyReLU(0.2), nn.AdaptiveAvgPool2d(1), Flatten())

    return Parts(nn.Sequential(*layers), head)


def fully_connected(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Two hidden dense layers with ReLU: 200 units each in the substitute of the CleverHans black-box tutorial."""
    c, h, w = shape
    body = nn.Sequential(
        Flatten(),
        nn.Linear(c * h * w, width), nn.ReLU(inplace=True), Dropout(dropout),
        nn.Linear(width, width), nn.ReLU(inplace=True), Dropout(dropout),
    )  # fmt: skip
    return Parts(body, lambda: nn.Linear(width, classes))


def lenet5(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Two 5x5 convolutions of `width` and 8/3 `width` filters, dense layers of 120 and 84; 6 and 16 filters in LeNet-5.

    Dropout stands before every layer with weights but the first, as Gal and Ghahramani (2016) have it.
    """
    c, h, w = shape
    padding = 2 if h < 32 else 0  # LeNet-5 takes 32x32: smaller images get a margin
    second = round(8 * width / 3)

    def left(size: int) -> int:
        return ((size + 2 * padding - 4) // 2 - 4) // 2

    body = nn.Sequential(
        nn.Conv2d(c, width, 5, padding=padding), nn.ReLU(inplace=True), nn.AvgPool2d(2), Dropout(dropout),
        nn.Conv2d(width, second, 5), nn.ReLU(inplace=True), nn.AvgPool2d(2), Flatten(), Dropout(dropout),
        nn.Linear(second * left(h) * left(w), 120), nn.ReLU(inplace=True), Dropout(dropout),
        nn.Linear(120, 84), nn.ReLU(inplace=True), Dropout(dropout),
    )  # fmt: skip
    return Parts(body, lambda: nn.Linear(84, classes))


def lenet5_coded(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """1-D convolutions along the height, whose channels are the columns of a grey image: `width`, then twice that, twice."""
    c, h, w = shape
    wide = 2 * width

    def left(size: int) -> int:
        return (((size - 4) // 2 - 4) // 2 - 2) // 2

    body = nn.Sequential(
        nn.Conv2d(c, width, (5, w)), nn.Tanh(), nn.AvgPool2d((2, 1)), Dropout(dropout),
        nn.Conv2d(width, wide, (5, 1)), nn.Tanh(), nn.AvgPool2d((2, 1)), Dropout(dropout),
        nn.Conv2d(wide, wide, (3, 1)), nn.Tanh(), nn.AvgPool2d((2, 1)), Flatten(), Dropout(dropout),
        nn.Linear(wide * left(h), 120), nn.Tanh(), Dropout(dropout),
        nn.Linear(120, 84), nn.Tanh(), Dropout(dropout),
    )  # fmt: skip
    return Parts(body, lambda: nn.Linear(84, classes))


def resnet_18(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """torchvision's ResNet-18, with dropout after every ReLU.

    Raises:
        BadValue: a width other than 64, which is torchvision's.
    """
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
    return Parts(network, lambda: nn.Linear(features, classes))


def shadow_coded(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """Galinkin's shadow, whatever the target: 3x3 convolutions of `width` and twice that, dense layers of 120 and 84."""
    c, h, w = shape

    def left(size: int) -> int:
        return ((size - 2) // 2 - 2) // 2

    body = nn.Sequential(
        nn.Conv2d(c, width, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), Dropout(dropout),
        nn.Conv2d(width, 2 * width, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), Flatten(), Dropout(dropout),
        nn.Linear(2 * width * left(h) * left(w), 120), nn.ReLU(inplace=True), Dropout(dropout),
        nn.Linear(120, 84), nn.ReLU(inplace=True), Dropout(dropout),
    )  # fmt: skip
    return Parts(body, lambda: nn.Linear(84, classes))


ARCHITECTURES: dict[str, Callable[[Shape, int, int, float], Parts]] = {
    "basic_cnn": basic_cnn,
    "basic_cnn_tutorial": basic_cnn_tutorial,
    "fully_convolutional": fully_convolutional,
    "fully_convolutional_tutorial": fully_convolutional_tutorial,
    "fully_connected": fully_connected,
    "lenet5": lenet5,
    "lenet5_coded": lenet5_coded,
    "resnet18": resnet_18,
    "shadow_coded": shadow_coded,
}
# The width that an architecture has in its paper, where it is not 64.
WIDTHS = {"lenet5": 6, "shadow_coded": 32}


def build(
    name: str,
    *,
    shape: Shape,
    classes: int,
    seed: int,
    width: int = 64,
    dropout: float = 0.0,
    heteroscedastic: bool = False,
) -> Network:
    """The network `name` for images of `shape`, in channels-last layout, its weights drawn from `seed`.

    Raises:
        BadValue: unknown name, a width below 1, a dropout rate outside [0, 1).
    """
    architecture = ARCHITECTURES[check_choice("network", name, ARCHITECTURES)]
    parts = architecture(shape, classes, check_count("width", width), dropout)
    network = Network(parts, heteroscedastic=heteroscedastic)
    _initialise(network, seeds.generator(seed, "weights"))
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _initialise(network: nn.Module, generator: torch.Generator) -> None:
    """He's normal initialisation (std √(2 / fan in)) and zero biases. The CleverHans tutorials use 1 / √(fan in)."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
