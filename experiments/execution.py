"""Computing cells: on this machine or on many, within a budget, losing at most the cells in hand.

The parent writes each record the moment its cell is done, so those who compute need no file system in common with it.
"""

import concurrent.futures
import errno
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from experiments import provenance
from experiments.budget import Budget
from experiments.executors import Halted, InProcess
from experiments.records import Record, Result, Store
from experiments.reservations import Reservations
from experiments.run import Job as Job
from experiments.run import result_of
from lib import data
from lib.errors import BadValue
from lib.training.checkpoints import sweep
from lib.training.snapshots import OutOfTime

LOOK = 1.0  # seconds between looks at what other processes compute
OLD = 600.0  # seconds after which nobody writes on a file that is not whole


@dataclass
class Report:
    """What became of the cells asked for."""

    done: list[Record] = field(default_factory=list)
    failed: list[tuple[Any, BaseException]] = field(default_factory=list)
    over_budget: list[Any] = field(default_factory=list)
    elsewhere: list[Any] = field(default_factory=list)  # recorded meanwhile by another process
    left: list[Any] = field(default_factory=list)  # because the run was halted
    halted: Halted | None = None

    @property
    def words(self) -> str:
        """What it came to, in a line."""
        told = f"{len(self.done)} computed, {len(self.failed)} failed, {len(self.over_budget)} left for lack of time"
        return told + (f", {len(self.elsewhere)} computed by other processes" if self.elsewhere else "")

    def add(self, cell: Any, outcome: Record | BaseException | None) -> None:
        """Note what became of `cell`; None if another process recorded it."""
        if outcome is None:
            self.elsewhere.append(cell)
        elif isinstance(outcome, Record):
            self.done.append(outcome)
        elif isinstance(outcome, OutOfTime):
            self.over_budget.append(cell)
        elif isinstance(outcome, Halted):
            self.halted = outcome
            self.left.append(cell)
        else:
            self.failed.append((cell, outcome))


def check_device(device: str) -> str:
    """`device`, if this machine has it; "auto" becomes "cuda" where there is one and "cpu" elsewhere.

    Raises:
        BadValue: a device that PyTorch does not know or that is not here, such as the second of one.
    """
    here = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if here else "cpu"
    try:
        kind, index = torch.device(device).type, torch.device(device).index or 0
    except (RuntimeError, TypeError) as error:
        raise BadValue(f"device: expected auto, cpu or cuda, got {device!r}") from error
    count = torch.cuda.device_count() if kind == "cuda" and here else int(kind == "cpu")
    if index >= count:
        raise BadValue(f"device: {device!r} is not available here; expected auto, cpu or, with an NVIDIA GPU, cuda")
    return device


def check_data(cells: Sequence[Any]) -> None:
    """Read every data set that `cells` need, before any of them starts; what is missing is downloaded now.

    Raises:
        BadValue: a data set is missing or damaged.
    """
    for name in dict.fromkeys(cell.dataset for cell in cells):
        data.loaded(name)


def compute(cell: Any, job: Job) -> tuple[Result, dict[str, Any]]:
    """Compute one cell: its result and where it comes from. This is what travels to a worker."""
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    device = check_device(job.device)
    torch.use_deterministic_algorithms(torch.device(device).type == "cpu")
    # What is computed in float32 on a GPU is to be float32: TF32 has the ten bits of mantissa of a half.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    start, begun = time.perf_counter(), time.process_time()
    result = result_of(cell, replace(job, device=device))
    spent = {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - begun}
    return result, provenance.describe(device=device, **spent)


def run(
    cells: Sequence[Any],
    *,
    store: Store,
    executor: Executor,
    job: Job,
    workers: int = 1,
    anew: bool = False,
    budget: float | None = None,
    price: Callable[[Any], float | None] = lambda cell: None,
    done: Callable[[Any, Record | BaseException], None] = lambda cell, outcome: None,
    waits: Callable[[int], None] = lambda count: None,
) -> Report:
    """Compute `cells` on `executor`, `workers` at a time, and record each as it comes.

    With a `budget` in seconds, a cell is started only if its price fits into what is left, and none is started after that;
    a cell without a price is started as long as anything is left. A cell that is mostly training (`RESUMES`) is started
    whatever its price where it is computed in this process. When the time is nearly up it leaves a snapshot, from which it goes
    on the next time, and stops.

    A cell that another process computes is not computed here, unless it fails or ends there. When nothing else is left,
    `waits` is told, now and then, for how many. A record that has come meanwhile is left alone, unless all are made `anew`.

    A cell that fails is reported and costs no other its record. Where none can be computed or recorded any more, those in
    hand come to their end, and no other is started.
    """
    for folder in {store.root, job.cache or store.root}:
        sweep(folder, older=OLD)
    with Reservations(store) as reserved:
        ours = _Run(store, executor, job, anew, price, done, reserved, Budget(budget), list(cells))
        try:
            while ours.waiting or ours.in_hand:
                ours.begin(workers)
                if ours.waiting and not ours.in_hand:
                    waits(len(ours.waiting))
                ours.collect()
        finally:
            for future in ours.in_hand:
                future.cancel()
    return ours.report


