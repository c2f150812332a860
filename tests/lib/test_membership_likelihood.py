"""LiRA and RMIA: against closed forms between normals, against loops of NumPy and SciPy, and where a stack is odd."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import norm
from torch import Tensor

from lib.errors import BadValue
from lib.membership import auc, lira, rmia, tpr_at_fpr

Attack = Callable[..., Tensor]
Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
BOTH = pytest.mark.parametrize("attack", [lira, rmia])


def halves(source: np.random.Generator, shadows: int, n: int) -> NDArray[np.bool_]:
    """Every point in half of the shadows."""
    return source.random((shadows, n)).argsort(0) < shadows // 2


def stack(shadows: int, n: int, *, seed: int = 0) -> Arrays:
    """Log-odds with a mean and a spread of each point's own, higher of members; every other point is a member of the target."""
    source = np.random.default_rng(seed)
    inside, member = halves(source, shadows, n), np.arange(n) % 2 == 0
    mean, gain, spread = source.normal(2, 2, n), source.exponential(1, n), source.uniform(0.5, 2, n)
    scores = mean + gain * inside + spread * source.normal(size=(shadows, n))
    return scores, inside, mean + gain * member + spread * source.normal(size=n)


# --- closed forms -----------------------------------------------------------------------------------------------------

# Points of one mean, members' log-odds higher by `gap` standard deviations of others': with enough shadows LiRA is the
# likelihood-ratio test between two normals.
GAP, MANY, POINTS = 1.5, 1000, 4000


def between_normals(deviation: float) -> tuple[Arrays, NDArray[np.bool_]]:
    """Others' log-odds are N(0, 1), members' N(GAP, deviation)."""
    source = np.random.default_rng(3)
    inside, member = halves(source, MANY, POINTS), np.arange(POINTS) % 2 == 0

    def drawn(which: NDArray[np.bool_]) -> NDArray[Any]:
        return np.where(which, GAP + deviation * source.normal(size=which.shape), source.normal(size=which.shape))

    return (drawn(inside), inside, drawn(member)), member


@pytest.mark.parametrize("variance", ["per_example", "global"])
@pytest.mark.parametrize("online", [True, False])
def test_of_two_normals_alike_it_is_the_test_of_neyman_and_pearson(online: bool, variance: str) -> None:
    """AUC = Phi(d / sqrt 2) and TPR = Phi(d - z) at FPR = 1 - Phi(z), for the log-ratio d s - d² / 2 orders as s does."""
    given, member = between_normals(1.0)
    found = lira(*given, online=online, variance=variance)
    sides = found[torch.from_numpy(member)], found[torch.from_numpy(~member)]
    assert auc(*sides) == pytest.approx(ndtr(GAP / math.sqrt(2)), abs=0.025)  # five standard errors
    for rate in (0.01, 0.1):
        assert tpr_at_fpr(*sides, rate) == pytest.approx(ndtr(GAP + ndtri(rate)), abs=0.08)
    expected = GAP * given[2] - GAP**2 / 2 if online else given[2]
    assert np.abs(found.numpy() - expected).mean() < 0.15


def test_of_two_normals_of_unlike_spread_either_tail_may_be_the_members() -> None:
    """Of N(GAP, 3) against N(0, 1) the ratio is a parabola in s, exceeded outside two roots: TPR and FPR from Phi."""
    given, member = between_normals(3.0)
    found = lira(*given)
    inside, outside = found[torch.from_numpy(member)], found[torch.from_numpy(~member)]
    for level in (0.0, 1.0, 2.0):
        # s² / 2 - (s - gap)² / 18 - log 3 >= level
        low, high = sorted(np.roots([0.5 - 1 / 18, GAP / 9, -(GAP**2) / 18 - math.log(3) - level]).real)
        tpr = norm.cdf(low, GAP, 3) + norm.sf(high, GAP, 3)
        fpr = norm.cdf(low) + norm.sf(high)
        assert (inside >= level).double().mean().item() == pytest.approx(tpr, abs=0.06)
        assert (outside >= level).double().mean().item() == pytest.approx(fpr, abs=0.03)


def test_the_ratio_of_one_point_by_hand() -> None:
    """In: 3 and 5, so N(4, 1); out: 0 and 4, so N(2, 2); at 4 the ratio is 1 / (1/2 exp(-1/2)), offline one deviation."""
    given = np.array([[3.0], [5.0], [0.0], [4.0]]), np.array([[True], [True], [False], [False]]), np.array([4.0])
    assert lira(*given).item() == pytest.approx(math.log(2) + 0.5)
    assert lira(*given, online=False).item() == 1
    # Pooled around the means, with a degree of freedom for each: variances 2 and 8.
    assert lira(*given, variance="global").item() == pytest.approx(math.log(2) + 4 / 16)


