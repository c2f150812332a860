"""Which process computes a cell: those that share a folder of records compute each cell once.

Who begins a cell creates a file beside its record, `<key>.1.reserved`, as only one process can, with the machine, the process
and when that began. A reservation ends with its process. On the same machine that is seen at once; from another one, by
the time of the file, which its holder renews. What is void is not removed, for somebody may just have taken its place: the
next process takes the next number, and whoever is done removes its own and all before.

Worst case, as where two machines' clocks are far apart: a cell is computed twice and its record replaced whole by the second.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.executors import Halted
from experiments.records import Store
from lib.training.checkpoints import check_room

RENEWED = 60.0  # seconds between renewals
VOID = 600.0  # seconds without one, after which a reservation from another machine is void
ROOM = 2**20  # bytes that must be free for a record, the largest of which has 40 KiB


class Reservations:
    """The cells that this process computes, of those that are recorded in `store`."""

    def __init__(self, store: Store) -> None:
        self._store, self._held, self._ended = store, dict[Any, Path](), threading.Event()

    def __enter__(self) -> Reservations:
        threading.Thread(target=self._renew, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for cell in tuple(self._held):
            self.release(cell)

    def take(self, cell: Any) -> bool:
        """Whether `cell` is now for this process to compute, and not for another.

        Raises:
            Halted: its record could not be written, nor could any other.
        """
        record = self._store.path(cell)
        try:
            record.parent.mkdir(parents=True, exist_ok=True)
            check_room(record.parent, ROOM)
            taken = _taken(record)
            if taken and _holds(taken[-1]):
                return False
            path = record.with_suffix(f".{_number(taken[-1]) + 1 if taken else 1}.reserved")
            if not _created(path, json.dumps([_machine(), os.getpid(), _began(os.getpid())])):
                return False
        except OSError as error:
            raise Halted(f"{record} could not be written: {error}") from error
        self._held[cell] = path
        return True

    def release(self, cell: Any) -> None:
        """Let others have `cell`, if there is no record of it."""
        path = self._held.pop(cell, None)
        for one in _taken(self._store.path(cell)):
            if path is not None and _number(one) <= _number(path):
                with suppress(OSError):
                    one.unlink()

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED):
            for path in tuple(self._held.values()):
                with suppress(OSError):  # released meanwhile
                    os.utime(path)


def _created(path: Path, content: str) -> bool:
    """Whether `path` was not there and is now, with `content`."""
    try:
        file = path.open("x")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except OSError:
        path.unlink()
        raise
    return True


def _taken(record: Path) -> list[Path]:
    """The reservations of a record, by number; the last one counts."""
    found: Iterable[Path] = record.parent.glob(f"{record.stem}.*.reserved")
    return sorted(found, key=_number)


def _number(path: Path) -> int:
    return int(path.name.split(".")[1])


def _holds(path: Path) -> bool:
    """Whether a reservation is not void; one that was released just now counts as held, until somebody looks again."""
    try:
        machine, pid, began = json.loads(path.read_text())
    except OSError:
        return True
    except ValueError:  # not written yet, or never
        machine, pid, began = None, 0, None
    if machine == _machine():
        return began is not None and _began(pid) == began
    with suppress(OSError):
        return time.time() - path.stat().st_mtime < VOID
    return True


def _machine() -> str:
    """What tells apart machines, and containers that number their processes on their own."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}"


def _began(pid: int) -> str | None:
    """When process `pid` of this machine began, in the system's own words; None if it is not there, or no more than a zombie."""
    if Path("/proc/self/stat").exists():
        try:
            state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if state in "ZX" else rest[18]
    asked = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or None
