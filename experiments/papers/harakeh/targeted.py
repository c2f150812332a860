"""The Carlini-Wagner and JSMA rows of Table 2: ten runs of 90 to 100 targeted adversarial images each.

As in the CleverHans tutorials, a run takes one test image of every class, run r the r-th of its class, and aims each at
every class (CW: all ten, the own one included; JSMA: the nine others). The fooling rate is the share that reaches its target.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from experiments.papers.harakeh.victims import Cell, draws_of, draws_per_look, trained_victim, training_work
from experiments.records import Result
from lib import data, detection
from lib.errors import BadValue, check_choice, check_count
from lib.evaluation import images_at_once
from lib.evasion import FORMS, Look, carlini_wagner, jsma
from lib.judging import Judgement, judge
from lib.progress import track
from lib.uncertainty import Victim


@dataclass(frozen=True, kw_only=True)
class Targeted(Cell):
    """What both targeted attacks have in common."""

    form: str = "mean"  # how the attack looks at a random victim
    attack_runs: int = 10
    judges: int = 50  # fresh draws that judge

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("form", self.form, FORMS)
        check_count("attack_runs", self.attack_runs)
        check_count("judges", self.judges)


@dataclass(frozen=True, kw_only=True)
class CW(Targeted):
    """One cell of the Carlini-Wagner rows."""

    attack: str = "cw"
    iterations: int = 100
    search_steps: int = 1
    constant: float = 10.0
    attack_rate: float = 0.1  # learning rate: 0.1 in CleverHans 2, 0.2 in 3
    confidence: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("iterations", self.iterations)
        check_count("search_steps", self.search_steps)
        self.with_numbers(constant=(1e-12, 1e10), attack_rate=(1e-12, 1e3), confidence=(0.0, 1e6))

    @classmethod
    def attacks(cls) -> tuple[str, ...]:
        """CW alone."""
        return ("cw",)


@dataclass(frozen=True, kw_only=True)
class JSMA(Targeted):
    """One cell of the JSMA rows."""

    attack: str = "jsma"
    theta: float = 1.0
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.with_numbers(theta=(-1.0, 1.0), gamma=(0.0, 1.0))

    @classmethod
    def attacks(cls) -> tuple[str, ...]:
        """JSMA alone."""
        return ("jsma",)


def work(config: CW | JSMA) -> float:
    """Images that pass through the network, forward and backward counted three."""
    steps: float
    if isinstance(config, CW):
        examples, steps = 100, 3.0 * config.iterations * config.search_steps
    else:
        features = 3072 if "cifar10" in config.dataset else 784
        examples, steps = 90, 5.0 * features * config.gamma / 2
    draws = draws_per_look(config, config.form)
    judged = config.judges if draws_of(config) > 1 else 1
    return training_work(config) + config.attack_runs * examples * (draws * steps + judged)


def run(config: CW | JSMA, *, device: str, cache: Path | None, fresh: bool = False, progress: bool = False) -> Result:
    """Train the victim of `config` (or take it from `cache`), attack it, and judge the attack by fresh draws.

    Raises:
        BadValue: the data cannot be read, or have too few images of a class for the runs asked for.
    """
    dataset = data.loaded(config.dataset)
    sources = one_of_each_class(dataset.test, len(dataset.classes), config.attack_runs)
    victim, notes = trained_victim(config, dataset, device=device, cache=cache, fresh=fresh, progress=progress)
    x, labels = dataset.test.to(device).take(sources.flatten().to(device))
    which, targets = aims(labels, len(dataset.classes), own=isinstance(config, CW))
    start = time.perf_counter()
    adversarial = attack_all(config, victim, x[which], targets, progress=progress)
    seconds = time.perf_counter() - start
    found = judge(victim, adversarial, draws=config.judges)
    clean = judge(victim, x, draws=config.judges)
    measured = success(found, targets, labels[which], runs=config.attack_runs)
    measured |= norms(x[which], adversarial, found.answer == targets)
    told_apart, curves = detection.by_scores(clean.scores, found.scores)
    measured |= told_apart | {
        "source_accuracy": 100 * (clean.answer == labels).double().mean().item(),
        "training_seconds": notes["seconds"],
        "attack_seconds": round(seconds, 2),
        "test_points": float(len(targets)),
    }
    return Result(measured, curves)


def one_of_each_class(test: data.Split, classes: int, runs: int) -> Tensor:
    """For each run the index of one test image of every class: (runs, classes); run r takes the r-th of its class."""
    each = [(test.labels == label).nonzero().flatten()[:runs] for label in range(classes)]
    if (fewest := min(map(len, each))) < runs:
        raise BadValue(f"attack_runs: expected at most {fewest}, the test images of the rarest class, got {runs}")
    return torch.stack(each, 1)


def aims(labels: Tensor, classes: int, *, own: bool) -> tuple[Tensor, Tensor]:
    """Every image with every class as its target: indices of images and targets, both (m,); run by run, as `labels` are."""
    which = torch.arange(len(labels), device=labels.device).repeat_interleave(classes)
    targets = torch.arange(classes, device=labels.device).repeat(len(labels))
    kept = torch.ones_like(which, dtype=torch.bool) if own else targets != labels[which]
    return which[kept], targets[kept]


def attack_all(config: CW | JSMA, victim: Victim, x: Tensor, targets: Tensor, *, progress: bool) -> Tensor:
    """The attack of `config` on every image, in batches whose draws fit into the usual number of images."""
    look = Look(victim, config.form, draws=config.draws)
    at_once = images_at_once(x.device, draws_per_look(config, config.form))
    batches = list(zip(torch.split(x, at_once), torch.split(targets, at_once), strict=True))
    return torch.cat([_attack(config, look, *batch) for batch in track(batches, config.attack, enabled=progress)])


def _attack(config: CW | JSMA, look: Look, x: Tensor, targets: Tensor) -> Tensor:
    if isinstance(config, JSMA):
        return jsma(look, x, targets, theta=config.theta, gamma=config.gamma)
    return carlini_wagner(
        look,
        x,
        targets,
        targeted=True,
        iterations=config.iterations,
        search_steps=config.search_steps,
        constant=config.constant,
        learning_rate=config.attack_rate,
        confidence=config.confidence,
    )


def success(found: Judgement, targets: Tensor, labels: Tensor, *, runs: int) -> dict[str, float]:
    """Fooling rates in percent: the mean of the runs, their minimum and maximum, and two other ways to count."""
    rates = 100 * (found.answer == targets).double().view(runs, -1).mean(1)
    return {
        "fooling_rate": rates.mean().item(),
        "fooling_rate_min": rates.min().item(),
        "fooling_rate_max": rates.max().item(),
        "fooling_rate_vote": 100 * (found.vote == targets).double().mean().item(),
        "misclassified": 100 * (found.answer != labels).double().mean().item(),
    }


def norms(x: Tensor, adversarial: Tensor, fooled: Tensor) -> dict[str, float]:
    """What was changed, measured afresh: mean l2 norm and share of changed features among those that fool, and the range.

    Where none fools, there is nothing to say of the first two.
    """
    change = (adversarial - x).flatten(1).double()
    among = (
        {}
        if not fooled.any()
        else {
            "l2": change.norm(dim=1)[fooled].mean().item(),
            "changed_features": 100 * (change != 0).double().mean(1)[fooled].mean().item(),
        }
    )
    return among | {
        "unmoved": 100 * (change == 0).all(1).double().mean().item(),
        "outside": (-adversarial.min()).clamp_min(0).item() + (adversarial.max() - 1).clamp_min(0).item(),
    }
