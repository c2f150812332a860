"""Accuracy under the worst case: closed forms on half-spaces, what is measured anew, interruptions, and refusals before work."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lib import evaluate, evasion, seeds
from lib.data import Dataset
from lib.errors import BadValue, VictimWarning
from lib.evaluation import Evaluation
from lib.models import Network
from lib.uncertainty import estimate
from tests.halfspaces import Halfspace, Never, Noisy, halfspace, problem

EPSILONS = (0.0, 0.01, 0.02, 0.04)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def run(victim: nn.Module, data: Any, attacks: Any, **changes: Any) -> Evaluation:
    settings: dict[str, Any] = {"epsilons": EPSILONS, "generator": generator(), "draws": 5}
    return evaluate(victim, data, attacks, **settings | changes)


def margins(victim: Halfspace, x: Tensor, y: Tensor) -> Tensor:
    """How far each image is on the side of its label, in units of the score."""
    return victim.score(x) * (2 * y - 1)


def projected(victim: Halfspace, x: Tensor, y: Tensor) -> Tensor:
    """The least change in l2 that crosses the plane, and a little more."""
    w = victim.w / victim.w.square().sum()
    back = (1 + 1e-4) * margins(victim, x, y) * (2 * y - 1)
    return (x.double() - (back[:, None] * w).view_as(x)).float().clamp(0, 1)


def still(victim: nn.Module, x: Tensor, y: Tensor, **_: Any) -> Tensor:
    """No attack."""
    return x


# --- closed forms -----------------------------------------------------------------------------------------------------


def test_fgsm_leaves_those_farther_from_the_plane_than_the_budget_reaches() -> None:
    victim = halfspace()
    x, y = problem(60, victim)
    y[::7] = 1 - y[::7]  # misnamed to begin with: successes at every budget
    found = run(victim, (x, y), {"fgsm": evasion.fgsm}, batch_size=16)
    reach = torch.tensor(EPSILONS).double()[:, None] * victim.w.abs().sum()
    assert torch.equal(found.success[0], margins(victim, x, y) < reach)
    assert found.clean_accuracy == found.worst_case[0] and found.accuracy == {"fgsm": found.worst_case}
    assert 0 < found.worst_case[-1] < found.worst_case[0] < 100
    assert torch.equal(found.right, margins(victim, x, y) > 0)


def test_an_attack_for_the_least_change_runs_once_and_counts_wherever_it_fits() -> None:
    victim, calls = halfspace(), []
    x, y = problem(60, victim)

    def attack(victim: Halfspace, x: Tensor, y: Tensor) -> Tensor:
        calls.append(len(x))
        return projected(victim, x, y)

    found = run(victim, (x, y), {"least": attack}, norm="l2", epsilons=(0.05, 0.1, 0.2), batch_size=25)
    distance = margins(victim, x, y) / victim.w.norm()
    expected = distance[None] < torch.tensor([0.05, 0.1, 0.2])[:, None]
    assert torch.equal(found.success[0], expected) and 0 < expected.sum() < expected.numel()
    assert calls == [25, 25, 10]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_decision_attack_succeeds_where_its_distance_fits(norm: str) -> None:
    victim = halfspace()
    x, y = problem(12, victim)
    attack = partial(evasion.hop_skip_jump, iterations=3, initial_evaluations=20)
    found = run(victim, (x, y), {"walk": attack}, norm=norm, epsilons=(0.1, 0.3, 0.6))
    smallest = margins(victim, x, y) / (victim.w.norm() if norm == "l2" else victim.w.abs().sum())
    assert not (found.success[0] & (smallest > torch.tensor([[0.1], [0.3], [0.6]]))).any()
    assert found.success[0].any() and (found.success[0, 1:] >= found.success[0, :-1]).all()
    assert found.passes["walk"].backward == 0 < found.passes["walk"].forward


def test_what_is_put_around_an_attack_is_called_as_that_attack() -> None:
    """Boundary's own `epsilon` is the length of a step, and no budget; what one name wraps may look at the victim otherwise."""
    victim = halfspace()
    x, y = problem(12, victim)
    attacks = {"walk": partial(evasion.boundary, iterations=5), "pgd": partial(evasion.pgd, steps=2)}

    def around(attack: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(attack)
        def inner(victim: nn.Module, *images: Tensor, **settings: Any) -> Any:
            return attack(victim, *images, **settings)

        return inner

    usual: dict[str, Any] = {"norm": "l2", "epsilons": (0.1, 0.3, 0.6)}
    found = run(victim, (x, y), {name: around(attack) for name, attack in attacks.items()}, **usual)
    assert found.to_dict() == run(victim, (x, y), attacks, **usual).to_dict()
    with pytest.raises(BadValue, match=r"^attacks: 'walk': iterations: "):
        run(victim, (x, y), {"walk": around(partial(evasion.boundary, iterations=-1))}, **usual)
    with pytest.raises(BadValue, match=r"^attacks: expected ones that bound l2, got 'fgsm', which bounds linf$"):
        run(victim, (x, y), {"fgsm": around(evasion.fgsm)}, **usual)


def test_the_worst_case_is_taken_image_by_image() -> None:
    victim = halfspace()
    x, y = problem(40, victim)
    x, y = x[margins(victim, x, y) > 0.1], y[margins(victim, x, y) > 0.1]

    def against(label: int) -> Callable[..., Tensor]:
        return lambda victim, x, y, epsilon: torch.where((y == label).view(-1, 1, 1, 1), projected(victim, x, y), x)

    found = run(victim, (x, y), {"ones": against(1), "noughts": against(0)}, epsilons=(1.0,))
    share = 100 * (y == 0).double().mean().item()
    assert found.accuracy == {"ones": [pytest.approx(share)], "noughts": [pytest.approx(100 - share)]}
    assert found.worst_case == [0.0] and 0 < share < 100


def test_what_is_found_at_a_budget_counts_at_that_budget_alone() -> None:
    victim, budgets = halfspace(), []

    def attack(victim: Halfspace, x: Tensor, y: Tensor, *, epsilon: float, **_: Any) -> Tensor:
        budgets.append((epsilon, len(x)))
        return projected(victim, x, y) if epsilon < 0.2 else x

    x, y = problem(20, victim)
    found = run(victim, (x, y), {"odd": attack}, epsilons=(0.19, 0.2))
    assert found.worst_case == [0.0, 100.0] and budgets == [(0.19, 20), (0.2, 20)]


@pytest.mark.parametrize("kind", ["split", "pair", "loader"])
def test_data_come_in_three_forms(kind: str, digits: Dataset, trained: Network) -> None:
    split = digits.test.first(50)
    pair = split.take(torch.arange(50))
    forms: dict[str, Any] = {"split": split, "pair": pair, "loader": DataLoader(TensorDataset(*pair), batch_size=7)}
    attacks = {"pgd": partial(evasion.pgd, step_size=0.01, steps=3)}
    usual: dict[str, Any] = {"epsilons": (0.05, 0.1), "batch_size": 20}
    found, expected = (run(trained.eval(), data, attacks, **usual) for data in (forms[kind], pair))
    assert found.to_dict() == expected.to_dict() and 0 < found.worst_case[-1] < found.worst_case[0]


# --- random victims ---------------------------------------------------------------------------------------------------


def test_a_lucky_answer_is_no_success() -> None:
    """Each answer is wrong with probability 0.3, the vote of 101 never in some 20,000 times; the attack does nothing."""
    victim = halfspace(Noisy, 0.3)
    x, y = problem(60, victim)
    voted, trusting = (run(victim, (x, y), {"none": still}, epsilons=(0.1,), draws=draws) for draws in (101, 1))
    assert voted.clean_accuracy == voted.worst_case[0] == 100
    assert trusting.worst_case[0] < 70


def test_a_victim_that_does_not_say_that_it_is_random_is_found_out_and_judged_by_vote() -> None:
    class Silent(Noisy):
        random = False

        def forward(self, x: Tensor) -> Tensor:
            flipped = torch.rand(len(x)) < self.flips  # by the global generator
            return torch.where(flipped[:, None], -1.0, 1.0) * Halfspace.forward(self, x)

    victim = halfspace(Silent, 0.3)
    x, y = problem(60, victim)
    before = torch.get_rng_state()
    with pytest.warns(VictimWarning, match="answers the same question in two ways"):
        found = run(victim, (x, y), {"none": still}, draws=101)
    assert found.examination.random and found.worst_case == [100.0] * 4
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.warns(VictimWarning):
        again = [run(victim, (x, y), {"fgsm": evasion.fgsm}, draws=1).to_dict() for _ in range(2)]
    assert again[0] == again[1]


def test_attacks_see_a_look_and_the_victim_inside_is_judged(trained: Network, digits: Dataset) -> None:
    inside = estimate("epistemic", trained, generator=generator(1), draws=3)
    seen: list[nn.Module] = []

    def attack(victim: nn.Module, x: Tensor, y: Tensor, *, epsilon: float) -> Tensor:
        seen.append(victim)
        return evasion.fgsm(victim, x, y, epsilon=epsilon)

    look, before = evasion.Look(inside, "one_draw", draws=1), inside.generator.get_state()  # type: ignore[attr-defined]
    found = run(look, digits.test.first(20), {"fgsm": attack}, epsilons=(0.1,), draws=11)
    assert seen == [look]
    right = int(found.right.sum())
    assert (found.passes["fgsm"].forward, found.passes["fgsm"].backward) == (right, right)
    assert torch.equal(inside.generator.get_state(), before)  # type: ignore[attr-defined]


# --- interruptions ----------------------------------------------------------------------------------------------------


class Stopped(Exception):
    """What ends a run from outside."""


def stopping(attack: Callable[..., Any], after: list[int], finished: list[Any]) -> Callable[..., Any]:
    """The attack, which ends the run at its next call but `after[0]`; calls that come to an end are listed."""

    def stopped(victim: nn.Module, x: Tensor, y: Tensor, **settings: Any) -> Any:
        after[0] -= 1
        if after[0] < 0:
            raise Stopped
        found = attack(victim, x, y, **settings)
        finished.append((settings.get("epsilon"), x.sum().item()))
        return found

    return stopped


@pytest.mark.parametrize("kind", ["epistemic", "none", "plain"])
def test_an_evaluation_stopped_anywhere_goes_on_and_computes_nothing_twice(
    kind: str, trained: Network, digits: Dataset, tmp_path: Path
) -> None:
    def victim() -> nn.Module:
        return trained.eval() if kind == "plain" else estimate(kind, trained, generator=generator(3), draws=3)

    def attacks(after: list[int], finished: list[Any]) -> dict[str, Any]:
        pgd = partial(evasion.pgd, step_size=0.02, steps=2)
        return {name: stopping(one, after, finished) for name, one in {"pgd": pgd, "fgsm": evasion.fgsm}.items()}

    points, usual = digits.test.first(20), {"epsilons": (0.05, 0.1), "batch_size": 8, "draws": 3}
    whole: list[Any] = []
    expected = run(victim(), points, attacks([99], whole), **usual)
    assert len(whole) == 2 * 2 * 3 and 0 < expected.worst_case[-1] < expected.clean_accuracy
    state, finished, stops = tmp_path / "state", [], 0
    while True:
        try:
            found = run(victim(), points, attacks([stops % 3], finished), **usual, state=state)
            break
        except Stopped:
            stops += 1
    assert finished == whole and stops > 4
    assert torch.equal(found.success, expected.success) and found.to_dict() == expected.to_dict()
    with pytest.raises(BadValue, match="is of another evaluation, with seed"):
        run(victim(), points, attacks([99], []), **usual, state=state, generator=generator(9))


def test_an_evaluation_stopped_while_its_state_is_written_goes_on(
    trained: Network, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, attacks, state = digits.test.first(20), {"fgsm": evasion.fgsm}, tmp_path / "state"
    expected = run(trained.eval(), points, attacks, batch_size=8)
    written = Path.replace
    for stop in range(6):
        left = [stop]

        def replace(self: Path, target: Any, left: list[int] = left) -> Path:
            left[0] -= 1
            if left[0] < 0:
                raise Stopped
            return written(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(Stopped):
            run(trained, points, attacks, batch_size=8, state=state)
    monkeypatch.undo()
    assert run(trained, points, attacks, batch_size=8, state=state).to_dict() == expected.to_dict()
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_state_is_gone_on_from_by_its_own_evaluation_only(tmp_path: Path) -> None:
    victim, state = halfspace(), tmp_path / "state"
    x, y = problem(10, victim)
    attacks = {"fgsm": partial(evasion.fgsm, loss="log_odds")}
    before = run(victim, (x, y), attacks, state=state)
    shown = victim.shown
    assert run(victim, (x, y), attacks, state=state).to_dict() == before.to_dict() and victim.shown == shown

    class Weighted(Halfspace):
        def __init__(self, w: Tensor, b: float) -> None:
            super().__init__(w, b)
            self.weight = nn.Parameter(torch.zeros(1))

    others: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
        "epsilons": (victim, (x, y), attacks, {"epsilons": (0.1,)}),
        "norm": (victim, (x, y), {"fgsm": still}, {"norm": "l2"}),
        "draws": (victim, (x, y), attacks, {"draws": 6}),
        "batch_size": (victim, (x, y), attacks, {"batch_size": 3}),
        "attack fgsm": (victim, (x, y), {"fgsm": evasion.fgsm}, {}),
        "attacks": (victim, (x, y), {"another": attacks["fgsm"]}, {}),
        "victim": (Weighted(victim.w, victim.b), (x, y), attacks, {}),
        "images": (victim, (x.flip(0), y), attacks, {}),
        "labels": (victim, (x, 1 - y), attacks, {}),
        "seed": (victim, (x, y), attacks, {"generator": generator(1)}),
    }
    for name, (other, data, given, changes) in others.items():
        with pytest.raises(BadValue, match=f"^state .*: is of another evaluation, with .*{name[:4]}"):
            run(other, data, given, **changes, state=state)
    content = bytearray(state.read_bytes())
    for damaged in (content[:40], content[:-1] + bytes([content[-1] ^ 1]), b""):
        state.write_bytes(damaged)
        with pytest.raises(BadValue, match="cannot be gone on from"):
            run(victim, (x, y), attacks, state=state)


# --- what it tells ----------------------------------------------------------------------------------------------------


def test_warnings_come_once_each_and_stay_in_the_result(tmp_path: Path) -> None:
    class Sure(Halfspace):
        def forward(self, x: Tensor) -> Tensor:
            return 1e5 * super().forward(x)

    victim = halfspace(Sure)
    x, y = problem(20, victim)
    attacks = {"fgsm": evasion.fgsm, "pgd": partial(evasion.pgd, step_size=0.01, steps=2)}
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = run(victim, (x, y), attacks, epsilons=(0.02, 0.05), batch_size=6, state=tmp_path / "state")
        assert tuple(str(one.message) for one in caught) == found.warnings
        assert [one.split(":")[0] for one in found.warnings] == ["victim", "fgsm", "pgd"]
    assert str(found).count("warning: ") == 3 and found.worst_case == [100.0, 100.0]
    with pytest.warns(VictimWarning, match="0.0% under 'log_odds'"):
        assert run(victim, (x, y), {"fgsm": partial(evasion.fgsm, loss="log_odds")}).worst_case[-1] < 100


def test_the_table_and_the_plain_data() -> None:
    victim = halfspace()
    x, y = problem(8, victim)

    def half(victim: Halfspace, x: Tensor, y: Tensor, *, epsilon: float) -> Tensor:
        victim(x)
        return projected(victim, x, y) if epsilon > 0.5 else x

    found = run(victim, (x, y), {"half": half, "fgsm": evasion.fgsm}, epsilons=(0, 1))
    table = """\
accuracy in %, linf      0      1  forward  backward
no attack            100.0  100.0
half                 100.0    0.0        2         0
fgsm                 100.0    0.0        1         1
the worst of them    100.0    0.0
8 images; passes forward and backward are an image's, on average, for all budgets"""
    assert str(found) == table
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["worst_case"] == [100.0, 0.0] and plain["success"][0] == [[0] * 8, [1] * 8]
    assert Evaluation.from_dict(plain).to_dict() == found.to_dict()
    assert torch.equal(Evaluation.from_dict(plain).success, found.success)
    assert found.to_dict(masks=False) == {name: one for name, one in plain.items() if name not in ("right", "success")}


# --- refusals ---------------------------------------------------------------------------------------------------------

PAIR = (torch.full((2, 1, 4, 4), 0.5), torch.tensor([0, 1]))
PGD = partial(evasion.pgd, step_size=0.01, steps=1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"norm": "l1"}, "norm: unknown 'l1'"),
        ({"epsilons": ()}, "epsilons: "),
        ({"epsilons": (0.1, 0.1)}, "epsilons: "),
        ({"epsilons": (0.1, 1.5)}, r"epsilons: expected a finite number in \[0, 1\]"),
        ({"epsilons": ("8/255",)}, "epsilons: "),
        ({"draws": 0}, "draws: "),
        ({"batch_size": 0}, "batch_size: "),
        ({"generator": None}, "generator: "),
        ({"attacks": {}}, "attacks, data: "),
        (
            {"attacks": {"away": partial(PGD, targeted=True)}},
            "attacks: expected ones that leave the labels, got 'away'",
        ),
        ({"attacks": {"still": partial(evasion.pgd, steps=0)}}, "attacks: 'still': steps: expected a whole number"),
        ({"attacks": {"walk": partial(evasion.hop_skip_jump, iterations=-1)}}, "attacks: 'walk': iterations: "),
        ({"attacks": {"pgd": "pgd"}}, "attacks: expected functions by name, such as evasion.pgd, got 'pgd'"),
        ({"attacks": [PGD]}, "attacks: expected a dictionary of attacks"),
        ({"epsilons": 0.1}, "epsilons: expected a list of budgets"),
        ({"attacks": {"own": lambda victim, x, y, *, epsilon, score: x}}, "attacks: 'own' needs .*score"),
        (
            {"attacks": {"least": evasion.carlini_wagner}},
            "attacks: expected ones that bound linf, got 'least', which bounds l2",
        ),
        ({"attacks": {"pairs": evasion.jsma}}, "attacks: expected ones that bound linf, got 'pairs', which bounds l0"),
        ({"attacks": {"fgsm": evasion.fgsm}, "norm": "l2"}, "attacks: expected ones that bound l2, got 'fgsm'"),
        (
            {"attacks": {"walk": partial(evasion.boundary, norm="l2")}},
            "attacks: expected ones that bound linf, got 'walk'",
        ),
        ({"data": (PAIR[0] + 1, PAIR[1])}, "x: expected finite values in"),
        ({"data": (PAIR[0][:0], PAIR[1][:0])}, "attacks, data: "),
        ({"data": [PAIR[0]]}, "data: expected a Split, or images and labels or a DataLoader"),
        ({"data": (PAIR[0], PAIR[1].float())}, "labels: expected "),
    ],
)
def test_bad_settings_are_refused_before_any_work(changes: dict[str, Any], told: str) -> None:
    settings: dict[str, Any] = {"data": PAIR, "attacks": {"pgd": PGD}, **changes}
    with pytest.raises(BadValue, match=f"^{told}"):
        run(Never(), settings.pop("data"), settings.pop("attacks"), **settings)


