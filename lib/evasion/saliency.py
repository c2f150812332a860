"""The Jacobian-based saliency map attack of Papernot et al. (2016), on pairs of features, all images at once.

The rules are those of CleverHans 3: the map is taken on logits, and a feature leaves the search domain when it is changed. Unlike
there, an image also stops when no pair has a positive score, where CleverHans changes feature 0 once more.

The best pair is found without looking at all pairs: see `best_pairs`. `python -m benchmarks.evasion` measures what that saves.
"""

import torch
from torch import Tensor, nn

from ..errors import check_number
from .checks import check_attack, check_budget, gradient_of, keep_within
from .forms import answer, looks
from .pieces import in_pieces

MAX_PAIRS = 20_000_000  # pair scores held in memory at once


def jsma(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float | Tensor | None = None,
    targeted: bool = False,
    generator: torch.Generator | None = None,
    theta: float = 1.0,
    gamma: float = 0.1,
) -> Tensor:
    """Images changed, two features at a time, until the victim calls them `y` or no pair helps (Papernot et al. 2016).

    It ends too when fewer than two features are left, or after gamma * features / 2 pairs. Not `targeted` it aims, in each
    step, at the likeliest class other than `y`, and ends when the victim no longer answers `y`.

    Args:
        victim: images to logits, or a `Look` at a random victim.
        x, y, targeted, generator: as of `fgsm`.
        epsilon: l0 budget, the number of features that may change, of all images or of each (n,): an image of which more did
            comes back as it was; None leaves it at `gamma`.
        theta: change of a feature, in the units of `x`; negative to decrease features.
        gamma: largest share of the features that may change.
    """
    low, high = bounds = check_attack(victim, x, y, targeted, generator)
    radius = None if epsilon is None else check_budget(epsilon, x, "l0", bounds)
    check_number("theta", theta, low=low - high, high=high - low)
    check_number("gamma", gamma, low=0.0, high=1.0)
    x = x.detach()

    def change(x: Tensor, y: Tensor) -> Tensor:
        adversarial, sign = x.clone(), 1 if theta > 0 else -1
        domain = (x < high if theta > 0 else x > low).flatten(1)  # (n, features) that may still change
        active = torch.arange(len(x), device=x.device)
        for _ in range(int(domain.shape[1] * gamma / 2) if theta else 0):
            if len(active) == 0:
                break
            towards, others, reached = saliency(victim, adversarial[active], y[active], targeted=targeted)
            pairs, score = best_pairs(sign * towards, -sign * others, domain[active])
            going = ~reached & (score > 0)
            active, pairs = active[going], pairs[going]
            domain[active] = domain[active].scatter(1, pairs, False)
            changed = adversarial[active].flatten(1)
            changed = changed.scatter(1, pairs, (changed.gather(1, pairs) + theta).clamp(low, high))
            adversarial[active] = changed.view(len(active), *x.shape[1:])
        return adversarial

    return keep_within(in_pieces(change, victim, x, y), x, radius, 0)


def saliency(victim: nn.Module, x: Tensor, y: Tensor, *, targeted: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The two parts of the saliency map, dZ_t/dx and sum_{j != t} dZ_j/dx (n, features), and which images are done.

    The target t is `y` or, not `targeted`, the likeliest other class.
    """
    x = x.detach().requires_grad_(True)
    shown = looks(victim, x, y)  # (m, n, k)
    logits = shown.mean(0)  # the mean of gradients is the gradient of the mean
    target = y if targeted else logits.detach().scatter(1, y[:, None], -torch.inf).argmax(1)
    at_target = logits.gather(1, target[:, None]).sum()
    towards = gradient_of(at_target, x, again=True)
    others = gradient_of(logits.sum() - at_target, x)
    return towards.flatten(1), others.flatten(1), (answer(victim, shown).argmax(1) == y) == targeted


def best_pairs(gain: Tensor, loss: Tensor, domain: Tensor) -> tuple[Tensor, Tensor]:
    """For every image the pair (p, q) with the largest (gain_p + gain_q)(loss_p + loss_q), both sums being positive.

    Among pairs with both sums positive, replacing p by a feature with no less gain and no less loss never lowers the score. So a
    best pair is found among the features that at most one other feature surpasses in both: the outer two layers of
    the cloud of points (gain, loss). They are few, where all pairs of an MNIST image are 306,936.

    Of (n, features) `domain` is which may be used. Pairs are (n, 2), their scores (n,) 0 where none has both sums positive.
    """
    order = gain.masked_fill(~domain, -torch.inf).argsort(dim=1, descending=True, stable=True)
    gain, loss = gain.gather(1, order), loss.gather(1, order).masked_fill(~domain.gather(1, order), -torch.inf)
    outer = _undominated(loss)
    outer |= _undominated(loss.masked_fill(outer, -torch.inf))
    width = max(2, int(outer.sum(1).max()))
    kept = outer.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :width]  # padded with others
    gain, loss, order = gain.gather(1, kept), loss.gather(1, kept), order.gather(1, kept)
    at_once = max(1, MAX_PAIRS // width**2)
    found = [_best(*part) for part in zip(torch.split(gain, at_once), torch.split(loss, at_once), strict=True)]
    first, second, score = (torch.cat(parts) for parts in zip(*found, strict=True))
    return order.gather(1, torch.stack([first, second], 1)), score


def _undominated(loss: Tensor) -> Tensor:
    """Which features, sorted by falling gain, have more loss than all before them: (n, features)."""
    before = loss.cummax(1).values.roll(1, 1)
    before[:, 0] = -torch.inf
    return loss > before


def _best(gain: Tensor, loss: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The best pair of each row (n, width) by trying all of them."""
    width = gain.shape[1]
    gains, losses = gain[:, :, None] + gain[:, None, :], loss[:, :, None] + loss[:, None, :]
    allowed = (gains > 0) & (losses > 0) & ~torch.eye(width, dtype=torch.bool, device=gain.device)
    score, best = torch.where(allowed, gains * losses, 0).flatten(1).max(1)
    return best // width, best % width, score
