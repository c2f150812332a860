"""How far confidence is from accuracy, and the log-likelihood of the labels: closed forms and independent implementations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from torch import Tensor

from lib.errors import BadValue
from lib.metrics import expected_calibration_error, negative_log_likelihood


def answers(*probabilities: list[float]) -> Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log()


def drawn(seed: int, n: int, classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, classes, generator=generator, dtype=torch.float64)
    return logits.log_softmax(1), torch.randint(classes, (n,), generator=generator)


SURE, LIKELY = [1.0, 0.0], [0.8, 0.2]


@pytest.mark.parametrize(
    ("rows", "labels", "bins", "error"),
    [
        ([SURE, SURE], [0, 0], 15, 0),  # sure and right
        ([SURE, SURE], [1, 1], 15, 100),  # sure and wrong
        ([LIKELY] * 5, [0, 0, 0, 0, 1], 15, 0),  # right as often as it says
        ([LIKELY] * 5, [1, 1, 1, 1, 1], 15, 80),  # never right
        ([LIKELY] * 5, [0, 0, 0, 0, 0], 15, 20),  # too modest
        ([SURE, SURE, LIKELY, LIKELY], [0, 1, 0, 0], 15, (2 * 50 + 2 * 20) / 4),  # each bin counts by its rows
        ([SURE, SURE, LIKELY, LIKELY], [0, 1, 0, 0], 1, abs(3 - 3.6) / 4 * 100),  # in one bin errors make up for others
    ],
)
def test_calibration_errors_in_closed_form(rows: list[list[float]], labels: list[int], bins: int, error: float) -> None:
    found = expected_calibration_error(answers(*rows), torch.tensor(labels), bins=bins)
    assert found == pytest.approx(error, abs=1e-9)


def test_a_bin_is_closed_above() -> None:
    """Of two bins a confidence of a half belongs to the lower one, with which .5 and .75 do not make up for each other."""
    rows = answers([0.5, 0.25, 0.25], [0.75, 0.125, 0.125])
    assert expected_calibration_error(rows, torch.tensor([0, 1]), bins=2) == pytest.approx(100 * (0.5 + 0.75) / 2)
    assert expected_calibration_error(rows, torch.tensor([0, 1]), bins=1) == pytest.approx(100 * (0.75 - 0.5) / 2)


@given(seed=st.integers(0, 1000), n=st.integers(1, 60), classes=st.integers(2, 10), bins=st.integers(1, 20))
def test_the_calibration_error_is_that_of_numpy_bin_by_bin(seed: int, n: int, classes: int, bins: int) -> None:
    rows, labels = drawn(seed, n, classes)
    confidence, right = rows.exp().numpy().max(1), (rows.argmax(1) == labels).numpy()
    which = np.digitize(confidence, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    error = sum(
        (which == b).mean() * abs(right[which == b].mean() - confidence[which == b].mean()) for b in np.unique(which)
    )
    assert expected_calibration_error(rows, labels, bins=bins) == pytest.approx(100 * error, abs=1e-9)


@given(seed=st.integers(0, 1000), n=st.integers(1, 60), classes=st.integers(2, 10))
def test_the_likelihood_is_scikit_learns_and_the_error_a_percentage(seed: int, n: int, classes: int) -> None:
    rows, labels = drawn(seed, n, classes)
    expected = log_loss(labels.numpy(), rows.exp().numpy(), labels=range(classes))
    assert negative_log_likelihood(rows, labels) == pytest.approx(expected)
    assert 0 <= expected_calibration_error(rows, labels) <= 100


def test_an_even_answer_costs_the_logarithm_of_the_classes() -> None:
    assert negative_log_likelihood(torch.zeros(7, 5).log_softmax(1), torch.arange(7) % 5) == pytest.approx(math.log(5))


@pytest.mark.parametrize("measure", [negative_log_likelihood, expected_calibration_error])
@pytest.mark.parametrize(
    ("rows", "labels", "told"),
    [
        (
            torch.zeros(0, 2),
            [],
            r"log_probabilities, labels: expected \(n, k\) and \(n,\), n >= 1, got \(0, 2\), \(0,\)",
        ),
        (torch.zeros(2), [0, 0], r"log_probabilities, labels: expected .* got \(2,\), \(2,\)"),
        (torch.zeros(2, 2), [0], r"log_probabilities, labels: expected .* got \(2, 2\), \(1,\)"),
        (math.nan * torch.zeros(1, 2), [0], "log_probabilities: expected numbers, got NaN, which names no class"),
    ],
)
def test_answers_that_are_none_are_refused(
    measure: Callable[..., float], rows: Tensor, labels: list[int], told: str
) -> None:
    with pytest.raises(BadValue, match=f"^{told}"):
        measure(rows, torch.tensor(labels, dtype=torch.int64))


@pytest.mark.parametrize("bins", [0, -1, 1.5, True])
def test_bins_are_a_number_of_them(bins: Any) -> None:
    with pytest.raises(BadValue, match=r"^bins: expected a whole number of at least 1, got "):
        expected_calibration_error(answers(SURE), torch.tensor([0]), bins=bins)
