"""Where cells are computed: in this process or in others of this machine; `clusters` has other machines.

Any executor of `concurrent.futures` will do. Those of ours that compute elsewhere are pools of threads, each of which hands over
one call at a time and waits for what comes back. None of them waits without end for a place that is gone.
"""

import os
import signal
import threading
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from typing import Any

from lib.training.snapshots import OutOfTime


class Halted(RuntimeError):
    """No cell can be computed or recorded any more; the message says where and why."""


class WorkerDied(RuntimeError):
    """The process that computed this ended, and not by an error that could be told."""


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


class Elsewhere(ThreadPoolExecutor):
    """Threads, each of which hands over one call at a time."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """A future of what comes back."""
        return super().submit(self.hand_over, partial(function, **keywords) if keywords else function, *arguments)

    @abstractmethod
    def hand_over(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have `function` called elsewhere; returns what it returns and raises what it raises."""


class LocalProcesses(Elsewhere):
    """`jobs` processes of this machine, each started when it is needed, in a pool of its own.

    One that dies is replaced and its call made once more: when memory runs out, the system ends whichever process is largest.
    What ends its process twice fails, alone.
    """

    def __init__(self, jobs: int) -> None:
        super().__init__(jobs)
        self._idle: list[ProcessPoolExecutor] = []
        self._ending = False

    def hand_over(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `function`, from an idle process or a new one."""
        with suppress(BrokenProcessPool):
            return self._ask(function, *arguments)
        try:
            return self._ask(function, *arguments)
        except BrokenProcessPool as error:
            raise WorkerDied("its process was ended twice, as the system does when memory runs out") from error

    def _ask(self, *call: Any) -> Any:
        if self._ending:
            raise WorkerDied("its process was ended with all others")
        worker = self._idle.pop() if self._idle else ProcessPoolExecutor(1, get_context("spawn"), _begin)
        future = worker.submit(*call)
        self._end_at_once()
        if not isinstance(future.exception(), BrokenProcessPool):
            self._idle.append(worker)
        return future.result()

    def _end_at_once(self) -> None:
        """On the way out of an error, end the processes with what they compute."""
        for process in active_children() if self._ending else ():
            process.kill()

    def __exit__(self, kind: Any, *error: Any) -> None:
        """End the processes."""
        self._ending = kind is not None
        self._end_at_once()
        self.shutdown(cancel_futures=self._ending)
        for worker in self._idle:
            worker.shutdown()


def _begin() -> None:
    """A worker leaves interrupts to the process that started it, and ends with that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Also amid a cell: nobody would record it, and the next run computes it again."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def local_processes(jobs: int) -> Executor:
    """`jobs` processes of this machine; for one, this process, which needs no second copy of PyTorch."""
    return InProcess() if jobs == 1 else LocalProcesses(jobs)
