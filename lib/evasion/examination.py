"""What is odd about a victim, asked before it is attacked: the checks of AutoAttack (Croce and Hein 2020), and one of its inputs.

A victim that fails one can still be attacked, but robust accuracy measured by the usual means may be too high.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import BadValue, VictimWarning
from ..layers import only_input_gradients
from ..uncertainty import Victim
from .checks import check_answers, check_classes, check_images, differ, looks_like_probabilities, scores_of
from .forms import Look
from .gradient import LOSSES

NARROW = 0.1  # share of the bounds within which images look as if they had been scaled twice


@dataclass(frozen=True)
class Examination:
    """What was found out about a victim by the images shown."""

    random: bool  #: whether it answers the same question in two ways
    probabilities: bool  #: whether its network answers with probabilities instead of logits
    zero_gradients: dict[str, float]  #: by loss, the share of the images it names rightly whose gradient is exactly 0
    low: float  #: the smallest value of the images
    high: float  #: the largest


def examine(victim: nn.Module, x: Tensor, y: Tensor, *, gradients: bool = True) -> Examination:
    """Ask a victim, or a `Look` at one, what attacks rely on, and warn of what they cannot.

    Args:
        victim: images to logits or log-probabilities.
        x: images (n, c, h, w) inside the victim's bounds; some tens are enough.
        y: their labels (n,).
        gradients: whether they are looked at; attacks by decisions need none.

    Raises:
        BadValue: no images; labels that do not match, or are no classes; images outside the bounds; a victim that is training.

    Warns:
        VictimWarning: answers at random that the victim does not tell of (`random`), probabilities, gradients that are
            exactly 0, or images in a small part of the bounds.
    """
    low, high = check_images(victim, x, y, gradients=gradients)
    if len(x) == 0:
        raise BadValue("x: expected at least one image, got none")
    inside = victim.victim if isinstance(victim, Look) else victim
    with torch.no_grad():
        first, second = scores_of(victim, x), scores_of(victim, x)
        logits = inside.sample(x, 1) if isinstance(inside, Victim) else first
    check_classes(y, first.shape[1])
    random = differ(first, second)
    rightly = (first.argmax(1) == y).nonzero()[:, 0]
    losses = [name for name in LOSSES if gradients and len(rightly) and (name != "dlr" or first.shape[1] > 2)]
    zeros = {name: _without_gradient(victim, x[rightly], y[rightly], name) for name in losses}
    told = []
    if random and not getattr(victim, "random", False):
        told.append(
            "it answers the same question in two ways, and does not say so by `random`: attacks that look once follow one "
            "answer of many; set `random = True`, or make a victim by uncertainty.estimate and attack it through a Look"
        )
    if zeros.get("cross_entropy"):
        shares = ", ".join(f"{share:.1%} under {loss!r}" for loss, share in zeros.items())
        told.append(f"gradients of images it names rightly are exactly 0: {shares}; attack by the loss with fewest")
    darkest, brightest = float(x.min()), float(x.max())
    if brightest - darkest < NARROW * (high - low):
        told.append(f"images lie within {darkest:g} to {brightest:g} of its bounds: were they scaled twice?")
    for one in told:
        warnings.warn(f"victim: {one}", VictimWarning, stacklevel=2)
    check_answers(logits)
    return Examination(random, looks_like_probabilities(logits), zeros, darkest, brightest)


def _without_gradient(victim: nn.Module, x: Tensor, y: Tensor, loss: str) -> float:
    """The share of the images `x` of which no feature has a gradient under `loss`."""
    with only_input_gradients(victim):
        x = x.detach().requires_grad_(True)
        value = LOSSES[loss](victim(x), y).sum()
        if not value.requires_grad:
            return 1.0
        (gradient,) = torch.autograd.grad(value, x, allow_unused=True)
    return 1.0 if gradient is None else (gradient == 0).flatten(1).all(1).double().mean().item()
