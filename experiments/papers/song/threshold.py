"""Table 1 and Figure 1: the accuracy of a victim, and membership inference by a threshold, on images and adversarial images.

The threshold is the best for the very points it is judged on, as in the paper ("worst case"). Beside it stand what an adversary
could do who does not know that: a threshold learnt on half of the points, or on a shadow; one a class; scores without a label;
and the gap attack, which calls members what is classified rightly.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from experiments.cell import Flag, Result, Size, checked
from experiments.inference import halved, halves, permuted, sampled
from experiments.papers.song.victims import LONG, Attack, Cell, attack_of, logits, members, points, shadow_of
from experiments.run import Bench
from lib import data, membership, seeds
from lib.data import Split
from lib.errors import BadValue
from lib.membership import above_class, best_threshold, by_threshold, class_thresholds, log_odds
from lib.metrics import accuracy
from lib.models import Network
from lib.training.robust import can_compile

BINS = 60  # of the recorded histograms of the loss
LOWEST, HIGHEST = 1e-8, 100.0  # their ends: half of the bins would be empty on a linear scale
LINEAR = 10.0  # where the linear histogram ends


@checked
class Threshold(Cell):
    """One victim and inference by thresholds on it."""

    TITLES = ("inference by thresholds",)

    attack: Literal["threshold"] = "threshold"
    judged: Size = 0  # members, and as many others, that are judged; 0: all there are
    shadow: Flag = False  # whether a shadow is trained as well

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shadow and not self.train_size:
            raise BadValue(
                "train_size: expected a part of the training set, to leave images for a shadow, got 0, all of it"
            )

    def work(self) -> float:
        """A shadow costs as much as the victim."""
        judged = sum(min(n, self.judged) if self.judged else n for n in points(self))
        return (1 + self.shadow) * (self.training_work() + judged * (2 + 2.0 * self.eval_steps))

    def check(self, dataset: data.Dataset) -> None:
        """Whether there are images enough for a shadow's members and others."""
        if self.shadow:
            members(replace(shadow_of(self), part=self.part + 2), dataset)

    def measure(self, bench: Bench, victim: Network) -> Result:
        """What tells the victim's members from the test images."""
        dataset, device = bench.dataset, bench.device
        sides = {"train": members(self, dataset), "test": dataset.test}
        sides = {name: side.first(self.judged or None) for name, side in sides.items()}
        labels = {name: side.labels.to(device) for name, side in sides.items()}
        measured: dict[str, float] = {"test_points": float(min(map(len, sides.values())))}
        curves: dict[str, list[float]] = {}
        for inputs, prefix, attack in (("benign", "", None), ("adversarial", "adv_", attack_of(self))):
            answers = {
                name: logits(victim, side, device=device, attack=attack, precision=self.precision)
                for name, side in sides.items()
            }
            measured |= {f"{prefix}{name}_accuracy": accuracy(answers[name], labels[name]) for name in sides}
            if attack is None:
                measured |= by_brightness(sides, answers)
            measured |= told_by(answers, labels, inputs, seed=self.seed, classes=len(dataset.classes))
            curves |= curves_of(answers, labels, inputs)
        if self.shadow:
            shadow, _ = shadow_of(self).victim(bench)
            measured |= by_shadow(self, dataset, victim, shadow, sides, device=device)
        return Result(measured, curves | trace_of(bench.notes))


@checked
class Compiled(Threshold):
    """A control: seed 0 of the natural Yale Face victim trained by what `torch.compile` makes of it, as all later victims are.

    Its first training was not compiled, and on another processor than the robust one that it is compared with.
    """

    VICTIM = (*Cell.VICTIM, "attack")  # not the weights of the victim that it controls
    TITLES = ("inference by thresholds, compiled control",)

    attack: Literal["threshold_compiled"] = "threshold_compiled"  # type: ignore[assignment]

    def check(self, dataset: data.Dataset) -> None:
        """Whether it will be compiled, if it is long enough to be worth it."""
        super().check(dataset)
        if self.training_work() >= LONG and not can_compile("cpu"):
            raise BadValue("compiled: expected a machine on which torch.compile works, got one without a C++ compiler")


