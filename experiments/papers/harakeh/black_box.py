"""The black-box rows of Table 2: FGSM on a substitute that was trained on the victim's labels, and the accuracy it leaves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from experiments.papers.harakeh.victims import Cell, draws_of, test_points, trained_victim, training_work
from experiments.records import Result
from lib import data, detection, models, seeds
from lib.errors import BadValue, check_count
from lib.evaluation import images_at_once, measure
from lib.evasion import fgsm
from lib.evasion.substitute import Oracle, SubstituteConfig, train_substitute
from lib.judging import judge
from lib.uncertainty import Victim


@dataclass(frozen=True, kw_only=True)
class BlackBox(Cell):
    """One cell of the black-box rows. The tutorial trains its oracle for ten epochs."""

    attack: str = "black_box"
    epochs: int = 10
    epsilon: float = 0.3
    held_out: int = 150  # test images that the attacker has
    rounds: int = 6
    step: float = 0.1  # lambda
    sign: str = "minus_then_plus"
    substitute_epochs: int = 10
    substitute_width: int = 200
    judges: int = 50
    judged: int = 1000  # the first so many of the attacked images are compared with a white box, and scored

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("held_out", "substitute_width", "judges", "judged"):
            check_count(name, getattr(self, name))
        self.with_numbers(epsilon=(0.0, 1.0), step=(0.0, 1.0))
        substitute_config(self)
        if self.held_out >= test_points(self):
            raise BadValue(f"held_out: expected fewer than the {test_points(self)} test images, got {self.held_out}")

    @classmethod
    def attacks(cls) -> tuple[str, ...]:
        """The black box alone."""
        return ("black_box",)


def substitute_config(config: BlackBox) -> SubstituteConfig:
    """The part of a cell that the substitute's training needs; Adam and its batches as in the victim's."""
    return SubstituteConfig(
        rounds=config.rounds,
        step=config.step,
        sign=config.sign,
        epochs=config.substitute_epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
    )


def work(config: BlackBox) -> float:
    """Images that pass through the victim, forward and backward counted three; the substitute costs next to nothing."""
    passes = 2 * test_points(config) + config.held_out * 2**config.rounds + 5 * config.judged
    return float(training_work(config) + draws_of(config) * passes + 2 * config.judged * config.judges)


def run(config: BlackBox, *, device: str, cache: Path | None, fresh: bool = False, progress: bool = False) -> Result:
    """Train the victim of `config` (or take it from `cache`) and a substitute of it, attack the substitute, and measure.

    Raises:
        BadValue: the data cannot be read, or a cached checkpoint is damaged (unless `fresh` trains anew).
    """
    dataset = data.loaded(config.dataset)
    victim, notes = trained_victim(config, dataset, device=device, cache=cache, fresh=fresh, progress=progress)
    test = dataset.test.first(config.test_size or None).to(device)
    indices = torch.arange(len(test), device=device)
    start = time.perf_counter()
    at_once = images_at_once(device, draws_of(config))
    oracle = Oracle(lambda x: torch.cat([victim(part).argmax(1) for part in torch.split(x, at_once)]))
    # Version 1 draws the substitute's weights as the victim's are drawn: no matter where the two have different shapes, but a
    # fully connected victim has the substitute's own, and both would start from the same weights.
    own = seeds.derive(config.seed, "substitute weights") % 2**31
    substitute = models.build(
        "fully_connected",
        shape=dataset.shape,
        classes=len(dataset.classes),
        seed=config.seed if config.version == 1 else own,
        width=config.substitute_width,
    ).to(device)
    held_out, _ = test.take(indices[: config.held_out])
    order = seeds.generator(config.seed, "substitute")
    agreement = train_substitute(
        oracle, substitute, held_out, substitute_config(config), generator=order, progress=progress
    )
    rest = test.subset(indices[config.held_out :])

    def through(_: Victim, x: Tensor, y: Tensor) -> Tensor:
        return fgsm(substitute, x, substitute(x).argmax(1), epsilon=config.epsilon)

    measured = measure(victim, rest, through)
    few = rest.first(config.judged)
    white = measure(victim, few, lambda v, x, y: fgsm(v, x, y, epsilon=config.epsilon))
    black = measure(victim, few, through)
    x, y = few.take(torch.arange(len(few), device=device))
    adversarial = through(victim, x, y)
    clean, found = (judge(victim, images, draws=config.judges) for images in (x, adversarial))
    curves: dict[str, list[float]] = {"agreement": agreement}
    for name, scores in found.scores.items():
        measured[f"auroc_{name}"] = detection.auroc(clean.scores[name], scores)
    measured |= {
        "adversarial_accuracy_vote": 100 * (found.vote == y).double().mean().item(),
        "white_box_accuracy": white["adversarial_accuracy"],
        "black_box_accuracy": black["adversarial_accuracy"],  # on the same images as the white box
        "substitute_accuracy": 100 * (substitute(x).argmax(1) == y).double().mean().item(),
        "substitute_agreement": 100 * (substitute(x).argmax(1) == clean.answer).double().mean().item(),
        "queries": float(oracle.queries),
        "training_loss": notes["losses"][-1],
        "training_seconds": notes["seconds"],
        "attack_seconds": round(time.perf_counter() - start, 2),
        "test_points": float(len(rest)),
    }
    return Result(measured, curves)
