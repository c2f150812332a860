"""Our decision-based attacks and other people's on the same images, side by side in one process.

python -m benchmarks.decision [--images 64] [--iterations 10] [--attack hop_skip_jump boundary] [--noisy] [--keep]
python -m benchmarks.decision --popskipjump FOLDER [--images 64] [--their-images N] [--seeds 3] [--budgets 5000 20000 ...]
                              [--victims theirs lenet5-50 ...] [--keep]

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

With --popskipjump, a clone of github.com/cjsg/PopSkipJump, HopSkipJump stands beside that, at l2 and at each budget of answers;
see benchmarks/precedent.py. Its code takes long, so it may be given the first --their-images only; the rows say which. A row has:
    answers   that an image took
    seconds   of processor time for an image
    distance  median l2 at which .6 of 400 fresh draws are fooled, along the ray through the point
    wins      share of the points returned that most of 50 fresh draws call adversarial, where they are
    returned  share of images for which there is a point

With --keep the rows go to results/benchmarks, from where the book shows them.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import harness, precedent
from benchmarks.harness import Implementation, by_art, by_foolbox, installed
from lib import evasion
from lib.evasion.decision import NORMS, Decided
from lib.judging import judge
from lib.uncertainty import Deterministic, MonteCarloDropout, Victim
from report.names import ATTACK_NAMES

# What a victim that contradicts itself asks for: votes, a check, and probes far enough out to tell one side from the other.
AWARE = {
    norm: {"lead": 5, "check_answers": 50, "confirm_answers": 0, "probe": probe}
    for norm, probe in (("linf", 10.0), ("l2", 1.0))
}
PLAIN = {"lead": 1, "check_answers": 0}


def ours(attack: str, victim: Victim, x: Tensor, y: Tensor, **settings: Any) -> Decided:
    """Our attack, from a seed."""
    generator = torch.Generator().manual_seed(0)
    return evasion.DECISION_ATTACKS[attack](victim, x, y, generator=generator, **settings)


def hop_skip_jumps(norm: str, iterations: int, *, noisy: bool) -> list[Implementation]:
    """The implementations of HopSkipJump that are installed, ours first."""
    own = partial(ours, "hop_skip_jump", norm=norm, iterations=iterations, probe=0.01, **PLAIN)
    theirs = partial(by_foolbox, "HopSkipJumpAttack", steps=iterations, constraint=norm)
    found = [Implementation("ours", own)]
    if noisy:
        found.append(Implementation("ours, aware", partial(own, **AWARE[norm])))
    else:  # Foolbox's stops the whole batch at the first contradiction
        found.append(Implementation("Foolbox", theirs, "foolbox"))
        if norm == "l2":
            found.append(Implementation("Foolbox, one by one", partial(theirs, at_once=1), "foolbox"))
    order = {"l2": 2, "linf": "inf"}[norm]
    art = partial(by_art, "HopSkipJump", labels=True, batch_size=512, norm=order, max_iter=iterations)
    return installed(*found, Implementation("ART", art, "art"))


def boundaries(norm: str, iterations: int, *, noisy: bool) -> list[Implementation]:
    """The implementations of the Boundary attack that are installed, ours first; none in l_inf."""
    if norm != "l2":
        return []
    own = partial(ours, "boundary", iterations=iterations, **PLAIN)
    found = [Implementation("ours", own)]
    if noisy:
        found.append(Implementation("ours, aware", partial(own, lead=3, check_answers=50, budget=4000)))
    else:  # Foolbox's stops the whole batch at a start that is taken back
        theirs = partial(by_foolbox, "BoundaryAttack", steps=30 * iterations)
        found.append(Implementation("Foolbox", theirs, "foolbox"))
    art = partial(by_art, "BoundaryAttack", labels=True, targeted=False, max_iter=iterations)
    return installed(*found, Implementation("ART", art, "art"))


# What each attack is compared with: the implementations for a norm and a number of iterations.
ATTACKS: dict[str, Callable[..., list[Implementation]]] = {"hop_skip_jump": hop_skip_jumps, "boundary": boundaries}


def compare(
    implementations: list[Implementation], *, victim: Victim, x: Tensor, y: Tensor, norm: str
) -> Iterator[list[str]]:
    """A row for each implementation."""
    curve = None
    for name, attack, *_ in implementations:
        made, seconds, counted = harness.attacked(attack, victim, x, y)
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
        yield [name, *cost, *shares, equal]


def main() -> None:
    """Train the victim, then print a table for each attack and norm."""
    options = harness.command_line(
        __doc__,
        counts={"images": 64, "iterations": 10, "their-images": 64, "seeds": 3},
        popskipjump={"type": Path, "metavar": "FOLDER"},
        budgets={"nargs": "+", "type": int, "default": [5000, 20_000, 60_000, 150_000]},
        victims={"nargs": "+", "choices": list(precedent.VICTIMS), "default": list(precedent.VICTIMS)},
        attack={"nargs": "+", "choices": list(ATTACKS), "default": list(ATTACKS)},
        norm={"nargs": "+", "choices": list(NORMS), "default": ["linf", "l2"]},
        noisy={"action": "store_true"},
        keep={"action": "store_true"},
    )
    if options.popskipjump:
        for name in options.victims:
            made = precedent.rows(
                name,
                options.popskipjump.resolve(),
                images=options.images,
                seeds=options.seeds,
                budgets=options.budgets,
                their_images=min(options.images, options.their_images),
            )
            rows = harness.printed(f"{name}, {options.seeds} seed{'s' * (options.seeds > 1)}", precedent.HEAD, made)
            if options.keep:
                harness.keep(f"popskipjump-{name}", rows, folder=options.popskipjump)
        return
    how = {"epochs": 12, "dropout": 0.5} if options.noisy else {"epochs": 2}
    network, x, y = harness.mnist_victim("lenet5", n=options.images * (2 if options.noisy else 1), **how)
    victim: Victim = Deterministic(network)
    if options.noisy:
        victim = MonteCarloDropout(network, generator=torch.Generator().manual_seed(0), draws=1)
        right = judge(victim, x).vote == y  # the label to leave is what most of its own answers say
        x, y = x[right][: options.images], y[right][: options.images]
    head = "s inside calls queries found success distance equal"
    for attack in options.attack:
        rows = []
        for norm in options.norm:
            if implementations := ATTACKS[attack](norm, options.iterations, noisy=options.noisy):
                title = f"{ATTACK_NAMES[attack]}, {norm}, {options.iterations} iterations, {len(x)} images"
                rows += harness.printed(title, head, compare(implementations, victim=victim, x=x, y=y, norm=norm))
        if options.keep:
            harness.keep(f"{attack}-noisy" if options.noisy else attack, rows)


if __name__ == "__main__":
    harness.run(main)
