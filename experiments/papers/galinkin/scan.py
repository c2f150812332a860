"""The attacks as the paper's code runs them: `scan -n 100` of Counterfit 0.1.1, dropout off, on raw pixels.

Each attempt draws a training image and the attack's settings at random, half of the time with another class to reach. An attempt
succeeds if the last label differs from the first or, where there is one, is the class aimed at, however large the change. The
networks were trained on pixels between 0 and 1; the code attacks them on pixels between 0 and 255 (`scale`).
"""

from collections.abc import Callable
from itertools import product
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from experiments.cell import Count, OneOf, Result, Size, checked
from experiments.papers.galinkin.victims import Cell
from experiments.run import Bench, recognised
from lib import seeds
from lib.evasion.boundary import boundary
from lib.evasion.decision import Decided
from lib.evasion.hop_skip_jump import hop_skip_jump
from lib.metrics import percent
from lib.uncertainty import Victim

SCALES = {"raw": 255.0, "unit": 1.0}


@checked
class Scan(Cell):
    """One scan of one attack against one victim. Its cells must not be mistaken for those of the attacks as written."""

    TITLES = ("HopSkipJump, as scanned", "Boundary, as scanned")

    attack: Annotated[str, OneOf(["hop_skip_jump_scan", "boundary_scan"])] = "hop_skip_jump_scan"
    scale: Literal["raw", "unit"] = "raw"
    attempts: Count = 100
    longest: Size = 0  # the most iterations of an attempt; 0: as Counterfit draws them

    def work(self) -> float:
        """With as many iterations as are drawn on average."""
        boundary_scan = self.attack == "boundary_scan"
        usual = 1100 if boundary_scan else 55
        iterations = min(usual, self.longest or usual)
        answers = 25.0 * iterations if boundary_scan else 105 * 2 / 3 * iterations**1.5
        return self.training_work() + self.passes * (10_000 + self.attempts * answers)

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Scan training images, and count as Counterfit does."""
        accuracy = percent(recognised(victim, bench.test()))
        generator, classes = seeds.generator(self.seed, "scan"), len(bench.dataset.classes)
        chosen = torch.randint(len(bench.dataset.train), (self.attempts,), generator=generator)
        x, labels = bench.dataset.train.to(bench.device).take(chosen.to(bench.device))
        x = x * SCALES[self.scale]
        victim.bounds = (0.0, SCALES[self.scale])
        with torch.no_grad():
            first = victim(x).argmax(1)
        targeted = torch.rand(self.attempts, generator=generator) < 0.5
        other = torch.randint(1, classes, (self.attempts,), generator=generator)
        aim = torch.where(targeted.to(bench.device), (first + other.to(bench.device)) % classes, first)
        succeeded = scan(self, victim, x, aim, targeted.to(bench.device), generator)
        measured = {
            "success": percent(succeeded),
            "success_untargeted": percent(succeeded[~targeted]) if not targeted.all() else 0.0,
            "success_targeted": percent(succeeded[targeted]) if targeted.any() else 0.0,
            "targeted": percent(targeted),
            "first_label_right": percent(first == labels),
            "accuracy": accuracy,
            "test_points": float(self.attempts),
        }
        return Result(measured, {})


def scan(config: Scan, victim: Victim, x: Tensor, aim: Tensor, targeted: Tensor, generator: torch.Generator) -> Tensor:
    """Which of the attempts (n,) succeed; those that share a norm and a kind of aim run together, with settings of their own."""
    hop_skip_jump_scan = config.attack == "hop_skip_jump_scan"
    settings = _hop_skip_jump(config, generator) if hop_skip_jump_scan else _boundary(config, generator)
    norms = torch.rand(config.attempts, generator=generator) < 0.5 if hop_skip_jump_scan else torch.zeros(len(x)).bool()
    succeeded = torch.zeros_like(targeted)
    attack: Callable[..., Decided] = hop_skip_jump if hop_skip_jump_scan else boundary
    for aimed, in_linf in product((False, True), repeat=2):
        members = ((targeted == aimed) & (norms.to(x.device) == in_linf)).nonzero()[:, 0]
        if len(members) == 0:
            continue
        own: dict[str, Any] = {name: values.to(x.device)[members] for name, values in settings.items()}
        own |= {"lead": 1, "check_answers": 0}  # Counterfit knows of no random victims
        if hop_skip_jump_scan:
            own |= {"norm": "linf" if in_linf else "l2", "step_outward": False, "probe": 0.01}
        found = attack(victim, x[members], aim[members], targeted=aimed, generator=generator, ids=members, **own)
        with torch.no_grad():
            last = victim(found.adversarial).argmax(1)
        succeeded[members] = (last == aim[members]) == aimed
    return succeeded


def _hop_skip_jump(config: Scan, generator: torch.Generator) -> dict[str, Tensor]:
    """What Counterfit draws for HopSkipJump, one value an attempt."""
    return {
        "iterations": _whole(config, 10, 100, generator),
        "max_evaluations": torch.randint(300, 10_001, (config.attempts,), generator=generator),
        "initial_evaluations": torch.randint(10, 201, (config.attempts,), generator=generator),
    }


def _boundary(config: Scan, generator: torch.Generator) -> dict[str, Tensor]:
    """What Counterfit draws for the Boundary attack, one value an attempt."""
    return {
        "iterations": _whole(config, 200, 2000, generator),
        "delta": 0.005 + 0.045 * torch.rand(config.attempts, generator=generator),
        "epsilon": 0.005 + 0.045 * torch.rand(config.attempts, generator=generator),
        "step_adapt": 0.5 + 0.25 * torch.rand(config.attempts, generator=generator),
    }


def _whole(config: Scan, low: int, high: int, generator: torch.Generator) -> Tensor:
    drawn = torch.randint(low, high + 1, (config.attempts,), generator=generator)
    return drawn.clamp_max(config.longest) if config.longest else drawn
