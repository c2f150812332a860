"""The attacks as the paper's code runs them: `scan -n 100` of Counterfit 0.1.1, dropout off, on raw pixels.

Each attempt draws a training image and the attack's settings at random, half of the time with another class to reach. An attempt
succeeds if the last label differs from the first or, where there is one, is the class aimed at, however large the change. The
networks were trained on pixels between 0 and 1; the code attacks them on pixels between 0 and 255 (`scale`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.papers.galinkin.victims import Cell, accuracy_of, trained_network, training_work, victim_of
from experiments.records import Result
from lib import data, seeds
from lib.errors import check_choice, check_count
from lib.evasion.boundary import boundary
from lib.evasion.hop_skip_jump import hop_skip_jump
from lib.uncertainty import Victim

SCALES = {"raw": 255.0, "unit": 1.0}


@dataclass(frozen=True, kw_only=True)
class Scan(Cell):
    """One scan of one attack against one victim."""

    attack: str = "hop_skip_jump_scan"
    scale: str = "raw"
    attempts: int = 100
    longest: int = 0  # the most iterations of an attempt; 0: as Counterfit draws them

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("scale", self.scale, SCALES)
        check_count("attempts", self.attempts)
        check_count("longest", self.longest, low=0)

    @classmethod
    def attacks(cls) -> tuple[str, ...]:
        """Scans are attacks of their own: their cells must not be mistaken for those of the attacks as written."""
        return ("hop_skip_jump_scan", "boundary_scan")


def work(config: Scan) -> float:
    """Images that pass through the network, forward and backward counted three."""
    boundary_scan = config.attack == "boundary_scan"
    usual = 1100 if boundary_scan else 55  # iterations on average
    iterations = min(usual, config.longest or usual)
    answers = 25.0 * iterations if boundary_scan else 105 * 2 / 3 * iterations**1.5
    return training_work(config) + config.passes * (10_000 + config.attempts * answers)


def run(config: Scan, *, device: str, cache: Path | None, fresh: bool = False, progress: bool = False) -> Result:
    """Train the victim of `config` (or take it from `cache`), scan it, and count as Counterfit does.

    Raises:
        BadValue: the data cannot be read.
    """
    dataset = data.loaded(config.dataset)
    network, notes = trained_network(config, dataset, device=device, cache=cache, fresh=fresh, progress=progress)
    victim = victim_of(config, network, device=device)
    accuracy, _ = accuracy_of(victim, dataset.test.to(device))
    generator = seeds.generator(config.seed, "scan")
    chosen = torch.randint(len(dataset.train), (config.attempts,), generator=generator)
    x, labels = dataset.train.to(device).take(chosen.to(device))
    x = x * SCALES[config.scale]
    victim.bounds = (0.0, SCALES[config.scale])
    with torch.no_grad():
        first = victim(x).argmax(1)
    targeted = torch.rand(config.attempts, generator=generator) < 0.5
    other = torch.randint(1, len(dataset.classes), (config.attempts,), generator=generator)
    aim = torch.where(targeted.to(device), (first + other.to(device)) % len(dataset.classes), first)
    start = time.perf_counter()
    succeeded = scan(config, victim, x, aim, targeted.to(device), generator)
    measured = {
        "success": 100 * succeeded.double().mean().item(),
        "success_untargeted": _share(succeeded[~targeted]),
        "success_targeted": _share(succeeded[targeted]),
        "targeted": 100 * targeted.double().mean().item(),
        "first_label_right": 100 * (first == labels).double().mean().item(),
        "accuracy": accuracy,
        "training_epochs": float(len(notes["losses"])),
        "training_seconds": notes["seconds"],
        "attack_seconds": round(time.perf_counter() - start, 2),
        "test_points": float(config.attempts),
    }
    return Result(measured, {})


def scan(config: Scan, victim: Victim, x: Tensor, aim: Tensor, targeted: Tensor, generator: torch.Generator) -> Tensor:
    """Which of the attempts (n,) succeed; those that share a norm and a kind of aim run together, with settings of their own."""
    hop_skip_jump_scan = config.attack == "hop_skip_jump_scan"
    settings = _hop_skip_jump(config, generator) if hop_skip_jump_scan else _boundary(config, generator)
    norms = torch.rand(config.attempts, generator=generator) < 0.5 if hop_skip_jump_scan else torch.zeros(len(x)).bool()
    succeeded = torch.zeros_like(targeted)
    for aimed in (False, True):
        for in_linf in (False, True):
            members = ((targeted == aimed) & (norms.to(x.device) == in_linf)).nonzero()[:, 0]
            if len(members) == 0:
                continue
            own = {name: values.to(x.device)[members] for name, values in settings.items()}
            kind: Callable[..., Any] = hop_skip_jump if hop_skip_jump_scan else boundary
            norm = {"norm": "linf" if in_linf else "l2"} if hop_skip_jump_scan else {}
            found = kind(
                victim, x[members], aim[members], targeted=aimed, generator=generator, ids=members, **norm, **own
            )
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


def _share(some: Tensor) -> float:
    return 100 * some.double().mean().item() if len(some) else 0.0
