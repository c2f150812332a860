"""Table 2: inference class by class, by thresholds and by small networks, on images, adversarial and targeted adversarial images.

For each class the adversary knows the membership of some training and test points; he is judged on the others. A cell looks at as
many points of each class as its settings say, members and others alike.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from experiments.papers.song.victims import (
    BATCH,
    Cell,
    Machine,
    answer,
    attack_of,
    compiled_of,
    logits,
    members,
    points,
    trained_network,
    training_work,
)
from experiments.records import Result
from lib import data, seeds
from lib.data import Split
from lib.errors import BadValue, check_count
from lib.membership import best_threshold, by_threshold, learnt_accuracy, log_odds, targeted_answers
from lib.models import Network

METHODS = ("confidence_benign", "model_benign", "confidence_untargeted", "model_untargeted", "model_targeted")


@dataclass(frozen=True, kw_only=True)
class Targeted(Cell):
    """One victim, and every method of Table 2 on it."""

    attack: str = "targeted"
    known: int = 500  # points of each class and side whose membership the adversary knows
    classes: int = 10  # how many, from the first
    judged: int = 0  # points of each class and side that he is judged on; 0: all others

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("known", self.known)
        check_count("classes", self.classes)
        check_count("judged", self.judged, low=0)

    @classmethod
    def attacks(cls) -> tuple[str, ...]:
        """Targeted inference alone."""
        return ("targeted",)


def work(config: Targeted) -> float:
    """Images that pass through the network, forward and backward counted three."""
    targets = len(data.CLASSES[data.DIGITS.get(config.dataset, config.dataset)])
    looked_at = 2 * config.classes * (config.known + config.judged) if config.judged else sum(points(config))
    return training_work(config) + looked_at * targets * 2.0 * config.eval_steps


def run(config: Targeted, *, device: str, cache: Path | None, fresh: bool = False, progress: bool = False) -> Result:
    """Train the victim (or take it from `cache`), and for each class learn from known points and judge the others.

    Raises:
        BadValue: the data cannot be read, or a class has too few points.
    """
    dataset = data.loaded(config.dataset)
    if config.classes > len(dataset.classes):
        raise BadValue(f"classes: expected at most {len(dataset.classes)}, got {config.classes}")
    sides = {"train": members(config, dataset), "test": dataset.test}
    for name, side in sides.items():
        check_enough(config, name, side, classes=len(dataset.classes))
    network, notes = trained_network(config, dataset, Machine(device, cache, fresh, progress))
    start = time.perf_counter()
    by_class = []
    for c in range(config.classes):
        kept = {name: of_class(config, side, c, name=name) for name, side in sides.items()}
        looks = {name: looks_at(config, network, side, device, len(dataset.classes)) for name, side in kept.items()}
        by_class.append(by_methods(looks, known=config.known, seed=config.seed, label=c))
    measured = {f"{method}/class{c}": value for c, told in enumerate(by_class) for method, value in told.items()}
    measured |= {method: fmean(told[method] for told in by_class) for method in by_class[0]}
    measured |= {
        "training_seconds": notes["seconds"],
        **compiled_of(notes),
        "attack_seconds": round(time.perf_counter() - start, 2),
        "test_points": float(fewest_judged(config, sides)),
    }
    return Result(measured, {})


def fewest_judged(config: Targeted, sides: Mapping[str, Split]) -> int:
    """The points that the smallest class is judged on, twice those of its smaller side."""
    left = min(int(torch.bincount(side.labels).min()) for side in sides.values()) - config.known
    return 2 * (min(left, config.judged) if config.judged else left)


def check_enough(config: Targeted, name: str, side: Split, *, classes: int) -> None:
    """See that every class has points to know and to judge.

    Raises:
        BadValue: a class has fewer.
    """
    fewest = int(torch.bincount(side.labels.cpu(), minlength=classes).min())
    if fewest < config.known + max(1, config.judged):
        needed = f"{config.known} known and {config.judged or 'at least 1'} judged"
        raise BadValue(f"known, judged: expected {needed} points a class, got a class with {fewest} in the {name} set")


def of_class(config: Targeted, side: Split, c: int, *, name: str) -> Split:
    """The points of class c, in a random order that the seed fixes, as many as are looked at."""
    indices = (side.labels == c).nonzero()[:, 0]
    order = torch.randperm(len(indices), generator=seeds.generator(config.seed, f"points of {name}, class {c}"))
    count = config.known + config.judged if config.judged else len(indices)
    return side.subset(indices[order[:count].to(indices.device)])


def looks_at(config: Targeted, network: Network, side: Split, device: str, classes: int) -> dict[str, Tensor]:
    """Log-probabilities of each point's image and untargeted example (n, k), and of its targeted ones (n, (k - 1) k)."""
    attack, side = attack_of(config), side.to(device)

    def aimed(x: Tensor, target: Tensor) -> Tensor:
        return answer(network, x, target, attack=attack, precision=config.precision, targeted=True)

    batches = torch.split(torch.arange(len(side), device=device), BATCH[torch.device(device).type])
    return {
        "benign": logits(network, side, device=device).log_softmax(1),
        "untargeted": logits(network, side, device=device, attack=attack, precision=config.precision).log_softmax(1),
        "targeted": torch.cat([targeted_answers(aimed, *side.take(b), classes=classes).flatten(1) for b in batches]),
    }


def by_methods(looks: Mapping[str, Mapping[str, Tensor]], *, known: int, seed: int, label: int) -> dict[str, float]:
    """The accuracy in percent of each method on the points after the first `known`, of which it learns.

    Models see probabilities, as the paper has it; those called "_log" see log-probabilities, which do not saturate.
    """
    told = {}
    for inputs in ("benign", "untargeted", "targeted"):
        member, nonmember = looks["train"][inputs], looks["test"][inputs]
        for suffix, scale in (("", torch.exp), ("_log", torch.clone)):
            sides = [scale(side) for side in (member, nonmember)]
            generator = seeds.generator(seed, f"inference network {inputs}{suffix} {label}")
            learnt, judged = (tuple(side[part] for side in sides) for part in (slice(known), slice(known, None)))
            told[f"model_{inputs}{suffix}"] = 100 * learnt_accuracy(learnt, judged, generator=generator)  # type: ignore[arg-type]
        if inputs != "targeted":
            told[f"confidence_{inputs}"] = 100 * _by_confidence(member, nonmember, known=known, label=label)
    return told


def _by_confidence(member: Tensor, nonmember: Tensor, *, known: int, label: int) -> float:
    scores = [log_odds(side, torch.full((len(side),), label, device=side.device)) for side in (member, nonmember)]
    limit = best_threshold(*(side[:known] for side in scores))[0]
    return by_threshold(*(side[known:] for side in scores), threshold=limit).accuracy
