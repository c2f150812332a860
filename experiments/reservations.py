"""Which process computes a cell: those that share a folder of records compute each cell once.

Who begins a cell locks a file beside its record, `<key>.reserved`. The lock is the operating system's, and ends with the process
that has it, however that ends; the file goes with the lock, or with the next one. Worst case, as on a network file system whose
locks do not reach other machines: a cell is computed twice and its record replaced whole by the second.
"""

from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from experiments.executors import Halted
from experiments.records import Store
from lib.training.checkpoints import check_room

ROOM = 2**20  # bytes that must be free for a record, the largest of which has 40 KiB


class Reservations:
    """The cells that this process computes, of those that are recorded in `store`."""

    def __init__(self, store: Store) -> None:
        self._store, self._held = store, dict[Any, FileLock]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for cell in tuple(self._held):
            self.release(cell)

    def take(self, cell: Any) -> bool:
        """Whether `cell` is now for this process to compute, and not for another.

        Raises:
            Halted: its record could not be written, nor could any other.
        """
        record = self._store.path(cell)
        lock = FileLock(record.with_suffix(".reserved"), blocking=False)
        try:
            record.parent.mkdir(parents=True, exist_ok=True)
            check_room(record.parent, ROOM)
            lock.acquire()
        except Timeout:
            return False
        except OSError as error:
            raise Halted(f"{record} could not be written: {error}") from error
        self._held[cell] = lock
        return True

    def release(self, cell: Any) -> None:
        """Let others have `cell`, if there is no record of it."""
        if lock := self._held.pop(cell, None):
            Path(lock.lock_file).unlink(
                missing_ok=True
            )  # before others can lock it: who waits for it sees that it is gone
            lock.release()