@dataclass
class _Run:
    """The cells of one run: those that wait, those in hand, and what became of the others."""

    store: Store
    executor: Executor
    job: Job
    anew: bool
    price: Callable[[Any], float | None]
    done: Callable[[Any, Record | BaseException], None]
    reserved: Reservations
    time_left: Budget
    waiting: list[Any]
    in_hand: dict[Future[Any], Any] = field(default_factory=dict)
    report: Report = field(default_factory=Report)

    def begin(self, workers: int) -> None:
        """Begin as many cells as there are workers for; those that other processes have go on waiting."""
        for cell in tuple(self.waiting):
            if len(self.in_hand) == workers or self.report.halted:
                break
            if self._taken_up(cell):
                self.waiting.remove(cell)
        if self.report.halted:
            self.report.left += self.waiting
            self.waiting.clear()

    def _taken_up(self, cell: Any) -> bool:
        """Whether `cell` waits no longer: it is begun, or it is known why it will not be."""
        keeps = not self.job.fresh and self.job.cache is not None and isinstance(self.executor, InProcess)
        resumes = keeps and cell.RESUMES
        try:
            if not self.time_left.affords(0.0 if resumes else self.price(cell) or 0.0):
                raise OutOfTime
            if not self.reserved.take(cell):
                return False
            if self.store.path(cell).exists() and not self.anew:
                self._settle(cell, None)
                return True
            job = replace(self.job, until=self.time_left.until) if resumes else self.job
            with self.time_left.alarm() if resumes else nullcontext():
                future = self.executor.submit(compute, cell, job)
            self.in_hand[future] = cell
        except (OutOfTime, Halted) as error:
            self._settle(cell, error)
        except BrokenExecutor as error:
            self._settle(cell, Halted(str(error)))
        return True

    def collect(self) -> None:
        """Record what is done, as soon as something is, or look again after a while at what other processes compute."""
        for future in _finished(self.in_hand, LOOK if self.waiting else None):
            cell = self.in_hand.pop(future)
            self._settle(cell, _recorded(cell, future, self.store))

    def _settle(self, cell: Any, outcome: Record | BaseException | None) -> None:
        self.reserved.release(cell)
        self.report.add(cell, outcome)
        if outcome is not None and not isinstance(outcome, OutOfTime | Halted):
            self.done(cell, outcome)


def _finished(futures: Iterable[Future[Any]], seconds: float | None) -> Iterable[Future[Any]]:
    """Those that are done, as soon as one is, or after so many seconds."""
    if not futures and seconds is not None:
        time.sleep(seconds)
    return concurrent.futures.wait(futures, seconds, return_when=concurrent.futures.FIRST_COMPLETED).done


def _recorded(cell: Any, future: Future[Any], store: Store) -> Record | BaseException:
    """The record of what was computed, written; or why there is none."""
    try:
        result, source = future.result()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return Halted(str(error)) if full else error
    except (Exception, OutOfTime) as error:
        return error
    try:
        return store.put(cell, result, source)
    except OSError as error:
        return Halted(f"{store.path(cell)}: cannot be written ({error}); {_saved(cell, result, source)}")
    except Exception as error:  # NaN, which no record may say
        return error


def _saved(cell: Any, result: Result, source: dict[str, Any]) -> str:
    """Where the record is put that cannot be where it belongs."""
    try:
        other = Store(Path(tempfile.mkdtemp(prefix="records-")))
        other.put(cell, result, source)
    except OSError as error:
        return f"nor elsewhere ({error})"
    return f"it is {other.path(cell)}: move it there"
