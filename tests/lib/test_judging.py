"""Judging by fresh draws, and the scores of uncertainty: closed forms on victims whose draws are written down."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lib import metrics
from lib.errors import BadValue
from lib.evasion import pgd_aware, pieces
from lib.judging import judge
from lib.layers import Flatten
from lib.models import Network, Parts
from lib.uncertainty import (
    UNCERTAINTY_SCORES,
    Deterministic,
    Ensemble,
    Heteroscedastic,
    MonteCarloDropout,
    RandomVictim,
    Victim,
    scores_of,
)

Maker = Callable[..., Network]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Scripted(RandomVictim):
    """A random victim whose draws are given, by probabilities (m, k), the same for every image."""

    def __init__(self, probabilities: list[list[float]]) -> None:
        super().__init__(Network(Parts(Flatten(), nn.Identity)), generator=generator(), draws=len(probabilities))
        self.logits = torch.tensor(probabilities).log()
        self.asked: list[tuple[int, int]] = []

    def sample(self, x: Tensor, draws: int) -> Tensor:
        self.asked.append((len(x), draws))
        return self.logits[torch.arange(draws) % len(self.logits), None].expand(-1, len(x), -1)

    def forward(self, x: Tensor) -> Tensor:
        return self.combine(self.sample(x, self.draws)).log_softmax(1)


def images(n: int) -> Tensor:
    return torch.rand(n, 1, 2, 2, generator=generator(n))


# --- entropy and mutual information -----------------------------------------------------------------------------------

CERTAIN, OPPOSITE, EVEN = [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]


@pytest.mark.parametrize(
    ("draws", "entropy", "information"),
    [
        ([CERTAIN, OPPOSITE], math.log(2), math.log(2)),  # each draw is sure, and they contradict: all is disagreement
        ([EVEN, EVEN], math.log(2), 0.0),  # none is sure, and they agree
        ([CERTAIN, CERTAIN], 0.0, 0.0),
        ([EVEN], math.log(2), 0.0),  # one draw cannot disagree
        (
            [CERTAIN, EVEN],
            -0.75 * math.log(0.75) - 0.25 * math.log(0.25),
            -0.75 * math.log(0.75) - 0.25 * math.log(0.25) - math.log(2) / 2,
        ),
        ([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], math.log(3), math.log(3)),
    ],
)
def test_entropy_and_mutual_information_of_known_draws(
    draws: list[list[float]], entropy: float, information: float
) -> None:
    found = judge(Scripted(draws), images(3), draws=len(draws)).scores
    torch.testing.assert_close(found["entropy"], torch.full((3,), entropy), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found["mutual_information"], torch.full((3,), information), atol=1e-6, rtol=1e-5)


@given(
    draws=st.integers(1, 5),
    n=st.integers(1, 4),
    classes=st.integers(2, 6),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 30.0, 1e3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_draws_tell_no_more_than_there_is_to_know(
    draws: int, n: int, classes: int, scale: float, seed: int
) -> None:
    """0 <= I <= H of the mean <= log k, and I = H - mean of the draws' H, in float64 and from the definitions."""
    logits = scale * torch.randn(draws, n, classes, generator=generator(seed))
    found = metrics.mutual_information(logits.log_softmax(-1)).double()
    p = logits.double().softmax(-1)
    mean = torch.special.entr(p.mean(0)).sum(-1)
    expected = mean - torch.special.entr(p).sum(-1).mean(0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert found.shape == (n,) and bool((found >= 0).all())
    assert bool((found <= mean + 1e-5).all()) and bool((mean <= math.log(classes) + 1e-5).all())


# --- answer and vote --------------------------------------------------------------------------------------------------


def test_vote_and_mean_can_differ() -> None:
    """Two draws lean towards 0 and one is sure of 1: most say 0, the mean says 1."""
    found = judge(Scripted([[0.6, 0.4], [0.6, 0.4], [0.01, 0.99]]), images(4), draws=3)
    assert found.answer.tolist() == [1] * 4 and found.vote.tolist() == [0] * 4


def test_the_answer_is_that_of_exactly_the_draws_asked_for() -> None:
    victim = Scripted([[0.9, 0.1], [0.05, 0.95]])
    one, two = (judge(victim, images(2), draws=draws) for draws in (1, 2))
    assert one.answer.tolist() == [0, 0] and two.answer.tolist() == [1, 1]
    assert victim.asked == [(2, 1), (2, 2)]


def test_of_a_victim_that_is_not_random_vote_and_answer_are_one(untrained: Maker) -> None:
    x = torch.rand(6, 1, 28, 28, generator=generator())
    victim = Deterministic(untrained())
    found = judge(victim, x)
    assert torch.equal(found.answer, found.vote) and torch.equal(found.answer, victim(x).argmax(1))
    torch.testing.assert_close(found.scores["entropy"], metrics.entropy(victim(x).detach()))


@pytest.mark.parametrize("draws", [1, 2, 50])
def test_all_members_of_an_ensemble_judge_however_many_draws_are_asked_for(draws: int, untrained: Maker) -> None:
    x = torch.rand(6, 1, 28, 28, generator=generator())
    victim = Ensemble([untrained("fully_connected", seed=seed) for seed in range(3)])
    found, log_p = judge(victim, x, draws=draws), victim(x).detach()
    assert torch.equal(found.answer, log_p.argmax(1))
    torch.testing.assert_close(found.log_probabilities, log_p)
    torch.testing.assert_close(found.scores["entropy"], metrics.entropy(log_p), atol=1e-5, rtol=1e-5)
    each = torch.stack([member(x) for member in victim.members]).detach().log_softmax(-1)
    torch.testing.assert_close(found.scores["mutual_information"], metrics.mutual_information(each))


# --- variance ---------------------------------------------------------------------------------------------------------


def test_the_variance_is_the_mean_over_classes_of_sigma_squared() -> None:
    """sigma = softplus(a + b x) with known a, b; neither logits nor noise enter."""
    network = Network(Parts(Flatten(), lambda: nn.Linear(1, 2)), heteroscedastic=True)
    assert isinstance(network.noise, nn.Linear)
    with torch.no_grad():
        network.noise.weight.copy_(torch.tensor([[1.0], [0.0]]))
        network.noise.bias.copy_(torch.tensor([-1.0, 2.0]))
    x = torch.tensor([0.0, 0.5, 1.0])
    victim = Heteroscedastic(network, generator=generator(), draws=3)
    found = judge(victim, x.view(3, 1, 1, 1), draws=7).scores["variance"]
    expected = (math.log1p(math.exp(2)) ** 2 + (x - 1).exp().log1p().square()) / 2
    torch.testing.assert_close(found, expected)


# --- which victim has which score -------------------------------------------------------------------------------------


def some(kind: str, untrained: Maker) -> Victim:
    if kind == "none":
        return Deterministic(untrained())
    if kind == "ensemble":
        return Ensemble([untrained(seed=seed) for seed in range(2)])
    if kind == "epistemic":
        return MonteCarloDropout(untrained(dropout=0.5), generator=generator(), draws=3)
    return Heteroscedastic(untrained(heteroscedastic=True), generator=generator(), draws=3)


@pytest.mark.parametrize(
    ("kind", "has"),
    [
        ("none", {"entropy"}),
        ("epistemic", {"entropy", "mutual_information"}),
        ("ensemble", {"entropy", "mutual_information"}),
        ("aleatoric", {"entropy", "variance"}),
    ],
)
def test_a_victim_has_the_scores_that_mean_something_for_it(kind: str, has: set[str], untrained: Maker) -> None:
    victim, x = some(kind, untrained), torch.rand(3, 1, 28, 28, generator=generator())
    found = judge(victim, x, draws=4)
    assert set(scores_of(victim)) == set(found.scores) == has
    assert all(values.shape == (3,) and bool((values >= 0).all()) for values in found.scores.values())
    for name in UNCERTAINTY_SCORES:
        if name not in has:
            with pytest.raises(BadValue, match=f"^score: unknown '{name}'; expected one of entropy"):
                pgd_aware(victim, x, torch.zeros(3).long(), epsilon=0.1, score=name)


# --- batches, and refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "ensemble"])
@pytest.mark.parametrize("at_once", [1, 4, 7])
def test_batches_do_not_change_what_is_not_random(
    kind: str, at_once: int, untrained: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, x = some(kind, untrained), torch.rand(9, 1, 28, 28, generator=generator())
    whole = judge(victim, x)
    monkeypatch.setitem(pieces.ATTACK_BATCH, "cpu", at_once)
    parts = judge(victim, x)
    assert torch.equal(parts.answer, whole.answer) and torch.equal(parts.vote, whole.vote)
    for name, scores in whole.scores.items():
        torch.testing.assert_close(parts.scores[name], scores, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("draws", "sizes"), [(1, [4, 4, 1]), (2, [2, 2, 2, 2, 1]), (9, [1] * 9)])
def test_all_draws_of_a_batch_fit_together(draws: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pieces.ATTACK_BATCH, "cpu", 4)
    victim = Scripted([CERTAIN, OPPOSITE])
    judge(victim, images(9), draws=draws)
    assert victim.asked == [(size, draws) for size in sizes]


@pytest.mark.parametrize("draws", [0, -1, 2.0, True, None])
def test_draws_that_are_none_are_refused(draws: Any, untrained: Maker) -> None:
    with pytest.raises(BadValue, match=r"^draws: expected a whole number of at least 1, got "):
        judge(Deterministic(untrained()), torch.rand(2, 1, 28, 28), draws=draws)


def test_without_images_there_is_nothing_to_judge(untrained: Maker) -> None:
    with pytest.raises(BadValue, match=r"^x: expected at least one image, got none$"):
        judge(Deterministic(untrained()), torch.rand(0, 1, 28, 28))


def test_what_is_no_victim_of_ours_is_refused() -> None:
    with pytest.raises(BadValue, match=r"^victim: expected one that `uncertainty.estimate` makes, got Sequential$"):
        judge(nn.Sequential(nn.Flatten()), images(2))  # type: ignore[arg-type]


def test_a_victim_in_training_mode_is_refused(untrained: Maker) -> None:
    victim = Deterministic(untrained("fully_connected", width=8, dropout=0.5))
    with pytest.raises(BadValue, match="expected a network in evaluation mode"):
        judge(victim.train(), torch.rand(2, 1, 28, 28))


def test_answers_of_nan_are_refused() -> None:
    with pytest.raises(BadValue, match="NaN, which names no class"):
        judge(Scripted([[math.nan, 0.5]]), images(2), draws=2)
    with pytest.raises(BadValue, match="NaN, which names no class"):
        metrics.accuracy(torch.full((2, 3), torch.nan), torch.zeros(2, dtype=torch.long))


def test_draws_need_a_generator(untrained: Maker) -> None:
    with pytest.raises(BadValue, match=r"^generator: expected a torch\.Generator"):
        MonteCarloDropout(untrained("fully_connected", width=8, dropout=0.5), generator=None)  # type: ignore[arg-type]
