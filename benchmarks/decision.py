"""Our decision-based attacks and other people's on the same images, side by side in one process.

python -m benchmarks.decision [--images 64] [--iterations 10] [--attack hop_skip_jump boundary] [--noisy] [--keep]

The victim is LeNet-5 in float32 on one thread, after two epochs on 10,000 images of MNIST; the images are the first of the test
set that it recognises. All implementations take the same number of iterations, at their own defaults otherwise. Foolbox's l2
divides each direction by the norm of the whole batch's, so that it also attacks an image at a time.

An iteration of the Boundary attack is a step closer that succeeds, here and in ART; Foolbox's is one candidate, and it takes 30
times as many, which is what ART asks about in one. The attack is for l2 only.

With --noisy the victim, after 12 epochs, keeps dropout of 0.5 before each layer but the first and answers by one draw, and ours
runs as everybody else's and with votes and a check.

A table has a row for every implementation that is installed:
    s         processor time for all images
    inside    share of it inside the victim
    calls     of the victim
    queries   images shown to it for each image attacked
    found     share of images that it reports as adversarial, or that it has changed
    success   share of images that are adversarial afterwards: by most of 50 fresh draws, if the victim is random
    distance  its median, in the norm of the attack, of those images that the attack reports
    equal     ours at the iteration before its queries exceed the row's

Measured numbers stand with the claims they bear out, at the heads of lib/evasion/hop_skip_jump.py and lib/evasion/boundary.py;
with --keep the rows go to results/benchmarks, from where the book shows them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.evasion import line, recognised
from experiments.records import Store
from lib import data, models, training
from lib.errors import BadValue, check_count
from lib.evasion.boundary import boundary
from lib.evasion.decision import NORMS, Decided
from lib.evasion.hop_skip_jump import hop_skip_jump
from lib.judging import judge
from lib.uncertainty import Deterministic, MonteCarloDropout, Victim
from report.benchmark_page import keep
from report.names import ATTACK_NAMES

Attack = Callable[[Victim, Tensor, Tensor], Tensor | Decided]

# What a victim that contradicts itself asks for: votes, a check, and probes far enough out to tell one side from the other.
AWARE = {norm: {"lead": 5, "check_answers": 50, "probe": probe} for norm, probe in (("linf", 10.0), ("l2", 1.0))}


class Implementation(NamedTuple):
    """One of the implementations that are compared."""

    name: str
    attack: Attack


class Counted(nn.Module):
    """A victim that counts its calls, the images it is shown and the time it takes."""

    def __init__(self, victim: Victim) -> None:
        super().__init__()
        self.victim, self.random, self.bounds = victim, victim.random, victim.bounds
        self.calls = self.images = 0
        self.seconds = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """The victim's log-probabilities."""
        start = time.process_time()
        scores: Tensor = self.victim(x)
        self.seconds += time.process_time() - start
        self.calls, self.images = self.calls + 1, self.images + len(x)
        return scores


def hop_skip_jumps(norm: str, iterations: int, *, noisy: bool) -> list[Implementation]:
    """The implementations of HopSkipJump that are installed, ours first."""
    ours = partial(our_hop_skip_jump, norm=norm, iterations=iterations)
    found = [Implementation("ours", ours)]
    if noisy:
        found.append(Implementation("ours, aware", partial(ours, **AWARE[norm])))
    if find_spec("foolbox") and not noisy:  # which stops the whole batch at the first contradiction
        theirs = partial(foolbox_hop_skip_jump, norm=norm, iterations=iterations)
        found.append(Implementation("Foolbox", theirs))
        if norm == "l2":
            found.append(Implementation("Foolbox, one by one", partial(theirs, at_once=1)))
    if find_spec("art"):
        found.append(Implementation("ART", partial(art_hop_skip_jump, norm=norm, iterations=iterations)))
    return found


def boundaries(norm: str, iterations: int, *, noisy: bool) -> list[Implementation]:
    """The implementations of the Boundary attack that are installed, ours first; none in l_inf."""
    if norm != "l2":
        return []
    ours = partial(our_boundary, iterations=iterations)
    found = [Implementation("ours", ours)]
    if noisy:
        found.append(Implementation("ours, aware", partial(ours, lead=3, check_answers=50, budget=4000)))
    if find_spec("foolbox") and not noisy:  # which stops the whole batch at a start that is taken back
        found.append(Implementation("Foolbox", partial(foolbox_boundary, candidates=30 * iterations)))
    if find_spec("art"):
        found.append(Implementation("ART", partial(art_boundary, iterations=iterations)))
    return found


# What each attack is compared with: the implementations for a norm and a number of iterations.
ATTACKS: dict[str, Callable[..., list[Implementation]]] = {"hop_skip_jump": hop_skip_jumps, "boundary": boundaries}


def our_hop_skip_jump(victim: Victim, x: Tensor, y: Tensor, **settings: Any) -> Decided:
    """Ours, from a seed."""
    return hop_skip_jump(victim, x, y, generator=torch.Generator().manual_seed(0), **settings)


def foolbox_hop_skip_jump(
    victim: Victim, x: Tensor, y: Tensor, *, norm: str, iterations: int, at_once: int | None = None
) -> Tensor:
    """Foolbox's."""
    import foolbox

    torch.manual_seed(0)
    attack = foolbox.attacks.HopSkipJumpAttack(steps=iterations, constraint=norm)
    model = foolbox.PyTorchModel(victim, bounds=victim.bounds)
    parts = zip(x.split(at_once or len(x)), y.split(at_once or len(x)), strict=True)
    return torch.cat(
        [attack.run(model, images, foolbox.criteria.Misclassification(labels)) for images, labels in parts]
    )


