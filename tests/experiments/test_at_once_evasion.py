"""The fourth chapter's attacks: the table says what is run; what is counted, in closed form; small cells to the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from experiments.cell import Result
from experiments.papers import at_once
from experiments.papers.at_once import Evasion, evasion
from experiments.papers.at_once.evasion import ATTACKS, Line, accuracies, attacks_of, checks, noise
from experiments.run import Bench, Job, result_of
from lib import data
from lib.counting import Passes
from lib.errors import BadValue
from lib.evaluation import Evaluation
from lib.evasion import FORMS, Look
from lib.evasion.examination import Examination
from lib.planning import plan
from lib.uncertainty import Victim

NORMS = pytest.mark.parametrize("norm", ATTACKS)


def cell(kind: str, norm: str = "linf", **changes: Any) -> Evasion:
    """A small one of the grid, with changes."""
    one = next(c for c in at_once.grid("smoke") if isinstance(c, Evasion) and (c.kind, c.norm) == ("plain", norm))
    return replace(one, kind=kind, **changes)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


def still(victim: nn.Module, x: Tensor, y: Tensor, *, epsilon: float) -> Tensor:
    """No attack."""
    return x


# --- the table --------------------------------------------------------------------------------------------------------


@NORMS
def test_every_line_can_be_run_and_none_stands_for_one_that_is_not(norm: str, cache: Path) -> None:
    lines, config = ATTACKS[norm], cell("dropout", norm)
    victim = config.victim(Bench(data.loaded(config.dataset), Job(cache=cache)))[0]
    ready = attacks_of(config, victim, victim)
    assert list(ready) == list(lines)
    for name, line in lines.items():
        known = plan(name, ready[name], norm)
        assert known.ours == (line.attack is not noise)
        assert known.once == (line.sizes in ("budget", "iterations"))  # those that look for the least change
        assert line.form in (*FORMS, "transfer") and set(line.sizes.split()) <= set(vars(config))
        if line.stands_for:
            assert not lines[line.stands_for].stands_for
            assert replace(lines[line.stands_for], aware=False).attack is line.attack


def test_a_line_looks_at_the_victim_as_it_says(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []

    def watch(victim: nn.Module, x: Tensor, y: Tensor, *, epsilon: float) -> Tensor:
        assert isinstance(victim, Look)
        seen.append((victim.form, victim.passes))
        return x

    lines = {str(i): Line(watch, form=form, draws=draws) for i, (form, draws) in enumerate(LOOKS)}
    monkeypatch.setitem(ATTACKS, "linf", lines)
    result_of(cell("dropout", epsilons=(0.1,), test_size=30), Job(cache=cache))
    assert sorted(set(seen)) == [("expectation", 10), ("expectation", 100), ("mean", 3), ("one_draw", 1)]


LOOKS = [("mean", 0), ("one_draw", 0), ("expectation", 10), ("expectation", 100)]


def test_transfers_come_from_the_first_shadow_s_plain_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is attacked, with which seed: it is not the victim, nor one of its networks."""
    seen: list[Tensor] = []

    def watch(victim: Victim, x: Tensor, y: Tensor, *, epsilon: float) -> Tensor:
        seen.append(next(iter(victim.parameters())))
        return x

    monkeypatch.setitem(ATTACKS, "linf", {"transfer": Line(watch, form="transfer")})
    for kind, seed in (("plain", 0), ("robust_ensemble", 1)):
        result_of(cell(kind, seed=seed, epsilons=(0.1,), test_size=30), Job(cache=cache))
    plain = cell("plain")
    source, victim = (
        next(iter(c.victim(Bench(data.loaded(c.dataset), Job(cache=cache)))[0].parameters()))
        for c in (replace(plain, copy=1), plain)
    )
    assert len(seen) > 1 and all(torch.equal(one, source) for one in seen) and not torch.equal(source, victim)


def test_an_attack_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ATTACKS, "linf", {**ATTACKS["linf"], "still": Line(still)})
    found = result_of(cell("plain", test_size=30), Job(cache=cache))
    assert found.measurements["accuracy_still"] == found.measurements["accuracy"] > 0
    assert found.curves["accuracy_still"] == [found.measurements["accuracy"]] * len(found.curves["epsilons"])


# --- closed forms -----------------------------------------------------------------------------------------------------

LINES = {
    "naive": Line(still, stands_for="aware"),
    "aware": Line(still, aware=True),
    "blind": Line(still, black_box=True),
    "lucky": Line(still, black_box=True, aware=True),
}


def evaluation(**success: list[list[int]]) -> Evaluation:
    """Of four images at two budgets, of which the last is misnamed to begin with."""
    masks = torch.tensor([[[*one, 1] for one in budgets] for budgets in success.values()]).bool()
    seen = Examination(True, False, {"dlr": 0.25}, 0.0, 1.0)
    passes = {name: Passes(30, 15) for name in success}
    right = torch.tensor([True, True, True, False])
    return Evaluation((*success,), (0.1, 0.2), "linf", 5, right, masks, passes, seen, ("one",))


