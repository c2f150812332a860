"""Harakeh (2018), "Adversarial Robustness of Uncertainty Aware Deep Neural Networks": the grid and the experiment.

One cell trains one victim (network, estimator, seed) as the CleverHans 2.1 tutorials do, attacks it, and measures. The FGSM
rows of Table 2 are here. What the paper leaves open is a setting of `Config`, so that every reading can be measured.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from lib import checkpoints, data, evasion, models, seeds, training
from lib.errors import check_choice, check_count, check_number
from lib.evaluation import accuracy_curve, measure
from lib.models import Network
from lib.runs import Result, key_of
from lib.training import TrainingConfig
from lib.uncertainty import ESTIMATORS, PRECISIONS, MonteCarloDropout, estimate

TITLE = "Adversarial Robustness of Uncertainty Aware Deep Neural Networks"
PROFILES = ("smoke", "reduced", "paper")
SEEDS = 5

MNIST_EPSILONS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
CIFAR_EPSILONS = (0.0, 1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255, 0.1, 0.2, 0.3)

# By how much, in percentage points, a recomputed measurement may differ from its record: retraining on another machine
# changes the weights. Set from the binomial error of 1,000 test points, before any record was made.
TOLERANCES = {"accuracy": 1.5, "adversarial_accuracy": 5.0, "adversarial_accuracy_one_draw": 5.0, "unmoved": 5.0}

# The fields of Config that a victim's weights depend on: cells that share them share one checkpoint.
VICTIM = (
    "paper dataset network estimator seed width dropout train_size epochs batch_size learning_rate label_smoothing "
    "augmentation precision version"
).split()


@dataclass(frozen=True, kw_only=True)
class Config:
    """One cell. The defaults are the paper's settings, or the reading of them that DEVIATIONS in the chapter argues for.

    Raises:
        BadValue: a value outside its range.
    """

    paper: str = "harakeh"
    profile: str = "paper"
    dataset: str = "mnist"
    network: str = "basic_cnn"
    estimator: str = "none"
    attack: str = "fgsm"
    seed: int = 0
    version: int = 1  # of the experiment: raised when what it measures changes
    width: int = 64  # filters of the first convolution
    dropout: float = 0.5  # of the epistemic estimator, after every convolution but the last of a head
    train_size: int = 0  # 0: the whole training set
    test_size: int = 0  # 0: the whole test set
    epochs: int = 6
    batch_size: int = 128
    learning_rate: float = 1e-3
    label_smoothing: float = 0.1
    augmentation: str = "none"
    precision: str = "bfloat16"
    draws: int = 10  # T
    epsilon: float = 0.3
    curve_epsilons: tuple[float, ...] = MNIST_EPSILONS
    curve_size: int = 1000  # the first so many test images carry the curve over epsilon

    def __post_init__(self) -> None:
        check_choice("paper", self.paper, ["harakeh"])
        check_choice("profile", self.profile, PROFILES)
        check_choice("dataset", self.dataset, data.NAMES)
        check_choice("network", self.network, models.ARCHITECTURES)
        check_choice("estimator", self.estimator, ESTIMATORS)
        check_choice("attack", self.attack, ["fgsm"])
        for name in ("seed", "train_size", "test_size"):
            check_count(name, getattr(self, name), low=0)
        for name in ("version", "width", "draws", "curve_size"):
            check_count(name, getattr(self, name))
        check_number("dropout", self.dropout, low=0.0, high=0.999)
        # As floats, for equal settings are one cell: 0 and 0.0 must not have two keys.
        curve = tuple(check_number("curve_epsilons", value, low=0.0, high=1.0) for value in self.curve_epsilons)
        object.__setattr__(self, "curve_epsilons", curve)
        object.__setattr__(self, "epsilon", check_number("epsilon", self.epsilon, low=0.0, high=1.0))
        check_choice("precision", self.precision, PRECISIONS)
        training_config(self)


def grid(profile: str) -> list[Config]:
    """Every cell of `profile`, the most wanted first; seeds outermost, so that an interrupted run leaves whole seeds.

    Raises:
        BadValue: unknown profile.
    """
    check_choice("profile", profile, PROFILES)
    cells = []
    for seed in range(1 if profile == "smoke" else SEEDS):
        for variant in VARIANTS[profile]:
            cells += [Config(profile=profile, seed=seed, estimator=estimator, **variant) for estimator in ESTIMATORS]
    return cells


_CIFAR: dict[str, Any] = {"augmentation": "flip_and_shift", "curve_epsilons": CIFAR_EPSILONS}
_SMOKE: dict[str, Any] = {"width": 8, "epochs": 2, "draws": 3, "curve_size": 100, "curve_epsilons": (0.0, 0.1, 0.3)}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "paper": [
        {"dataset": "mnist", "network": "basic_cnn"},
        {"dataset": "mnist", "network": "basic_cnn_tutorial"},
        {"dataset": "cifar10", "network": "fully_convolutional_tutorial", **_CIFAR},
        {"dataset": "cifar10", "network": "fully_convolutional", **_CIFAR},
    ],
    "reduced": [
        # Narrower networks, the first 20,000 training and 2,000 test images.
        {"dataset": "mnist", "network": "basic_cnn", "width": 16, "train_size": 20_000, "test_size": 2000},
        {
            "dataset": "cifar10",
            "network": "fully_convolutional_tutorial",
            "width": 16,
            "train_size": 20_000,
            "test_size": 2000,
            **_CIFAR,
        },
    ],
    "smoke": [
        {"dataset": "digits_as_mnist", "network": "basic_cnn", **_SMOKE},
        {"dataset": "digits_as_cifar10", "network": "fully_convolutional", **{**_CIFAR, **_SMOKE}},
    ],
}


def training_config(config: Config) -> TrainingConfig:
    """The part of a cell that `lib.training` needs."""
    return TrainingConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        label_smoothing=config.label_smoothing,
        augmentation=config.augmentation,
        precision=config.precision,
    )


def work(config: Config) -> float:
    """Images that pass through the network, forward and backward counted three: what a cell's cost is proportional to."""
    shape = {"mnist": (60_000, 10_000), "cifar10": (50_000, 10_000)}.get(config.dataset, (1437, 360))
    train, test = config.train_size or shape[0], config.test_size or shape[1]
    draws = config.draws if config.estimator == "epistemic" else 1
    attacked = 5 * test + config.curve_size * (4 + len(config.curve_epsilons))
    return 3.0 * config.epochs * train + draws * attacked


