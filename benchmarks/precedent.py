"""HopSkipJump beside PopSkipJump, the published attack on victims that contradict themselves, from a clone of its code.

PopSkipJump (Simon-Gabriel, Sheikh and Krause 2021) has no licence, so nothing of it is here: it is run where its user has put
it, at the settings of its own command line, on l2. Both attacks get the same images, labels and starts, and the same answers: one
draw of a network with dropout each. It goes on to the largest budget, and is asked what it had at the others; ours is run for
each budget anew. A victim is `theirs`, the network of its own folder at their dropout of .5, or LeNet-5 with dropout before each
layer but the first, at the rate in its name, in percent, with which it was trained.
"""

import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import harness
from lib import evasion
from lib.errors import BadValue
from lib.uncertainty import MonteCarloDropout

HEAD = "budget answers seconds distance wins returned"
DRAWS = 400  # fresh, of a point that is judged
FOOLED = 0.6  # the share of them by which points are compared, for a point at one half loses every other vote
VICTIMS = {"theirs": 0.5, "lenet5-10": 0.1, "lenet5-30": 0.3, "lenet5-50": 0.5}


class Problem(NamedTuple):
    """A victim, the images it recognises, their labels, and for each an image of another class."""

    victim: nn.Module
    x: Tensor
    y: Tensor
    start: Tensor


class Made(NamedTuple):
    """Points (n, c, h, w) of an attack, for which images there is one, and what each took on average."""

    points: Tensor
    found: Tensor
    answers: float
    seconds: float


class Theirs(nn.Module):
    """A network that draws from PyTorch's global generator, out of sight: it is training where it is to be random."""

    random, bounds = True, (0.0, 1.0)

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.hidden = (network,)

    def forward(self, x: Tensor) -> Tensor:
        """Its log-probabilities."""
        scores: Tensor = self.hidden[0](x)
        return scores


class Answers:
    """A victim as PopSkipJump asks it: images (n, h, w) to probabilities. Ends an attack that has had enough."""

    def __init__(self, victim: nn.Module, most: int) -> None:
        self.model, self.most, self.given = victim, most, 0

    def get_probs(self, images: Tensor) -> Tensor:
        """The probabilities of one answer for each image."""
        if self.given >= self.most:
            raise Spent
        self.given += len(images)
        with torch.no_grad():
            parts = [self.model(part[:, None].float().contiguous()) for part in images.split(4096)]
        return torch.cat(parts).exp()


class Spent(Exception):
    """No answers are left."""


@contextmanager
def clone(folder: Path) -> Iterator[None]:
    """Inside, modules are found in `folder`, which is where its code expects to run, and its bars and warnings go nowhere."""
    if not (folder / "popskip.py").is_file():
        raise BadValue(f"popskipjump: expected a clone of github.com/cjsg/PopSkipJump, got {folder}")
    before = Path.cwd()
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            yield
    finally:
        os.chdir(before)
        sys.path.remove(str(folder))


def problem(name: str, folder: Path, images: int) -> Problem:
    """The first test images of MNIST that most of 50 draws of the victim recognise, each with the next of another class."""
    network, x, y = harness.mnist_victim(
        "lenet5", epochs=1 if name == "theirs" else 12, n=2 * images, dropout=VICTIMS[name]
    )
    if name == "theirs":
        with clone(folder):
            from model_factory import get_model

            victim: nn.Module = Theirs(get_model("mnist_noman", "mnist", "dropout", drop_rate=VICTIMS[name]).model)
    else:
        victim = MonteCarloDropout(network, generator=torch.Generator().manual_seed(0), draws=1)
    right = fooled(victim, x, y, 50) < 0.5
    if right.sum() < images:
        raise BadValue(f"images: {name} recognises {right.sum()}, expected at least {images}")
    x, y = x[right][:images], y[right][:images]
    other = [next(i for i in range(len(y)) if y[(j + i) % len(y)] != y[j]) for j in range(len(y))]
    return Problem(victim, x, y, x[[(j + i) % len(y) for j, i in enumerate(other)]])


def fooled(victim: nn.Module, x: Tensor, y: Tensor, draws: int) -> Tensor:
    """The share (n,) of fresh draws that name another class."""
    with torch.no_grad():
        return torch.stack([(victim(x).argmax(1) != y).float() for _ in range(draws)]).mean(0)


