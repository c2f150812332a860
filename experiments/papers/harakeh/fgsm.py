"""The FGSM rows of Table 2, on the whole test set, as published: T draws answer, and T fresh draws judge."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from experiments.papers.harakeh.victims import Cell, draws_of, test_points, trained_victim, training_work
from experiments.records import Result
from lib import data, evasion
from lib.errors import check_count, check_number
from lib.evaluation import accuracy_curve, measure
from lib.uncertainty import MonteCarloDropout

MNIST_EPSILONS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
CIFAR_EPSILONS = (0.0, 1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255, 0.1, 0.2, 0.3)


@dataclass(frozen=True, kw_only=True)
class FGSM(Cell):
    """One cell of the FGSM rows."""

    epsilon: float = 0.3
    curve_epsilons: tuple[float, ...] = MNIST_EPSILONS
    curve_size: int = 1000  # the first so many test images carry the curve over epsilon

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("curve_size", self.curve_size)
        curve = tuple(check_number("curve_epsilons", value, low=0.0, high=1.0) for value in self.curve_epsilons)
        object.__setattr__(self, "curve_epsilons", curve)
        self.with_numbers(epsilon=(0.0, 1.0))

    @classmethod
    def attacks(cls) -> tuple[str, ...]:
        """FGSM alone."""
        return ("fgsm",)


def work(config: FGSM) -> float:
    """Images that pass through the network, forward and backward counted three: what a cell's cost is proportional to."""
    attacked = 5 * test_points(config) + config.curve_size * (4 + len(config.curve_epsilons))
    return training_work(config) + draws_of(config) * attacked


def run(config: FGSM, *, device: str, cache: Path | None, fresh: bool = False, progress: bool = False) -> Result:
    """Train the victim of `config` (or take it from `cache`), attack it, and measure.

    Raises:
        BadValue: the data cannot be read, or a cached checkpoint is damaged (unless `fresh` trains anew).
    """
    dataset = data.loaded(config.dataset)
    victim, notes = trained_victim(config, dataset, device=device, cache=cache, fresh=fresh, progress=progress)
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


def through_one_draw(victim: MonteCarloDropout, test: data.Split, config: FGSM) -> float:
    """Adversarial accuracy of the T-draw mean when the gradient comes from a single draw, as a naive attacker takes it."""
    naive = MonteCarloDropout(victim.network, generator=victim.generator, draws=1, precision=victim.precision)
    return measure(victim, test, lambda _, x, y: evasion.fgsm(naive, x, y, epsilon=config.epsilon))[
        "adversarial_accuracy"
    ]
