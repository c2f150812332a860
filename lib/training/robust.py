"""Natural and PGD-adversarial training by steps, as Song et al. (2019) train: resumable, on a CPU to the bit.

    min_theta  sum_(x, y) max_{||x' - x||_inf <= epsilon} loss(F_theta(x'), y) + l2 ||theta||² / 2   (their eq. 4, alpha 0)

The data stay on the device. Whatever is random in a step comes from the seed and the number of the step, so that a run that was
interrupted and goes on from its snapshot, on this machine or another of the same kind, ends with the same weights as one that
was not; on a GPU, whose kernels may add in any order, but for rounding. Batch norm uses and updates the statistics of the batch,
adversarial or not, in the attack as in the step (Madry's code).
"""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import seeds
from ..data import Points, Split
from ..errors import BadValue, check_choice, check_count, check_flag, check_kind, check_number
from ..evasion.perturb import perturb
from ..layers import set_sampling
from ..models import Network
from ..progress import track
from ..uncertainty import PRECISIONS
from .batches import check_run
from .natural import AUGMENTATIONS, check_finite
from .snapshots import History, OutOfTime, resume, save

Observe = Callable[[int], dict[str, float]]
LOSSES = ("sum", "mean")


@dataclass(frozen=True, kw_only=True)
class RobustConfig:
    """Hyper-parameters of one training run; the defaults are those of the paper on Yale Face, but for its ramp of 1,000 steps.

    `epsilon` 0 is natural training. The learning rate falls to `second_rate` at step `second_from` and to `third_rate` at
    `third_from`. Over the first `ramp` steps the budget and the size of a step of the attack grow from 0. `optimizer` is "adam"
    or "momentum", SGD with 0.9; `loss` the "sum" over a batch or its "mean"; the rest is as in `TrainingConfig`.

    Raises:
        BadValue: a value outside its range.
    """

    steps: int = 20_001
    batch_size: int = 20
    optimizer: str = "adam"
    learning_rate: float = 1e-4
    second_rate: float = 5e-5
    second_from: int = 10_000
    third_rate: float = 1e-5
    third_from: int = 15_000
    l2: float = 2e-4  # of convolutions and dense layers, not of biases and batch norm
    loss: str = "sum"
    epsilon: float = 8 / 255
    attack_steps: int = 10
    step_size: float = 8 / 255 / 5
    ramp: int = 0
    augmentation: str = "none"
    precision: str = "bfloat16"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "attack_steps"):
            check_count(name, getattr(self, name))
        for name in ("second_from", "third_from", "ramp"):
            check_count(name, getattr(self, name), low=0)
        for name in ("learning_rate", "second_rate", "third_rate", "l2"):
            check_number(name, getattr(self, name), low=0.0, high=10.0)
        for name in ("epsilon", "step_size"):
            check_number(name, getattr(self, name), low=0.0, high=1.0)
        if self.third_from < self.second_from:
            raise BadValue(f"third_from: expected at least second_from = {self.second_from}, got {self.third_from}")
        check_choice("optimizer", self.optimizer, ("adam", "momentum"))
        check_choice("loss", self.loss, LOSSES)
        check_choice("augmentation", self.augmentation, AUGMENTATIONS)
        check_choice("precision", self.precision, PRECISIONS)

    def rate(self, step: int) -> float:
        """The learning rate of a step; steps count from 0."""
        if step >= self.third_from:
            return self.third_rate
        return self.second_rate if step >= self.second_from else self.learning_rate

    def budget(self, step: int) -> tuple[float, float]:
        """Epsilon and the size of the attack's steps at a step of the training."""
        grown = min(1.0, step / (self.ramp - 1)) if self.ramp > 1 else 1.0
        return grown * self.epsilon, grown * self.step_size


