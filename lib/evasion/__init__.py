"""Attacks on the prediction, one family a file, all with one signature:

    attack(victim, x, y, *, epsilon, targeted=False, generator=None, settings...) -> adversarial images

`victim` is a module from images (n, c, h, w) to logits or log-probabilities (n, k), `y` (n,) the labels, int64, to move away
from or, `targeted`, to reach; `epsilon` is the budget, of all images or of each (n,), in a norm that `NORMS_OF` names. Those that
look for the smallest change, Carlini and Wagner's and JSMA, have no budget by default; with one they give an image back as it was
that needs more. What comes back has the shape of `x`, lies inside the victim's bounds and the budget, and, for a victim that is
not random, does not depend on the batch it was computed in. (As in CleverHans, the cross-entropy of FGSM and PGD in l_inf is a
mean over a piece of the batch, so that beyond log-odds of some 95 a gradient underflows sooner in a larger one.) A budget is kept
up to the rounding of float32: within the bounds 0 and 1 no feature moves farther than epsilon + 2^-24 (6e-8), in others than that
times the largest of them, and in l2 no image farther than epsilon times 1 + 1e-6.

What does not fit is a `BadValue` before any work, as `fgsm` tells, and a victim whose answers or gradients are NaN one when it is
asked. Many images are attacked in pieces, see `evasion.pieces`. A `Look` says what the attack sees of a random victim.
`DECISION_ATTACKS` see labels only, count them, and report images for which no start was found: they return a `Decided`.
"""

from collections.abc import Callable

from torch import Tensor

from .apgd import apgd as apgd
from .aware import pgd_aware as pgd_aware
from .boundary import boundary as boundary
from .carlini_wagner import carlini_wagner as carlini_wagner
from .decision import Decided as Decided
from .forms import FORMS as FORMS
from .forms import Look as Look
from .gradient import fgsm as fgsm
from .gradient import pgd as pgd
from .hop_skip_jump import hop_skip_jump as hop_skip_jump
from .saliency import jsma as jsma
from .square import square as square

ATTACKS: dict[str, Callable[..., Tensor]] = dict(
    fgsm=fgsm, pgd=pgd, apgd=apgd, square=square, pgd_aware=pgd_aware, carlini_wagner=carlini_wagner, jsma=jsma
)
# In which norms each can keep to a budget.
NORMS_OF: dict[str, tuple[str, ...]] = dict.fromkeys(ATTACKS, ("linf", "l2"))
NORMS_OF |= {"fgsm": ("linf",), "carlini_wagner": ("l2",), "jsma": ("l0",)}
DECISION_ATTACKS: dict[str, Callable[..., Decided]] = {"hop_skip_jump": hop_skip_jump, "boundary": boundary}
