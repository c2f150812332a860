"""A machine that is lent for minutes: pieces of time, runs that stop by themselves, and what travels between two folders."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from facts import FACTS

from experiments import carrying, pieces
from experiments.command_line import main
from experiments.papers import song
from experiments.papers.song import Targeted, Threshold
from experiments.records import Result, Store
from experiments.run import Bench, Job, weights_of
from lib import data
from lib.errors import BadValue
from lib.training import checkpoints, robust

CHOSEN = ["--paper", "song", "--profile", "smoke", "--only", "dataset=digits_as_fashion_mnist"]
CHOSEN += ["--only", "train_epsilon=0.1", "--only", "shadow=true"]
TICK = 100.0  # seconds of the clock below at each look: its budgets are over long before an alarm of the system rings


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds that pass by being asked for, the same on every machine; training asks once a step."""
    now = iter(range(10**9))
    fake = SimpleNamespace(monotonic=lambda: TICK * next(now), perf_counter=robust.time.perf_counter)
    monkeypatch.setattr("experiments.budget.time", fake)
    monkeypatch.setattr("lib.training.robust.time", fake)


def carry(here: Path, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pack all of one machine's folder, and unpack it on another's, which has nothing."""
    assert main(["pack", *CHOSEN, "--trainings", "--results", str(here / "results"), str(here / "parts")]) == 0
    shutil.copytree(here / "parts", there / "parts")
    monkeypatch.setenv("CHECKPOINT_DIR", str(there / "cache"))
    assert main(["unpack", "--results", str(there / "results"), str(there / "parts")]) == 0


def test_a_training_that_is_stopped_and_carried_ends_like_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The victim's and its shadow's, over four pieces of time on five machines: equal to the bit with one run."""
    monkeypatch.setattr(carrying, "PART", 400_000)  # so that a small network takes several
    (cell,) = [one for one in song.main("smoke") if isinstance(one, Threshold) and one.shadow and one.train_epsilon]
    whole = tmp_path / "whole"
    monkeypatch.setenv("CHECKPOINT_DIR", str(whole / "cache"))
    run = ["run", *CHOSEN, "--device", "cpu", "--threads", "1", "--results"]
    assert main([*run, str(whole / "results")]) == 0
    seen = []
    for piece in range(3):
        here, there = tmp_path / str(piece), tmp_path / str(piece + 1)
        monkeypatch.setenv("CHECKPOINT_DIR", str(here / "cache"))
        assert main([*run, str(here / "results"), "--budget", "1000"]) == 0
        assert "1 left for lack of time" in capsys.readouterr().out
        snapshot = here / "cache" / f"{weights_of(cell)}.snapshot"
        # the third stops amid the victim too: 30 steps, of which each piece has time for some eight
        seen.append(checkpoints.read_tensors(snapshot)[1]["step"])
        carry(here, there, monkeypatch)
        assert len(list((here / "parts").iterdir())) > 3, "several parts, and their list"
        assert all(part.stat().st_size <= 400_000 for part in (here / "parts").iterdir())
    assert 0 < seen[0] < seen[1] < seen[2] < cell.steps, "each piece went on from the one before"
    assert main([*run, str(tmp_path / "3" / "results")]) == 0
    once, pieced = (Store(place / "results").get(cell) for place in (whole, tmp_path / "3"))
    assert once is not None and pieced is not None
    timed = ("training_seconds", "attack_seconds")
    assert {k: v for k, v in once.measurements.items() if k not in timed} == {
        k: v for k, v in pieced.measurements.items() if k not in timed
    }
    assert once.curves == pieced.curves
    ends = [
        checkpoints.read_tensors(p / "cache" / f"{weights_of(cell)}.safetensors")[0] for p in (whole, tmp_path / "3")
    ]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    carry(tmp_path / "3", tmp_path / "4", monkeypatch)
    assert Store(tmp_path / "4" / "results").get(cell) == pieced, "the record itself travels, and weights no more"
    assert not (tmp_path / "4" / "cache").exists()


def test_a_measurement_goes_on_after_the_part_that_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cell,) = [one for one in song.main("smoke") if isinstance(one, Targeted)]
    dataset = data.loaded(cell.dataset)

    def measured(cache: Path | None) -> Result:
        bench = Bench(dataset, Job(cache=cache))
        return cell.measure(bench, cell.untrained(dataset).eval())

    looked, looks_at = [], song.targeted.looks_at

    def looks(*given: Any) -> Any:
        looked.append(1)
        if len(looked) == 3:  # two sides a class: amid the second class
            raise KeyboardInterrupt
        return looks_at(*given)

    monkeypatch.setattr(song.targeted, "looks_at", looks)
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    found = measured(tmp_path)
    assert len(looked) == 3 + 2, "the first class was not looked at again"
    assert found == measured(None)
    (first,) = tmp_path.glob("*.class0.measured")
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(BadValue, match="delete it to measure again"):
        measured(tmp_path)


# --- parts ------------------------------------------------------------------------------------------------------------

FILES = [("first", bytes(range(200))), ("second", b"x" * 64), ("empty", b"")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(carrying, "PART", 64)
    carrying.cut(FILES, tmp_path / "parts")
    return tmp_path / "parts"


def test_parts_are_small_and_make_up_the_files(folder: Path) -> None:
    assert list(carrying.joined(folder)) == FILES
    assert carrying.cut([FILES[1]], folder) == 1
    assert {path.name for path in folder.iterdir()} == {hashlib.sha256(b"x" * 64).hexdigest(), carrying.LIST}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [flip, Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-3])])
