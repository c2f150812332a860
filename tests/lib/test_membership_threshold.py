"""Thresholds of Song et al., by class and from a shadow, and the gap attack: brute force, and accuracies known by design."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from experiments.inference import permuted
from lib.errors import BadValue
from lib.membership import (
    above_class,
    best_by_chance,
    best_threshold,
    by_threshold,
    class_thresholds,
    gap_attack,
    log_odds,
)

SIDE = st.lists(st.integers(0, 4).map(float), min_size=1, max_size=12)  # few values, so that most examples have ties


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scores(*lists: list[float]) -> list[Tensor]:
    return [torch.tensor(values, dtype=torch.float64) for values in lists]


def normal(n: int, shift: float, seed: int) -> Tensor:
    return shift + torch.randn(n, generator=generator(seed), dtype=torch.float64)


def rate(side: list[float], threshold: float) -> float:
    return sum(score >= threshold for score in side) / len(side)


# --- where there is nothing to find -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("members", "others"), [(400, 400), (950, 257)])
def test_the_best_threshold_by_chance(members: int, others: int) -> None:
    """Against scores that tell nothing: mean and 95 % quantile of 400 draws, within three of their standard errors."""
    found = torch.tensor(
        [best_threshold(normal(members, 0, 2 * i), normal(others, 0, 2 * i + 1))[1] for i in range(400)]
    )
    # The formula is for large numbers: for finite ones D is a little smaller.
    assert abs(found.mean() - best_by_chance(members, others)) < 3 * found.std() / 20 + 0.25 / min(members, others)
    share = (found > best_by_chance(members, others, quantile=0.95)).double().mean()
    assert abs(share - 0.05) < 3 * (0.05 * 0.95 / 400) ** 0.5


def test_chance_in_closed_form() -> None:
    # N = 5000 / 2 = 2500: 1/2 + sqrt(pi / 20000) / 2,  1/2 + sqrt(ln 20 / 5000) / 2
    assert best_by_chance(5000, 5000) == pytest.approx(0.5 + math.sqrt(math.pi / 20000) / 2)
    assert best_by_chance(5000, 5000, quantile=0.95) == pytest.approx(0.5 + math.sqrt(math.log(20) / 5000) / 2)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"members": 0, "others": 5}, "members: expected"),
        ({"members": 5, "others": -1}, "others: expected"),
        ({"members": 5, "others": 5, "quantile": 1.0}, "quantile: expected"),
    ],
)
def test_chance_of_nothing_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue, match=told):
        best_by_chance(**settings)


# --- one threshold ----------------------------------------------------------------------------------------------------


@given(member=SIDE, nonmember=SIDE)
def test_the_worst_case_is_the_best_of_all_thresholds(member: list[float], nonmember: list[float]) -> None:
    found = by_threshold(*scores(member, nonmember))
    gains = [rate(member, t) - rate(nonmember, t) for t in (*member, *nonmember, math.inf)]
    assert found.accuracy == pytest.approx(0.5 + max(gains) / 2, abs=1e-12)
    assert found.advantage == pytest.approx(2 * found.accuracy - 1, abs=1e-12)
    assert rate(member, found.threshold) - rate(nonmember, found.threshold) == pytest.approx(max(gains), abs=1e-12)


@given(member=SIDE, nonmember=SIDE, threshold=st.integers(-1, 5).map(float))
def test_a_threshold_that_is_given_is_used(member: list[float], nonmember: list[float], threshold: float) -> None:
    """Accuracy is its own; whatever does not depend on a threshold stays."""
    found, best = (
        by_threshold(*scores(member, nonmember), threshold=threshold),
        by_threshold(*scores(member, nonmember)),
    )
    assert found.accuracy == pytest.approx((1 + rate(member, threshold) - rate(nonmember, threshold)) / 2, abs=1e-12)
    assert found.accuracy <= best.accuracy + 1e-12
    assert dataclasses.replace(found, accuracy=best.accuracy, threshold=best.threshold) == best


def test_by_hand() -> None:
    """1,000 non-members; above them all 5 members, above all but 2 of them 9, above all but 20 of them all 10."""
    nonmember = torch.arange(1000.0)
    member = torch.tensor([2000.0] * 5 + [997.5] * 4 + [979.5])
    found = by_threshold(member, nonmember)
    assert (found.tpr_at_1pct, found.tpr_at_01pct) == (0.9, 0.5)
    assert found.threshold == 979.5 and found.accuracy == pytest.approx((1 + 1 - 0.02) / 2)
    assert found.auc == pytest.approx((5 * 1000 + 4 * 998 + 980) / 10_000)


def test_what_a_shadow_teaches_holds_for_the_victim() -> None:
    """Normal scores 2 apart: the best threshold is 1, and gives Phi(1) of each side; learnt, it can only do worse."""
    threshold, _ = best_threshold(normal(20_000, 2, 0), normal(20_000, 0, 1))
    member, nonmember = normal(20_000, 2, 2), normal(20_000, 0, 3)
    found = by_threshold(member, nonmember, threshold=threshold)
    assert threshold == pytest.approx(1.0, abs=0.1)
    assert found.accuracy == pytest.approx(0.8413, abs=0.01)
    assert found.accuracy <= by_threshold(member, nonmember).accuracy


def test_permuted_the_worst_case_gains_only_what_is_best_by_chance() -> None:
    """The threshold is chosen on the points themselves: a little above 1/2, less the more there are (Kolmogorov, Smirnov)."""
    for n in (100, 10_000):
        member, nonmember = permuted(normal(n, 3, 0), normal(n, 0, 1), generator())
        found = by_threshold(member, nonmember)
        assert 0 < found.advantage < 1.95 * math.sqrt(2 / n)  # exceeded once in a thousand


def test_the_inference_on_images_of_known_odds() -> None:
    """I_B: tau may be anything from the surest non-member to the least sure member, and is that member's log-odds."""
    logits, labels = torch.tensor([[3.0, 0], [0, 5], [60, 0], [90, 0]]), torch.tensor([0, 1, 0, 0])
    odds = log_odds(logits, labels)
    found = by_threshold(odds[2:], odds[:2])
    assert (
        found.threshold == 60 and found.accuracy == 1.0
    )  # all of these have a confidence of 1 in float32 but the first two


