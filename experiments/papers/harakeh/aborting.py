"""CW as CleverHans 2 runs it unless told otherwise: `abort_early`, by which the whole batch stops when its loss no longer falls.

The tutorial leaves that switch on and gives the attack a run at once, its hundred attempts in one batch. Every tenth of the
iterations the sum of the batch's losses is held against .9999 of what it was a tenth before, and if it is larger, that was it
(`CarliniWagnerL2.attack_batch` in `attacks_tf.py`, v2.0.0). Of a network without draws the loss falls until the images are found;
under dropout its sum is noise, and the attack may end by chance. So results depend on the batch, and the library's attack has no
such switch.
"""

from typing import Annotated, Literal

import torch
from torch import Tensor

from experiments.cell import Count, checked, within
from experiments.papers.harakeh.targeted import Targeted
from experiments.papers.harakeh.victims import Attack
from lib.evasion import Look
from lib.evasion.carlini_wagner import ALMOST_ONE, margin
from lib.evasion.forms import answer, looks
from lib.layers import only_input_gradients
from lib.progress import track

FALLEN = 0.9999  # of the sum before: one that is not below has not fallen
FIRST = 1e6  # what the first sum is held against


@checked
class AbortingCW(Targeted):
    """One cell of the Carlini-Wagner rows with `abort_early`, in one search step as the tutorial has it."""

    TITLES = ("CW, aborting early",)

    attack: Literal["cw_aborting"] = "cw_aborting"
    iterations: Count = 100
    constant: Annotated[float, within(1e-12, 1e10)] = 10.0
    attack_rate: Annotated[float, within(1e-12, 1e3)] = 0.1  # learning rate
    confidence: Annotated[float, within(0, 1e6)] = 0.0

    def examples_and_steps(self) -> tuple[int, float]:
        """As CW's, if it is not given up."""
        return 100, 3.0 * self.iterations

    def attacked(self, attack: Attack, x: Tensor, targets: Tensor, *, progress: bool) -> Tensor:
        """Run by run, each a batch of its own."""
        runs = list(zip(x.chunk(self.attack_runs), targets.chunk(self.attack_runs), strict=True))
        return torch.cat([attack(*run) for run in track(runs, self.attack, enabled=progress)])

    def on(self, look: Look, x: Tensor, targets: Tensor) -> Tensor:
        """The attack on a run."""
        own = self.chosen("iterations constant confidence")
        return aborting_carlini_wagner(look, x, targets, learning_rate=self.attack_rate, **own)


def aborting_carlini_wagner(
    look: Look, x: Tensor, targets: Tensor, *, iterations: int, constant: float, learning_rate: float, confidence: float
) -> Tensor:
    """The nearest image that `look` took for its target before the batch was given up; the image itself if there was none."""
    low, high = look.bounds
    w = torch.atanh((2 * (x - low) / (high - low) - 1) * ALMOST_ONE)
    change = torch.zeros_like(w).requires_grad_(True)
    adam = torch.optim.Adam([change], learning_rate)
    best, best_l2, before = x.clone(), x.new_full((len(x),), torch.inf), FIRST
    with only_input_gradients(look):
        for iteration in range(iterations):
            adversarial = low + (high - low) * (torch.tanh(w + change) + 1) / 2
            l2 = (adversarial - x).flatten(1).square().sum(1)
            shown = looks(look, adversarial)
            # sum over the batch of |x' - x|^2 + c max(max_{i != t} Z_i - Z_t, -kappa)
            loss = (l2 + constant * margin(shown, targets, targeted=True).add(confidence).clamp_min(0).mean(0)).sum()
            if iteration % (iterations // 10 or 1) == 0:
                if loss.item() > before * FALLEN:
                    break
                before = loss.item()
            (change.grad,) = torch.autograd.grad(loss, change)
            with torch.no_grad():
                reached = margin(answer(look, shown)[None], targets, targeted=True)[0] + confidence < 0
                better = reached & (l2 < best_l2)
                best = torch.where(better[:, None, None, None], adversarial, best)
                best_l2 = torch.where(better, l2, best_l2)
            adam.step()
    return best.detach().clamp(low, high)
