"""FGSM and PGD: CleverHans's to the last bit in the l_inf ball, with our checks before and explicit randomness.

Gradients flow through whatever the victim averages: a random victim is attacked through the mean of its T draws, unless it comes
wrapped in a `Look`. Where the cross-entropy of a victim that is sure of its answer has no gradient left in float32, the attack
does nothing to that image and says so in a `VictimWarning`; the log-odds and DLR are losses that keep theirs.
"""

import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import BadValue, VictimWarning, check_choice, check_count
from ..seeds import check_generator
from ..uncertainty import Victim
from . import ball, perturb
from .checks import (
    check_answers,
    check_attack,
    check_budget,
    check_classes,
    check_steps,
    extent,
    gradient_of,
    scores_of,
)
from .forms import Look, answer, looks
from .pieces import in_pieces, persist


def dlr(logits: Tensor, y: Tensor, *, towards: bool = False) -> Tensor:
    """The difference of logits ratio (Croce and Hein 2020) at labels `y`, one by one: it knows neither shift nor scale.

    It rises away from a label, of three classes or more, and falls `towards` a target, of four or more: as the paper's while the
    label beats all other classes, then their best.
    """
    few, told = (4, "dlr towards a target needs four") if towards else (3, "dlr needs three")
    if logits.shape[1] < few:
        raise BadValue(f"loss: {told} classes or more, got a victim of {logits.shape[1]}")
    # (max_{i != y} z_i - z_y) / (z_1st - z_3rd), towards a target / (z_1st - (z_3rd + z_4th) / 2)
    own = logits.gather(1, y[:, None])[:, 0]
    rival = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    largest = logits.topk(few, dim=1).values
    return (rival - own) / (largest[:, 0] - largest[:, 2:].mean(1) + 1e-12)


SHOWN = 8  # images by which a network is known
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {**perturb.LOSSES, "dlr": dlr}
Ascent = Callable[[Tensor, Tensor, Tensor, list[Tensor] | None], Tensor]


def fgsm(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float | Tensor,
    targeted: bool = False,
    generator: torch.Generator | None = None,
    loss: str = "cross_entropy",
) -> Tensor:
    """The fast gradient sign method (Goodfellow et al. 2015; Harakeh, equation 4).

    Args:
        victim: images to logits or log-probabilities.
        x: images (n, c, h, w) in float32, inside the victim's bounds.
        y: labels (n,) whose loss is increased or, `targeted`, decreased.
        epsilon: l_inf budget, in the units of `x`, of all images or of each (n,), kept up to rounding: see `evasion`.
        targeted: whether `y` is to be reached.
        generator: not drawn from; it is taken so that all attacks can be called alike.
        loss: "cross_entropy", or one that keeps its gradient where the victim is sure of its answer: "log_odds", or "dlr" (three
            classes or more, and not `targeted`).

    Raises:
        BadValue: a setting out of range, as is an epsilon below 0 or above the width of the bounds; labels that do not match the
            images; images outside the bounds, or of another type; another loss; a victim whose answers or gradients are NaN.

    Warns:
        VictimWarning: images that are not there yet have a gradient of exactly 0, and stay as they are; the victim answers with
            probabilities.
    """
    bounds = check_attack(victim, x, y, targeted, generator)
    radius = check_budget(epsilon, x, "linf", bounds)
    ascend = _ascent(victim, loss, "linf", targeted=targeted, bounds=bounds)
    x, stuck = x.detach(), list[Tensor]()
    if not radius.any():
        return x.clone()
    _check_network(victim, x)
    # x' = clip(x + epsilon sign(grad_x J(theta, x, y)), low, high)
    found = in_pieces(lambda x, y, radius: ascend(x, y, radius, stuck), victim, x, y, radius)
    tell_of_zeros(torch.cat(stuck), loss)
    return found


