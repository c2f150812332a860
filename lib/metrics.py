"""What is measured: accuracies in percent, calibration, and intervals over seeds or test points.

A confidence that is no share of 1, no numbers at all, NaN and shapes that do not match are a `BadValue`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from .errors import BadValue, check_count, check_number


@dataclass(frozen=True)
class Interval:
    """A mean with the two ends of its confidence interval, from `n` observations."""

    mean: float
    low: float
    high: float
    n: int

    def within(self, low: float, high: float) -> Interval:
        """The same with its ends in [low, high], where a quantity that cannot leave these has them."""
        return Interval(self.mean, float(max(low, self.low)), float(min(high, self.high)), self.n)


def percent(which: Tensor) -> float:
    """The share of those that are true, in percent."""
    return 100 * which.double().mean().item()


def mean_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Student's t interval of the mean of `values`; with one value both ends are NaN, for one seed has no spread."""
    confidence = check_confidence(confidence)
    n = len(values)
    if n == 0:
        raise BadValue("values: expected at least one number, got none")
    mean = float(np.mean(values))
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1)
    # mean ± t_{n-1} s / sqrt(n)
    half = float(special.stdtrit(n - 1, 0.5 + confidence / 2) * np.std(values, ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def proportion_interval(successes: float, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927), as fractions of 1."""
    confidence = check_confidence(confidence)
    if n < 1 or not 0 <= successes <= n:
        raise BadValue(f"successes: expected 0 <= successes <= n with n >= 1, got {successes!r} of {n!r}")
    z = float(special.ndtri(0.5 + confidence / 2))
    p = successes / n
    # (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(p, max(0.0, centre - half), min(1.0, centre + half), n)


def check_confidence(confidence: float) -> float:
    """`confidence` of an interval, if it is a share of 1: 0.95, not 95."""
    if not 0 < check_number("confidence", confidence) < 1:
        raise BadValue(f"confidence: expected a share above 0 and below 1, such as 0.95, got {confidence!r}")
    return confidence


def accuracy(scores: Tensor, labels: Tensor) -> float:
    """Share of rows of `scores` (n, k) whose largest entry stands at `labels` (n,), in percent."""
    _check_rows("scores", scores, labels)
    return percent(scores.argmax(1) == labels)


def negative_log_likelihood(log_probabilities: Tensor, labels: Tensor) -> float:
    """Mean over rows of minus the entry of `log_probabilities` (n, k) at `labels` (n,), in nats."""
    _check_rows("log_probabilities", log_probabilities, labels)
    return -log_probabilities.double().gather(1, labels[:, None]).mean().item()


def expected_calibration_error(log_probabilities: Tensor, labels: Tensor, *, bins: int = 15) -> float:
    """By how much the confidence of an answer and the share of right ones differ, in percentage points (Guo et al. 2017, eq. 3).

    Args:
        log_probabilities: (n, k); the confidence of a row is its largest probability, and the class that has it the answer.
        labels: (n,).
        bins: of equal width, each open below and closed above, into which confidences fall.
    """
    _check_rows("log_probabilities", log_probabilities, labels)
    check_count("bins", bins)
    confidence, answer = log_probabilities.double().exp().max(1)
    # sum_b n_b / n |accuracy_b - confidence_b| = 1/n sum_b |sum_{i in b} (right_i - confidence_i)|
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gaps = confidence.new_zeros(bins).index_add(0, place, (answer == labels).double() - confidence)
    return 100 * gaps.abs().sum().item() / len(labels)


def _check_rows(name: str, scores: Tensor, labels: Tensor) -> None:
    if scores.dim() != 2 or labels.shape != scores.shape[:1] or len(labels) == 0:
        shapes = f"{tuple(scores.shape)}, {tuple(labels.shape)}"
        raise BadValue(f"{name}, labels: expected (n, k) and (n,), n >= 1, got {shapes}")
    check_no_nan(f"{name}: expected numbers, got", scores)


def check_no_nan(told: str, scores: Tensor) -> None:
    """See that `scores` name classes: argmax would take NaN for the largest. `told` is how the message begins."""
    if scores.isnan().any():
        raise BadValue(f"{told} NaN, which names no class")


def entropy(log_probabilities: Tensor) -> Tensor:
    """Entropy in nats of each row of `log_probabilities` (..., k): shape (...)."""
    # H[p] = -sum_c p_c log p_c, with 0 log 0 = 0
    return -(log_probabilities.exp() * log_probabilities.clamp_min(torch.finfo(log_probabilities.dtype).min)).sum(-1)


def mutual_information(log_probabilities: Tensor) -> Tensor:
    """Mutual information, in nats, of the label and the draw, from the draws' log-probabilities (m, n, k): shape (n,)."""
    # I[y, theta] = H[1/m sum_t p_t] - 1/m sum_t H[p_t]
    mean = log_probabilities.logsumexp(0) - math.log(len(log_probabilities))
    return (entropy(mean) - entropy(log_probabilities).mean(0)).clamp_min(0)
