"""JSMA: every pair against best pairs, victims whose pairs are known, its rules one by one, and torchattacks' implementation."""

from __future__ import annotations

import copy
import math
from functools import partial
from itertools import combinations
from typing import Any

import pytest
import small_digits
import torch
import torchattacks
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lib import evasion
from lib.errors import BadValue
from lib.evasion import FORMS, Look, saliency
from lib.models import Network
from lib.uncertainty import Deterministic, MonteCarloDropout

jsma = partial(evasion.jsma, targeted=True)


@pytest.fixture
def network() -> Network:
    return small_digits.network()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Linear(nn.Module):
    """Logits W x + b."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(len(weight)) if bias is None else bias)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T + self.bias


def two_classes(towards: list[float], bias: float = -100.0) -> Linear:
    """Class 1 gains by each feature what class 0 loses; `bias` is class 1's arrears."""
    weight = torch.tensor(towards)
    return Linear(torch.stack([-weight, weight]), torch.tensor([0.0, bias]))


def row(values: list[float]) -> Tensor:
    """One image of a single row."""
    return torch.tensor(values).view(1, 1, 1, -1)


def answers(victim: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = victim(x).argmax(1)
    return found


def changed(found: Tensor, x: Tensor) -> Tensor:
    return (found != x).flatten(1).sum(1)


ONE = torch.tensor([1])

# --- the best pair ----------------------------------------------------------------------------------------------------


def tried(gain: list[float], loss: list[float], domain: list[bool]) -> float:
    """The best score by trying every pair; 0 if none has both sums positive."""
    sums = (
        (gain[p] + gain[q], loss[p] + loss[q]) for p, q in combinations([i for i, free in enumerate(domain) if free], 2)
    )
    return max((a * b for a, b in sums if a > 0 and b > 0), default=0.0)


# Eighths in float32: sums and products are exact, ties are common.
EIGHTHS = st.integers(-16, 16).map(lambda i: i / 8)


@st.composite
def maps(draw: st.DrawFn) -> list[tuple[list[float], list[float], list[bool]]]:
    """The maps of a few images that have the same number of features."""
    features = draw(st.integers(1, 12))
    values = st.lists(
        draw(st.sampled_from([EIGHTHS, st.integers(-1, 1).map(float)])), min_size=features, max_size=features
    )
    flags = st.lists(st.booleans() if draw(st.booleans()) else st.just(True), min_size=features, max_size=features)
    return draw(st.lists(st.tuples(values, values, flags), min_size=1, max_size=4))


@settings(max_examples=200)
@given(maps())
def test_the_best_pair_is_the_best_of_all(maps: list[tuple[list[float], list[float], list[bool]]]) -> None:
    gain, loss, domain = (torch.tensor(part) for part in zip(*maps, strict=True))
    pairs, scores = saliency.best_pairs(gain, loss, domain)
    for (p, q), score, (gains, losses, free) in zip(pairs.tolist(), scores.tolist(), maps, strict=True):
        assert score == tried(gains, losses, free)
        if score > 0:
            assert p != q and free[p] and free[q]
            assert (gains[p] + gains[q]) * (losses[p] + losses[q]) == score


@pytest.mark.parametrize("seed", range(5))
def test_among_many_features_too(seed: int) -> None:
    """As many as an MNIST image has; also when gain and loss go against each other, and most features are in the way."""
    gain, loss = torch.randn(2, 3, 784, generator=generator(seed), dtype=torch.float64)
    loss[1] = loss[1] / 10 - gain[1]
    loss[2] = 2 - gain[2]  # no feature surpasses another
    domain = torch.rand(3, 784, generator=generator(seed)) < 0.9
    pairs, scores = saliency.best_pairs(gain, loss, domain)
    for i in range(3):
        gains, losses = gain[i, :, None] + gain[i], loss[i, :, None] + loss[i]
        free = domain[i, :, None] & domain[i] & ~torch.eye(784, dtype=torch.bool)
        score = torch.where((gains > 0) & (losses > 0) & free, gains * losses, 0)
        assert float(scores[i]) == float(score.max()) == float(score[*pairs[i]])


def test_a_small_memory_gives_the_same_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    gain, loss = torch.randn(2, 6, 100, generator=generator())
    domain = torch.ones(6, 100, dtype=torch.bool)
    at_once = saliency.best_pairs(gain, loss, domain)
    shapes: list[int] = []
    best = saliency._best
    monkeypatch.setattr(saliency, "_best", lambda gain, loss: shapes.append(len(gain)) or best(gain, loss))
    monkeypatch.setattr(saliency, "MAX_PAIRS", 1)
    one_by_one = saliency.best_pairs(gain, loss, domain)
    assert shapes == [1] * 6
    assert all(torch.equal(*both) for both in zip(at_once, one_by_one, strict=True))


# --- closed forms -----------------------------------------------------------------------------------------------------


def test_the_pairs_of_a_linear_victim_follow_its_weights() -> None:
    victim = two_classes([3.0, -9.0, 5.0, 4.0, -1.0, 1.0])
    x = row([0.0, 0.0, 0.25, 0.0, 0.5, 0.5])
    for gamma, expected in (
        (0.34, [0.0, 0.0, 1.0, 1.0, 0.5, 0.5]),  # one pair: 5 and 4
        (0.67, [1.0, 0.0, 1.0, 1.0, 0.5, 1.0]),  # two: 3 and 1
        (1.00, [1.0, 0.0, 1.0, 1.0, 0.5, 1.0]),  # of -9 and -1 there is no third
    ):
        assert torch.equal(jsma(victim, x, ONE, gamma=gamma), row(expected))


def test_the_map_sets_what_the_target_gains_against_what_all_others_lose() -> None:
    """Feature 0 gives the target most, and the third class more; 1 and 2 are the best pair."""
    weight = torch.tensor([[0.0, -1.0, -1.0, 0.0], [9.0, 2.0, 1.5, 1.0], [8.9, 0.0, -1.0, -1.0]])
    found = jsma(Linear(weight, torch.tensor([0.0, -100.0, 0.0])), row([0.0] * 4), ONE, gamma=0.5)
    assert torch.equal(found, row([0.0, 1.0, 1.0, 0.0]))


@pytest.mark.parametrize(("bias", "pairs"), [(-3.0, 1), (-4.5, 2), (-8.5, 3), (1.0, 0)])
@pytest.mark.filterwarnings("ignore::lib.errors.VictimWarning")  # its scores happen to lie in [0, 1] and to sum to 1
def test_it_stops_where_the_target_is_reached(bias: float, pairs: int) -> None:
    """Every pair raises the margin of class 1 by 4."""
    victim, x = two_classes([1.0] * 8, bias), row([0.0] * 8)
    found = jsma(victim, x, ONE, gamma=1.0)
    assert changed(found, x).tolist() == [2 * pairs] and answers(victim, found).tolist() == [1]


def test_decreasing_a_victims_features_is_increasing_their_negatives(network: Network) -> None:
    class Negative(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = network(1 - x)
            return logits

    x, y = small_digits.images(10)
    x = (256 * x).round() / 256  # so that 1 - x is exact
    up = jsma(Negative(), x, (y + 1) % 10, theta=0.5, gamma=0.2)
    down = jsma(network, 1 - x, (y + 1) % 10, theta=-0.5, gamma=0.2)
    assert int(changed(up, x).min()) > 0
    assert torch.equal(down, 1 - up)


# --- the rules --------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    features=st.integers(1, 15),
    theta=st.sampled_from([-1.0, -0.3, 0.0, 0.3, 1.0]),
    gamma=st.floats(0, 1),
    bounds=st.sampled_from([(0.0, 1.0), (-1.0, 0.5)]),
)
def test_no_feature_changes_twice_and_no_more_than_gamma_allows(
    seed: int, features: int, theta: float, gamma: float, bounds: tuple[float, float]
) -> None:
    source, (low, high) = generator(seed), bounds
    victim = Linear(torch.randn(3, features, generator=source), torch.tensor([0.0, -1e3, 0.0]))
    victim.bounds = bounds
    x = low + (high - low) * torch.rand(4, 1, 1, features, generator=source)
    x = torch.where(torch.rand(x.shape, generator=source) < 0.3, x.new_tensor(low), x)
    before = x.clone()
    found = jsma(victim, x, torch.ones(4, dtype=torch.long), theta=theta, gamma=gamma)
    once = (x + theta).clamp(low, high)
    assert torch.equal(x, before) and found.shape == x.shape and not found.requires_grad
    assert bool(((found == x) | (found == once)).all())
    assert int(changed(found, x).max()) <= 2 * math.floor(gamma * features / 2)


def test_a_budget_can_be_spent() -> None:
    x = row([0.0] * 20)
    for gamma, features in ((0.0, 0), (0.09, 0), (0.1, 2), (0.19, 2), (0.5, 10), (0.55, 10), (1.0, 20)):
        assert changed(jsma(two_classes([1.0] * 20), x, ONE, gamma=gamma), x).tolist() == [features]


@pytest.mark.filterwarnings("ignore::lib.errors.VictimWarning")  # its scores happen to lie in [0, 1] and to sum to 1
def test_without_a_pair_of_positive_score_the_image_stays_as_it_is() -> None:
    """CleverHans and torchattacks would change feature 0."""
    x = row([0.25] * 4)
    for victim in (
        two_classes([-1.0] * 4),  # every feature leads away from the target
        two_classes([0.0] * 4),  # or nowhere
        Linear(torch.tensor([[1.0] * 4, [1.0] * 4]), torch.tensor([0.0, -1.0])),  # the others gain as much
    ):
        assert torch.equal(jsma(victim, x, ONE, gamma=1.0), x)


@pytest.mark.parametrize(("theta", "bound"), [(1.0, 1.0), (-1.0, 0.0)])
def test_features_at_their_bound_are_out_of_the_search(theta: float, bound: float) -> None:
    victim = two_classes([9 * theta, 8 * theta, 1 * theta, 2 * theta])
    one_left, two_left = row([bound, bound, bound, 0.5]), row([bound, bound, 0.5, 0.5])
    assert torch.equal(jsma(victim, one_left, ONE, theta=theta, gamma=1.0), one_left)
    assert torch.equal(
        jsma(victim, two_left, ONE, theta=theta, gamma=1.0),
        row([bound, bound, 1 - (1 - theta) / 2, 1 - (1 - theta) / 2]),
    )


@pytest.mark.parametrize("sizes", [[1] * 7, [3, 4]])
def test_an_images_result_does_not_depend_on_the_others(sizes: list[int], network: Network) -> None:
    x, y = small_digits.images(7)
    target = (y + 1) % 10
    whole = jsma(network, x, target, gamma=0.2)
    assert len(set(changed(whole, x).tolist())) > 3  # they end at different steps
    parts = [jsma(network, *part, gamma=0.2) for part in zip(x.split(sizes), target.split(sizes), strict=True)]
    assert torch.equal(torch.cat(parts), whole)
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    assert torch.equal(jsma(network, x[order], target[order], gamma=0.2), whole[order])


def test_a_step_takes_one_pass_forward_and_two_backward_of_the_images_still_going(network: Network) -> None:
    """Not one backward for every class."""
    shown: list[int] = []
    differentiated: list[int] = []

    class Counted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = network(x)
            shown.append(len(x))
            logits.register_hook(lambda gradient: differentiated.append(len(gradient)))
            return logits

    x, y = small_digits.images(7)
    found = jsma(Counted(), x, (y + 1) % 10, gamma=0.2)
    steps = changed(found, x).div(2, rounding_mode="floor")
    assert len(shown) <= 1 + int(steps.max()) and len(differentiated) == 2 * len(shown)
    assert sum(differentiated) == 2 * sum(shown) and sum(shown) <= int((steps + 1).sum())


def test_the_victim_is_left_as_it_was(network: Network) -> None:
    x, y = small_digits.images(3)
    before = copy.deepcopy(network.state_dict())
    network.head.bias.requires_grad_(False)
    jsma(network, x, (y + 1) % 10)
    assert all(parameter.grad is None for parameter in network.parameters())
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    assert frozen == ["head.bias"]
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_no_images_give_no_images() -> None:
    assert jsma(two_classes([1.0] * 4), torch.zeros(0, 1, 1, 4), ONE[:0]).shape == (0, 1, 1, 4)


# --- random victims ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_random_victim_is_attacked_by_the_draws_of_its_generator(form: str, network: Network) -> None:
    x, y = small_digits.images(5)

    def attack(seed: int) -> Tensor:
        victim = MonteCarloDropout(network, generator=generator(seed), draws=3)
        return jsma(Look(victim, form, draws=3), x, (y + 1) % 10, gamma=0.2)

    found = attack(1)
    assert torch.equal(found, attack(1)) and not torch.equal(found, attack(2))
    assert int(changed(found, x).min()) > 0 and int(changed(found, x).max()) <= 50


def test_a_victim_that_is_not_random_looks_the_same_in_every_form(network: Network) -> None:
    x, y = small_digits.images(5)
    plain = jsma(network, x, (y + 1) % 10)
    for form in FORMS:
        look = Look(Deterministic(network), form, draws=3)
        assert torch.equal(jsma(look, x, (y + 1) % 10), plain)


# --- torchattacks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [1.0, 0.4])
def test_torchattacks_makes_the_same_images(theta: float, network: Network) -> None:
    """Where its rules are ours. They differ at three points, none of which the problem touches.

    It takes a feature within 0.01 of its bound out of the search, we take one at it: no image here has one between. It rounds
    gamma * features / 2 up, we down: here it is whole. Where no pair has a positive score it changes feature 0. A pair may
    differ where rounding decides between two. With a negative theta torchattacks changes feature 0 alone: it looks for
    the largest of scores that are none of them positive.
    """
    x, y = small_digits.images(15)
    x = torch.where(x > 0.98, 1.0, x)
    target = (y + 1) % 10
    attack = torchattacks.JSMA(network, theta=theta, gamma=0.125)  # 16 pairs of 256 features
    attack.set_mode_targeted_by_label(quiet=True)
    theirs, ours = attack(x, target), jsma(network, x, target, theta=theta, gamma=0.125)
    apart = (theirs - ours).abs().flatten(1).amax(1) > 1e-6
    assert int(apart.sum()) <= 2
    reached = [answers(network, found) == target for found in (ours, theirs)]
    assert int(reached[0].sum()) >= int(reached[1].sum()) > 0


# --- refusals ---------------------------------------------------------------------------------------------------------


class Never(nn.Module):
    """A victim that may not be asked."""

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("the victim was asked before the settings were checked")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"theta": 1.5}, "theta: expected a finite number in [-1, 1], got 1.5"),
        ({"theta": math.nan}, "theta: "),
        ({"theta": "1"}, "theta: "),
        ({"gamma": -0.1}, "gamma: expected a finite number in [0, 1], got -0.1"),
        ({"gamma": 2}, "gamma: "),
        ({"gamma": True}, "gamma: "),
        ({"x": torch.full((2, 1, 2, 2), 1.5)}, "x: expected finite values in [0, 1], got 1.5 to 1.5"),
        ({"x": torch.full((2, 1, 2, 2), math.nan)}, "x: "),
        ({"x": torch.rand(2, 3)}, "x, y: expected (n, c, h, w) and (n,), got (2, 3) and (2,)"),
        ({"y": torch.zeros(3).long()}, "x, y: "),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(change: dict[str, Any], told: str) -> None:
    arguments = {"x": torch.rand(2, 1, 2, 2), "y": torch.zeros(2).long(), **change}
    with pytest.raises(BadValue) as caught:
        jsma(Never(), **arguments)
    assert str(caught.value).startswith(told)
