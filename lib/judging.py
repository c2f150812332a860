"""Judging a victim by fresh draws that no attack has seen: its answer, the vote of its draws, and how uncertain it is."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import BadValue, check_count, check_kind
from .evasion.checks import check_answers, check_images
from .evasion.pieces import images_at_once
from .uncertainty import UNCERTAINTY_SCORES, Victim, scores_of


@dataclass(frozen=True)
class Judgement:
    """What fresh draws say of n images."""

    answer: Tensor  #: (n,) the class of the mean over the draws
    vote: Tensor  #: (n,) the class that most draws give
    scores: dict[str, Tensor]  #: by its name, each uncertainty score (n,) that the victim has
    log_probabilities: Tensor  #: (n, k) of the mean over the draws


def judge(victim: Victim, x: Tensor, *, draws: int = 50) -> Judgement:
    """Judge images (n, c, h, w) by fresh draws.

    Args:
        victim: one that `uncertainty.estimate` makes.
        x: the images, inside its bounds.
        draws: how many fresh random passes make up the judgement of an image; a victim that is not random has only its own.

    Raises:
        BadValue: no images, or some outside its bounds; fewer than one draw; a victim that is none of `uncertainty`, is
            training or answers NaN.

    Warns:
        VictimWarning: the network answers with probabilities.
    """
    check_kind("victim", victim, Victim, "one that `uncertainty.estimate` makes")
    check_kind("x", x, Tensor, "a torch.Tensor")
    check_images(victim, x, torch.zeros(x.shape[:1], dtype=torch.int64), gradients=False)
    check_count("draws", draws)
    if len(x) == 0:
        raise BadValue("x: expected at least one image, got none")
    draws = draws if victim.random else victim.draws
    names, parts = scores_of(victim), list[list[Tensor]]()
    with torch.no_grad():
        for batch in torch.split(x, images_at_once(x.device, draws)):
            samples = check_answers(victim.sample(batch, draws))
            votes = torch.nn.functional.one_hot(samples.argmax(-1), samples.shape[-1]).sum(0)
            scores = [UNCERTAINTY_SCORES[name](victim, batch, samples) for name in names]
            parts.append([victim.combine(samples), votes.argmax(1), *scores])
    logits, vote, *scores = (torch.cat(column) for column in zip(*parts, strict=True))
    return Judgement(logits.argmax(1), vote, dict(zip(names, scores, strict=True)), logits.log_softmax(1))
