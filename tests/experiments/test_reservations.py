"""Processes that share a folder of records compute each cell once, whoever of them is killed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faked_cells import faked

from experiments import execution, reservations
from experiments.execution import Job
from experiments.executors import Halted, InProcess
from experiments.papers import harakeh
from experiments.records import ROOT, Result, Store
from experiments.reservations import Reservations

CellMaker = Callable[..., harakeh.FGSM]


@pytest.fixture
def cell(tiny_cell: CellMaker) -> Any:
    return tiny_cell()


def file_of(store: Store, cell: Any) -> Path:
    return store.path(cell).with_suffix(".reserved")


def beside(store: Store, cell: Any) -> list[str]:
    return sorted(path.name.partition(".")[2] for path in store.path(cell).parent.iterdir())


def test_a_cell_is_for_one(store: Store, cell: Any, tiny_cell: CellMaker) -> None:
    with Reservations(store) as mine, Reservations(store) as others:
        assert mine.take(cell) and not others.take(cell) and others.take(tiny_cell(seed=1))
        others.release(cell)  # which it does not have
        assert not others.take(cell)
        mine.release(cell)
        assert others.take(cell)
    assert beside(store, cell) == []


def test_of_many_at_once_one_gets_it(store: Store, tiny_cell: CellMaker) -> None:
    """Also where the one before was killed, and left its file."""
    cells = [tiny_cell(seed=seed) for seed in range(20)]
    for cell in cells[::2]:
        file_of(store, cell).parent.mkdir(parents=True, exist_ok=True)
        file_of(store, cell).touch()
    start, taken = threading.Barrier(8), list[Any]()
    everybody = [Reservations(store) for _ in range(8)]

    def take(one: Reservations) -> None:
        for cell in cells:
            start.wait(10)
            taken.extend([cell] if one.take(cell) else [])

    threads = [threading.Thread(target=take, args=[one]) for one in everybody]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(cell.seed for cell in taken) == list(range(20))


HOLDER = """
import sys
from pathlib import Path
from experiments.papers import harakeh
from experiments.records import Store
from experiments.reservations import Reservations
with Reservations(Store(Path(sys.argv[1]))) as mine:
    print(mine.take(harakeh.FGSM(profile="smoke", dataset="digits_as_mnist", curve_size=10)), flush=True)
    input()
"""


def test_a_reservation_ends_with_its_process(store: Store) -> None:
    """Killed and not even buried."""
    cell = harakeh.FGSM(profile="smoke", dataset="digits_as_mnist", curve_size=10)
    settings: dict[str, Any] = {"cwd": ROOT, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(store.root)], **settings)
    assert holder.stdout and holder.stdout.readline() == "True\n"
    with Reservations(store) as mine:
        assert not mine.take(cell)
        holder.kill()
        deadline = time.monotonic() + 10
        while not (taken := mine.take(cell)) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert taken
    assert beside(store, cell) == []
    holder.communicate()


def test_without_room_for_a_record_its_folder_is_named(
    store: Store, cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=reservations.ROOM - 1))
    with Reservations(store) as mine, pytest.raises(Halted, match=rf"^{store.path(cell)} could not be written: .*free"):
        mine.take(cell)
    assert beside(store, cell) == []


# --- runs -------------------------------------------------------------------------------------------------------------


def test_what_another_process_computes_is_waited_for_and_not_computed(
    store: Store, tiny_cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "LOOK", 0.01)
    first, second, third = cells = [tiny_cell(seed=seed) for seed in range(3)]
    others, told = Reservations(store), list[int]()
    assert others.take(first) and others.take(second)

    def waits(count: int) -> None:
        told.append(count)
        if len(told) == 3:  # the one is recorded, the other fails
            store.put(first, Result({"accuracy": 50.0}, {}), {"seconds": 1.0})
            others.release(first)
            others.release(second)

    started = faked(monkeypatch, lambda cell: Result({"accuracy": 1.0}, {}))
    report = execution.run(cells, store=store, executor=InProcess(), job=Job(), waits=waits)
    assert started == [third, second] and told == [2, 2, 2] and report.elsewhere == [first]
    assert report.words == "2 computed, 0 failed, 0 left for lack of time, 1 computed by other processes"
    assert beside(store, first) == ["json"] * 3


def test_what_another_process_computes_costs_no_more_time_than_there_is(
    store: Store, cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "LOOK", 0.01)
    others = Reservations(store)
    assert others.take(cell)
    report = execution.run([cell], store=store, executor=InProcess(), job=Job(), budget=0.1)
    assert report.over_budget == [cell]


def test_a_run_that_is_to_make_all_anew_does(store: Store, cell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started = faked(monkeypatch, lambda cell: Result({"accuracy": 1.0}, {}))
    for anew, count in ((False, 1), (False, 1), (True, 2)):
        execution.run([cell], store=store, executor=InProcess(), job=Job(), anew=anew)
        assert len(started) == count


RUN = """
import sys, time
from pathlib import Path
from experiments import execution
from experiments.execution import Job
from experiments.executors import InProcess
from experiments.papers import harakeh
from experiments.records import Result, Store
from lib.errors import BadValue

