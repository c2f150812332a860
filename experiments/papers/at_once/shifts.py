"""Images of another distribution than a network was trained on: rotated, and corrupted.

Rotations are those of Ovadia et al. (2019, "Can you trust your model's uncertainty?"). Corruptions are three of Hendrycks and
Dietterich (2019, "Benchmarking neural network robustness to common corruptions and perturbations"), as severe as CIFAR-10-C's
severity 5, in equal parts: the first image gets noise, the second less contrast, the third is blurred, and so on.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from lib import seeds

ANGLE = 45.0  # degrees
DEVIATION, CONTRAST, BLUR = 0.10, 0.15, 1.0  # of the noise; what is left of the contrast; in pixels


def rotated(x: Tensor, *, seed: int) -> Tensor:
    """Images (n, c, h, w) turned by ANGLE, with black corners; nothing is random."""
    turned: Tensor = functional.rotate(x, ANGLE, InterpolationMode.BILINEAR)
    return turned


def corrupted(x: Tensor, *, seed: int) -> Tensor:
    """Images (n, c, h, w) in [0, 1], each corrupted in one of three ways."""
    generator, found = seeds.generator(seed, "corruption", x.device), x.clone()
    found[::3] += DEVIATION * torch.randn(found[::3].shape, generator=generator, device=x.device)
    mean = x[1::3].mean((2, 3), keepdim=True)
    found[1::3] = mean + CONTRAST * (x[1::3] - mean)
    if len(x) > 2:
        found[2::3] = functional.gaussian_blur(x[2::3], [9, 9], [BLUR])
    return found.clamp(0, 1)


SHIFTS: dict[str, Callable[..., Tensor]] = {"rotated": rotated, "corrupted": corrupted}
