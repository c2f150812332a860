"""Answers a second of the mean of ten draws of dropout: what stands before the first mask computed once, or in every draw.

python -m benchmarks.draws [--threads 1] [--seconds 3] [--images 60]
"""

import time
from functools import partial

import torch
from torch import Tensor

from benchmarks import harness
from benchmarks.harness import seconds_of
from lib import models, seeds
from lib.uncertainty import MonteCarloDropout

NETWORKS = {"lenet5": (1, 28, 28), "basic_cnn": (1, 28, 28), "basic_cnn_tutorial": (1, 28, 28)}


class EveryDraw(MonteCarloDropout):
    """The same victim, whose draws share nothing: each image is repeated before it meets the network."""

    def sample(self, x: Tensor, draws: int) -> Tensor:
        """The logits under `draws` fresh sets of masks: (draws, n, k)."""
        return super().sample(x.repeat(draws, 1, 1, 1), 1).view(draws, len(x), -1)


def main() -> None:
    """Print a line a network."""
    options = harness.command_line(
        __doc__, counts={"threads": 1, "images": 60}, seconds={"type": float, "default": 3.0}
    )
    for name, shape in NETWORKS.items():
        network = models.build(name, shape=shape, classes=10, seed=0, dropout=0.5)
        x = torch.rand(options.images, *shape)
        found = []
        for kind in (EveryDraw, MonteCarloDropout):
            victim = kind(network, generator=seeds.generator(0, "draws"), draws=10, precision="float32")
            with torch.no_grad():
                seconds = seconds_of(partial(victim, x), seconds=options.seconds, clock=time.process_time)
            found.append(len(x) / seconds)
        print(f"{name:<30} every draw {found[0]:7.0f}  once {found[1]:7.0f} answers/s  {found[1] / found[0]:.2f} times")


if __name__ == "__main__":
    harness.run(main)
