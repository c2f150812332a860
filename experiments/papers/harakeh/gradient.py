"""Gradient attacks within a budget, in every form, judged by fresh draws: FGSM (one step), PGD, and PGD that knows the score.

These cells are in no table of the paper. They answer what it leaves open: whether an attack failed for lack of strength, and
whether adversarial images can be rejected because the victim is uncertain about them.
"""

from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field, Strict
from torch import Tensor

from experiments import detection
from experiments.cell import Count, OneOf, Result, Share, checked, within
from experiments.papers.harakeh.victims import OF_ESTIMATOR, Cell, in_batches
from experiments.run import Bench
from lib.data import Dataset
from lib.errors import BadValue, check_choice
from lib.evasion import FORMS, Look, pgd, pgd_aware
from lib.evasion.forms import cross_entropies, looks
from lib.judging import judge
from lib.layers import only_input_gradients
from lib.metrics import percent
from lib.uncertainty import UNCERTAINTY_SCORES, Deterministic, Victim

Step = Annotated[float, Field(ge=1, multiple_of=1)]
Steps = Annotated[tuple[Step, ...], Strict(False), Field(description="a whole number of at least 1")]


@checked
class Gradient(Cell):
    """One cell: `steps` = 1 is FGSM; `attack` = "aware" lowers `score` while it misleads."""

    TITLES = ("FGSM and PGD, every form", "PGD that knows the score")

    attack: Literal["pgd", "aware"] = "pgd"
    test_size: Count = 500
    form: Annotated[str, OneOf(FORMS)] = "mean"
    epsilon: Share = 0.3
    steps: Count = 20
    score: str = ""  # that an aware attacker knows
    score_weight: Annotated[float, within(0, 1e6)] = 1.0
    judges: Count = 50
    loss_size: Count = 50  # the first so many images carry the loss against steps
    loss_steps: Steps = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("score", self.score, UNCERTAINTY_SCORES if self.attack == "aware" else [""])
        if self.attack == "aware" and self.form != "expectation":
            raise BadValue(f"form: an aware attacker averages over draws, expected expectation, got {self.form!r}")

    @property
    def step_size(self) -> float:
        """In 20 steps three times the budget, as in Madry et al. (2018); one step is the whole of it."""
        return min(self.epsilon, 3 * self.epsilon / self.steps)

    def work(self) -> float:
        """Every step of the attack goes forward and backward; every image is judged as it was and as it became."""
        judged = 2 * (self.judges if self.passes > 1 else 1)
        steps = 3 * self.steps * self.test_points + 3 * sum(self.loss_steps) * self.loss_size
        return self.training_work() + self.passes_per_look * steps + self.test_points * judged

    def check(self, dataset: Dataset) -> None:
        """Whether the victim has such a score."""
        if self.attack == "aware":
            check_choice("score", self.score, OF_ESTIMATOR[self.estimator])

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Attack the first test images, and judge the attack by fresh draws."""
        test = bench.test(self.test_size)
        x, y = test.take(torch.arange(len(test), device=bench.device))
        with bench.attacking():
            adversarial = attack_all(self, victim, x, y)
        clean, found = (judge(victim, images, draws=self.judges) for images in (x, adversarial))
        measured = {
            "accuracy": percent(clean.answer == y),
            "adversarial_accuracy": percent(found.answer == y),
            "adversarial_accuracy_vote": percent(found.vote == y),
            "largest_perturbation": (adversarial - x).abs().max().item(),
            "zero_gradients": zero_gradients(self, victim, x, y),
            "test_points": float(len(test)),
        }
        curves = {
            "steps": list(self.loss_steps),
            "loss": [loss_after(self, victim, x, y, int(steps)) for steps in self.loss_steps],
            "rejected": list(detection.REJECTED),
        }
        right = torch.cat([clean.answer == y, found.answer == y])
        told_apart, detected = detection.by_scores(clean.scores, found.scores)
        for name, scores in found.scores.items():
            both = torch.cat([clean.scores[name], scores])
            curves[f"kept_{name}"] = detection.accuracy_after_rejection(both, right)
        return Result(measured | told_apart | untrained_control(self, bench.dataset, x, y), curves | detected)


def attack_all(config: Gradient, victim: Victim, x: Tensor, y: Tensor, *, steps: int | None = None) -> Tensor:
    """The attack of `config` on every image, or one with another number of `steps`, in batches that fit."""
    budget = config.chosen("epsilon step_size") | {"steps": steps or config.steps}
    if config.attack == "aware":
        budget |= config.chosen("score draws") | {"weight": config.score_weight}
        return in_batches(config, partial(pgd_aware, victim, **budget), x, y)
    return in_batches(config, partial(pgd, Look(victim, config.form, draws=config.draws), **budget), x, y)


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
    return percent((gradient == 0).flatten(1).all(1))


def untrained_control(config: Gradient, dataset: Dataset, x: Tensor, y: Tensor) -> dict[str, float]:
    """A control: the same network before training knows nothing, so its accuracy must be that of a guess."""
    if config.estimator != "none":
        return {}
    control = Deterministic(config.untrained(dataset).to(x.device), precision=config.precision)
    return {"untrained_accuracy": percent(judge(control, x).answer == y)}
