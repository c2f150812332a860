"""FGSM and PGD in the l_inf ball, by CleverHans, with our checks before and explicit randomness.

CleverHans draws PGD's random start from PyTorch's global generator; here it comes from a generator handed in. Gradients
flow through whatever the victim averages: a random victim is attacked through the mean of its T draws, unless it comes
wrapped in a `Look`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from cleverhans.torch.attacks.fast_gradient_method import fast_gradient_method
from cleverhans.torch.attacks.projected_gradient_descent import projected_gradient_descent
from torch import Tensor, nn

from ..errors import check_flag, check_number
from ..layers import only_input_gradients
from ..seeds import check_generator
from .checks import check_classes, check_images, check_scores, check_steps
from .forms import Look


def fgsm(victim: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, targeted: bool = False) -> Tensor:
    """The fast gradient sign method (Goodfellow et al. 2015; Harakeh, equation 4).

    Args:
        victim: images to logits or log-probabilities.
        x: images (n, c, h, w) in float32, inside the victim's bounds.
        y: labels (n,) whose loss is increased or, `targeted`, decreased.
        epsilon: l_inf budget, in the units of `x`.
        targeted: whether `y` is to be reached.

    Raises:
        BadValue: epsilon not a number from 0 to the width of the bounds; labels that do not match the images; images outside the
            bounds, or of another type.
    """
    low, high = check_images(victim, x, y)
    check_flag("targeted", targeted)
    epsilon = check_number("epsilon", epsilon, low=0.0, high=high - low)
    if len(x) == 0 or epsilon == 0:  # CleverHans would hand back `x` itself
        return x.detach().clone()
    scores, labels = _per_draw(victim, y)
    with only_input_gradients(victim):
        # x' = clip(x + epsilon sign(grad_x J(theta, x, y)), low, high)
        adversarial: Tensor = fast_gradient_method(
            scores, x, epsilon, np.inf, clip_min=low, clip_max=high, y=labels, targeted=targeted, sanity_checks=False
        )
    return adversarial.detach()


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
) -> Tensor:
    """Projected gradient descent (Madry et al. 2018; Song et al., equation 5), from a random start if `generator` is given.

    Args:
        victim: images to logits or log-probabilities.
        x: images (n, c, h, w) in float32, inside the victim's bounds.
        y: labels (n,) whose loss is increased or, `targeted`, decreased.
        epsilon: l_inf budget, in the units of `x`.
        step_size: length of a step, at most `epsilon`.
        steps: number of steps.
        targeted: whether `y` is to be reached.
        generator: where the random start comes from; None starts at `x`.

    Raises:
        BadValue: a setting out of range; labels that do not match the images; images outside the bounds, or of another type.
    """
    low, high = check_images(victim, x, y)
    check_flag("targeted", targeted)
    if generator is not None:
        check_generator(generator)
    epsilon, step_size = check_steps(epsilon, step_size, steps, width=high - low)
    if len(x) == 0 or epsilon == 0:
        return x.detach().clone()
    scores, labels = _per_draw(victim, y)
    with _global_numbers(x.device, generator), only_input_gradients(victim):
        # x_{t+1} = project(x_t + step_size sign(grad_x J(theta, x_t, y)))
        adversarial: Tensor = projected_gradient_descent(
            scores, x, epsilon, step_size, steps, np.inf, clip_min=low, clip_max=high, y=labels, targeted=targeted,
            rand_init=generator is not None, sanity_checks=False,
        )  # fmt: skip
    return adversarial.detach()


def _per_draw(victim: nn.Module, y: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """Scores (n, k, m) and labels (n, m) for a `Look` of m draws: the cross-entropy of these is the mean over the draws."""

    def scores(x: Tensor) -> Tensor:
        shown = victim.looks(x).permute(1, 2, 0) if isinstance(victim, Look) else check_scores(victim(x))
        check_classes(y, shown.shape[1])
        return shown

    if not isinstance(victim, Look):
        return scores, y
    return scores, y[:, None].expand(-1, victim.draws if victim.form == "expectation" else 1)


@contextmanager
def _global_numbers(device: torch.device, generator: torch.Generator | None) -> Iterator[None]:
    """Inside, what CleverHans draws from the global generator of `device` follows from `generator`; outside, nothing moved."""
    if generator is None:
        yield
        return
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)
        yield
