"""Running cells: which are chosen, what they cost, where they are computed, and what survives a kill, a failure, a budget."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from facts import FACTS
from faked_cells import faked, numbers

from experiments import budget, costs, execution, executors, papers
from experiments.execution import Job
from experiments.executors import InProcess
from experiments.papers import galinkin, harakeh
from experiments.records import Record, Result, Store, key_of
from experiments.selection import select
from lib import data
from lib.errors import BadValue

CellMaker = Callable[..., harakeh.FGSM]


# --- kill and resume --------------------------------------------------------------------------------------------------


def files(store: Store) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(store.root.rglob("*.json"))}


def test_a_killed_run_keeps_its_records_and_a_second_run_computes_the_rest(
    start_cli: Any, cli: Any, store: Store, tmp_path: Path
) -> None:
    """SIGKILL, which nothing can catch, right after the first record."""
    changes = {"epochs": 1, "train_size": 300, "test_size": 100, "draws": 2, "curve_size": 20}
    options = [part for name, value in changes.items() for part in ("--set", f"{name}={value}")]
    chosen = ["--paper", "harakeh", "--profile", "smoke", "--only", "attack=fgsm", *options]
    process = start_cli("run", *chosen, "--threads", "1", "--results", store.root)
    deadline = time.monotonic() + 100
    while not files(store) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    survivors = files(store)
    cells = select("harakeh", "smoke", only=["attack=fgsm"], changes=options[1::2])
    assert 1 <= len(survivors) < len(cells)
    assert list(survivors) == sorted(store.path(cell) for cell in cells[: len(survivors)])  # whole, and in order

    second = cli("run", *chosen, "--threads", "1", "--results", store.root)
    assert second.rc == 0 and f"{len(cells) - len(survivors)} computed, 0 failed, 0 left" in second.stdout
    assert survivors.items() <= files(store).items()  # untouched
    assert all(store.get(cell) is not None for cell in cells) and len(files(store)) == len(cells)
    third = cli("run", *chosen, "--results", store.root)
    assert third.rc == 0 and third.stdout == "nothing to compute: every cell asked for is recorded\n"

    uninterrupted = Store(tmp_path / "other")
    again = cli("run", *chosen, "--all", "--threads", "1", "--results", uninterrupted.root)
    assert again.rc == 0 and f"{len(cells)} computed" in again.stdout
    for cell in cells:  # training included, to the bit
        assert numbers(uninterrupted.get(cell)) == numbers(store.get(cell))


def test_an_interrupt_ends_the_cell_in_hand(
    store: Store, tiny_cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control-C: the process may not go on computing what nobody will record."""
    release, still_at_it = threading.Event(), []

    def endless(cell: Any) -> Result:
        thread = threading.current_thread()
        still_at_it.append(thread)
        try:
            release.wait(30)
        finally:
            still_at_it.remove(thread)
        return Result({}, {})

    faked(monkeypatch, endless)
    main = threading.get_ident()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with interrupts ignored
    interrupt = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        execution.run([tiny_cell()], store=store, executor=executors.local_processes(1), job=Job())
    left = list(still_at_it)
    release.set()
    assert not left