def test_the_share_of_the_population_by_hand() -> None:
    """Probabilities .8 with and .4 without make .6: ratios of .9 / .6 and .3 / .6, the one more than twice the other."""
    shadow, inside = logit([[0.8, 0.8], [0.4, 0.4]]), np.array([[True, True], [False, False]])
    target = logit([0.9, 0.3])
    assert rmia(shadow, inside, target).tolist() == [0.5, 0.0]
    assert rmia(shadow, inside, target, gamma=1.0).tolist() == [1.0, 0.5]
    assert rmia(shadow, inside, target, population=np.array([False, True])).tolist() == [1.0, 0.0]
    assert rmia(shadow, inside, target, gamma=3.01).tolist() == [0.0, 0.0]


def test_saturated_shadows_are_told_apart_where_probabilities_are_all_1() -> None:
    """Log-odds of 40 and 50 are the same probability in float64."""
    given = np.array([[49.0], [51.0], [39.0], [41.0]]), np.array([[True], [True], [False], [False]])
    assert lira(*given, np.array([50.0])).item() == pytest.approx(50) == -lira(*given, np.array([40.0])).item()
    assert lira(*given, np.array([140.0]), online=False).item() == 100


# --- an independent implementation ------------------------------------------------------------------------------------


def lira_by_loops(shadow: NDArray[Any], inside: NDArray[Any], target: NDArray[Any], online: bool) -> list[float]:
    """The densities of SciPy, point by point; offline the paper's tail probability."""
    found = []
    for i, score in enumerate(target):
        out = shadow[~inside[:, i], i]
        if online:
            members = shadow[inside[:, i], i]
            found.append(norm.logpdf(score, members.mean(), members.std()) - norm.logpdf(score, out.mean(), out.std()))
        else:
            found.append(1 - norm.sf(score, out.mean(), out.std()))
    return found


def rmia_by_loops(
    shadow: NDArray[Any], inside: NDArray[Any], target: NDArray[Any], online: bool, gamma: float, a: float
) -> list[float]:
    """Every point against every point, in probabilities."""
    ratios = []
    for i, score in enumerate(target):
        p, which = expit(shadow[:, i]), inside[:, i]
        out = p[~which].mean()
        prior = (p[which].mean() + out) / 2 if online else ((1 + a) * out + 1 - a) / 2
        ratios.append(expit(score) / prior)
    return [float(np.mean([x / z >= gamma for z in ratios])) for x in ratios]


