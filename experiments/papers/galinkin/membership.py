"""Membership inference with one shadow network (Salem et al. 2019, the first adversary), as written and as coded.

As written: target and shadow are trained on disjoint halves, the attack network learns on the shadow's three largest posteriors,
and judges as many members of the target as non-members. As the paper's code has it: the shadow, another network, is trained on
the very images of the target, the target is asked about pixels between 0 and 255, and the "accuracy" is taken over all training
and all test images, six (CIFAR-10: five) members for every non-member. Each of these differences is a setting here.
"""

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from experiments.cell import Precision, Result, Size, checked
from experiments.inference import (
    AttackConfig,
    AttackNet,
    membership_scores,
    permuted,
    sampled,
    spread,
    top3,
    train_attack,
)
from experiments.papers.galinkin.victims import Cell, Part, splits
from experiments.run import Bench, in_batches
from lib import data, seeds
from lib.data import Split
from lib.errors import BadValue
from lib.membership import by_threshold, log_odds, roc
from lib.metrics import accuracy
from lib.uncertainty import MonteCarloDropout, Victim

# The shadow of the paper's code.
CODED: dict[str, Any] = {
    "network": "shadow_coded",
    "batch_size": 32,
    "learning_rate": 0.01,
    "patience": 3,
    "augmentation": "flip_and_rotate",
}
INPUTS = {"unit": 1.0, "raw": 255.0}
CONFIGS = {
    "salem": AttackConfig(),
    # Keras's plain SGD, at its batch size
    "as_coded": AttackConfig(
        hidden=(128, 128), activation="tanh", standardise=False, epochs=25, batch_size=32, optimizer="sgd"
    ),
}


@checked
class Membership(Cell):
    """One attack on the membership of one victim's training set."""

    TITLES = ("membership inference",)

    attack: Literal["membership"] = "membership"
    part: Part = "target"
    adversary: Literal["salem", "as_coded"] = "salem"  # whose attack network, and whose shadow
    features: Literal["top3", "top3_spread", "unsorted"] = "top3"
    shadow: Literal["disjoint", "same"] = "disjoint"  # trained on the other half, or on the target's own images
    inputs: Literal["unit", "raw"] = "unit"  # the scale of the pixels that the target is asked about
    # Test images, or those with dark and light exchanged: from another distribution.
    nonmembers: Literal["test", "inverted"] = "test"
    answer_precision: Precision = "float32"  # of the judged answers: bfloat16 would tie members with others
    members: Size = 5000  # judged, and learnt from, on each side; 0: all training and all test images

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shadow == "disjoint" and self.part == "whole":
            raise BadValue("shadow: expected same where the target is trained on the whole, got 'disjoint'")
        if self.features == "top3_spread" and self.adversary != "salem":
            raise BadValue(f"features: top3_spread needs a shadow with dropout, which {self.adversary} has not")
        if self.features == "top3_spread" and self.answers != "mean":
            raise BadValue(f"features: top3_spread needs answers=mean: one draw has no spread; got {self.answers!r}")

    def work(self) -> float:
        """The attack network costs next to nothing."""
        return 2 * self.training_work() + self.passes * 4.0 * 10_000

    def check(self, dataset: data.Dataset) -> None:
        """Whether there are as many members and others as are asked for."""
        pools(self, dataset)

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Train the shadow and the attack network, and judge that on the target's answers."""
        dataset, scale = bench.dataset, INPUTS[self.inputs]
        sides = pools(self, dataset)
        shadow, _ = shadow_of(self).victim(bench)
        known, other = (features_of(self.features, shadow, sides[name]) for name in ("shadow_in", "shadow_out"))
        order = seeds.generator(self.seed, "attack network")
        net = train_attack(known, other, CONFIGS[self.adversary], generator=order)
        inside, outside = (features_of(self.features, victim, sides[name], scale=scale) for name in ("in", "out"))
        member, nonmember = (membership_scores(net, side).double() for side in (inside, outside))
        measured = rates(member, nonmember, ratio=len(dataset.train) / len(dataset.test))
        measured |= control(net, inside, outside, seed=self.seed)
        measured |= by_log_odds(victim, sides, scale=scale)
        measured |= {
            "accuracy": right(victim, dataset.test),
            "train_accuracy": right(victim, splits(self, dataset)[0].first(10_000)),
            "test_points": float(len(member) + len(nonmember)),
        }
        watched = [seen["validation_loss"] for seen in bench.notes.get("observed", [])]  # notes of old have none
        curve = dict(zip(("fpr", "tpr"), sampled(roc(member, nonmember)), strict=True))
        return Result(measured, curve | ({"watched_loss": watched} if watched else {}))


def shadow_of(config: Membership) -> Membership:
    """The shadow that the adversary trains, as a victim of its own."""
    other = {"target": "shadow", "shadow": "target"}
    shadow = replace(config, copy=1, part=config.part if config.shadow == "same" else other[config.part])
    if config.adversary == "salem":
        return shadow
    return replace(shadow, bayesian=False, answers="off", **CODED)