def test_what_is_damaged_or_missing_is_refused(folder: Path, harm: Callable[[Path], object]) -> None:
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    for path, content in kept.items():
        harm(path)
        with pytest.raises(BadValue, match=path.name):
            next(carrying.joined(folder))
        path.write_bytes(content)
    assert list(carrying.joined(folder)) == FILES


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    for place in (tmp_path, tmp_path / "letter"):
        with pytest.raises(BadValue, match="expected a new folder"):
            carrying.cut(FILES, place)


def test_of_two_snapshots_the_one_further_on_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (cell,) = [one for one in song.main("smoke") if isinstance(one, Threshold) and one.shadow and one.train_epsilon]
    cache, results = tmp_path / "cache", ["--results", str(tmp_path / "results")]
    monkeypatch.setenv("CHECKPOINT_DIR", str(cache))
    snapshot = cache / f"{weights_of(cell)}.snapshot"
    packed = str(tmp_path / "parts")
    checkpoints.write_tensors(snapshot, {}, {"step": 5})
    assert main(["pack", *CHOSEN, *results, "--trainings", packed]) == 0
    for step, left, added in ((4, 5, 1), (6, 6, 0)):
        checkpoints.write_tensors(snapshot, {}, {"step": step})
        assert main(["unpack", *results, packed]) == 0
        assert f"{added} files of trainings added" in capsys.readouterr().out
        assert checkpoints.read_tensors(snapshot)[1]["step"] == left
    snapshot.rename(snapshot.with_suffix(".safetensors"))
    assert main(["unpack", *results, packed]) == 0 and not snapshot.exists(), "it is trained to the end"
    carrying.cut([("../elsewhere.snapshot", b"")], Path(packed))
    assert main(["unpack", *results, packed]) == 2
    assert "expected records and trainings" in capsys.readouterr().err
    carrying.cut(
        [(snapshot.with_suffix(".safetensors").name, snapshot.with_suffix(".safetensors").read_bytes())], Path(packed)
    )
    checkpoints.write_tensors(snapshot.with_suffix(".safetensors"), {}, {"step": 7})
    assert main(["unpack", *results, packed]) == 2
    assert "is there already with other content" in capsys.readouterr().err


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_pieces_are_cut_amid_trainings_and_never_amid_measurements() -> None:
    """By hand: in each piece of 160 seconds 100 are left, for a training of 250 and ten parts of a measurement of 30 each."""
    cell = Targeted(dataset="cifar10", train_epsilon=0.1, steps=100, batch_size=10, eval_steps=1, judged=1)
    share = cell.training_work() / cell.work()
    training = 300 * share / (1 - share)

    def found(*cells: Targeted, done: float = 0.0) -> list[pieces.Piece]:
        return pieces.cut(cells, lambda _: training + 300, 160.0, lambda _: done)

    measured = found(cell, done=1.0)
    assert [len(piece.told) for piece in measured] == [3, 3, 3, 1]
    assert [piece.seconds for piece in measured] == pytest.approx([150, 150, 150, 90])
    both = [line for piece in found(cell, replace(cell, known=1)) for line in piece.told if "training" in line]
    assert len(both) == math.ceil(training / 100), "once for the two of them"
    assert both[-1].endswith("training to 100%")
    ends = [float(line.rpartition(" ")[2].rstrip("%")) / 100 for line in both]
    assert ends == pytest.approx([min(1.0, 100 * n / training) for n in range(1, len(ends) + 1)], abs=0.006)
    with pytest.raises(BadValue, match=r"^--piece: expected at least 90 seconds"):
        pieces.cut([cell], lambda _: training + 300, 89.0, lambda _: 1.0)


def test_a_price_by_arithmetic_counts_every_pass() -> None:
    """LeNet-like by hand: two operations for each multiplication with addition of the convolutions and dense layers."""
    cell = Threshold(dataset="digits_as_yale", width=1, steps=10, batch_size=2, train_epsilon=0.0)
    shape, channels = data.SHAPES["yale"], [1 << stage for stage in range(4) for _ in range(2)]
    c, h, w = shape
    operations = 0
    for wide, stride in zip(channels, [1, 2] * 4, strict=True):
        h, w = -(-h // stride), -(-w // stride)
        operations += 2 * 9 * c * wide * h * w
        c = wide
    operations += 2 * (c * h * w * 200 + 200 * 38)
    assert pieces.by_arithmetic(cell, 1e9) == pytest.approx(cell.work() * operations / 1e9)


def test_the_plan_says_what_is_left_of_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (cell,) = [one for one in song.main("smoke") if isinstance(one, Threshold) and one.shadow and one.train_epsilon]
    monkeypatch.setenv("CHECKPOINT_DIR", str(tmp_path))
    ask = [
        "plan",
        *CHOSEN,
        "--device",
        "cuda",
        "--tflops",
        "0.001",
        "--piece",
        "100000",
        "--results",
        str(tmp_path / "r"),
    ]
    assert main(ask) == 0
    before = capsys.readouterr().out
    assert "training to 100%" in before and "measurement" in before
    checkpoints.write_tensors(tmp_path / f"{weights_of(cell)}.safetensors", {}, {})
    assert main(ask) == 0
    assert "training to" not in capsys.readouterr().out
    assert pieces.trained(cell, tmp_path) == 1.0
    Store(tmp_path / "r").put(cell, Result({}, {}), FACTS)
    snapshot = tmp_path / f"{weights_of(cell)}.safetensors"
    snapshot.unlink()
    checkpoints.write_tensors(snapshot.with_suffix(".snapshot"), {}, {"step": cell.steps // 3})
    assert pieces.trained(cell, tmp_path) == pytest.approx(1 / 3)
