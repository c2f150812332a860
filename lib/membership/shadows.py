"""Shadow models: the same training on random halves of one pool of points, so that each point is in half of the models."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .. import seeds
from ..data import Points, gather
from ..errors import BadValue, check_count, check_kind
from ..progress import track
from ..training import TrainingConfig, fit
from ..training.checkpoints import digest, trained
from .scores import log_odds


class Shadows(NamedTuple):
    """What s shadow models answer to n points, and which of these each was trained on."""

    answers: Tensor  #: (s, n, k) logits, on the CPU
    inside: Tensor  #: (s, n) bool, whether it was trained on the point

    def log_odds(self, labels: Tensor) -> Tensor:
        """The log-odds (s, n) of the points' labels (n,), as `lira` and `rmia` take them."""
        return torch.stack([log_odds(one, labels.cpu()) for one in self.answers])


def train_shadows(
    build: Callable[[int], nn.Module],
    points: Points,
    count: int,
    config: TrainingConfig,
    *,
    folder: str | Path,
    seed: int,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> Shadows:
    """Train `count` networks, each on a random half of `points`, and ask each about all of them.

    Every point is in exactly half of the networks (Carlini et al. 2022), so any one of them can be the judged model, and the
    others its shadows. An interrupted run goes on from its last epoch: call it again.

    Args:
        build: makes an untrained network, on the CPU, of a seed.
        points: a `Split`, images (n, c, h, w) and labels (n,), or a DataLoader of them that does not shuffle.
        count: how many networks; an even number.
        config: how each is trained, see `training.fit`.
        folder: of the trained networks: one file each, weights and losses, named after all they depend on.
        seed: of the halves, the weights and the trainings.
        device: where to train and to ask.
        progress: show a bar.

    Raises:
        BadValue: fewer than two points, an odd count; as of `training.fit`; a network in `folder` that is damaged.
    """
    pool, where = gather(points).to("cpu"), Path(folder)
    if check_count("count", count, low=2) % 2:
        raise BadValue(f"count: expected an even number, for each point to be in half of them, got {count}")
    if len(pool) < 2:
        raise BadValue(f"points: expected at least two, got {len(pool)}")
    if isinstance(build, nn.Module):
        raise BadValue(f"build: expected a function from a seed to a network, got a network, {type(build).__name__}")
    drawn = torch.rand(count, len(pool), generator=seeds.generator(seed, "shadow members"), dtype=torch.float64)
    inside = drawn.argsort(0) < count // 2
    contents = digest({"images": pool.images, "labels": pool.labels}, "")
    weights = list[Tensor]()

    def asked(i: int) -> Tensor:
        """What network i answers to all points, once it is trained."""
        own = seeds.derive(seed, f"shadow {i}")
        network = check_kind("build", build(own), nn.Module, "a function that returns a torch.nn.Module")
        if not {*map(id, network.parameters())}.isdisjoint(map(id, weights)):
            raise BadValue("build: expected an untrained network for each seed, got weights of the one before")
        weights[:] = network.parameters()
        half = pool.subset(inside[i].nonzero()[:, 0])

        def train(network: nn.Module, snapshot: Path | None) -> dict[str, Any]:
            return asdict(fit(network, half, config, seed=own, device=device, snapshot=snapshot))

        key = digest({"inside": inside[i], **network.state_dict()}, f"{contents} {network} {config} {own}")
        trained(network, f"shadow-{i}-{key[:16]}", train, cache=where)
        return logits_of(network, pool, device=device)

    answers = [asked(i) for i in track(range(count), "shadow models", enabled=progress)]
    return Shadows(torch.stack(answers), inside)


def logits_of(network: nn.Module, points: Points, *, device: str | torch.device = "cpu") -> Tensor:
    """What a trained network answers to `points`, in evaluation mode and float32: (n, k), on the CPU."""
    pool = gather(points)
    network.to(device).eval()
    with torch.no_grad():
        return torch.cat([network(x.to(device)).float().cpu() for x, _ in pool.batches()])
