"""The command line: what each command says and returns, and that every bad value is one line, exit status 2, and no work."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from facts import FACTS, facts

from experiments import command_line, commands, equivalence, execution, grid, papers, records, verification
from experiments.equivalence import Pair, kind_of
from experiments.find import row
from experiments.papers import harakeh
from experiments.records import ROOT, Result, Store, key_of
from experiments.selection import select

Cli = Callable[..., Any]
SMOKE = ("--paper", "harakeh", "--profile", "smoke")
FGSM = (*SMOKE, "--only", "attack=fgsm")


@pytest.fixture
def cells(tiny_options: list[str]) -> list[harakeh.FGSM]:
    """The FGSM cells of the smoke profile with tiny settings."""
    only, *changes = tiny_options[1::2]
    return select("harakeh", "smoke", only=[only], changes=changes)


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Computing only notes the cell, and measures nothing but its seed."""
    computed: list[Any] = []

    def compute(cell: Any, job: execution.Job) -> tuple[Result, dict[str, Any]]:
        computed.append((cell, job))
        return Result({"accuracy": 50.0}, {}), FACTS

    monkeypatch.setattr(execution, "compute", compute)
    return computed


def fill(store: Store, cells: list[Any], seconds: float = 2.0) -> None:
    for cell in cells:
        store.put(cell, Result({"accuracy": 50.0}, {}), facts(seconds=seconds, commit="abc123"))


# --- bad values -------------------------------------------------------------------------------------------------------

ANY = ("plan", "run", "status", "show", "verify")
BAD = [
    (ANY, ["--paper", "madry"], "paper: unknown 'madry'; expected one of at_once, galinkin, harakeh"),
    (ANY, ["--profile", "huge"], "profile: unknown 'huge'; expected one of smoke, reduced, paper"),
    (ANY, [*SMOKE, "--set", "attack=zzz"], "attack: unknown 'zzz'; expected one of fgsm"),
    (ANY, [*SMOKE, "--set", "dataset=imagenet"], "dataset: unknown 'imagenet'; expected one of mnist"),
    (ANY, [*SMOKE, "--set", "colour=red"], "--set colour: unknown field; expected one of paper, profile"),
    (ANY, [*SMOKE, "--only", "colour=red"], "--only colour: unknown field; expected one of"),
    (ANY, [*SMOKE, "--only", "estimator=bayes"], "--only estimator=bayes: no cell of harakeh/smoke meets that"),
    (ANY, [*FGSM, "--set", "epsilon=-1"], "epsilon: expected a finite number in [0, 1], got -1.0"),
    (ANY, [*FGSM, "--set", "epsilon=nan"], "epsilon: expected a finite number in [0, 1], got nan"),
    (ANY, [*FGSM, "--set", "epsilon=inf"], "epsilon: expected a finite number in [0, 1], got inf"),
    (ANY, [*SMOKE, "--set", "epsilon=8/255"], "--set epsilon: expected a float such as 0.0314, got '8/255'"),
    (
        ANY,
        [*SMOKE, "--set", "curve_size=5"],
        "--set curve_size: cells of aware, black_box, cw, cw_aborting, jsma, jsma_first_ten, pgd, substitutes have no such",
    ),
    (ANY, [*SMOKE, "--only", "attack=cw", "--set", "epsilon=0.1"], "--set epsilon: cells of cw have no such setting"),
    (ANY, [*SMOKE, "--set", "epochs=0"], "epochs: expected a whole number of at least 1, got 0"),
    (ANY, [*FGSM, "--set", "curve_epsilons=0,2"], "curve_epsilons: expected a finite number in [0, 1], got 2"),
    (ANY, [*SMOKE, "--seeds", "0"], "seeds: expected a whole number of at least 1, got 0"),
    (ANY, [*SMOKE, "--seeds", "two"], "argument --seeds: invalid int value: 'two'"),
    (ANY, [*SMOKE, "--seed", "7"], "--only seed=7: no cell of harakeh/smoke meets that"),
    (ANY, [*SMOKE, "--colour", "red"], "unrecognized arguments: --colour"),
    (("run", "verify"), [*SMOKE, "--device", "tpu"], "device: expected auto, cpu or cuda, got 'tpu'"),
    (("run", "verify"), [*SMOKE, "--device", "cuda"], "device: 'cuda' is not available here"),
    (("run",), [*SMOKE, "--jobs", "0"], "--jobs: expected a whole number in [1, 1024], got 0"),
    (("run",), [*SMOKE, "--jobs", "many"], "argument --jobs: invalid int value: 'many'"),
    (("verify",), [*SMOKE, "--dask", "tcp://host:8786"], "unrecognized arguments: --dask tcp://host:8786"),
    (("verify",), [*SMOKE, "--threads", "0"], "--threads: expected a whole number in [1, "),
    (("run",), [*SMOKE, "--budget", "-1"], "--budget: expected a finite number in [0, inf], got -1.0"),
    (("run",), [*SMOKE, "--budget", "nan"], "--budget: expected a finite number in [0, inf], got nan"),
    (("run",), [*SMOKE, "--dask", "nonsense"], "dask: no scheduler answers at 'nonsense'"),
    (("verify",), [*SMOKE, "--sample", "0"], "--sample: expected a whole number of at least 1, got 0"),
    (("verify",), [*SMOKE, "--sample", "1"], "--sample: expected at most 0, the number of recorded cells, got 1"),
]


