"""The Boundary attack: closed forms on half-spaces, its two steps, each image's own end, what is counted, and noisy victims."""

from __future__ import annotations

import math
import sys
from dataclasses import fields
from typing import Any

import pytest
import torch
from halfspaces import SHAPE, Halfspace, Never, Noisy, generator, halfspace, problem, same
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from lib.errors import BadValue
from lib.evasion.boundary import CLOSER, ORTHOGONAL, STILL, adapted, boundary, called_back, orthogonal
from lib.evasion.decision import Decided, distances
from lib.evasion.oracle import DecisionOracle
from lib.evasion.starts import OUTWARD, SURE

PLAIN = {"lead": 1, "check_answers": 0}


class Third(Halfspace):
    """The same with a class 2 that no image has."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(super().forward(x), (0, 1), value=-math.inf)


class Ball(Halfspace):
    """Class 1 outside a ball of radius b around the middle of the cube."""

    def score(self, x: Tensor) -> Tensor:
        return (x.flatten(1).double() - 0.5).norm(dim=1) - self.b


def attack(victim: Any, x: Tensor, y: Tensor, seed: int = 0, **changes: Any) -> Decided:
    return boundary(victim, x, y, **{"iterations": 10, "generator": generator(seed), **changes})


def away(victim: Halfspace, found: Decided, y: Tensor) -> Tensor:
    """Which of the points lie on the side where the image is not."""
    return (victim.score(found.adversarial) > 0) != y


# --- closed forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targeted", "seed", "steps"),
    [
        (False, 0, {}),
        (True, 1, {"delta": 0.05, "epsilon": 0.05, "step_adapt": 0.5}),
        (False, 1, {"delta": 0.005, "epsilon": 0.05, "step_adapt": 0.75}),
    ],
)
def test_from_a_half_space_the_distance_is_that_to_its_plane(targeted: bool, seed: int, steps: dict[str, Any]) -> None:
    """|w . x - b| / |w|, wherever the walk starts and whatever its first steps."""
    victim = halfspace(seed=seed)
    x, y = problem(10, victim, seed)
    exact = victim.score(x).abs() / victim.w.norm()
    found = attack(victim, x, 1 - y if targeted else y, targeted=targeted, iterations=60, **steps)
    assert bool(found.found.all()) and bool(away(victim, found, y).all())
    assert bool((found.distance >= exact * (1 - 1e-5)).all())  # nothing is nearer
    assert bool((found.distance <= 1.04 * exact).all()) and float((found.distance / exact).median()) < 1.01


def test_out_of_a_ball_the_shortest_way_is_along_its_radius() -> None:
    victim = Ball(torch.ones(16), 0.8)
    x, y = problem(8, victim)
    exact = 0.8 - (x - 0.5).flatten(1).norm(dim=1)
    assert not y.any()
    found = attack(victim, x, y, iterations=70)
    assert bool((found.distance >= exact * (1 - 1e-5)).all()) and bool((found.distance <= 1.05 * exact).all())


@given(
    seed=st.integers(0, 1000), delta=st.floats(1e-3, 1.0), shape=st.sampled_from([(1, 2, 2), (3, 4, 5), (1, 28, 28)])
)
def test_a_step_aside_keeps_the_distance_and_turns_by_the_angle_of_delta(
    seed: int, delta: float, shape: tuple[int, int, int]
) -> None:
    """The new direction from the image is at the angle arctan(delta) to the old one, in the plane of that and the noise."""
    source = generator(seed)
    x, point = (torch.rand(5, *shape, generator=source).double() for _ in range(2))
    noise = torch.randn(5, *shape, generator=source).double()
    moved = orthogonal(x, point, torch.full((5,), delta).double(), noise)
    torch.testing.assert_close(distances(x, moved), distances(x, point))
    before, after = (point - x).flatten(1), (moved - x).flatten(1)
    angle = torch.cosine_similarity(before, after)
    torch.testing.assert_close(angle, torch.full_like(angle, 1 / math.sqrt(1 + delta**2)))
    aside = after * math.sqrt(1 + delta**2) - before
    share = (noise.flatten(1) * before).sum(1) / (before * before).sum(1)
    level = noise.flatten(1) - share[:, None] * before
    torch.testing.assert_close(torch.cosine_similarity(aside, level), torch.ones(5).double())


@pytest.mark.parametrize("rate", [ORTHOGONAL, CLOSER, 0.2])
@pytest.mark.parametrize("factor", [0.5, 0.667, 0.75])
def test_step_sizes_stay_where_the_share_of_successes_is_their_rate(rate: float, factor: float) -> None:
    """After k successes of m answers the size is a^((rate m - k) / 2), in whatever order they came."""
    successes = torch.rand(50, generator=generator()) < 0.4
    size, a = torch.tensor([1e-3]).double(), torch.tensor([factor]).double()
    for success in successes:
        size = adapted(size, a, success[None], rate)
    expected = 1e-3 * factor ** ((rate * 50 - int(successes.sum())) / 2)
    assert float(size) == pytest.approx(expected)
    assert float(adapted(torch.tensor([0.99]), a, torch.tensor([True]), rate)) == 1.0  # and no further


def test_a_factor_of_one_leaves_the_steps_as_they_are() -> None:
    """Steps closer of 10%, none of which is ever made smaller, so that the distances are powers of .9 of the first."""
    victim = halfspace()
    x, y = problem(4, victim)
    x, victim.bounds = x, (-100.0, 100.0)  # nothing is clipped
    start = x + 50 * (1 - 2 * y).view(-1, 1, 1, 1) * (victim.w / victim.w.norm()).float().view(1, *SHAPE)
    trace = attack(victim, x, y, start=start, epsilon=0.1, step_adapt=1.0, iterations=20, trials=50).trace_distance
    ratios = trace[1:] / trace[:-1]
    assert bool(((ratios - 0.9).abs().minimum((ratios - 1).abs()) < 1.1 * OUTWARD).all())  # the last lies farther out


# --- an image and not its batch ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Halfspace, Ball])
def test_neither_order_nor_split_of_the_batch_matters(kind: type[Halfspace]) -> None:
    """Each with its own settings, one of them without a start."""
    victim = halfspace(kind) if kind is Halfspace else Ball(torch.ones(16), 1.0)
    x, y = problem(7, victim)
    own = {
        "iterations": torch.tensor([20, 5, 30, 0, 12, 9, 25]),
        "delta": torch.linspace(0.005, 0.05, 7),
        "epsilon": torch.linspace(0.05, 0.005, 7),
        "step_adapt": torch.linspace(0.5, 0.75, 7),
        "trials": torch.tensor([500, 500, 3, 500, 2, 500, 500]),
        "ids": torch.arange(7),
    }

    def part(indices: Tensor, **changes: Any) -> Decided:
        return attack(victim, x[indices], y[indices], **{k: v[indices] for k, v in own.items()}, **changes)

    whole = part(torch.arange(7))
    assert len(set(whole.answers.tolist())) > 3
    shuffled = torch.randperm(7, generator=generator())
    same(whole, part(shuffled), shuffled)
    for sizes in ([1] * 7, [2, 5], [4, 3]):
        for indices in torch.arange(7).split(sizes):
            same(whole, part(indices), indices)
    same(whole, part(torch.arange(7), max_batch=3), torch.arange(7))


def test_other_ids_and_other_generators_give_other_attacks() -> None:
    victim = halfspace()
    x, y = problem(3, victim)
    first = attack(victim, x, y).adversarial
    assert torch.equal(attack(victim, x, y).adversarial, first)
    assert not torch.equal(attack(victim, x, y, seed=1).adversarial, first)
    assert not torch.equal(attack(victim, x, y, ids=torch.tensor([7, 8, 9])).adversarial, first)
    source = generator()
    assert not torch.equal(*(attack(victim, x, y, generator=source).adversarial for _ in range(2)))
    twins = attack(victim, x[:1].repeat(2, 1, 1, 1), y[:1].repeat(2)).adversarial
    assert not torch.equal(twins[0], twins[1])


# --- what is counted, and when each image ends ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "flips", "changes"), [(Halfspace, (), {}), (Noisy, (0.1,), {"lead": 3, "check_answers": 20})]
)
def test_answers_and_calls_are_the_victims_own_count(kind: Any, flips: tuple[float, ...], changes: Any) -> None:
    victim = halfspace(kind, *flips)
    x, y = problem(6, victim)
    found = attack(victim, x, y, max_batch=50, **changes)
    assert int(found.answers.sum()) == victim.shown and found.calls == victim.calls


def test_a_start_costs_seven_answers_of_bisection() -> None:
    """One for the image, one for the start handed in, those that halve the way to a share of .01, and one farther out."""
    victim = halfspace()
    x, y = problem(6, victim)
    start = (x + 0.3 * ((1 - 2 * y).view(-1, 1, 1, 1) * victim.w.sign().float().view(1, *SHAPE))).clamp(0, 1)
    found = attack(victim, x, y, start=start, iterations=0)
    assert found.answers.tolist() == [1 + 1 + 7 + 1] * 6
    share = victim.score(x) / (victim.score(x) - victim.score(start))  # of the way, where the boundary is
    excess = found.distance / distances(x, start) - share
    assert bool((excess > 0).all()) and bool((excess <= (2**-7 + 1e-6) * (1 + OUTWARD) + OUTWARD).all())


def test_every_image_ends_after_its_own_iterations() -> None:
    victim = halfspace()
    x, y = problem(3, victim)
    found = attack(victim, x, y, iterations=torch.tensor([0, 2, 5]))
    assert (found.trace_distance.diff(dim=0) < 0).sum(0).tolist() == [0, 2, 5]
    assert (found.trace_answers.diff(dim=0) >= 2).sum(0).tolist() == [0, 2, 5] and found.trace_answers.shape == (6, 3)


class Rounded(Halfspace):
    """Its score is rounded otherwise in batches of another size, as a network's is in float32."""

    def score(self, x: Tensor) -> Tensor:
        return super().score(x) + 1e-6 * math.sin(len(x))


