"""ROC, area, thresholds and intervals: against scikit-learn, against brute force over all pairs, and by simulation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor

from experiments.inference import permuted
from lib.errors import BadValue
from lib.membership import (
    advantage,
    auc,
    auc_interval,
    balanced_accuracy,
    best_threshold,
    roc,
    tpr_at_fpr,
    tpr_interval,
)
from lib.metrics import accuracy, mean_interval, proportion_interval

# Few values, so that most examples have ties.
TIED = st.lists(st.integers(0, 4).map(float), min_size=1, max_size=12)
FREE = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=12)
SIDE = st.one_of(TIED, FREE)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scores(*lists: list[float]) -> list[Tensor]:
    return [torch.tensor(values, dtype=torch.float64) for values in lists]


def normal(n: int, shift: float, source: torch.Generator) -> Tensor:
    return shift + torch.randn(n, generator=source, dtype=torch.float64)


def rates(member: list[float], nonmember: list[float], threshold: float) -> tuple[float, float]:
    """FPR and TPR by counting."""
    return tuple(sum(s >= threshold for s in side) / len(side) for side in (nonmember, member))  # type: ignore[return-value]


# --- the curve --------------------------------------------------------------------------------------------------------


@given(member=SIDE, nonmember=SIDE)
def test_the_curve_is_scikit_learns(member: list[float], nonmember: list[float]) -> None:
    found = roc(*scores(member, nonmember))
    truth = [1] * len(member) + [0] * len(nonmember)
    for ours, theirs in zip(found, roc_curve(truth, member + nonmember, drop_intermediate=False), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-15, rtol=0)
    assert auc(*scores(member, nonmember)) == pytest.approx(roc_auc_score(truth, member + nonmember), abs=1e-12)


@given(member=SIDE, nonmember=SIDE)
def test_each_point_is_what_its_threshold_gives(member: list[float], nonmember: list[float]) -> None:
    found = roc(*scores(member, nonmember))
    assert found.thresholds.tolist() == [math.inf, *sorted({*member, *nonmember}, reverse=True)]
    for fpr, tpr, threshold in zip(*(column.tolist() for column in found), strict=True):
        assert (fpr, tpr) == rates(member, nonmember, threshold)


@pytest.mark.parametrize(
    ("member", "nonmember", "area"),
    [([2, 3], [0, 1], 1), ([0, 1], [2, 3], 0), ([1], [1, 1], 0.5), ([1], [0, 2], 0.5), ([1], [0, 1, 1], 2 / 3)],
)
def test_area_by_hand(member: list[float], nonmember: list[float], area: float) -> None:
    assert auc(*scores(member, nonmember)) == pytest.approx(area, abs=1e-15)


@given(member=SIDE, nonmember=SIDE)
def test_area_is_the_share_of_pairs_in_the_right_order(member: list[float], nonmember: list[float]) -> None:
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in member for b in nonmember]
    found = auc(*scores(member, nonmember))
    assert found == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    curve = roc(*scores(member, nonmember))
    assert found == pytest.approx(np.trapezoid(curve.tpr.numpy(), curve.fpr.numpy()), abs=1e-12)


@given(member=TIED, nonmember=TIED)
def test_only_the_order_of_the_scores_counts(member: list[float], nonmember: list[float]) -> None:
    before, after = scores(member, nonmember), [side.exp() * 7 - 3 for side in scores(member, nonmember)]
    for measure in (auc, advantage, lambda a, b: best_threshold(a, b)[1], lambda a, b: tpr_at_fpr(a, b, 0.2)):
        assert measure(*before) == measure(*after)
    assert best_threshold(*after)[0] == pytest.approx(math.exp(best_threshold(*before)[0]) * 7 - 3)


@given(member=SIDE, nonmember=SIDE)
def test_swapping_the_sides_mirrors_the_area(member: list[float], nonmember: list[float]) -> None:
    a, b = scores(member, nonmember)
    assert auc(a, b) + auc(b, a) == pytest.approx(1, abs=1e-12)
    assert auc(a, b) == pytest.approx(auc(-b, -a), abs=1e-12)
    assert advantage(a, b) == pytest.approx(advantage(-b, -a), abs=1e-12)


def test_infinite_scores_are_scores() -> None:
    """Log-odds of a probability of 1 or 0: the threshold that is best is one of them, and holds for them."""
    member, nonmember = scores([math.inf, math.inf, -math.inf], [math.inf, 0.0, -math.inf])
    pairs = [0.5, 1, 1, 0.5, 1, 1, 0, 0, 0.5]
    assert auc(member, nonmember) == pytest.approx(sum(pairs) / 9)
    threshold, accuracy = best_threshold(member, nonmember)
    assert threshold == math.inf and accuracy == pytest.approx(0.5 + (2 / 3 - 1 / 3) / 2)
    assert balanced_accuracy(member, nonmember, threshold) == accuracy


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int64, torch.bool])
def test_scores_of_any_type(dtype: torch.dtype) -> None:
    member, nonmember = torch.tensor([1, 1, 0]).to(dtype), torch.tensor([1, 0, 0, 0]).to(dtype)
    assert auc(member, nonmember) == pytest.approx((2 * (3 + 0.5) + 1.5) / 12)
    assert best_threshold(member, nonmember) == (1.0, pytest.approx((2 / 3 + 3 / 4) / 2))


# --- thresholds -------------------------------------------------------------------------------------------------------


@given(member=SIDE, nonmember=SIDE)
def test_no_threshold_does_better_than_the_best(member: list[float], nonmember: list[float]) -> None:
    """Also none between two scores: the rule is at least the threshold, so every split of the scores is tried."""
    sides = scores(member, nonmember)
    found = {t: rates(member, nonmember, t) for t in (*member, *nonmember, math.inf)}
    best = max(tpr - fpr for fpr, tpr in found.values())
    threshold, accuracy = best_threshold(*sides)
    assert accuracy == pytest.approx(0.5 + best / 2, abs=1e-12) and accuracy >= 0.5
    assert threshold in {*member, *nonmember}
    assert balanced_accuracy(*sides, threshold) == pytest.approx(accuracy, abs=1e-12)
    assert advantage(*sides) == pytest.approx(2 * accuracy - 1, abs=1e-12)
    assert advantage(*sides) == pytest.approx(best, abs=1e-12)


@given(member=SIDE, nonmember=SIDE, threshold=st.floats(-5, 5))
def test_balanced_accuracy_is_counted(member: list[float], nonmember: list[float], threshold: float) -> None:
    fpr, tpr = rates(member, nonmember, threshold)
    assert balanced_accuracy(*scores(member, nonmember), threshold) == pytest.approx((tpr + 1 - fpr) / 2, abs=1e-12)


def test_equal_scores_are_not_told_apart() -> None:
    """Of saturated probabilities nothing is learnt at a low FPR, however many members have them."""
    member, nonmember = scores([1.0] * 90 + [0.5] * 10, [1.0] * 60 + [0.5] * 40)
    assert best_threshold(member, nonmember) == (1.0, pytest.approx(0.65))
    assert tpr_at_fpr(member, nonmember, 0.59) == 0 and tpr_at_fpr(member, nonmember, 0.6) == 0.9


def test_of_several_best_thresholds_it_is_the_largest() -> None:
    assert best_threshold(*scores([3, 1], [2, 0])) == (3.0, 0.75)
    assert best_threshold(*scores([0, 1], [2, 3]))[0] == 0.0  # nothing to gain: all are members
    assert best_threshold(*scores([5.0], [5.0])) == (5.0, 0.5)


# --- the true positive rate at a false positive rate ------------------------------------------------------------------


@given(member=SIDE, nonmember=SIDE, fpr=st.sampled_from([0.0, 0.001, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0]))
def test_it_is_the_most_that_the_rate_allows(member: list[float], nonmember: list[float], fpr: float) -> None:
    found = [rates(member, nonmember, t) for t in (*member, *nonmember, math.inf)]
    expected = max(tpr for rate, tpr in found if rate <= fpr)
    assert tpr_at_fpr(*scores(member, nonmember), fpr) == expected


@pytest.mark.parametrize("m", [7, 10, 1000])
def test_a_rate_that_is_met_exactly_is_met(m: int) -> None:
    """0.3 of ten non-members is three of them, whatever binary fractions say."""
    nonmember = torch.arange(m, dtype=torch.float64)
    for k in range(m + 1):
        member = torch.tensor([m - k - 0.5, m - k - 1.5], dtype=torch.float64)  # the second costs one more
        assert tpr_at_fpr(member, nonmember, k / m) == (1.0 if k == m else 0.5)


# --- intervals --------------------------------------------------------------------------------------------------------


@given(
    member=st.lists(st.integers(0, 5).map(float), min_size=2, max_size=9), nonmember=SIDE.filter(lambda s: len(s) > 1)
)
def test_delongs_variance_from_all_pairs(member: list[float], nonmember: list[float]) -> None:
    psi = np.array([[1.0 if a > b else 0.5 if a == b else 0.0 for b in nonmember] for a in member])
    variance = psi.mean(1).var(ddof=1) / len(member) + psi.mean(0).var(ddof=1) / len(nonmember)
    half = 1.6448536269514722 * math.sqrt(variance)
    found = auc_interval(*scores(member, nonmember), confidence=0.9)
    assert found.mean == pytest.approx(psi.mean(), abs=1e-12) and found.n == len(member) + len(nonmember)
    assert found.low == pytest.approx(max(0, psi.mean() - half), abs=1e-9)
    assert found.high == pytest.approx(min(1, psi.mean() + half), abs=1e-9)


@pytest.mark.parametrize(("member", "nonmember"), [([1.0], [0.0, 2.0]), ([0.0, 2.0], [1.0]), ([1.0], [1.0])])
def test_one_score_has_no_spread(member: list[float], nonmember: list[float]) -> None:
    found = auc_interval(*scores(member, nonmember))
    assert found.mean == 0.5 and math.isnan(found.low) and math.isnan(found.high)


@pytest.mark.parametrize(("shift", "seed"), [(0.0, 0), (0.5, 1), (1.5, 2)])
def test_the_interval_of_the_area_covers_the_truth(shift: float, seed: int) -> None:
    """Normal scores a shift apart have an area of Phi(shift / sqrt 2); of 400 intervals of 95 %, 380 ± 9 should hold it."""
    source, truth = generator(seed), float(special.ndtr(shift / math.sqrt(2)))
    found = [auc_interval(normal(60, shift, source), normal(90, 0, source)) for _ in range(400)]
    assert 0.92 <= np.mean([interval.low <= truth <= interval.high for interval in found]) <= 0.98


@pytest.mark.parametrize(
    ("shift", "m", "fpr", "seed"), [(1.0, 2000, 0.01, 0), (2.0, 1000, 0.05, 1), (0.0, 2000, 0.005, 2)]
)
def test_the_interval_of_the_rate_covers_the_truth(shift: float, m: int, fpr: float, seed: int) -> None:
    """... and a TPR of Phi(shift - z_fpr), which Wilson's interval, by itself, misses far too often."""
    source, truth = generator(seed), float(special.ndtr(shift + special.ndtri(fpr)))
    found = [tpr_interval(normal(m, shift, source), normal(m, 0, source), fpr) for _ in range(200)]
    wilson = [proportion_interval(round(interval.mean * m), m) for interval in found]
    ours, alone = (np.mean([i.low <= truth <= i.high for i in intervals]) for intervals in (found, wilson))
    assert ours >= 0.92 and alone < 0.9
    assert np.mean([interval.high - interval.low for interval in found]) < 0.15  # and says something