def pgd(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float | Tensor,
    norm: str = "linf",
    step_size: float | None = None,
    steps: int = 40,
    restarts: int = 1,
    targeted: bool = False,
    generator: torch.Generator | None = None,
    loss: str = "cross_entropy",
) -> Tensor:
    """Projected gradient descent (Madry et al. 2018; Song et al., equation 5), from a random start if `generator` is given.

    Args:
        victim, x, y, epsilon, targeted, loss: as of `fgsm`.
        norm: in which the budget is, "linf" or "l2".
        step_size: length of a step in that norm; None is 2.5 epsilon / steps, as in Madry et al., section 5. It may be above
            `epsilon`: with a random start one step of 1.25 epsilon is the fast FGSM of Wong et al. 2020.
        steps: number of steps.
        restarts: random starts that are tried. An image keeps the first from which it gets where it should, by one look at the
            victim, or else the end of the highest loss (of a target, the lowest); of a random victim, whom luck may fool once,
            all are tried, and the highest loss of those that got there counts.
        generator: where random starts come from; None starts at `x`.

    Raises:
        BadValue: as of `fgsm`; restarts without a generator.

    Warns:
        VictimWarning: at the first step images have a gradient of exactly 0; the victim answers with probabilities.
    """
    bounds = check_attack(victim, x, y, targeted, generator)
    if check_count("restarts", restarts) > 1:
        check_generator(generator)
    radius = check_budget(epsilon, x, check_choice("norm", norm, ball.NORMS), bounds)
    length = check_steps(step_size, steps, radius, extent(x, norm, bounds))
    ascend = _ascent(victim, loss, norm, targeted=targeted, bounds=bounds)
    x, stuck = x.detach(), list[Tensor]()
    if not radius.any():
        return x.clone()
    _check_network(victim, x)
    start = partial(ball.begin, x, radius, norm, bounds, generator)

    def walk(x: Tensor, y: Tensor, radius: Tensor, length: Tensor, adversarial: Tensor) -> Tensor:
        for step in range(steps):
            # x_{t+1} = project(x_t + step_size sign(grad_x J(theta, x_t, y)))
            moved = ascend(adversarial, y, length, None if step else stuck)
            adversarial = ball.keep(x, radius, norm, bounds, moved)
        return adversarial

    def attempt(left: Tensor, run: int) -> tuple[Tensor, Tensor]:
        ends = in_pieces(walk, victim, *(part[left] for part in (x, y, radius, length, start())))
        return ends, in_pieces(partial(_missing, victim, loss, targeted), victim, ends, y[left])

    if restarts == 1:
        found = in_pieces(walk, victim, x, y, radius, length, start())
    else:
        found = persist(victim, x, x.new_full((len(x),), torch.inf), restarts, attempt)
    tell_of_zeros(torch.cat(stuck)[: len(x)], loss)
    return found


def _ascent(victim: nn.Module, loss: str, norm: str, *, targeted: bool, bounds: tuple[float, float]) -> Ascent:
    """A step, as a function of images (n, c, h, w), labels and lengths (n, 1, 1, 1).

    Where a list is given, it gets which of the images have no gradient though they need one (n,).
    """
    objective = LOSSES[check_choice("loss", loss, LOSSES)]
    if targeted and loss == "dlr":  # of a third-ranked target it is constant
        raise BadValue("loss: expected cross_entropy or log_odds for a targeted attack, got 'dlr'")

    def ascend(x: Tensor, y: Tensor, length: Tensor, stuck: list[Tensor] | None) -> Tensor:
        x = x.detach().requires_grad_(True)
        scores, labels = _per_draw(victim, x, y)
        # In l_inf the mean and not the sum, as in CleverHans.
        share = labels.numel() if norm == "linf" else 1
        gradient = gradient_of(objective(scores, labels).sum() / share, x)
        if stuck is not None:
            astray = ((scores.argmax(1) == labels) == targeted).view(len(x), -1).all(1)  # where no step is needed
            stuck.append((gradient == 0).flatten(1).all(1) & ~astray)
        return (x.detach() + (-length if targeted else length) * ball.steepest(gradient, norm)).clamp(*bounds)

    return ascend


def _missing(victim: nn.Module, loss: str, targeted: bool, x: Tensor, y: Tensor) -> Tensor:
    """How far images are from success (n,), by one look: negative if they are there, in either case less the higher the loss."""
    with torch.no_grad():
        shown = looks(victim, x)
        each = LOSSES[loss](shown.permute(1, 2, 0), y[:, None].expand(-1, len(shown))).mean(1) * (-1 if targeted else 1)
        reached = (answer(victim, shown).argmax(1) == y) == targeted
    return torch.where(reached, -1 - nn.functional.softplus(each), nn.functional.softplus(-each))


def _per_draw(victim: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (n, k) and labels (n,), or of a `Look` of m draws (n, k, m) and (n, m), over which a loss is averaged."""
    if isinstance(victim, Look):
        scores = victim.looks(x).permute(1, 2, 0)
        labels = y[:, None].expand(-1, scores.shape[2])
    else:
        scores, labels = check_answers(scores_of(victim, x)), y
    check_classes(y, scores.shape[1])
    return scores, labels


def _check_network(victim: nn.Module, x: Tensor) -> None:
    """Warn if the network inside a bare `Victim`, whose own answers never are, answers images `x` with probabilities.

    The draw that shows it is put back: what the victim draws next does not depend on this check.
    """
    if not isinstance(victim, Victim):
        return
    source: torch.Generator = getattr(victim, "generator", torch.Generator())
    state = source.get_state()
    with torch.no_grad():
        samples = victim.sample(x[:SHOWN], 1)
    source.set_state(state)
    check_answers(samples)


def tell_of_zeros(stuck: Tensor, loss: str) -> None:
    """Warn of those images (n,) of which no feature has a gradient."""
    zeros, n = int(stuck.sum()), len(stuck)
    if zeros:
        others = " or ".join(repr(other) for other in LOSSES if other not in (loss, "cross_entropy"))
        warnings.warn(
            f"victim: the gradients of {zeros} of {n} images ({zeros / n:.1%}) are exactly 0 under "
            f"loss={loss!r}, so that no step moves them: the victim may look more robust than it is; try loss={others}",
            VictimWarning,
            stacklevel=3,
        )
