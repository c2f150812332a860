"""Cells of any paper: what a field takes, how a bad value is told, and how experiments are found."""

from __future__ import annotations

import dataclasses
import math
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import papers
from experiments.cell import (
    PROFILES,
    Common,
    Count,
    Flag,
    OneOf,
    Share,
    Shares,
    Size,
    checked,
    choices,
    part_of,
    within,
)
from experiments.records import Result, key_of
from experiments.run import Bench, Job, result_of
from lib.errors import BadValue
from lib.training import TrainingConfig


@checked
class Toy(Common):
    """A cell with fields of every kind."""

    TITLES = ("push", "pull")

    paper: Literal["toy"] = "toy"
    dataset: str = "digits_as_mnist"
    network: Literal["one", "two"] = "one"
    attack: Annotated[str, OneOf(["push", "pull"])] = "push"
    epochs: Count = 3
    size: Size = 0
    share: Share = 0.5
    reach: Annotated[float, within(-2, 1e6)] = 1.0
    flag: Flag = False
    curve: Shares = (0.0, 1.0)
    label: str = ""

    def __post_init__(self) -> None:
        if self.flag and self.size:
            raise BadValue(f"size: expected 0 with a flag, got {self.size}")


COUNT, SHARE = "expected a whole number of at least 1", "expected a finite number in [0, 1]"
BAD: list[tuple[dict[str, Any], str]] = [
    ({"epochs": 0}, f"epochs: {COUNT}, got 0"),
    ({"epochs": 1.0}, f"epochs: {COUNT}, got 1.0"),
    ({"epochs": "3"}, f"epochs: {COUNT}, got '3'"),
    ({"epochs": True}, f"epochs: {COUNT}, got True"),
    ({"epochs": None}, f"epochs: {COUNT}, got None"),
    ({"size": -1}, "size: expected a whole number of at least 0, got -1"),
    ({"share": 1.5}, f"share: {SHARE}, got 1.5"),
    ({"share": "8/255"}, f"share: {SHARE}, got '8/255'"),
    ({"share": "0.5"}, f"share: {SHARE}, got '0.5'"),
    ({"share": True}, f"share: {SHARE}, got True"),
    ({"share": math.nan}, f"share: {SHARE}, got nan"),
    ({"reach": math.inf}, "reach: expected a finite number in [-2, 1e+06], got inf"),
    ({"flag": 1}, "flag: expected True or False, got 1"),
    ({"flag": "no"}, "flag: expected True or False, got 'no'"),
    ({"curve": (0.0, 2.0)}, "curve: expected a finite number in [0, 1], got 2.0"),
    ({"curve": ("0.1",)}, "curve: expected a finite number in [0, 1], got '0.1'"),
    ({"curve": 0.1}, "curve: expected a finite number in [0, 1], got 0.1"),
    ({"label": 3}, "label: expected a text, got 3"),
    ({"network": "three"}, "network: unknown 'three'; expected one of one, two"),
    ({"attack": "spin"}, "attack: unknown 'spin'; expected one of push, pull"),
    ({"attack": None}, "attack: unknown None; expected one of push, pull"),
    ({"profile": "huge"}, "profile: unknown 'huge'; expected one of smoke, reduced, paper"),
    ({"flag": True, "size": 2}, "size: expected 0 with a flag, got 2"),
    ({"colour": 1}, "colour: Toy has no such setting; expected one of paper, profile, dataset, "),
]


@pytest.mark.parametrize(("change", "told"), BAD, ids=[str(change) for change, _ in BAD])
def test_a_bad_value_is_told_in_one_line(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue) as caught:
        Toy(**change)
    said = str(caught.value)
    assert said.startswith(told) and "\n" not in said and (said == told or told.endswith(", "))
    known = {name: value for name, value in change.items() if name != "colour"}
    if known:
        with pytest.raises(BadValue):  # and no less where another cell is changed
            dataclasses.replace(Toy(), **known)


def test_a_setting_without_a_default_is_asked_for() -> None:
    with pytest.raises(BadValue, match=r"^paper: expected a text, got nothing$"):
        Common()


@given(share=st.one_of(st.floats(0, 1), st.integers(0, 1)), size=st.integers(0, 9), seed=st.integers(0, 9))
def test_a_cell_is_a_frozen_dataclass_that_can_be_hashed_and_sent(share: float, size: int, seed: int) -> None:
    cell = Toy(share=share, size=size, seed=seed, curve=[0, share])
    same = Toy(share=float(share), size=size, seed=seed, curve=(0.0, float(share)))
    assert cell == same and hash(cell) == hash(same) and key_of(cell) == key_of(same)
    assert type(cell.share) is float and cell.curve == (0.0, share)
    assert pickle.loads(pickle.dumps(cell)) == cell == dataclasses.replace(Toy(), **dataclasses.asdict(cell))
    with pytest.raises(dataclasses.FrozenInstanceError):
        cell.seed = 1  # type: ignore[misc]


def test_what_a_field_takes_can_be_asked() -> None:
    assert choices(Toy, "profile") == PROFILES and choices(Toy, "network") == ("one", "two")
    assert choices(Toy, "epochs") == () and Toy.attacks() == ("push", "pull") and Common.attacks() == ()


