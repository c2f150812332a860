"""Rejection by a score, against brute force: over all pairs, all thresholds, all orders of what is tied."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from experiments.detection import FALSE_POSITIVE_RATES, REJECTED, accuracy_after_rejection, auroc, roc
from lib.errors import BadValue

# Few values, so that most examples have ties.
TIED = st.lists(st.integers(0, 4).map(float), min_size=1, max_size=12)
FREE = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False, width=32), min_size=1, max_size=12)
SCORES = st.one_of(TIED, FREE)


def tensors(*lists: list[float]) -> list[Tensor]:
    return [torch.tensor(values, dtype=torch.float32) for values in lists]


# --- the area under the curve -----------------------------------------------------------------------------------------


@given(clean=SCORES, adversarial=SCORES)
def test_auroc_is_the_share_of_pairs_in_the_right_order(clean: list[float], adversarial: list[float]) -> None:
    pairs = [1.0 if a > c else 0.5 if a == c else 0.0 for c in clean for a in adversarial]
    assert auroc(*tensors(clean, adversarial)) == pytest.approx(100 * sum(pairs) / len(pairs))


@pytest.mark.parametrize(
    ("clean", "adversarial", "expected"),
    [([0, 1], [2, 3], 100), ([2, 3], [0, 1], 0), ([1, 1], [1], 50), ([0, 2], [1], 50), ([0, 1, 1], [1], 200 / 3)],
)
def test_auroc_by_hand(clean: list[float], adversarial: list[float], expected: float) -> None:
    assert auroc(*tensors(clean, adversarial)) == pytest.approx(expected)


# --- the curve --------------------------------------------------------------------------------------------------------


@given(clean=SCORES, adversarial=SCORES)
def test_the_curve_is_the_best_threshold_within_each_rate(clean: list[float], adversarial: list[float]) -> None:
    """Rejecting what scores at least the threshold, and no more of the clean images than the rate allows."""
    expected = []
    for rate in FALSE_POSITIVE_RATES:
        shares = [
            (sum(a >= t for a in adversarial) / len(adversarial))
            for t in (*clean, *adversarial, math.inf)
            if sum(c >= t for c in clean) / len(clean) <= rate
        ]
        expected.append(100 * max(shares))
    found = roc(*tensors(clean, adversarial))
    assert found == pytest.approx(expected)
    assert found == sorted(found) and found[-1] == 100


@pytest.mark.parametrize("n", [10, 20, 100])
def test_a_rate_that_is_met_exactly_is_met(n: int) -> None:
    """0.3 of ten images is three of them, whatever binary fractions say."""
    clean = torch.arange(n, dtype=torch.float64)
    for k in range(n + 1):
        thresholds = torch.tensor([n - k - 0.5, n - k - 1.5], dtype=torch.float64)  # the second costs one image more
        assert roc(clean, thresholds, [k / n]) == [100.0 if k == n else 50.0]


# --- accuracy of what is left -----------------------------------------------------------------------------------------


@given(n=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_without_ties_the_highest_scores_go(n: int, seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    scores, right = torch.randperm(n, generator=source), torch.rand(n, generator=source) < 0.5
    kept = [right[scores < n - gone] for gone in range(n)]
    found = accuracy_after_rejection(scores, right, [gone / n for gone in range(n)])
    assert found == pytest.approx([100 * part.double().mean().item() for part in kept])


@given(pairs=st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=5))
def test_with_ties_it_is_the_mean_over_all_orders_of_the_tied(pairs: list[tuple[int, bool]]) -> None:
    n, total = len(pairs), [0.0] * len(pairs)
    orders = list(itertools.permutations(pairs))
    for order in orders:
        by_score = sorted(order, key=lambda pair: pair[0])  # which keeps the order of the tied
        for gone in range(n):
            total[gone] += sum(right for _, right in by_score[: n - gone]) / (n - gone)
    scores, right = torch.tensor([score for score, _ in pairs]), torch.tensor([right for _, right in pairs])
    found = accuracy_after_rejection(scores, right, [gone / n for gone in range(n)])
    assert found == pytest.approx([100 * part / len(orders) for part in total])


def test_scores_that_say_nothing_gain_nothing() -> None:
    right = torch.tensor([True, False, False, True, True])
    assert accuracy_after_rejection(torch.zeros(5), right) == pytest.approx([60.0] * len(REJECTED))


def test_a_part_of_an_image_counts_as_that_part() -> None:
    """A tenth of five images is half of the one with the highest score."""
    scores, right = torch.arange(5), torch.tensor([True, True, True, True, False])
    assert accuracy_after_rejection(scores, right, [0.1]) == pytest.approx([100 * 4 / 4.5])


def test_a_perfect_score_leaves_only_what_is_right() -> None:
    right = torch.tensor([True] * 6 + [False] * 4)
    found = accuracy_after_rejection((~right).float(), right, [0.0, 0.2, 0.4, 0.9])
    assert found == pytest.approx([60, 75, 100, 100])


# --- refusals ---------------------------------------------------------------------------------------------------------

ONE, NONE, MATRIX = torch.zeros(1), torch.zeros(0), torch.zeros(2, 2)


@pytest.mark.parametrize("measure", [auroc, roc])
@pytest.mark.parametrize("none", [NONE, MATRIX, torch.tensor(1.0)])
def test_scores_that_are_none_are_refused(measure: Callable[..., Any], none: Tensor) -> None:
    for name, sides in {"clean": (none, ONE), "adversarial": (ONE, none)}.items():
        with pytest.raises(BadValue, match=rf"^{name}: expected scores \(n,\) with n >= 1, got \("):
            measure(*sides)


@pytest.mark.parametrize("measure", [auroc, roc])
def test_scores_that_are_no_numbers_are_refused(measure: Callable[..., Any]) -> None:
    """NaN has no place in an order: it would count as the most uncertain of all."""
    for name, sides in {"clean": (math.nan * ONE, ONE), "adversarial": (ONE, math.nan * ONE)}.items():
        with pytest.raises(BadValue, match=rf"^{name}: expected numbers, got 1 NaN among 1 scores$"):
            measure(*sides)
    with pytest.raises(BadValue, match=r"^scores: expected numbers, got 1 NaN among 1 scores$"):
        accuracy_after_rejection(math.nan * ONE, ONE.bool())


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan, "0.1"])
def test_rates_that_are_none_are_refused(rate: Any) -> None:
    with pytest.raises(BadValue, match=r"^rates: expected a finite number in \[0, 1\], got "):
        roc(ONE, ONE, [rate])


@pytest.mark.parametrize("share", [-0.1, 1.0, 1, math.nan])
def test_shares_that_leave_nothing_are_refused(share: float) -> None:
    with pytest.raises(BadValue, match=r"^shares: expected a finite number in "):
        accuracy_after_rejection(ONE, ONE.bool(), [share])


@pytest.mark.parametrize(
    ("scores", "right", "told"),
    [
        (NONE, NONE, r"scores: expected scores \(n,\) with n >= 1, got \(0,\)"),
        (MATRIX, MATRIX, r"scores: expected scores \(n,\) with n >= 1, got \(2, 2\)"),
        (ONE, torch.zeros(2), r"right: expected \(1,\), one of each score, got \(2,\)"),
    ],
)
def test_scores_without_their_truth_are_refused(scores: Tensor, right: Tensor, told: str) -> None:
    with pytest.raises(BadValue, match=f"^{told}$"):
        accuracy_after_rejection(scores, right.bool())
