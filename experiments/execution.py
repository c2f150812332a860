"""Computing cells: on this machine or on many, within a budget, losing at most the cells in hand.

Any `concurrent.futures` executor will do. Ours are local processes; Dask and Slurm lend theirs. The parent writes each
record the moment its cell is done, so workers need no file system in common with it.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from experiments import provenance
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


class OutOfTime(BaseException):  # no Exception: what runs, such as torch.compile, must not make another one of it
    """The budget ended while a cell was computed; its training goes on from its last snapshot the next time."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """What runs inside is interrupted by `OutOfTime` after `seconds`; for infinity it is left alone. In the main thread only."""
    if seconds == float("inf"):
        yield
        return

    def ring(*_: object) -> None:
        raise OutOfTime(f"the budget was over after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check_device(device: str) -> str:
    """`device`, if this machine has it; "auto" becomes "cuda" where there is one and "cpu" elsewhere.

    Raises:
        BadValue: a device that PyTorch does not know or that is not here.
    """
    here = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if here else "cpu"
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError) as error:
        raise BadValue(f"device: expected auto, cpu or cuda, got {device!r}") from error
    if kind != "cpu" and not (kind == "cuda" and here):
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
    A cell that fails is reported and costs no other its record.
    """
    report, deadline = Report(), float("inf") if budget is None else time.monotonic() + budget
    waiting, running = list(cells), dict[Future[Any], Any]()
    keeps = not job.fresh and job.cache is not None and isinstance(executor, InProcess)

    def settle(cell: Any, outcome: Record | BaseException) -> None:
        if isinstance(outcome, OutOfTime):
            report.over_budget.append(cell)
            return
        if isinstance(outcome, Record):
            report.done.append(outcome)
        else:
            report.failed.append((cell, outcome))
        done(cell, outcome)

    try:
        while waiting or running:
            while waiting and len(running) < workers:
                cell = waiting.pop(0)
                left, resumes = deadline - time.monotonic(), keeps and cell.RESUMES
                if left <= (0.0 if resumes else price(cell) or 0.0):
                    report.over_budget.append(cell)
                    continue
                try:
                    with time_limit(left if resumes else float("inf")):
                        running[executor.submit(compute, cell, job)] = cell
                except (
                    OutOfTime,
                    BrokenExecutor,
                ) as error:  # after the cell, before its limit ends; a worker was killed
                    settle(cell, error)
            finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                cell = running.pop(future)
                try:
                    outcome: Record | BaseException = store.put(cell, *future.result())
                except (Exception, OutOfTime) as error:
                    outcome = error
                settle(cell, outcome)
    finally:
        for future in running:
            future.cancel()
    return report


class InProcess(Executor):
    """Computes at once, where it is asked: an interrupt ends the cell in hand."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """A future that is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **keywords))
        except (Exception, OutOfTime) as error:
            future.set_exception(error)
        return future


def local_processes(jobs: int) -> Executor:
    """`jobs` processes of this machine; for one, this process, which needs no second copy of PyTorch."""
    if jobs == 1:
        return InProcess()
    return concurrent.futures.ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))


def dask_cluster(address: str, *, device: str = "auto") -> Executor:
    """The executor of the Dask cluster whose scheduler listens at `address`.

    With `device` cuda, cells go only to workers that offer a resource called GPU, one cell for each: those that were started
    with `dask worker ADDRESS --nthreads 1 --resources "GPU=1"`.

    Raises:
        BadValue: nothing answers there within ten seconds, or no worker offers a GPU where one is asked for.
    """
    from distributed import Client

    try:
        client = Client(address, timeout=10)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        told = f"dask: no scheduler answers at {address!r} ({error}); expected e.g. tcp://10.0.0.1:8786"
        raise BadValue(told) from error
    if not device.startswith("cuda"):
        return client.get_executor()  # type: ignore[no-any-return, no-untyped-call]
    workers = client.scheduler_info()["workers"].values()
    if not any(worker.get("resources", {}).get("GPU", 0) >= 1 for worker in workers):
        client.close()  # type: ignore[no-untyped-call]
        started = '--nthreads 1 --resources "GPU=1"'
        raise BadValue(f"dask: no worker of {address!r} offers a GPU; start workers with {started}")
    return client.get_executor(resources={"GPU": 1})  # type: ignore[no-any-return, no-untyped-call]


class SlurmExecutor(ThreadPoolExecutor):
    """One Slurm job a cell, by submitit; each thread of this pool waits for one job.

    Raises:
        BadValue: submitit is not installed.
    """

    def __init__(self, jobs: int, folder: Path, **parameters: Any) -> None:
        super().__init__(max_workers=jobs)
        try:
            import submitit
        except ImportError as error:
            raise BadValue("slurm: needs submitit; install it with: pip install submitit") from error
        self._slurm = submitit.AutoExecutor(folder=folder)
        self._slurm.update_parameters(**parameters)

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """A future of the job's result."""
        return super().submit(lambda: self._slurm.submit(function, *arguments, **keywords).result())
