"""FGSM and PGD in the l_inf ball: CleverHans's to the last bit, with our checks before and explicit randomness.

CleverHans draws PGD's random start from PyTorch's global generator; here it comes from a generator handed in. Gradients
flow through whatever the victim averages: a random victim is attacked through the mean of its T draws, unless it comes
wrapped in a `Look`. Where the cross-entropy of a victim that is sure of its answer has no gradient left in float32, the attack
does nothing to that image and says so in a `VictimWarning`; the log-odds and DLR are losses that keep theirs.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import BadValue, VictimWarning, check_choice, check_flag, check_number
from ..layers import only_input_gradients
from ..seeds import check_generator
from ..uncertainty import Victim
from . import perturb
from .checks import check_classes, check_images, check_logits, check_steps, tell_of_probabilities
from .forms import Look


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """The sum of the differences of logits ratio (Croce and Hein 2020) at labels `y`: it knows neither shift nor scale of logits.

    Raises:
        BadValue: fewer than three classes.
    """
    if logits.shape[1] < 3:
        raise BadValue(f"loss: dlr needs three classes or more, got a victim of {logits.shape[1]}")
    # -(z_y - max_{i != y} z_i) / (z_1st - z_3rd)
    own = logits.gather(1, y[:, None])[:, 0]
    rival = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    largest = logits.topk(3, dim=1).values
    return ((rival - own) / (largest[:, 0] - largest[:, 2] + 1e-12)).sum()


SHOWN = 8  # images by which a network is known
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {**perturb.LOSSES, "dlr": dlr}


def fgsm(
    victim: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, targeted: bool = False, loss: str = "cross_entropy"
) -> Tensor:
    """The fast gradient sign method (Goodfellow et al. 2015; Harakeh, equation 4).

    Args:
        victim: images to logits or log-probabilities.
        x: images (n, c, h, w) in float32, inside the victim's bounds.
        y: labels (n,) whose loss is increased or, `targeted`, decreased.
        epsilon: l_inf budget, in the units of `x`, kept up to rounding: see `evasion`.
        targeted: whether `y` is to be reached.
        loss: "cross_entropy", whose gradient vanishes in floating point where the victim is sure of its answer, or one that keeps
            its own: "log_odds", or "dlr" (three classes or more, and not `targeted`).

    Raises:
        BadValue: epsilon not a number from 0 to the width of the bounds; labels that do not match the images; images outside the
            bounds, or of another type; another loss.

    Warns:
        VictimWarning: images that are not there yet have a gradient of exactly 0, and stay as they are; the victim answers with
            probabilities.
    """
    low, high = check_images(victim, x, y)
    check_flag("targeted", targeted)
    epsilon = check_number("epsilon", epsilon, low=0.0, high=high - low)
    ascend = _ascent(victim, y, loss, targeted=targeted, bounds=(low, high))
    x = x.detach()
    if len(x) == 0 or epsilon == 0:
        return x.clone()
    _check_network(victim, x)
    with only_input_gradients(victim):
        # x' = clip(x + epsilon sign(grad_x J(theta, x, y)), low, high)
        return ascend(x, epsilon, True)


def pgd(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    targeted: bool = False,
    generator: torch.Generator | None = None,
    loss: str = "cross_entropy",
) -> Tensor:
    """Projected gradient descent (Madry et al. 2018; Song et al., equation 5), from a random start if `generator` is given.

    Args:
        victim: images to logits or log-probabilities.
        x: images (n, c, h, w) in float32, inside the victim's bounds.
        y: labels (n,) whose loss is increased or, `targeted`, decreased.
        epsilon: l_inf budget, in the units of `x`, kept up to rounding: see `evasion`.
        step_size: length of a step, at most `epsilon`.
        steps: number of steps.
        targeted: whether `y` is to be reached.
        generator: where the random start comes from; None starts at `x`.
        loss: see `fgsm`.

    Raises:
        BadValue: a setting out of range; labels that do not match the images; images outside the bounds, or of another type.

    Warns:
        VictimWarning: at the first step images have a gradient of exactly 0; the victim answers with probabilities.
    """
    low, high = check_images(victim, x, y)
    check_flag("targeted", targeted)
    if generator is not None:
        check_generator(generator)
    epsilon, step_size = check_steps(epsilon, step_size, steps, width=high - low)
    ascend = _ascent(victim, y, loss, targeted=targeted, bounds=(low, high))
    x = x.detach()
    if len(x) == 0 or epsilon == 0:
        return x.clone()
    _check_network(victim, x)
    adversarial = x if generator is None else (x + _offset(x, epsilon, generator)).clamp(low, high)
    with only_input_gradients(victim):
        for step in range(steps):
            # x_{t+1} = project(x_t + step_size sign(grad_x J(theta, x_t, y)))
            moved = ascend(adversarial, step_size, step == 0)
            adversarial = (x + (moved - x).clamp(-epsilon, epsilon)).clamp(low, high)
    return adversarial


def _ascent(
    victim: nn.Module, y: Tensor, loss: str, *, targeted: bool, bounds: tuple[float, float]
) -> Callable[[Tensor, float, bool], Tensor]:
    """A step, as a function of images (n, c, h, w), its length and whether it is the first: that one looks for what is odd."""
    objective = LOSSES[check_choice("loss", loss, LOSSES)]
    if targeted and loss == "dlr":  # of a third-ranked target it is constant
        raise BadValue("loss: expected cross_entropy or log_odds for a targeted attack, got 'dlr'")

    def ascend(x: Tensor, length: float, first: bool) -> Tensor:
        x = x.detach().requires_grad_(True)
        scores, labels = _per_draw(victim, x, y)
        # The mean and not the sum, as in CleverHans.
        (gradient,) = torch.autograd.grad(objective(scores, labels) / labels.numel(), x)
        if first:
            astray = ((scores.argmax(1) == labels) == targeted).view(len(x), -1).all(1)  # where no step is needed
            _tell_of_zeros(gradient[~astray], len(x), loss)
        return (x.detach() + (-length if targeted else length) * gradient.sign()).clamp(*bounds)

    return ascend


def _per_draw(victim: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (n, k) and labels (n,), or of a `Look` of m draws (n, k, m) and (n, m), over which a loss is averaged."""
    if isinstance(victim, Look):
        scores = victim.looks(x).permute(1, 2, 0)
        labels = y[:, None].expand(-1, scores.shape[2])
    else:
        scores, labels = check_logits(victim(x)), y
    check_classes(y, scores.shape[1])
    return scores, labels