@pytest.mark.parametrize("confidence", [95, 1.0, 0.0, -0.1, math.nan])
def test_a_confidence_is_a_share_of_one(confidence: float) -> None:
    """95 would make an interval from 0 to 1, or NaN, of any data."""
    sides = scores([0.0, 1.0, 2.0], [0.0, 1.0])
    intervals: list[Callable[[], object]] = [
        lambda: auc_interval(*sides, confidence=confidence),
        lambda: tpr_interval(*sides, 0.1, confidence=confidence),
        lambda: proportion_interval(5, 10, confidence=confidence),
        lambda: mean_interval([1.0, 2.0], confidence=confidence),
    ]
    for interval in intervals:
        with pytest.raises(
            BadValue,
            match=r"^confidence: expected a (share above 0 and below 1, such as 0.95|finite number in \[-inf, inf\]), got ",
        ):
            interval()


@pytest.mark.parametrize(("found", "labels"), [((4, 4), (4, 1)), ((4, 4), (3,)), ((0, 4), (0,)), ((4,), (4,))])
def test_an_accuracy_is_of_rows_and_as_many_labels(found: tuple[int, ...], labels: tuple[int, ...]) -> None:
    with pytest.raises(BadValue, match=r"^scores, labels: expected \(n, k\) and \(n,\), n >= 1, got "):
        accuracy(torch.zeros(found), torch.zeros(labels).long())


