"""Gradient attacks within a budget, in every form, judged by fresh draws: FGSM (one step), PGD, and PGD that knows the score.

These cells are in no table of the paper. They answer what it leaves open: whether an attack failed for lack of strength, and
whether adversarial images can be rejected because the victim is uncertain about them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.papers.harakeh.victims import (
    Cell,
    draws_of,
    draws_per_look,
    test_points,
    trained_victim,
    training_work,
    untrained_network,
)
from experiments.records import Result
from lib import data, detection
from lib.errors import BadValue, check_choice, check_count
from lib.evaluation import images_at_once
from lib.evasion import FORMS, Look, pgd, pgd_aware
from lib.evasion.forms import cross_entropies, looks
from lib.judging import judge
from lib.layers import only_input_gradients
from lib.uncertainty import Deterministic, Victim
from lib.uncertainty.scores import OF_ESTIMATOR, SCORES


@dataclass(frozen=True, kw_only=True)
class Gradient(Cell):
    """One cell: `steps` = 1 is FGSM; `attack` = "aware" lowers `score` while it misleads."""

    attack: str = "pgd"
    test_size: int = 500
    form: str = "mean"
    epsilon: float = 0.3
    steps: int = 20
    score: str = ""  # that an aware attacker knows
    score_weight: float = 1.0
    judges: int = 50
    loss_size: int = 50  # the first so many images carry the loss against steps
    loss_steps: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("form", self.form, FORMS)
        for name in ("test_size", "steps", "judges", "loss_size"):
            check_count(name, getattr(self, name))
        self.with_numbers(epsilon=(0.0, 1.0), score_weight=(0.0, 1e6))
        object.__setattr__(self, "loss_steps", tuple(map(float, self.loss_steps)))
        if any(step < 1 or step != int(step) for step in self.loss_steps):
            raise BadValue(f"loss_steps: expected whole numbers of at least 1, got {self.loss_steps!r}")
        check_choice("score", self.score, SCORES if self.attack == "aware" else [""])
        if self.attack == "aware" and self.form != "expectation":
            raise BadValue(f"form: an aware attacker averages over draws, expected expectation, got {self.form!r}")

    @classmethod
    def attacks(cls) -> tuple[str, ...]:
        """PGD, and PGD that knows the score."""
        return ("pgd", "aware")

    @property
    def step_size(self) -> float:
        """In 20 steps three times the budget, as in Madry et al. (2018); one step is the whole of it."""
        return min(self.epsilon, 3 * self.epsilon / self.steps)


def work(config: Gradient) -> float:
    """Images that pass through the network, forward and backward counted three."""
    draws = draws_per_look(config, config.form)
    judged = 2 * (config.judges if draws_of(config) > 1 else 1)
    steps = 3 * config.steps * test_points(config) + 3 * sum(config.loss_steps) * config.loss_size
    return training_work(config) + draws * steps + test_points(config) * judged


def run(config: Gradient, *, device: str, cache: Path | None, fresh: bool = False, progress: bool = False) -> Result:
    """Train the victim of `config` (or take it from `cache`), attack it, and judge the attack by fresh draws.

    Raises:
        BadValue: the data cannot be read, or the victim has no such score.
    """
    if config.attack == "aware":
        check_choice("score", config.score, OF_ESTIMATOR[config.estimator])
    dataset = data.loaded(config.dataset)
    victim, notes = trained_victim(config, dataset, device=device, cache=cache, fresh=fresh, progress=progress)
    test = dataset.test.first(config.test_size).to(device)
    x, y = test.take(torch.arange(len(test), device=device))
    start = time.perf_counter()
    adversarial = attack_all(config, victim, x, y)
    seconds = time.perf_counter() - start
    clean, found = (judge(victim, images, draws=config.judges) for images in (x, adversarial))
    measured = {
        "accuracy": 100 * (clean.answer == y).double().mean().item(),
        "adversarial_accuracy": 100 * (found.answer == y).double().mean().item(),
        "adversarial_accuracy_vote": 100 * (found.vote == y).double().mean().item(),
        "largest_perturbation": (adversarial - x).abs().max().item(),
        "zero_gradients": zero_gradients(config, victim, x, y),
        "training_seconds": notes["seconds"],
        "attack_seconds": round(seconds, 2),
        "test_points": float(len(test)),
    }
    curves = {
        "steps": list(config.loss_steps),
        "loss": [loss_after(config, victim, x, y, int(steps)) for steps in config.loss_steps],
        "rejected": list(detection.REJECTED),
    }
    right = torch.cat([clean.answer == y, found.answer == y])
    told_apart, detected = detection.by_scores(clean.scores, found.scores)
    measured, curves = measured | told_apart, curves | detected
    for name, scores in found.scores.items():
        both = torch.cat([clean.scores[name], scores])
        curves[f"kept_{name}"] = detection.accuracy_after_rejection(both, right)
    return Result(measured | untrained_control(config, dataset, x, y), curves)


def attack_all(config: Gradient, victim: Victim, x: Tensor, y: Tensor, *, steps: int | None = None) -> Tensor:
    """The attack of `config` on every image, or one with another number of `steps`, in batches that fit."""
    look = Look(victim, config.form, draws=config.draws)
    at_once = images_at_once(x.device, draws_per_look(config, config.form))
    budget: dict[str, Any] = {"epsilon": config.epsilon, "step_size": config.step_size, "steps": steps or config.steps}
    found = []
    for images, labels in zip(torch.split(x, at_once), torch.split(y, at_once), strict=True):
        if config.attack == "aware":
            budget |= {"score": config.score, "weight": config.score_weight, "draws": config.draws}
            found.append(pgd_aware(victim, images, labels, **budget))
        else:
            found.append(pgd(look, images, labels, **budget))
    return torch.cat(found)


def loss_after(config: Gradient, victim: Victim, x: Tensor, y: Tensor, steps: int) -> float:
    """Mean cross-entropy, by fresh draws, of the first images after so many steps: it should rise, and level off."""
    x, y = x[: config.loss_size], y[: config.loss_size]
    adversarial = attack_all(config, victim, x, y, steps=steps)
    with torch.no_grad():
        answers = victim.combine(victim.sample(adversarial, config.draws))
    return float(torch.nn.functional.cross_entropy(answers, y))


def zero_gradients(config: Gradient, victim: Victim, x: Tensor, y: Tensor) -> float:
    """The share of the first images, in percent, whose whole gradient is zero: they cannot be attacked by it."""
    x = x[: config.loss_size].detach().requires_grad_(True)
    with only_input_gradients(victim):
        shown = looks(Look(victim, config.form, draws=config.draws), x)
        (gradient,) = torch.autograd.grad(cross_entropies(shown, y[: config.loss_size]).sum(), x)
    return 100 * (gradient == 0).flatten(1).all(1).double().mean().item()


def untrained_control(config: Gradient, dataset: data.Dataset, x: Tensor, y: Tensor) -> dict[str, float]:
    """A control: the same network before training knows nothing, so its accuracy must be that of a guess."""
    if config.estimator != "none":
        return {}
    control = Deterministic(untrained_network(config, dataset).to(x.device), precision=config.precision)
    return {"untrained_accuracy": 100 * (judge(control, x).answer == y).double().mean().item()}
