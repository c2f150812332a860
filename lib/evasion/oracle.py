"""What a decision-based attack may ask, "is this image adversarial?", counted for each attacked image.

A random victim contradicts itself, and every published attack believes its first answer. With a lead of h the oracle asks again
until the class in question or its strongest rival is h answers ahead of the other: Wald's sequential test of whether a draw
prefers the one or the other. Clear cases take h answers, and only close ones more. Where a share p > 1/2 of the draws that
name either of two classes names the same one, the test decides against it with probability (gambler's ruin)

    error = 1 / (1 + (p / (1 - p))^h)

and after `max_answers` whichever is ahead wins.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.errors import BadValue, check_count, check_number
from lib.uncertainty import Victim


def error_rate(p: float, lead: int) -> float:
    """How often a lead of `lead` answers is wrong where a share `p` >= 1/2 of the draws is right (two classes, no limit).

    Raises:
        BadValue: p outside [1/2, 1], or a lead below 1.
    """
    p = check_number("p", p, low=0.5, high=1.0)
    check_count("lead", lead)
    # 1 / (1 + (p / (1 - p))^h)
    return (1 - p) ** lead / (p**lead + (1 - p) ** lead)


class DecisionOracle:
    """A victim that says of images whether they are adversarial; answers and passes are counted for each attacked image.

    Args:
        victim: images to log-probabilities; a random one answers afresh at every call.
        y: (n,) of each attacked image, the class to leave or, for a targeted attack, to reach.
        targeted: whether `y` is to be reached.
        lead: how many answers the leading class must be ahead; 1 believes the first answer. No use where nothing is random.
        max_answers: after how many answers to one question whichever is ahead wins; a tie is not adversarial.
        max_batch: images shown to the victim at once.
    """

    def __init__(
        self,
        victim: Victim,
        y: Tensor,
        *,
        targeted: bool = False,
        lead: int = 1,
        max_answers: int = 100,
        max_batch: int = 4096,
    ) -> None:
        if y.dim() != 1 or y.is_floating_point():
            raise BadValue(f"y: expected one whole-number label an image, got {y.dtype} of shape {tuple(y.shape)}")
        self.victim, self.y, self.targeted = victim, y, targeted
        self.lead = check_count("lead", lead) if victim.random else 1
        self.max_answers = check_count("max_answers", max_answers, low=self.lead)
        self.max_batch = check_count("max_batch", max_batch)
        self.answers = torch.zeros_like(y)  # (n,) answers of the victim, the published attacks' "queries"
        self.calls = 0  # of the victim, whatever the number of images

    def __call__(self, x: Tensor, owner: Tensor) -> Tensor:
        """Whether images `x` (m, c, h, w), each asked on behalf of the attacked image `owner` (m,), are adversarial: (m,).

        As sure as the lead makes it.
        """
        labels = self._ask(x, owner)
        if self.lead == 1:
            return self._is_adversarial(labels, owner)
        y = self.y[owner]
        votes = F.one_hot(labels, self._classes).to(torch.int32)  # (m, k)
        ahead, asked = self._ahead(votes, y), 1
        while len(open_ := (ahead.abs() < self.lead).nonzero()[:, 0]) and asked < self.max_answers:
            votes[open_] += F.one_hot(self._ask(x[open_], owner[open_]), self._classes).to(torch.int32)
            ahead[open_] = self._ahead(votes[open_], y[open_])
            asked += 1
        return ahead > 0 if self.targeted else ahead < 0

    def once(self, x: Tensor, owner: Tensor) -> Tensor:
        """The same question, answered once: enough where many answers are averaged anyway."""
        return self._is_adversarial(self._ask(x, owner), owner)

    def _is_adversarial(self, labels: Tensor, owner: Tensor) -> Tensor:
        return (labels == self.y[owner]) == self.targeted

    def _ahead(self, votes: Tensor, y: Tensor) -> Tensor:
        """By how many votes class `y` leads its strongest rival: (m,), negative where it is behind."""
        own = votes.gather(1, y[:, None])[:, 0]
        rival = votes.scatter(1, y[:, None], -1).amax(1)
        return own - rival

    def _ask(self, x: Tensor, owner: Tensor) -> Tensor:
        """One answer for each image."""
        self.answers += torch.bincount(owner, minlength=len(self.y))
        labels = []
        with torch.no_grad():
            for part in torch.split(x, self.max_batch):
                scores = self.victim(part.contiguous(memory_format=torch.channels_last))
                self._classes = scores.shape[1]
                self.calls += 1
                labels.append(scores.argmax(1))
        return torch.cat(labels)
