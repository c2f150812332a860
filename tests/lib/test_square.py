"""The Square attack: what it proposes, pixel by pixel, torchattacks' patterns and successes, closed forms, bounds and budgets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchattacks
from hypothesis import given
from hypothesis import strategies as st
from test_gradient_attacks import Never, generator, linear, problem
from torch import Tensor, nn

from lib.data import Dataset
from lib.errors import BadValue, VictimWarning
from lib.evasion.forms import Look, answer
from lib.evasion.square import _pair, square
from lib.models import Network
from lib.uncertainty import Deterministic, MonteCarloDropout

SHAPE = (2, 9, 8)
NORMS = pytest.mark.parametrize("norm", ["linf", "l2"])


class Stubborn(nn.Module):
    """Class 0 whatever it is shown, which it keeps; in wide bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.bounds = list[Tensor](), (-99.0, 99.0)

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.clone())
        return torch.tensor([[2.0, 0.0]]).expand(len(x), 2)


# --- what it proposes -------------------------------------------------------------------------------------------------


def test_it_proposes_squares_on_stripes() -> None:
    """Sides as the published schedule has them: p = 0.8, halved after 0.1, 0.5, 2, 5, 10, 20, 40, 60 and 80 % of the queries."""
    victim, x = Stubborn(), problem(3, SHAPE, 2)[0]
    square(victim, x, torch.zeros(3).long(), epsilon=torch.tensor([0.1, 0.2, 0.4]), queries=1000, generator=generator())
    clean, stripes, *proposals = victim.seen
    assert torch.equal(clean, x) and len(proposals) == 999
    sign = ((stripes - x) / torch.tensor([0.1, 0.2, 0.4]).view(-1, 1, 1, 1)).round(decimals=3)
    assert set(sign.flatten().tolist()) == {-1.0, 1.0} and bool((sign == sign[:, :, :1]).all())
    assert not torch.equal(sign[0], sign[1])
    for step in (0, 1, 2, 6, 21, 51, 101, 201, 401, 601, 801, 998):
        halvings = sum(step > 1000 * mark for mark in (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8))
        side = min(8, max(1, round(math.sqrt(0.8 / 2**halvings * 72))))
        signs = (proposals[step] - x) / torch.tensor([0.1, 0.2, 0.4]).view(-1, 1, 1, 1)
        torch.testing.assert_close(signs.abs(), torch.ones_like(x), atol=1e-4, rtol=0)
        for one, before in zip(signs.round(), sign, strict=True):
            rows, columns = (one != before).any(0).nonzero().unbind(1)
            spans = [(int(at.max() - at.min()) + 1 if len(at) else 0) for at in (rows, columns)]
            assert max(spans) <= side
            for channel in range(2):  # of one sign inside
                assert one[channel][one[channel] != before[channel]].unique().numel() <= 1


def test_squares_lie_everywhere() -> None:
    victim, x = Stubborn(), torch.zeros(1, 1, 6, 6)
    square(victim, x, torch.zeros(1).long(), epsilon=1.0, queries=2000, area=1e-3, generator=generator())
    stripes, *proposals = victim.seen[1:]
    touched = torch.stack([proposal != stripes for proposal in proposals]).sum(0)
    assert int(touched.min()) > 5 and int(touched.sum()) == pytest.approx(1000, abs=100)  # every other sign is another


@pytest.mark.parametrize("side", range(2, 16))
def test_the_pairs_of_peaks_are_torchattacks(side: int) -> None:
    peer = torchattacks.Square(nn.Identity(), norm="L2")
    peer.device = "cpu"
    theirs = peer.eta(side)
    assert any(torch.allclose(_pair(side, torch.device("cpu")), one, atol=1e-6) for one in (theirs, theirs.T))