def test_what_a_plain_victim_is_shown_again_in_other_batches_it_answers_the_same() -> None:
    victim = halfspace(Rounded)
    x, y = problem(20, victim)
    found = attack(victim, x, y, iterations=150)
    exact = (Halfspace.score(victim, x).abs() / victim.w.norm()).float()
    assert float((found.distance / exact).median()) < 1 + 2 * OUTWARD  # the walk was at the boundary
    assert bool((Halfspace.score(victim, found.adversarial).abs() > 2e-6).all())
    for batch in (1, 2, 5, 20):
        for part, labels in zip(found.adversarial.split(batch), y.split(batch), strict=True):
            assert bool((victim(part).argmax(1) != labels).all())


class Wall(Halfspace):
    """Nothing is adversarial but the exact start."""

    def score(self, x: Tensor) -> Tensor:
        return torch.where((x == 1).flatten(1).all(1), 1.0, -1.0).double()


def test_an_image_ends_after_its_own_number_of_candidates_in_vain() -> None:
    victim = Wall(torch.ones(16), 0.0)
    x, start = torch.full((3, *SHAPE), 0.3), torch.ones(3, *SHAPE)
    found = attack(victim, x, torch.zeros(3).long(), start=start, trials=torch.tensor([1, 10, 40]))
    assert found.answers.tolist() == [10 + 1, 10 + 10, 10 + 40] and found.trace_answers[-1].tolist() == [11, 20, 50]
    assert torch.equal(found.adversarial, start) and bool(found.found.all())


