"""Bad input on the command line: one line that names the value, exit 2, before any work; in this process, for speed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from facts import FACTS

from experiments import execution, executors, packing
from experiments.records import Result, Store
from experiments.selection import select
from lib import data
from lib.errors import BadValue

pytestmark = pytest.mark.bad_input

Cli = Callable[..., Any]
CELLS = ("plan", "run", "status", "show", "verify", "pack")  # the commands that take cells
EMPTY = ("", " ", "\t")


@pytest.fixture(autouse=True)
def no_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever would compute, read data or go to another machine fails the test; and there is nobody's archive here."""

    def work(*arguments: Any, **keywords: Any) -> Any:
        raise AssertionError("work was begun")

    for module, name in ((execution, "run"), (execution, "compute"), (data, "loaded"), (executors, "local_processes")):
        monkeypatch.setattr(module, name, work)
    monkeypatch.chdir(tmp_path)


def arguments_of(command: str, *options: str) -> list[str]:
    """A command with these options and what it needs besides."""
    return [command, *(["out.tar.gz"] if command == "pack" else []), "--results", "records", *options]


def text_options() -> Iterator[tuple[str, list[str], str]]:
    """Options of texts: the command line, and what its one line has to name."""
    bad: dict[str, list[str]] = {
        "--paper": ["harakeh2018", "Song", "song ", "*", "../song", "0", "song,harakeh"],
        "--profile": ["papers", "PAPER", "all", "*", "1", "smoke "],
        "--only": [
            "attack",
            "=",
            "attack=",
            "=fgsm",
            "attack=nothing",
            "attack==fgsm",
            "seed=one",
            "seed=-1",
            "unknown=1",
        ],
        "--set": [
            "epochs",
            "epochs=",
            "epochs=two",
            "epochs=0",
            "epochs=-1",
            "epochs=1.5",
            "unknown=1",
            "seed=1",
            "paper=x",
        ],
    }
    for option, command in product(bad, CELLS):
        for value in (*EMPTY, *bad[option]):
            field = value.partition("=")[0].strip()
            yield command, arguments_of(command, "--profile", "smoke", option, value), field or option.lstrip("-")


def settings() -> Iterator[tuple[str, list[str], str]]:
    """Every kind of setting with what it does not take."""
    bad: dict[str, list[str]] = {
        "epsilon": ["nan", "inf", "-inf", "-0.1", "1.1", "1e309", "8/255", "x", "None", "[0.1]", "True"],
        "learning_rate": ["nan", "inf", "-1", "11", "fast", ""],
        "dropout": ["nan", "1", "-0.5", "2", "half"],
        "label_smoothing": ["1", "nan", "-1"],
        "epochs": ["0", "-1", "nan", "inf", "1e3", "2.0", "two", "None", "9" * 5000],
        "batch_size": ["0", "-8", "1.5", ""],
        "width": ["0", "-1", "wide"],
        "draws": ["0", "-10", "ten"],
        "train_size": ["-1", "999999", "1438", "1e4", "all"],
        "test_size": ["-1", "361", "99999999999999999999"],
        "curve_size": ["361", "0"],
        "dataset": ["mnist2", "MNIST", "", "digits", "../mnist"],
        "network": ["lenet", "", "torchvision.models"],
        "estimator": ["bayes", "None", ""],
        "precision": ["float16", "float64", ""],
        "augmentation": ["flip", "all", ""],
        "curve_epsilons": ["a", "0,nan", "0,2", "[", "0;1", "-0.1", "1e999"],
    }
    for name, values in bad.items():
        for value in values:
            options = ["--paper", "harakeh", "--profile", "smoke", "--only", "attack=fgsm", "--set", f"{name}={value}"]
            yield "run", arguments_of("run", *options), name


