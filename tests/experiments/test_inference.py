"""The shadow attack: features by hand, and a network that finds what there is and nothing else; and a curve to keep."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from experiments.inference import (
    AttackConfig,
    AttackNet,
    membership_scores,
    permuted,
    sampled,
    spread,
    top3,
    train_attack,
)
from lib.errors import BadValue
from lib.membership import auc, auc_interval, roc, tpr_at_fpr

TIED = st.lists(st.integers(0, 4).map(float), min_size=1, max_size=12)
FREE = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=12)
SIDE = st.one_of(TIED, FREE)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def posteriors(n: int, classes: int, *, scale: float = 1.0, seed: int = 0) -> Tensor:
    return (scale * torch.randn(n, classes, generator=generator(seed))).softmax(1)


def quick(**changes: Any) -> AttackConfig:
    return AttackConfig(**{"epochs": 10, "learning_rate": 1e-2, **changes})


# --- features ---------------------------------------------------------------------------------------------------------


def test_features_by_hand() -> None:
    answers = torch.tensor([[0.1, 0.2, 0.4, 0.3], [1.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(top3(answers), torch.tensor([[0.4, 0.3, 0.2], [1.0, 0.0, 0.0]]))
    assert torch.equal(top3(torch.tensor([[0.25, 0.75]])), torch.tensor([[0.75, 0.25]]))


@given(n=st.integers(1, 5), classes=st.integers(2, 10), seed=st.integers(0, 999))
def test_sorted_features_do_not_know_the_classes(n: int, classes: int, seed: int) -> None:
    answers, order = posteriors(n, classes, seed=seed), torch.randperm(classes, generator=generator(seed))
    found = top3(answers)
    assert torch.equal(found, top3(answers[:, order])) and found.shape == (n, min(3, classes))
    assert bool((found.diff(dim=1) <= 0).all()) and torch.equal(found[:, 0], answers.amax(1))


def test_spread_by_hand() -> None:
    """Two draws that say the opposite of classes 1 and 2, and agree on 0: deviations .3, .3, 0 and the entropy they cost."""
    draws = torch.tensor([[[0.1, 0.75, 0.15]], [[0.1, 0.15, 0.75]]], dtype=torch.float64)
    entropy = [-sum(p * math.log(p) for p in row) for row in ([0.1, 0.45, 0.45], [0.1, 0.15, 0.75])]
    found = spread(draws.log())
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.3, 0.0, entropy[0] - entropy[1]]], dtype=torch.float64))


def test_spread_is_in_the_order_of_the_largest_means() -> None:
    """Of four classes the least likely is left out, however much it moves."""
    first, second = [0.05, 0.1, 0.55, 0.3], [0.05, 0.2, 0.45, 0.3]
    found = spread(torch.tensor([[first], [second]], dtype=torch.float64).log())
    torch.testing.assert_close(found[0, :3], torch.tensor([0.05, 0.0, 0.05], dtype=torch.float64))


@given(n=st.integers(1, 4), classes=st.integers(2, 6), seed=st.integers(0, 999))
def test_draws_that_agree_have_no_spread(n: int, classes: int, seed: int) -> None:
    draws = posteriors(n, classes, seed=seed).log().expand(5, -1, -1)
    found = spread(draws)
    torch.testing.assert_close(found, torch.zeros(n, min(3, classes) + 1), atol=1e-5, rtol=0)
    assert torch.equal(spread(draws[:1])[:, :-1], torch.zeros(n, min(3, classes)))  # as has one draw


@given(draws=st.integers(1, 5), seed=st.integers(0, 999))
def test_spread_is_bounded_and_knows_no_order_of_draws(draws: int, seed: int) -> None:
    logp = (5 * torch.randn(draws, 3, 4, generator=generator(seed))).log_softmax(-1)
    found = spread(logp)
    assert found.shape == (3, 4) and bool((found >= 0).all())
    assert bool((found[:, :3] <= 0.5 + 1e-6).all()) and bool((found[:, 3] <= math.log(4) + 1e-5).all())
    torch.testing.assert_close(spread(logp.flip(0)), found, atol=1e-5, rtol=0)


# --- the attack network -----------------------------------------------------------------------------------------------


CODED = {"hidden": (128, 128), "activation": "tanh"}


@pytest.mark.parametrize(
    ("changes", "features", "weights"), [({}, 3, 3 * 64 + 64 + 64 + 1), (CODED, 10, 10 * 128 + 128 + 128 * 129 + 129)]
)
def test_the_networks_are_of_their_size(changes: dict[str, Any], features: int, weights: int) -> None:
    net = AttackNet(features, AttackConfig(**changes), generator=generator())
    assert sum(weight.numel() for weight in net.parameters()) == weights
    activations = {type(layer).__name__ for layer in net.layers} - {"Linear"}
    assert activations == ({"Tanh"} if changes else {"ReLU"})
    assert net(torch.zeros(5, features)).shape == (5,)


@pytest.mark.parametrize("changes", [{}, CODED | {"standardise": False}])
def test_what_can_be_told_apart_is(changes: dict[str, Any]) -> None:
    """Members of sure posteriors, non-members of unsure ones, of a victim and its shadow alike."""
    config, feature = quick(**changes), torch.clone if changes else top3
    sides = [[feature(posteriors(300, 5, scale=scale, seed=seed)) for scale in (20.0, 0.3)] for seed in (0, 1)]
    net = train_attack(*sides[0], config, generator=generator())
    member, nonmember = (membership_scores(net, side) for side in sides[1])
    assert auc(member, nonmember) > 0.98
    assert (member >= 0).double().mean() > 0.9 and (nonmember < 0).double().mean() > 0.9


@pytest.mark.parametrize("config", [quick(), quick(hidden=(16, 16), activation="tanh", standardise=False)])
def test_where_there_is_nothing_to_find_nothing_is_found(config: AttackConfig) -> None:
    """Also not on members and non-members that are separable, but were dealt at random."""
    answers = [top3(posteriors(400, 5, scale=scale, seed=seed)) for seed, scale in enumerate((3.0, 0.3, 3.0, 0.3))]
    net = train_attack(*permuted(*answers[:2], generator(1)), config, generator=generator())
    fresh = [membership_scores(net, side) for side in permuted(*answers[2:], generator(2))]
    interval = auc_interval(*fresh, confidence=0.999)
    assert interval.low <= 0.5 <= interval.high and interval.high - interval.low < 0.2


def test_the_scores_are_log_odds() -> None:
    """Members x = 1 in 3 of 4 cases and non-members in 1 of 4: given x = 1 the odds are 3, given x = 0 a third."""
    member, nonmember = (torch.tensor(rows)[:, None] for rows in ([1.0, 1, 1, 0] * 50, [0.0, 0, 0, 1] * 50))
    net = train_attack(member, nonmember, quick(epochs=60), generator=generator())
    found = membership_scores(net, torch.tensor([[1.0], [0.0]]))
    torch.testing.assert_close(found, torch.tensor([3.0, 1 / 3]).log(), atol=0.15, rtol=0)


def test_the_larger_side_is_thinned() -> None:
    """Of nine members to one non-member, scores without information would be log 9; balanced they are 0."""
    member, nonmember = posteriors(900, 3, seed=0), posteriors(100, 3, seed=1)
    net = train_attack(member, nonmember, quick(epochs=5, learning_rate=1e-3), generator=generator())
    assert membership_scores(net, posteriors(500, 3, seed=2)).mean().abs() < 0.5


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_standardised_the_scale_of_a_feature_does_not_count(scale: float) -> None:
    member, nonmember = torch.randn(200, 2, generator=generator(0)) + 2, torch.randn(200, 2, generator=generator(1))
    plain = train_attack(member, nonmember, quick(), generator=generator())
    scaled = train_attack(scale * member + scale, scale * nonmember + scale, quick(), generator=generator())
    torch.testing.assert_close(
        membership_scores(scaled, scale * member + scale), membership_scores(plain, member), atol=0.05, rtol=0.05
    )


def test_a_feature_that_never_changes_does_no_harm() -> None:
    member, nonmember = torch.randn(200, 1, generator=generator(0)) + 4, torch.randn(200, 1, generator=generator(1))
    with_constant = [torch.cat([side, torch.full_like(side, 7.0)], 1) for side in (member, nonmember)]
    net = train_attack(*with_constant, quick(), generator=generator())
    assert auc(*(membership_scores(net, side) for side in with_constant)) > 0.99


def test_the_same_generator_gives_the_same_network() -> None:
    member, nonmember = posteriors(50, 3, seed=0), posteriors(40, 3, scale=3, seed=1)
    torch.manual_seed(0)
    first, again, other = (train_attack(member, nonmember, quick(), generator=generator(seed)) for seed in (5, 5, 6))
    found = [membership_scores(net, member) for net in (first, again, other)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    # ... and PyTorch's own is not touched.
    assert torch.equal(torch.rand(3), torch.rand(3, generator=generator(0)))


def test_scores_do_not_depend_on_the_batch() -> None:
    member, nonmember = posteriors(50, 3, seed=0), posteriors(50, 3, scale=3, seed=1)
    net = train_attack(member, nonmember, quick(), generator=generator())
    one_by_one = torch.cat([membership_scores(net, row[None]) for row in member])
    torch.testing.assert_close(one_by_one, membership_scores(net, member), atol=1e-5, rtol=1e-5)


# --- a curve to keep --------------------------------------------------------------------------------------------------


@given(member=SIDE, nonmember=SIDE, points=st.integers(2, 30))
def test_a_curve_to_keep_is_the_curve_at_its_rates(member: list[float], nonmember: list[float], points: int) -> None:
    a, b = (torch.tensor(side, dtype=torch.float64) for side in (member, nonmember))
    fpr, tpr = sampled(roc(a, b), points)
    assert tpr == [tpr_at_fpr(a, b, rate) for rate in fpr]
    assert fpr == sorted(set(fpr)) and tpr == sorted(tpr) and len(fpr) <= 2 * points
    assert (fpr[0], fpr[-1], tpr[-1]) == (0.0, 1.0, 1.0)
    assert tpr[0] == np.mean([score > max(nonmember) for score in member])


def test_its_rates_are_even_on_a_linear_and_on_a_logarithmic_scale() -> None:
    """And plain numbers of few digits, for a record."""
    fpr, tpr = sampled(roc(torch.arange(10.0), torch.arange(10.0)))
    expected = {round(10 ** (-4 + 4 * i / 99), 6) for i in range(100)} | {round(i / 99, 6) for i in range(100)}
    assert fpr == sorted(expected) and len(fpr) == len(tpr) == 199  # both end at 1
    assert all(type(number) is float and round(number, 6) == number for number in fpr)


# --- refusals ---------------------------------------------------------------------------------------------------------

ROWS = torch.zeros(4, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": ()}, r"^hidden: expected a tuple of widths, got \(\)"),
        ({"hidden": [64]}, r"^hidden: expected a tuple of widths, got \[64\]"),
        ({"hidden": (64, 0)}, r"^hidden: expected a tuple of widths, got 0"),
        ({"activation": "sigmoid"}, r"^activation: unknown 'sigmoid'; expected one of relu, tanh"),
        ({"standardise": 1}, r"^standardise: expected True or False, got 1"),
        ({"epochs": 0}, r"^epochs: "),
        ({"batch_size": 2.5}, r"^batch_size: "),
        ({"learning_rate": math.nan}, r"^learning_rate: "),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadValue, match=message):
        AttackConfig(**changes)


@pytest.mark.parametrize(
    ("member", "nonmember", "message"),
    [
        (torch.zeros(0, 3), ROWS, r"^member_features: expected \(n, f\) with n, f >= 1, got \(0, 3\)"),
        (ROWS, torch.zeros(4), r"^nonmember_features: expected \(n, f\) with n, f >= 1, got \(4,\)"),
        (ROWS, ROWS * math.nan, r"^nonmember_features: expected finite values, got 12 that are not"),
    ],
)
def test_features_that_are_none_are_refused(member: Tensor, nonmember: Tensor, message: str) -> None:
    with pytest.raises(BadValue, match=message):
        train_attack(member, nonmember, AttackConfig(), generator=generator())


def test_no_generator_is_refused() -> None:
    """PyTorch's global one would have served."""
    for make in (
        lambda: train_attack(ROWS, ROWS, AttackConfig(), generator=None),  # type: ignore[arg-type]
        lambda: AttackNet(3, AttackConfig(), generator=None),  # type: ignore[arg-type]
        lambda: permuted(ROWS, ROWS, None),  # type: ignore[arg-type]
    ):
        with pytest.raises(BadValue, match=r"^generator: expected a torch.Generator, .*, got None"):
            make()
