"""Table 2: inference class by class, by thresholds and by small networks, on images, adversarial and targeted adversarial images.

For each class the adversary knows the membership of some training and test points; he is judged on the others. A cell looks at as
many points of each class as its settings say, members and others alike.
"""

from collections.abc import Callable, Mapping
from functools import partial
from statistics import fmean
from typing import Literal

import torch
from torch import Tensor

from experiments.cell import Count, Result, Size, checked
from experiments.inference import AttackConfig, membership_scores, train_attack
from experiments.papers.song.victims import BATCH, Cell, answer, attack_of, logits, members, points
from experiments.run import Bench
from lib import data, seeds
from lib.data import Split
from lib.errors import BadValue
from lib.membership import best_threshold, by_threshold, log_odds
from lib.models import Network

INPUTS = ("benign", "untargeted", "targeted")
METHODS = ("confidence_benign", "model_benign", "confidence_untargeted", "model_untargeted", "model_targeted")

# "A 3-layer MLP": two hidden layers and one for the answer. The widths and the training are our choice, the paper has none.
MLP = AttackConfig(hidden=(64, 64), epochs=100, batch_size=100)


@checked
class Targeted(Cell):
    """One victim, and every method of Table 2 on it."""

    TITLES = ("inference class by class",)

    attack: Literal["targeted"] = "targeted"
    known: Count = 500  # points of each class and side whose membership the adversary knows
    classes: Count = 10  # how many, from the first
    judged: Size = 0  # points of each class and side that he is judged on; 0: all others

    def work(self) -> float:
        """Every point looked at is attacked towards every class."""
        targets = len(data.CLASSES[data.DIGITS.get(self.dataset, self.dataset)])
        looked_at = 2 * self.classes * (self.known + self.judged) if self.judged else sum(points(self))
        return self.training_work() + looked_at * targets * 2.0 * self.eval_steps

    def check(self, dataset: data.Dataset) -> None:
        """Whether every class has points to know and to judge."""
        if self.classes > len(dataset.classes):
            raise BadValue(f"classes: expected at most {len(dataset.classes)}, got {self.classes}")
        for name, side in sides_of(self, dataset).items():
            check_enough(self, name, side, classes=len(dataset.classes))

    def measure(self, bench: Bench, victim: Network) -> Result:
        """For each class learn from known points and judge the others."""
        sides, classes = sides_of(self, bench.dataset), len(bench.dataset.classes)
        by_class = []
        for c in range(self.classes):
            found = bench.part(self, f"class{c}", partial(looks_of, self, victim, sides, bench.device, c, classes))
            looks = {side: {inputs: found[f"{side}/{inputs}"] for inputs in INPUTS} for side in sides}
            by_class.append(by_methods(looks, known=self.known, seed=self.seed, label=c))
        measured = {f"{method}/class{c}": value for c, told in enumerate(by_class) for method, value in told.items()}
        measured |= {method: fmean(told[method] for told in by_class) for method in by_class[0]}
        return Result(measured | {"test_points": float(fewest_judged(self, sides))}, {})


def sides_of(config: Cell, dataset: data.Dataset) -> dict[str, Split]:
    """Members and others."""
    return {"train": members(config, dataset), "test": dataset.test}


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


def looks_of(
    config: Targeted, network: Network, sides: Mapping[str, Split], device: str, c: int, classes: int
) -> dict[str, Tensor]:
    """What `looks_at` finds of the points of class c, by "side/inputs"."""
    kept = {name: of_class(config, side, c, name=name) for name, side in sides.items()}
    looks = {name: looks_at(config, network, side, device, classes) for name, side in kept.items()}
    return {f"{name}/{inputs}": found for name, look in looks.items() for inputs, found in look.items()}


def looks_at(config: Targeted, network: Network, side: Split, device: str, classes: int) -> dict[str, Tensor]:
    """Log-probabilities of each point's image and untargeted example (n, k), and of its targeted ones (n, (k - 1) k)."""
    attack, side = attack_of(config), side.to(device)

    def aimed(x: Tensor, target: Tensor) -> Tensor:
        return answer(network, x, target, attack=attack, precision=config.precision, targeted=True)

    batches = side.batches(BATCH[torch.device(device).type])
    return {
        "benign": logits(network, side, device=device).log_softmax(1),
        "untargeted": logits(network, side, device=device, attack=attack, precision=config.precision).log_softmax(1),
        "targeted": torch.cat([targeted_answers(aimed, *batch, classes=classes).flatten(1) for batch in batches]),
    }


def targeted_answers(answer: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, *, classes: int) -> Tensor:
    """The log-probabilities of every targeted adversarial example of images `x` (n, c, h, w): (n, classes - 1, classes).

    `answer` takes images and targets (n,) to the logits (n, k) of adversarial images (Song et al. 2019, section 3.3.1): a point
    that was trained on lies deeper in its class, and how far away each boundary is they tell.
    The targets of an image of class y are y + 1, y + 2, ... modulo the number of classes, so that the same place means the same
    target within a class.
    """
    found = [answer(x, (y + shift) % classes).log_softmax(1) for shift in range(1, classes)]
    return torch.stack(found, 1)


def learnt_accuracy(
    known: tuple[Tensor, Tensor], judged: tuple[Tensor, Tensor], *, generator: torch.Generator
) -> float:
    """Balanced accuracy on `judged` features of an inference network trained on `known` ones; both (members, non-members).

    Args:
        known: features (n, f) of members and (m, f) of non-members.
        judged: the same of others.
        generator: on the CPU; of the network's weights and the order of its batches.
    """
    net = train_attack(*known, MLP, generator=generator)
    member, nonmember = (membership_scores(net, side) for side in judged)
    return (float((member >= 0).double().mean()) + float((nonmember < 0).double().mean())) / 2


def by_methods(looks: Mapping[str, Mapping[str, Tensor]], *, known: int, seed: int, label: int) -> dict[str, float]:
    """The accuracy in percent of each method on the points after the first `known`, of which it learns.

    Models see probabilities, as the paper has it; those called "_log" see log-probabilities, which do not saturate.
    """
    told = {}
    for inputs in INPUTS:
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