@settings(max_examples=25, deadline=None)
@given(shadows=st.sampled_from([4, 8, 16]), n=st.integers(2, 20), seed=st.integers(0, 99), online=st.booleans())
def test_lira_is_what_loops_give(shadows: int, n: int, seed: int, online: bool) -> None:
    arrays = stack(shadows, n, seed=seed)
    found = lira(*arrays, online=online)
    expected = lira_by_loops(*arrays, online)
    np.testing.assert_allclose(found if online else ndtr(found.numpy()), expected, rtol=1e-9, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    shadows=st.sampled_from([2, 8]),
    n=st.integers(2, 20),
    seed=st.integers(0, 99),
    online=st.booleans(),
    gamma=st.sampled_from([1.1, 2.0]),
    a=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_rmia_is_what_loops_give(shadows: int, n: int, seed: int, online: bool, gamma: float, a: float) -> None:
    arrays = stack(shadows, n, seed=seed)
    found = rmia(*arrays, online=online, gamma=gamma, offline_a=a)
    np.testing.assert_allclose(found, rmia_by_loops(*arrays, online, gamma, a))


# --- what holds of both -----------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("online", [True, False])
def test_members_are_found_better_than_by_their_log_odds(attack: Attack, online: bool) -> None:
    arrays = stack(32, 4000)
    member = torch.arange(4000) % 2 == 0
    scores, target = attack(*arrays, online=online), torch.from_numpy(arrays[2])
    assert auc(scores[member], scores[~member]) > auc(target[member], target[~member]) + 0.02


@BOTH
@pytest.mark.parametrize("online", [True, False])
def test_the_order_of_points_and_shadows_does_not_count(attack: Attack, online: bool) -> None:
    shadow, inside, target = stack(8, 50)
    source = np.random.default_rng(1)
    points, shadows = source.permutation(50), source.permutation(8)
    moved = attack(shadow[shadows][:, points], inside[shadows][:, points], target[points], online=online)
    np.testing.assert_allclose(moved, attack(shadow, inside, target, online=online)[points], rtol=1e-9, atol=1e-12)


@BOTH
def test_tensors_and_arrays_of_any_width_are_the_same(attack: Attack) -> None:
    shadow, inside, target = stack(8, 50)
    expected = attack(shadow, inside, target)
    assert expected.dtype == torch.float64 and expected.shape == (50,)
    assert torch.equal(attack(torch.from_numpy(shadow), torch.from_numpy(inside), torch.from_numpy(target)), expected)
    narrow = attack(shadow.astype(np.float32), inside, target.astype(np.float32))
    assert float((narrow - expected).abs().median()) < 1e-5


@BOTH
def test_offline_shadows_with_the_point_do_not_count(attack: Attack) -> None:
    shadow, inside, target = stack(8, 50)
    changed = np.where(inside, 0.0, shadow)
    assert torch.equal(attack(changed, inside, target, online=False), attack(shadow, inside, target, online=False))


@BOTH
def test_infinite_log_odds_are_the_most_extreme_there_are(attack: Attack) -> None:
    """A network that gives a label no probability, or no other any."""
    shadow, inside, target = stack(8, 50)
    shadow[0, 0], shadow[1, 1], target[2], target[3] = -math.inf, math.inf, math.inf, -math.inf
    finite = np.concatenate([shadow.ravel(), target])
    finite = finite[np.isfinite(finite)]
    clipped = (np.clip(array, finite.min(), finite.max()) for array in (shadow, target))
    found = attack(shadow, inside, target)
    assert bool(found.isfinite().all()) and torch.equal(found, attack(next(clipped), inside, next(clipped)))


def test_a_variance_of_0_is_the_global_one() -> None:
    shadow, inside, target = stack(8, 50)
    shadow[inside[:, 7], 7] = 3.0
    shadow[~inside[:, 7], 7] = 1.0
    target[7] = 3.0
    own, pooled = lira(shadow, inside, target), lira(shadow, inside, target, variance="global")
    assert own[7] == pooled[7] > 0 and own[8] != pooled[8]


def test_with_one_shadow_a_side_the_variance_is_that_of_all_scores() -> None:
    shadow, inside = np.array([[3.0, 1.0], [4.0, 9.0]]), np.array([[True, False], [False, True]])
    # In: 3 and 9, so 3 around each; out: 4 and 1, so 1.5.
    found, expected = lira(shadow, inside, shadow[0]), (0.5 / 2.25 + math.log(0.5), -64 / 18 + math.log(0.5))
    np.testing.assert_allclose(found, expected)
    with pytest.raises(BadValue, match=r"^shadow_scores: expected scores that differ, got no variance on one side"):
        lira(np.array([[3.0], [1.0]]), np.array([[True], [False]]), np.array([3.0]))


@BOTH
def test_50000_points_by_16_shadows_take_seconds(attack: Attack) -> None:
    arrays = stack(16, 50_000)
    start = time.process_time()
    attack(*arrays)
    assert time.process_time() - start < 5


# --- refusals ---------------------------------------------------------------------------------------------------------

S, I, T = stack(4, 3)  # noqa: E741


def put(array: NDArray[Any], *changes: tuple[Any, Any]) -> NDArray[Any]:
    found = array.copy()
    for place, value in changes:
        found[place] = value
    return found


@BOTH
@pytest.mark.parametrize(
    ("arrays", "settings", "message"),
    [
        ((S[0], I[0], T), {}, r"expected \(s, n\), \(s, n\) and \(n,\), got \(3,\), \(3,\) and \(3,\)"),
        ((S, I[:2], T), {}, r"got \(4, 3\), \(2, 3\) and \(3,\)"),
        ((S, I, T[:2]), {}, r"got \(4, 3\), \(4, 3\) and \(2,\)"),
        ((S[:0], I[:0], T), {}, r"got \(0, 3\), \(0, 3\) and \(3,\)"),
        ((S[:, :0], I[:, :0], T[:0]), {}, r"got \(4, 0\), \(4, 0\) and \(0,\)"),
        ((S, I.astype(float), T), {}, r"^shadow_in: expected True and False, got torch.float64"),
        (
            (S, put(I, ((slice(None), 1), False)), T),
            {},
            r"^shadow_in: .* with each point, got none of point 1; .*online",
        ),
        ((S, put(I, ((slice(None), 2), True)), T), {}, r"^shadow_in: .* without each point, got none of point 2$"),
        ((S, put(I, ((slice(None), 2), True)), T), {"online": False}, r"without each point, got none of point 2$"),
        ((put(S, ((0, 0), math.nan)), I, T), {}, r"expected log-odds .*, got 1 NaN and 0 infinite ones of 15"),
        ((S, I, put(T, (0, math.nan))), {}, r"got 1 NaN and 0 infinite ones of 15"),
        ((np.full_like(S, math.inf), I, np.full_like(T, -math.inf)), {}, r"got 0 NaN and 15 infinite ones of 15"),
        ((put(S, ((0, 0), 1e200)), I, T), {}, r"expected log-odds of at most 1e\+100"),
        ((S, I, T), {"online": 1}, r"^online: expected True or False, got 1"),
    ],
)
def test_stacks_that_are_none_are_refused(
    attack: Attack, arrays: Arrays, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadValue, match=message):
        attack(*arrays, **settings)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(BadValue, match=r"^variance: unknown 'fixed'; expected one of per_example, global"):
        lira(S, I, T, variance="fixed")
    for changes, message in (
        ({"gamma": 0.5}, r"^gamma: "),
        ({"offline_a": 1.5}, r"^offline_a: "),
        ({"population": np.zeros(3, bool)}, r"^population: expected \(3,\) with at least one point, got \(3,\) with 0"),
        ({"population": np.ones(2, bool)}, r"^population: .* got \(2,\) with 2"),
        ({"population": np.arange(3)}, r"^population: expected True and False, got torch.int64"),
    ):
        with pytest.raises(BadValue, match=message):
            rmia(S, I, T, **changes)  # type: ignore[arg-type]
