"""Measuring an attack: known answers for attacks that do nothing or everything, and the shortcut of the curve."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from experiments.papers.harakeh import before_after
from lib import data, evasion, models
from lib.errors import BadValue
from lib.evasion import pieces
from lib.metrics import accuracy
from lib.uncertainty import Deterministic, Heteroscedastic, MonteCarloDropout


def split(n: int = 60) -> data.Split:
    return data.load("digits_as_mnist").test.first(n)


def network(**settings: object) -> models.Network:
    return models.build("basic_cnn", shape=(1, 28, 28), classes=10, seed=0, width=2, **settings)  # type: ignore[arg-type]


def test_an_attack_that_does_nothing_changes_nothing() -> None:
    victim, test = Deterministic(network()), split()
    measured = before_after.measure(victim, test, lambda v, x, y: x)
    x, y = test.take(torch.arange(len(test)))
    assert measured["accuracy"] == measured["adversarial_accuracy"] == pytest.approx(accuracy(victim(x), y))
    assert (measured["unmoved"], measured["largest_perturbation"]) == (100.0, 0.0)


def test_an_attack_that_paints_every_image_white_is_measured_as_such() -> None:
    victim, test = Deterministic(network()), split()
    measured = before_after.measure(victim, test, lambda v, x, y: torch.ones_like(x))
    answer = victim(torch.ones(1, 1, 28, 28)).argmax().item()
    assert measured["adversarial_accuracy"] == pytest.approx(100 * (test.labels == answer).double().mean().item())
    assert measured["largest_perturbation"] == 1.0 and measured["unmoved"] == 0.0


def test_the_attack_is_given_the_prediction_not_the_label() -> None:
    victim, test, seen = Deterministic(network()), split(), []
    before_after.measure(victim, test, lambda v, x, y: seen.append(y) or x)
    x, _ = test.take(torch.arange(len(test)))
    assert torch.equal(torch.cat(seen), victim(x).argmax(1))


def test_one_gradient_serves_every_epsilon() -> None:
    """The curve equals FGSM run anew at each budget, also where pixels stand at 0 and 1 and clipping hides the sign."""
    victim, test, epsilons = Deterministic(network()), split(), (0.0, 1 / 255, 0.05, 0.3, 1.0)
    x, y = test.take(torch.arange(len(test)))
    predicted = victim(x).argmax(1)
    anew = [accuracy(victim(evasion.fgsm(victim, x, predicted, epsilon=e)), y) for e in epsilons]
    assert before_after.accuracy_curve(victim, test, epsilons) == pytest.approx(anew)


@pytest.mark.parametrize("epsilon", [8, -0.1, math.nan, "0.1"])
def test_a_budget_that_is_none_is_refused(epsilon: Any) -> None:
    with pytest.raises(BadValue, match=r"^epsilons: expected a finite number in \[0, 1\], got "):
        before_after.accuracy_curve(Deterministic(network()), split(), [0.0, epsilon])


def test_sigma_is_reported_for_gaussian_logits_alone() -> None:
    gaussian = Heteroscedastic(network(heteroscedastic=True), generator=torch.Generator().manual_seed(0))
    measured = before_after.measure(gaussian, split(20), lambda v, x, y: x)
    assert measured["sigma"] == measured["adversarial_sigma"] > 0
    assert "sigma" not in before_after.measure(Deterministic(network()), split(20), lambda v, x, y: x)


def test_all_draws_of_a_batch_fit_together() -> None:
    sizes: list[int] = []
    dropout = MonteCarloDropout(network(dropout=0.5), generator=torch.Generator().manual_seed(0), draws=7)
    before_after.measure(dropout, split(), lambda v, x, y: sizes.append(len(x)) or x)
    assert sum(sizes) == 60 and max(sizes) * 7 <= pieces.ATTACK_BATCH["cpu"]
