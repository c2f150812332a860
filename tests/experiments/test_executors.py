"""Where cells are computed: the same everywhere, and what becomes of them where a place is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
from facts import FACTS
from faked_cells import TIMES, faked, numbers

from experiments import clusters, execution, executors
from experiments.clusters import DaskCluster, SlurmJobs
from experiments.execution import Job
from experiments.executors import InProcess, LocalProcesses, WorkerDied
from experiments.papers import harakeh
from experiments.records import ROOT, Result, Store
from lib.errors import BadValue

CellMaker = Callable[..., harakeh.FGSM]


@pytest.fixture
def expected(tiny_cell: CellMaker, settings_kept: None) -> dict[str, dict[str, Any]]:
    """Two cells, of random victims, and what they measure when computed here, on one thread, without a cache."""
    cells = [tiny_cell(estimator="epistemic"), tiny_cell(estimator="aleatoric", seed=1)]
    results = {cell: execution.compute(cell, Job(threads=1))[0] for cell in cells}
    return {
        cell: {**{n: v for n, v in result.measurements.items() if n not in TIMES}, "curves": result.curves}
        for cell, result in results.items()
    }


def check_computed(cells: dict[Any, dict[str, Any]], store: Store, executor: Executor, workers: int = 1) -> None:
    with executor:
        report = execution.run(list(cells), store=store, executor=executor, job=Job(threads=1), workers=workers)
    assert not report.failed and len(report.done) == 2
    for cell, measured in cells.items():
        assert numbers(store.get(cell)) == measured


def test_one_job_is_computed_in_this_process(expected: Any, store: Store, settings_kept: None) -> None:
    check_computed(expected, store, executors.local_processes(1))


def test_a_process_of_its_own_computes_the_same(expected: Any, store: Store) -> None:
    """One cell after the other, for which the pool starts one of its two processes."""
    check_computed(expected, store, executors.local_processes(2))


# --- local processes --------------------------------------------------------------------------------------------------


def fragile(cell: Any, job: Job) -> tuple[Result, dict[str, Any]]:
    """In the place of `compute`: seed 0 ends its process each time, seed 1 the first time, as where memory runs out."""
    assert job.cache is not None
    began = job.cache / f"{cell.seed}"
    if cell.seed == 0 or (cell.seed == 1 and not began.exists()):
        began.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if cell.seed == 2:
        raise BadValue("seed: expected another")
    return Result({"accuracy": float(os.getpid())}, {}), FACTS


def test_a_worker_that_dies_is_replaced_and_its_cell_tried_once_more(
    store: Store, tiny_cell: CellMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "compute", fragile)
    cells = [tiny_cell(seed=seed) for seed in range(6)]
    with executors.local_processes(2) as executor:
        report = execution.run(cells, store=store, executor=executor, job=Job(cache=tmp_path), workers=2)
    assert sorted(record.config["seed"] for record in report.done) == [1, 3, 4, 5]
    failed = {cell.seed: error for cell, error in report.failed}
    assert failed.keys() == {0, 2} and isinstance(failed[2], BadValue) and isinstance(failed[0], WorkerDied)
    assert str(failed[0]) == "its process was ended twice, as the system does when memory runs out"
    assert not report.left and report.halted is None
    processes = {int(record.measurements["accuracy"]) for record in report.done}
    assert os.getpid() not in processes and not any(psutil.pid_exists(pid) for pid in processes)


def test_what_cannot_come_back_fails_in_words() -> None:
    with LocalProcesses(1) as executor:
        assert "cannot pickle" in str(executor.submit(open, os.devnull).exception())
        assert executor.submit(int, "7", base=8).result() == 7


def test_an_interrupt_ends_the_workers_with_what_they_compute() -> None:
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), LocalProcesses(1) as executor:
        executor.submit(os.getpid).result()
        at_work = executor.submit(time.sleep, 60)
        while not at_work.running():
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert time.monotonic() - start < 30 and isinstance(at_work.exception(), WorkerDied)


PARENT = """
import os, time
from experiments.executors import LocalProcesses
with LocalProcesses(1) as executor:
    print(executor.submit(os.getpid).result(), flush=True)
    executor.submit(time.sleep, 100).result()
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.faults)])
def test_workers_end_with_the_process_that_started_them(ending: signal.Signals) -> None:
    """Also amid a cell: what they go on computing nobody would record, and the next run computes it as well."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(ending)
        assert parent.wait(10) == -ending
    gone, _ = psutil.wait_procs([worker], timeout=10)
    for left in {worker}.difference(gone):
        left.kill()
    assert gone


# --- a cluster --------------------------------------------------------------------------------------------------------


def test_a_dask_cluster_computes_the_same_by_its_address(expected: Any, store: Store) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        executor = DaskCluster(4, cluster.scheduler_address)
        check_computed(expected, store, executor, workers=2)


def test_a_killed_worker_of_a_cluster_costs_no_record(store: Store, tiny_cell: CellMaker) -> None:
    """Of two workers one is killed half-way: its cells are computed again by the other."""
    distributed = pytest.importorskip("distributed")
    cells, killed = [tiny_cell(seed=seed) for seed in range(12)], []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        executor = DaskCluster(4, cluster.scheduler_address)

        def done(cell: Any, outcome: Any) -> None:
            if len(list(store.all("harakeh"))) == len(cells) // 2 and not killed:
                killed.append(distributed.get_client().run(os.getpid).popitem()[1])
                os.kill(killed[0], signal.SIGKILL)

        with executor:
            report = execution.run(cells, store=store, executor=executor, job=Job(threads=1), workers=4, done=done)
    assert killed and not report.failed and len(report.done) == len(cells)
    assert all(store.get(cell) is not None for cell in cells)


def test_cells_for_a_gpu_go_to_workers_that_offer_one(store: Store, tiny_cell: CellMaker) -> None:
    """The resource alone is tested: on a worker without a GPU the cell then says that there is none."""
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with distributed.LocalCluster(**settings) as cluster, pytest.raises(BadValue) as caught:
        DaskCluster(1, cluster.scheduler_address, device="cuda")
    assert str(caught.value).startswith("dask: no worker of") and str(caught.value).endswith('--resources "GPU=1"')
    with distributed.LocalCluster(resources={"GPU": 1}, **settings) as cluster:
        executor = DaskCluster(1, cluster.scheduler_address, device="cuda")
        with executor:
            report = execution.run([tiny_cell()], store=store, executor=executor, job=Job(threads=1, device="cpu"))
    assert len(report.done) == 1


def lone_cluster(**settings: Any) -> Any:
    distributed = pytest.importorskip("distributed")
    usual = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    return distributed.LocalCluster(**{**usual, **settings})


def test_a_scheduler_that_goes_halts_the_run(store: Store, tiny_cell: CellMaker) -> None:
    """With the cell in hand and those not begun left over; nothing waits for what will not come back."""
    cells = [tiny_cell(seed=seed) for seed in range(3)]
    with lone_cluster() as cluster, DaskCluster(1, cluster.scheduler_address) as executor:
        at_work = executor.submit(time.sleep, 100)
        executor.submit = lambda *_: at_work  # type: ignore[method-assign]
        threading.Timer(1, cluster.close).start()
        report = execution.run(cells, store=store, executor=executor, job=Job())
    assert report.left == cells and not report.failed
    assert str(report.halted).startswith(f"dask: the scheduler at {cluster.scheduler_address} is gone")


def test_workers_that_go_and_do_not_come_back_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "PATIENCE", 2.0)
    with lone_cluster() as cluster, DaskCluster(1, cluster.scheduler_address) as executor:
        at_work = executor.submit(time.sleep, 100)
        cluster.scale(0)
        assert str(at_work.exception(60)) == f"dask: {cluster.scheduler_address} has had no worker for 2 s"


def test_a_cluster_without_workers_is_refused() -> None:
    with lone_cluster(n_workers=0) as cluster, pytest.raises(BadValue, match=r"dask: no worker of .* is there; start"):
        DaskCluster(1, cluster.scheduler_address)


@pytest.mark.parametrize("address", ["nonsense", "nonsense://127.0.0.1:1", "127.0.0.1", ""])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(BadValue) as caught:
        DaskCluster(1, address)
    assert str(caught.value).startswith("dask: ") and "expected e.g. tcp://10.0.0.1:8786" in str(caught.value)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(address: str, *, timeout: float) -> None:
        raise OSError(f"Timed out trying to connect to {address} after {timeout} s")

    monkeypatch.setattr("distributed.Client", silent)
    with pytest.raises(
        BadValue, match=r"^dask: no scheduler answers at 'tcp://127.0.0.1:1' \(Timed out .* after 10 s\)"
    ):
        DaskCluster(1, "tcp://127.0.0.1:1")


def test_without_submitit_slurm_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(BadValue, match=r"^slurm: needs submitit; install it with: pip install submitit$"):
        SlurmJobs(2, tmp_path, slurm_partition="gpu")


def test_without_slurm_nothing_is_computed_here_instead(
    cli: Any, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As submitit does where it finds no sbatch."""
    monkeypatch.setitem(sys.modules, "submitit", ModuleType("submitit"))
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = cli("run", "--paper", "harakeh", "--profile", "smoke", "--slurm", "gpu", "--results", store.root)
    assert outcome.rc == 2 and "slurm: there is no sbatch on this machine" in outcome.stderr


