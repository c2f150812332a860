"""HopSkipJump: closed forms on half-spaces, what follows each image and not its batch, what is counted, and noisy victims."""

from __future__ import annotations

import math
from dataclasses import fields
from itertools import pairwise
from typing import Any

import pytest
import torch
from halfspaces import SHAPE, Fading, Halfspace, Largest, Never, Noisy, generator, halfspace, problem, same, weights
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from lib.errors import BadValue
from lib.evasion import starts
from lib.evasion.decision import Decided
from lib.evasion.hop_skip_jump import hop_skip_jump

NORMS = pytest.mark.parametrize("norm", ["l2", "linf"])


class Quadrants(Halfspace):
    """Four classes, by which halves of the image are bright."""

    def forward(self, x: Tensor) -> Tensor:
        bright = (x.double().mean(-1)[:, 0] > 0.5).long()  # (n, 4)
        return F.one_hot(2 * (bright[:, :2].sum(1) > 0) + (bright[:, 2:].sum(1) > 0), 4).double()


class Stubborn(Halfspace):
    """Class 0, unless the image's first pixel is above 0.5: then as the half-space has it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) - 1e6 * (x[:, 0, 0, 0] <= 0.5)[:, None] * torch.tensor([-1.0, 1.0])


def attack(victim: Any, x: Tensor, y: Tensor, seed: int = 0, **changes: Any) -> Decided:
    usual = {"iterations": 5, "initial_evaluations": 20, "generator": generator(seed), "step_outward": False}
    return hop_skip_jump(victim, x, y, **{**usual, **changes})


def length(change: Tensor, norm: str) -> Tensor:
    return torch.linalg.vector_norm(change.flatten(1), 2 if norm == "l2" else math.inf, dim=1)


# --- closed forms -----------------------------------------------------------------------------------------------------


@NORMS
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_from_a_half_space_the_distance_is_that_to_its_plane(norm: str, targeted: bool, seed: int) -> None:
    """|w . x - b| / ||w||, in the dual norm: l2 of l2, l1 of l_inf."""
    victim = halfspace(seed=seed)
    x, y = problem(10, victim, seed)
    exact = victim.score(x).abs() / (victim.w.norm() if norm == "l2" else victim.w.abs().sum())
    found = attack(
        victim, x, 1 - y if targeted else y, norm=norm, targeted=targeted, iterations=30, initial_evaluations=100
    )
    assert found.found.all()
    assert (victim.score(found.adversarial) > 0).long().tolist() == (1 - y).tolist()
    assert bool((found.distance >= exact * (1 - 1e-5)).all())  # nothing is nearer
    assert bool((found.distance <= 1.03 * exact).all())


@NORMS
def test_what_comes_back_lies_on_the_boundary(norm: str) -> None:
    """A little nearer to the image and it is no longer adversarial, however early the attack ends."""
    victim = halfspace()
    x, y = problem(10, victim)
    for iterations in (0, 1, 4):
        found = attack(victim, x, y, norm=norm, iterations=iterations, probe=1e-3)
        nearer = x + 0.995 * (found.adversarial - x)
        if norm == "linf":
            nearer = torch.clamp(
                found.adversarial,
                x - 0.995 * found.distance.view(-1, 1, 1, 1),
                x + 0.995 * found.distance.view(-1, 1, 1, 1),
            )
        assert bool(((victim.score(found.adversarial) > 0) != y).all())
        assert bool(((victim.score(nearer) > 0) == y).all())


@NORMS
def test_it_comes_as_near_as_foolbox_in_as_many_answers(norm: str) -> None:
    foolbox = pytest.importorskip("foolbox")
    victim = halfspace()
    # Its l2 divides by the norm of the whole batch's directions, so there it gets an image at a time.
    n, at_once = (20, 20) if norm == "linf" else (5, 1)
    x, y = problem(n, victim)
    ours = attack(victim, x, y, norm=norm, iterations=8)
    before = victim.shown
    torch.manual_seed(0)
    peer = foolbox.attacks.HopSkipJumpAttack(steps=8, initial_gradient_eval_steps=20, constraint=norm)
    model = foolbox.PyTorchModel(victim.eval(), bounds=(0, 1))
    theirs = [
        length(peer.run(model, image, foolbox.criteria.Misclassification(label)) - image, norm)
        for image, label in zip(x.split(at_once), y.split(at_once), strict=True)
    ]
    assert ours.distance.median() <= 1.02 * torch.cat(theirs).median()
    assert int(ours.answers.sum()) <= victim.shown - before


# --- an image and not its batch ---------------------------------------------------------------------------------------


@NORMS
@pytest.mark.parametrize("kind", [Halfspace, Stubborn])
def test_neither_order_nor_split_of_the_batch_matters(norm: str, kind: type[Halfspace]) -> None:
    victim = halfspace(kind)
    x, y = problem(9, victim)
    y = torch.zeros_like(y) if kind is Stubborn else y
    evaluations, rounds = torch.arange(10, 28, 2), torch.tensor([5, 1, 3, 8, 2, 6, 0, 4, 7])

    def part(indices: Tensor, **changes: Any) -> Decided:
        own = {"iterations": rounds[indices], "initial_evaluations": evaluations[indices], "ids": indices}
        return attack(victim, x[indices], y[indices], norm=norm, **own, **changes)

    whole = part(torch.arange(9))
    shuffled = torch.randperm(9, generator=generator())
    same(whole, part(shuffled), shuffled)
    for sizes in ([1] * 9, [5, 4]):
        for indices in torch.arange(9).split(sizes):
            same(whole, part(indices), indices)
    same(whole, part(torch.arange(9), max_batch=7), torch.arange(9))


def test_other_ids_and_other_generators_give_other_attacks() -> None:
    victim = halfspace()
    x, y = problem(3, victim)
    first = attack(victim, x, y)
    assert torch.equal(attack(victim, x, y).adversarial, first.adversarial)
    assert not torch.equal(attack(victim, x, y, seed=1).adversarial, first.adversarial)
    assert not torch.equal(attack(victim, x, y, ids=torch.tensor([7, 8, 9])).adversarial, first.adversarial)
    source = generator()
    again = [attack(victim, x, y, generator=source).adversarial for _ in range(2)]
    assert not torch.equal(*again)


def test_two_copies_of_an_image_are_attacked_apart() -> None:
    victim = halfspace()
    x, y = problem(1, victim)
    found = attack(victim, x.repeat(2, 1, 1, 1), y.repeat(2)).adversarial
    assert not torch.equal(found[0], found[1])


# --- what is counted, and when each image ends ------------------------------------------------------------------------


@NORMS
def test_answers_and_calls_are_the_victims_own_count(norm: str) -> None:
    for victim, changes in ((halfspace(), {}), (halfspace(Noisy, 0.1), {"lead": 3, "check_answers": 20})):
        x, y = problem(6, victim)
        found = attack(victim, x, y, norm=norm, max_batch=50, **changes)
        assert int(found.answers.sum()) == victim.shown and found.calls == victim.calls


@NORMS
def test_one_image_asks_as_often_as_the_algorithm_says(norm: str) -> None:
    """One answer for the image, those for its start, then in each iteration a direction, a step and a return."""
    victim = halfspace()
    x, y = problem(8, victim)
    counts = attack(victim, x, y, norm=norm, iterations=4, initial_evaluations=20, max_evaluations=30).trace_answers
    features = math.prod(SHAPE)
    back = math.ceil(math.log2((features if norm == "linf" else math.sqrt(features)) / 0.01))
    assert bool((counts[0] >= 1 + 1 + back).all())
    for iteration, spent in enumerate(counts.diff(dim=0)):
        evaluations = min(int(20 * math.sqrt(iteration + 1)), 30)
        halvings = spent - evaluations - back
        assert bool(((halvings >= 1) & (halvings <= 30)).all())
    assert counts.shape == (5, 8)


def test_an_image_that_is_adversarial_already_is_left_alone() -> None:
    victim = halfspace()
    x, y = problem(4, victim)
    y[1] = 1 - y[1]
    found = attack(victim, x, y)
    assert torch.equal(found.adversarial[1], x[1]) and bool(found.found[1])
    assert found.answers[1] == 1 and found.distance[1] == 0
    assert bool((found.distance[[0, 2, 3]] > 0).all())


def test_every_image_ends_after_its_own_iterations() -> None:
    victim = halfspace()
    x, y = problem(3, victim)
    trace = attack(victim, x, y, iterations=torch.tensor([0, 2, 4])).trace_answers
    asked = trace.diff(dim=0) > 0
    assert asked.sum(0).tolist() == [0, 2, 4] and asked.shape == (4, 3)


@given(budget=st.integers(1, 400), seed=st.integers(0, 100))
@settings(max_examples=15)
def test_no_iteration_begins_after_the_budget(budget: int, seed: int) -> None:
    victim = halfspace()
    x, y = problem(3, victim, seed)
    budgets = torch.tensor([budget, 2 * budget, 10_000])
    found = attack(victim, x, y, seed, budget=budgets)
    for spent, own in zip(found.trace_answers.T.tolist(), budgets.tolist(), strict=True):
        assert all(before < own for before, after in pairwise(spent) if after > before)
        assert spent[-1] >= own or len(set(spent)) == 6  # and one does while there is something left


@NORMS
@pytest.mark.parametrize(("kind", "lead"), [(Halfspace, 1), (Noisy, 3)])
def test_the_last_direction_takes_what_the_budget_leaves(norm: str, kind: type[Halfspace], lead: int) -> None:
    """What is over is a step's halvings and questions asked again, not a direction's hundreds."""
    victim = halfspace(kind, *([0.05] if kind is Noisy else []))
    x, y = problem(6, victim)
    found = attack(victim, x, y, norm=norm, budget=500, initial_evaluations=300, lead=lead, iterations=9)
    assert bool((found.answers[found.found] >= 500).all()) and int(found.answers.max()) <= 500 + 40 * lead


@NORMS
def test_the_last_point_moves_outward_where_that_is_adversarial_too(norm: str) -> None:
    """By a thousandth of the distance, for one answer more; not where the victim is random or the caller does not want it."""
    victim = halfspace()
    x, y = problem(6, victim)
    usual = {"norm": norm, "initial_evaluations": 100}
    out, on = attack(victim, x, y, step_outward=True, **usual), attack(victim, x, y, **usual)
    torch.testing.assert_close(out.adversarial, torch.lerp(x, on.adversarial, 1.001), atol=1e-6, rtol=0)
    torch.testing.assert_close(out.distance, 1.001 * on.distance, rtol=1e-4, atol=0)
    assert torch.equal(out.answers, on.answers + 1) and torch.equal(out.trace_distance[:-1], on.trace_distance[:-1])
    noisy = [attack(halfspace(Noisy, 0.1), x, y, step_outward=step, **usual) for step in (True, False)]
    same(*noisy, order=torch.arange(6))


@NORMS
def test_the_trace_ends_in_what_is_returned_and_never_gets_worse(norm: str) -> None:
    victim = halfspace()
    x, y = problem(5, victim)
    found = attack(victim, x, y, norm=norm, iterations=8)
    assert torch.equal(found.trace_answers[-1], found.answers)
    assert torch.equal(found.trace_distance[-1], found.distance)
    assert bool((found.trace_distance.diff(dim=0) <= 0).all()) and bool((found.trace_answers.diff(dim=0) > 0).all())
    torch.testing.assert_close(found.distance, length(found.adversarial - x, norm))


# --- starts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tries", [1, 5, 100])
def test_a_victim_that_never_changes_its_answer_is_reported_and_its_tries_counted(tries: int) -> None:
    victim = Halfspace(weights(), 1e9)
    x, y = torch.rand(3, *SHAPE, generator=generator()), torch.zeros(3).long()
    found = attack(victim, x, y, start_tries=tries)
    assert not found.found.any() and bool(found.distance.isinf().all())
    assert torch.equal(found.adversarial, x)
    assert found.answers.tolist() == [1 + tries] * 3


def test_failed_starts_do_not_disturb_their_neighbours() -> None:
    """Target 2 does not exist."""
    victim = halfspace()
    x, y = problem(6, victim)
    alone = attack(victim, x, 1 - y, targeted=True)
    wanted = torch.where(torch.arange(6) % 2 == 0, 1 - y, 2)

    class Third(Halfspace):
        def forward(self, x: Tensor) -> Tensor:
            return F.pad(super().forward(x), (0, 1), value=-math.inf)

    mixed = attack(Third(victim.w, victim.b), x, wanted, targeted=True)
    assert mixed.found.tolist() == [True, False] * 3
    assert torch.equal(mixed.adversarial[::2], alone.adversarial[::2])
    assert torch.equal(mixed.adversarial[1::2], x[1::2]) and bool(mixed.distance[1::2].isinf().all())


def test_a_start_handed_in_is_used_where_it_is_adversarial() -> None:
    victim = Quadrants(weights(), 0.0)
    x = torch.full((3, *SHAPE), 0.3)
    start = torch.full((3, *SHAPE), 0.7)
    start[1] = 0.2  # class 0 like x
    start[2, :, 2:] = 0.3  # class 2, not the target
    found = attack(victim, x, torch.full((3,), 3), targeted=True, start=start, iterations=0)
    assert found.found.tolist() == [True, False, False] and found.answers[1:].tolist() == [2, 2]
    assert float(found.distance[0]) == pytest.approx(0.2, abs=1e-3)


# --- a victim that contradicts itself ---------------------------------------------------------------------------------


PLAIN = {"lead": 1, "check_answers": 0, "probe": 0.01}


@NORMS
def test_the_vote_of_a_noisy_victim_is_fooled_only_with_votes_and_a_check(norm: str) -> None:
    """Every fifth answer is wrong. What most answers say is known here: the half-space's own class."""
    victim = halfspace(Noisy, 0.2)
    x, y = problem(20, victim)

    def succeeds(**changes: Any) -> float:
        found = attack(victim, x, y, norm=norm, iterations=8, initial_evaluations=50, **changes)
        right = (victim.score(found.adversarial) > 0) != y
        if not changes:
            assert bool(found.found.all())
        return right.double().mean().item()

    assert succeeds(**PLAIN) < 0.5
    assert succeeds() >= 0.9