def test_accuracies_and_both_worst_cases() -> None:
    found = evaluation(
        naive=[[0, 0, 0], [1, 0, 0]],
        aware=[[0, 0, 0], [1, 1, 0]],
        blind=[[1, 0, 0], [0, 0, 0]],
        lucky=[[0, 0, 0], [0, 0, 1]],
    )
    assert accuracies(found, LINES) == {
        "accuracy_naive": [75, 50],
        "accuracy_aware": [75, 25],
        "accuracy_blind": [50, 75],
        "accuracy_lucky": [75, 50],
        "worst_case": [50, 0],
        "worst_case_naive": [50, 50],
    }
    assert [checks(found, LINES, at)["only_black_box"] for at in (0, 1)] == [25, 25]
    assert checks(found, LINES, 0) == {
        "only_black_box": 25,
        "answers_at_random": 1,
        "answers_probabilities": 0,
        "warnings": 1,
        "zero_gradients_dlr": 25,
        **{f"{way}_{name}": count for name in LINES for way, count in (("forward", 10), ("backward", 5))},
    }


def test_a_line_that_another_stands_for_has_its_numbers_and_its_successes_are_a_naive_attackers() -> None:
    found = evaluation(aware=[[0, 0, 0], [1, 1, 0]], blind=[[1, 0, 0], [0, 0, 0]], lucky=[[0, 0, 0], [0, 0, 1]])
    left = accuracies(found, LINES)
    assert left["accuracy_naive"] == left["accuracy_aware"] == [75, 25]
    assert left["worst_case"] == [50, 0] and left["worst_case_naive"] == [50, 25]


@NORMS
def test_noise_is_as_long_as_the_budget(norm: str) -> None:
    x, generator = torch.full((4, 1, 8, 8), 0.5), torch.Generator().manual_seed(0)
    change = noise(nn.Identity(), x, torch.zeros(4), epsilon=0.2, norm=norm, generator=generator) - x
    length = torch.linalg.vector_norm(change.flatten(1), torch.inf if norm == "linf" else 2.0, dim=1)
    torch.testing.assert_close(length, torch.full((4,), 0.2))
    assert abs(float(change.mean())) < 0.05 and not torch.equal(change[0], change[1])
    edge = noise(nn.Identity(), torch.ones(1, 1, 2, 2), torch.zeros(1), epsilon=1.0, norm=norm, generator=generator)
    assert edge.min() >= 0 and edge.max() <= 1


# --- cells ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"epsilon": 0.15}, {"epsilons": ()}, {"epsilon": -0.1}, {"epsilons": (0.1, "2")}])
def test_budgets_that_are_none_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadValue, match=r"^epsilons?: expected "):
        cell("plain", **changes)


@pytest.mark.parametrize("kind", ["plain", "dropout", "laplace", "robust_ensemble"])
@NORMS
def test_every_kind_of_victim_has_every_number(norm: str, kind: str, cache: Path) -> None:
    config = cell(kind, norm, test_size=30, epochs=20, robust_epochs=20)
    first = result_of(config, Job(cache=cache))
    found, curves = first.measurements, first.curves
    named = {f"accuracy_{name}" for name in ATTACKS[norm]} | {"worst_case", "worst_case_naive"}
    assert named < set(found) and set(curves) == named | {"epsilons"} and found["accuracy"] > 30
    for name in named:
        assert found[name] == curves[name][config.epsilons.index(config.epsilon)]
        assert all(0 <= low <= found["accuracy"] for low in curves[name])
        assert all(low <= high for low, high in zip(curves["worst_case"], curves[name], strict=True))
    assert found["epsilon"] == config.epsilon and found["test_points"] == 30
    assert found["answers_at_random"] == float(kind in ("dropout", "laplace")) and found["answers_probabilities"] == 0
    if kind == "dropout":
        assert without_times(first) == without_times(result_of(config, Job(cache=cache)))


def without_times(found: Result) -> tuple[dict[str, float], Any]:
    return {name: value for name, value in found.measurements.items() if not name.endswith("seconds")}, found.curves


def test_lists_of_the_grid_are_those_of_the_table() -> None:
    cells = [one for one in at_once.grid("reduced") if isinstance(one, Evasion)]
    assert {(one.dataset, one.kind, one.norm, one.seed) for one in cells} == {
        (dataset, kind, norm, seed)
        for dataset in ("mnist", "cifar10")
        for kind in at_once.KINDS
        for norm in ATTACKS
        for seed in range(at_once.SEEDS)
    }
    assert len({replace(one, seed=0, kind="plain") for one in cells}) == 4
    assert all(one.epsilon == one.train_epsilon for one in cells if one.norm == "linf")
    assert all(one.work() > one.training_work() > 0 for one in cells) and evasion.Evasion is Evasion