def test_a_config_of_the_library_is_the_part_that_it_knows() -> None:
    config = part_of(Toy(epochs=7, precision="float32"), TrainingConfig, batch_size=4)
    assert config == TrainingConfig(epochs=7, precision="float32", batch_size=4)


# --- papers and experiments are found ---------------------------------------------------------------------------------


def test_papers_are_the_packages_that_are_there() -> None:
    folder = Path(papers.__file__).parent
    assert list(papers.NAMES) == sorted(path.parent.name for path in folder.glob("*/__init__.py"))


def test_every_class_of_cells_of_a_paper_is_found_once() -> None:
    found = {name: {kind.__name__ for kind in papers.kinds(name)} for name in papers.NAMES}
    assert found == {
        "at_once": {"Leak", "LabelOnly", "Evasion", "Calibration"},
        "galinkin": {"Aimed", "Evasion", "Matching", "Scan", "Membership"},
        "harakeh": {"FGSM", "CW", "AbortingCW", "JSMA", "FirstTen", "BlackBox", "Substitutes", "Gradient"},
        "song": {"Threshold", "Targeted", "Compiled"},
    }
    for name in papers.NAMES:
        attacks = [attack for kind in papers.kinds(name) for attack in kind.attacks()]
        assert len(attacks) == len(set(attacks))


NOISE = """
from __future__ import annotations
from typing import Literal
from experiments.cell import Share, checked
from experiments.papers.harakeh.victims import Cell
from experiments.records import Result

@checked
class Noise(Cell):
    TITLES = ("noise",)

    attack: Literal["noise"] = "noise"
    epsilon: Share = 0.3

    @classmethod
    def grid(cls, profile):
        small = {"dataset": "digits_as_mnist", "width": 8, "epochs": 1, "train_size": 64, "test_size": 20}
        return [cls(profile=profile, **small)] if profile == "smoke" else []

    def work(self):
        return self.training_work() + self.test_points

    def measure(self, bench, victim):
        test = bench.test(self.test_size)
        return Result({"test_points": float(len(test))}, {})
"""


def test_an_experiment_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beside the others is found, revived from its record, in the grid and computed; nothing else names it."""
    package: Any = papers.get("harakeh")
    before = package.grid("smoke")
    (tmp_path / "noise.py").write_text(NOISE)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    papers.kinds.cache_clear()
    try:
        (cell,) = papers.added("harakeh", "smoke")
        assert package.grid("smoke") == [*before, cell]
        assert papers.revive("harakeh", dataclasses.asdict(cell)) == cell
        assert result_of(cell).measurements["test_points"] == 20
    finally:
        papers.kinds.cache_clear()
        sys.modules.pop("experiments.papers.harakeh.noise", None)


# --- the scaffold -----------------------------------------------------------------------------------------------------


def test_time_spent_on_training_is_not_time_of_the_attack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (cell,) = [one for one in papers.get("song").grid("smoke") if getattr(one, "shadow", False)][:1]
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("experiments.run.time", ModuleType("clock"))
    monkeypatch.setattr("experiments.run.time.perf_counter", lambda: float(next(clock)), raising=False)
    trained: list[Any] = []
    network = Bench.network

    def watched(bench: Bench, one: Any) -> Any:
        trained.append(one)
        return network(bench, one)

    monkeypatch.setattr(Bench, "network", watched)
    found = result_of(cell, Job(cache=tmp_path)).measurements
    # Looked at before, twice for each network, and after: ten seconds pass from look to look.
    assert len(trained) == 2 and found["attack_seconds"] == 10.0 * (1 + 2 * len(trained)) - 10.0 * len(trained)
    again = result_of(cell, Job(cache=tmp_path)).measurements
    assert again["training_seconds"] == found["training_seconds"] > 0  # which is told also where it came from the cache


@pytest.mark.parametrize(
    ("paper", "attack"), [("harakeh", "cw"), ("harakeh", "jsma"), ("harakeh", "pgd"), ("galinkin", "hop_skip_jump")]
)
def test_where_an_attack_is_judged_afterwards_its_time_is_that_of_the_attack_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, paper: str, attack: str
) -> None:
    cell = next(one for one in papers.get(paper).grid("smoke") if one.attack == attack and one.estimator == "none")
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("experiments.run.time", ModuleType("clock"))
    monkeypatch.setattr("experiments.run.time.perf_counter", lambda: float(next(clock)), raising=False)
    # Ten seconds pass from look to look: of the seven looks, two stand before and after the attack.
    assert result_of(cell, Job(cache=tmp_path)).measurements["attack_seconds"] == 10.0
    assert next(clock) == 60


def test_what_the_victims_training_tells_is_recorded() -> None:
    (cell,) = [one for one in papers.get("harakeh").grid("smoke") if one.attack == "fgsm" and one.estimator == "none"][
        :1
    ]
    result: Result = result_of(cell)
    assert {"training_loss", "training_seconds", "attack_seconds", "test_points"} < result.measurements.keys()
