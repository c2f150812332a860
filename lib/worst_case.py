"""Accuracy under the worst of several attacks, image by image, judged by draws that no attack has seen; it can be interrupted.

An evaluation is a list of small pieces of work: an examination of the victim, the clean images, then each attack at each budget,
a batch at a time. Every piece draws its random numbers from a seed of its own, so that a file of what has been found is all that
an interrupted evaluation needs to go on.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import seeds
from .counting import Passes, counting
from .data import Points, Split, gather
from .errors import BadValue, VictimWarning, check_choice, check_count, check_flag, check_kind, check_number
from .evaluation import Evaluation, fingerprint, resume
from .evasion import Decided, Look
from .evasion.checks import check_images, extent, scores_of
from .evasion.decision import distances
from .evasion.examination import Examination, examine
from .evasion.pieces import images_at_once
from .judging import judge
from .planning import plan
from .progress import track
from .training.checkpoints import write_tensors
from .uncertainty import Victim

ORDERS = {"linf": torch.inf, "l2": 2.0, "l0": 0.0}
ROUNDING = 1e-5  # by how much of the bounds' width a distance may exceed a budget


def evaluate(
    victim: nn.Module,
    data: Points,
    attacks: Mapping[str, Callable[..., Any]],
    *,
    epsilons: Sequence[float],
    norm: str = "linf",
    draws: int = 50,
    generator: torch.Generator,
    batch_size: int | None = None,
    state: str | Path | None = None,
    progress: bool = False,
) -> Evaluation:
    """Accuracy of `victim` on clean images, under each of `attacks` at each of `epsilons`, and under the worst of them.

    Attacks begin from images that are named rightly; the others count as successes at every budget. What an attack finds at a
    budget counts at that budget alone, measured anew at each, except of attacks that look for the least change: they run once,
    and what they find counts at every budget that it is within.

    Args:
        victim: images to logits or log-probabilities, or a `Look`, by which attacks see the random victim inside it.
        data: images and labels: a `Split`, a pair of tensors, or a DataLoader, which is read once, whole. If it shuffles, there
            is no going on from a `state`.
        attacks: by name, those of `evasion.ATTACKS` and `evasion.DECISION_ATTACKS`, what `functools.partial` or `functools.wraps`
            makes of one, or functions of your own, `attack(victim, x, y, epsilon=, generator=)`; one without `epsilon` runs once.
        epsilons: budgets, in the units of the images.
        norm: that of the budgets: "linf", "l2" or "l0" (the number of features changed).
        draws: how many fresh random passes through the network make up one judgement of a random victim, by their mean, or by
            their vote if it is none of `uncertainty`.
        generator: one number is drawn from it, the seed of all that is random here, the victim's own draws included.
        batch_size: images attacked together; by default as many as pass through the network at once in `evasion.pieces`.
        state: a file of what has been found so far, written after every piece; an evaluation of the same victim, data, settings
            and seed goes on from it, and ends to the bit as if it had not been interrupted.
        progress: show a bar.

    Raises:
        BadValue: before any work: a setting out of range; no images, or some outside the victim's bounds; an attack that cannot
            bound `norm`, is targeted, needs more settings or refuses those that it has; a file that is damaged or of another
            evaluation. Later: an attack of your own that leaves the budget, or refuses an image.

    Warns:
        VictimWarning: what `evasion.examination.examine` finds, and what the attacks tell of the victim, once.
    """
    seeds.check_generator(generator)
    check_flag("progress", progress)
    job = Job(victim, gather(data), attacks, epsilons, norm, draws, batch_size)
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    path, settings, done = Path(state or ""), job.settings(seed) if state else {}, 0
    if state and path.exists():
        job.found, done = resume(path, settings)
        for warned in job.found.warnings:
            warnings.warn(warned, VictimWarning, stacklevel=2)
    pieces = list(job.pieces())
    for name, purpose, piece in track(pieces[done:], "evaluating", enabled=progress):
        with job.telling(name), seeds.seeded(victim, seed, purpose, job.device) as source:
            piece(source)
        done += 1
        if state:
            told = {"settings": settings, "done": done, "found": job.found.to_dict(masks=False)}
            write_tensors(path, {"right": job.found.right, "success": job.found.success}, told)
    return job.found


@dataclass
class Job:
    """The work of one evaluation, in pieces, and what it has found."""

    victim: nn.Module
    points: Split
    attacks: Mapping[str, Callable[..., Any]]
    epsilons: Sequence[float]
    norm: str
    draws: int
    batch_size: int | None

    def __post_init__(self) -> None:
        check_kind("victim", self.victim, nn.Module, "a torch.nn.Module")
        check_kind("attacks", self.attacks, Mapping, 'a dictionary of attacks, such as {"PGD": evasion.pgd}')
        check_kind("epsilons", self.epsilons, Iterable, "a list of budgets, such as [0.1]")
        check_count("draws", self.draws)
        check_choice("norm", self.norm, ORDERS)
        victim, points = self.victim, self.points
        self.judged = victim.victim if isinstance(victim, Look) else victim
        self.plans = [plan(name, attack, self.norm) for name, attack in self.attacks.items()]
        if not self.plans or len(points) == 0:
            raise BadValue(f"attacks, data: expected one or more of each, got {len(self.plans)} and {len(points)}")
        self.device = next((weight.device for weight in victim.parameters()), points.labels.device)
        at_once = images_at_once(self.device, getattr(victim, "draws", 1), points.images[:1].numel())
        size = check_count("batch_size", at_once if self.batch_size is None else self.batch_size)
        self.batches = torch.split(torch.arange(len(points), device=points.labels.device), size)
        self.gradients = not all(one.decides for one in self.plans)
        ((low, high), *_) = [check_images(victim, *self.take(one), gradients=self.gradients) for one in self.batches]
        self.rounding = ROUNDING * (high - low)
        largest = extent(points.images, self.norm, (low, high))
        self.epsilons = [check_number("epsilons", epsilon, low=0.0, high=largest) for epsilon in self.epsilons]
        if not self.epsilons or len({*self.epsilons}) < len(self.epsilons):
            raise BadValue(f"epsilons: expected one or more budgets, each once, got {self.epsilons!r}")
        for one in (known for known in self.plans if known.ours):
            for levels in one.levels(len(self.epsilons)):  # of no images: what it refuses, it refuses now
                one.run(victim, *self.take(self.batches[0][:0]), self.epsilons[levels[0]], torch.Generator(self.device))
        right, names = torch.zeros(len(points), dtype=torch.bool), tuple(one.name for one in self.plans)
        success, passes = right.repeat(len(names), len(self.epsilons), 1), {name: Passes() for name in names}
        unseen, asked = Examination(False, False, {}, low, high), (names, tuple(self.epsilons), self.norm, self.draws)
        self.found = Evaluation(*asked, right, success, passes, unseen, ())

    def settings(self, seed: int) -> dict[str, str]:
        """What tells this evaluation from others."""
        asked: dict[str, object] = {"norm": self.norm, "epsilons": self.epsilons, "draws": self.draws, "seed": seed}
        asked |= {"batch_size": len(self.batches[0]), "attacks": [one.name for one in self.plans]}
        asked |= {"victim": self.victim, "images": self.points.images, "labels": self.points.labels}
        asked |= {f"attack {one.name}": one.attack for one in self.plans}
        return {name: fingerprint(value) for name, value in asked.items()}

    def pieces(self) -> Iterator[tuple[str, str, Callable[[torch.Generator], None]]]:
        """All of the work in its order: whose it is, what it is for, and what does it, given a source of random numbers."""
        yield "", "examination", self.examine
        for i, batch in enumerate(self.batches):
            yield "", f"clean, batch {i}", partial(self.clean, batch)
        for a, one in enumerate(self.plans):
            for levels in one.levels(len(self.epsilons)):
                purpose = f"{one.name} at {[self.epsilons[e] for e in levels]}"
                for i, batch in enumerate(self.batches):
                    yield one.name, f"{purpose}, batch {i}", partial(self.attack, a, levels, batch)

    def examine(self, source: torch.Generator) -> None:
        """Look at the victim by the first batch."""
        found = examine(self.victim, *self.take(self.batches[0]), gradients=self.gradients)
        self.found = replace(self.found, examination=found)

    def clean(self, batch: Tensor, source: torch.Generator) -> None:
        """See which images of a batch are named rightly, and count the others as successes."""
        x, y = self.take(batch)
        right = (self.answer(x) == y).cpu()
        self.found.right[batch.cpu()] = right
        self.found.success[:, :, batch.cpu()[~right]] = True

    def attack(self, a: int, levels: list[int], batch: Tensor, source: torch.Generator) -> None:
        """Attack those of a batch that are named rightly, at one budget or, by the least change found, for all."""
        one, batch = self.plans[a], batch[self.found.right.to(batch.device)[batch]]
        if len(batch) == 0:
            return
        x, y = self.take(batch)
        with counting(self.victim) as passes:
            found = one.run(self.victim, x, y, self.epsilons[levels[0]], source)
        self.found.passes[one.name].forward += passes.forward
        self.found.passes[one.name].backward += passes.backward
        adversarial = found.adversarial if isinstance(found, Decided) else found
        if not isinstance(adversarial, Tensor) or adversarial.shape != x.shape:
            got = type(adversarial).__name__
            raise BadValue(f"attacks: expected {one.name!r} to return images {tuple(x.shape)}, got {got}")
        adversarial = adversarial.detach()
        try:
            check_images(self.victim, adversarial, y, gradients=False)
        except BadValue as error:
            raise BadValue(f"attacks: what {one.name!r} returned: {error}") from error
        distance = distances(x, adversarial, ORDERS[self.norm])
        if isinstance(found, Decided):
            distance = torch.where(found.found, distance, torch.inf)
        budgets = torch.tensor([self.epsilons[e] for e in levels], device=x.device)[:, None]
        within = distance <= budgets + self.rounding
        if not one.once and not within.all():
            got = f"{float(distance.max()):g}"
            raise BadValue(f"attacks: expected {one.name!r} to stay within {float(budgets):g}, got {got}")
        success = (self.answer(adversarial) != y) & within
        self.found.success[a, torch.tensor(levels)[:, None], batch.cpu()] = success.cpu()

    def take(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels, where the victim is."""
        x, y = self.points.take(batch)
        return x.to(self.device), y.to(self.device)

    def answer(self, x: Tensor) -> Tensor:
        """The class of each image (n,) by fresh draws."""
        if isinstance(self.judged, Victim):
            return judge(self.judged, x, draws=self.draws).answer
        random = getattr(self.judged, "random", False) or self.found.examination.random
        with torch.no_grad():
            answers = [scores_of(self.judged, x) for _ in range(self.draws if random else 1)]
        return torch.stack([F.one_hot(scores.argmax(1), scores.shape[1]) for scores in answers]).sum(0).argmax(1)

    @contextmanager
    def telling(self, name: str) -> Iterator[None]:
        """Inside, a `VictimWarning` is kept, with the name of the attack, and shown unless one like it, but for numbers, was."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", VictimWarning)
            yield
        for one in caught:
            if not issubclass(one.category, VictimWarning):
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
                continue
            told = f"{name}: {one.message}" if name else str(one.message)
            if _without_numbers(told) not in map(_without_numbers, self.found.warnings):
                self.found = replace(self.found, warnings=(*self.found.warnings, told))
                warnings.warn(told, VictimWarning, stacklevel=4)


def _without_numbers(text: str) -> str:
    return re.sub(r"\d[\d.]*", "#", text)