def fit_robust(
    network: nn.Module,
    split: Points,
    config: RobustConfig,
    *,
    seed: int,
    device: str | torch.device = "cpu",
    snapshot: Path | None = None,
    every: float = 60.0,
    until: float = math.inf,
    observe: Observe | None = None,
    observations: int = 10,
    compiled: bool = False,
    progress: bool = False,
) -> History:
    """Train `network` in place on `split`, adversarially unless epsilon is 0, by a number of steps.

    Args:
        network: as of `fit`; of one head.
        config: see `RobustConfig`.
        device, snapshot, progress: as of `fit`.
        split: as of `fit`, its images in [0, 1]; what is left of an epoch is dropped.
        seed: of the order of the batches, of augmentation, of the attack's starts and of the masks of dropout.
        every: seconds between snapshots.
        until: the `time.monotonic()` after which no step begins but the first: what is done is kept in `snapshot`.
        observe: called `observations` times, evenly, with the number of steps done; the network is then not training.
        observations: how often.
        compiled: by `torch.compile`; see `can_compile`.

    Raises:
        BadValue: as of `fit`; a heteroscedastic network; a batch larger than the split; no observations.
        TrainingFailed: the loss is not finite; checked at the first step and at every observation.
        OutOfTime: it is later than `until`.
    """
    if isinstance(network, Network) and network.noise is not None:
        raise BadValue("network: expected one head, for the second of a heteroscedastic one would stay untrained")
    check_kind("config", config, RobustConfig, "a RobustConfig")
    check_count("observations", observations)
    check_number("every", every, low=0.0)
    check_flag("compiled", compiled)
    seeds.derive(seed, "order")
    split = check_run(network, split, device=device, snapshot=snapshot, progress=progress)
    if split.images.is_floating_point() and not 0 <= split.images.min() <= split.images.max() <= 1:
        got = f"{split.images.min():g} to {split.images.max():g}"
        raise BadValue(f"split: expected images in [0, 1], where the attack keeps them, got {got}")
    if len(split) < config.batch_size:
        raise BadValue(f"batch_size: expected at most {len(split)}, the number of images, got {config.batch_size}")
    network.to(device).train()
    run = Run(network, split.to(device), config, seed=seed, compiled=compiled)
    state = resume(snapshot, network, run.optimizer)
    total = torch.tensor(state.total, device=device)
    marks = [round(config.steps * i / observations) for i in range(1, observations + 1)]
    before, start = state.seconds, time.perf_counter()
    saved = start
    for step in track(range(state.step, config.steps), "training, steps", enabled=progress):
        total += run.step(step)
        done = step + 1
        if done == 1:
            check_finite(f"step {done}", total.item())
        if done in marks:
            since = max(mark for mark in [0, *marks] if mark < done)
            state.losses.append(check_finite(f"step {done}", total.item() / (done - since)))
            total.zero_()
            if observe is not None:
                network.eval()
                state.observed.append({"step": float(done), **observe(done)})
                network.train()
        now = time.perf_counter()
        late = done < config.steps and time.monotonic() > until
        if snapshot is not None and (late or now - saved > every) and done < config.steps:
            state.step, state.seconds, state.total = done, before + now - start, total.item()
            save(snapshot, network, run.optimizer, state)
            saved = now
        if late:
            raise OutOfTime(f"stopped after {done} of {config.steps} steps")
    network.eval()
    return History(state.losses, state.observed, round(before + time.perf_counter() - start, 2))


class Run:
    """One step after another, on the device of the split; what is random in a step comes from the seed and the step's number."""

    def __init__(self, network: nn.Module, split: Split, config: RobustConfig, *, seed: int, compiled: bool) -> None:
        if compiled:
            # What was compiled of other networks would make shapes dynamic, and after eight of them end the compiling.
            torch.compiler.reset()
        self.plain, self.network = network, torch.compile(network, dynamic=False) if compiled else network
        self.split, self.config, self.seed, self.device = split, config, seed, split.labels.device
        self.optimizer = _optimizer(network, config)
        # What is left of a permutation is dropped, as in the paper's code.
        self.per_epoch = len(split) // config.batch_size
        self.epoch, self.order = -1, torch.empty(0, dtype=torch.long)

    def batch(self, step: int) -> Tensor:
        """The images of a step: the next ones of the epoch's permutation, which is drawn on the CPU for every device alike."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            order = torch.randperm(len(self.split), generator=seeds.generator(self.seed, f"order {epoch}"))
            self.epoch, self.order = epoch, order.to(self.device)
        return self.order[place * self.config.batch_size : (place + 1) * self.config.batch_size]

    def step(self, step: int) -> Tensor:
        """Train on one batch; returns its loss, without the weight decay."""
        config, noise = self.config, seeds.generator(self.seed, f"step {step}", self.device)
        x, y = self.split.take(self.batch(step))
        x = AUGMENTATIONS[config.augmentation](x, noise).contiguous(memory_format=torch.channels_last)
        epsilon, step_size = config.budget(step)
        set_sampling(self.plain, sampling=False, generator=noise)  # masks of dropout, if there is any
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=config.precision == "bfloat16"):
            if config.epsilon > 0:
                start = x + epsilon * (2 * torch.rand(x.shape, generator=noise, device=self.device) - 1)
                start = start.contiguous(memory_format=torch.channels_last)
                steps = config.attack_steps
                x = perturb(self.network, x, y, epsilon=epsilon, step_size=step_size, steps=steps, start=start)
            logits = self.network(x)
        loss = nn.functional.cross_entropy(logits.float(), y, reduction=config.loss)
        for group in self.optimizer.param_groups:
            group["lr"] = config.rate(step)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()


def can_compile(device: str | torch.device) -> bool:
    """Whether `torch.compile` works here, found out by a network of one layer; if not, a warning says why.

    On a CPU it takes a C++ compiler and Python's headers, and saves from nothing to a quarter of the time.
    """
    try:
        layer = torch.compile(nn.Linear(2, 2).to(device))
        layer(torch.zeros(1, 2, device=device))
    except (RuntimeError, OSError) as error:  # as PyTorch's own errors of compilation are
        why = str(error).strip().partition("\n")[0]
        warnings.warn(f"torch.compile does not work on {device}, so training takes longer: {why}", stacklevel=2)
        return False
    return True


def _optimizer(network: nn.Module, config: RobustConfig) -> torch.optim.Optimizer:
    """Adam, or SGD with momentum 0.9; both add l2 times the weight to the gradient, which is that of l2 ||w||² / 2."""
    decayed = [w for w in network.parameters() if w.dim() > 1]
    others = [w for w in network.parameters() if w.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": config.l2}, {"params": others, "weight_decay": 0.0}]
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, config.learning_rate, fused=True)
    return torch.optim.SGD(groups, config.learning_rate, momentum=0.9, fused=True)
