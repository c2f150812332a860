"""Auto-PGD (Croce and Hein 2020): steps that need no tuning, and one target after another as AutoAttack's APGD-T aims at them.

No package fits: adv-lib 0.2.8 and torchattacks 3.5.1 draw starts from PyTorch's global generator, know images in [0, 1] only and
judge a random victim by the last of the draws that they average.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import BadValue, check_choice, check_count
from ..seeds import check_generator
from . import ball
from .carlini_wagner import margin
from .checks import check_attack, check_budget, gradient_of
from .forms import answer, looks
from .gradient import LOSSES, dlr, tell_of_zeros
from .pieces import in_pieces, persist

Loss = Callable[[Tensor, Tensor], Tensor]
MOMENTUM = 0.75  # alpha
RISES = 0.75  # rho, the share of steps that must have raised the loss


def apgd(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float | Tensor,
    norm: str = "linf",
    steps: int = 100,
    restarts: int = 1,
    loss: str = "log_odds",
    targets: int = 0,
    targeted: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The point of the smallest margin on the way of Auto-PGD; an image that is adversarial already comes back as it is.

    AutoAttack has it with `loss="cross_entropy"`, of which the log-odds are what float32 keeps, and as APGD-T with `loss="dlr"`
    and `targets=9`. Of a `Look` losses are averaged over draws, margins are those of the averaged answer, and all runs are made.

    Args:
        victim, x, y, targeted, epsilon, norm: as of `pgd`.
        steps: of one run.
        restarts: runs of an image that none has fooled, from random starts.
        loss: what rises: "log_odds", "cross_entropy" or "dlr", for which a victim has three classes, with a target four.
        targets: if not 0, so many of the likeliest other classes are aimed at in turn, or all if there are fewer.
        generator: where random starts come from, piece by piece; None starts at `x`.

    Raises:
        BadValue: as `pgd`; targets of an attack that has one.

    Warns:
        VictimWarning: where it starts images have a gradient of exactly 0; the victim answers with probabilities.
    """
    bounds = check_attack(victim, x, y, targeted, generator)
    for name, count, least in (("steps", steps, 1), ("restarts", restarts, 1), ("targets", targets, 0)):
        check_count(name, count, low=least)
    if restarts > 1:
        check_generator(generator)
    if targeted and targets:
        raise BadValue(f"targets: expected 0 for a targeted attack, got {targets}")
    check_choice("loss", loss, LOSSES)
    radius = check_budget(epsilon, x, check_choice("norm", norm, ball.NORMS), bounds)
    if not radius.any():
        return x.detach().clone()
    towards, stuck = targeted or targets > 0, [torch.zeros(0, dtype=torch.bool, device=x.device)]

    def rising(scores: Tensor, labels: Tensor) -> Tensor:
        return -TOWARDS[loss](scores, labels) if towards else LOSSES[loss](scores, labels)

    def attack(x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
        with torch.no_grad():
            clean = answer(victim, looks(victim, x, y))
        likeliest = clean.scatter(1, y[:, None], -torch.inf).argsort(1, descending=True)[:, :-1]  # of the other classes
        aims = min(targets, likeliest.shape[1])

        def attempt(left: Tensor, run: int) -> tuple[Tensor, Tensor]:
            begin = ball.begin(x, radius, norm, bounds, generator)
            aim = likeliest[left, run // restarts] if aims else y[left]
            look = partial(_look, victim, rising, aim, y[left], targeted)
            start = begin[left], *look(begin[left])
            if run == 0:
                stuck.append((start[2] == 0).flatten(1).all(1) & (start[3] >= 0))
            keep = partial(ball.keep, x[left], radius[left], norm, bounds)
            return _climb(look, keep, start, 2 * radius[left], steps, norm)

        margins = margin(clean[None], y, targeted=targeted)[0]
        return persist(victim, x, margins, restarts * max(1, aims), attempt)

    found = in_pieces(attack, victim, x.detach(), y, radius)
    tell_of_zeros(torch.cat(stuck), loss)
    return found


def checkpoints(steps: int) -> list[int]:
    """After which of so many steps their length is looked at."""
    # w_j = ceil(p_j N),  p_0 = 0,  p_1 = 0.22,  p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06), here in hundredths
    before, now, found = 0, 22, []
    while now <= 100:
        found.append(-(-now * steps // 100))
        before, now = now, now + max(now - before - 3, 6)
    return found


TOWARDS: dict[str, Loss] = {**LOSSES, "dlr": partial(dlr, towards=True)}


def _look(victim: nn.Module, rising: Loss, aim: Tensor, y: Tensor, targeted: bool, point: Tensor) -> tuple[Tensor, ...]:
    """What is to rise at points (n, c, h, w): (n,); its gradient; and the margins (n,)."""
    point = point.detach().requires_grad_(True)
    shown = looks(victim, point)  # (m, n, k)
    value = rising(shown.permute(1, 2, 0), aim[:, None].expand(-1, len(shown))).mean(1)
    gradient = gradient_of(value.sum(), point)
    return value.detach(), gradient, margin(answer(victim, shown.detach())[None], y, targeted=targeted)[0]


def _climb(
    look: Callable[[Tensor], tuple[Tensor, ...]],
    keep: Callable[[Tensor], Tensor],
    start: tuple[Tensor, ...],
    stride: Tensor,
    steps: int,
    norm: str,
) -> tuple[Tensor, Tensor]:
    """The paper's algorithm 1 from a point with what a look at it shows: the points of the smallest margins, and these."""
    (point, value, gradient, _), previous, best = start, start[0], start[::3]
    top = start[:3]  # x_max, f_max
    marks = checkpoints(steps)
    last, last_top, rises, halved = 0, value, torch.zeros_like(value), torch.zeros_like(value, dtype=torch.bool)
    for step in range(1, steps + 1):
        # z_{k+1} = P(x_k + eta g_k),  x_{k+1} = P(x_k + alpha (z_{k+1} - x_k) + (1 - alpha) (x_k - x_{k-1}))
        alpha = MOMENTUM if step > 1 else 1.0
        z = keep(point + stride * ball.steepest(gradient, norm))
        point, previous, before = keep(point + alpha * (z - point) + (1 - alpha) * (point - previous)), point, value
        value, gradient, margins = look(point)
        rises += value > before
        top = _pick(value > top[1], (point, value, gradient), top)
        best = _pick(margins < best[1], (point, margins), best)
        if step in marks:
            # eta / 2, back to x_max: too few of the steps since w_{j-1} rose, or neither eta nor f_max changed
            halved = (rises < RISES * (step - last)) | (~halved & (top[1] <= last_top))
            stride, point, value, gradient = _pick(halved, (stride / 2, *top), (stride, point, value, gradient))
            last, last_top, rises = step, top[1], torch.zeros_like(value)
    return best[0], best[1]


def _pick(chosen: Tensor, ones: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Of each two tensors (n, ...) those rows of the first that are `chosen` (n,), the other rows of the second."""
    pairs = zip(ones, others, strict=True)
    return tuple(torch.where(chosen.view(-1, *[1] * (one.dim() - 1)), one, other) for one, other in pairs)