@given(member=SIDE, nonmember=SIDE, fpr=st.sampled_from([0.0, 0.01, 0.3, 1.0]))
def test_the_interval_of_the_rate_holds_the_rate(member: list[float], nonmember: list[float], fpr: float) -> None:
    sides = scores(member, nonmember)
    found, surer = tpr_interval(*sides, fpr), tpr_interval(*sides, fpr, confidence=0.99)
    assert found.mean == tpr_at_fpr(*sides, fpr) and found.n == len(member)
    assert 0 <= surer.low <= found.low <= found.mean <= found.high <= surer.high <= 1


def test_with_a_known_threshold_it_is_wilsons() -> None:
    """So many non-members that their quantile is known: 15 of 20 members lie above it, none near it."""
    found = tpr_interval(torch.arange(20.0), torch.linspace(-15.6, 24.4, 100_001), 0.5)
    z = 1.959963984540054
    centre, half = (
        (0.75 + z * z / 40) / (1 + z * z / 20),
        z * math.sqrt(0.75 * 0.25 / 20 + z * z / 1600) / (1 + z * z / 20),
    )
    assert found.mean == 0.75
    assert (found.low, found.high) == (pytest.approx(centre - half), pytest.approx(centre + half))


# --- the control ------------------------------------------------------------------------------------------------------


