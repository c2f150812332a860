"""The black-box rows of Table 2: FGSM on a substitute that was trained on the victim's labels, and the accuracy it leaves."""

import statistics
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from experiments import detection
from experiments.cell import Count, Result, Share, checked, part_of
from experiments.papers.harakeh.before_after import measure
from experiments.papers.harakeh.substitute import Oracle, SubstituteConfig, train_substitute
from experiments.papers.harakeh.victims import Cell
from experiments.run import Bench
from lib import models, seeds
from lib.data import Split
from lib.errors import BadValue
from lib.evasion import fgsm
from lib.evasion.pieces import images_at_once
from lib.judging import judge
from lib.metrics import percent
from lib.models import Network
from lib.uncertainty import Victim


@checked
class BlackBox(Cell):
    """One cell of the black-box rows. The tutorial trains its oracle for ten epochs."""

    NOTED = ("training_loss",)

    TITLES = ("black box",)

    attack: Literal["black_box"] = "black_box"
    epochs: Count = 10
    epsilon: Share = 0.3
    held_out: Count = 150  # test images that the attacker has
    rounds: Count = 6
    step: Share = 0.1  # lambda
    sign: Literal["minus_then_plus", "plus"] = "minus_then_plus"
    substitute_epochs: Count = 10
    substitute_width: Count = 200
    judges: Count = 50
    judged: Count = 1000  # the first so many of the attacked images are compared with a white box, and scored

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.held_out >= self.test_points:
            raise BadValue(f"held_out: expected fewer than the {self.test_points} test images, got {self.held_out}")

    def work(self) -> float:
        """The substitute costs next to nothing."""
        passes = 2 * self.test_points + self.held_out * 2**self.rounds + 5 * self.judged
        return float(self.training_work() + self.passes * passes + 2 * self.judged * self.judges)

    def attacker(self, bench: Bench, victim: Victim) -> tuple[Oracle, Split, Split]:
        """The victim as he asks it, the test images that he has, and the others."""
        test, at_once = bench.test(self.test_size), images_at_once(bench.device, self.passes)
        oracle = Oracle(lambda x: torch.cat([victim(part).argmax(1) for part in torch.split(x, at_once)]))
        rest = test.subset(torch.arange(self.held_out, len(test), device=bench.device))
        return oracle, test.first(self.held_out), rest

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Train a substitute of the victim, attack that, and measure on the images that the attacker has not had."""
        oracle, own, rest = self.attacker(bench, victim)
        substitute, agreement = substitute_of(self, bench, oracle, own)
        through = partial(transferred, substitute, epsilon=self.epsilon)
        measured = measure(victim, rest, through)
        few = rest.first(self.judged)
        white = measure(victim, few, lambda v, x, y: fgsm(v, x, y, epsilon=self.epsilon))
        black = measure(victim, few, through)
        x, y = few.take(torch.arange(len(few), device=bench.device))
        clean, found = (judge(victim, images, draws=self.judges) for images in (x, through(victim, x, y)))
        measured |= {f"auroc_{name}": detection.auroc(clean.scores[name], found.scores[name]) for name in found.scores}
        answers = substitute(x).argmax(1)
        measured |= {
            "adversarial_accuracy_vote": percent(found.vote == y),
            "white_box_accuracy": white["adversarial_accuracy"],
            "black_box_accuracy": black["adversarial_accuracy"],  # on the same images as the white box
            "substitute_accuracy": percent(answers == y),
            "substitute_agreement": percent(answers == clean.answer),
            "queries": float(oracle.queries),
            "test_points": float(len(rest)),
        }
        return Result(measured, {"agreement": agreement})


def transferred(substitute: Network, _: Victim, x: Tensor, y: Tensor, *, epsilon: float) -> Tensor:
    """FGSM on a substitute, away from its own labels."""
    return fgsm(substitute, x, substitute(x).argmax(1), epsilon=epsilon)


@checked
class Substitutes(BlackBox):
    """Several substitutes of one victim: is the spread of the black-box rows the victim's or the substitute's?"""

    TITLES = ("black box, five substitutes",)

    attack: Literal["substitutes"] = "substitutes"  # type: ignore[assignment]
    substitutes: Count = 5

    def work(self) -> float:
        """The victim labels for each substitute, and answers to what each makes."""
        passes = self.substitutes * (self.test_points + self.held_out * 2**self.rounds)
        return float(self.training_work() + self.passes * passes)

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """The accuracy that FGSM on each substitute leaves; the first is that of the black-box row."""
        oracle, own, rest = self.attacker(bench, victim)
        found = []
        for copy in range(self.substitutes):
            substitute, _ = substitute_of(self, bench, oracle, own, copy=copy)
            found.append(measure(victim, rest, partial(transferred, substitute, epsilon=self.epsilon)))
        left = [one["adversarial_accuracy"] for one in found]
        measured = {
            "accuracy": found[0]["accuracy"],
            "adversarial_accuracy": statistics.fmean(left),
            "adversarial_accuracy_variance": statistics.variance(left) if len(left) > 1 else 0.0,
            "test_points": float(len(rest)),
        }
        return Result(measured, {"adversarial_accuracy_of_each": left})


def substitute_config(config: BlackBox) -> SubstituteConfig:
    """How the substitute is trained; batches and learning rate are the victim's."""
    return part_of(config, SubstituteConfig, epochs=config.substitute_epochs)


def substitute_of(
    config: BlackBox, bench: Bench, oracle: Oracle, held_out: Split, *, copy: int = 0
) -> tuple[Network, list[float]]:
    """A substitute that was trained on the oracle's labels, from `held_out` on, and how often the two agreed in each round.

    Each copy has weights and batches of its own.
    """
    seed = config.seed if copy == 0 else seeds.derive(config.seed, f"substitute {copy}") % 2**31
    # Version 1 draws the substitute's weights as the victim's are drawn: no matter where the two have different shapes, but a
    # fully connected victim has the substitute's own, and both would start from the same weights.
    own = seeds.derive(seed, "substitute weights") % 2**31
    substitute = models.build(
        "fully_connected",
        shape=bench.dataset.shape,
        classes=len(bench.dataset.classes),
        seed=seed if config.version == 1 else own,
        width=config.substitute_width,
    ).to(bench.device)
    images, _ = held_out.take(torch.arange(len(held_out), device=bench.device))
    usual: dict[str, Any] = {"generator": seeds.generator(seed, "substitute"), "progress": bench.progress}
    return substitute, train_substitute(oracle, substitute, images, substitute_config(config), **usual)
