"""HopSkipJump and the Boundary attack on 100 images, as the paper writes of them, and aware that the victim is random.

The images are drawn from those of the test set that the victim recognises, by one answer and by vote. Success is counted in three
ways: by one more answer to what the attack returned and without a limit on the change, as the paper counts; by the vote of fresh
answers; and within limits on the change and on the answers spent.
"""

from typing import Annotated

import torch
from torch import Tensor

from experiments.cell import Count, Flag, OneOf, Precision, Result, Size, checked, within
from experiments.papers.galinkin.victims import Cell
from experiments.run import Bench, recognised
from lib import seeds
from lib.data import Split
from lib.errors import BadValue
from lib.evasion.boundary import boundary
from lib.evasion.decision import NORMS, Decided
from lib.evasion.hop_skip_jump import hop_skip_jump
from lib.evasion.oracle import tally
from lib.metrics import percent
from lib.uncertainty import Victim

# Limits on the change in each norm, on the scale of images in [0, 1]. `LIMIT` is the one that a single number is given for.
LIMITS = {
    "linf": (0.0, 0.01, 0.02, 8 / 255, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0),
    "l2": (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0, 60.0),
}
LIMIT = {"mnist": {"linf": 0.3, "l2": 2.0}, "cifar10": {"linf": 8 / 255, "l2": 0.5}}
# Answers that an aware Boundary attack may have for an image: at half of them random, its steps no longer end by themselves.
BUDGET = 20_000
# How far out HopSkipJump moves its last points; the library goes farther now, which finds nearer points of the noisiest victims.
FARTHEST = 1.8
ANSWERS_SPENT = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)


@checked
class Evasion(Cell):
    """One attack on one victim. An aware attack lets answers vote where one decides, and checks what it returns."""

    TITLES = ("HopSkipJump", "Boundary")

    attack: Annotated[str, OneOf(["hop_skip_jump", "boundary"])] = "hop_skip_jump"
    norm: Annotated[str, OneOf(NORMS)] = "linf"
    aware: Flag = False
    lead: Count = 5  # by how many answers a vote is decided; an attack that is not aware believes the first
    probe: Annotated[float, within(1e-6, 100)] = 0.01  # how far around a point it asks, as a share of its distance
    check_answers: Count = 50
    attempts: Count = 100
    iterations: Count = 50
    max_evaluations: Count = 10_000
    initial_evaluations: Count = 100
    start_tries: Count = 100
    judges: Count = 50  # fresh answers that vote
    test_size: Size = 0  # of the accuracy; 0: the whole test set
    answer_precision: Precision = "float32"  # bfloat16 would round away the attacks' small changes

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.attack == "boundary" and self.norm != "l2":
            raise BadValue(f"norm: expected l2 for the Boundary attack, got {self.norm!r}")
        if self.aware and self.answers == "off":
            raise BadValue("aware: expected False where nothing is random, got True")

    def work(self) -> float:
        """Answers of an attack that is aware cost half as much again."""
        if self.attack == "boundary":
            answers = 25.0 * self.iterations
        else:
            answers = self.initial_evaluations * 2 / 3 * self.iterations**1.5 + 30 * self.iterations
        often = 1.5 if self.aware else 1.0
        return self.training_work() + self.passes * (10_000 + self.attempts * (often * answers + self.judges))

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Attack images that the victim recognises, and judge the attack by fresh answers."""
        test = bench.test(self.test_size)
        right = recognised(victim, test)
        x, y = test.take(draw_images(victim, test, right, **self.chosen("seed attempts judges")))
        with bench.attacking():
            found = attack(self, victim, x, y)
        measured, curves = judge(self, victim, x, y, found)
        measured |= controls(self, victim, x, y, found.adversarial)  # last, for a random victim's draws go on
        return Result(measured | {"accuracy": percent(right), "test_points": float(self.attempts)}, curves)


def attack(config: Evasion, victim: Victim, x: Tensor, y: Tensor) -> Decided:
    """What the attack of `config` makes of images `x` that have labels `y`."""
    trust = config.chosen("lead check_answers") if config.aware else {"lead": 1, "check_answers": 0}
    usual = config.chosen("iterations start_tries") | trust
    usual["generator"] = seeds.generator(config.seed, "attack")
    if config.attack == "boundary":
        return boundary(victim, x, y, budget=BUDGET if config.aware else None, **usual)
    usual |= config.chosen("norm probe max_evaluations initial_evaluations") | {"farthest": FARTHEST}
    return hop_skip_jump(victim, x, y, step_outward=False, confirm_answers=0, **usual)


def draw_images(victim: Victim, test: Split, right: Tensor, *, seed: int, attempts: int, judges: int) -> Tensor:
    """Indices of `attempts` images of `test`, drawn from those that one answer got `right` and that a vote recognises as well.

    Raises:
        BadValue: there are too few.
    """
    indices = right.nonzero().flatten()
    order = torch.randperm(len(indices), generator=seeds.generator(seed, "attacked images"))
    chosen = indices[:0]
    for drawn in torch.split(indices[order.to(indices.device)], 2 * attempts):
        x, y = test.take(drawn)
        chosen = torch.cat([chosen, drawn[~outvoted(votes(victim, x, judges), y)]])
        if len(chosen) >= attempts:
            return chosen[:attempts]
    raise BadValue(f"attempts: expected at most {len(chosen)}, of {len(indices)} recognised images, got {attempts}")


def votes(victim: Victim, x: Tensor, judges: int) -> Tensor:
    """How often each class is the answer (n, k) when `judges` fresh answers are asked; one where nothing is random."""
    with torch.no_grad():
        asked = [victim(x) for _ in range(judges if victim.random else 1)]
    return torch.stack([torch.nn.functional.one_hot(scores.argmax(1), scores.shape[1]) for scores in asked]).sum(0)


def outvoted(counts: Tensor, y: Tensor) -> Tensor:
    """Whether some class has more of the votes (n, k) than class y (n,): a tie is won by y."""
    own, rival = tally(counts, y)
    return rival > own


def judge(
    config: Evasion, victim: Victim, x: Tensor, y: Tensor, found: Decided
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Success by one answer and by vote, without a limit and within limits; what was spent; shares in percent."""
    with torch.no_grad():
        by_one = victim(found.adversarial).argmax(1) != y
    by_vote = outvoted(votes(victim, found.adversarial, config.judges), y)
    distance = torch.linalg.vector_norm(
        (found.adversarial - x).flatten(1), NORMS[config.norm], dim=1
    )  # measured afresh
    limit = LIMIT["cifar10" if "cifar10" in config.dataset else "mnist"][config.norm]
    hit = by_vote & (distance > 0)
    measured = {
        "success": percent(by_one),
        "success_vote": percent(by_vote),
        "success_within": percent(by_vote & (distance <= limit)),
        "success_one_answer_within": percent(by_one & (distance <= limit)),
        "limit": limit,
        "median_distance": distance[hit].median().item() if hit.any() else -1.0,
        **spent(found, passes=config.passes),
    }
    curves = {
        "limit": list(LIMITS[config.norm]),
        "success_within": [percent(by_vote & (distance <= one)) for one in LIMITS[config.norm]],
        "success_one_answer_within": [percent(by_one & (distance <= one)) for one in LIMITS[config.norm]],
        "answers": [float(n) for n in ANSWERS_SPENT],
        "success_by_answers": [percent(distance_after(found, n) <= limit) for n in ANSWERS_SPENT],
    }
    return measured, curves