@pytest.mark.parametrize(
    ("command", "arguments", "told"),
    [
        pytest.param(command, arguments, told, id=" ".join([command, *(a for a in arguments if a not in SMOKE)]))
        for commands_, arguments, told in BAD
        for command in commands_
    ],
)
def test_a_bad_value_is_one_line_status_2_and_no_work(
    command: str,
    arguments: list[str],
    told: str,
    cli: Cli,
    lazy: list[Any],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    outcome = cli(command, *arguments, "--results", store.root)
    assert outcome.rc == 2 and outcome.stdout == ""
    assert re.fullmatch(r"python -m experiments( \w+)?: [^\n]+\n", outcome.stderr) and told in outcome.stderr
    assert not lazy and not store.root.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["train"], "invalid choice: 'train'"),
        (["plan", "harakeh"], "unrecognized arguments: harakeh"),
    ],
)
def test_a_command_that_is_none_is_one_line_too(arguments: list[str], told: str, cli: Cli) -> None:
    outcome = cli(*arguments)
    assert outcome.rc == 2 and outcome.stderr.count("\n") == 1 and told in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--threads", "0"], "--threads"), (["--threads", "-1"], "--threads"), (["--set", "dropout=1"], "dropout")],
)
def test_a_bad_value_that_only_a_cell_notices(
    arguments: list[str], told: str, cli: Cli, lazy: list[Any], store: Store
) -> None:
    outcome = cli("run", *SMOKE, *arguments, "--results", store.root)
    assert outcome.rc == 2 and told in outcome.stderr and not lazy