def test_in_l2_it_moves_what_one_window_has_to_another_and_spends_the_whole_budget() -> None:
    victim, x = Stubborn(), problem(3, SHAPE, 2)[0]
    epsilon = torch.tensor([0.5, 1.0, 2.0])
    square(victim, x, torch.zeros(3).long(), epsilon=epsilon, norm="l2", queries=400, generator=generator())
    start, *proposals = [one - x for one in victim.seen[1:]]
    for change in (start, *proposals):
        torch.testing.assert_close(change.flatten(1).norm(dim=1), epsilon, atol=1e-4, rtol=1e-4)
    for one, before in zip(proposals[-1], start, strict=True):  # sides of 3
        same = torch.isclose(one, before, atol=1e-6).all(0)
        emptied = (one.abs() < 1e-6).all(0) & ~same
        assert int(emptied.sum()) <= 9 and int((~same).sum()) <= 18


@NORMS
def test_no_image_is_looked_at_more_often_than_it_may_be(norm: str) -> None:
    for queries in (1, 2, 7):
        victim, x = Stubborn(), problem(3, SHAPE, 2)[0]
        how = {"norm": norm, "epsilon": 0.1, "queries": queries, "restarts": 2, "generator": generator()}
        found = square(victim, x, torch.zeros(3).long(), **how)  # type: ignore[arg-type]
        assert len(victim.seen) == 1 + 2 * queries
        assert torch.equal(found, x)  # nothing made the margin smaller


# --- what it finds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("targeted", [False, True])
def test_between_two_classes_it_finds_the_corner(targeted: bool) -> None:
    """Of few pixels: windows of one pixel find the better side of each."""
    shape = (2, 3, 3)
    victim, (x, _) = linear(2, shape), problem(8, shape, 2)
    y = victim(x).argmax(1)
    towards = (victim.weight[1 - y] - victim.weight[y]).detach().view(x.shape).sign()
    label = 1 - y if targeted else y
    settings: dict[str, Any] = {"epsilon": 0.003, "queries": 400, "targeted": targeted, "generator": generator()}
    found = square(victim, x, label, **settings)
    left = victim(found).argmax(1) == y
    assert int(left.sum()) >= 4
    torch.testing.assert_close(found[left], (x + 0.003 * towards).clamp(0, 1)[left], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.1), ("l2", 1.6)])
def test_it_leaves_as_many_as_torchattacks(norm: str, epsilon: float, trained: Network, digits: Dataset) -> None:
    x, y = digits.test.take(torch.arange(100))
    victim, left = trained.eval(), []
    peer = torchattacks.Square(victim, norm=norm.replace("l", "L", 1), eps=epsilon, n_queries=150)
    for found in (peer(x, y), square(victim, x, y, norm=norm, epsilon=epsilon, queries=150, generator=generator())):
        left.append(float((victim(found).argmax(1) == y).float().mean()))
    assert 0.1 < left[0] < 0.7
    assert abs(left[1] - left[0]) <= 0.05