def spent(found: Decided, *, passes: int) -> dict[str, float]:
    """How often an attack had a start, and believes to have succeeded, in percent; and what it asked, on average an image."""
    answers = found.answers.double().mean().item()
    told = {"started": percent(found.trace_distance[0].isfinite()), "found": percent(found.found)}
    return told | {"answers": answers, "passes": answers * passes, "calls": float(found.calls)}


def controls(config: Evasion, victim: Victim, x: Tensor, y: Tensor, adversarial: Tensor) -> dict[str, float]:
    """Success on images that were changed alone, and what no attack, or noise of the same size, would have had, in percent.

    An image counts as changed if any pixel of it is; its noise has the same norm, but for what the bounds cut off: random signs
    in l_inf, a random direction in l2. By one answer as the paper counts, and by vote.
    """
    noisy = noise_like(adversarial - x, config.norm, seeds.generator(config.seed, "noise", str(x.device)))
    low, high = victim.bounds
    shown = {"_changed": adversarial, "_no_attack": x, "_noise": (x + noisy).clamp(low, high)}
    changed = (adversarial != x).flatten(1).any(1)
    measured = {"unchanged": percent(~changed)}
    for name, images in shown.items():
        counts = changed if name == "_changed" else torch.ones_like(changed)
        with torch.no_grad():
            by_one = victim(images).argmax(1) != y
        by_vote = outvoted(votes(victim, images, config.judges), y)
        measured |= {f"success{name}": percent(by_one & counts), f"success_vote{name}": percent(by_vote & counts)}
    return measured


def noise_like(change: Tensor, norm: str, generator: torch.Generator) -> Tensor:
    """Noise (n, c, h, w) whose norm is that of each `change` (n, c, h, w)."""
    size = torch.linalg.vector_norm(change.flatten(1), NORMS[norm], dim=1)
    noise = torch.randn(change.shape, generator=generator, device=change.device)
    noise = noise.sign() if norm == "linf" else noise
    own = torch.linalg.vector_norm(noise.flatten(1), NORMS[norm], dim=1)
    scaled: Tensor = noise * (size / own)[:, None, None, None]
    return scaled


def distance_after(found: Decided, answers: int) -> Tensor:
    """How far from each image (n,) the attack believed to be when it had had so many answers; infinite before its start."""
    rows = (found.trace_answers <= answers).sum(0)
    last = found.trace_distance.gather(0, (rows - 1).clamp_min(0)[None])[0]
    return torch.where(rows > 0, last, torch.inf)
