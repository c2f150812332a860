"""Projected gradient descent by an attacker who knows that uncertain answers are rejected, and by which score."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import check_choice, check_count, check_number
from ..metrics import entropy
from ..uncertainty import UNCERTAINTY_SCORES, Victim, scores_of
from . import ball
from .checks import check_answers, check_attack, check_budget, check_classes, check_steps, extent, gradient_of
from .forms import Look, cross_entropies, looks
from .pieces import in_pieces


def pgd_aware(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float | Tensor,
    norm: str = "linf",
    step_size: float | None = None,
    steps: int = 40,
    targeted: bool = False,
    generator: torch.Generator | None = None,
    score: str = "entropy",
    weight: float = 1.0,
    draws: int = 10,
) -> Tensor:
    """Images in the ball that are misclassified with as little of `score` as can be had.

    The attacker pulls each image towards the likeliest class other than `y`. Merely pushing it away from `y` would have to climb
    over the boundary, where answers are uncertain, against the weight of the score.

    Args:
        victim: the victim itself; gradients are averaged over `draws`, or over those of a `Look`, whatever its form.
        x, y, epsilon, norm, step_size, steps, targeted, generator: as of `pgd`.
        score: an uncertainty score that the victim has: `uncertainty.scores_of(victim)` names them; a module has its "entropy".
        weight: what a unit of the score costs, in nats of the loss.
        draws: how many fresh random passes through the network make up one look, at every step; of an ensemble all members do.

    Raises:
        BadValue: as of `pgd`; a score that the victim has not.
    """
    check_number("weight", weight, low=0.0, high=1e6)
    check_count("draws", draws)
    if isinstance(victim, Look):
        draws, victim = victim.passes, victim.victim
    bounds = check_attack(victim, x, y, targeted, generator)
    uncertainty = _score(victim, score)
    radius = check_budget(epsilon, x, check_choice("norm", norm, ball.NORMS), bounds)
    length = check_steps(step_size, steps, radius, extent(x, norm, bounds))
    x = x.detach()
    if isinstance(victim, Victim) and not victim.random:
        draws = victim.draws

    def sample(x: Tensor, y: Tensor) -> Tensor:
        # (m, n, k)
        samples = check_answers(victim.sample(x, draws)) if isinstance(victim, Victim) else looks(victim, x)
        check_classes(y, samples.shape[2])
        return samples

    def walk(x: Tensor, y: Tensor, radius: Tensor, length: Tensor, adversarial: Tensor) -> Tensor:
        if not targeted:
            with torch.no_grad():
                samples = sample(x, y)
            answer = victim.combine(samples) if isinstance(victim, Victim) else samples[0]
            y = answer.scatter(1, y[:, None], -torch.inf).argmax(1)
        for _ in range(steps):
            adversarial = adversarial.detach().requires_grad_(True)
            samples = sample(adversarial, y)
            # minimise E_theta J(theta, x', target) + weight * score(x')
            objective = cross_entropies(samples, y).mean(1) + weight * uncertainty(adversarial, samples)
            gradient = gradient_of(objective.sum(), adversarial)
            moved = adversarial.detach() - length * ball.steepest(gradient, norm)
            adversarial = ball.keep(x, radius, norm, bounds, moved)
        return adversarial

    start = ball.begin(x, radius, norm, bounds, generator)
    return in_pieces(walk, victim, x, y, radius, length, start, draws=draws)


def _score(victim: nn.Module, name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The score of that name as a function of images and samples (m, n, k); of a mere module there are but its answers."""
    if isinstance(victim, Victim):
        return partial(UNCERTAINTY_SCORES[check_choice("score", name, scores_of(victim))], victim)
    check_choice("score", name, ("entropy",))
    return lambda x, samples: entropy(samples[0].log_softmax(1))