def numbers() -> Iterator[tuple[str, list[str], str]]:
    """Options of numbers, devices and addresses."""
    smoke = ("--paper", "harakeh", "--profile", "smoke")
    many = str((os.cpu_count() or 1) + 1)
    for option, values in {
        "--seeds": [*EMPTY, "0", "-1", "1.5", "nan", "inf", "five", "0x5"],
        "--seed": [*EMPTY, "-1", "99", "1.5", "nan", "one", "9" * 50],
        "--jobs": [*EMPTY, "0", "-1", "1025", "1000000", "2.5", "nan", "many"],
        "--threads": [*EMPTY, "0", "-1", many, "1000000", "1.5", "all"],
        "--budget": [*EMPTY, "-1", "nan", "inf", "-inf", "1h", "1e999"],
        "--device": [
            *EMPTY,
            "cpu:7",
            "cpu:1",
            "cuda:99",
            "gpu",
            "tpu",
            "CPU",
            "mps:3",
            "cpu:x",
            "cpu:-1",
            "meta",
            "auto ",
        ],
        "--dask": [*EMPTY],
        "--slurm": [*EMPTY],
    }.items():
        for value in values:
            yield "run", arguments_of("run", *smoke, f"{option}={value}"), option.lstrip("-")
    for option, values in {"--sample": [*EMPTY, "0", "-1", "1.5", "1000000"], "--draw": [*EMPTY, "x", "1.5"]}.items():
        for value in values:
            yield "verify", arguments_of("verify", *smoke, f"{option}={value}"), option.lstrip("-")
    for value in (*EMPTY, "0", "-1", "nan", "inf", "1h"):
        yield "plan", arguments_of("plan", *smoke, "--tflops", value), "tflops"
    for value in ("auto", "gpu", "cuda:0", *EMPTY):
        yield "plan", arguments_of("plan", *smoke, "--device", value), "device"
    for text in (
        *EMPTY,
        "x",
        "a:b:c:d",
        "harakeh:",
        ":",
        "harakeh:text:",
        "harakeh:text:mnist",
        "harakeh:no:mnist/cw/x/y",
        "?",
    ):
        yield "show", arguments_of("show", text), text.strip() or "ADDRESS"
    for value in (*EMPTY, "unknown", "-x", "HEAD~999999", "0" * 40):
        yield "gate", ["gate", value], ""


def places() -> Iterator[tuple[str, list[str], str]]:
    """Files and folders that are none, or are something else."""
    for command in ("unpack", "infer"):
        for value in (*EMPTY, "missing", ".", "file", "/dev/null", "x" * 300):
            yield command, [command, value], value.strip()[:20]
    for command in (*CELLS, "unpack"):
        for value in (*EMPTY, "file"):
            options = ["out.tar.gz"] if command in ("pack", "unpack") else []
            yield command, [command, *options, "--results", value], "results" if command != "unpack" else ""
    for command in ("", "plans", "Run", "--version", "run run"):
        yield "nothing", [command], ""
    yield "nothing", [], ""


CASES = [*text_options(), *settings(), *numbers(), *places()]


def test_the_table_is_long() -> None:
    assert len(CASES) >= 400, len(CASES)


@pytest.mark.parametrize(
    ("arguments", "named"), [case[1:] for case in CASES], ids=[" ".join(case[1])[:60] or "-" for case in CASES]
)
def test_a_bad_value_is_one_line_and_status_2(arguments: list[str], named: str, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no archive and no answers")
    outcome = cli(*arguments)
    assert outcome.rc == 2, outcome
    assert outcome.stderr.count("\n") == 1 and named in outcome.stderr and outcome.stdout == ""
    assert len(outcome.stderr) < 3000, "a long value is cut short"
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is written"


@pytest.mark.parametrize("value", [None, 0, 1.5, float("nan"), [], "", "songs", b"song", ("song",)], ids=repr)
def test_the_grid_names_a_bad_paper_or_profile(value: Any) -> None:
    for given in ((value, "smoke"), ("song", value)):
        with pytest.raises(BadValue) as caught:
            select(*given)
        assert repr(value) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("command", ["pack", "unpack"])
def test_a_full_disk_is_one_line(
    command: str, cli: Cli, tmp_path: Path, store: Store, tiny_cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = select("harakeh", "smoke", only=["attack=fgsm", "estimator=none"])[0]
    record = store.put(cell, Result({"accuracy": 1.0}, {}), FACTS)
    packing.pack([record], store, tmp_path / "a.tar.gz")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    paths = {
        "pack": ["b.tar.gz", "--profile", "smoke", "--results", store.root],
        "unpack": ["a.tar.gz", "--results", "there"],
    }
    outcome = cli(command, *paths[command])
    assert outcome.rc in (1, 2) and outcome.stderr.count("\n") == 1 and "No space left" in outcome.stderr
    assert not list(tmp_path.glob("b.tar.gz")) and not list(tmp_path.glob("there/**/*.json"))