def art_hop_skip_jump(victim: Victim, x: Tensor, y: Tensor, *, norm: str, iterations: int) -> Tensor:
    """The adversarial-robustness-toolbox's: an image at a time, its directions at once."""
    from art.attacks.evasion import HopSkipJump

    attack = HopSkipJump(
        art_classifier(victim, x),
        batch_size=512,
        norm=2 if norm == "l2" else np.inf,
        max_iter=iterations,
        verbose=False,
    )
    np.random.seed(0)
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def our_boundary(victim: Victim, x: Tensor, y: Tensor, **settings: Any) -> Decided:
    """Ours, from a seed."""
    return boundary(victim, x, y, generator=torch.Generator().manual_seed(0), **settings)


def foolbox_boundary(victim: Victim, x: Tensor, y: Tensor, *, candidates: int) -> Tensor:
    """Foolbox's: the whole batch at once."""
    import foolbox

    torch.manual_seed(0)
    attack = foolbox.attacks.BoundaryAttack(steps=candidates)
    model = foolbox.PyTorchModel(victim, bounds=victim.bounds)
    adversarial: Tensor = attack.run(model, x, foolbox.criteria.Misclassification(y))
    return adversarial


def art_boundary(victim: Victim, x: Tensor, y: Tensor, *, iterations: int) -> Tensor:
    """The adversarial-robustness-toolbox's: an image at a time, 20 candidates at once."""
    from art.attacks.evasion import BoundaryAttack

    attack = BoundaryAttack(art_classifier(victim, x), targeted=False, max_iter=iterations, verbose=False)
    np.random.seed(0)
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def art_classifier(victim: Victim, x: Tensor) -> Any:
    """The victim as ART wants it, from arrays to arrays: its own wrapper of PyTorch fails the attack under NumPy 2."""
    from art.estimators.classification import BlackBoxClassifier

    def predict(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return victim(torch.from_numpy(np.asarray(images, dtype=np.float32))).numpy()

    return BlackBoxClassifier(predict, tuple(x.shape[1:]), 10, clip_values=victim.bounds)


def compare(
    implementations: list[Implementation], title: str, *, victim: Victim, x: Tensor, y: Tensor, norm: str
) -> list[list[str]]:
    """Print a table with a row for each implementation, and return its rows."""
    line([title, "", "s", "inside", "calls", "queries", "found", "success", "distance", "equal"])
    curve, rows = None, []
    for name, attack in implementations:
        counted = Counted(victim).eval()
        start = time.process_time()
        made = attack(counted, x.clone(), y)
        seconds = time.process_time() - start
        adversarial = made.adversarial if isinstance(made, Decided) else made
        success = (judge(victim, adversarial).vote != y).double().mean()
        change = torch.linalg.vector_norm((adversarial - x).flatten(1), NORMS[norm], dim=1)
        found = made.found if isinstance(made, Decided) else change > 0
        if curve is None and isinstance(made, Decided):
            curve = made.trace_answers.double().mean(1), made.trace_distance.median(1).values
        queries = counted.images / len(x)
        equal = "–"
        if curve is not None and (curve[0] <= queries).any():
            equal = f"{curve[1][curve[0] <= queries][-1]:.4f}"
        cost = [f"{seconds:.1f}", f"{counted.seconds / seconds:.2f}", str(counted.calls), f"{queries:.0f}"]
        shares = [f"{found.double().mean():.2f}", f"{success:.2f}", f"{change[found].median():.4f}"]
        rows.append([title, name, *cost, *shares, equal])
        line(rows[-1])
    return rows


def main() -> None:
    """Train the victim, then print a table for each attack and norm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--attack", nargs="+", choices=ATTACKS, default=list(ATTACKS))
    parser.add_argument("--norm", nargs="+", choices=NORMS, default=["linf", "l2"])
    parser.add_argument("--noisy", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        check_count("images", options.images)
        check_count("iterations", options.iterations)
        mnist = data.load("mnist")
        dropout = 0.5 if options.noisy else 0.0
        network = models.build("lenet5", shape=mnist.shape, classes=10, seed=0, width=6, dropout=dropout)
        epochs = 12 if options.noisy else 2
        training.fit(network, mnist.train.first(10_000), training.TrainingConfig(epochs=epochs), seed=0)
        x, y = recognised(network.eval(), mnist.test, 2 * options.images if options.noisy else options.images)
    except BadValue as error:
        parser.error(str(error))
    victim: Victim = Deterministic(network)
    if options.noisy:
        victim = MonteCarloDropout(network, generator=torch.Generator().manual_seed(0), draws=1)
        right = judge(victim, x).vote == y  # the label to leave is what most of its own answers say
        x, y = x[right][: options.images], y[right][: options.images]
    for attack in options.attack:
        rows = []
        for norm in options.norm:
            implementations = ATTACKS[attack](norm, options.iterations, noisy=options.noisy)
            if implementations:
                title = f"{ATTACK_NAMES[attack]}, {norm}, {options.iterations} iterations, {len(x)} images"
                rows += compare(implementations, title, victim=victim, x=x, y=y, norm=norm)
        if options.keep:
            keep(Store(), f"{attack}-noisy" if options.noisy else attack, rows, command=shlex.join(sys.orig_argv[1:]))


if __name__ == "__main__":
    main()
