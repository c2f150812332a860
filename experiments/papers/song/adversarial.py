"""Membership from the answers to targeted adversarial examples (Song et al. 2019, section 3.3.1), class by class.

A point that was trained on lies deeper in its class: the answers to the k - 1 images that PGD makes of it, one for each other
class as target, tell how far away each boundary is. A small network learns from these answers for points whose membership is
known.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from experiments.inference import AttackConfig, membership_scores, train_attack
from lib.errors import BadValue

# "A 3-layer MLP": two hidden layers and one for the answer. The widths and the training are our choice, the paper has none.
MLP = AttackConfig(hidden=(64, 64), epochs=100, batch_size=100)

Answer = Callable[[Tensor, Tensor], Tensor]  # images and targets (n,) to logits (n, k) of the adversarial images


def targeted_answers(answer: Answer, x: Tensor, y: Tensor, *, classes: int) -> Tensor:
    """The log-probabilities of every targeted adversarial example of images `x` (n, c, h, w): (n, classes - 1, classes).

    The targets of an image of class y are y + 1, y + 2, ... modulo the number of classes, so that the same place means the same
    target within a class.

    Raises:
        BadValue: labels that are no classes or do not match the images.
    """
    if y.shape != x.shape[:1] or (len(y) > 0 and not 0 <= y.min() <= y.max() < classes):
        shown = f"{tuple(y.shape)} with {y.flatten()[:5].tolist()}"
        raise BadValue(f"y: expected ({len(x)},) of classes 0 to {classes - 1}, got {shown}")
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
