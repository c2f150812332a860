"""A machine that is lent for minutes: runs that stop by themselves and go on elsewhere, and what the rest will take."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from experiments import costs
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


def carry(here: Path, there: Path) -> None:
    """Copy trainings, and the records that there are, from one machine's folders to another's, which has nothing."""
    shutil.copytree(here / "cache", there / "cache")
    if list((here / "results").rglob("*.json")):
        assert main(["pack", *CHOSEN, "--results", str(here / "results"), str(here / "records.tar.gz")]) == 0
        assert main(["unpack", "--results", str(there / "results"), str(here / "records.tar.gz")]) == 0


def test_a_training_that_is_stopped_and_carried_ends_like_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The victim's and its shadow's, over four pieces of time on five machines: equal to the bit with one run."""
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
        carry(here, there)
    assert 0 < seen[0] < seen[1] < seen[2] < cell.steps, "each piece went on from the one before"
    monkeypatch.setenv("CHECKPOINT_DIR", str(tmp_path / "3" / "cache"))
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
    carry(tmp_path / "3", tmp_path / "4")
    assert Store(tmp_path / "4" / "results").get(cell) == pieced


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
    assert costs.by_arithmetic(cell, 1e9) == pytest.approx(cell.work() * operations / 1e9)
