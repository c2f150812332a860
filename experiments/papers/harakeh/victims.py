"""Harakeh's victims: what a cell says of the network under attack, and how that becomes a trained victim."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from experiments.cell import Common
from experiments.records import key_of
from lib import data, models, seeds, training
from lib.errors import check_choice, check_count
from lib.models import Network
from lib.training import TrainingConfig, checkpoints
from lib.uncertainty import ESTIMATORS, Ensemble, Victim, estimate

# The fields that a victim's weights depend on: cells that share them share one checkpoint.
VICTIM = (
    "paper dataset network estimator seed width dropout train_size epochs batch_size learning_rate label_smoothing "
    "augmentation precision version"
).split()


@dataclass(frozen=True, kw_only=True)
class Cell(Common):
    """What every cell of this paper says: the victim, and how it answers. The defaults are the paper's settings.

    Raises:
        BadValue: a value outside its range.
    """

    PAPER = "harakeh"
    NETWORKS = tuple(models.ARCHITECTURES)

    paper: str = PAPER
    dataset: str = "mnist"
    network: str = "basic_cnn"
    estimator: str = "none"
    attack: str = "fgsm"
    width: int = 64  # filters of the first convolution, or units of a dense layer
    dropout: float = 0.5  # of the epistemic estimator, after every convolution but the last of a head
    train_size: int = 0  # 0: the whole training set
    test_size: int = 0  # 0: the whole test set
    epochs: int = 6
    batch_size: int = 128
    learning_rate: float = 1e-3
    label_smoothing: float = 0.1
    augmentation: str = "none"
    draws: int = 10  # T; the members of an ensemble

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("estimator", self.estimator, [*ESTIMATORS, "ensemble"])
        for name in ("train_size", "test_size"):
            check_count(name, getattr(self, name), low=0)
        for name in ("width", "draws"):
            check_count(name, getattr(self, name))
        self.with_numbers(dropout=(0.0, 0.999), learning_rate=(0.0, 10.0), label_smoothing=(0.0, 0.99))
        training_config(self)


def training_config(config: Cell) -> TrainingConfig:
    """The part of a cell that `lib.training` needs."""
    return TrainingConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        label_smoothing=config.label_smoothing,
        augmentation=config.augmentation,
        precision=config.precision,
    )


def training_work(config: Cell) -> float:
    """Images that training passes through the network, forward and backward counted three."""
    train = config.train_size or data.SIZES[config.dataset][0]
    return 3.0 * config.epochs * train * (config.draws if config.estimator == "ensemble" else 1)


def test_points(config: Cell) -> int:
    """How many test images a cell may use."""
    return config.test_size or data.SIZES[config.dataset][1]


def draws_of(config: Cell) -> int:
    """How many passes through a network one answer of the victim takes."""
    return config.draws if config.estimator in ("epistemic", "ensemble") else 1


def draws_per_look(config: Cell, form: str) -> int:
    """How many passes through a network one look of an attack of that form takes."""
    return 1 if form == "one_draw" else draws_of(config)


def trained_victim(
    config: Cell, dataset: data.Dataset, *, device: str, cache: Path | None, fresh: bool, progress: bool
) -> tuple[Victim, dict[str, Any]]:
    """The victim of `config` on `device`, and the notes of its training: losses and seconds, of an ensemble in all."""
    train: dict[str, Any] = {"device": device, "cache": cache, "fresh": fresh, "progress": progress}
    if config.estimator == "ensemble":
        networks, notes = zip(*(trained_network(one, dataset, **train) for one in members(config)), strict=True)
        losses = [sum(part) / len(part) for part in zip(*(note["losses"] for note in notes), strict=True)]
        total = {"losses": losses, "seconds": sum(note["seconds"] for note in notes)}
        return Ensemble(networks, precision=config.precision).to(device), total
    network, note = trained_network(config, dataset, **train)
    generator = seeds.generator(config.seed, "inference", device)
    victim = estimate(config.estimator, network, generator=generator, draws=config.draws, precision=config.precision)
    return victim, note


def members(config: Cell) -> list[Cell]:
    """The plain victims that the ensemble of `config` consists of: that of its own seed, and others no cell else uses."""
    apart = [config.seed, *(1000 * (config.seed + 1) + i for i in range(1, config.draws))]
    return [replace(config, estimator="none", seed=seed) for seed in apart]


def untrained_network(config: Cell, dataset: data.Dataset) -> Network:
    """The network of `config` with the weights it starts from."""
    return models.build(
        config.network,
        shape=dataset.shape,
        classes=len(dataset.classes),
        seed=config.seed,
        width=config.width,
        dropout=config.dropout if config.estimator == "epistemic" else 0.0,
        heteroscedastic=config.estimator == "aleatoric",
    )


def trained_network(
    config: Cell, dataset: data.Dataset, *, device: str, cache: Path | None, fresh: bool, progress: bool
) -> tuple[Network, dict[str, Any]]:
    """The network of `config` with its trained weights on `device`, and the notes of its training."""
    network = untrained_network(config, dataset)

    def train(untrained: nn.Module, snapshot: Path | None) -> dict[str, Any]:
        assert untrained is network
        history = training.fit(
            network,
            dataset.train.first(config.train_size or None),
            training_config(config),
            seed=config.seed,
            device=device,
            snapshot=snapshot,
            progress=progress,
        )
        return vars(history)

    notes = checkpoints.trained(network, key_of(config, only=tuple(VICTIM)), train, cache=cache, fresh=fresh)
    return network.to(device).eval(), notes
