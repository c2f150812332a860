"""Galinkin's victims: what a cell says of the network under attack, on which part of the data it is trained, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.cell import Common
from experiments.records import key_of
from lib import data, models, seeds, training
from lib.data import Split
from lib.errors import BadValue, check_choice, check_count
from lib.evaluation import images_at_once
from lib.models import Network
from lib.training import TrainingConfig, checkpoints
from lib.uncertainty import Deterministic, MonteCarloDropout, Victim

PARTS = ("whole", "target", "shadow")
# How a network with dropout answers: with dropout off, as the paper's code has it; by one draw; by the mean of T.
ANSWERS = ("off", "one_draw", "mean")

# The fields that a victim's weights depend on: cells that share them share one checkpoint.
VICTIM = (
    "paper dataset network bayesian seed part copy dropout train_size epochs batch_size learning_rate patience min_delta "
    "stop_on augmentation precision"
).split()


@dataclass(frozen=True, kw_only=True)
class Cell(Common):
    """What every cell of this paper says of its victim. The defaults are the paper's settings where it has any.

    Raises:
        BadValue: a value outside its range, random answers of a network without dropout, or halves that stop on the test set,
            which are the non-members of the attack that they are for.
    """

    PAPER = "galinkin"
    NETWORKS = ("lenet5", "lenet5_coded", "resnet18", "shadow_coded")

    paper: str = PAPER
    dataset: str = "mnist"
    network: str = "lenet5"
    bayesian: bool = False  # with dropout after every layer
    attack: str = "hop_skip_jump"
    part: str = "whole"  # of the training data: all of it, or one of two disjoint halves
    copy: int = 0  # another network trained on the same images, by weights and batches of its own
    dropout: float = 0.5  # of a Bayesian network; 0.4 in a ResNet
    train_size: int = 0  # 0: all of the part
    epochs: int = 25  # at most
    batch_size: int = 128
    learning_rate: float = 0.035
    patience: int = 2  # epochs without an improvement by min_delta; 0: no early stopping
    min_delta: float = 1e-3
    stop_on: str = "validation"  # which loss stops the training early; the paper's code watches that of the test set
    augmentation: str = "none"
    answers: str = "off"
    draws: int = 10  # T, where answers are means

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("part", self.part, PARTS)
        check_choice("stop_on", self.stop_on, ["validation", "test"])
        check_choice("answers", self.answers, ANSWERS)
        check_count("copy", self.copy, low=0)
        check_count("train_size", self.train_size, low=0)
        check_count("draws", self.draws)
        if not isinstance(self.bayesian, bool):
            raise BadValue(f"bayesian: expected True or False, got {self.bayesian!r}")
        if not self.bayesian and self.answers != "off":
            raise BadValue(f"answers: expected off for a network without dropout, got {self.answers!r}")
        if self.stop_on == "test" and self.part != "whole":
            raise BadValue(f"stop_on: expected validation for a {self.part}, got 'test'")
        self.with_numbers(dropout=(0.0, 0.999), learning_rate=(0.0, 10.0), min_delta=(0.0, 1e3))
        training_config(self)

    @property
    def estimator(self) -> str:
        """The estimator of this victim in the words of the other chapters."""
        return "epistemic" if self.bayesian else "none"

    @property
    def passes(self) -> int:
        """Through the network, for one answer of the victim."""
        return self.draws if self.answers == "mean" else 1


def training_config(config: Cell) -> TrainingConfig:
    """The part of a cell that `lib.training` needs."""
    return TrainingConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        label_smoothing=0.0,
        augmentation=config.augmentation,
        precision=config.precision,
        optimizer="sgd",
        patience=config.patience,
        min_delta=config.min_delta,
    )


def points(config: Cell) -> int:
    """How many images the victim of `config` is trained on."""
    size, _ = data.SIZES[config.dataset]
    if config.stop_on == "validation":
        size = size * 9 // 10 if config.part == "whole" else size * 45 // 100
    return min(size, config.train_size) if config.train_size else size


def training_work(config: Cell) -> float:
    """Images that training passes through the network, forward and backward counted three; as if it never stopped early."""
    return 3.0 * config.epochs * points(config)


def splits(config: Cell, dataset: data.Dataset) -> tuple[Split, Split]:
    """What the victim of `config` is trained on, and what its early stopping looks at.

    A tenth of the training set is held out for validation; the rest is the whole, or two disjoint halves for target and
    shadow. Where the test set stops the training, as the paper's code has it, the whole is the whole training set.
    """
    if config.stop_on == "test":
        return dataset.train.first(config.train_size or None), dataset.test
    n = len(dataset.train)
    sizes = {"validation": n // 10, "target": n * 45 // 100, "shadow": n * 45 // 100}
    parts = data.partition(n, sizes, seed=config.seed)
    chosen = parts.get(config.part)
    if chosen is None:
        chosen = data.partition(n, {"validation": n // 10, "whole": n * 9 // 10}, seed=config.seed)["whole"]
    return dataset.train.subset(chosen).first(config.train_size or None), dataset.train.subset(parts["validation"])


def trained_network(
    config: Cell, dataset: data.Dataset, *, device: str, cache: Path | None, fresh: bool, progress: bool
) -> tuple[Network, dict[str, Any]]:
    """The network of `config` with its trained weights on `device`, and the notes of its training."""
    seed = config.seed if config.copy == 0 else seeds.derive(config.seed, f"copy {config.copy}") % 2**31
    network = models.build(
        config.network,
        shape=dataset.shape,
        classes=len(dataset.classes),
        seed=seed,
        width=models.WIDTHS.get(config.network, 64),
        dropout=config.dropout if config.bayesian else 0.0,
    )

    def train(untrained: nn.Module, snapshot: Path | None) -> dict[str, Any]:
        assert untrained is network
        train_on, validation = splits(config, dataset)
        history = training.fit(
            network,
            train_on,
            training_config(config),
            seed=seed,
            validation=validation,
            device=device,
            snapshot=snapshot,
            progress=progress,
        )
        return vars(history)

    usual = replace(config, dropout=0.0) if not config.bayesian else config  # plain networks share one checkpoint
    notes = checkpoints.trained(network, key_of(usual, only=tuple(VICTIM)), train, cache=cache, fresh=fresh)
    return network.to(device).eval(), notes


def victim_of(config: Cell, network: Network, *, device: str, precision: str = "") -> Victim:
    """The victim that answers as `config` says: without draws, by one fresh draw, or by the mean of T.

    It computes in `precision` or, if that is empty, in the one that it was trained in.
    """
    precision = precision or config.precision
    if config.answers == "off":
        return Deterministic(network, precision=precision)
    generator = seeds.generator(config.seed, "inference", device)
    return MonteCarloDropout(network, generator=generator, draws=config.passes, precision=precision)


def accuracy_of(victim: Victim, test: Split) -> tuple[float, Tensor]:
    """The accuracy in percent by one answer an image, and which images (n,) are recognised."""
    device = test.labels.device
    batches = torch.split(torch.arange(len(test), device=device), images_at_once(device, victim.draws))
    with torch.no_grad():
        right = torch.cat([victim(x).argmax(1) == y for x, y in map(test.take, batches)])
    return 100 * right.double().mean().item(), right
