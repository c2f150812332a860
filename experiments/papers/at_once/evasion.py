"""Every attack on every victim, and the worst of them image by image, judged by draws that none has seen.

An attack is a line of `ATTACKS`: what attacks, which settings of the cell it is handed, and how it looks at the victim. A line
is aware if it allows for a victim that is random; `worst_case_naive` is what somebody finds who has only the others.
"""

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, Strict
from torch import Tensor, nn

from experiments.cell import Count, Result, checked, within
from experiments.papers.at_once.victims import Cell
from experiments.run import Bench
from lib import seeds
from lib.errors import BadValue, VictimWarning
from lib.evaluation import Evaluation
from lib.evasion import Look, apgd, ball, boundary, carlini_wagner, fgsm, hop_skip_jump, pgd, square
from lib.metrics import percent
from lib.uncertainty import Victim
from lib.worst_case import evaluate

Budget = Annotated[float, within(0, 100)]
Budgets = Annotated[tuple[Budget, ...], Strict(False), Field(description="a finite number in [0, 100]")]


def noise(victim: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, norm: str, generator: torch.Generator) -> Tensor:
    """A control: random signs in l_inf, a random direction in l2, as long as the budget."""
    direction = torch.randn(x.shape, generator=generator, device=x.device)
    low, high = getattr(victim, "bounds", (0.0, 1.0))
    return (x + epsilon * ball.steepest(direction, norm)).clamp(low, high)


@dataclass(frozen=True)
class Line:
    """An attack as the table has it."""

    attack: Callable[..., Any]
    sizes: str = ""  # the settings of the cell that it is handed, by their names
    fixed: Mapping[str, Any] = field(default_factory=dict)  # and what it is always handed
    form: str = "mean"  # how it looks: one of `evasion.FORMS`, or "transfer", not at the victim but at another network
    draws: int = 0  # of one look; 0: as many as make up an answer of the victim
    aware: bool = False
    black_box: bool = False  # whether it follows no gradients of the victim
    stands_for: str = ""  # the line that is run in its place, with the same numbers, where the victim is not random


PGD, DECISIONS = "steps restarts", "budget"
FARTHEST = 1.8  # out, of a last point; the library goes farther now, which finds nearer points of the noisiest victims
BELIEVES: dict[str, Any] = {"lead": 1, "check_answers": 0}  # the first answer, as if nothing were random
ONE_DRAW = Line(pgd, PGD, form="one_draw")
AVERAGED = Line(pgd, PGD, form="expectation", draws=10, aware=True)
NOISE, TRANSFER = Line(noise, black_box=True), Line(pgd, PGD, form="transfer", black_box=True)
ATTACKS: dict[str, dict[str, Line]] = {
    "linf": {
        "noise": NOISE,
        "fgsm": Line(fgsm),
        "pgd_one_draw": ONE_DRAW,
        "pgd_mean": Line(pgd, PGD),
        "pgd_averaged_10": AVERAGED,
        "pgd_averaged_100": replace(AVERAGED, draws=100, stands_for="pgd_averaged_10"),
        "apgd": Line(apgd, "steps", form="expectation", aware=True),
        "apgd_targets": Line(apgd, "steps targets", {"loss": "dlr"}, form="expectation", aware=True),
        "square": Line(square, "queries", aware=True, black_box=True),
        "transfer": TRANSFER,
        "hop_skip_jump_naive": Line(
            hop_skip_jump,
            DECISIONS,
            {**BELIEVES, "confirm_answers": 0, "probe": 0.01},
            black_box=True,
            stands_for="hop_skip_jump_aware",
        ),
        "hop_skip_jump_aware": Line(hop_skip_jump, DECISIONS, {"farthest": FARTHEST}, aware=True, black_box=True),
    },
    "l2": {
        "noise": NOISE,
        "pgd_one_draw": ONE_DRAW,
        "pgd_mean": Line(pgd, PGD),
        "pgd_averaged_10": AVERAGED,
        "carlini_wagner": Line(carlini_wagner, "iterations", {"search_steps": 5}, form="expectation", aware=True),
        "transfer": TRANSFER,
        "boundary_naive": Line(boundary, DECISIONS, BELIEVES, black_box=True, stands_for="boundary_aware"),
        "boundary_aware": Line(boundary, DECISIONS, aware=True, black_box=True),
    },
}