folder, count, name = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
small = {"profile": "smoke", "dataset": "digits_as_mnist", "curve_size": 10}
cells = [harakeh.FGSM(seed=seed, **small) for seed in range(count)]
log = (folder / name).open("a", buffering=1)

def compute(cell, job):
    log.write(f"{cell.seed}\\n")
    time.sleep(0.005 * (cell.seed % 7))
    return Result({"accuracy": 1.0}, {}), {"seconds": 1.0}

execution.compute = compute
(folder / f"{name}.ready").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
report = execution.run(cells, store=Store(folder / "results"), executor=InProcess(), job=Job())
assert not report.failed and not report.left and report.halted is None
assert len(report.done) + len(report.elsewhere) == count
"""


@pytest.mark.parametrize(("processes", "count"), [(2, 40), pytest.param(6, 320, marks=pytest.mark.faults)])
def test_processes_that_share_a_folder_compute_each_cell_once(processes: int, count: int, tmp_path: Path) -> None:
    """Also where one of them is killed: what it had in hand is computed by another, the rest once."""
    names = [f"log{number}" for number in range(processes)]
    running = [
        subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path), str(count), name], cwd=ROOT, stderr=subprocess.PIPE)
        for name in names
    ]
    deadline = time.monotonic() + 60 * processes
    while not all((tmp_path / f"{name}.ready").exists() for name in names) and time.monotonic() < deadline:
        assert all(process.poll() is None for process in running), running[0].communicate()
        time.sleep(0.01)
    (tmp_path / "go").touch()
    outcomes = [(process.communicate(timeout=300)[1], process.returncode) for process in running]
    assert outcomes == [(b"", 0)] * processes
    computed = [sorted(map(int, (tmp_path / name).read_text().split())) for name in names]
    assert sorted(seed for seeds in computed for seed in seeds) == list(range(count))
    assert all(computed), "each had some"
    left = [path for path in (tmp_path / "results").rglob("*") if path.is_file() and path.suffix != ".json"]
    assert not left


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_cell_that_finds_no_room_ends_the_run(
    number: int, store: Store, tiny_cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(cell: Any) -> Result:
        if cell.seed == 1:
            raise OSError(number, "no room", "/the/cache")
        return Result({"accuracy": 1.0}, {})

    started = faked(monkeypatch, compute)
    cells = [tiny_cell(seed=seed) for seed in range(4)]
    report = execution.run(cells, store=store, executor=InProcess(), job=Job())
    assert started == cells[:2] and len(report.done) == 1 and report.left == cells[1:] and not report.failed
    assert str(report.halted) == f"[Errno {number}] no room: '/the/cache'"


def test_a_record_that_cannot_be_written_is_kept_elsewhere_and_ends_the_run(
    cli: Any, store: Store, tiny_options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk filled up while the cell was computed: nothing is lost, and nothing more is computed in vain."""
    put, spare = Store.put, tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spare))

    def full(self: Store, cell: Any, *result: Any) -> Any:
        if self.root == store.root:
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path(cell)))
        return put(self, cell, *result)

    monkeypatch.setattr(Store, "put", full)
    started = faked(monkeypatch, lambda cell: Result({"accuracy": 1.0}, {}))
    outcome = cli("run", "--paper", "harakeh", "--profile", "smoke", *tiny_options, "--results", store.root)
    (kept,) = spare.rglob("*.json")
    assert outcome.rc == 1 and len(started) == 1 and f"it is {kept}: move it there\n" in outcome.stderr
    assert f"{store.path(started[0])}: cannot be written ([Errno {errno.ENOSPC}] No space left" in outcome.stderr
    assert outcome.stderr.startswith("stopped with ") and outcome.stderr.count("\n") == 1
    assert (
        json.loads(kept.read_text())["measurements"] == {"accuracy": 1.0} and kept.stem == store.path(started[0]).stem
    )


def test_parts_that_a_killed_run_left_are_swept_by_the_next(
    store: Store, cell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    parts = [store.path(cell).with_name(".a.json.0.part"), cache / ".a.safetensors.0.part"]
    parts[0].parent.mkdir(parents=True)
    for part in parts:
        part.touch()
        os.utime(part, (time.time() - execution.OLD - 60,) * 2)
    faked(monkeypatch, lambda cell: Result({"accuracy": 1.0}, {}))
    execution.run([cell], store=store, executor=InProcess(), job=Job(cache=cache))
    assert not any(part.exists() for part in parts)