def _check_network(victim: nn.Module, x: Tensor) -> None:
    """Warn if the network inside a bare `Victim`, whose own answers never are, answers images `x` with probabilities.

    The draw that shows it is put back: what the victim draws next does not depend on this check.
    """
    if not isinstance(victim, Victim):
        return
    source: torch.Generator | None = getattr(victim, "generator", None)
    state = None if source is None else source.get_state()
    with torch.no_grad():
        samples = victim.sample(x[:SHOWN], 1)
    if source is not None and state is not None:
        source.set_state(state)
    tell_of_probabilities(samples)


def _tell_of_zeros(gradient: Tensor, n: int, loss: str) -> None:
    """Warn of those of `n` images of which no feature has a gradient."""
    zeros = int((gradient == 0).flatten(1).all(1).sum())
    if zeros:
        others = " or ".join(repr(other) for other in LOSSES if other not in (loss, "cross_entropy"))
        warnings.warn(
            f"victim: the gradients of {zeros} of {n} images ({zeros / n:.1%}) are exactly 0 under "
            f"loss={loss!r}, so that no step moves them: the victim may look more robust than it is; try loss={others}",
            VictimWarning,
            stacklevel=4,
        )


def _offset(x: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """A point drawn uniformly from the l_inf ball, whatever the memory layout of `x` (n, c, h, w), on its device."""
    source = torch.Generator(x.device)
    source.manual_seed(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
    return torch.empty(x.shape, device=x.device).uniform_(-epsilon, epsilon, generator=source).clamp(-epsilon, epsilon)
