"""Song's victims: what a cell says of the network under attack, of what it is trained on, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from experiments.cell import Common
from experiments.records import key_of
from lib import data, membership, models, seeds
from lib.data import Split
from lib.errors import BadValue, check_choice, check_count
from lib.evasion.perturb import LOSSES, perturb
from lib.metrics import accuracy
from lib.models import Network
from lib.training import checkpoints, robust
from lib.training.robust import RobustConfig
from lib.uncertainty import Deterministic

# Images at once. On a CPU a larger batch is slower: its activations outgrow what the allocator keeps.
BATCH = {"cpu": 100, "cuda": 1000}
LONG = 1_000_000  # images through the network, from where compiling saves more time than it takes
WATCHED = 1000  # members and as many others that are looked at while the victim trains

TRAINING = tuple(field.name for field in fields(RobustConfig) if field.name != "epsilon")
# The fields that a victim's weights depend on: cells that share them share one checkpoint.
VICTIM = (
    "paper",
    "dataset",
    "network",
    "seed",
    "width",
    "train_size",
    "part",
    "train_epsilon",
    "version",
    "observations",
    *TRAINING,
)


@dataclass(frozen=True, kw_only=True)
class Cell(Common):
    """What every cell of this paper says of its victim. The defaults are the paper's settings on Yale Face.

    Raises:
        BadValue: a value outside its range, or a part without a size.
    """

    PAPER = "song"
    NETWORKS = ("yale_cnn", "fashion_cnn", "wide_resnet", "wide_resnet_short")
    OF_SEED = ("seed", "part")  # where not all images are trained on, each seed has a part of its own

    paper: str = PAPER
    dataset: str = "yale"
    network: str = "yale_cnn"
    attack: str = "threshold"
    width: int = 8
    train_size: int = 0  # images of the training set that the victim is trained on; 0: all of them
    part: int = 0  # which of the disjoint parts of that size
    train_epsilon: float = 0.0  # budget of the attack in training; 0: natural training
    epsilon: float = 8 / 255  # budget of the attack on the trained victim
    steps: int = 20_001
    batch_size: int = 20
    optimizer: str = "adam"
    learning_rate: float = 1e-4
    second_rate: float = 5e-5
    second_from: int = 10_000
    third_rate: float = 1e-5
    third_from: int = 15_000
    l2: float = 2e-4
    loss: str = "sum"
    attack_steps: int = 10
    step_size: float = 8 / 255 / 5
    ramp: int = 1000
    augmentation: str = "none"
    observations: int = 10  # of accuracy and inference, evenly over the training
    eval_steps: int = 20  # of the attack on the trained victim
    attack_loss: str = "log_odds"  # whose gradient that attack follows; the paper's is the cross-entropy

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("train_size", "part"):
            check_count(name, getattr(self, name), low=0)
        check_choice("attack_loss", self.attack_loss, LOSSES)
        for name in ("width", "observations", "eval_steps"):
            check_count(name, getattr(self, name))
        self.with_numbers(train_epsilon=(0.0, 1.0), epsilon=(0.0, 1.0))
        training_config(self)
        for name in ("learning_rate", "second_rate", "third_rate", "l2", "step_size"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.part and not self.train_size:
            raise BadValue(f"part: expected 0 where all images are trained on, got {self.part}")

    @property
    def estimator(self) -> str:
        """How the victim is trained, in the paper's words."""
        return "robust" if self.train_epsilon > 0 else "natural"


def training_config(config: Cell) -> RobustConfig:
    """The part of a cell that `lib.robust_training` needs."""
    return RobustConfig(epsilon=config.train_epsilon, **{name: getattr(config, name) for name in TRAINING})


def training_work(config: Cell) -> float:
    """Images that training passes through the network: forward one, back to the images one, back to the weights one more."""
    return config.steps * config.batch_size * (3.0 + 2.0 * config.attack_steps * (config.train_epsilon > 0))


def points(config: Cell) -> tuple[int, int]:
    """How many training and test images there are to judge membership on."""
    train, test = data.SIZES[config.dataset]
    return (min(train, config.train_size) if config.train_size else train), test


def members(config: Cell, dataset: data.Dataset) -> Split:
    """What the victim is trained on: all training images, or one of disjoint random parts of them, the same for all seeds.

    Raises:
        BadValue: more parts than there are images for.
    """
    if not config.train_size:
        return dataset.train
    names = [f"part {i}" for i in range(config.part + 1)]
    parts = data.partition(len(dataset.train), dict.fromkeys(names, config.train_size), seed=0)
    return dataset.train.subset(parts[names[-1]])