@NORMS
def test_what_is_returned_by_default_wins_a_fresh_vote(norm: str) -> None:
    """99 of 100 times and more, and nearer by the bisection than where the first check passes and many a vote is lost."""
    victim = halfspace(Fading, 2.5)
    x, y = problem(200, victim)
    y = (victim.score(x) > 0).long()
    settings = {"norm": norm, "iterations": 4}
    first, returned = (attack(victim, x, y, **settings, **more) for more in ({"confirm_answers": 0}, {}))

    def wins(found: Decided) -> float:
        with torch.no_grad():
            votes = torch.stack([victim(found.adversarial).argmax(1) != y for _ in range(50)]).double().mean(0)
        return (votes[found.found] > 0.5).double().mean().item()

    assert wins(returned) > 0.99 > wins(first)
    assert returned.found.double().mean() >= 0.9
    chance = (victim.k * victim.score(returned.adversarial) * (1 - 2 * y)).sigmoid()[returned.found]
    assert 0.65 < float(chance.median()) < 0.8  # clear of a toss-up, and not much farther


def test_a_point_that_luck_left_deep_inside_is_moved_as_far_out_as_it_takes() -> None:
    """A third of the answers to the image itself are wrong: the way back to the start would give much of the walk away."""
    victim = halfspace(Fading, 1.5)
    x, _ = problem(60, victim)
    y = (victim.score(x) > 0).long()
    near, far = (
        attack(victim, x, y, norm="l2", iterations=10, budget=6000, farthest=farthest) for farthest in (1.8, 5.5)
    )
    assert far.found.double().mean() >= max(0.95, near.found.double().mean().item())
    assert far.distance[far.found].median() < 0.85 * near.distance[near.found].median()
    chance = (victim.k * victim.score(far.adversarial) * (1 - 2 * y)).sigmoid()[far.found]
    assert float(chance.min()) > 0.6