def test_an_attack_that_leaves_the_budget_or_its_images_is_told_of() -> None:
    victim = halfspace()
    for attack, told in (
        (
            lambda victim, x, y, epsilon: (x + 2 * epsilon).clamp(0, 1),
            "attacks: expected 'own' to stay within 0.1, got 0.2",
        ),
        (lambda victim, x, y, epsilon: x[:1], "attacks: expected 'own' to return images"),
        (lambda victim, x, y, epsilon: x + 1, "attacks: what 'own' returned: x: expected finite values in"),
    ):
        with pytest.raises(BadValue, match=f"^{told}"):
            run(victim, problem(4, victim), {"own": attack}, epsilons=(0.1,))


def test_inside_a_purpose_all_draws_follow_it_and_afterwards_all_generators_are_as_they_were() -> None:
    victim = halfspace(Noisy, 0.5)
    x, _ = problem(5, victim)

    def drawn(purpose: str) -> tuple[Tensor, Tensor, Tensor]:
        with seeds.seeded(victim, 3, purpose, torch.device("cpu")) as source:
            return victim(x), torch.rand(3), torch.rand(3, generator=source)

    first = drawn("one")
    before, own = torch.get_rng_state(), victim.generator.get_state()
    assert all(map(torch.equal, drawn("one"), first)) and not any(map(torch.equal, drawn("another"), first))
    with pytest.raises(Stopped), seeds.seeded(victim, 3, "one", torch.device("cpu")):
        victim(x), torch.rand(3)
        raise Stopped
    assert torch.equal(torch.get_rng_state(), before) and torch.equal(victim.generator.get_state(), own)