def test_each_cell_is_one_slurm_job(
    store: Store, tiny_cell: CellMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a stand-in for submitit that computes at once."""
    seen: dict[str, Any] = {"jobs": 0}

    class AutoExecutor:
        def __init__(self, *, folder: Path, cluster: str) -> None:
            seen["folder"], seen["cluster"] = folder, cluster

        def update_parameters(self, **parameters: Any) -> None:
            seen["parameters"] = parameters

        def submit(self, function: Any, *arguments: Any) -> Any:
            seen["jobs"] += 1
            return InProcess().submit(function, *arguments)

    module = ModuleType("submitit")
    module.__dict__["AutoExecutor"] = AutoExecutor
    monkeypatch.setitem(sys.modules, "submitit", module)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    faked(monkeypatch, lambda cell: Result({"accuracy": float(cell.seed)}, {}))
    cells = [tiny_cell(seed=seed) for seed in range(3)]
    with SlurmJobs(2, tmp_path / "slurm", slurm_partition="gpu", timeout_min=5) as executor:
        report = execution.run(cells, store=store, executor=executor, job=Job(), workers=2)
    assert len(report.done) == seen["jobs"] == 3 and not report.failed and seen["cluster"] == "slurm"
    assert (seen["folder"], seen["parameters"]) == (tmp_path / "slurm", {"slurm_partition": "gpu", "timeout_min": 5})
