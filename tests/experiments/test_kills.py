"""Killed anywhere: a run at random moments, and each write between any two of its steps."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from facts import facts
from faked_cells import numbers
from torch import nn

from experiments import execution
from experiments.execution import Job
from experiments.executors import InProcess
from experiments.packing import pack, unpack
from experiments.papers import harakeh
from experiments.records import Result, Store
from experiments.reservations import Reservations
from experiments.verification import Check, checks, compare, keep
from lib.training import snapshots
from lib.training.checkpoints import load_weights, save_weights, sweep

CellMaker = Callable[..., harakeh.FGSM]
KILLED = 9


def forked(work: Callable[[], object]) -> int:
    """The process that does `work`, a copy of this one: it starts at once."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.faults)])
def test_a_run_killed_at_random_moments_ends_with_the_same_records(
    kills: int, tiny_cell: CellMaker, tmp_path: Path, settings_kept: None
) -> None:
    """Each time it is whole, it begins anew, and is killed on."""
    cells = [tiny_cell(seed=seed, estimator=estimator) for seed in range(2) for estimator in ("none", "epistemic")]

    def run(name: str) -> None:
        settings: dict[str, Any] = {"executor": InProcess(), "job": Job(threads=1, cache=tmp_path / name / "cache")}
        report = execution.run(cells, store=Store(tmp_path / name / "results"), **settings)
        assert not report.failed and report.halted is None

    run("whole")  # once, so that a copy of this process need not import anything
    start = time.monotonic()
    os.waitpid(forked(lambda: run("timed")), 0)
    usual = time.monotonic() - start
    whole = Store(tmp_path / "whole" / "results")
    draws, killed, store = random.Random(0), 0, Store(tmp_path / "killed" / "results")
    while killed < kills:
        child = forked(lambda: run("killed"))
        time.sleep(draws.uniform(0, usual))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        list(store.all("harakeh"))  # whole, or not there
        if os.WIFSIGNALED(status):
            killed += 1
            continue
        assert status == 0 and all(numbers(store.get(cell)) == numbers(whole.get(cell)) for cell in cells)
        shutil.rmtree(tmp_path / "killed")
    run("killed")
    assert all(numbers(store.get(cell)) == numbers(whole.get(cell)) for cell in cells)
    sweep(tmp_path, older=-1)
    left = [path for path in store.root.rglob("*") if path.is_file() and path.suffix != ".json"]
    assert not left


