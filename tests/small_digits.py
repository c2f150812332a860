"""Digits of 16x16 pixels and a small dense network that tells them apart, for attacks that look at every feature or pair."""

from __future__ import annotations

import copy
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from lib import data, models, training
from lib.data import Split
from lib.models import Network


def network() -> Network:
    """A network of the caller's own, in float32; its dropout is off until a victim turns it on."""
    return copy.deepcopy(_trained())


def images(n: int) -> tuple[Tensor, Tensor]:
    """The first `n` test images and their labels."""
    return _splits()[1].take(torch.arange(n))


@cache
def _trained() -> Network:
    built = models.build("fully_connected", shape=(1, 16, 16), classes=10, seed=0, width=32, dropout=0.125)
    config = training.TrainingConfig(epochs=10, batch_size=32, learning_rate=3e-3, precision="float32")
    training.fit(built, _splits()[0], config, seed=0)
    return built


@cache
def _splits() -> tuple[Split, Split]:
    digits = data.load("digits_as_mnist")
    train, test = (
        Split(F.adaptive_avg_pool2d(split.images.float(), 16).round().to(torch.uint8), split.labels)
        for split in (digits.train.first(600), digits.test.first(100))
    )
    return train, test
