"""Does a victim give its members away? By thresholds, by shadows of its own kind, and by its labels alone.

`Leak` judges all members and as many others. What tells of an image is a score, on itself or (`adv_`) on an adversarial example
that was made of it for the very model: the log-odds of its label in the mean answer (`odds`), the modified entropy of that
(`entropy`), whether it is right (`gap`), the log-odds in one draw (`draw`), or how little they vary over the draws (`spread`).
A threshold takes a score as it is; LiRA and RMIA compare it with those that 16 shadows give. `LabelOnly` knows nothing but how
far an image is from getting another label.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from experiments.cell import Count, Result, Share, Size, checked
from experiments.inference import halved, permuted, sampled
from experiments.papers.at_once.evasion import FARTHEST
from experiments.papers.at_once.victims import Cell, halves, inside, pool
from experiments.run import Bench, in_batches, recognised
from lib import seeds
from lib.data import Split
from lib.errors import BadValue
from lib.evasion import pgd
from lib.membership import (
    MEMBERSHIP_SCORES,
    auc,
    boundary_distances,
    by_threshold,
    label_only,
    lira,
    log_odds,
    rmia,
    roc,
    tpr_at_fpr,
)
from lib.metrics import percent
from lib.uncertainty import Victim

OF_THE_MEAN = {"odds": "log_odds", "entropy": "negative_modified_entropy", "gap": "correctness"}
# Which score each is of, which shadows count, and whose variance: of fewer than 64, Carlini et al. advise the global one.
LIRA: dict[str, tuple[str, dict[str, Any]]] = {
    "lira": ("odds", {"variance": "global"}),
    "lira_own": ("odds", {"variance": "per_example"}),
    "lira_offline": ("odds", {"variance": "global", "online": False}),
    "lira_draw": ("draw", {"variance": "global"}),
    "lira_spread": ("spread", {"variance": "global"}),
    "adv_lira": ("adv_odds", {"variance": "global"}),
}
RMIA: dict[str, tuple[str, dict[str, Any]]] = {
    "rmia": ("odds", {}),
    "rmia_offline": ("odds", {"online": False}),
    "adv_rmia": ("adv_odds", {}),
}
CURVES = ("odds", "adv_odds", "lira", "rmia", "label_only")  # of which the ROC is recorded
Scores = dict[str, Tensor]  # (n,) each, by name


@checked
class Leak(Cell):
    """What a victim's answers tell of membership."""

    TITLES = ("membership by answers",)

    attack: Literal["leak"] = "leak"
    shadows: Size = 16  # 0: thresholds alone
    epsilon: Share = 0.1  # of the adversarial examples, in l_inf
    attack_steps: Count = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shadows % 2:
            raise BadValue(f"shadows: expected an even number, for each image to be in half, got {self.shadows}")

    def work(self) -> float:
        """Every model is trained, answers to the pool, and is attacked on it."""
        answers = 2 * self.train_size * (2.0 + 2 * self.attack_steps) * self.passes
        return (1 + self.shadows) * (self.training_work() + answers)

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Judge each score by the victim's members and the other half of the pool."""
        points, which = pool(self, bench.dataset).to(bench.device), inside(self).to(bench.device)
        scores = scores_of(self, victim, points)
        measured = {"test_points": float(len(points)), "test_accuracy": percent(recognised(victim, bench.test()))}
        for name, part in {"train": which, "others": ~which}.items():
            measured |= {
                f"{side}{name}_accuracy": 100 * float(scores[f"{side}gap"][part].mean()) for side in ("", "adv_")
            }
        scores |= self.by_shadows(bench, points, scores) if self.shadows else {}
        return judged(scores, which, seed=seeds.derive(self.seed, self.kind), also=measured)

    def by_shadows(self, bench: Bench, points: Split, scores: Scores) -> Scores:
        """What LiRA and RMIA make of the scores of the victim beside those of its shadows."""
        cells = [self.shadow(i) for i in range(1, self.shadows + 1)]
        which = torch.stack([inside(cell) for cell in cells])
        # The victims of all seeds have the same shadows.
        found = [
            bench.part(cell, "scores", partial(scores_of, cell, cell.victim(bench)[0], points), shared=True)
            for cell in cells
        ]
        stacks = {name: torch.stack([one[name] for one in found]) for name in scores}
        varied = {name for name, stack in stacks.items() if stack.any()}  # a single draw has no spread to compare
        made = {name: lira(stacks[of], which, scores[of], **how) for name, (of, how) in LIRA.items() if of in varied}
        return made | {name: rmia(stacks[of], which, scores[of], **how) for name, (of, how) in RMIA.items()}