class Seams:
    """The steps of a write: half a content written, flushed, renamed, removed. The process ends at one of them."""

    def __init__(self, deadly: int) -> None:
        self.deadly, self.passed = deadly, 0

    def step(self) -> None:
        if self.passed == self.deadly:
            os._exit(KILLED)
        self.passed += 1

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **keywords: Any) -> Any:
            self.step()
            result = function(*arguments, **keywords)
            self.step()
            return result

        return stepped

    def opened(self, path: Path, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        file = OPEN(path, mode, *arguments, **keywords)
        return Halves(file, self) if mode[0] in "wx" else file


OPEN = Path.open


class Halves:
    """A file into which all is written in two halves."""

    def __init__(self, file: Any, seams: Seams) -> None:
        self.file, self.seams = file, seams

    def __enter__(self) -> Halves:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, content: Any) -> None:
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        self.seams.step()
        self.file.write(content[len(content) // 2 :])


def until(deadly: int, work: Callable[[], object]) -> bool:
    """Whether `work` came to its end although it is killed at its step number `deadly`."""

    def doomed() -> None:
        seams = Seams(deadly)
        Path.open = lambda *given, **named: seams.opened(*given, **named)  # type: ignore[method-assign]
        Path.replace = seams.around(Path.replace)  # type: ignore[method-assign]
        Path.unlink = seams.around(Path.unlink)  # type: ignore[method-assign]
        os.fsync = seams.around(os.fsync)
        work()

    _, status = os.waitpid(forked(doomed), 0)
    assert os.waitstatus_to_exitcode(status) in (0, KILLED)
    return status == 0


def of_records(folder: Path, cell: Any) -> tuple[Callable[[], object], Callable[[], float]]:
    store, now = Store(folder), Result({"accuracy": 1.0}, {})
    store.put(cell, Result({"accuracy": 0.0}, {}), facts())
    return lambda: store.put(cell, now, facts()), lambda: store.get(cell).measurements["accuracy"]  # type: ignore[union-attr]


def of_checkpoints(folder: Path, cell: Any) -> tuple[Callable[[], object], Callable[[], float]]:
    old, new, path = nn.Linear(2, 2), nn.Linear(2, 2), folder / "key.safetensors"
    save_weights(old, path, {"seconds": 0.0})

    def found() -> float:
        network = nn.Linear(2, 2)
        seconds: float = load_weights(network, path)["seconds"]
        assert torch.equal(network.weight, (new if seconds else old).weight)
        return seconds

    return lambda: save_weights(new, path, {"seconds": 1.0}), found


def of_snapshots(folder: Path, cell: Any) -> tuple[Callable[[], object], Callable[[], float]]:
    network, path = nn.Linear(2, 2), folder / "key.snapshot"
    optimizer = torch.optim.Adam(network.parameters())
    snapshots.save(path, network, optimizer, snapshots.State(total=0.0))
    return (
        lambda: snapshots.save(path, network, optimizer, snapshots.State(total=1.0)),
        lambda: snapshots.resume(path, network, optimizer).total,
    )


def of_archives(folder: Path, cell: Any) -> tuple[Callable[[], object], Callable[[], float]]:
    store, path = Store(folder / "here"), folder / "records.tar.gz"
    one = store.put(cell, Result({"accuracy": 0.0}, {}), facts())
    pack([one], store, path)
    both = [one, store.put(type(cell)(**{**vars(cell), "seed": 1}), Result({"accuracy": 1.0}, {}), facts())]

    def found() -> float:
        with_both, _ = unpack(path, Store(folder / f"there{len(list(folder.iterdir()))}"))
        return float(with_both - 1)

    return lambda: pack(both, store, path), found


def of_checks(folder: Path, cell: Any) -> tuple[Callable[[], object], Callable[[], float]]:
    store = Store(folder)
    record = store.put(cell, Result({"accuracy": 0.0}, {}), facts())

    def work(now: float) -> None:
        keep(store, record, Check(compare(record, Result({"accuracy": now}, {}), {}, {}), facts()))

    work(0.0)
    return lambda: work(1.0), lambda: next(checks(store, "harakeh"))[1].comparisons[0].now


@pytest.mark.parametrize("kind", [of_records, of_checkpoints, of_snapshots, of_archives, of_checks])
def test_a_write_killed_between_any_two_steps_leaves_the_old_or_the_new(
    kind: Callable[..., Any], tiny_cell: CellMaker, tmp_path: Path
) -> None:
    for deadly in itertools.count():
        folder = tmp_path / str(deadly)
        folder.mkdir()
        work, found = kind(folder, tiny_cell())
        whole = until(deadly, work)
        assert found() in ((1.0,) if whole else (0.0, 1.0))
        work()
        assert found() == 1.0
        sweep(folder, older=-1)
        assert not list(folder.rglob(".*"))
        if whole:
            assert deadly >= 5
            break


def test_a_reservation_killed_between_any_two_steps_holds_nothing_up(
    store: Store, tiny_cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock ends with its process; its file is the next one's."""
    cell = tiny_cell()

    def take_and_release() -> None:
        with Reservations(store) as mine:
            assert mine.take(cell)

    for deadly in itertools.count():
        whole = until(deadly, take_and_release)
        take_and_release()
        assert not list(store.root.rglob("*.reserved"))
        if whole:
            assert deadly >= 2  # before and after its file goes
            break
