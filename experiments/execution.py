"""Computing cells: on this machine or on many, within a budget, losing at most the cells in hand.

The parent writes each record the moment its cell is done, so those who compute need no file system in common with it.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from experiments import provenance
from experiments.budget import Budget, OutOfTime
from experiments.executors import Halted, InProcess
from experiments.records import Record, Result, Store
from experiments.run import Job as Job
from experiments.run import result_of
from lib import data
from lib.errors import BadValue


@dataclass
class Report:
    """What became of the cells asked for."""

    done: list[Record] = field(default_factory=list)
    failed: list[tuple[Any, BaseException]] = field(default_factory=list)
    over_budget: list[Any] = field(default_factory=list)
    left: list[Any] = field(default_factory=list)  # when the run was halted
    halted: Halted | None = None


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
    budget: float | None = None,
    price: Callable[[Any], float | None] = lambda cell: None,
    done: Callable[[Any, Record | BaseException], None] = lambda cell, outcome: None,
) -> Report:
    """Compute `cells` on `executor`, `workers` at a time, and record each as it comes.

    With a `budget` in seconds, a cell is started only if its price fits into what is left, and none is started after that;
    a cell without a price is started as long as anything is left. A cell that is mostly training (`RESUMES`) is started
    whatever its price where it is computed in this process, and stopped when the time is up: it goes on the next time.
    A cell that fails is reported and costs no other its record. Where none can be computed or recorded any more, none is
    started.
    """
    report, time_left = Report(), Budget(budget)
    waiting, running = list(cells), dict[Future[Any], Any]()
    keeps = not job.fresh and job.cache is not None and isinstance(executor, InProcess)

    def start(cell: Any) -> None:
        resumes = keeps and cell.RESUMES
        if not time_left.affords(0.0 if resumes else price(cell) or 0.0):
            report.over_budget.append(cell)
            return
        try:
            with time_left.alarm() if resumes else nullcontext():
                running[executor.submit(compute, cell, job)] = cell
        except OutOfTime as error:  # after the cell, before the alarm is off
            settle(cell, error)
        except BrokenExecutor as error:
            settle(cell, Halted(str(error)))

    def settle(cell: Any, outcome: Record | BaseException) -> None:
        if isinstance(outcome, Record):
            report.done.append(outcome)
        elif isinstance(outcome, OutOfTime):
            report.over_budget.append(cell)
            return
        elif isinstance(outcome, Halted):
            report.halted = outcome
            report.left += [cell, *waiting]
            waiting.clear()
            return
        else:
            report.failed.append((cell, outcome))
        done(cell, outcome)

    try:
        while waiting or running:
            while waiting and len(running) < workers:
                start(waiting.pop(0))
            finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                cell = running.pop(future)
                settle(cell, _recorded(cell, future, store))
    finally:
        for future in running:
            future.cancel()
    return report


def _recorded(cell: Any, future: Future[Any], store: Store) -> Record | BaseException:
    """The record of what was computed, written; or why there is none."""
    try:
        return store.put(cell, *future.result())
    except (Exception, OutOfTime) as error:
        return error
