"""The two networks of the fourth chapter: small enough to train some hundreds of them.

small_cnn      two 3x3 convolutions of stride 2, `width` and twice as many channels, and two dense layers
small_resnet   a convolution of stride 2, three units of Song's residual networks, `width` to four times as many channels, and
               two dense layers

Dropout stands before the dense layers alone, so that all draws of a victim share its convolutions.
"""

from torch import nn

from lib.layers import Dropout, Flatten
from lib.models import Parts, Shape
from lib.models.parts import fan_out
from lib.models.song import Residual, Standardise

FEATURES = 64  # of the last layer


def small_cnn(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """For images of one channel."""
    c, h, w = shape
    body = nn.Sequential(
        nn.Conv2d(c, width, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        Flatten(),
        *_dense(2 * width * -(-h // 4) * -(-w // 4), dropout),
    )
    return Parts(body, lambda: nn.Linear(FEATURES, classes))


def small_resnet(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """For images in colour."""
    wide = 4 * width
    body = nn.Sequential(
        Standardise(),
        nn.Conv2d(shape[0], width, 3, stride=2, padding=1, bias=False),
        Residual(width, width, stride=1, shared=True),
        Residual(width, 2 * width, stride=2, shared=False),
        Residual(2 * width, wide, stride=2, shared=False),
        nn.BatchNorm2d(wide, eps=1e-3),
        nn.LeakyReLU(0.1, inplace=True),
        nn.AdaptiveAvgPool2d(1),
        Flatten(),
        *_dense(wide, dropout),
    )
    return Parts(body, lambda: nn.Linear(FEATURES, classes), fan_out)


def _dense(features: int, dropout: float) -> list[nn.Module]:
    """What comes between convolutions and head."""
    return [Dropout(dropout), nn.Linear(features, FEATURES), nn.ReLU(inplace=True), Dropout(dropout)]


NETWORKS = {"small_cnn": small_cnn, "small_resnet": small_resnet}
