"""What a decision-based attack may ask, "is this image adversarial?", counted for each attacked image.

A random victim contradicts itself, and attacks made for others believe its first answer. With a lead of h the oracle asks again
until the class in question or its strongest rival is h answers ahead of the other: Wald's sequential test of whether a draw
prefers the one or the other. Where a share p > 1/2 of the draws that name either of two classes names the same one, the test
decides against it with probability (gambler's ruin)

    error = 1 / (1 + (p / (1 - p))^h)

and after `max_answers` whichever is ahead wins. An open question is asked at once as often as it must be to be closed at all:
the same test in fewer calls of the victim.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from ..errors import BadValue, VictimWarning, check_count, check_flag
from ..metrics import check_no_nan
from .checks import check_classes, differ, scores_of

CLEAR = 0.35  # by what margin a checked point must be adversarial: at 50 answers 2.5 standard deviations of a toss-up


def tally(votes: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Of votes (m, k) those for class y (m,), and those for its strongest rival: (m,) each."""
    return votes.gather(1, y[:, None])[:, 0], votes.scatter(1, y[:, None], -1).amax(1)


@dataclass(eq=False, repr=False)
class DecisionOracle:
    """A victim that says of images whether they are adversarial; answers and passes are counted for each attacked image.

    Settings are as of `hop_skip_jump`. A victim without an attribute `random` is taken as random, with a `VictimWarning`, if it
    contradicts itself when asked about the attacked images.
    """

    victim: nn.Module
    x: Tensor
    y: Tensor
    sources: Sequence[torch.Generator] = ()  # of the random numbers of each image
    targeted: bool = False
    order: float = 2.0  # of the norm in which distances are told
    lead: int = 1
    max_answers: int = 100  # to one question; a tie is not adversarial then
    max_batch: int = 4096

    def __post_init__(self) -> None:
        check_flag("targeted", self.targeted)
        for name in ("lead", "max_answers", "max_batch"):
            check_count(name, getattr(self, name))
        if self.lead > self.max_answers and getattr(self.victim, "random", True) is not False:
            expected = f"at most {self.max_answers}, the answers that a question may take"
            raise BadValue(f"lead: expected {expected}, got {self.lead}")
        self.bounds: tuple[float, float] = getattr(self.victim, "bounds", (0.0, 1.0))
        self.answers = torch.zeros_like(self.y)  # (n,) answers of the victim, the published attacks' "queries"
        self.calls = 0  # of the victim, whatever the number of images
        self._classes = 0  # not known before the first answer

    @cached_property
    def random(self) -> bool:
        """Whether the victim answers afresh at every call; one that does not say is asked about the attacked images, twice."""
        if (said := getattr(self.victim, "random", None)) is not None:
            return bool(said)
        everyone = torch.arange(len(self.x), device=self.x.device)
        once, again = (list(self._scores(self.x, everyone)) for _ in range(2))
        if not any(map(differ, once, again)):
            return False
        warnings.warn(
            "victim: contradicts itself when asked twice about the same images, and has no attribute `random`: taken as "
            "random; set it to True where that is so, and to False where it is not",
            VictimWarning,
            stacklevel=5,
        )
        return True

    def __call__(self, x: Tensor, owner: Tensor) -> Tensor:
        """Whether images `x` (m, c, h, w), each on behalf of the attacked image `owner` (m,), are adversarial: (m,)."""
        if self.lead == 1 or not self.random or len(x) == 0:
            return self.once(x, owner)
        asked = torch.full_like(owner, self.lead)
        votes = self._votes(x, owner, asked)
        while True:
            ahead = self._ahead(votes, owner)
            missing = torch.minimum(self.lead - ahead.abs(), self.max_answers - asked)
            open_ = (missing > 0).nonzero()[:, 0]
            if len(open_) == 0:
                return ahead > 0
            votes[open_] += self._votes(x[open_], owner[open_], missing[open_])
            asked[open_] += missing[open_]

    def once(self, x: Tensor, owner: Tensor) -> Tensor:
        """The same question, answered once: enough where many answers are averaged anyway."""
        return (self._ask(x, owner) == self.y[owner]) == self.targeted

    def margin(self, x: Tensor, owner: Tensor, answers: int) -> Tensor:
        """How clearly `answers` fresh answers say "adversarial": (m,) in [-1, 1], negative where they do not.

        Where they name two classes alone, it is the lead's share of them. Where others take some, it is the share that would
        be as many standard deviations of a toss-up between the two.
        """
        if len(x) == 0:
            return x.new_zeros(0)
        votes = self._votes(x, owner, torch.full_like(owner, answers))
        own, rival = tally(votes, self.y[owner])
        return self._ahead(votes, owner) / (answers * (own + rival)).clamp_min(1).sqrt()

    def clearly(self, x: Tensor, owner: Tensor, answers: int) -> Tensor:
        """Whether images are adversarial by a margin of CLEAR in fresh `answers`; without any, as sure as the lead makes it."""
        return self.margin(x, owner, answers) >= CLEAR if answers else self(x, owner)

    def _ahead(self, votes: Tensor, owner: Tensor) -> Tensor:
        """By how many votes being adversarial leads: class y over its strongest rival if it is the target, else behind it."""
        own, rival = tally(votes, self.y[owner])
        return own - rival if self.targeted else rival - own

    def _votes(self, x: Tensor, owner: Tensor, answers: Tensor) -> Tensor:
        """How many of the fresh `answers` (m,) to each question name each class: (m, k)."""
        questions = torch.arange(len(x), device=x.device).repeat_interleave(answers)
        labels = torch.cat([self._ask(x[part], owner[part]) for part in torch.split(questions, self.max_batch)])
        votes = labels.new_zeros(len(x), self._classes)
        return votes.index_put_((questions, labels), labels.new_ones(()), accumulate=True)

    def _ask(self, x: Tensor, owner: Tensor) -> Tensor:
        """The class of one answer for each image."""
        labels = [scores.argmax(1) for scores in self._scores(x, owner)]
        return torch.cat(labels) if labels else owner

    def _scores(self, x: Tensor, owner: Tensor) -> Iterator[Tensor]:
        """The scores of one answer for each image, batch by batch."""
        self.answers += torch.bincount(owner, minlength=len(self.y))
        for part in torch.split(x, self.max_batch) if len(x) else ():
            with torch.no_grad():
                scores = scores_of(self.victim, part)
            check_no_nan("victim: answered with", scores)
            if self._classes == 0:
                # The victim would never name a label that is no class: every image would be adversarial.
                check_classes(self.y, scores.shape[1])
            self._classes = scores.shape[1]
            self.calls += 1
            yield scores
