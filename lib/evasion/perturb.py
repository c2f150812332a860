"""PGD without checks or copies: the inner loop of adversarial training, and of membership inference by adversarial examples.

`lib.evasion.pgd` is the attack to use otherwise; a test holds the two to the same images.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.layers import only_input_gradients


def perturb(
    network: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    start: Tensor | None = None,
    targeted: bool = False,
) -> Tensor:
    """PGD in the l_inf ball around images `x` (n, c, h, w), as plain as it can be: what adversarial training runs at every step.

    Args:
        network: images to logits; whatever mode it is in.
        x: in [0, 1].
        y: labels (n,) whose loss is increased, or targets whose loss is decreased.
        epsilon: budget.
        step_size: length of a step.
        steps: number of steps.
        start: where the first step is taken from, x itself if None; may lie outside [0, 1], as in the paper's code.
        targeted: whether `y` are targets.
    """
    adversarial = x if start is None else start
    length = -step_size if targeted else step_size
    low, high = (x - epsilon).clamp_min_(0), (x + epsilon).clamp_max_(1)
    weights = only_input_gradients(network) if isinstance(network, nn.Module) else nullcontext()
    with weights:
        for _ in range(steps):
            adversarial = adversarial.detach().requires_grad_()
            loss = F.cross_entropy(network(adversarial).float(), y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, adversarial)
            # x_{t+1} = project(x_t + eta sign(grad_x loss(F(x_t), y)))
            adversarial = torch.clamp(adversarial.detach().add(gradient.sign_(), alpha=length), low, high)
    return adversarial.detach()