@checked
class LabelOnly(Cell):
    """What the distance to another label tells of membership, by HopSkipJump that knows whether the victim is random."""

    TITLES = ("membership by labels alone",)

    attack: Literal["label_only"] = "label_only"
    judged: Count = 200  # members, and as many others
    iterations: Count = 10
    budget: Count = 3000  # answers an image, about
    check_answers: Count = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.judged > self.train_size:
            raise BadValue(f"judged: expected at most {self.train_size}, the number of members, got {self.judged}")

    def work(self) -> float:
        """An answer is a draw of each pass."""
        return self.training_work() + 2.0 * self.judged * self.budget * self.passes

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Judge the distances of members and of others; an image that is not recognised has none."""
        sides = [side.first(self.judged).to(bench.device) for side in halves(self, bench.dataset)]
        points = Split(*(torch.cat(column) for column in zip(*((s.images, s.labels) for s in sides), strict=True)))
        x, y = points.take(torch.arange(len(points), device=bench.device))
        source = seeds.generator(self.seed, "label only", bench.device)
        settings = self.chosen("iterations budget check_answers") | {"farthest": FARTHEST}
        with bench.attacking():
            distance = boundary_distances(victim, x, y, generator=source, **settings)
        which = torch.arange(len(points)) < self.judged
        scores = {"label_only": label_only(distance), "gap": (distance > 0).double()}
        measured = {"test_points": float(len(points)), "unreached": 100 * float(distance.isinf().double().mean())}
        for name, part in {"train": which, "others": ~which}.items():
            measured |= {f"{name}_distance": float(distance[part].clamp_max(x[0].numel() ** 0.5).median())}
        seed = seeds.derive(self.seed, self.kind)
        return judged(scores, which.to(bench.device), seed=seed, also=measured)


def scores_of(cell: Leak, victim: Victim, points: Split) -> Scores:
    """Every score of a model, on the images and on adversarial examples made for it: the larger, the more like a member."""
    found: list[Scores] = []
    for x, y in in_batches(points, cell.passes):
        adversarial = pgd(victim, x, y, epsilon=cell.epsilon, steps=cell.attack_steps, loss="log_odds")
        looks = {"": look(victim, x, y), "adv_": look(victim, adversarial, y)}
        found.append({f"{side}{name}": score for side, scores in looks.items() for name, score in scores.items()})
    return {name: torch.cat([one[name] for one in found]) for name in found[0]}


@torch.no_grad()
def look(victim: Victim, x: Tensor, y: Tensor) -> Scores:
    """The scores of one batch, by one answer and its draws."""
    samples = victim.sample(x, victim.draws)
    draws = torch.stack([log_odds(one, y) for one in samples])
    mean = victim.combine(samples)
    scores = {name: MEMBERSHIP_SCORES[score](mean, y) for name, score in OF_THE_MEAN.items()}
    return scores | {"draw": draws[0], "spread": -draws.std(0, correction=0)}


def judged(scores: Scores, which: Tensor, *, seed: int, also: Mapping[str, float]) -> Result:
    """What each score (n,) tells of who is a member (n,), in percent, and what else was measured.

    `accuracy` is balanced, at the threshold that is best for these very points, `held_out` at that of half of them for the other
    half; `control_*` are of the same scores, dealt at random, otherwise for each score.
    """
    measured, curves = dict(also), dict[str, list[float]]()
    for name, score in scores.items():
        sides = score[which], score[~which]
        found = by_threshold(*sides).percent("accuracy", "auc", "tpr_at_1pct", "tpr_at_01pct")
        found["held_out"] = 100 * halved(*sides, seed=seed)
        dealt = permuted(*sides, seeds.generator(seed, f"permutation of {name}"))
        found |= {"control_auc": 100 * auc(*dealt), "control_tpr_at_1pct": 100 * tpr_at_fpr(*dealt, 0.01)}
        measured |= {f"{name}_{what}": value for what, value in found.items()}
        if name in CURVES:
            curves["fpr"], curves[f"tpr_{name}"] = sampled(roc(*sides))
    return Result(measured, curves)
