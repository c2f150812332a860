"""Training a network: one loop, on a CPU or a GPU, with the data on the device and the randomness in two generators.

Images stay uint8 on the device and are converted a batch at a time. Convolutions run channels-last, in bfloat16 where
the config says so; weights, loss and optimiser stay in float32.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import seeds
from ..data import Points, Split
from ..errors import BadValue, check_choice, check_count, check_kind, check_number
from ..layers import set_sampling
from ..models import Network
from ..progress import track
from ..uncertainty import PRECISIONS
from .batches import check_run, needs_company
from .snapshots import History, resume, save

Augmentation = Callable[[Tensor, torch.Generator], Tensor]


class TrainingFailed(RuntimeError):
    """The loss became NaN or infinite; the message says at which step."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Hyper-parameters of one training run; the defaults are those of the CleverHans 2.1 tutorials.

    `optimizer` is "adam" or "sgd", plain; `precision` "bfloat16" or "float32"; `augmentation` "none", "flip_and_shift",
    "flip_and_crop" or "flip_and_rotate". With a `patience` above 0 it stops early, as Keras does: when for so many epochs the
    validation loss has not fallen by `min_delta` below its lowest value. The weights are those of the last epoch.

    Raises:
        BadValue: a value outside its range.
    """

    epochs: int = 6
    batch_size: int = 128
    learning_rate: float = 1e-3
    label_smoothing: float = 0.1
    augmentation: str = "none"
    precision: str = "bfloat16"
    optimizer: str = "adam"
    patience: int = 0
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        for name, least in {"epochs": 1, "batch_size": 1, "patience": 0}.items():
            check_count(name, getattr(self, name), low=least)
        for name, most in {"learning_rate": 10.0, "label_smoothing": 0.99, "min_delta": math.inf}.items():
            check_number(name, getattr(self, name), low=0.0, high=most)
        choices: dict[str, Iterable[str]] = {
            "optimizer": OPTIMIZERS,
            "augmentation": AUGMENTATIONS,
            "precision": PRECISIONS,
        }
        for name, known in choices.items():
            check_choice(name, getattr(self, name), known)


def cross_entropy(
    network: nn.Module, x: Tensor, y: Tensor, *, label_smoothing: float, noise: torch.Generator
) -> Tensor:
    """Mean cross-entropy of a batch; for a heteroscedastic network, of its noisy logits (Harakeh, equation 3)."""
    if not isinstance(network, Network) or network.noise is None:
        logits = network(x).float()
    else:
        mean, sigma = network.logits_and_sigma(x)
        epsilon = torch.randn(mean.shape, generator=noise, device=x.device)
        # L = 1/N sum_i H(y_i, softmax(f(x_i) + sigma(x_i) N(0, I)))
        logits = mean.float() + sigma.float() * epsilon
    return F.cross_entropy(logits, y, label_smoothing=label_smoothing)


def flip_and_cut(x: Tensor, generator: torch.Generator, *, margin: int, edge: str) -> Tensor:
    """Mirror half of the images (n, c, h, w) and shift each by up to `margin` pixels; beyond the `edge` is what `F.pad` puts."""
    (n, _, h, w), device = x.shape, x.device
    padded = F.pad(x, [margin] * 4, mode=edge)
    top, left = torch.randint(0, 2 * margin + 1, (2, n), generator=generator, device=device)
    mirrored = torch.rand(n, generator=generator, device=device) < 0.5
    rows = top[:, None] + torch.arange(h, device=device)  # (n, h)
    columns = torch.arange(w, device=device).expand(n, w)
    columns = left[:, None] + torch.where(mirrored[:, None], columns.flip(1), columns)  # (n, w)
    images = torch.arange(n, device=device)[:, None, None]
    cut = padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]]  # (n, h, w, c)
    return cut.permute(0, 3, 1, 2)


def flip_and_rotate(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the images each way and turn each by up to 90 degrees, reflecting at the edge (Galinkin's shadow)."""
    n, device = len(x), x.device
    angle = (2 * torch.rand(n, generator=generator, device=device) - 1) * torch.pi / 2
    flips = 1 - 2 * (torch.rand((2, n), generator=generator, device=device) < 0.5).float()
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2)
    affine = torch.cat([rotation * flips.T[:, None, :], torch.zeros(n, 2, 1, device=device)], 2)  # (n, 2, 3)
    grid = F.affine_grid(affine, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": lambda x, generator: x,
    "flip_and_shift": partial(flip_and_cut, margin=4, edge="reflect"),  # of the CleverHans tutorials
    "flip_and_crop": partial(flip_and_cut, margin=2, edge="constant"),  # of Madry et al. (2018), with zeros
    "flip_and_rotate": flip_and_rotate,
}
OPTIMIZERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def fit(
    network: nn.Module,
    split: Points,
    config: TrainingConfig,
    *,
    seed: int,
    validation: Points | None = None,
    device: str | torch.device = "cpu",
    snapshot: Path | None = None,
    progress: bool = False,
) -> History:
    """Train `network` in place on `split`; returns the mean training loss of every epoch and, if it is watched, the validation's.

    Args:
        network: any module from images to logits without dropout of PyTorch's own, such as that of `models.build` or
            `models.adopt`. Its weights are where training starts, unless there is a snapshot.
        split: what to train on: a `Split`, images (n, c, h, w) and labels (n,), or a DataLoader of them, which is read once.
            A last batch of one image, of which a batch norm could make nothing, is part of the batch before.
        config: see `TrainingConfig`.
        seed: of the order of the batches, and of all noise.
        validation: what early stopping watches.
        device: where to train.
        snapshot: a file to go on from if it exists, written after each epoch but the last. The caller names it after all that
            weights depend on, and removes it once the trained weights are safe.
        progress: show a bar.

    Raises:
        BadValue: no module, or one with dropout of PyTorch's own or nothing to train; a device that is not here; no images, or
            ones that are not finite or not for this network; a label beyond its classes; no config; a seed that is no whole
            number; patience without a validation split; one image at a time where a batch norm needs two; a snapshot that is no
            path, damaged or of another network.
        TrainingFailed: the loss is not finite at the end of the first step or of an epoch.

    Warns:
        VictimWarning: the network answers with probabilities.
    """
    check_kind("config", config, TrainingConfig, "a TrainingConfig")
    order = seeds.generator(seed, "order")  # on the CPU, so that every device sees the same batches
    usual: dict[str, Any] = {"device": device, "snapshot": snapshot, "progress": progress}
    held_out = None if validation is None else check_run(network, validation, **usual, name="validation")
    split = check_run(network, split, **usual)
    if config.patience and not held_out:
        raise BadValue(f"patience: expected 0 without a validation split, got {config.patience}")
    network.to(device).train()
    split = split.to(device)
    single = min(len(split), config.batch_size) == 1 or len(split) % config.batch_size == 1
    single = single and needs_company(network, split.take(torch.zeros_like(split.labels[:1]))[0])
    if single and min(len(split), config.batch_size) == 1:
        raise BadValue("batch_size: expected two images or more at once for a network with batch norm, got 1")
    augment = AUGMENTATIONS[config.augmentation]
    noise = seeds.generator(seed, "training noise", device)
    set_sampling(network, sampling=False, generator=noise)
    optimizer = OPTIMIZERS[config.optimizer](network.parameters(), config.learning_rate, fused=True)
    autocast = torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=config.precision == "bfloat16")
    streams = {"order": order, "noise": noise}
    state = resume(snapshot, network, optimizer, streams)
    before, start = state.seconds, time.perf_counter()
    for epoch in track(range(state.step, config.epochs), "training, epochs", enabled=progress):
        total = torch.zeros((), device=device)
        batches = list(torch.split(torch.randperm(len(split), generator=order).to(device), config.batch_size))
        if single:
            batches[-2:] = [torch.cat(batches[-2:])]
        for step, batch in enumerate(batches):
            x, y = split.take(batch)
            x = augment(x, noise).contiguous(memory_format=torch.channels_last)
            with autocast:
                loss = cross_entropy(network, x, y, label_smoothing=config.label_smoothing, noise=noise)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach() * len(y)
            if step == 0:
                check_finite(f"epoch {epoch + 1}, first step", loss.item())
        state.losses.append(check_finite(f"epoch {epoch + 1}, mean", total.item() / len(split)))
        if config.patience and held_out:
            state.observed.append({"validation_loss": loss_on(network, held_out.to(device), config)})
            if _is_stale([seen["validation_loss"] for seen in state.observed], config):
                break
        if snapshot is not None and epoch + 1 < config.epochs:
            state.step, state.seconds = epoch + 1, before + time.perf_counter() - start
            save(snapshot, network, optimizer, state, streams)
    network.eval()
    return History(state.losses, state.observed, round(before + time.perf_counter() - start, 2))


def loss_on(network: nn.Module, split: Split, config: TrainingConfig) -> float:
    """Mean cross-entropy of `split`, dropout off; leaves the network training."""
    network.eval()
    total = 0.0
    autocast = torch.autocast(split.labels.device.type, dtype=torch.bfloat16, enabled=config.precision == "bfloat16")
    with torch.no_grad(), autocast:
        for x, y in split.batches():
            total += F.cross_entropy(network(x).float(), y, reduction="sum").item()
    network.train()
    return total / len(split)


def _is_stale(held_out: list[float], config: TrainingConfig) -> bool:
    """Whether the losses say that it is time to stop."""
    lowest, waited = float("inf"), 0
    for loss in held_out:
        improved = loss < lowest - config.min_delta
        lowest, waited = (loss, 0) if improved else (lowest, waited + 1)
    return waited >= config.patience


def check_finite(when: str, loss: float) -> float:
    """`loss`, if it is a number, neither NaN nor infinite; otherwise it raises `TrainingFailed`."""
    if not loss < float("inf"):
        raise TrainingFailed(f"{when}: loss is {loss}; lower the learning rate or check the data")
    return loss
