"""Whether a victim knows what it does not know: calibration, and rejecting by uncertainty what it would get wrong.

Images are wrong by themselves, shifted or adversarial, by PGD that averages gradients over draws and knows nothing of the score,
or by PGD that knows it. Every answer and score is that of fresh draws.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

import torch
from torch import Tensor

from experiments import detection
from experiments.cell import Count, Result, Share, checked, within
from experiments.papers.at_once.shifts import SHIFTS
from experiments.papers.at_once.victims import Cell
from experiments.run import Bench
from lib import seeds
from lib.errors import VictimWarning
from lib.evasion import Look, pgd, pgd_aware
from lib.judging import Judgement, judge
from lib.metrics import expected_calibration_error, negative_log_likelihood, percent
from lib.uncertainty import Victim, scores_of

REJECTED = 0.2  # the share of all images whose rejection a single number tells of
FALSE_ALARMS = 0.1  # the share of clean images that a threshold rejects which adversarial ones have to stay below


@checked
class Calibration(Cell):
    """Calibration and rejection of one victim, by each of its uncertainty scores."""

    TITLES = ("calibration, and rejection by uncertainty",)

    attack: Literal["calibration"] = "calibration"
    test_size: Count = 1000
    attacked: Count = 200  # of these, the first
    judges: Count = 50  # fresh draws behind an answer and its score
    epsilon: Share = 0.1  # in l_inf
    steps: Count = 25
    score_weight: Annotated[float, within(0, 1e6)] = 1.0  # nats that a unit of the score costs who knows it

    def work(self) -> float:
        """Every image is judged as it is and under each shift; two or three attacks are made, of which each step counts three."""
        judged = self.test_size * (1 + len(SHIFTS)) + 3 * self.attacked
        steps = 3 * 3 * self.steps * self.attacked * self.passes
        return self.training_work() + steps + judged * (self.judges if self.passes > 1 else 1)

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Judge test images as they are, shifted and attacked."""
        test = bench.test(self.test_size)
        x, y = test.take(torch.arange(len(test), device=bench.device))
        clean = judge(victim, x, draws=self.judges)
        shown = {"": (clean, y)}
        for name, shift in SHIFTS.items():
            shown[name] = judge(victim, shift(x, seed=self.seed), draws=self.judges), y
        few = x[: self.attacked], y[: self.attacked]
        budget = self.chosen("epsilon steps") | {"generator": seeds.generator(self.seed, "adversarial", bench.device)}
        attacks: dict[str, Callable[..., Tensor]] = {}
        attacks["adversarial"] = partial(pgd, Look(victim, "expectation", draws=self.draws), **budget)
        for score in scores_of(victim):
            knowing = self.chosen("draws") | {"score": score, "weight": self.score_weight}
            attacks[f"aware_{score}"] = partial(pgd_aware, victim, **knowing, **budget)
        for name, attack in attacks.items():
            with bench.attacking(), warnings.catch_warnings(action="ignore", category=VictimWarning):
                adversarial = attack(*few)
            shown[name] = judge(victim, adversarial, draws=self.judges), few[1]
        measured = {"test_points": float(len(y)), "attacked": float(len(few[1]))}
        for name, (judged, labels) in shown.items():
            measured |= {f"{what}_{name}".rstrip("_"): value for what, value in calibration(judged, labels).items()}
        curves = {"shares": list(detection.REJECTED)}
        for score in scores_of(victim):
            told, kept = rejection(score, shown)
            measured, curves = measured | told, curves | kept
        return Result(measured, curves)


def calibration(judged: Judgement, y: Tensor) -> dict[str, float]:
    """Accuracy, expected calibration error and negative log-likelihood of what was judged, at labels `y` (n,)."""
    rows = judged.log_probabilities
    return {
        "accuracy": percent(judged.answer == y),
        "ece": expected_calibration_error(rows, y),
        "nll": negative_log_likelihood(rows, y),
    }


def rejection(
    score: str, shown: dict[str, tuple[Judgement, Tensor]]
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """How well one score tells wrong, shifted and adversarial images from the clean ones, and what rejecting by it gains.

    Wrong images are rejected among the clean ones; others among as many clean ones, of which they were made. An attacker who
    knows another score does not count.
    """
    clean, y = shown[""]
    right, scores = clean.answer == y, clean.scores[score]
    pools = {"wrong": (scores[right], scores[~right], scores, right)}
    measured, curves = {}, {}
    for name in (*SHIFTS, "adversarial", f"aware_{score}"):
        other, labels = shown[name]
        n, hit, found = len(labels), other.answer == labels, other.scores[score]
        pool = torch.cat([scores[:n], found]), torch.cat([right[:n], hit])
        pools[name.removesuffix(f"_{score}")] = scores[:n], found, *pool
        if name not in SHIFTS:
            threshold = torch.quantile(scores, 1 - FALSE_ALARMS)
            measured[f"evades_{name.removesuffix(f'_{score}')}_{score}"] = percent(~hit & (found <= threshold))
    for name, (known, others, all_, hits) in pools.items():
        if len(known) and len(others):  # a victim that gets nothing wrong, or all, tells nothing apart
            measured[f"auroc_{name}_{score}"] = detection.auroc(known, others)
        measured[f"rejected_{name}_{score}"] = detection.accuracy_after_rejection(all_, hits, [REJECTED])[0]
        curves[f"rejected_{name}_{score}"] = detection.accuracy_after_rejection(all_, hits)
    return measured, curves
