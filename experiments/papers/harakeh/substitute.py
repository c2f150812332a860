"""The black-box attack of Papernot et al. (2017): a substitute network, trained on the victim's labels, is attacked instead.

It needs nothing of the victim but its labels. The settings are those of the CleverHans tutorial `mnist_blackbox`, which changed
the sign of its augmentation between versions: both are here.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.cell import Count, Rate, Share, checked
from lib.progress import track

Labels = Callable[[Tensor], Tensor]


@checked
class SubstituteConfig:
    """Settings of the substitute's training; the defaults are the tutorial's.

    Raises:
        BadValue: a value outside its range.
    """

    rounds: Count = 6
    step: Share = 0.1  # lambda, of the augmentation
    sign: Literal["plus", "minus_then_plus"] = "minus_then_plus"  # plus in CleverHans 2.0; later minus in rounds 0 to 2
    epochs: Count = 10  # a round
    batch_size: Count = 128
    learning_rate: Rate = 1e-3

    def direction(self, round_: int) -> int:
        """The sign of the augmentation in round 0, 1, ..."""
        return -1 if self.sign == "minus_then_plus" and round_ < 3 else 1


class Oracle:
    """A victim that gives labels and counts how many it has given."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.queries = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Labels (n,) of `x` (n, c, h, w)."""
        self.queries += len(x)
        with torch.no_grad():
            return self.labels(x)


def train_substitute(
    oracle: Labels,
    substitute: nn.Module,
    x: Tensor,
    config: SubstituteConfig,
    *,
    generator: torch.Generator,
    progress: bool = False,
) -> list[float]:
    """Train `substitute` in place on the oracle's labels of `x` and of its augmentations; returns each round's agreement.

    Each round trains on all points so far, then doubles them by a step along the substitute's Jacobian. The augmented points
    are not clipped, as in the tutorial. Every point is labelled once: n * 2^(rounds - 1) queries.

    Args:
        oracle: images to labels (n,); wrap it in `Oracle` to count the queries.
        substitute: images to logits, on the device of `x`, without dropout; it ends in evaluation mode.
        x: the few images (n, c, h, w) that the attacker has.
        config: the settings.
        generator: on the CPU; the order of the batches comes from it.
        progress: whether to show a progress bar.
    """
    y, agreement = oracle(x), list[float]()
    for round_ in track(range(config.rounds), "substitute, rounds", enabled=progress):
        _train(substitute.train(), x, y, config, generator)
        substitute.eval()
        with torch.no_grad():
            agreement.append(100 * (substitute(x).argmax(1) == y).double().mean().item())
        if round_ + 1 < config.rounds:
            augmented = augment(substitute, x, y, step=config.direction(round_) * config.step)
            x, y = torch.cat([x, augmented]), torch.cat([y, oracle(augmented)])
    return agreement


def augment(substitute: nn.Module, x: Tensor, y: Tensor, *, step: float) -> Tensor:
    """Jacobian-based data augmentation: each image moved by `step` along the sign of its label's gradient."""
    x = x.detach().requires_grad_(True)
    at_y = substitute(x).gather(1, y[:, None]).sum()
    (gradient,) = torch.autograd.grad(at_y, x)
    # x + lambda sgn(dF_y(x) / dx)
    return (x + step * gradient.sign()).detach()


def _train(substitute: nn.Module, x: Tensor, y: Tensor, config: SubstituteConfig, generator: torch.Generator) -> None:
    """`config.epochs` of Adam from the weights that `substitute` has."""
    adam = torch.optim.Adam(substitute.parameters(), config.learning_rate)
    for _ in range(config.epochs):
        for batch in torch.split(torch.randperm(len(x), generator=generator).to(x.device), config.batch_size):
            loss = F.cross_entropy(substitute(x[batch]), y[batch])
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
