"""Scores of membership: against exact arithmetic where float32 has long given up, and what must hold of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lib.errors import BadValue
from lib.membership import (
    MEMBERSHIP_SCORES,
    confidence,
    correctness,
    log_odds,
    negative_entropy,
    negative_modified_entropy,
)

Score = Callable[[Tensor, Tensor], Tensor]
ALL = pytest.mark.parametrize("score", MEMBERSHIP_SCORES.values(), ids=MEMBERSHIP_SCORES)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def answers(n: int, classes: int, *, scale: float = 3.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    source = generator(seed)
    logits = scale * torch.randn(n, classes, generator=source, dtype=torch.float64)
    return logits, torch.randint(classes, (n,), generator=source)


def exactly(logits: list[float], label: int) -> dict[str, float]:
    """Every score of one row from its definition, in 400 digits."""
    with localcontext() as context:
        context.prec = 400
        powers = [Decimal(z).exp() for z in logits]
        p = [power / sum(powers) for power in powers]
        rest = [sum(p[:c] + p[c + 1 :], Decimal(0)) for c in range(len(p))]
        others = [c for c in range(len(p)) if c != label]
        return {
            "log_odds": float(p[label].ln() - rest[label].ln()),
            "confidence": float(p[label]),
            "negative_entropy": float(sum(q * q.ln() for q in p)),
            "negative_modified_entropy": float(rest[label] * p[label].ln() + sum(p[c] * rest[c].ln() for c in others)),
            "correctness": float(max(range(len(p)), key=lambda c: p[c]) == label),
        }


# --- against exact arithmetic -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MEMBERSHIP_SCORES)
@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize(
    "logits",
    [
        [0.0, 0.5, -1.0],
        [200.0, 0.0, 1.0],
        [0.0, 200.0, 199.0],
        [-200.0, 3.0, 200.0],
        [20.0, 20.0, -500.0],
        [36.0, 0.0, 0.0],
        [500.0, 499.0, 498.0],
    ],
)
def test_every_score_is_its_definition(logits: list[float], label: int, name: str) -> None:
    found = MEMBERSHIP_SCORES[name](torch.tensor([logits], dtype=torch.float64), torch.tensor([label]))
    assert found.tolist() == [pytest.approx(exactly(logits, label)[name], rel=1e-12, abs=1e-15)]


def test_what_float32_calls_certain_is_told_apart() -> None:
    """Softmax in float32 gives 1.0 to all of these, and so would the log-odds log p - log(1 - p) be infinite."""
    logits, labels = torch.tensor([[20.0, 0], [90, 0], [200, 0], [1e4, 0]]), torch.zeros(4, dtype=torch.long)
    assert logits.softmax(1)[:, 0].tolist() == [1.0] * 4
    assert log_odds(logits, labels).tolist() == [20, 90, 200, 1e4]
    assert log_odds(logits, 1 - labels).tolist() == [-20, -90, -200, -1e4]
    assert log_odds(logits.log_softmax(1), labels).tolist() == [
        20,
        90,
        200,
        1e4,
    ]  # float32 log-probabilities: [-0, -20]


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_indifference(classes: int) -> None:
    """Equal logits: odds of 1 to k - 1, entropy log k."""
    logits, label = torch.full((1, classes), 7.0), torch.tensor([classes - 1])
    p = 1 / classes
    assert log_odds(logits, label).item() == pytest.approx(-math.log(classes - 1))
    assert confidence(logits, label).item() == pytest.approx(p)
    assert negative_entropy(logits, label).item() == pytest.approx(-math.log(classes))
    # (1 - p) log p + (k - 1) p log(1 - p)
    assert negative_modified_entropy(logits, label).item() == pytest.approx((1 - p) * (math.log(p) + math.log(1 - p)))
    assert correctness(torch.eye(classes), torch.arange(classes)).tolist() == [1.0] * classes


@pytest.mark.parametrize(
    ("name", "certain", "wrong"),
    [
        ("log_odds", math.inf, -math.inf),
        ("confidence", 1, 0),
        ("negative_entropy", 0, 0),
        ("negative_modified_entropy", 0, -math.inf),
        ("correctness", 1, 0),
    ],
)
def test_certainty(name: str, certain: float, wrong: float) -> None:
    """Log-probabilities of a distribution with zeros: no NaN, and the entropy does not know right from wrong."""
    logp = torch.tensor([[1.0, 0.0, 0.0]]).log()
    assert MEMBERSHIP_SCORES[name](logp, torch.tensor([0])).item() == certain
    assert MEMBERSHIP_SCORES[name](logp, torch.tensor([1])).item() == wrong


# --- what holds of every score ----------------------------------------------------------------------------------------


@ALL
@settings(max_examples=30)
@given(
    n=st.integers(1, 6), classes=st.integers(2, 8), scale=st.sampled_from([0.1, 3.0, 100.0]), seed=st.integers(0, 999)
)
def test_only_differences_of_logits_count(score: Score, n: int, classes: int, scale: float, seed: int) -> None:
    """So logits and their log-probabilities have the same score."""
    logits, labels = answers(n, classes, scale=scale, seed=seed)
    expected = score(logits, labels)
    assert expected.shape == (n,) and expected.dtype == torch.float64 and bool(expected.isfinite().all())
    for moved in (logits + 5, logits.log_softmax(1)):
        torch.testing.assert_close(score(moved, labels), expected, rtol=1e-9, atol=1e-12)


@ALL
@settings(max_examples=30)
@given(classes=st.integers(2, 8), seed=st.integers(0, 999))
def test_the_order_of_the_classes_does_not_count(score: Score, classes: int, seed: int) -> None:
    logits, labels = answers(5, classes, seed=seed)
    order = torch.randperm(classes, generator=generator(seed))
    shuffled, renamed = logits[:, order], order.argsort()[labels]
    torch.testing.assert_close(score(shuffled, renamed), score(logits, labels), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["log_odds", "confidence", "negative_modified_entropy", "correctness"])
@settings(max_examples=30)
@given(classes=st.integers(2, 8), seed=st.integers(0, 999), more=st.floats(0, 5))
def test_more_of_the_true_class_is_more_like_a_member(name: str, classes: int, seed: int, more: float) -> None:
    """What Song and Mittal ask of a score; the entropy has it only where the answer is right."""
    logits, labels = answers(5, classes, seed=seed)
    surer = logits + more * torch.nn.functional.one_hot(labels, classes)
    assert bool((MEMBERSHIP_SCORES[name](surer, labels) >= MEMBERSHIP_SCORES[name](logits, labels) - 1e-12).all())


@given(classes=st.integers(2, 8), seed=st.integers(0, 999))
def test_bounds(classes: int, seed: int) -> None:
    logits, labels = answers(5, classes, seed=seed)
    assert bool(((confidence(logits, labels) > 0) & (confidence(logits, labels) < 1)).all())
    assert bool(
        (
            (negative_entropy(logits, labels) <= 0) & (negative_entropy(logits, labels) >= -math.log(classes) - 1e-12)
        ).all()
    )
    assert bool((negative_modified_entropy(logits, labels) <= 0).all())
    assert torch.equal(confidence(logits, labels).argsort(), log_odds(logits, labels).argsort())


def test_correctness_is_accuracy() -> None:
    logits, labels = answers(500, 4)
    right = sum(
        int(max(range(4), key=row.__getitem__) == y) for row, y in zip(logits.tolist(), labels.tolist(), strict=True)
    )
    assert correctness(logits, labels).sum().item() == right and 0 < right < 500


@ALL
def test_of_no_images_there_are_no_scores(score: Score) -> None:
    assert score(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)).shape == (0,)


# --- refusals ---------------------------------------------------------------------------------------------------------

ROW, ZERO = [[0.0, 2.0]], [0]


@ALL
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.0, 1.0], ZERO, r"^scores, labels: expected \(n, k\) with k >= 2 and \(n,\), got \(2,\) and \(1,\)"),
        ([[0.0]], ZERO, r"^scores, labels: .* got \(1, 1\) and \(1,\)"),
        (ROW, [0, 1], r"^scores, labels: .* got \(1, 2\) and \(2,\)"),
        (ROW, [[0]], r"^scores, labels: .* got \(1, 2\) and \(1, 1\)"),
        (ROW, [0.0], r"^labels: expected whole numbers, got torch.float32"),
        (ROW, [True], r"^labels: expected whole numbers, got torch.bool"),
        (ROW, [2], r"^labels: expected classes 0 to 1, got 2 to 2"),
        (ROW, [-1], r"^labels: expected classes 0 to 1, got -1 to -1"),
        ([[0.0, math.nan]], ZERO, r"^scores: expected finite numbers or -inf, not only -inf; row 0 is \[0.0, nan\]"),
        ([[0.0, math.inf]], ZERO, r"^scores: .* row 0 is \[0.0, inf\]"),
        ([[0.0, 1.0], [-math.inf, -math.inf]], [0, 0], r"^scores: .* row 1 is \[-inf, -inf\]"),
        ([[math.nan] * 12], ZERO, r"^scores: .* row 0 is \[(nan, ){11}nan\]"),
    ],
)
def test_what_is_no_answer_is_refused(score: Score, scores: Any, labels: Any, message: str) -> None:
    with pytest.raises(BadValue, match=message):
        score(torch.tensor(scores), torch.tensor(labels))


SCALED = pytest.mark.parametrize("score", [score for name, score in MEMBERSHIP_SCORES.items() if name != "correctness"])


@SCALED
@pytest.mark.parametrize("rows", [[[0.999, 0.001]], [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]], [[0.5, 0.5004]], [[0, 1]]])
def test_probabilities_are_refused(score: Score, rows: Any) -> None:
    """[[.999, .001]] once had log-odds of .998, for the odds are 999."""
    answers, labels = torch.tensor(rows), torch.zeros(len(rows), dtype=torch.int64)
    with pytest.raises(
        BadValue, match=r"^scores: expected logits .*, got rows that are all probabilities: give their \.log"
    ):
        score(answers, labels)
    assert correctness(answers, labels).tolist() == correctness(answers.log(), labels).tolist()  # on any scale
    assert score(answers.double().log(), labels).shape == score(answers.double() - 1, labels).shape == labels.shape


def test_the_log_of_probabilities_has_their_odds() -> None:
    assert log_odds(torch.tensor([[0.999, 0.001]]).log(), torch.tensor([0])).item() == pytest.approx(
        math.log(999), abs=1e-4
    )


@ALL
@pytest.mark.parametrize("rows", [[[0.4, 0.6], [3.0, -1.0]], [[1.5, -0.5]], [[0.5, 0.502]], [[0.7, 0.7]]])
def test_all_rows_decide_whether_they_are_probabilities(score: Score, rows: Any) -> None:
    """A row of logits may be a distribution by chance, and others may sum to 1 or lie in [0, 1]."""
    logits, labels = torch.tensor(rows, dtype=torch.float64), torch.zeros(len(rows), dtype=torch.int64)
    torch.testing.assert_close(score(logits, labels), score(logits - 1, labels))