# --- a threshold for every class --------------------------------------------------------------------------------------

CLASSES = 3


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[float], list[int]]:
    """Scores and labels with every class among them."""
    labels = [*range(CLASSES), *draw(st.lists(st.integers(0, CLASSES - 1), max_size=9))]
    return [float(draw(st.integers(0, 3))) for _ in labels], labels


@given(member=labelled(), nonmember=labelled())
def test_the_threshold_of_a_class_is_the_best_for_that_class(
    member: tuple[list[float], list[int]], nonmember: tuple[list[float], list[int]]
) -> None:
    (m, n), (my, ny) = scores(member[0], nonmember[0]), (torch.tensor(side[1]) for side in (member, nonmember))
    thresholds = class_thresholds(m, my, n, ny, classes=CLASSES)
    for c in range(CLASSES):
        assert thresholds[c].item() == best_threshold(m[my == c], n[ny == c])[0]
    found = by_threshold(above_class(m, my, thresholds), above_class(n, ny, thresholds), threshold=0.0)
    tpr, fpr = ((side >= thresholds[y]).double().mean().item() for side, y in ((m, my), (n, ny)))
    assert found.accuracy == pytest.approx((1 + tpr - fpr) / 2, abs=1e-12)


def test_classes_of_their_own_level_need_thresholds_of_their_own() -> None:
    """Scores of class 1 lie 10 higher: one threshold for both learns half of what two do."""
    y = torch.arange(2000) % 2
    member, nonmember = (normal(2000, shift, seed) + 10 * y for seed, shift in ((0, 6), (1, 0)))
    thresholds = class_thresholds(member, y, nonmember, y, classes=2)
    one = by_threshold(member, nonmember)
    two = by_threshold(above_class(member, y, thresholds), above_class(nonmember, y, thresholds), threshold=0.0)
    assert one.accuracy == pytest.approx(0.75, abs=0.02) and two.accuracy > 0.99 and two.auc > 0.99


def test_a_class_that_lacks_a_side_has_the_threshold_of_all() -> None:
    (member, nonmember), y = scores([9.0, 1.0, 2.0], [8.0, 0.0, 0.5]), torch.tensor([0, 1, 1])
    for of_nonmembers in (y, torch.tensor([0, 1, 2])):
        assert class_thresholds(member, y, nonmember, of_nonmembers, classes=3).tolist() == [9.0, 1.0, 1.0]


def test_infinite_scores_reach_infinite_thresholds() -> None:
    labels, thresholds = torch.tensor([0, 0, 1, 1]), torch.tensor([math.inf, -math.inf])
    found = above_class(torch.tensor([math.inf, 3.0, -math.inf, 3.0]), labels, thresholds)
    assert found.tolist() == [0.0, -math.inf, 0.0, math.inf]


# --- the gap ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("train", "test"), [(100, 87), (95, 95), (60, 80), (0, 100), (100, 0)])
def test_the_gap_attack_is_a_half_plus_half_the_gap(train: int, test: int) -> None:
    """Also where the network is better on images it has not seen, when an attacker would better say the opposite."""
    answers = torch.eye(2)[torch.ones(100, dtype=torch.long)]
    right = [(torch.arange(100) < share).long() for share in (train, test)]
    found = gap_attack(answers, right[0], answers, right[1])
    assert found.accuracy == pytest.approx(0.5 + (train - test) / 200) and found.threshold == 1.0
    assert found.auc == pytest.approx(0.5 + (train - test) / 200)
    assert found.tpr_at_1pct == (train / 100 if test <= 1 else 0.0)


# --- refusals ---------------------------------------------------------------------------------------------------------

ZEROS, LABELS = torch.zeros(3), torch.tensor([0, 1, 2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"member_labels": torch.tensor([0, 1])}, r"^scores, labels: expected two \(n,\), got \(3,\) and \(2,\)"),
        ({"nonmember_labels": torch.tensor([0, 1, 3])}, r"^labels: expected 0 to 2, got 0 to 3"),
        ({"member_labels": torch.tensor([0, 1, -1])}, r"^labels: expected 0 to 2, got -1 to 1"),
    ],
)
def test_labels_that_are_no_classes_are_refused(changes: dict[str, Tensor], message: str) -> None:
    sides: dict[str, Any] = {"member": ZEROS, "member_labels": LABELS, "nonmember": ZEROS, "nonmember_labels": LABELS}
    with pytest.raises(BadValue, match=message):
        class_thresholds(**{**sides, **changes}, classes=3)


@pytest.mark.parametrize(
    ("labels", "message"), [(torch.zeros(2).long(), r"^scores, labels: "), (torch.tensor([0, 1, 5]), r"^labels: ")]
)
def test_labels_without_a_threshold_are_refused(labels: Tensor, message: str) -> None:
    with pytest.raises(BadValue, match=message):
        above_class(ZEROS, labels, torch.zeros(3))
