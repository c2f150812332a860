"""PGD without checks or copies: the inner loop of adversarial training, and of membership inference by adversarial examples.

`evasion.pgd` is the attack to use otherwise; a test holds the two to the same images.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import check_choice
from ..layers import only_input_gradients


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """The log-odds against the labels, one by one: the gradient of an image has the direction of its cross-entropy's.

    With p the probability of the label, the gradient of -log p is that of the log-odds against it times 1 - p. In float32 p is 1
    at log-odds of about 17, from where the first lacks the label's own term, and beyond some 90 the probabilities of the other
    classes are 0 as well: it is lost.
    """
    # log (1 - p) / p = log sum_{c != y} exp z_c - z_y
    others = logits.scatter(1, y[:, None], -torch.inf).logsumexp(1)
    return others - logits.gather(1, y[:, None])[:, 0]


# Of logits (n, k, ...) at labels (n, ...), one by one.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": partial(nn.functional.cross_entropy, reduction="none"),
    "log_odds": log_odds,
}


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
    loss: str = "cross_entropy",
) -> Tensor:
    """PGD in the l_inf ball around images `x` (n, c, h, w), as plain as it can be: what adversarial training runs at every step.

    Args:
        network: images to logits; whatever mode it is in.
        x: in [0, 1].
        y, epsilon, step_size, steps, targeted: as of `evasion.pgd`.
        start: where the first step is taken from, x itself if None; may lie outside [0, 1], as in the paper's code for
            faces and Fashion-MNIST.
        loss: "cross_entropy" or "log_odds"; another is a `BadValue`.
    """
    objective = LOSSES[check_choice("loss", loss, LOSSES)]
    adversarial = x if start is None else start
    length = -step_size if targeted else step_size
    low, high = (x - epsilon).clamp_min_(0), (x + epsilon).clamp_max_(1)
    with only_input_gradients(network) if isinstance(network, nn.Module) else nullcontext():
        for _ in range(steps):
            adversarial = adversarial.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(objective(network(adversarial).float(), y).sum(), adversarial)
            # x_{t+1} = project(x_t + eta sign(grad_x loss(F(x_t), y)))
            adversarial = torch.clamp(adversarial.detach().add(gradient.sign_(), alpha=length), low, high)
    return adversarial.detach()