def by_brightness(sides: dict[str, Split], answers: dict[str, Tensor]) -> dict[str, float]:
    """The accuracy in percent on the darkest third of the images of each side, and on the rest: faces come in any light."""
    found = {}
    for name, side in sides.items():
        order = side.images.flatten(1).sum(1).argsort(stable=True).cpu()
        third = -(-len(order) // 3)
        for which, kept in {"dark": order[:third], "light": order[third:]}.items():
            if len(kept) > 0:
                found[f"{which}_{name}_accuracy"] = accuracy(answers[name].cpu()[kept], side.labels.cpu()[kept])
    return found


def told_by(
    answers: dict[str, Tensor], labels: dict[str, Tensor], inputs: str, *, seed: int, classes: int
) -> dict[str, float]:
    """What logits tell of membership, in percent, each name with the kind of `inputs` behind it."""
    member, nonmember = (log_odds(answers[side], labels[side]) for side in ("train", "test"))
    found = by_threshold(member, nonmember)
    told = {
        "inference": found.accuracy,
        "honest": halved(member, nonmember, seed=seed),
        "class_honest": halved_by_class(member, nonmember, labels, seed=seed, classes=classes),
        "control": halved(*permuted(member, nonmember, seeds.generator(seed, "permutation")), seed=seed),
        "gap": membership.gap_attack(answers["train"], labels["train"], answers["test"], labels["test"]).accuracy,
    }
    for name in ("entropy", "modified_entropy"):
        score = membership.MEMBERSHIP_SCORES[f"negative_{name}"]
        scores = (score(answers[side], labels[side]) for side in ("train", "test"))
        told[name] = best_threshold(*scores)[1]
    told = {name: 100 * value for name, value in told.items()} | {"threshold": found.threshold}  # that in log-odds
    told |= found.percent("auc", "advantage", "tpr_at_1pct", "tpr_at_01pct")
    return {f"{name}_{inputs}": value for name, value in told.items()}


def halved_by_class(member: Tensor, nonmember: Tensor, labels: dict[str, Tensor], *, seed: int, classes: int) -> float:
    """The same with a threshold for each class; classes that lack points on a side keep the common threshold."""
    known, judged = list[Tensor](), []
    for name, scores in {"train": member, "test": nonmember}.items():
        first, second = halves(scores, seed=seed, side=name)
        known += [scores[first], labels[name][first]]
        judged.append((scores[second], labels[name][second]))
    thresholds = class_thresholds(*known, classes=classes)
    return by_threshold(*(above_class(*side, thresholds) for side in judged), threshold=0.0).accuracy


def by_shadow(
    config: Threshold, dataset: data.Dataset, network: Network, shadow: Network, sides: dict[str, Split], *, device: str
) -> dict[str, float]:
    """Accuracy on the victim with the threshold that is best on `shadow`, which was trained on other images.

    The shadow's non-members are the training images of a third part: none of them is judged on the victim.
    """
    other = shadow_of(config)
    known = {"train": members(other, dataset), "test": members(replace(other, part=other.part + 1), dataset)}
    known = {name: side.first(config.judged or None) for name, side in known.items()}

    def scores(of: Network, split: Split, chosen: Attack | None) -> Tensor:
        answers = logits(of, split, device=device, attack=chosen, precision=config.precision)
        return log_odds(answers, split.labels.to(device))

    told = {}
    for inputs, chosen in (("benign", None), ("adversarial", attack_of(config))):
        limit = best_threshold(*(scores(shadow, split, chosen) for split in known.values()))[0]
        found = by_threshold(*(scores(network, split, chosen) for split in sides.values()), threshold=limit)
        told[f"shadow_{inputs}"] = 100 * found.accuracy
    return told


def curves_of(answers: dict[str, Tensor], labels: dict[str, Tensor], inputs: str) -> dict[str, list[float]]:
    """The ROC and, of members and of others, the histogram of the loss: shares of each side, linear and logarithmic."""
    member, nonmember = (log_odds(answers[side], labels[side]) for side in ("train", "test"))
    fpr, tpr = sampled(membership.roc(member, nonmember))
    curves = {f"fpr_{inputs}": fpr, f"tpr_{inputs}": tpr}
    scales = {"linear": torch.linspace(0, LINEAR, BINS + 1, dtype=torch.float64)}
    scales["log"] = torch.logspace(math.log10(LOWEST), math.log10(HIGHEST), BINS + 1, dtype=torch.float64)
    for side, odds in (("train", member), ("test", nonmember)):
        # -log p_y = log(1 + exp(-log-odds))
        loss = torch.nn.functional.softplus(-odds.double()).cpu()
        for scale, edges in scales.items():
            counts = torch.histogram(loss.clamp(edges[0].item(), edges[-1].item()), edges).hist
            curves[f"loss_{scale}_{side}_{inputs}"] = [round(share, 6) for share in (counts / len(loss)).tolist()]
            curves[f"loss_{scale}_edges"] = edges.tolist()
    return curves


def trace_of(notes: Mapping[str, Any]) -> dict[str, list[float]]:
    """What was observed while the victim trained, one list a quantity."""
    observed: list[dict[str, float]] = notes["observed"]
    return {f"trace_{name}": [row[name] for row in observed] for name in (observed[0] if observed else {})}