def reach(victim: nn.Module, x: Tensor, y: Tensor, points: Tensor) -> Tensor:
    """How far from each image (n,), in l2 along the ray through its point, FOOLED of the draws are: infinite if nowhere."""

    def at(share: Tensor) -> Tensor:
        return (x + share.view(-1, 1, 1, 1) * (points - x)).clamp(0, 1)

    low, high = torch.zeros(len(x)), torch.ones(len(x))
    for _ in range(6):
        short = fooled(victim, at(high), y, DRAWS) < FOOLED
        low, high = torch.where(short, high, low), torch.where(short, 1.25 * high, high)
    for _ in range(8):
        middle = (low + high) / 2
        short = fooled(victim, at(middle), y, DRAWS) < FOOLED
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    distance: Tensor = torch.linalg.vector_norm((at(high) - x).flatten(1), dim=1)
    return distance.masked_fill(fooled(victim, at(high), y, DRAWS) < FOOLED - 0.1, torch.inf)


def popskipjump(folder: Path, task: Problem, budgets: Sequence[int], seed: int) -> list[Made]:
    """What it has after each budget: the point of its last whole iteration."""
    torch.manual_seed(seed)
    random.seed(seed)
    with clone(folder):
        from defaultparams import DefaultParams
        from model_interface import ModelInterface
        from popskip import PopSkipJump

        settings: Any = DefaultParams()
        settings.noise, settings.distance = "dropout", "l2"
        trails: list[list[tuple[int, float, Tensor]]] = []
        for image, label, start in zip(task.x[:, 0], task.y.tolist(), task.start[:, 0], strict=True):
            answers = Answers(task.victim, max(budgets))
            asked = ModelInterface([answers], n_classes=10, noise="dropout", device="cpu")
            trails.append(_trail(PopSkipJump(asked, (28, 28), "cpu", settings), answers, image, label, start))
    made = []
    everyone = torch.ones(len(task.x)).bool()
    for budget in budgets:
        last = [next(one for one in reversed(trail) if one[0] <= budget or one is trail[0]) for trail in trails]
        given, seconds, points = zip(*last, strict=True)
        made.append(Made(torch.stack(points)[:, None].clamp(0, 1), everyone, fmean(given), fmean(seconds)))
    return made


def _trail(attack: Any, answers: Answers, image: Tensor, label: int, start: Tensor) -> list[tuple[int, float, Tensor]]:
    """After its start and each iteration: answers, processor seconds and point."""
    trail = []

    class Trail(list[Any]):
        def append(self, page: Any) -> None:
            trail.append((answers.given, time.process_time() - begun, page.bin_search.detach().clone()))

    from adversarial import Adversarial

    a = Adversarial(image=image, label=label, targeted_label=None, device="cpu")
    a.set_starting_point(start, (0, 1))
    attack.reset_variables(a)
    attack.diary.iterations = Trail()
    begun = time.process_time()
    trail.append((0, 0.0, start.clone()))
    with suppress(Spent):
        attack.attack_one(10_000)
    return trail


def ours(task: Problem, budget: int, seed: int, **settings: Any) -> Made:
    """HopSkipJump at its defaults for random victims."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    begun = time.process_time()
    made = evasion.hop_skip_jump(
        task.victim, task.x, task.y, norm="l2", start=task.start, budget=budget, generator=generator, **settings
    )
    seconds = (time.process_time() - begun) / len(task.x)
    return Made(made.adversarial, made.found, made.answers.double().mean().item(), seconds)


def judged(task: Problem, runs: Sequence[Made]) -> list[str]:
    """A row of what `runs`, of several seeds, have made."""
    distances, wins = [], []
    for run in runs:
        distances.append(reach(task.victim, task.x, task.y, run.points).masked_fill(~run.found, torch.inf))
        wins.append(fooled(task.victim, run.points, task.y, 50)[run.found] > 0.5)
    found = torch.cat([run.found for run in runs]).double().mean()
    answers, seconds = (fmean(column) for column in zip(*[run[2:] for run in runs], strict=True))
    shares = [f"{torch.cat(wins).double().mean():.3f}", f"{found:.3f}"]
    return [f"{answers:.0f}", f"{seconds:.2f}", f"{torch.cat(distances).median():.3f}", *shares]


def rows(
    name: str, folder: Path, *, images: int, seeds: int, budgets: Sequence[int], their_images: int
) -> Iterator[list[str]]:
    """Two rows a budget; PopSkipJump's of the first `their_images`."""
    task = problem(name, folder, images)
    few = Problem(task.victim, *(part[:their_images] for part in task[1:]))
    theirs = [popskipjump(folder, few, budgets, seed) for seed in range(seeds)]
    for i, budget in enumerate(budgets):
        yield [f"PopSkipJump, {len(few.x)} images", str(budget), *judged(few, [run[i] for run in theirs])]
        own = [ours(task, budget, seed) for seed in range(seeds)]
        yield [f"ours, {len(task.x)} images", str(budget), *judged(task, own)]