@NORMS
@given(
    share=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    size=st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    how=st.sampled_from([{}, {"targeted": True}, {"restarts": 2}, {"area": 0.05}]),
    bounds=st.sampled_from([(0.0, 1.0), (-1.0, 0.5)]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_result_stays_inside_the_bounds_and_each_images_budget_and_is_no_worse(
    norm: str,
    share: list[float],
    size: tuple[int, int, int],
    how: dict[str, Any],
    bounds: tuple[float, float],
    seed: int,
) -> None:
    victim, (x, y) = linear(3, size, seed), problem(3, size, 3, seed)
    x, victim.bounds = bounds[0] + (bounds[1] - bounds[0]) * x, bounds
    epsilon = torch.tensor(share) * (bounds[1] - bounds[0])
    before = x.clone()
    found = square(victim, x, y, epsilon=epsilon, norm=norm, queries=6, generator=generator(seed), **how)
    assert found.shape == x.shape and not found.requires_grad and torch.equal(x, before)
    assert float(found.min()) >= bounds[0] and float(found.max()) <= bounds[1]
    change = (found - x).flatten(1)
    spent = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
    assert bool((spent <= epsilon + 2e-6).all())

    def margins(x: Tensor) -> Tensor:
        scores = victim(x)
        return scores.gather(1, y[:, None])[:, 0] - scores.scatter(1, y[:, None], -torch.inf).amax(1)

    sign = -1 if how.get("targeted") else 1
    assert bool((sign * margins(found) <= sign * margins(x) + 1e-5).all())


def test_an_image_does_not_depend_on_what_others_need(trained: Network, digits: Dataset) -> None:
    x, y = digits.test.take(torch.arange(6))
    victim, settings = Deterministic(trained), {"epsilon": 0.1, "queries": 40, "generator": generator()}
    one = square(victim, x, y, **{**settings, "generator": generator()})  # type: ignore[arg-type]
    label = torch.where(torch.arange(6) == 2, y, (y + 1) % 10)  # the others are wrong already
    two = square(victim, x, label, **{**settings, "generator": generator()})  # type: ignore[arg-type]
    torch.testing.assert_close(one[2], two[2])
    assert not torch.equal(one[2], x[2]) and torch.equal(two[3], x[3])


@NORMS
def test_a_random_victims_averaged_answers_are_compared(
    norm: str, untrained: Callable[..., Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = MonteCarloDropout(untrained(dropout=0.5), generator=generator(5), draws=3)
    look = Look(victim, "expectation", draws=3)
    x = torch.rand(1, 1, 28, 28, generator=generator())
    y = answer(look, look.looks(x)).argmax(1)
    kept: list[tuple[float, Tensor]] = []
    whole = Look.looks

    def looks(self: Look, x: Tensor) -> Tensor:
        shown = whole(self, x)
        scores = answer(self, shown)[0]
        others = torch.cat([scores[: int(y)], scores[int(y) + 1 :]])
        kept.append((float(scores[int(y)] - others.max()), x))
        return shown

    monkeypatch.setattr(Look, "looks", looks)
    found = square(look, x, y, epsilon=0.01, norm=norm, queries=30, generator=generator())
    assert torch.equal(found, min(kept, key=lambda one: one[0])[1]) and len(kept) <= 31


# --- refusals and warnings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epsilon": -0.1}, "epsilon: "),
        ({"norm": "l1"}, "norm: unknown 'l1'"),
        ({"queries": 0}, "queries: expected a whole number of at least 1, got 0"),
        ({"restarts": 0}, "restarts: "),
        ({"area": 1.5}, "area: expected a finite number in [0, 1], got 1.5"),
        ({"generator": None}, "generator: expected a torch.Generator"),
        ({"targeted": "no"}, "targeted: "),
    ],
)
def test_settings_are_refused_by_name(change: dict[str, Any], told: str) -> None:
    x, y = problem(2, SHAPE, 2)
    with pytest.raises(BadValue) as caught:
        square(Never(), x, y, **{"epsilon": 0.1, "generator": generator(), **change})
    assert str(caught.value).startswith(told)


def test_it_needs_no_gradient_and_notices_probabilities() -> None:
    class Rounded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return linear(3, SHAPE)(x).round().detach()

    x, _ = problem(30, SHAPE, 3)
    y = Rounded()(x).argmax(1)
    with torch.inference_mode():
        found = square(Rounded(), x, y, epsilon=0.2, queries=20, generator=generator())
    assert bool((Rounded()(found.clone()).argmax(1) != y).any())
    with pytest.warns(VictimWarning, match="probabilities"):
        square(nn.Sequential(linear(3, SHAPE), nn.Softmax(1)), x, y, epsilon=0.1, queries=2, generator=generator())


def test_random_numbers_come_from_the_generator_alone() -> None:
    victim, (x, y) = linear(3, SHAPE), problem(5, SHAPE, 3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = square(victim, x, y, epsilon=0.05, queries=20, generator=generator(4))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(square(victim, x, y, epsilon=0.05, queries=20, generator=generator(4)), first)


@NORMS
def test_no_images_and_no_budget(norm: str) -> None:
    victim, (x, y) = linear(3, SHAPE), problem(2, SHAPE, 3)
    settings: dict[str, Any] = {"norm": norm, "queries": 3, "generator": generator()}
    assert square(victim, x[:0], y[:0], epsilon=0.1, **settings).shape == (0, *SHAPE)
    assert torch.equal(square(victim, x, y, epsilon=0.0, **settings), x)
