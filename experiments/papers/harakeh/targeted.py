"""The Carlini-Wagner and JSMA rows of Table 2: ten runs of 90 to 100 targeted adversarial images each.

As in the CleverHans tutorials, a run takes one test image of every class, run r the r-th of its class, and aims each at
every class (CW: all ten, the own one included; JSMA: the nine others). The fooling rate is the share that reaches its target.
"""

from functools import partial
from typing import Annotated, Literal

import torch
from torch import Tensor

from experiments import detection
from experiments.cell import Count, OneOf, Result, Share, checked, within
from experiments.papers.harakeh.victims import Attack, Cell, in_batches
from experiments.run import Bench
from lib import data
from lib.errors import BadValue
from lib.evasion import FORMS, Look, carlini_wagner, jsma
from lib.judging import Judgement, judge
from lib.metrics import percent
from lib.uncertainty import Victim


@checked
class Targeted(Cell):
    """What both targeted attacks have in common."""

    form: Annotated[str, OneOf(FORMS)] = "mean"  # how the attack looks at a random victim
    attack_runs: Count = 10
    judges: Count = 50  # fresh draws that judge

    def examples_and_steps(self) -> tuple[int, float]:
        """How many images a run attacks, and the passes that each takes."""
        raise NotImplementedError

    def work(self) -> float:
        """Every step looks as the attack does; every example is judged."""
        examples, steps = self.examples_and_steps()
        judged = self.judges if self.passes > 1 else 1
        return self.training_work() + self.attack_runs * examples * (self.passes_per_look * steps + judged)

    def check(self, dataset: data.Dataset) -> None:
        """Whether there are enough images."""
        self.sources(dataset)

    def sources(self, dataset: data.Dataset) -> Tensor:
        """Indices of the test images that each run attacks: (runs, n)."""
        return one_of_each_class(dataset.test, len(dataset.classes), self.attack_runs)

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Aim images of every class at every class, and judge by fresh draws."""
        classes = len(bench.dataset.classes)
        sources = self.sources(bench.dataset).flatten()
        x, labels = bench.test().take(sources.to(bench.device))
        which, targets = aims(labels, classes, own=not isinstance(self, JSMA))
        attack = partial(self.on, Look(victim, self.form, draws=self.draws))
        with bench.attacking():
            adversarial = self.attacked(attack, x[which], targets, progress=bench.progress)
        found, clean = (judge(victim, images, draws=self.judges) for images in (adversarial, x))
        measured = success(found, targets, labels[which], runs=self.attack_runs)
        measured |= norms(x[which], adversarial, found.answer == targets)
        told_apart, curves = detection.by_scores(clean.scores, found.scores)
        source = {"source_accuracy": percent(clean.answer == labels)}
        return Result(measured | told_apart | source | {"test_points": float(len(targets))}, curves)

    def attacked(self, attack: Attack, x: Tensor, targets: Tensor, *, progress: bool) -> Tensor:
        """What the attack makes of all runs; its results do not depend on the batch."""
        return in_batches(self, attack, x, targets, progress=progress)

    def on(self, look: Look, x: Tensor, targets: Tensor) -> Tensor:
        """The attack on a batch."""
        raise NotImplementedError


@checked
class CW(Targeted):
    """One cell of the Carlini-Wagner rows."""

    TITLES = ("CW",)

    attack: Literal["cw"] = "cw"
    iterations: Count = 100
    search_steps: Count = 1
    constant: Annotated[float, within(1e-12, 1e10)] = 10.0
    attack_rate: Annotated[float, within(1e-12, 1e3)] = 0.1  # learning rate: 0.1 in CleverHans 2, 0.2 in 3
    confidence: Annotated[float, within(0, 1e6)] = 0.0

    def examples_and_steps(self) -> tuple[int, float]:
        """Each image is aimed at all ten classes, forward and backward."""
        return 100, 3.0 * self.iterations * self.search_steps

    def on(self, look: Look, x: Tensor, targets: Tensor) -> Tensor:
        """The attack on a batch."""
        own = self.chosen("iterations search_steps constant confidence")
        return carlini_wagner(look, x, targets, targeted=True, learning_rate=self.attack_rate, **own)


@checked
class JSMA(Targeted):
    """One cell of the JSMA rows."""

    TITLES = ("JSMA",)

    attack: Literal["jsma"] = "jsma"
    theta: Annotated[float, within(-1, 1)] = 1.0
    gamma: Share = 0.1

    def examples_and_steps(self) -> tuple[int, float]:
        """Each image is aimed at the nine other classes, and two features change in a step."""
        features = 3072 if "cifar10" in self.dataset else 784
        return 90, 5.0 * features * self.gamma / 2

    def on(self, look: Look, x: Tensor, targets: Tensor) -> Tensor:
        """The attack on a batch."""
        return jsma(look, x, targets, targeted=True, theta=self.theta, gamma=self.gamma)


@checked
class FirstTen(JSMA):
    """JSMA on what the tutorial attacks, the first ten test images, whatever their classes; a run a training."""

    TITLES = ("JSMA, first ten images",)

    attack: Literal["jsma_first_ten"] = "jsma_first_ten"  # type: ignore[assignment]
    attack_runs: Count = 1

    def sources(self, dataset: data.Dataset) -> Tensor:
        """The first ten of each run, one run after another."""
        if 10 * self.attack_runs > len(dataset.test):
            most = len(dataset.test) // 10
            raise BadValue(f"attack_runs: expected at most {most}, ten test images each, got {self.attack_runs}")
        return torch.arange(10 * self.attack_runs).view(-1, 10)


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


def success(found: Judgement, targets: Tensor, labels: Tensor, *, runs: int) -> dict[str, float]:
    """Fooling rates in percent: the mean of the runs, their minimum and maximum, and two other ways to count."""
    rates = 100 * (found.answer == targets).double().view(runs, -1).mean(1)
    return {
        "fooling_rate": rates.mean().item(),
        "fooling_rate_min": rates.min().item(),
        "fooling_rate_max": rates.max().item(),
        "fooling_rate_vote": percent(found.vote == targets),
        "misclassified": percent(found.answer != labels),
    }


def norms(x: Tensor, adversarial: Tensor, fooled: Tensor) -> dict[str, float]:
    """What was changed, measured afresh: mean l2 norm and share of changed features among those that fool, and the range.

    Where none fools, there is nothing to say of the first two.
    """
    change = (adversarial - x).flatten(1).double()
    outside = (-adversarial.min()).clamp_min(0).item() + (adversarial.max() - 1).clamp_min(0).item()
    found = {"unmoved": percent((change == 0).all(1)), "outside": outside}
    if fooled.any():
        found["l2"] = change.norm(dim=1)[fooled].mean().item()
        found["changed_features"] = 100 * (change != 0).double().mean(1)[fooled].mean().item()
    return found