def test_an_image_taken_for_adversarial_must_be_so_by_answers_that_did_not_choose_it() -> None:
    """Six answers of ten are wrong: fifty of them are often clearly so by chance, two hundred more hardly ever."""
    victim = halfspace(Noisy, 0.6)
    x, y = problem(300, victim)
    usual = {"iterations": 0, "start_tries": 1, "check_answers": 50}
    flukes = [int((attack(victim, x, y, confirm_answers=more, **usual).distance == 0).sum()) for more in (0, 200)]
    assert flukes[0] >= 20 and flukes[1] <= 4


@NORMS
def test_settings_left_open_are_those_of_the_plain_attack_or_fit_a_random_victim(norm: str) -> None:
    """A fortieth of the budget makes the first direction; probes lie far out."""
    plain, noisy = halfspace(), halfspace(Noisy, 0.1)
    x, y = problem(4, plain)
    open_ = {"norm": norm, "initial_evaluations": None, "iterations": 3}

    def both(victim: Any, settings: dict[str, Any], **told: Any) -> None:
        runs = []
        for more in (settings, {**settings, **told}):
            if victim.random:
                victim.generator.manual_seed(0)
            runs.append(attack(victim, x, y, **more))
        assert torch.equal(runs[0].adversarial, runs[1].adversarial) and torch.equal(runs[0].answers, runs[1].answers)

    both(plain, {**open_, "budget": 20_000}, initial_evaluations=100, probe=0.01)
    far = {"l2": 2.0, "linf": 0.6 * 4}[norm]
    both(noisy, open_, initial_evaluations=100, probe=far, lead=5, check_answers=50, confirm_answers=200)
    both(noisy, {**open_, "budget": 20_000}, initial_evaluations=500, probe=far)


