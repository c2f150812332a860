"""What our layers and shared draws save, side by side in one process, on random images.

python -m benchmarks.layers [--threads 2] [--seconds 3] [--images 60]

First training rates with our layers and with PyTorch's own: the basic CNN with dropout, and ResNet-18. Then answers of the mean
of ten draws of dropout: what stands before the first mask computed in every draw, or once.
"""

from collections.abc import Iterator
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import harness
from benchmarks.harness import seconds_of
from lib import layers, models, seeds
from lib.uncertainty import MonteCarloDropout


def rate(network: nn.Module, *, seconds: float) -> float:
    """Images a second of forward, backward and Adam on batches of 128 in bfloat16."""
    x, y = torch.rand(128, 1, 28, 28).contiguous(memory_format=torch.channels_last), torch.arange(128) % 10
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            logits = network.train()(x)
        optimizer.zero_grad()
        F.cross_entropy(logits.float(), y).backward()
        optimizer.step()

    return len(x) / seconds_of(step, seconds=seconds)


def dropouts() -> Iterator[tuple[str, nn.Module]]:
    """The basic CNN without dropout, with ours and with PyTorch's."""
    for name, kind in (("none", None), ("lib.layers.Dropout", layers.Dropout), ("torch.nn.Dropout", nn.Dropout)):
        network = models.build("basic_cnn", shape=(1, 28, 28), classes=10, seed=0, dropout=0.5)
        for i, layer in enumerate(network.body):
            if isinstance(layer, layers.Dropout):
                network.body[i] = nn.Identity() if kind is None else kind(0.5)
        yield name, network


def convolutions() -> Iterator[tuple[str, nn.Module]]:
    """ResNet-18 with our convolutions and with PyTorch's."""
    for name in ("lib.layers.Conv2d", "torch.nn.Conv2d"):
        network = models.build("resnet18", shape=(1, 28, 28), classes=10, seed=0)
        for layer in network.modules():
            if isinstance(layer, layers.Conv2d) and name.startswith("torch"):
                layer.forward = partial(nn.Conv2d.forward, layer)  # type: ignore[method-assign]
        yield name, network


class EveryDraw(MonteCarloDropout):
    """A victim whose draws share nothing: each image is repeated before it meets the network."""

    def sample(self, x: Tensor, draws: int) -> Tensor:
        """The logits under `draws` fresh sets of masks: (draws, n, k)."""
        return super().sample(x.repeat(draws, 1, 1, 1), 1).view(draws, len(x), -1)


def answers(name: str, kind: type[MonteCarloDropout], *, images: int, seconds: float) -> float:
    """Answers a second, of as many images at once."""
    network = models.build(name, shape=(1, 28, 28), classes=10, seed=0, dropout=0.5)
    victim = kind(network, generator=seeds.generator(0, "draws"), draws=10, precision="float32")
    with torch.no_grad():
        return images / seconds_of(partial(victim, torch.rand(images, 1, 28, 28)), seconds=seconds)


def main() -> None:
    """Print the rates of training, then those of answers."""
    options = harness.command_line(
        __doc__, counts={"threads": 2, "images": 60}, seconds={"type": float, "default": 3.0}
    )
    for name, network in chain(dropouts(), convolutions()):
        print(f"{name:<20} {rate(network, seconds=options.seconds):8.0f} images/s on {options.threads} threads")
    for name in ("lenet5", "basic_cnn", "basic_cnn_tutorial"):
        every, once = (
            answers(name, kind, images=options.images, seconds=options.seconds)
            for kind in (EveryDraw, MonteCarloDropout)
        )
        print(f"{name:<20} every draw {every:7.0f}  once {once:7.0f} answers/s  {once / every:.2f} times")


if __name__ == "__main__":
    harness.run(main)