def pools(config: Membership, dataset: data.Dataset) -> dict[str, Split]:
    """Members and others of the target (in, out) and of the shadow (shadow_in, shadow_out).

    Every other image is on one side only: half of the test set is for the attack network to learn on. With all images, as
    coded, both sides have the whole test set, and the shadow's members are the last of the training set, as many as that.

    Raises:
        BadValue: fewer images than are asked for.
    """
    inside, shadow_inside = (splits(one, dataset)[0] for one in (config, shadow_of(config)))
    test = dataset.test
    if config.nonmembers == "inverted":
        test = Split(255 - test.images, test.labels)
    if config.members == 0:
        last = torch.arange(max(0, len(shadow_inside) - len(test)), len(shadow_inside))
        return {"in": inside, "out": test, "shadow_in": shadow_inside.subset(last), "shadow_out": test}
    half = len(test) // 2
    fewest = min(len(inside), len(shadow_inside), half)
    if fewest < config.members:
        raise BadValue(f"members: expected at most {fewest}, what there is on each side, got {config.members}")
    order = torch.randperm(len(test), generator=seeds.generator(config.seed, "non-members"))
    outside, shadow_outside = test.subset(order[:half]), test.subset(order[half:])
    found = {"in": inside, "out": outside, "shadow_in": shadow_inside, "shadow_out": shadow_outside}
    return {name: side.first(config.members) for name, side in found.items()}


def log_probabilities(victim: Victim, split: Split, *, scale: float = 1.0) -> Tensor:
    """What `victim` answers to every image, draw by draw (m, n, k); m is 1 for all but the mean of draws."""

    def draw(x: Tensor) -> Tensor:
        several = isinstance(victim, MonteCarloDropout)
        return victim.sample(x, victim.draws).log_softmax(-1) if several else victim(x)[None]

    batches = in_batches(split.to(next(victim.parameters()).device), victim.draws)
    with torch.no_grad():
        return torch.cat([draw(x * scale) for x, _ in batches], 1)


def posteriors_of(answers: Tensor) -> Tensor:
    """The mean posterior (n, k) of draws (m, n, k)."""
    return answers.exp().mean(0)


def features_of(features: str, victim: Victim, split: Split, *, scale: float = 1.0) -> Tensor:
    """What the attack network sees of the victim's answers to `split`: (n, f)."""
    answers = log_probabilities(victim, split, scale=scale)
    posteriors = posteriors_of(answers)
    if features == "unsorted":  # as the paper's code has them: the attack network also sees which class it is
        return posteriors
    largest = top3(posteriors)
    return torch.cat([largest, spread(answers)], 1) if features == "top3_spread" else largest


def rates(member: Tensor, nonmember: Tensor, *, ratio: float) -> dict[str, float]:
    """What the attack network's scores tell, in percent; it says "member" where a score is at least 0.

    `ratio` is that of training to test images, by which the paper's code weighs the two rates that make its accuracy. Its "AUC"
    is `roc_auc_score` of the decisions on members and the opposites of those on others, with labels 1 and 0: an attack that calls
    all members gets 1, a perfect one 1/2, as does a coin.
    """
    found = by_threshold(member, nonmember, threshold=0.0)
    says = [(side >= 0) for side in (member, nonmember)]
    tpr, fpr = (side.double().mean().item() for side in says)
    return found.percent("auc", "advantage", "tpr_at_1pct", "tpr_at_01pct") | {
        "membership": 100 * found.accuracy,
        "membership_as_coded": 100 * (ratio * tpr + (1 - fpr)) / (ratio + 1),
        "tpr": 100 * tpr,
        "fpr": 100 * fpr,
        # The ROC of a decision has one corner and the area (t + 1 - f) / 2, where t = TPR but, for the flip, f = 1 - FPR.
        "auc_as_coded": 100 * ((tpr + fpr) / 2),
    }


def control(net: AttackNet, inside: Tensor, outside: Tensor, *, seed: int) -> dict[str, float]:
    """The same attack network on the same answers, dealt at random to "members" and "non-members": it has to sit at 50 %."""
    sides = permuted(inside, outside, seeds.generator(seed, "permutation"))
    found = by_threshold(*(membership_scores(net, side).double() for side in sides), threshold=0.0)
    return {"control": 100 * found.accuracy, "control_auc": 100 * found.auc}


def by_log_odds(target: Victim, sides: dict[str, Split], *, scale: float) -> dict[str, float]:
    """What the log-odds of the true label tell without any shadow, at the best threshold for these points, in percent."""
    scores = []
    for name in ("in", "out"):
        answers = log_probabilities(target, sides[name], scale=scale)
        mean = answers.logsumexp(0) - torch.tensor(float(len(answers))).log()
        scores.append(log_odds(mean, sides[name].labels.to(mean.device)))
    found = by_threshold(*scores)
    told = found.percent("auc", "tpr_at_1pct", "tpr_at_01pct") | {"membership": 100 * found.accuracy}
    return {f"odds_{name}": value for name, value in told.items()}


def right(victim: Victim, split: Split) -> float:
    """The accuracy of the victim's answers in percent."""
    return accuracy(posteriors_of(log_probabilities(victim, split)), split.labels.to(next(victim.parameters()).device))
