"""Projected gradient descent by an attacker who knows that uncertain answers are rejected, and by which score."""

import torch
from torch import Tensor

from ..errors import check_count, check_number
from ..layers import only_input_gradients
from ..uncertainty import Victim, check_victim
from ..uncertainty.scores import UNCERTAINTY_SCORES, check_score
from .checks import check_classes, check_images, check_steps, tell_of_probabilities
from .forms import cross_entropies


def pgd_aware(
    victim: Victim,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    score: str,
    weight: float = 1.0,
    draws: int = 10,
) -> Tensor:
    """Images in the l_inf ball that are misclassified with as little of `score` as can be had.

    The attacker pulls each image towards the likeliest class other than `y`. Merely pushing it away from `y` would have to climb
    over the boundary, where answers are uncertain, against the weight of the score.

    Args:
        victim: the victim itself, whose draws are needed one by one; gradients are averaged over `draws` of them.
        x: images (n, c, h, w) inside the victim's bounds.
        y: labels (n,) to move away from.
        epsilon: l_inf budget, in the units of `x`, kept up to rounding: see `evasion`.
        step_size: length of a step, at most `epsilon`.
        steps: number of steps, from `x` itself.
        score: an uncertainty score that the victim has: `uncertainty.scores_of(victim)` names them.
        weight: what a unit of the score costs, in nats of the loss.
        draws: K, at every step; an ensemble has no more than its members, and all of them are used.

    Raises:
        BadValue: a setting out of range; a score that the victim has not; labels that do not match; images outside the bounds.
    """
    check_number("weight", weight, low=0.0, high=1e6)
    check_count("draws", draws)
    check_victim(victim)
    draws = draws if victim.random else victim.draws
    uncertainty = UNCERTAINTY_SCORES[check_score(score, victim)]
    low, high = check_images(victim, x, y)
    epsilon, step_size = check_steps(epsilon, step_size, steps, width=high - low)
    x = x.detach()
    adversarial = x.clone()
    if len(x) == 0:
        return adversarial
    with torch.no_grad():
        samples = victim.sample(x, draws)
        tell_of_probabilities(samples)
        answer = victim.combine(samples)
        check_classes(y, answer.shape[1])
        target = answer.scatter(1, y[:, None], -torch.inf).argmax(1)
    with only_input_gradients(victim):
        for _ in range(steps):
            adversarial.requires_grad_(True)
            samples = victim.sample(adversarial, draws)  # (m, n, k)
            loss = cross_entropies(samples, target).mean(1)
            # minimise E_theta J(theta, x', target) + weight * score(x')
            objective = loss + weight * uncertainty(victim, adversarial, samples)
            (gradient,) = torch.autograd.grad(objective.sum(), adversarial)
            adversarial = adversarial.detach() - step_size * gradient.sign()
            adversarial = (x + (adversarial - x).clamp(-epsilon, epsilon)).clamp(low, high)
    return adversarial.detach()
