"""The two networks of the fourth chapter: small enough to train some hundreds of them.

small_cnn      two 3x3 convolutions of stride 2, `width` and twice as many channels, and two dense layers
small_resnet   the wide residual network of depth 8 (`lib.models.song`), and two dense layers

Dropout stands before the dense layers alone, so that all draws of a victim share its convolutions.
"""

from __future__ import annotations

from torch import nn

from lib.layers import Dropout, Flatten
from lib.models import Parts, Shape
from lib.models.song import wide_resnet_short

FEATURES = 64  # of the last layer


def small_cnn(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """For images of one channel."""
    c, h, w = shape
    body = nn.Sequential(
        nn.Conv2d(c, width, 3, stride=2, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(inplace=True),
        Flatten(),
        *_dense(2 * width * -(-h // 4) * -(-w // 4), dropout),
    )  # fmt: skip
    return Parts(body, lambda: nn.Linear(FEATURES, classes))


def small_resnet(shape: Shape, classes: int, width: int, dropout: float) -> Parts:
    """For images in colour."""
    parts = wide_resnet_short(shape, classes, width, 0.0)
    body = nn.Sequential(*parts.body.children(), *_dense(4 * width, dropout))
    return Parts(body, lambda: nn.Linear(FEATURES, classes), parts.initialise)


def _dense(features: int, dropout: float) -> list[nn.Module]:
    """What comes between convolutions and head."""
    return [Dropout(dropout), nn.Linear(features, FEATURES), nn.ReLU(inplace=True), Dropout(dropout)]


NETWORKS = {"small_cnn": small_cnn, "small_resnet": small_resnet}