@given(n=st.integers(1, 20), m=st.integers(1, 20), seed=st.integers(0, 999))
def test_permuting_deals_the_same_scores_into_groups_of_the_same_size(n: int, m: int, seed: int) -> None:
    member, nonmember = torch.arange(n), torch.arange(n, n + m)
    a, b = permuted(member, nonmember, generator(seed))
    assert (len(a), len(b)) == (n, m) and torch.cat([a, b]).sort().values.tolist() == list(range(n + m))
    again = permuted(member, nonmember, generator(seed))
    assert torch.equal(a, again[0]) and torch.equal(b, again[1])


def test_permuting_keeps_rows_together() -> None:
    rows = torch.arange(10)[:, None].expand(10, 3)
    a, b = permuted(rows[:4], rows[4:], generator())
    assert a.shape == (4, 3) and b.shape == (6, 3) and all(len(set(row)) == 1 for row in torch.cat([a, b]).tolist())


def test_permuted_there_is_nothing_to_find() -> None:
    """Perfectly separable scores lose it all: the area is 1/2 within its interval, 95 times of 100."""
    member, nonmember, source = torch.arange(200.0) + 1000, torch.arange(300.0), generator()
    found = [auc_interval(*permuted(member, nonmember, source)) for _ in range(200)]
    assert auc(member, nonmember) == 1.0
    assert 0.91 <= np.mean([interval.low <= 0.5 <= interval.high for interval in found]) <= 0.99
    assert np.mean([interval.mean for interval in found]) == pytest.approx(0.5, abs=4 * 0.0264 / math.sqrt(200))


# --- speed ------------------------------------------------------------------------------------------------------------


def test_the_threshold_of_120_000_scores_takes_less_than_50_ms() -> None:
    """Processor time, the best of five: a busy machine is not a defect."""
    source = generator()
    member, nonmember, spent = torch.randn(60_000, generator=source), torch.randn(60_000, generator=source), []
    for _ in range(5):
        start = time.process_time()
        best_threshold(member, nonmember)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.05


# --- refusals ---------------------------------------------------------------------------------------------------------

ONE = torch.zeros(1)
MEASURES: dict[str, Callable[..., Any]] = {
    "roc": roc,
    "auc": auc,
    "auc_interval": auc_interval,
    "tpr_at_fpr": lambda a, b: tpr_at_fpr(a, b, 0.1),
    "tpr_interval": lambda a, b: tpr_interval(a, b, 0.1),
    "advantage": advantage,
    "best_threshold": best_threshold,
    "balanced_accuracy": lambda a, b: balanced_accuracy(a, b, 0.0),
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize(
    ("member", "nonmember", "message"),
    [
        (torch.zeros(0), ONE, r"^member: expected scores \(n,\) with n >= 1, got \(0,\)"),
        (ONE, torch.zeros(0), r"^nonmember: expected scores \(n,\) with n >= 1, got \(0,\)"),
        (torch.zeros(2, 2), ONE, r"^member: .* got \(2, 2\)"),
        (ONE, torch.tensor(1.0), r"^nonmember: .* got \(\)"),
        (torch.tensor([0, math.nan, math.nan]), ONE, r"^member: expected numbers, got 2 NaN among 3 scores"),
        (ONE, torch.tensor([math.nan]), r"^nonmember: expected numbers, got 1 NaN among 1 scores"),
    ],
)
def test_what_are_no_scores_is_refused(
    measure: Callable[..., Any], member: Tensor, nonmember: Tensor, message: str
) -> None:
    with pytest.raises(BadValue, match=message):
        measure(member, nonmember)


@pytest.mark.parametrize("measure", [tpr_at_fpr, tpr_interval])
@pytest.mark.parametrize("fpr", [-0.1, 1.1, math.nan, "0.1"])
def test_rates_that_are_none_are_refused(measure: Callable[..., Any], fpr: Any) -> None:
    with pytest.raises(BadValue, match=r"^fpr: expected a finite number in \[0, 1\], got "):
        measure(ONE, ONE, fpr)


def test_a_threshold_that_is_no_number_is_refused() -> None:
    with pytest.raises(BadValue, match=r"^threshold: expected a number, got nan"):
        balanced_accuracy(ONE, ONE, math.nan)
