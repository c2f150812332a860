"""Passes are counted as closed forms say, whatever the victim, and nothing is left hanging on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lib import evasion, models
from lib.counting import counting
from lib.judging import judge
from lib.models import Network
from lib.uncertainty import Ensemble, estimate
from tests.halfspaces import halfspace, problem

Maker = Callable[..., Network]
N, T, K = 3, 5, 7


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def made(kind: str, untrained: Maker) -> nn.Module:
    """A victim of a kind, T draws or members an answer; `look` averages K draws."""
    if kind == "plain":
        return untrained().eval()
    if kind == "traced":
        return torch.jit.trace(untrained().eval(), torch.rand(1, 1, 28, 28))  # type: ignore[no-any-return,no-untyped-call]
    if kind == "ensemble":
        return Ensemble([untrained(seed=seed) for seed in range(T)])
    if kind == "adopted":
        return estimate("none", models.adopt(untrained()), generator=generator(), draws=T)
    estimator = "epistemic" if kind == "look" else kind
    network = untrained(dropout=0.5 if estimator == "epistemic" else 0.0, heteroscedastic=estimator == "aleatoric")
    victim = estimate(estimator, network, generator=generator(), draws=T)
    return evasion.Look(victim, "expectation", draws=K) if kind == "look" else victim


@pytest.mark.parametrize(
    ("kind", "each"),
    [
        ("plain", 1),
        ("traced", 1),
        ("none", 1),
        ("adopted", 1),
        ("aleatoric", 1),
        ("ensemble", T),
        ("epistemic", T),
        ("look", K),
    ],
)
def test_an_image_of_m_draws_passes_m_times_forward_and_back(kind: str, each: int, untrained: Maker) -> None:
    victim, x, y = made(kind, untrained), torch.rand(N, 1, 28, 28, generator=generator()), torch.arange(N)
    with counting(victim) as passes, torch.no_grad():
        victim(x)
    assert (passes.forward, passes.backward) == (N * each, 0)
    with counting(victim) as passes:
        torch.nn.functional.nll_loss(victim(x.requires_grad_()), y).backward()  # type: ignore[no-untyped-call]
    assert (passes.forward, passes.backward) == (N * each, N * each)


def test_a_judgement_takes_its_draws_and_the_saliency_map_two_gradients(untrained: Maker) -> None:
    x, y = torch.rand(N, 1, 28, 28, generator=generator()), torch.arange(N)
    victim = made("epistemic", untrained)
    with counting(victim) as passes:
        judge(victim, x, draws=11)  # type: ignore[arg-type]
    assert passes.forward == N * 11
    with counting(victim) as passes:
        evasion.saliency.saliency(victim, x, y, targeted=True)
    assert (passes.forward, passes.backward) == (N * T, 2 * N * T)


def test_decision_attacks_count_the_same_answers() -> None:
    victim = halfspace()
    x, y = problem(4, victim)
    with counting(victim) as passes:
        found = evasion.hop_skip_jump(victim, x, y, generator=generator(), iterations=2, initial_evaluations=10)
    assert passes.forward == victim.shown == found.answers.sum() and passes.backward == 0


def test_nothing_stays_behind_even_after_an_error(untrained: Maker) -> None:
    victim = made("epistemic", untrained)
    with pytest.raises(RuntimeError), counting(victim) as passes:
        raise RuntimeError
    victim(torch.rand(N, 1, 28, 28))
    assert passes.forward == 0 and not any(layer._forward_hooks for layer in victim.modules())


def test_what_has_logits_is_counted_by_them() -> None:
    class Answer:
        def __init__(self, logits: Tensor) -> None:
            self.logits = logits

    class Wrapped(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return Answer(x.flatten(1))

    victim = Wrapped()
    with counting(victim) as passes:
        victim(torch.rand(2, 1, 2, 2))
    assert passes.forward == 2
