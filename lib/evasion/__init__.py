"""Attacks on the prediction, one family a file, all with one signature:

    attack(victim, x, y, *, settings...) -> adversarial images

`victim` is a module from images (n, c, h, w) to logits or log-probabilities (n, k), `y` (n,) the labels to move away from.
What comes back has the shape of `x`, lies inside the victim's bounds and the stated budget, and, for a victim that is not
random, does not depend on the batch it was computed in.
"""

from collections.abc import Callable

from torch import Tensor

from lib.evasion.gradient import fgsm, pgd

ATTACKS: dict[str, Callable[..., Tensor]] = {"fgsm": fgsm, "pgd": pgd}

__all__ = ["ATTACKS", "fgsm", "pgd"]
