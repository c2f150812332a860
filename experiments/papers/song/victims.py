"""Song's victims: what a cell says of the network under attack, of what it is trained on, and how."""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from experiments.cell import Common, Count, DataName, OneOf, Rate, Share, Size, checked, part_of
from lib import data, membership, seeds
from lib.data import Split
from lib.errors import BadValue
from lib.evasion.perturb import LOSSES, perturb
from lib.metrics import accuracy
from lib.models import Network
from lib.training import robust
from lib.training.robust import RobustConfig
from lib.uncertainty import Deterministic

# Images at once. On a CPU a larger batch is slower: its activations outgrow what the allocator keeps.
BATCH = {"cpu": 100, "cuda": 1000}
LONG = 1_000_000  # images through the network, from where compiling saves more time than it takes
SPLITS = {seed: f"yale_split_{seed}" for seed in (3, 4)}  # faces drawn apart anew, for seeds after the first three
WATCHED = 1000  # members and as many others that are looked at while the victim trains
# Network, images and labels to adversarial images; or `targeted`, with targets for labels.
Attack = Callable[..., Tensor]
TRAINING = tuple(field.name for field in fields(RobustConfig) if field.name != "epsilon")


@checked
class Cell(Common):
    """What every cell of this paper says of its victim. The defaults are the paper's settings on Yale Face.

    Raises:
        BadValue: a value outside its range, or a part without a size.
    """

    VICTIM = (*"paper dataset network seed width train_size part train_epsilon version observations".split(), *TRAINING)
    RESUMES = True
    NOTED = ("training_compiled",)

    paper: Literal["song"] = "song"
    dataset: DataName = "yale"
    network: Literal["yale_cnn", "fashion_cnn", "wide_resnet", "wide_resnet_short"] = "yale_cnn"
    width: Count = 8
    part: Size = 0  # which of the disjoint parts of `train_size` images
    train_epsilon: Share = 0.0  # budget of the attack in training; 0: natural training
    epsilon: Share = 8 / 255  # budget of the attack on the trained victim
    steps: Count = 20_001
    batch_size: Count = 20
    optimizer: Literal["adam", "momentum"] = "adam"
    learning_rate: Rate = 1e-4
    second_rate: Rate = 5e-5
    second_from: Size = 10_000
    third_rate: Rate = 1e-5
    third_from: Size = 15_000
    l2: Rate = 2e-4
    loss: Annotated[str, OneOf(robust.LOSSES)] = "sum"
    attack_steps: Count = 10
    step_size: Share = 8 / 255 / 5
    ramp: Size = 1000
    observations: Count = 10  # of accuracy and inference, evenly over the training
    eval_steps: Count = 20  # of the attack on the trained victim
    attack_loss: Annotated[str, OneOf(LOSSES)] = "log_odds"  # whose gradient it follows; the paper's is cross_entropy

    def __post_init__(self) -> None:
        super().__post_init__()
        training_config(self)
        if self.part and not self.train_size:
            raise BadValue(f"part: expected 0 where all images are trained on, got {self.part}")

    @property
    def of_seed(self) -> tuple[str, ...]:
        """Where not all images are trained on, each seed has a part of its own; and some seeds have a split of their own."""
        return ("seed", "part", "dataset") if self.dataset in SPLITS.values() else ("seed", "part")

    @property
    def estimator(self) -> str:
        """How the victim is trained, in the paper's words."""
        return "robust" if self.train_epsilon > 0 else "natural"

    def training_work(self) -> float:
        """For an image forward one, back to the images one, back to the weights one more."""
        return self.steps * self.batch_size * (3.0 + 2.0 * self.attack_steps * (self.train_epsilon > 0))

    def architecture(self) -> dict[str, Any]:
        """Seed and width."""
        return {"seed": self.seed, "width": self.width}

    def train(self, network: Network, dataset: data.Dataset, **usual: Any) -> dict[str, Any]:
        """Naturally or robustly, watched on the way."""
        inside, device = members(self, dataset), usual["device"]
        compiled = self.training_work() >= LONG and robust.can_compile(device)
        history = robust.fit_robust(
            network,
            inside,
            training_config(self),
            seed=self.seed,
            observe=lambda step: watch(network, inside, dataset.test, device=device),
            observations=self.observations,
            compiled=compiled,
            **usual,
        )
        return {**vars(history), "compiled": compiled}


def training_config(config: Cell) -> RobustConfig:
    """How the victim of `config` is trained."""
    return part_of(config, RobustConfig, epsilon=config.train_epsilon)


def points(config: Cell) -> tuple[int, int]:
    """How many training and test images there are to judge membership on."""
    train, test = data.SIZES[config.dataset]
    return config.train_size or train, test


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


def watch(network: Network, inside: Split, test: Split, *, device: str) -> dict[str, float]:
    """How right the network is on some members and others, and how well a threshold tells them apart, in percent."""
    told, scores = {}, []
    for name, side in {"train": watched(inside), "test": watched(test)}.items():
        z, y = logits(network, side, device=device), side.labels.to(device)
        told[f"{name}_accuracy"] = accuracy(z, y)
        scores.append(membership.log_odds(z, y))
    return told | {"inference": 100 * membership.best_threshold(*scores)[1]}


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
    batches = split.batches(BATCH[torch.device(device).type])
    return torch.cat([answer(network, *batch, attack=attack, precision=precision) for batch in batches])


def answer(
    network: Network, x: Tensor, y: Tensor, *, attack: Attack | None, precision: str, targeted: bool = False
) -> Tensor:
    """The same for one batch on the network's device; `y` are labels, or targets of the attack."""
    if attack is not None:
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            x = attack(network, x, y, targeted=targeted)
    with torch.no_grad():
        return Deterministic(network).sample(x)[0]


def pgd_of(*, epsilon: float, steps: int, loss: str = "log_odds") -> Attack:
    """PGD as the paper evaluates with: `steps` of 2.5 epsilon / steps from the image itself, on the true label or to a target."""
    return partial(perturb, epsilon=epsilon, step_size=2.5 * epsilon / steps, steps=steps, loss=loss)


def attack_of(config: Cell) -> Attack:
    """The attack on the trained victim of a cell."""
    return pgd_of(epsilon=config.epsilon, steps=config.eval_steps, loss=config.attack_loss)


def shadow_of(config: Cell) -> Cell:
    """A victim trained in the same way on images that `config`'s has not seen: that of the next part and seed."""
    return replace(config, seed=config.seed + 1, part=config.part + 1)