class Machine(NamedTuple):
    """Where and how a cell is computed."""

    device: str
    cache: Path | None  # of trained networks
    fresh: bool  # train even what is cached
    progress: bool


def trained_network(config: Cell, dataset: data.Dataset, machine: Machine) -> tuple[Network, dict[str, Any]]:
    """The network of `config` with its trained weights on the machine's device, and the notes of its training."""
    device, cache, fresh = machine.device, machine.cache, machine.fresh
    network = models.build(
        config.network, shape=dataset.shape, classes=len(dataset.classes), seed=config.seed, width=config.width
    )

    def train(untrained: nn.Module, snapshot: Path | None) -> dict[str, Any]:
        assert untrained is network
        inside = members(config, dataset)
        compiled = training_work(config) >= LONG and robust.can_compile(device)
        history = robust.fit(
            network,
            inside,
            training_config(config),
            seed=config.seed,
            device=device,
            snapshot=snapshot,
            observe=lambda step: watch(network, inside, dataset.test, device=device),
            observations=config.observations,
            compiled=compiled,
            progress=machine.progress,
        )
        return {**vars(history), "compiled": compiled}

    notes = checkpoints.trained(network, key_of(config, only=VICTIM), train, cache=cache, fresh=fresh)
    return network.to(device).eval(), notes


def compiled_of(notes: Mapping[str, Any]) -> dict[str, float]:
    """Whether the training was compiled, as a measurement; nothing where its notes, which are older, do not say."""
    return {"training_compiled": float(notes["compiled"])} if "compiled" in notes else {}


def watch(network: Network, inside: Split, test: Split, *, device: str) -> dict[str, float]:
    """How right the network is on some members and others, and how well a threshold tells them apart, in percent."""
    sides = [watched(split) for split in (inside, test)]
    answers = [logits(network, side, device=device) for side in sides]
    scores = [membership.log_odds(z, side.labels.to(device)) for z, side in zip(answers, sides, strict=True)]
    train, held_out = (accuracy(z, side.labels.to(device)) for z, side in zip(answers, sides, strict=True))
    return {
        "train_accuracy": train,
        "test_accuracy": held_out,
        "inference": 100 * membership.best_threshold(*scores)[1],
    }


def watched(split: Split) -> Split:
    """Some of its images, the same each time, of all classes alike: faces lie person by person."""
    order = torch.randperm(len(split), generator=seeds.generator(0, "watched"))[:WATCHED]
    return split.subset(order.to(split.labels.device))


def logits(
    network: Network, split: Split, *, device: str, attack: Attack | None = None, precision: str = "bfloat16"
) -> Tensor:
    """The logits (n, k) in float32 of every image, or of what `attack` makes of it in `precision`.

    The answers are those of a float32 pass: bfloat16 would round log-odds to a few steps, and with them the ranks of members.
    """
    split = split.to(device)
    batches = torch.split(torch.arange(len(split), device=device), BATCH[torch.device(device).type])
    return torch.cat([answer(network, *split.take(batch), attack=attack, precision=precision) for batch in batches])


def answer(
    network: Network, x: Tensor, y: Tensor, *, attack: Attack | None, precision: str, targeted: bool = False
) -> Tensor:
    """The same for one batch on the network's device; `y` are labels, or targets of the attack."""
    if attack is not None:
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            x = attack(network, x, y, targeted=targeted)
    with torch.no_grad():
        return Deterministic(network).sample(x)[0]


class Attack:
    """PGD as the paper evaluates with: `steps` of 2.5 epsilon / steps from the image itself, on the true label or to a target."""

    def __init__(self, *, epsilon: float, steps: int, loss: str = "log_odds") -> None:
        self.epsilon, self.steps, self.loss = epsilon, steps, loss

    def __call__(self, network: nn.Module, x: Tensor, y: Tensor, *, targeted: bool = False) -> Tensor:
        """Adversarial images of the same shape."""
        size, steps = 2.5 * self.epsilon / self.steps, self.steps
        return perturb(
            network, x, y, epsilon=self.epsilon, step_size=size, steps=steps, targeted=targeted, loss=self.loss
        )


def attack_of(config: Cell) -> Attack:
    """The attack on the trained victim of a cell."""
    return Attack(epsilon=config.epsilon, steps=config.eval_steps, loss=config.attack_loss)


def shadow_of(config: Cell) -> Cell:
    """A victim trained in the same way on images that `config`'s has not seen: that of the next part and seed."""
    return replace(config, seed=config.seed + 1, part=config.part + 1)