def test_an_image_ends_once_epsilon_is_small() -> None:
    """The same walk four times over, cut off ever later."""
    victim = halfspace()
    x, y = (part.repeat(4, *[1] * (part.dim() - 1)) for part in problem(1, victim))
    least, ids = torch.tensor([0.5, 0.08, 0.03, 0.0]), torch.zeros(4).long()
    found = attack(victim, x, y, iterations=40, epsilon=0.1, min_epsilon=least, ids=ids)
    assert bool((found.answers.diff() > 0).all()) and bool((found.distance.diff() <= 0).all())
    assert found.trace_answers[0, 0] == found.answers[0]


@given(budget=st.integers(1, 200), seed=st.integers(0, 100))
@settings(max_examples=6)
def test_no_candidate_is_tried_after_the_budget(budget: int, seed: int) -> None:
    victim = halfspace()
    x, y = problem(3, victim, seed)
    budgets = torch.tensor([budget, 2 * budget, 10_000])
    found = attack(victim, x, y, seed, budget=budgets, iterations=15)
    for first, last, rounds, own in zip(
        found.trace_answers[0], found.answers, (found.trace_distance.diff(dim=0) < 0).sum(0), budgets, strict=True
    ):
        assert last <= max(first, own + 1) and (last >= own or rounds == 15)


def test_an_image_that_is_adversarial_already_is_left_alone() -> None:
    victim = halfspace()
    x, y = problem(4, victim)
    y[1] = 1 - y[1]
    found = attack(victim, x, y)
    assert torch.equal(found.adversarial[1], x[1]) and bool(found.found[1])
    assert found.answers[1] == 1 and found.distance[1] == 0
    assert bool((found.distance[[0, 2, 3]] > 0).all())


