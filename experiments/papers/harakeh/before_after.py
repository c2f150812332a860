"""What an attack does to a victim: accuracy before and after, the size of the change, and accuracy against the budget."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from experiments.run import in_batches
from lib import evasion
from lib.data import Split
from lib.errors import check_number
from lib.evasion.pieces import passes
from lib.metrics import accuracy
from lib.uncertainty import Heteroscedastic, Victim

Attack = Callable[[Victim, Tensor, Tensor], Tensor]


def measure(victim: Victim, test: Split, attack: Attack) -> dict[str, float]:
    """Accuracy before and after `attack`, both judged by fresh draws, and what the attack did to the images.

    The attack moves away from the victim's own prediction, as CleverHans does when it is given no label.
    """
    clean, after, moved, sigma = [], [], [], []
    for x, y in in_batches(test, passes(victim)):
        with torch.no_grad():
            scores = victim(x)
        adversarial = attack(victim, x, scores.argmax(1))
        with torch.no_grad():
            after.append(victim(adversarial).argmax(1) == y)
            if isinstance(victim, Heteroscedastic):
                sigma.append(torch.stack([mean_sigma(victim, x), mean_sigma(victim, adversarial)], 1))
        clean.append(scores.argmax(1) == y)
        moved.append((adversarial - x).abs().flatten(1).amax(1))
    largest = torch.cat(moved)
    measured = {
        "accuracy": 100 * torch.cat(clean).double().mean().item(),
        "adversarial_accuracy": 100 * torch.cat(after).double().mean().item(),
        "largest_perturbation": largest.max().item(),
        "unmoved": 100 * (largest == 0).double().mean().item(),
    }
    if sigma:
        before, behind = torch.cat(sigma).double().mean(0).tolist()
        measured |= {"sigma": before, "adversarial_sigma": behind}
    return measured


def mean_sigma(victim: Heteroscedastic, x: Tensor) -> Tensor:
    """The mean over classes of sigma(x): (n,)."""
    return victim.sigma(x).mean(1)


def accuracy_curve(victim: Victim, test: Split, epsilons: Sequence[float]) -> list[float]:
    """Accuracy in percent under FGSM at each of `epsilons`; at 0 the image itself, seen through fresh draws.

    Raises:
        BadValue: a budget that is no number from 0 to the width of the victim's bounds.
    """
    low, high = victim.bounds
    epsilons = [check_number("epsilons", epsilon, low=0.0, high=high - low) for epsilon in epsilons]
    right = torch.zeros(len(epsilons), dtype=torch.float64)
    for x, y in in_batches(test, passes(victim)):
        with torch.no_grad():
            predicted = victim(x).argmax(1)
        # FGSM's direction does not depend on its budget, so one gradient serves every epsilon. Where clipping at the
        # largest budget hides the direction, the image is at its bound already and no budget moves it.
        direction = (evasion.fgsm(victim, x, predicted, epsilon=high - low) - x).sign()
        for i, epsilon in enumerate(epsilons):
            adversarial = (x + epsilon * direction).clamp(low, high)
            with torch.no_grad():
                right[i] += accuracy(victim(adversarial), y) / 100 * len(y)
    return (100 * right / len(test)).tolist()