def run(config: Config, *, device: str, cache: Path | None, fresh: bool = False, progress: bool = False) -> Result:
    """Train the victim of `config` (or take it from `cache`), attack it, and measure.

    Raises:
        BadValue: the data cannot be read, or a cached checkpoint is damaged (unless `fresh` trains anew).
    """
    dataset = data.load(config.dataset)
    network, notes = trained_network(config, dataset, device=device, cache=cache, fresh=fresh, progress=progress)
    victim = estimate(
        config.estimator,
        network,
        generator=seeds.generator(config.seed, "inference", device),
        draws=config.draws,
        precision=config.precision,
    )
    test = dataset.test.first(config.test_size or None).to(device)
    start = time.perf_counter()
    measured = measure(victim, test, lambda v, x, y: evasion.fgsm(v, x, y, epsilon=config.epsilon))
    if isinstance(victim, MonteCarloDropout):
        measured["adversarial_accuracy_one_draw"] = through_one_draw(victim, test, config)
    curve = accuracy_curve(victim, test.first(config.curve_size), config.curve_epsilons)
    measured |= {
        "training_loss": notes["losses"][-1],
        "training_seconds": notes["seconds"],
        "attack_seconds": round(time.perf_counter() - start, 2),
        "test_points": float(len(test)),
    }
    return Result(measured, {"epsilon": list(config.curve_epsilons), "accuracy": curve})


def trained_network(
    config: Config, dataset: data.Dataset, *, device: str, cache: Path | None, fresh: bool, progress: bool
) -> tuple[Network, dict[str, Any]]:
    """The network of `config` with its trained weights on `device`, and the notes of its training."""
    network = models.build(
        config.network,
        shape=dataset.shape,
        classes=len(dataset.classes),
        seed=config.seed,
        width=config.width,
        dropout=config.dropout if config.estimator == "epistemic" else 0.0,
        heteroscedastic=config.estimator == "aleatoric",
    )

    def train(untrained: nn.Module) -> dict[str, Any]:
        assert untrained is network
        start = time.perf_counter()
        losses = training.fit(
            network,
            dataset.train.first(config.train_size or None),
            training_config(config),
            seed=config.seed,
            device=device,
            progress=progress,
        )
        return {"losses": losses, "seconds": round(time.perf_counter() - start, 2)}

    notes = checkpoints.trained(network, key_of(config, only=tuple(VICTIM)), train, cache=cache, fresh=fresh)
    return network.to(device).eval(), notes


def through_one_draw(victim: MonteCarloDropout, test: data.Split, config: Config) -> float:
    """Adversarial accuracy of the T-draw mean when the gradient comes from a single draw, as a naive attacker takes it."""
    naive = MonteCarloDropout(victim.network, generator=victim.generator, draws=1, precision=victim.precision)
    return measure(victim, test, lambda _, x, y: evasion.fgsm(naive, x, y, epsilon=config.epsilon))[
        "adversarial_accuracy"
    ]
