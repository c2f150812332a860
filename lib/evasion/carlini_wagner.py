"""The l2 attack of Carlini and Wagner (2017), for a batch at once, each image on its own.

`python -m benchmarks.evasion` measures it beside Foolbox's, CleverHans's and ART's; the book has what came out.
"""

import torch
from torch import Tensor, nn

from ..errors import check_count, check_number
from .checks import check_attack, check_budget, gradient_of, keep_within
from .forms import Look, answer, looks
from .pieces import in_pieces

ALMOST_ONE = 0.999999  # keeps arctanh finite at the bounds, as in the authors' code
LARGEST_CONSTANT = 1e10
BETAS = 0.9, 0.999  # of Adam


def carlini_wagner(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float | Tensor | None = None,
    targeted: bool = False,
    generator: torch.Generator | None = None,
    iterations: int = 100,
    search_steps: int = 1,
    constant: float = 10.0,
    learning_rate: float = 0.2,
    confidence: float = 0.0,
) -> Tensor:
    """The nearest adversarial image found in l2; an image for which none is found comes back as it was.

    The defaults are those of the CleverHans tutorial, version 3 (in version 2, Harakeh's, the learning rate is 0.1): quick, and
    not the least change. Carlini and Wagner's own are 10,000 iterations and 9 search steps from 0.001.

    Success is judged at every iteration by the look that is differentiated, which of a random victim may be lucky: judge afresh.

    Args:
        victim: images to logits or log-probabilities, or a `Look` at a random victim.
        x, y, targeted, generator: as of `fgsm`.
        epsilon: l2 budget of all images or of each (n,): one that needs more comes back as it was; None takes what it takes.
        iterations: of Adam, in each search step.
        search_steps: of the binary search over each image's constant c.
        constant: where the search for c begins.
        learning_rate: Adam's, in the space of the hyperbolic tangent.
        confidence: the margin kappa, in logits, by which an image must be adversarial.
    """
    check_count("iterations", iterations)
    check_count("search_steps", search_steps)
    check_number("constant", constant, low=1e-12, high=LARGEST_CONSTANT)
    check_number("learning_rate", learning_rate, low=1e-12, high=1e3)
    check_number("confidence", confidence, low=0.0, high=1e6)
    low, high = bounds = check_attack(victim, x, y, targeted, generator)
    radius = None if epsilon is None else check_budget(epsilon, x, "l2", bounds)
    x, half = x.detach(), (high - low) / 2

    def nearest(x: Tensor, y: Tensor) -> Tensor:
        # w = artanh(2 (x - low) / (high - low) - 1): any change of w stays inside the bounds
        w = torch.atanh((2 * (x - low) / (high - low) - 1) * ALMOST_ONE)
        best, best_l2 = x.clone(), x.new_full((len(x),), torch.inf)
        c, c_low, c_high = x.new_full((len(x),), constant), x.new_zeros(len(x)), x.new_full((len(x),), torch.inf)
        for _ in range(search_steps):
            change, mean, square = (torch.zeros_like(w) for _ in range(3))
            succeeded = torch.zeros_like(y, dtype=torch.bool)
            for step in range(1, iterations + 1):
                tanh = torch.tanh(w + change)
                adversarial = tanh.add(1).mul_(half).add_(low).requires_grad_(True)
                shown = looks(victim, adversarial, y)  # (m, n, k)
                # f(x') = max(max_{i != y} Z_i - Z_y, -kappa), each draw's own, and the other way round if not targeted
                margins = margin(shown, y, targeted=targeted)
                f = margins.add(confidence).clamp_min(0).mean(0)
                # minimise |x' - x|^2 + c f(x'); only the second term is for autograd
                slope = gradient_of((c * f).sum(), adversarial)
                adversarial = adversarial.detach()
                away = adversarial - x
                l2 = away.flatten(1).square().sum(1)  # squared, (n,)
                # (2 (x' - x) + c df/dx') (high - low) / 2 (1 - tanh^2), with respect to the change of w
                slope = torch.ops.aten.tanh_backward(away.mul_(2).add_(slope).mul_(half), tanh)
                if isinstance(victim, Look):
                    margins = margin(answer(victim, shown)[None], y, targeted=targeted)
                reached = margins.detach()[0] + confidence < 0
                succeeded |= reached
                better = reached & (l2 < best_l2)
                best[better], best_l2[better] = adversarial[better], l2[better]
                # Adam to the bit as `torch.optim` has it, without its bookkeeping
                mean.lerp_(slope, 1 - BETAS[0])
                square.mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
                scale = square.sqrt().div_((1 - BETAS[1] ** step) ** 0.5).add_(1e-8)
                change.addcdiv_(mean, scale, value=-learning_rate / (1 - BETAS[0] ** step))
            c_low, c_high = torch.where(succeeded, c_low, c), torch.where(succeeded, c.minimum(c_high), c_high)
            # halve the interval, or look ten times further while there was no success
            c = torch.where(c_high.isinf(), 10 * c, (c_low + c_high) / 2).clamp_max(LARGEST_CONSTANT)
        return best.clamp(low, high)

    return keep_within(in_pieces(nearest, victim, x, y), x, radius, 2)


def margin(logits: Tensor, y: Tensor, *, targeted: bool) -> Tensor:
    """How far each image is from success (m, n), negative beyond it: max_{i != y} Z_i - Z_y if targeted, else minus that."""
    at_y = y.expand(len(logits), -1)[..., None]
    own, rival = logits.gather(-1, at_y)[..., 0], logits.scatter(-1, at_y, -torch.inf).amax(-1)
    return rival - own if targeted else own - rival