@checked
class Evasion(Cell):
    """All attacks of one norm on one victim, at every budget."""

    TITLES = ("evasion, the worst of all attacks",)

    attack: Literal["evasion"] = "evasion"
    norm: Literal["linf", "l2"] = "linf"
    epsilon: Budget = 0.1  # that of the measurements; curves are over all
    epsilons: Budgets = (0.05, 0.1, 0.2, 0.3)
    test_size: Count = 100
    judges: Count = 50  # fresh draws behind a judgement
    steps: Count = 25  # of PGD and each run of APGD
    restarts: Count = 2
    targets: Count = 9
    queries: Count = 1000  # of Square, of which each is an answer of the victim
    iterations: Count = 100  # of Carlini and Wagner's attack
    budget: Count = 3000  # answers that an attack by decisions may have for an image

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epsilon not in self.epsilons:
            raise BadValue(f"epsilon: expected one of the epsilons, {self.epsilons}, got {self.epsilon}")

    def work(self) -> float:
        """Steps go forward and backward, for each draw that they look at; answers forward."""
        walks = {"linf": 4 + 11 * self.restarts + 1 + self.targets, "l2": 3 * self.restarts}[self.norm]
        steps = len(self.epsilons) * 3 * walks * self.steps
        answers = 2 * self.budget + len(self.epsilons) * (self.queries if self.norm == "linf" else 0)
        return self.training_work() + self.test_size * self.passes * (steps + answers + 15 * self.iterations)

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Attack the first test images, and count what is left at the headline budget and at all."""
        source = replace(self.shadow(1), kind="plain").victim(bench)[0]
        with bench.attacking(), warnings.catch_warnings(action="ignore", category=VictimWarning):  # they are counted
            found = evaluate(
                victim,
                bench.test(self.test_size),
                attacks_of(self, victim, source),
                epsilons=self.epsilons,
                norm=self.norm,
                draws=self.judges,
                generator=seeds.generator(self.seed, f"evasion in {self.norm}", bench.device),
            )
        at, left = self.epsilons.index(self.epsilon), accuracies(found, ATTACKS[self.norm])
        measured = {"accuracy": found.clean_accuracy, "epsilon": self.epsilon, "test_points": float(len(found.right))}
        measured |= {name: curve[at] for name, curve in left.items()}
        measured |= checks(found, ATTACKS[self.norm], at)
        return Result(measured, {"epsilons": list(self.epsilons), **left})


def attacks_of(config: Evasion, victim: Victim, source: Victim) -> dict[str, Callable[..., Any]]:
    """The lines of the table that are run against `victim`, `source` being the network that transfers come from."""

    def attack(line: Line) -> Callable[..., Any]:
        ready = functools.partial(line.attack, **line.fixed, **config.chosen(line.sizes))

        @functools.wraps(ready)  # whose signature tells `evaluate` what to hand in
        def through(victim: Victim, *images: Tensor, **settings: Any) -> Any:
            draws = line.draws or config.draws
            look = source if line.form == "transfer" else Look(victim, line.form, draws=draws)
            return ready(look, *images, **settings)

        return through

    lines = ATTACKS[config.norm].items()
    return {name: attack(line) for name, line in lines if victim.random or not line.stands_for}


def accuracies(found: Evaluation, lines: Mapping[str, Line]) -> dict[str, list[float]]:
    """Accuracy under each line of the table, the worst of them, and the worst of those that are not aware, by budget."""
    ran = {name: name if name in found.attacks else line.stands_for for name, line in lines.items()}
    left = {f"accuracy_{name}": found.accuracy[of] for name, of in ran.items()}
    naive = [found.attacks.index(ran[name]) for name, line in lines.items() if not line.aware]
    spared = 100 * (~found.success[naive].any(0)).double().mean(1)
    return {**left, "worst_case": found.worst_case, "worst_case_naive": spared.tolist()}


def checks(found: Evaluation, lines: Mapping[str, Line], at: int) -> dict[str, float]:
    """AutoAttack's checks as numbers, and what each attack cost.

    `only_black_box`: images in percent that attacks without gradients fool at the budget of place `at`, and none with them. Many
    are a sign that gradients are hidden (Athalye et al. 2018), which is AutoAttack's check by Square.
    """
    blind = torch.tensor([lines[name].black_box for name in found.attacks])
    fooled, seen = found.success[:, at], found.examination
    measured = {
        "only_black_box": percent(fooled[blind].any(0) & ~fooled[~blind].any(0)),
        "answers_at_random": float(seen.random),
        "answers_probabilities": float(seen.probabilities),
        "warnings": float(len(found.warnings)),
    }
    measured |= {f"zero_gradients_{loss}": 100 * share for loss, share in seen.zero_gradients.items()}
    for name, passes in found.passes.items():
        attacked = max(1, int(found.right.sum()))
        measured |= {f"forward_{name}": passes.forward / attacked, f"backward_{name}": passes.backward / attacked}
    return measured