# --- failure ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize(
    "error", [RuntimeError("no luck"), BadValue("data set: gone"), MemoryError(), AssertionError()]
)
def test_a_failing_cell_costs_no_other_its_record(
    error: Exception, workers: int, store: Store, tiny_cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [tiny_cell(seed=seed) for seed in range(5)]

    def compute(cell: Any) -> Result:
        if cell.seed in (0, 3):
            raise error
        return Result({"accuracy": float(cell.seed)}, {})

    faked(monkeypatch, compute)
    outcomes: dict[int, Any] = {}
    report = execution.run(
        cells,
        store=store,
        executor=InProcess(),
        job=Job(),
        workers=workers,
        done=lambda cell, outcome: outcomes.update({cell.seed: outcome}),
    )
    assert sorted(record.config["seed"] for record in report.done) == [1, 2, 4]
    assert sorted((cell.seed, outcome) for cell, outcome in report.failed) == [(0, error), (3, error)]
    assert not report.over_budget and outcomes.keys() == set(range(5)) and outcomes[0] is error
    assert [store.get(cell) is not None for cell in cells] == [False, True, True, False, True]


def test_a_result_that_cannot_be_recorded_is_a_failure_of_its_cell(
    store: Store, tiny_cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(monkeypatch, lambda cell: Result({"accuracy": float("nan") if cell.seed == 0 else 50.0}, {}))
    report = execution.run([tiny_cell(seed=seed) for seed in range(2)], store=store, executor=InProcess(), job=Job())
    assert [cell.seed for cell, _ in report.failed] == [0] and [record.config["seed"] for record in report.done] == [1]


def test_records_are_written_as_cells_end_not_at_the_end(
    store: Store, tiny_cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded_at_start = []

    def compute(cell: Any) -> Result:
        recorded_at_start.append(len(list(store.all("harakeh"))))
        return Result({"accuracy": 1.0}, {})

    faked(monkeypatch, compute)
    execution.run([tiny_cell(seed=seed) for seed in range(4)], store=store, executor=InProcess(), job=Job())
    assert recorded_at_start == [0, 1, 2, 3]


class Broken(InProcess):
    """A pool whose worker dies with its first cell: that future fails, and nothing can be submitted afterwards."""

    dead = False

    def submit(self, function: Any, /, *arguments: Any, **keywords: Any) -> Future[Any]:
        if self.dead:
            raise BrokenExecutor("a child process terminated abruptly")
        self.dead = True
        future: Future[Any] = Future()
        future.set_exception(BrokenExecutor("a child process terminated abruptly"))
        return future


def test_a_pool_that_is_broken_halts_the_run(store: Store, tiny_cell: CellMaker) -> None:
    """One of somebody else's, which replaces no worker: what it cannot compute has not failed."""
    cells = [tiny_cell(seed=seed) for seed in range(3)]
    report = execution.run(cells, store=store, executor=Broken(), job=Job())
    assert [cell for cell, _ in report.failed] == cells[:1] and report.left == cells[1:]
    assert str(report.halted) == "a child process terminated abruptly"


# --- budget and prices ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "costs_of_cells", "started"),
    [
        (None, [4, 4, 4, 1], [0, 1, 2, 3]),
        (0, [4, 4, 4, 1], []),
        (10, [4, 4, 4, 1], [0, 1, 3]),  # at 8 seconds the third would end at 12, the fourth at 9
        (9, [4, 4, 4, 1], [0, 1]),  # which is not before 9
        (10, [20, 3, 3, 3], [1, 2, 3]),
        (10, [None, 1, 1, 1], [0]),  # no price: started while anything is left; it takes 15
        (10, [8, None, 1, None], [0, 1]),  # and none after that
    ],
)
def test_nothing_is_started_that_would_end_after_the_budget(
    seconds: float | None,
    costs_of_cells: list[float | None],
    started: list[int],
    store: Store,
    tiny_cell: CellMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a clock that only cells move; an unpriced one takes 15 seconds."""
    now = [1000.0]
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def compute(cell: Any) -> Result:
        now[0] += costs_of_cells[cell.seed] or 15
        return Result({"accuracy": 1.0}, {})

    noted = faked(monkeypatch, compute)
    cells = [tiny_cell(seed=seed) for seed in range(4)]
    report = execution.run(
        cells,
        store=store,
        executor=InProcess(),
        job=Job(),
        budget=seconds,
        price=lambda cell: costs_of_cells[cell.seed],
    )
    assert [cell.seed for cell in noted] == started
    assert [cell.seed for cell in report.over_budget] == [seed for seed in range(4) if seed not in started]
    assert len(report.done) == len(started)


def record(cell: Any, seconds: float, **measurements: float) -> Record:
    config = json.loads(json.dumps(vars(cell)))  # as read from a file
    return Record(key_of(cell), config, measurements, {}, {"seconds": seconds})


def test_a_price_is_the_work_of_a_cell_at_the_rate_of_recorded_ones(tiny_cell: CellMaker) -> None:
    cell = tiny_cell()
    # 3 * 1 epoch * 64 images trained on, 5 * 20 test images, 4 + 2 passes of 10 images for the curve
    assert cell.work() == 3 * 64 + 5 * 20 + 10 * (4 + 2)
    assert tiny_cell(estimator="epistemic", draws=7).work() == 3 * 64 + 7 * (5 * 20 + 10 * (4 + 2))
    records = [record(tiny_cell(seed=seed), seconds) for seed, seconds in enumerate([10.0, 40.0, 20.0])]
    price = costs.Prices("harakeh", records)
    assert price(tiny_cell(seed=9)) == pytest.approx(20)  # the median of the three
    twice = tiny_cell(train_size=64 * 3, test_size=20)
    assert price(twice) == pytest.approx(20 * twice.work() / cell.work())


def test_where_no_record_has_the_estimator_one_of_the_network_will_do(tiny_cell: CellMaker) -> None:
    price = costs.Prices("harakeh", [record(tiny_cell(), 10.0), record(tiny_cell(estimator="aleatoric"), 30.0)])
    assert price(tiny_cell()) == pytest.approx(10) and price(tiny_cell(estimator="aleatoric")) == pytest.approx(30)
    epistemic = tiny_cell(estimator="epistemic")
    assert price(epistemic) == pytest.approx(20 * epistemic.work() / tiny_cell().work())
    for unknown in ({"width": 3}, {"network": "fully_convolutional"}, {"dataset": "digits_as_cifar10"}):
        assert price(tiny_cell(**unknown)) is None
    assert costs.Prices("harakeh", [])(tiny_cell()) is None


def test_an_attack_is_priced_by_the_work_of_any_other_on_the_same_network(tiny_cell: CellMaker) -> None:
    """Records and cells of several experiments: each has its own work, and one rate serves all without a record of their own."""
    usual = {name: getattr(tiny_cell(), name) for name in ("profile", "dataset", "network", "width", "train_size")}
    targeted, within = harakeh.CW(**usual, attack_runs=1), harakeh.Gradient(**usual, test_size=30, loss_steps=(1.0, 5))
    price = costs.Prices("harakeh", [record(tiny_cell(), tiny_cell().work() / 10)])
    price.add(record(targeted, targeted.work()))
    for cell in (within, harakeh.BlackBox(**usual), harakeh.JSMA(**usual)):
        assert price(cell) == pytest.approx((0.1 + 1) / 2 * cell.work())
    longer = tiny_cell(test_size=2 * tiny_cell().test_size)  # of an attack that is recorded
    for cell, rate in ((tiny_cell(seed=9), 0.1), (longer, 0.1), (targeted, 1.0)):
        assert price(cell) == pytest.approx(rate * cell.work())


def test_a_training_that_stopped_early_is_priced_as_such() -> None:
    """Else its attack would be priced at the rate of epochs that were never trained."""
    small = galinkin.Evasion(patience=2, epochs=25, iterations=10)
    stopped = {"training_seconds": 0.0, "training_epochs": 5.0}
    seconds = replace(small, epochs=5).work()
    priced = costs.Prices("galinkin", [replace(record(small, seconds), measurements=stopped)])
    longer = replace(small, iterations=50)
    assert priced(longer) == pytest.approx(replace(longer, epochs=5).work())
    assert priced(small) == pytest.approx(seconds)


def test_a_cell_is_priced_by_its_own_other_seeds_first(tiny_cell: CellMaker) -> None:
    other = tiny_cell(test_size=2 * tiny_cell().test_size)
    price = costs.Prices("harakeh", [record(tiny_cell(), 10.0), record(tiny_cell(seed=1), 12.0), record(other, 900.0)])
    assert price(tiny_cell(seed=2)) == pytest.approx(11) and price(other) == pytest.approx(900)


def test_a_recorded_list_is_the_tuple_of_its_cell(tiny_cell: CellMaker) -> None:
    usual = {name: getattr(tiny_cell(), name) for name in ("profile", "dataset", "network", "width", "train_size")}
    within = harakeh.Gradient(**usual, test_size=30, loss_steps=(1.0, 5))
    records = [record(within, 7.0)]
    assert records[0].config["loss_steps"] == [1.0, 5.0] and costs.Prices("harakeh", records)(within) == pytest.approx(
        7
    )


def test_a_network_from_the_cache_costs_its_training_all_the_same(tiny_cell: CellMaker) -> None:
    cached = record(tiny_cell(), 5.0, training_seconds=100.0, attack_seconds=4.0)
    assert costs.cost(cached) == 104 and costs.Prices("harakeh", [cached])(tiny_cell()) == pytest.approx(104)
    assert costs.cost(record(tiny_cell(), 110.0, training_seconds=100.0, attack_seconds=4.0)) == 110


def test_a_processor_sets_no_price_for_a_gpu(tiny_cell: CellMaker) -> None:
    cell, gpu = tiny_cell(), {"seconds": 2.0, "device": "NVIDIA H100 80GB HBM3"}
    here = record(cell, 100.0)
    there = Record(here.key, here.config, {}, {}, gpu)
    assert costs.Prices("harakeh", [here])(cell) == pytest.approx(100)
    assert costs.Prices("harakeh", [here], gpu=True)(cell) is None
    assert costs.Prices("harakeh", [here, there], gpu=True)(cell) == pytest.approx(2)
    assert costs.Prices("harakeh", [here, there])(cell) == pytest.approx(100)


def test_records_of_an_older_experiment_set_no_price(tiny_cell: CellMaker) -> None:
    old = record(tiny_cell(), 10.0)
    for config in ({**old.config, "gone": 1}, {name: old.config[name] for name in list(old.config)[1:]}):
        assert costs.Prices("harakeh", [Record(old.key, config, {}, {}, {"seconds": 1.0})])(tiny_cell()) is None


def test_a_training_that_goes_on_from_snapshots_is_stopped_when_the_time_is_up(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is started although its price is higher than what is left, and counts as left over, not as failed.

    What keeps no snapshot, because it is to be fresh or has nowhere to keep one, would only waste the time.
    """
    began: list[int] = []

    def compute(cell: Any, job: Job) -> Any:
        began.append(cell.seed)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            time.sleep(0.01)

    monkeypatch.setattr(execution, "compute", compute)
    cells = [cell for cell in papers.get("song").main("reduced") if cell.attack == "threshold"][:2]
    before, start = signal.getsignal(signal.SIGALRM), time.monotonic()
    settings: dict[str, Any] = {"store": store, "budget": 0.5, "price": lambda cell: 1e6}
    for job in (Job(), Job(cache=tmp_path, fresh=True)):
        report = execution.run(cells, executor=executors.local_processes(1), job=job, **settings)
        assert began == [] and report.over_budget == cells
    report = execution.run(cells, executor=executors.local_processes(1), job=Job(cache=tmp_path), **settings)
    assert time.monotonic() - start < 10
    assert len(began) == 1 and report.over_budget == cells and not report.failed and not report.done
    assert signal.getsignal(signal.SIGALRM) is before and signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_without_a_budget_nothing_is_stopped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "setitimer", lambda *_: pytest.fail("no time limit was asked for"))
    monkeypatch.setattr(execution, "compute", lambda cell, job: (Result({"accuracy": 1.0}, {}), FACTS))
    cells = papers.get("song").main("reduced")[:2]
    report = execution.run(cells, store=store, executor=executors.local_processes(1), job=Job())
    assert len(report.done) == 2


# --- where cells are computed -----------------------------------------------------------------------------------------


def test_as_many_cells_are_in_hand_as_there_are_workers(
    store: Store, tiny_cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, in_hand, most = threading.Barrier(3), [], []

    def compute(cell: Any) -> Result:
        in_hand.append(cell)
        together.wait(20)  # which only three at once get past
        most.append(len(in_hand))
        together.wait(20)
        in_hand.remove(cell)
        return Result({"accuracy": float(cell.seed)}, {})

    faked(monkeypatch, compute)
    cells = [tiny_cell(seed=seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as executor:
        report = execution.run(cells, store=store, executor=executor, job=Job(), workers=3)
    assert len(report.done) == 6 and max(most) == 3
    for cell in cells:
        assert numbers(store.get(cell))["accuracy"] == cell.seed


@pytest.mark.parametrize(("here", "auto"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_the_gpu_where_there_is_one(here: bool, auto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: here)
    assert execution.check_device("auto") == auto and execution.check_device("cpu") == "cpu"


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "gpu", "tpu", "mps", "CPU", "", "cpu,cuda", "cuda:x", "meta"])
def test_a_device_that_is_not_here_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadValue, match=r"^device: ") as caught:
        execution.check_device(device)
    assert repr(device) in str(caught.value) and "expected auto, cpu or" in str(caught.value)


def test_data_are_read_once_each_before_anything_starts(tiny_cell: CellMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(data, "loaded", read.append)
    names = ["digits_as_mnist", "digits_as_cifar10", "digits_as_mnist"]
    execution.check_data([tiny_cell(dataset=name) for name in names])
    assert read == names[:2]


def test_one_checkpoint_serves_the_cells_that_share_a_victim(
    tiny_cell: CellMaker, tmp_path: Path, settings_kept: None
) -> None:
    """Another budget of the attack is another cell, but no other network."""
    job = Job(threads=1, cache=tmp_path / "cache")
    first, same, other = tiny_cell(), tiny_cell(epsilon=0.1, test_size=30), tiny_cell(seed=1)
    results = [execution.compute(cell, job)[0] for cell in (first, same, other)]
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 2
    losses = [result.measurements["training_loss"] for result in results]
    assert losses[0] == losses[1] != losses[2]
    assert execution.compute(first, job)[0].curves == results[0].curves


# --- selection --------------------------------------------------------------------------------------------------------


def test_without_conditions_the_selection_is_the_grid() -> None:
    for profile in harakeh.PROFILES:
        assert select("harakeh", profile) == harakeh.grid(profile)


def test_conditions_hold_together() -> None:
    four = ["attack=fgsm", "dataset=mnist", "estimator=epistemic", "network=basic_cnn"]
    cells = select("harakeh", "paper", only=four)
    assert [(c.dataset, c.estimator, c.network, c.seed) for c in cells] == [
        ("mnist", "epistemic", "basic_cnn", seed) for seed in range(5)
    ]
    by_number = select("harakeh", "paper", only=["seed=3", "curve_epsilons=0,0.05,0.1,0.15,0.2,0.25,0.3"])
    assert {(cell.seed, cell.dataset, cell.attack) for cell in by_number} == {(3, "mnist", "fgsm")}
    assert by_number == [c for c in harakeh.grid("paper") if (c.seed, c.dataset, c.attack) == (3, "mnist", "fgsm")]


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("form=mean", lambda cell: getattr(cell, "form", None) == "mean"),
        ("score=", lambda cell: getattr(cell, "score", None) == ""),
        ("steps=1", lambda cell: getattr(cell, "steps", None) == 1),
        ("held_out=150", lambda cell: cell.attack in ("black_box", "substitutes")),
        ("attack_runs=10", lambda cell: cell.attack in ("cw", "cw_aborting", "jsma")),
    ],
)
def test_a_cell_without_a_field_meets_no_condition_on_it(condition: str, met: Callable[[Any], bool]) -> None:
    found = select("harakeh", "paper", only=[condition])
    assert found == [cell for cell in harakeh.grid("paper") if met(cell)]
    assert 0 < len(found) < len(harakeh.grid("paper"))


def test_a_change_of_a_setting_that_some_cells_lack_is_refused() -> None:
    """Also where only a part of those chosen lack it; once they are left out, it is made."""
    with pytest.raises(
        BadValue,
        match=r"^--set epsilon: cells of cw, cw_aborting, jsma, jsma_first_ten have no such setting; choose others",
    ):
        select("harakeh", "paper", changes=["epsilon=0.1"])
    with pytest.raises(
        BadValue,
        match=r"^--set judged: cells of aware, cw, cw_aborting, jsma, jsma_first_ten, pgd have no such setting",
    ):
        select("harakeh", "paper", only=["judges=50"], changes=["judged=10"])
    changed = select("harakeh", "paper", only=["attack=black_box"], changes=["epsilon=0.1", "judged=10"])
    assert changed and {(cell.epsilon, cell.judged) for cell in changed} == {(0.1, 10)}


def test_seeds_keeps_the_first_ones() -> None:
    assert {cell.seed for cell in select("harakeh", "paper", seeds=2)} == {0, 1}
    assert select("harakeh", "paper", seeds=99) == select("harakeh", "paper")


def test_changes_replace_settings_and_make_other_keys() -> None:
    only = ["attack=fgsm", "estimator=none"]
    plain = select("harakeh", "smoke", only=only)
    changed = select("harakeh", "smoke", only=only, changes=["epochs=5", "curve_epsilons=0.0,0.5"])
    assert [(cell.epochs, cell.curve_epsilons) for cell in changed] == [(5, (0.0, 0.5))] * len(plain)
    assert not {key_of(cell) for cell in changed} & {key_of(cell) for cell in plain}
    assert [cell.network for cell in changed] == [cell.network for cell in plain]


def test_cells_that_a_change_makes_equal_are_one() -> None:
    only = ["attack=fgsm", "network=basic_cnn"]
    assert len(select("harakeh", "smoke", only=only)) > 1
    assert len(select("harakeh", "smoke", only=only, changes=["estimator=none", "draws=3"])) == 1


def test_a_change_that_changes_nothing_keeps_the_key() -> None:
    only = ["attack=fgsm"]
    same = select("harakeh", "smoke", only=only, changes=["curve_epsilons=0,0.1,0.3"])
    assert [key_of(cell) for cell in same] == [key_of(cell) for cell in select("harakeh", "smoke", only=only)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"paper": "madry"}, "paper: unknown 'madry'; expected one of at_once, galinkin, harakeh"),
        ({"profile": "huge"}, "profile: unknown 'huge'; expected one of smoke, reduced, paper"),
        ({"only": ["colour=red"]}, "--only colour: unknown field; expected one of paper, profile, dataset"),
        ({"only": ["estimator"]}, "--only 'estimator': expected field=value"),
        ({"only": ["estimator=bayes"]}, "--only estimator=bayes: no cell of harakeh/smoke meets that"),
        ({"only": ["seed=4"]}, "--only seed=4: no cell"),
        ({"only": ["seed=zero"]}, "--only seed: expected a int such as 5, got 'zero'"),
        ({"seeds": 0}, "seeds: expected a whole number of at least 1, got 0"),
        ({"seeds": -1}, "seeds: "),
        ({"changes": ["colour=red"]}, "--set colour: unknown field"),
        ({"changes": ["epsilon"]}, "--set 'epsilon': expected field=value"),
        ({"changes": ["epsilon=8/255"]}, "--set epsilon: expected a float such as 0.0314, got '8/255'"),
        ({"changes": ["epochs=1.5"]}, "--set epochs: expected a int such as 5, got '1.5'"),
        ({"changes": ["curve_epsilons=0,a"]}, "--set curve_epsilons: expected a tuple such as 0,0.1,0.3, got '0,a'"),
        ({"changes": ["epsilon=-1"]}, "epsilon: expected a finite number in [0, 1], got -1.0"),
        ({"changes": ["epsilon=nan"]}, "epsilon: "),
        ({"changes": ["epsilon=1e999"]}, "epsilon: "),
        ({"changes": ["curve_epsilons=0,NaN"]}, "curve_epsilons: "),
        ({"changes": ["curve_epsilons=0,2"]}, "curve_epsilons: "),
        ({"changes": ["attack=zzz"]}, "attack: unknown 'zzz'; expected one of fgsm"),
        ({"changes": ["learning_rate=-1"]}, "learning_rate: "),
        ({"changes": ["precision=int8"]}, "precision: "),
        ({"changes": ["seed=1"]}, "--set seed: cannot be changed here"),
        ({"changes": ["version=2"]}, "--set version: cannot be changed here"),
        ({"changes": ["paper=harakeh"]}, "--set paper: cannot be changed here"),
        ({"changes": ["profile=paper"]}, "--set profile: cannot be changed here"),
        pytest.param({"changes": ["dropout=1"]}, "dropout: "),
    ],
)
def test_bad_choices_are_named(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue) as caught:
        select(**{"paper": "harakeh", "profile": "smoke", "only": ["attack=fgsm"], **arguments})
    assert str(caught.value).startswith(told) and "\n" not in str(caught.value)


def test_every_paper_offers_what_a_paper_must() -> None:
    for name in papers.NAMES:
        module = papers.get(name)
        assert module.TITLE and module.SEEDS >= 1 and module.TOLERANCES
        for profile in module.PROFILES:
            for cell in module.grid(profile):
                assert cell.paper == name and cell.profile == profile and cell.work() > 0
                assert type(cell) in papers.kinds(name) and cell.dataset in data.CHECKSUMS
            assert set(module.main(profile)) <= set(module.grid(profile))