def test_a_folder_that_cannot_hold_records_is_named_before_anything_is_computed(
    cli: Cli, lazy: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    outcome = cli("run", *SMOKE, "--results", tmp_path / "file")
    assert outcome.rc == 2 and str(tmp_path / "file") in outcome.stderr and not lazy


def test_a_condition_that_one_of_the_default_profiles_meets_is_met(cli: Cli, store: Store) -> None:
    outcome = cli("plan", "--only", "network=fully_convolutional", "--results", store.root)
    both = [cell for profile in ("reduced", "paper") for cell in harakeh.grid(profile)]
    expected = [key_of(cell) for cell in both if cell.network == "fully_convolutional"]
    assert expected and {cell.network for cell in harakeh.grid("reduced")} != {cell.network for cell in both}
    assert outcome.rc == 0 and [line.split()[0] for line in planned(outcome)[0]] == expected


def test_a_condition_on_a_field_that_one_paper_has_is_met(cli: Cli, store: Store) -> None:
    outcome = cli("plan", "--only", "second_from=50000", "--results", store.root)
    assert outcome.rc == 0 and all(" song " in line for line in planned(outcome)[0])
    outcome = cli("plan", "--only", "colour=red", "--results", store.root)
    assert outcome.rc == 2 and "--only colour: unknown field" in outcome.stderr


@pytest.mark.parametrize("command", ["plan", "status", "show", "verify"])
def test_a_file_is_no_folder_of_records(command: str, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    outcome = cli(command, "--results", tmp_path / "file")
    assert outcome.rc == 2 and "expected a folder of records, got a file" in outcome.stderr


def test_where_a_notebook_cannot_go_is_told_before_it_is_executed(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("chapter", "harakeh", tmp_path)
    assert outcome.rc == 2 and outcome.stderr.endswith("expected the name of a notebook to write, such as out.ipynb\n")


def test_a_reader_may_leave_before_the_end() -> None:
    shown = subprocess.Popen(
        [sys.executable, "-m", "experiments", "plan"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert shown.stdout is not None and shown.stderr is not None
    shown.stdout.readline()
    shown.stdout.close()
    assert shown.wait(timeout=120) == 1 and shown.stderr.read() == ""


def test_the_process_itself_ends_like_that(run_cli: Cli, store: Store) -> None:
    """As the shell sees it."""
    outcome = run_cli("run", *FGSM, "--set", "epsilon=-1", "--results", store.root)
    expected = "python -m experiments: epsilon: expected a finite number in [0, 1], got -1.0\n"
    assert (outcome.rc, outcome.stdout, outcome.stderr) == (2, "", expected) and not store.root.exists()


@pytest.mark.parametrize("command", ANY)
@pytest.mark.parametrize("damage", ["truncated", "edited", "of another cell"])
def test_a_damaged_record_is_named(
    command: str, damage: str, cli: Cli, lazy: list[Any], store: Store, cells: list[Any], tiny_options: list[str]
) -> None:
    fill(store, cells[:3])
    path = store.path(cells[1])
    content = path.read_text()
    path.write_text({"truncated": content[:-20], "edited": content.replace("50.0", "99.0")}.get(damage, ""))
    if damage == "of another cell":
        path.write_bytes(store.path(cells[0]).read_bytes())
    before = {file: file.read_bytes() for file in store.root.rglob("*") if file.is_file()}
    outcome = cli(command, *SMOKE, *tiny_options, "--results", store.root)
    assert outcome.rc == 2 and outcome.stderr.count("\n") == 1 and str(path) in outcome.stderr
    assert not lazy and {file: file.read_bytes() for file in store.root.rglob("*") if file.is_file()} == before


# --- plan -------------------------------------------------------------------------------------------------------------


def planned(outcome: Any) -> tuple[list[str], str, list[list[str]]]:
    """The lines of the cells of a plan, its total, and its tables by paper and by worth."""
    cells, *tables = (part.splitlines() for part in outcome.stdout.split("\n\n"))
    return cells[:-1], cells[-1], tables


def test_plan_lists_what_is_missing(cli: Cli, store: Store, cells: list[Any], tiny_options: list[str]) -> None:
    outcome = cli("plan", *SMOKE, *tiny_options, "--results", store.root)
    lines, total, _ = planned(outcome)
    assert outcome.rc == 0 and [line.split()[0] for line in lines] == [key_of(cell) for cell in cells]
    assert all(line.endswith("no price") for line in lines)
    n = len(cells)
    assert total == f"{n} cells to compute, {n} without a price"
    assert not store.root.exists()


def test_plan_prices_from_what_is_recorded(cli: Cli, store: Store, cells: list[Any], tiny_options: list[str]) -> None:
    """One cell is recorded, at 66 seconds: the others of its network follow by their work, the rest have no price."""
    fill(store, cells[:1], seconds=66)
    outcome = cli("plan", *SMOKE, *tiny_options, "--results", store.root)
    lines, total, _ = planned(outcome)
    priced = [cell.network == cells[0].network for cell in cells[1:]]
    prices = [66 * cell.work() / cells[0].work() for cell in cells[1:]]
    expected = [f"{p / 60:.1f} min" if known else "no price" for p, known in zip(prices, priced, strict=True)]
    assert [line.split("  ")[-1].strip() for line in lines] == expected and 0 < sum(priced) < len(priced)
    in_all = sum(price for price, known in zip(prices, priced, strict=True) if known)
    assert total.startswith(f"{len(priced)} cells to compute, {in_all / 60:.1f} min ")
    assert total.endswith(f" {priced.count(False)} without a price")


def test_a_plan_for_a_gpu_takes_no_price_from_a_processor(
    cli: Cli, store: Store, cells: list[Any], tiny_options: list[str]
) -> None:
    fill(store, cells[:1], seconds=66)
    outcome = cli("plan", *SMOKE, *tiny_options, "--device", "cuda", "--results", store.root)
    assert outcome.rc == 0 and all(line.endswith("no price") for line in planned(outcome)[0])
    outcome = cli("plan", *SMOKE, "--device", "tpu", "--results", store.root)
    assert outcome.rc == 2 and "--device: unknown 'tpu'; expected one of cpu, cuda" in outcome.stderr


def test_without_a_profile_the_plan_is_for_the_results_of_the_book(cli: Cli, store: Store) -> None:
    outcome = cli("plan", "--paper", "harakeh", "--results", store.root)
    keys = [line.split()[0] for line in planned(outcome)[0]]
    wanted = {cell: worth for profile in ("reduced", "paper") for cell, worth in harakeh.promised(profile).items()}
    assert keys == [key_of(cell) for cell in grid.ordered((worth, cell) for cell, worth in wanted.items())]


def test_over_all_papers_what_is_worth_most_comes_first_and_of_that_the_first_seeds(cli: Cli, store: Store) -> None:
    lines, _, (by_paper, by_worth) = planned(cli("plan", "--profile", "paper", "--results", store.root))
    keys = {
        key_of(cell): (grid.CLASSES.index(worth), cell.seed)
        for name in papers.NAMES
        for cell, worth in papers.get(name).promised("paper").items()
    }
    assert [keys[line.split()[0]] for line in lines] == sorted(keys.values())
    assert {line.split()[1] for line in lines} == set(papers.NAMES)
    names = [
        list(dict.fromkeys(one))
        for one in ((line.split()[0] for line in by_paper), (line[:18].strip() for line in by_worth))
    ]
    assert [sorted(names[0]), names[1]] == [list(papers.NAMES), [name for name in grid.CLASSES if name != grid.NEW]]
    counts = [[int(line[18:].split()[0]) for line in table] for table in (by_paper, by_worth)]
    assert [sum(some) for some in counts] == [len(lines)] * 2


def test_one_seed_can_be_chosen(cli: Cli, store: Store) -> None:
    for options, seeds in ((("--seed", "3"), {"3"}), (("--seeds", "2"), {"0", "1"})):
        outcome = cli("plan", "--paper", "harakeh", "--profile", "paper", *options, "--results", store.root)
        assert {line.split(" seed ")[1].split()[0] for line in planned(outcome)[0]} == seeds


# --- run --------------------------------------------------------------------------------------------------------------


def test_run_computes_what_is_missing_and_only_that(
    cli: Cli, lazy: list[Any], store: Store, cells: list[Any], tiny_options: list[str]
) -> None:
    fill(store, cells[:2])
    outcome = cli("run", *SMOKE, *tiny_options, "--threads", "1", "--results", store.root)
    assert outcome.rc == 0 and [cell for cell, _ in lazy] == cells[2:] and outcome.stderr == ""
    assert [line.split()[0] for line in outcome.stdout.splitlines()[:-1]] == [key_of(cell) for cell in cells[2:]]
    assert outcome.stdout.endswith(f"{len(cells) - 2} computed, 0 failed, 0 left for lack of time\n")
    assert {(job.threads, job.fresh) for _, job in lazy} == {(1, False)}


def test_run_all_computes_everything_with_fresh_training(
    cli: Cli, lazy: list[Any], store: Store, cells: list[Any], tiny_options: list[str]
) -> None:
    fill(store, cells[:2])
    outcome = cli("run", *SMOKE, *tiny_options, "--all", "--results", store.root)
    assert outcome.rc == 0 and [cell for cell, _ in lazy] == cells and all(job.fresh for _, job in lazy)


def test_run_within_a_budget_starts_nothing_after_it(
    cli: Cli, lazy: list[Any], store: Store, cells: list[Any], tiny_options: list[str]
) -> None:
    outcome = cli("run", *SMOKE, *tiny_options, "--budget", "0", "--results", store.root)
    assert outcome.rc == 0 and not lazy
    assert outcome.stdout == f"0 computed, 0 failed, {len(cells)} left for lack of time\n"
    fill(store, cells[:1], seconds=1000)  # a price for the other cells of the same network
    unpriced = [cell for cell in cells if cell.network != cells[0].network]
    outcome = cli("run", *SMOKE, *tiny_options, "--budget", "60", "--results", store.root)
    assert [cell for cell, _ in lazy] == unpriced
    left = len(cells) - 1 - len(unpriced)
    assert outcome.stdout.endswith(f"{len(unpriced)} computed, 0 failed, {left} left for lack of time\n")


def test_a_cell_that_fails_is_told_and_is_status_1(
    cli: Cli, store: Store, cells: list[Any], tiny_options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(cell: Any, job: execution.Job) -> tuple[Result, dict[str, Any]]:
        if cell == cells[1]:
            raise RuntimeError("no luck")
        return Result({"accuracy": 50.0}, {}), FACTS

    monkeypatch.setattr(execution, "compute", compute)
    outcome = cli("run", *SMOKE, *tiny_options, "--results", store.root)
    told = f"{len(cells) - 1} computed, 1 failed, 0 left for lack of time\n"
    assert outcome.rc == 1 and outcome.stdout.endswith(told)
    assert (
        outcome.stderr
        == "FAILED    harakeh smoke digits_as_mnist basic_cnn epistemic fgsm seed 0: RuntimeError: no luck\n"
    )
    assert [cell for cell in cells if store.get(cell) is None] == cells[1:2]


def test_an_interrupt_is_one_line_and_status_130(cli: Cli, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **keywords: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(execution, "run", interrupt)
    outcome = cli("run", *SMOKE, "--results", store.root)
    assert outcome.rc == 130 and outcome.stderr == "interrupted; what was computed is recorded\n"


def test_a_data_set_that_is_not_there_is_told_before_anything_starts(
    cli: Cli, lazy: list[Any], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "nowhere"))
    outcome = cli("run", *SMOKE, "--set", "dataset=yale", "--results", store.root)
    assert outcome.rc == 2 and outcome.stderr.count("\n") == 1 and not lazy
    assert f"data set yale: {tmp_path / 'nowhere' / 'CroppedYale'} holds 0 face images" in outcome.stderr


# --- status, show -----------------------------------------------------------------------------------------------------


def test_status_counts_what_is_recorded_and_whether_it_holds(
    cli: Cli, store: Store, cells: list[Any], tiny_options: list[str]
) -> None:
    fill(store, cells[:3])
    kinds = [kind_of(cell) for cell in cells[:3]]
    pairs = [
        Pair(commit="abc123", kind=kinds[0], equal=True),
        Pair(commit="abc123", kind=kinds[1], equal=False, why="draws shared"),
    ]
    equivalence.keep(store, "harakeh", pairs, measured={})
    outcome = cli("status", *SMOKE, *tiny_options, "--results", store.root)
    *lines, total = outcome.stdout.splitlines()
    told = "1 equal by the gate, 0 verified, 1 changed since, 1 not measured"
    assert outcome.rc == 0 and total == f"3 recorded: {told}, {len(cells) - 3} missing"
    states = ["changed since", "not measured ", *["missing      "] * (len(cells) - 3)]
    assert [line[:27] for line in lines] == [
        f"{state} {key_of(cell)} " for state, cell in zip(states, cells[1:], strict=True)
    ]
    assert lines[0].endswith(": draws shared")


def test_show_prints_a_number_by_its_address_with_its_records(cli: Cli, store: Store) -> None:
    plain = row("harakeh", "paper", dataset="mnist", network="basic_cnn", estimator="none", attack="fgsm")
    address = ["show", "harakeh:text:mnist/fgsm/none/accuracy", "--results", store.root]
    assert cli(*address).stdout == "not run\n"
    kept = [
        store.put(cell, Result({"accuracy": 98.0 + cell.seed, "test_points": 1e4}, {}), FACTS) for cell in plain[:3]
    ]
    lines = cli(*address).stdout.splitlines()
    # Student: 4.3027 s / sqrt(3) with s = 1, and no more than all
    assert lines == ["99 [96.52, 100], seeds 0, 1, 2", *(record.key for record in kept)]
    assert cli("show", "mnist-accuracy", "--paper", "harakeh", "--results", store.root).stdout.startswith(
        "inconclusive: 99.00 [96.52"
    )
    assert cli("show", "harakeh:paper:mnist/cw/epistemic/fooling_rate").stdout == "30-37 % in the paper\n"
    both = cli("show", "--results", store.root, address[1], "harakeh:paper:mnist/cw/epistemic/fooling_rate")
    assert both.stdout.splitlines() == [*lines, "30-37 % in the paper"]
    refused = cli("show", "harakeh:text:mnist/fgms/none/accuracy")
    assert refused.rc == 2 and "attack='fgms': no cell of harakeh has that" in refused.stderr


@pytest.mark.parametrize(
    "address",
    [
        "galinkin:nope",
        "galinkin:mnist",
        "galinkin:a/b/c/d/accuracy",
        "harakeh:nope",
        "song:nope",
        "harakeh:paper:mnist/cw/epistemic/fooling_rate?form=one_draw",
        "harakeh:mnist-accuracy?l2",
    ],
)
def test_an_address_of_nothing_is_refused_before_others_are_shown(cli: Cli, address: str) -> None:
    refused = cli("show", "harakeh:paper:mnist/cw/epistemic/fooling_rate", address)
    assert refused.rc == 2 and refused.stdout == "" and refused.stderr.count("\n") == 1 and address in refused.stderr


def test_show_prints_records_as_json(cli: Cli, store: Store, cells: list[Any], tiny_options: list[str]) -> None:
    assert json.loads(cli("show", *SMOKE, *tiny_options, "--results", store.root).stdout) == []
    fill(store, cells[:2])
    outcome = cli("show", *SMOKE, *tiny_options, "--results", store.root)
    assert outcome.rc == 0 and outcome.stderr == ""
    assert json.loads(outcome.stdout) == [vars(store.get(cell)) for cell in cells[:2]]
    one = cli("show", *SMOKE, *tiny_options, "--only", "estimator=epistemic", "--results", store.root)
    assert [found["key"] for found in json.loads(one.stdout)] == [key_of(cells[1])]


# --- verify -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def computed(cli: Cli, store: Store, tiny_options: list[str]) -> list[str]:
    """The options of one cell, which is recorded: the epistemic one, whose every measurement is random."""
    options = [
        *SMOKE,
        *("--only", "network=basic_cnn", "--only", "estimator=epistemic"),
        *tiny_options,
        "--results",
        str(store.root),
    ]
    outcome = cli("run", *options, "--threads", "1")
    assert outcome.rc == 0 and "1 computed" in outcome.stdout
    return options


def test_verify_recomputes_with_fresh_training_and_finds_the_same(
    cli: Cli, computed: list[str], own_cache: Path, store: Store
) -> None:
    records = {path: path.read_bytes() for path in store.root.rglob("*.json")}
    for file in own_cache.iterdir():  # were it read, the weights would be refused
        file.write_bytes(b"damaged")
    outcome = cli("verify", *computed, "--sample", "1", "--threads", "1")
    assert outcome.rc == 0, outcome.stderr
    first, *lines, counted, total = outcome.stdout.splitlines()
    (path,) = records
    assert first.startswith(path.stem) and total == "1 cells verified, 0 measurements differ"
    measured = json.loads(records[path])["measurements"]
    compared = [name for name in measured if name in harakeh.TOLERANCES]
    assert [line.split()[0] for line in lines] == compared and {"accuracy", "adversarial_accuracy"} <= set(compared)
    assert all(line.endswith("now   the same") for line in lines)
    kept = {path: path.read_bytes() for path in store.root.rglob("*.json") if verification.FOLDER not in path.parts}
    assert kept == records  # of these it changes none
    ((record, check),) = verification.checks(store, "harakeh")
    assert record.key == path.stem and check.provenance["seconds"] > 0
    whole = [(name, value) for name, value in measured.items() if not name.endswith("_seconds")]
    assert [(found.name, found.now) for found in check.comparisons[: len(whole)]] == whole
    assert {one.name for one in check.comparisons[len(whole) :]} == {f"curve {name}" for name in record.curves}
    assert counted == f"    of {len(check.comparisons)} measurements and curves {len(check.comparisons)} are the same"
    assert not any(one.tolerance for one in check.comparisons if one.name not in harakeh.TOLERANCES)


@pytest.mark.parametrize(
    ("change", "rc", "verdict"), [(0.5, 0, "within 1.5"), (-1.5, 0, "within 1.5"), (1.6, 1, "DIFFERS by more than 1.5")]
)
def test_verify_tells_how_far_a_measurement_is(
    change: float, rc: int, verdict: str, cli: Cli, computed: list[str], store: Store
) -> None:
    """A record whose accuracy was changed, with its checksum made anew."""
    (path,) = store.root.rglob("*.json")
    content = json.loads(path.read_bytes())
    content["measurements"]["accuracy"] += change
    content.pop("sha256")
    path.write_text(json.dumps({**content, "sha256": records.digest(content)}))
    outcome = cli("verify", *computed, "--threads", "1")
    (line,) = (line for line in outcome.stdout.splitlines() if line.split()[0] == "accuracy")
    assert outcome.rc == rc and line.endswith(f"now   {verdict}")
    assert outcome.stdout.endswith(f"1 cells verified, {rc} measurements differ\n")
    ((_, check),) = verification.checks(store, "harakeh")
    assert sum(not found.agrees for found in check.comparisons) == rc


def test_verify_draws_its_sample_by_seed(
    cli: Cli, lazy: list[Any], store: Store, cells: list[Any], tiny_options: list[str]
) -> None:
    fill(store, cells[:5])

    def drawn(draw: int) -> list[Any]:
        lazy.clear()
        assert (
            cli("verify", *SMOKE, *tiny_options, "--sample", "2", "--draw", str(draw), "--results", store.root).rc == 0
        )
        assert all(job.fresh for _, job in lazy)
        return [cell for cell, _ in lazy]

    samples = [drawn(draw) for draw in range(6)]
    assert drawn(0) == samples[0] and len({tuple(sample) for sample in samples}) > 1
    assert all(len(set(sample)) == 2 and set(sample) <= set(cells[:5]) for sample in samples)


def test_verify_of_more_than_is_recorded_is_refused(
    cli: Cli, lazy: list[Any], store: Store, cells: list[Any], tiny_options: list[str]
) -> None:
    fill(store, cells[:2])
    outcome = cli("verify", *SMOKE, *tiny_options, "--sample", "3", "--results", store.root)
    assert outcome.rc == 2 and not lazy
    assert (
        outcome.stderr == "python -m experiments: --sample: expected at most 2, the number of recorded cells, got 3\n"
    )


def test_help_names_every_command(cli: Cli) -> None:
    outcome = cli("--help")
    assert outcome.rc == 0 and all(f"\n    {command}" in outcome.stdout for command in ANY)
    for command in ANY:
        assert cli(command, "--help").rc == 0
    assert command_line.parser().prog == "python -m experiments"


@pytest.mark.parametrize(("asked", "jobs", "granted"), [(None, 1, 2), (None, 4, 2), (None, 8, 1), (4, 1, 4)])
def test_a_cell_has_its_share_of_the_cores_and_no_more_threads_than_openmp(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, jobs: int, granted: int
) -> None:
    """With OMP_NUM_THREADS=2, for processes whose threads wait for one another on shared cores are many times slower."""
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    assert commands.threads_of(argparse.Namespace(threads=asked), jobs) == granted
