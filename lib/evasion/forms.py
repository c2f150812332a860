"""The three honest ways to attack a victim whose answer is random.

    one draw      what a naive attacker does: every look at the victim is a single fresh draw
    mean          every look is the victim's own answer, the mean of T fresh draws
    expectation   gradients averaged over K fresh draws (Athalye et al. 2018, "expectation over transformation")

For a victim that is not random and has a single network they are the same. Success is judged by other draws: see `judging`.
"""

from torch import Tensor, nn

from ..errors import check_choice, check_count, check_kind
from ..uncertainty import Victim
from .checks import check_answers, check_classes, scores_of

FORMS = ("one_draw", "mean", "expectation")


class Look(nn.Module):
    """A victim as an attacker of the given form looks at it.

    Args:
        victim: one that `uncertainty.estimate` makes.
        form: one of `FORMS`.
        draws: how many fresh random passes through the network make up one look; `one_draw` takes one. An ensemble has no more
            than its members.

    Raises:
        BadValue: a victim of another kind; another form; no draws.
    """

    def __init__(self, victim: Victim, form: str, *, draws: int) -> None:
        super().__init__()
        self.victim = check_kind("victim", victim, Victim, "one that `uncertainty.estimate` makes")
        self.form = check_choice("form", form, FORMS)
        check_count("draws", draws)
        self.draws = draws if victim.random else victim.draws
        self.bounds, self.random = victim.bounds, victim.random

    @property
    def passes(self) -> int:
        """How many draws one look takes."""
        return 1 if self.form == "one_draw" else self.draws

    def looks(self, x: Tensor) -> Tensor:
        """What one look shows: logits (m, n, k) of m = 1 answer, or of m = K draws whose losses are to be averaged."""
        samples = check_answers(self.victim.sample(x, self.passes))
        return self.victim.combine(samples)[None] if self.form == "mean" else samples

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (n, k) of one look."""
        return self.victim.combine(self.looks(x)).log_softmax(1)


def looks(victim: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
    """The logits (m, n, k) that an attack on `victim` differentiates: m > 1 where losses are averaged over draws.

    Where labels `y` (n,) are given, they must be classes of it.
    """
    if isinstance(victim, Look):
        shown = victim.looks(x)
    elif isinstance(victim, Victim):
        shown = victim.combine(check_answers(victim.sample(x, victim.draws)))[None]
    else:
        shown = check_answers(scores_of(victim, x))[None]
    if y is not None:
        check_classes(y, shown.shape[2])
    return shown


def cross_entropies(samples: Tensor, y: Tensor) -> Tensor:
    """The cross-entropy of every draw of `samples` (m, n, k) at labels `y` (n,): (n, m)."""
    labels = y[:, None].expand(-1, len(samples))
    return nn.functional.cross_entropy(samples.permute(1, 2, 0), labels, reduction="none")


def answer(victim: nn.Module, samples: Tensor) -> Tensor:
    """The scores (n, k) by which an attack on `victim` tells, from one look (m, n, k), whether it has succeeded."""
    return victim.victim.combine(samples) if isinstance(victim, Look) else samples[0]