def test_starts_are_drawn_in_pieces_that_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image draws its own, so they are the same to the bit, and nothing large is made at once."""
    victim = Halfspace(weights(), 4.5)
    x, y = torch.zeros(64, *SHAPE), torch.zeros(64).long()
    whole = attack(victim, x, y, iterations=0)
    assert int(whole.answers.max()) > 10  # some took several rounds
    monkeypatch.setattr(starts, "AT_ONCE", 100)
    with Largest() as largest:
        pieces = attack(victim, x, y, iterations=0, max_batch=8)
    assert largest.bytes <= 8 * 64 * 16
    assert torch.equal(pieces.adversarial, whole.adversarial) and torch.equal(pieces.answers, whole.answers)


def test_an_aware_attack_on_a_noisy_victim_still_comes_near() -> None:
    victim = halfspace(Noisy, 0.1)
    x, y = problem(10, victim)
    exact = victim.score(x).abs() / victim.w.abs().sum()
    found = attack(victim, x, y, iterations=20, initial_evaluations=100, lead=6, check_answers=50)
    assert bool(found.found.all()) and float((found.distance / exact).median()) < 1.2


def test_what_does_not_stand_its_check_is_reported() -> None:
    """Heads or tails for every image: a single answer finds a start, and nothing is ever clearly adversarial."""
    victim = Noisy(torch.zeros(16), -1.0, 0.5)
    x, y = torch.rand(6, *SHAPE, generator=generator()), torch.zeros(6).long()
    naive = attack(victim, x, y, iterations=1, **PLAIN)
    assert naive.found.all()
    aware = attack(victim, x, y, iterations=1, check_answers=50)
    assert not aware.found.any() and torch.equal(aware.adversarial, x) and bool(aware.distance.isinf().all())


def test_a_check_costs_its_answers_and_ends_the_trace() -> None:
    victim = halfspace(Noisy, 0.1)
    x, y = problem(6, victim)
    found = attack(victim, x, y, lead=5, check_answers=40)
    last = found.trace_answers.diff(dim=0)[-1]
    assert bool((last >= 40).all()) and bool((last % 40 == 0).all()) and len(found.trace_answers) == 7
    assert torch.equal(found.trace_distance[-1], found.distance)


@pytest.mark.parametrize("settings", [{"lead": 7}, {"check_answers": 50}])
def test_where_nothing_is_random_awareness_costs_nothing(settings: dict[str, Any]) -> None:
    victim = halfspace()
    x, y = problem(4, victim)
    plain, aware = attack(victim, x, y), attack(victim, x, y, **settings)
    for field in fields(Decided):
        one, other = getattr(plain, field.name), getattr(aware, field.name)
        assert torch.equal(one, other) if isinstance(one, Tensor) else one == other, field.name


# --- what always holds ------------------------------------------------------------------------------------------------


@NORMS
@given(
    seed=st.integers(0, 2**32 - 1),
    values=st.sampled_from(["uniform", "black and white"]),
    low=st.sampled_from([0.0, -1.0]),
    probe=st.sampled_from([0.001, 0.01, 0.3]),
    targeted=st.booleans(),
)
@settings(max_examples=25)
def test_images_stay_inside_the_bounds_and_what_is_found_is_adversarial(
    norm: str, seed: int, values: str, low: float, probe: float, targeted: bool
) -> None:
    victim = halfspace(seed=seed % 1000)
    victim.bounds = (low, 1.0)
    x = torch.rand(4, *SHAPE, generator=generator(seed))
    x = low + (1 - low) * (x.round() if values == "black and white" else x)
    y = torch.tensor([0, 1, 0, 1])
    before = x.clone()
    found = attack(victim, x, y, seed, norm=norm, iterations=3, probe=probe, targeted=targeted)
    assert torch.equal(x, before) and found.adversarial.dtype == x.dtype
    for smallest, largest in (victim.range, (float(found.adversarial.min()), float(found.adversarial.max()))):
        assert low <= smallest and largest <= 1
    reached = ((victim.score(found.adversarial) > 0).long() == y) == targeted
    assert bool(reached[found.found].all())
    assert torch.equal(found.adversarial[~found.found], x[~found.found])
    assert torch.equal(found.distance.isinf(), ~found.found)


def test_no_images_give_no_images() -> None:
    victim = halfspace()
    found = attack(victim, torch.zeros(0, *SHAPE), torch.zeros(0).long())
    assert found.adversarial.shape == (0, *SHAPE) and found.answers.shape == (0,) and found.calls == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"norm": "l1"}, "norm: unknown 'l1'; expected one of l2, linf"),
        ({"iterations": -1}, "iterations: expected a whole number of at least 0, got -1"),
        (
            {"iterations": torch.tensor([1])},
            "iterations: expected a whole number in [0, inf] or a tensor of one for each",
        ),
        ({"iterations": torch.tensor([1.0, 2.0])}, "iterations: "),
        ({"initial_evaluations": 0}, "initial_evaluations: "),
        ({"max_evaluations": torch.tensor([5, 0])}, "max_evaluations: "),
        ({"budget": 0}, "budget: "),
        ({"start_tries": 0}, "start_tries: "),
        ({"probe": 0.0}, "probe: "),
        ({"probe": 4.1}, "probe: expected a finite number in [1e-06, 4], got 4.1"),
        ({"probe": math.nan}, "probe: "),
        ({"lead": 0}, "lead: "),
        ({"check_answers": -1}, "check_answers: "),
        ({"confirm_answers": -1}, "confirm_answers: "),
        ({"farthest": 0.9}, "farthest: expected"),
        ({"max_batch": 0}, "max_batch: "),
        (
            {"ids": torch.tensor([1])},
            "ids: expected a whole number in [0, inf] or a tensor of one for each",
        ),
        (
            {"start": torch.zeros(2, 1, 3, 3)},
            "start: expected values in [0, 1], shape and type as of x, (2, 1, 4, 4)",
        ),
        ({"start": torch.full((2, *SHAPE), 2.0)}, "start: "),
        ({"x": torch.full((2, *SHAPE), 1.1)}, "x: "),
        ({"y": torch.zeros(3).long()}, "x, y: "),
        ({"y": torch.zeros(2)}, "y: expected labels in torch.int64"),
    ],
)
def test_bad_settings_are_refused_before_the_victim_is_asked(change: dict[str, Any], told: str) -> None:
    usual = {"x": torch.zeros(2, *SHAPE), "y": torch.zeros(2).long()}
    with pytest.raises(BadValue) as caught:
        attack(Never(), **{**usual, **change})
    assert str(caught.value).startswith(told)
