"""Where cells are computed: in this process or in others of this machine; `clusters` has other machines.

Any executor of `concurrent.futures` will do. Those of ours that compute elsewhere are pools of threads, each of which hands over
one call at a time and waits for what comes back. None of them waits without end for a place that is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
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


class Worker:
    """A process that computes what it is asked, one thing after another, and ends when the process that asks is gone."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe ends with the process

    def ask(self, *call: Any) -> Any:
        """The result of a call, a function and its arguments.

        Raises:
            WorkerDied: the process ended.
        """
        try:
            self._pipe.send(call)
            result, error = self._pipe.recv()
        except (EOFError, ConnectionError) as gone:
            self._process.join()
            code = self._process.exitcode or 0
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            hint = ", as the system does when memory runs out" if code == -signal.SIGKILL else ""
            raise WorkerDied(f"its process was {how}{hint}") from gone
        if error is not None:
            raise error
        return result

    @property
    def alive(self) -> bool:
        """Whether it can be asked again."""
        return self._process.is_alive()

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection) -> None:
    """What a worker does. It leaves interrupts to the process that asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            function, *arguments = pipe.recv()
        except EOFError:
            return
        result = error = None
        try:
            result = function(*arguments)
        except Exception as raised:
            error = raised
        try:
            pipe.send((result, error))
        except Exception as unsent:  # what cannot be pickled is told in words
            pipe.send((None, RuntimeError(f"{type(error or unsent).__name__}: {error or unsent}")))


def _end_with_parent() -> None:
    """Also amid a cell: nobody would record it, and the next run computes it again."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class LocalProcesses(Elsewhere):
    """`jobs` processes of this machine, each started when it is needed.

    One that dies is replaced and its call made once more: when memory runs out, the system ends whichever process is largest.
    What ends its process twice fails, alone.
    """

    def __init__(self, jobs: int) -> None:
        super().__init__(jobs)
        self._idle: list[Worker] = []
        self._busy: list[Worker] = []
        self._ending = False

    def hand_over(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `function`, from an idle process or a new one."""
        try:
            return self._ask(function, *arguments)
        except WorkerDied as error:
            if self._ending:
                raise
            first = error
        try:
            return self._ask(function, *arguments)
        except WorkerDied as error:
            raise WorkerDied(f"{error}, and the time before {first}") from error

    def _ask(self, *call: Any) -> Any:
        worker = self._idle.pop() if self._idle else Worker()
        self._busy.append(worker)
        if self._ending:
            worker.end()
        try:
            answer = worker.ask(*call)
        finally:
            self._busy.remove(worker)
            if worker.alive:
                self._idle.append(worker)
        return answer

    def __exit__(self, kind: Any, *error: Any) -> None:
        """End the processes; on the way out of an error at once, with what they compute."""
        self._ending = kind is not None
        for worker in tuple(self._busy) if self._ending else ():
            worker.end()
        self.shutdown(cancel_futures=self._ending)
        for worker in self._idle:
            worker.end()


def local_processes(jobs: int) -> Executor:
    """`jobs` processes of this machine; for one, this process, which needs no second copy of PyTorch."""
    return InProcess() if jobs == 1 else LocalProcesses(jobs)
