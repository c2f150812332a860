"""Answers a second of the mean of ten draws of dropout: what stands before the first mask computed once, or in every draw.

python -m benchmarks.draws [--threads 1] [--seconds 3] [--images 60]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

from lib import models, seeds
from lib.uncertainty import MonteCarloDropout, Victim

NETWORKS = {"lenet5": (1, 28, 28), "basic_cnn": (1, 28, 28), "basic_cnn_tutorial": (1, 28, 28)}


class EveryDraw(MonteCarloDropout):
    """The same victim, whose draws share nothing: each image is repeated before it meets the network."""

    def sample(self, x: Tensor, draws: int) -> Tensor:
        """The logits under `draws` fresh sets of masks: (draws, n, k)."""
        return super().sample(x.repeat(draws, 1, 1, 1), 1).view(draws, len(x), -1)


def rate(victim: Victim, x: Tensor, *, seconds: float) -> float:
    """Images answered a second: the median over calls, by the processor's clock, after one to warm up."""
    victim(x)
    taken, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or not taken:
        start = time.process_time()
        victim(x)
        taken.append(time.process_time() - start)
    return len(x) / statistics.median(taken)


def main() -> None:
    """Print a line a network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--images", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name, shape in NETWORKS.items():
        width = models.WIDTHS.get(name, 64)
        network = models.build(name, shape=shape, classes=10, seed=0, width=width, dropout=0.5)
        x = torch.rand(options.images, *shape)
        found = []
        for kind in (EveryDraw, MonteCarloDropout):
            victim = kind(network, generator=seeds.generator(0, "draws"), draws=10, precision="float32")
            with torch.no_grad():
                found.append(rate(victim, x, seconds=options.seconds))
        print(f"{name:<30} every draw {found[0]:7.0f}  once {found[1]:7.0f} answers/s  {found[1] / found[0]:.2f} times")


if __name__ == "__main__":
    main()