def test_in_half_the_answers_it_comes_as_close_as_with_twenty_candidates_at_a_time() -> None:
    """The published loop, in its own words, on the same plane: 20 on the sphere, those closer of them, the closest kept."""
    victim = halfspace()
    x, y = problem(6, victim)
    start = (x + 0.3 * ((1 - 2 * y).view(-1, 1, 1, 1) * victim.w.sign().float().view(1, *SHAPE))).clamp(0, 1)
    theirs, spent = [], 0
    for image, label, point in zip(x.split(1), y.tolist(), start.split(1), strict=True):
        distance, asked = published(victim, image, label, point, iterations=20)
        theirs.append(distance)
        spent += asked
    ours = attack(victim, x, y, start=start, iterations=1000, budget=spent // 12 - 2)
    assert int(ours.answers.sum()) <= spent / 2
    assert ours.distance.median() <= torch.tensor(theirs).median()


def published(victim: Halfspace, x: Tensor, label: int, point: Tensor, *, iterations: int) -> tuple[float, int]:
    """The distance after so many iterations with 20 candidates each, and how many answers they took."""
    delta = epsilon = 0.01
    source, before = generator(), victim.shown

    def adversarial(points: Tensor) -> Tensor:
        return victim(points).argmax(1) != label

    def changed(size: float, share: float) -> float:
        return size * 0.667 if share < 0.2 else size / 0.667 if share > 0.5 else size

    for _ in range(iterations):
        good = torch.zeros(0)
        while len(good) == 0:
            noise = torch.randn(20, *SHAPE, generator=source)
            each = point.expand(20, -1, -1, -1)
            candidates = orthogonal(x.expand_as(each), each, torch.full((20,), delta), noise).clamp(0, 1)
            which = adversarial(candidates)
            delta, good = changed(delta, float(which.double().mean())), candidates[which]
        closer = torch.zeros(0)
        while len(closer) == 0:
            candidates = good + epsilon * (x - good)
            which = adversarial(candidates)
            epsilon, closer = changed(epsilon, float(which.double().mean())), candidates[which]
        point = closer[(closer - x).flatten(1).norm(dim=1).argmin()][None]
    return float((point - x).norm()), victim.shown - before


# --- starts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tries", [1, 5, 100])
def test_a_victim_that_never_changes_its_answer_is_reported_and_its_tries_counted(tries: int) -> None:
    victim = Halfspace(torch.ones(16), 1e9)
    x, y = torch.rand(3, *SHAPE, generator=generator()), torch.zeros(3).long()
    found = attack(victim, x, y, start_tries=tries)
    assert not found.found.any() and bool(found.distance.isinf().all()) and bool(found.trace_distance.isinf().all())
    assert torch.equal(found.adversarial, x)
    assert found.answers.tolist() == [1 + tries] * 3


def test_failed_starts_do_not_disturb_their_neighbours() -> None:
    victim = halfspace()
    x, y = problem(6, victim)
    alone = attack(victim, x, 1 - y, targeted=True)
    wanted = torch.where(torch.arange(6) % 2 == 0, 1 - y, 2)
    mixed = attack(Third(victim.w, victim.b), x, wanted, targeted=True)
    assert mixed.found.tolist() == [True, False] * 3
    assert torch.equal(mixed.adversarial[::2], alone.adversarial[::2])
    assert torch.equal(mixed.adversarial[1::2], x[1::2]) and bool(mixed.distance[1::2].isinf().all())


def test_a_start_handed_in_is_used_only_where_it_is_adversarial() -> None:
    victim = halfspace()
    x, y = problem(2, victim)
    start = (x + 0.3 * ((1 - 2 * y).view(-1, 1, 1, 1) * victim.w.sign().float().view(1, *SHAPE))).clamp(0, 1)
    start[1] = x[1]
    found = attack(victim, x, 1 - y, targeted=True, start=start)
    assert found.found.tolist() == [True, False] and found.answers[1] == 2
    assert torch.equal(found.adversarial[1], x[1])


# --- a victim that contradicts itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize("flips", [0.1, 0.2])
def test_a_naive_walk_drifts_to_where_the_true_label_wins(flips: float) -> None:
    """One lucky answer is enough for a step: the point ends on the image's own side, where such luck is rarer than not."""
    victim = halfspace(Noisy, flips)
    x, y = problem(12, victim)
    found = attack(victim, x, y, iterations=30, trials=100, **PLAIN)
    assert bool(found.found.all())
    assert away(victim, found, y).double().mean() <= 0.25


@pytest.mark.parametrize("seed", [0, 1])
def test_a_walk_that_stands_still_ends_where_it_would_have_stood(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the answers calls any point adversarial: too few for the steps to grow again, enough to go on for long."""

    def walked(still: float) -> Decided:
        monkeypatch.setattr(sys.modules["lib.evasion.boundary"], "STILL", still)  # the name is the function's too
        victim = halfspace(Noisy, 0.2)  # draws the same flips in the same order
        return attack(victim, *problem(1, victim, seed), seed, iterations=5000, budget=12_000, **PLAIN)

    ended, longer = walked(STILL), walked(0.0)
    assert torch.equal(ended.adversarial, longer.adversarial) and torch.equal(ended.distance, longer.distance)
    assert ended.answers < 5000 and longer.answers >= 12_000


@pytest.mark.parametrize(("flips", "lead", "iterations"), [(0.1, 1, 20), (0.2, 6, 40)])
def test_an_aware_walk_fools_the_vote(flips: float, lead: int, iterations: int) -> None:
    """What most answers say is known here: the half-space's own class."""
    victim = halfspace(Noisy, flips)
    x, y = problem(12, victim)
    found = attack(victim, x, y, iterations=iterations, trials=100, lead=lead, check_answers=50)
    assert bool(found.found.all()) and away(victim, found, y).double().mean() >= 0.9
    exact = victim.score(x).abs() / victim.w.norm()
    assert float((found.distance / exact).median()) < (2.5 if lead == 1 else 1.3)


def test_what_cannot_stand_its_check_is_reported() -> None:
    """Heads or tails for every image: a single answer finds a start, and nothing is ever clearly adversarial."""
    victim = Noisy(torch.zeros(16), -1.0, 0.5)
    x, y = torch.rand(6, *SHAPE, generator=generator()), torch.zeros(6).long()
    assert attack(victim, x, y, iterations=1, **PLAIN).found.all()
    aware = attack(victim, x, y, iterations=1, check_answers=200)
    assert not aware.found.any() and torch.equal(aware.adversarial, x) and bool(aware.distance.isinf().all())


def test_a_start_is_not_lost_to_a_fluke() -> None:
    """Often an answer calls the image itself adversarial, and the check refuses it: then the start is asked about."""

    class Fluke(Noisy):
        def forward(self, x: Tensor) -> Tensor:
            sure = Halfspace.forward(self, x)
            return torch.where((x.amax((1, 2, 3)) > 0.99)[:, None], sure, super().forward(x))

    victim = halfspace(Fluke, 0.4)
    x, y = problem(20, victim)
    start = (x + 100 * ((1 - 2 * y).view(-1, 1, 1, 1) * victim.w.sign().float().view(1, *SHAPE))).clamp(0, 1)
    assert attack(victim, x, y, start=start, iterations=1, check_answers=50, budget=2000).found.all()


def test_a_point_that_fails_is_called_back_no_further_than_it_must() -> None:
    """To the boundary on the line between the point and one that passed, to 1/32 of that line."""
    victim = halfspace(Noisy, 0.05)
    x, y = problem(10, victim)
    passed = (x + 0.4 * ((1 - 2 * y).view(-1, 1, 1, 1) * victim.w.sign().float().view(1, *SHAPE))).clamp(0, 1)
    oracle, owner = DecisionOracle(victim, x, y), torch.arange(10)
    back = called_back(oracle, x, passed, owner, 50)
    share = victim.score(x) / (victim.score(x) - victim.score(passed))
    excess = distances(x, back) / distances(x, passed) - share
    assert bool((excess > 0).all()) and bool((excess <= 1 / 32 + 1e-6).all())
    assert oracle.answers.tolist() == [(6 + SURE) * 50] * 10  # five halves of the line, and the one chosen once more
    again = called_back(oracle, passed, x, owner, 50)
    assert torch.equal(again, passed) and oracle.answers.tolist() == [(6 + SURE + 1 + SURE) * 50] * 10


@pytest.mark.parametrize("changes", [{"lead": 7}, {"check_answers": 50}])
def test_where_nothing_is_random_awareness_costs_nothing(changes: dict[str, Any]) -> None:
    victim = halfspace()
    x, y = problem(4, victim)
    plain, aware = attack(victim, x, y), attack(victim, x, y, **changes)
    for field in fields(Decided):
        one, other = getattr(plain, field.name), getattr(aware, field.name)
        assert torch.equal(one, other) if isinstance(one, Tensor) else one == other, field.name


# --- what always holds ------------------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32 - 1),
    values=st.sampled_from(["uniform", "black and white"]),
    low=st.sampled_from([0.0, -1.0]),
    delta=st.floats(1e-3, 1.0),
    epsilon=st.floats(1e-3, 1.0),
    step_adapt=st.floats(0.1, 1.0),
    targeted=st.booleans(),
    noisy=st.booleans(),
)
@settings(max_examples=12)
def test_images_stay_inside_the_bounds_distances_only_fall_and_what_is_found_is_adversarial(
    seed: int, values: str, low: float, delta: float, epsilon: float, step_adapt: float, targeted: bool, noisy: bool
) -> None:
    victim = halfspace(Noisy, 0.2, seed=seed % 1000) if noisy else halfspace(seed=seed % 1000)
    victim.bounds = (low, 1.0)
    x = torch.rand(4, *SHAPE, generator=generator(seed))
    x = low + (1 - low) * (x.round() if values == "black and white" else x)
    y = torch.tensor([0, 1, 0, 1])
    before = x.clone()
    found = attack(
        victim,
        x,
        y,
        seed,
        targeted=targeted,
        delta=delta,
        epsilon=epsilon,
        step_adapt=step_adapt,
        iterations=5,
        lead=5,
        check_answers=50,
        trials=20,
    )
    assert torch.equal(x, before) and found.adversarial.dtype == x.dtype
    for smallest, largest in (victim.range, (float(found.adversarial.min()), float(found.adversarial.max()))):
        assert low <= smallest and largest <= 1
    reached = ((victim.score(found.adversarial) > 0).long() == y) == targeted
    assert bool(reached[found.found].all())
    assert torch.equal(found.adversarial[~found.found], x[~found.found])
    assert torch.equal(found.distance.isinf(), ~found.found)
    last = found.trace_distance[1:] == found.distance  # may lie a little farther out, where nothing is random
    falls = found.trace_distance[1:] <= found.trace_distance[:-1] * torch.where(last, 1 + 2 * OUTWARD, 1.0)
    assert bool(falls.all()) and bool((found.trace_answers.diff(dim=0) >= 0).all())
    assert torch.equal(found.trace_distance[-1], found.distance) and torch.equal(found.trace_answers[-1], found.answers)
    torch.testing.assert_close(found.distance[found.found], distances(x, found.adversarial)[found.found])


def test_no_images_give_no_images() -> None:
    found = attack(halfspace(), torch.zeros(0, *SHAPE), torch.zeros(0).long())
    assert found.adversarial.shape == (0, *SHAPE) and found.answers.shape == (0,) and found.calls == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"iterations": -1}, "iterations: expected a whole number of at least 0, got -1"),
        (
            {"iterations": torch.tensor([1])},
            "iterations: expected a whole number in [0, inf] or a tensor of one for each",
        ),
        ({"trials": 0}, "trials: "),
        ({"budget": 0}, "budget: "),
        ({"delta": 0.0}, "delta: expected a finite number in [1e-06, 1], got 0.0"),
        (
            {"delta": torch.tensor([0.1, math.nan])},
            "delta: expected a number in [1e-06, 1] or a tensor of one for each",
        ),
        ({"delta": torch.tensor([0.1])}, "delta: expected a number in [1e-06, 1] or a tensor of one"),
        ({"epsilon": 1.5}, "epsilon: "),
        ({"epsilon": "0.01"}, "epsilon: "),
        ({"step_adapt": 0.0}, "step_adapt: "),
        ({"step_adapt": torch.tensor([0.5, 1.5])}, "step_adapt: "),
        ({"min_epsilon": -0.1}, "min_epsilon: "),
        ({"start_tries": 0}, "start_tries: "),
        ({"lead": 0}, "lead: "),
        ({"check_answers": -1}, "check_answers: "),
        ({"max_batch": 0}, "max_batch: "),
        (
            {"ids": torch.tensor([1])},
            "ids: expected a whole number in [0, inf] or a tensor of one for each",
        ),
        (
            {"start": torch.zeros(2, 1, 3, 3)},
            "start: expected values in [0, 1], shape and type as of x, (2, 1, 4, 4)",
        ),
        ({"start": torch.full((2, *SHAPE), math.nan)}, "start: "),
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
