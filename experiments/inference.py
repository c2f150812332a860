"""What the papers' membership inference shares: a ROC curve to keep, thresholds learnt on half of the points, and the first
adversary of Salem et al. (2019).

The adversary trains a shadow of the victim on data of his own, so of the shadow he knows the members. On features of its
answers to these and to images it has not seen he trains an attack network, and asks that about the victim's answers.
"""

from collections.abc import Callable
from itertools import chain, pairwise
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.cell import Count, Flag, OneOf, Rate, checked
from lib import seeds
from lib.errors import BadValue
from lib.membership import Curve, best_threshold, by_threshold
from lib.metrics import mutual_information
from lib.seeds import check_generator

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


@checked
class AttackConfig:
    """The attack network and its training. The shape is that of Salem et al., the rest our choice.

    Raises:
        BadValue: a value outside its range.
    """

    hidden: Annotated[tuple[Count, ...], Field(min_length=1, description="a tuple of widths")] = (64,)
    activation: Annotated[str, OneOf(ACTIVATIONS)] = "relu"
    standardise: Flag = True  # posteriors are nearly 0 or 1, and their spread over draws is small: Adam sees neither
    epochs: Count = 30
    batch_size: Count = 128
    learning_rate: Rate = 1e-3
    optimizer: Literal["adam", "sgd"] = "adam"  # or plain SGD


class AttackNet(nn.Module):
    """Features (n, f) to the log-odds of membership (n,).

    One logit is what a softmax over two comes to: the difference of its two.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, features: int, config: AttackConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        check_generator(generator)
        widths = (features, *config.hidden)
        hidden = [(_linear(a, b, generator), ACTIVATIONS[config.activation]()) for a, b in pairwise(widths)]
        self.layers = nn.Sequential(*chain(*hidden), _linear(widths[-1], 1, generator))
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def forward(self, features: Tensor) -> Tensor:
        """The log-odds of membership (n,)."""
        logits: Tensor = self.layers((features - self.centre) / self.scale)
        return logits[:, 0]


def train_attack(
    member_features: Tensor, nonmember_features: Tensor, config: AttackConfig, *, generator: torch.Generator
) -> AttackNet:
    """An attack network trained on the features of a shadow's members (n, f) and non-members (m, f).

    The larger side is thinned at random to the size of the smaller.

    Args:
        member_features: of the images that the shadow was trained on.
        nonmember_features: of others.
        config: the network and its training.
        generator: on the CPU; weights, thinning and order of the batches come from it.

    Raises:
        BadValue: no features on one side, or a value that is not finite; no generator.
    """
    member, nonmember = _checked("member_features", member_features), _checked("nonmember_features", nonmember_features)
    net = AttackNet(member.shape[1], config, generator=generator).to(member.device)
    size = min(len(member), len(nonmember))
    x = torch.cat([side[_order(side, generator)[:size]] for side in (member, nonmember)])
    y = torch.cat([torch.ones(size), torch.zeros(size)]).to(x.device)
    if config.standardise:
        spread = x.std(0, correction=0)
        net.centre.copy_(x.mean(0))
        net.scale.copy_(torch.where(spread > 0, spread, 1.0))
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.SGD
    optimizer = kind(net.parameters(), config.learning_rate)
    for _ in range(config.epochs):
        for batch in torch.split(_order(x, generator), config.batch_size):
            loss = F.binary_cross_entropy_with_logits(net(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return net


def membership_scores(net: AttackNet, features: Tensor) -> Tensor:
    """The log-odds of membership (n,) that `net` gives to `features` (n, f); it calls members what has 0 or more.

    Raises:
        BadValue: no features, or a value that is not finite.
    """
    with torch.no_grad():
        scores: Tensor = net(_checked("features", features))
    return scores


def top3(posteriors: Tensor) -> Tensor:
    """The three largest posteriors of each row (n, k), in descending order: (n, 3). Of two classes, both."""
    return posteriors.sort(1, descending=True).values[:, :3]


def spread(log_probabilities: Tensor) -> Tensor:
    """What the draws of a random victim add, from their log-probabilities (m, n, k), to go beside `top3` of the mean: (n, 4).

    The standard deviation over the draws of each of the three posteriors whose means are largest, in the order of these, and
    the mutual information of label and draw.
    """
    p = log_probabilities.exp()
    likeliest = p.mean(0).sort(1, descending=True).indices[:, :3]
    deviations = p.std(0, correction=0).gather(1, likeliest)
    return torch.cat([deviations, mutual_information(log_probabilities)[:, None]], 1)


def sampled(curve: Curve, points: int = 100) -> tuple[list[float], list[float]]:
    """A curve to keep: `points` false-positive rates on a linear and on a logarithmic scale from 10⁻⁴ each, and the TPRs there.

    The TPR is the highest that a threshold with at most that FPR has.
    """
    chosen = sorted({round(float(rate), 6) for rate in [*np.logspace(-4, 0, points), *np.linspace(0, 1, points)]})
    return chosen, [curve.tpr_at(rate) for rate in chosen]


def halves(scores: Tensor, *, seed: int, side: str) -> tuple[Tensor, Tensor]:
    """Two halves of the indices of `scores`, at random."""
    order = torch.randperm(len(scores), generator=seeds.generator(seed, f"halves of {side}")).to(scores.device)
    return order[::2], order[1::2]


def halved(member: Tensor, nonmember: Tensor, *, seed: int) -> float:
    """Accuracy on one half of the points with the threshold that is best on the other half."""
    sides = {"train": member, "test": nonmember}
    split = [[scores[part] for part in halves(scores, seed=seed, side=name)] for name, scores in sides.items()]
    known, judged = zip(*split, strict=True)
    return by_threshold(*judged, threshold=best_threshold(*known)[0]).accuracy


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A layer with Glorot's uniform weights, as Keras has them."""
    with torch.random.fork_rng([]):  # PyTorch draws weights of its own, from its global generator
        layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def _checked(name: str, features: Tensor) -> Tensor:
    """`features` in float32, once they are known to be some."""
    if features.dim() != 2 or 0 in features.shape:
        raise BadValue(f"{name}: expected (n, f) with n, f >= 1, got {tuple(features.shape)}")
    features = features.detach().float()
    if not features.isfinite().all():
        raise BadValue(f"{name}: expected finite values, got {int((~features.isfinite()).sum())} that are not")
    return features


def _order(rows: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randperm(len(rows), generator=generator).to(rows.device)


def permuted(member: Tensor, nonmember: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A control: the same scores, or rows, dealt at random into groups of the same sizes, so that there is nothing to find."""
    check_generator(generator)
    both = torch.cat([member, nonmember])
    order = torch.randperm(len(both), generator=generator, device=generator.device).to(both.device)
    return both[order[: len(member)]], both[order[len(member) :]]
