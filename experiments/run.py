"""One cell, from its settings to its result: data, victim, clock, measurement. The same scaffold for all experiments."""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.cell import Common, Result
from experiments.records import key_of
from lib import data
from lib.data import Dataset, Split
from lib.errors import BadValue
from lib.evasion.pieces import images_at_once
from lib.models import Network
from lib.training import checkpoints
from lib.uncertainty import Victim


@dataclass(frozen=True)
class Job:
    """How a cell is computed, which is not part of what is computed."""

    device: str = "cpu"
    threads: int | None = None
    cache: Path | None = None  # of trained networks; None keeps none
    fresh: bool = False  # train even what is cached
    progress: bool = False
    until: float = math.inf  # the `time.monotonic()` at which a training is to leave a snapshot and stop


MEASURED = ".measured"  # the suffix of a part of a measurement in the cache
# What can be recorded of the notes of a training. Older notes do not say whether it was compiled.
NOTES: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
    "training_loss": lambda notes: notes["losses"][-1],
    "training_epochs": lambda notes: float(len(notes["losses"])),
    "training_compiled": lambda notes: float(notes["compiled"]) if "compiled" in notes else None,
}


class Bench:
    """Where a cell is measured: the data, the device, and networks that are trained, or come from the cache, when asked for."""

    def __init__(self, dataset: Dataset, job: Job | None = None) -> None:
        self.dataset, self.job = dataset, job or Job()
        self.device, self.progress = self.job.device, self.job.progress
        self.notes: Mapping[str, Any] = {}  # of the training of the victim that is measured
        self.training_seconds = 0.0  # of all these networks, also of those that were trained in an earlier run
        self.waited = 0.0  # seconds of this run until they were there
        self.attacked: float | None = None  # seconds inside `attacking`, if the experiment says what is
        self.earlier = 0.0  # seconds that parts of the measurement took in earlier runs
        self.parts: list[Path] = []  # their files

    def test(self, size: int = 0) -> Split:
        """The first `size` test images on the device; all of them for 0."""
        return self.dataset.test.first(size or None).to(self.device)

    @contextmanager
    def attacking(self) -> Iterator[None]:
        """What runs inside is the attack, whose time alone is recorded, without what prepares and judges it."""
        start = time.perf_counter()
        yield
        self.attacked = (self.attacked or 0.0) + time.perf_counter() - start

    def network(self, cell: Common) -> tuple[Network, dict[str, Any]]:
        """The network of `cell` with its trained weights on the device, and the notes of its training.

        Raises:
            BadValue: a cached checkpoint is damaged (unless the job is fresh).
        """
        start, network = time.perf_counter(), cell.untrained(self.dataset)

        def train(_: nn.Module, snapshot: Path | None) -> dict[str, Any]:
            usual = {"device": self.device, "snapshot": snapshot, "progress": self.progress}
            return cell.train(network, self.dataset, **usual, **({"until": self.job.until} if cell.RESUMES else {}))

        notes = checkpoints.trained(network, weights_of(cell), train, cache=self.job.cache, fresh=self.job.fresh)
        network = network.to(self.device).eval()
        self.training_seconds += notes["seconds"]
        self.waited += time.perf_counter() - start
        return network, notes

    def part(
        self, cell: Common, name: str, make: Callable[[], dict[str, Tensor]], *, shared: bool = False
    ) -> dict[str, Tensor]:
        """What `make` makes, a part of a long measurement of `cell`: kept until all is measured, so that a run goes on after it.

        What is `shared` by several cells, as what a shadow answers, stays for the others, like its weights.

        Raises:
            BadValue: what an earlier run kept is damaged.
        """
        if self.job.cache is None or self.job.fresh:
            return make()
        path, start = self.job.cache / f"{key_of(cell)}.{name}{MEASURED}", time.perf_counter()
        if not shared:
            self.parts.append(path)
        if path.exists():
            try:
                kept, told = checkpoints.read_tensors(path)
            except (OSError, ValueError) as error:
                raise BadValue(f"{path}: cannot be read ({error}); delete it to measure again") from error
            self.earlier += told["seconds"]
            return {name: tensor.to(self.device) for name, tensor in kept.items()}
        made = make()
        try:
            checkpoints.write_tensors(path, made, {"seconds": round(time.perf_counter() - start, 2)})
        except OSError as error:
            warnings.warn(f"{path}: cannot be kept ({error})", checkpoints.NotKept, stacklevel=2)
        return made


def in_batches(split: Split, passes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images and labels, as many at once as go through a network in so many passes each; always alike, for draws follow them."""
    return split.batches(images_at_once(split.labels.device, passes))


def recognised(victim: Victim, split: Split) -> Tensor:
    """Which images (n,) the victim's answers, one an image, get right."""
    with torch.no_grad():
        return torch.cat([victim(x).argmax(1) == y for x, y in in_batches(split, victim.draws)])


def weights_of(cell: Common) -> str:
    """The key under which the trained network of `cell` is cached."""
    return key_of(cell.trained_as(), only=cell.VICTIM)


def result_of(cell: Common, job: Job | None = None) -> Result:
    """Train the victim of `cell` (or take it from the cache), attack it, and measure.

    `attack_seconds` is the time inside `Bench.attacking`; where an experiment does not use it, all time but that of training.

    Raises:
        BadValue: the data cannot be read or do not hold what the cell needs, or a cached checkpoint is damaged.
    """
    bench = Bench(data.loaded(cell.dataset), job)
    cell.check(bench.dataset)
    start = time.perf_counter()
    victim, bench.notes = cell.victim(bench)
    found = cell.measure(bench, victim)
    after_training = time.perf_counter() - start - bench.waited
    seconds = after_training if bench.attacked is None else bench.attacked
    seconds += bench.earlier
    for path in bench.parts:
        path.unlink(missing_ok=True)
    usual = {name: value for name in cell.NOTED if (value := NOTES[name](bench.notes)) is not None}
    usual |= {"training_seconds": bench.training_seconds, "attack_seconds": round(seconds, 2)}
    return Result({**found.measurements, **usual}, found.curves)
